//go:build unix

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// kind is one of the example servers, and how an honest client talks to it.
type kind struct {
	name  string
	flags func(t testing.TB) []string

	// talk has one conversation, which no other has with that id, and compares all
	// that it is told.
	talk func(c net.Conn, id int) error
	// greets is a server that speaks first, and then to a client that waits for it.
	greets bool
	// ping has the server say something.
	ping string
	// begun is the beginning of a command that never ends.
	begun string
	// greedy asks for much.
	greedy string
}

var kinds = []kind{
	{"echo", nil, talkEcho, false, "x", "x", strings.Repeat("echo", 16<<10)},
	{"chatroom", anyHost, talkChatroom, true, "!\r\n", "na", strings.Repeat("/who\r\n", 1000)},
	{"kv", nil, talkKV, false, "PING\r\n", "*2\r\n$3\r\nGET\r\n$1000\r\nx", "SET k " + strings.Repeat("v", 60000) + "\r\n" + strings.Repeat("GET k\r\n", 1000)},
	{"smtpsink", withDir, talkSMTP, true, "NOOP\r\n", "HELO he", "HELO here\r\n" + strings.Repeat("NOOP\r\n", 1000)},
	{"httpd", withDir, talkHTTP, false, "OPTIONS / HTTP/1.1\r\nHost: here\r\n\r\n", "GET / HTTP/1.1\r\nHost: h", strings.Repeat("GET /big HTTP/1.1\r\nHost: here\r\n\r\n", 100)},
}

// proxied are the servers and the proxy, in front of the first of them.
var proxied = append(slices.Clone(kinds), kind{"chaosproxy", toEcho, talkEcho, false, "x", "x", kinds[0].greedy})

func toEcho(t testing.TB) []string {
	t.Helper()
	return []string{"-to", kinds[0].start(t).Addr}
}

func anyHost(testing.TB) []string { return []string{"-per-host", "0"} }

// withDir is for those who have a directory: to serve, or to deliver into.
func withDir(t testing.TB) []string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return []string{"-per-host", "0", "-dir", dir}
}

var pages = map[string][]byte{"small": text(100), "large": text(100_000), "big": text(8 << 20)}

// args are a server's flags, those of its kind and more.
func (k *kind) args(t testing.TB, more ...string) []string {
	t.Helper()
	args := []string{"-addr", "127.0.0.1:0"}
	if k.flags != nil {
		args = append(args, k.flags(t)...)
	}
	return append(args, more...)
}

func (k *kind) start(t testing.TB, more ...string) *exampletest.Server {
	t.Helper()
	return exampletest.Start(t, k.name, k.args(t, more...)...)
}

// visit is a whole visit of an honest client: it comes, talks and leaves.
func (k *kind) visit(addr string, id int, patience time.Duration) error {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	return k.talk(c, id)
}

func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// enter is dial, with the greeting heard.
func (k *kind) enter(t testing.TB, addr string) net.Conn {
	t.Helper()
	c := dial(t, addr)
	if k.greets && !said(c, patience) {
		t.Fatal("no greeting")
	}
	return c
}

// said tells whether c is told anything.
func said(c net.Conn, within time.Duration) bool {
	c.SetReadDeadline(time.Now().Add(within))
	n, _ := c.Read(make([]byte, 4096))
	return n > 0
}

// wrong is what an honest client must never see: other bytes than it is to get.
type wrong string

func (w wrong) Error() string { return string(w) }

// want reads so many bytes as want has, and finds those. Where fewer come, they are
// its beginning.
func want(r io.Reader, want []byte) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if !bytes.Equal(got[:n], want[:n]) {
		return wrong(fmt.Sprintf("%.100q, want %.100q", got[:n], want[:n]))
	}
	return err
}

// line reads a line, of which more than its end may be missing only at the end of the
// connection.
func line(r *bufio.Reader, accepts func(string) bool) error {
	s, err := r.ReadString('\n')
	if err == nil && !accepts(s) {
		return wrong(fmt.Sprintf("%q", s))
	}
	return err
}

func talkEcho(c net.Conn, id int) error {
	for i, n := range []int{1, 10, 5000, 40000} {
		p := text(50000)[(id+i)%1000:][:n]
		if _, err := c.Write(p); err != nil {
			return err
		}
		if err := want(c, p); err != nil {
			return err
		}
	}
	return nil
}

// talkChatroom: a member whispers to himself; what the others say is passed over.
func talkChatroom(c net.Conn, id int) error {
	name := fmt.Sprint("m", id)
	fmt.Fprintf(c, "%s\r\n", name)
	r := bufio.NewReader(c)
	for _, words := range []string{"hello", strings.Repeat("long ", 100), "bye"} {
		fmt.Fprintf(c, "/msg %s %s\r\n", name, words)
		heard := fmt.Sprintf("%s (to you): %s\r\n", name, strings.TrimSpace(words))
		mine := false
		for !mine {
			err := line(r, func(s string) bool {
				mine = s == heard
				return mine || strings.HasPrefix(s, "* ")
			})
			if err != nil {
				return err
			}
		}
	}
	_, err := io.WriteString(c, "/quit\r\n")
	return err
}

// talkKV leaves no key behind, for more than a few seconds.
func talkKV(c net.Conn, id int) error {
	value := text(40000)[id%1000:][:1+id*7919%30000]
	key := fmt.Sprint("key:", id)
	steps := []struct{ command, reply string }{
		{fmt.Sprintf("*5\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n$2\r\nEX\r\n$1\r\n9\r\n", len(key), key, len(value), value), "+OK\r\n"},
		{"GET " + key + "\r\n", fmt.Sprintf("$%d\r\n%s\r\n", len(value), value)},
		{"DEL " + key + "\r\n", ":1\r\n"},
	}
	for _, s := range steps {
		if _, err := io.WriteString(c, s.command); err != nil {
			return err
		}
		if err := want(c, []byte(s.reply)); err != nil {
			return err
		}
	}
	return nil
}

// message is what talkSMTP sends.
func message(id int) string {
	return fmt.Sprintf("Subject: %d\r\n\r\n", id) + strings.Repeat(fmt.Sprintf("line of message %d\r\n", id), 1+id%500) + "the end\r\n"
}

func talkSMTP(c net.Conn, id int) error {
	r := bufio.NewReader(c)
	for _, s := range []struct{ command, reply string }{
		{"", "220 "}, {"HELO here\r\n", "250 "}, {"MAIL FROM:<a@b>\r\n", "250 "}, {"RCPT TO:<c@d>\r\n", "250 "},
		{"DATA\r\n", "354 "}, {message(id) + ".\r\n", "250 "}, {"QUIT\r\n", "221 "},
	} {
		if _, err := io.WriteString(c, s.command); err != nil {
			return err
		}
		if err := line(r, func(answer string) bool { return strings.HasPrefix(answer, s.reply) }); err != nil {
			return err
		}
	}
	return nil
}

func talkHTTP(c net.Conn, id int) error {
	r := bufio.NewReader(c)
	for _, name := range []string{"small", "large"} {
		if _, err := fmt.Fprintf(c, "GET /%s?%d HTTP/1.1\r\nHost: here\r\n\r\n", name, id); err != nil {
			return err
		}
		var header []byte
		for !bytes.HasSuffix(header, []byte("\r\n\r\n")) {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return err
			}
			header = append(header, line...)
		}
		answer, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader(header), r)), nil)
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK || answer.ContentLength != int64(len(pages[name])) {
			return wrong(fmt.Sprintf("%s, %d bytes", answer.Status, answer.ContentLength))
		}
		if err := want(answer.Body, pages[name]); err != nil {
			return err
		}
		answer.Body.Close()
	}
	return nil
}

// What honest clients are not told elsewhere is no fault of theirs.
func TestHonest(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			addr := k.start(t).Addr
			for id := range 20 {
				if err := k.visit(addr, id, patience); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// patience is how long what has to happen may take.
const patience = 20 * time.Second
