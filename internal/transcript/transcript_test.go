package transcript

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// room is the server of the files in testdata: NICK, SAY, ECHO, READ and QUIT.
type room struct {
	ln net.Listener
	wg sync.WaitGroup

	mu      sync.Mutex
	dialled int
	members map[string]net.Conn
}

func start(t *testing.T) net.Addr {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &room{ln: ln, members: map[string]net.Conn{}}
	r.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			r.wg.Go(func() { r.serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		r.wg.Wait() // the runner has closed every connection
	})
	return ln.Addr()
}

// others sends a line to everybody but nick, with r.mu held.
func (r *room) others(nick, line string) {
	for n, c := range r.members {
		if n != nick {
			io.WriteString(c, line)
		}
	}
}

// one is a reader that counts what its first Read gave.
type one struct {
	net.Conn
	first int
}

func (o *one) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	if o.first == 0 {
		o.first = n
	}
	return n, err
}

func (r *room) serve(c net.Conn) {
	var nick string
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if nick != "" {
			delete(r.members, nick)
			r.others(nick, "* "+nick+" left\r\n")
		}
		c.Close()
	}()
	r.mu.Lock()
	r.dialled++
	fmt.Fprintf(c, "220 room %d\r\n", r.dialled)
	r.mu.Unlock()
	in := &one{Conn: c}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		verb, arg, _ := strings.Cut(strings.TrimSuffix(line, "\r\n"), " ")
		r.mu.Lock()
		switch verb {
		case "NICK":
			nick = arg
			r.members[nick] = c
			io.WriteString(c, "250 "+nick+"\r\n")
			r.others(nick, "* "+nick+" came\r\n")
		case "SAY":
			r.others(nick, nick+": "+arg+"\r\n")
		case "ECHO":
			io.WriteString(c, arg+"\r\n")
		case "READ":
			fmt.Fprintf(c, "%d\r\n", in.first)
		case "QUIT":
			io.WriteString(c, "221 bye\r\n")
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
	}
}

func TestRun(t *testing.T) {
	Run(t, "testdata/*.txt", Fresh(start))
}

// TestExample keeps the example of the package comment and the file the same.
func TestExample(t *testing.T) {
	file, err := os.ReadFile("testdata/example.txt")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("transcript.go")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(file)) {
		if line == "\n" {
			b.WriteString("//\n")
		} else {
			b.WriteString("//\t" + line)
		}
	}
	if !strings.Contains(string(source), "\n//\n"+b.String()+"//\n// # Lines\n") {
		t.Error("testdata/example.txt is not the example of the package comment")
	}
}

func TestEscapes(t *testing.T) {
	for _, test := range []struct{ in, want, err string }{
		{in: ``, want: ""},
		{in: `plain "text" *2 {}`, want: `plain "text" *2 {}`},
		{in: `\r\n\t\0\\\x41\xfFz`, want: "\r\n\t\x00\\A\xffz"},
		{in: `\01`, want: "\x001"},
		{in: `a\{b*3}c`, want: "abbbc"},
		{in: `\{\r\n*2}\{x*y*2}\{z*0}`, want: "\r\n\r\nx*yx*y"},
		{in: `\`, err: `ends in a single \`},
		{in: `\q`, err: `no such escape: \q`},
		{in: `\x4`, err: `\x needs two hex digits`},
		{in: `\x+4`, err: `\x needs two hex digits`},
		{in: `\xgg`, err: `\x needs two hex digits`},
		{in: `\{a*3`, err: `not \{text*n}`},
		{in: `\{a}`, err: `not \{text*n}`},
		{in: `\{a*-1}`, err: `not a number, or more than 16777216 bytes: \{a*-1}`},
		{in: `\{ab*8388609}`, err: `not a number, or more than 16777216 bytes: \{ab*8388609}`},
		{in: `\{\q*2}`, err: `no such escape: \q`},
		{in: `\{\{a*2}*2}`, err: `not \{text*n}`},
	} {
		got, err := unescape(test.in)
		if err != nil || test.err != "" {
			if fmt.Sprint(err) != test.err {
				t.Errorf("%s: error %v, want %s", test.in, err, test.err)
			}
		} else if string(got) != test.want {
			t.Errorf("%s: %q, want %q", test.in, got, test.want)
		}
	}
}

func TestParse(t *testing.T) {
	s, err := parse("f", "# c\n\nmode whole 3\n> a\r\n>\nb2>>  x\n<\n<< >y\n<~ .\\d\n>eof\n<closed\nb2>eof\nb2>close\n")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, st := range s.steps {
		got = append(got, fmt.Sprintf("%d %s %s %q %v", st.line, st.conn, st.op, st.text, st.re))
	}
	want := []string{
		`4  > "a\r\n" <nil>`,
		`5  > "\r\n" <nil>`,
		`6 b2 >> " x" <nil>`,
		`7  < "\r\n" <nil>`,
		`8  << ">y" <nil>`,
		`9  <~ "" \A(?:.\d)\z`,
		`10  >eof "" <nil>`,
		`11  <closed "" <nil>`,
		`12 b2 >eof "" <nil>`,
		`13 b2 >close "" <nil>`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"whole", "3"}, s.modes); d != "" {
		t.Error(d)
	}
}

func TestParseErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"# nothing\n", "f: no steps"},
		{"> a\nb c\n", "f:2: b c: not a step"},
		{">a\n", "f:1: >a: not a step"},
		{" > a\n", "f:1:  > a: not a step"},
		{"A> a\n", "f:1: A> a: not a step"},
		{"> a \n", `f:1: > a : ends in a blank, write \x20`},
		{"\t\n", "f:1: \t: ends in a blank, write \\x20"},
		{"> \\q\n", `f:1: > \q: no such escape: \q`},
		{"<~ (\n", "f:1: <~ (: error parsing regexp: missing closing ): `\\A(?:()\\z`"},
		{"<eof now\n", "f:1: <eof now: <eof takes no text"},
		{"mode fast\n> a\n", "f:1: mode fast: no such mode: fast"},
		{"mode 10\n> a\n", "f:1: mode 10: no such mode: 10"},
		{"mode\n> a\n", "f:1: mode: mode needs names, and stands before the first step"},
		{"> a\nmode whole\n", "f:2: mode whole: mode needs names, and stands before the first step"},
		{"a>eof\na<eof\na> x\n", "f:3: a> x: comes after a>eof"},
		{">close\n<eof\n", "f:2: <eof: comes after >close"},
	} {
		if _, err := parse("f", test.text); fmt.Sprint(err) != test.want {
			t.Errorf("%q:\ngot  %v\nwant %s", test.text, err, test.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("mode whole\na> x\\{y*3}\n<~ .*\n>eof\n")
	f.Add("> \\x4\\")
	f.Add("\f")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parse("f", text); err == nil && (len(s.steps) == 0 || len(s.modes) == 0) {
			t.Errorf("an empty script: %+v", s)
		}
	})
}

// against plays text against serve, which has each connection to itself.
func against(t *testing.T, text, mode string, limit time.Duration, serve func(c *net.TCPConn)) error {
	t.Helper()
	s, err := parse("f", text)
	if err != nil {
		t.Fatal(err)
	}
	dial := Fresh(func(t *testing.T) net.Addr {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				wg.Go(func() {
					defer c.Close()
					serve(c.(*net.TCPConn))
				})
			}
		})
		t.Cleanup(func() { ln.Close(); wg.Wait() })
		return ln.Addr()
	})
	return s.play(mode, limit, func() net.Conn { return dial(t) })
}

// TestFailures has what a play must not let pass, and how it says so.
func TestFailures(t *testing.T) {
	// says answers the first line with answer and closes after the client.
	says := func(answer string) func(c *net.TCPConn) {
		return func(c *net.TCPConn) {
			bufio.NewReader(c).ReadString('\n')
			io.WriteString(c, answer)
			io.Copy(io.Discard, c)
		}
	}
	reset := func(c *net.TCPConn) {
		bufio.NewReader(c).ReadString('\n')
		c.SetLinger(0)
	}
	for _, test := range []struct {
		name, text string
		serve      func(c *net.TCPConn)
		want       string
	}{
		{"other line", "> x\n< 250 ok\n", says("250 no\r\n"),
			"f:2: < 250 ok\n\twant \"250 ok\\r\\n\"\n\tgot  \"250 no\\r\\n\""},
		{"shorter line", "> x\n< 250 okay\n", says("250 ok\r\n"),
			"f:2: < 250 okay\n\twant \"250 okay\\r\\n\"\n\tgot  \"250 ok\\r\\n\""},
		{"bare LF", "> x\n< ok\n", says("ok\n"),
			"f:2: < ok\n\twant \"ok\\r\\n\"\n\tgot  \"ok\\n\""},
		{"bytes", "> x\n<< \\0\\xff\n", says("\x00\xfe"),
			"f:2: << \\0\\xff\n\twant \"\\x00\\xff\"\n\tgot  \"\\x00\\xfe\""},
		{"stuck", "> x\n\n< ok\n", says("o"),
			"f:3: < ok\n\twant \"ok\\r\\n\"\n\tgot  \"o\", then no more within 50ms"},
		{"stuck line", "> x\n<~ o.*\n", says("ok\r"),
			"f:2: <~ o.*\n\twant a line like \\A(?:o.*)\\z\n\tgot  \"ok\\r\", then no more within 50ms"},
		{"line unlike", "> x\na>>\n<~ o|n\n", says("on\r\n"),
			"f:3: <~ o|n\n\twant a line like \\A(?:o|n)\\z\n\tgot  \"on\\r\\n\""},
		{"early end", "> x\n>eof\n< okay\n", says("ok"),
			"f:3: < okay\n\twant \"okay\\r\\n\"\n\tgot  \"ok\", then eof"},
		{"no end", "> x\n< ok\n<eof\n", says("ok\r\n"),
			"f:3: <eof\n\twant eof\n\tgot  \"\", then no more within 50ms"},
		{"more before the end", "> x\n< ok\n>eof\n<eof\n", says("ok\r\nok"),
			"f:4: <eof\n\twant eof\n\tgot  \"ok\", then eof"},
		{"more at the end of the file", "a> x\na< ok\n", says("ok\r\nok"),
			"f: at its end: a<eof\n\twant eof\n\tgot  \"ok\", then eof"},
		{"more, and after our end", "a> x\na< ok\na>eof\n", says("ok\r\nok"),
			"f: at its end: a<eof\n\twant eof\n\tgot  \"ok\", then eof"},
		{"reset for eof", "> x\n<eof\n", reset,
			"f:2: <eof\n\twant eof\n\tgot  \"\", then reset"},
		{"eof for reset", "> x\n>eof\n<reset\n", says(""),
			"f:3: <reset\n\twant reset\n\tgot  \"\", then eof"},
		{"no end for closed", "> x\n<closed\n", says(""),
			"f:2: <closed\n\twant closed\n\tgot  \"\", then no more within 50ms"},
		{"long", "> x\n< \\{a*5000}\n", says(strings.Repeat("a", 3000) + "b" + strings.Repeat("a", 2001)),
			fmt.Sprintf("f:2: < \\{a*5000}\n\twant bytes 2960 to 3200 of 5002: %q\n\tgot  bytes 2960 to 3200 of 5002: %q",
				strings.Repeat("a", 240), strings.Repeat("a", 40)+"b"+strings.Repeat("a", 199))},
		{"second connection", "a> x\nb> x\na< ok\nb< no\n", says("ok\r\n"),
			"f:4: b< no\n\twant \"no\\r\\n\"\n\tgot  \"ok\\r\\n\""},
	} {
		t.Run(test.name, func(t *testing.T) {
			limit := stuck
			if strings.HasSuffix(test.want, "50ms") {
				limit = 50 * time.Millisecond // which always passes
			}
			err := against(t, test.text, "written", limit, test.serve)
			got := fmt.Sprint(err)
			if got != test.want && got+", then eof" != test.want { // the end may still be under way
				t.Errorf("got:\n%v\nwant:\n%s", err, test.want)
			}
		})
	}
}

// TestEnds has the ends that a play must accept.
func TestEnds(t *testing.T) {
	reset := func(c *net.TCPConn) {
		bufio.NewReader(c).ReadString('\n')
		c.SetLinger(0)
	}
	closes := func(c *net.TCPConn) { bufio.NewReader(c).ReadString('\n') }
	early := func(c *net.TCPConn) {
		io.WriteString(c, "500 too long\r\n")
		io.ReadFull(c, make([]byte, 10))
		c.CloseWrite()
	}
	for _, test := range []struct {
		name, text string
		serve      func(c *net.TCPConn)
	}{
		{"reset", "> x\n<reset\n", reset},
		{"reset is closed", "> x\n<closed\n", reset},
		{"eof", "> x\n<eof\n", closes},
		{"eof is closed", "> x\n<closed\n", closes},
		{"send into the end", "> \\{x*4000000}\n< 500 too long\n<closed\n> more\n>eof\n", early},
	} {
		for _, mode := range allModes {
			t.Run(test.name+"/"+mode, func(t *testing.T) {
				if err := against(t, test.text, mode, stuck, test.serve); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestFailedSend: a send that failed is an error when the file says nothing of
// the end of its connection.
func TestFailedSend(t *testing.T) {
	text := "> x\n< ok\n" + strings.Repeat("> y\nb> x\nb< ok\n", 3)
	err := against(t, text, "written", stuck, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == "y\r\n" {
				c.SetLinger(0)
				return
			}
			io.WriteString(c, "ok\r\n")
		}
	})
	if err == nil || !strings.HasPrefix(err.Error(), "f: at its end: <eof\n\t") {
		t.Errorf("got %v", err)
	}
}

// TestStuckSend: a peer that does not read ends the play in the send.
func TestStuckSend(t *testing.T) {
	release := make(chan struct{})
	err := against(t, "> \\{x*16000000}\n", "whole", 50*time.Millisecond, func(c *net.TCPConn) {
		c.SetReadBuffer(4096)
		<-release
	})
	close(release)
	if err == nil || !strings.HasPrefix(err.Error(), "f:1: > \\{x*16000000}\n\twrite tcp ") || !strings.HasSuffix(err.Error(), "i/o timeout") {
		t.Errorf("got %v", err)
	}
}

// writes is a connection that keeps its writes.
type writes struct {
	net.Conn
	got []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.got = append(w.got, string(p))
	return len(p), nil
}

// TestModes has the writes of each mode; on a pipe, which cannot half-close.
func TestModes(t *testing.T) {
	s, err := parse("f", ">> abcd\n# still the same write\n>> efg\nb>> x\n>> h\n")
	if err != nil {
		t.Fatal(err)
	}
	for mode, want := range map[string][]string{
		"written": {"abcd", "efg", "h"},
		"whole":   {"abcdefg", "h"},
		"1":       {"a", "b", "c", "d", "e", "f", "g", "h"},
		"3":       {"abc", "def", "g", "h"},
		"9":       {"abcdefg", "h"},
	} {
		var conns []*writes
		err := s.play(mode, stuck, func() net.Conn {
			p, _ := net.Pipe()
			w := &writes{Conn: p}
			conns = append(conns, w)
			return w
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([][]string{want, {"x"}}, [][]string{conns[0].got, conns[1].got}); d != "" {
			t.Errorf("%s: %s", mode, d)
		}
	}
	if string(s.steps[0].text) != "abcd" {
		t.Errorf("a play changed its script to %q", s.steps[0].text)
	}
}

func TestChunks(t *testing.T) {
	long := []byte(strings.Repeat("0123456789", 1000))
	for n := 1; n <= 9; n++ {
		for _, p := range [][]byte{nil, long[:1], long[:10], long[:1024], long[:1025], long} {
			got := chunks(p, fmt.Sprint(n))
			if string(slices.Concat(got...)) != string(p) {
				t.Errorf("%d bytes by %d: other bytes", len(p), n)
			}
			big := 0
			for _, c := range got {
				if len(c) == 0 {
					t.Errorf("%d bytes by %d: an empty chunk", len(p), n)
				}
				if len(c) > n {
					big++
				}
			}
			if big > 1 || big == 1 && len(p) <= 2*cutEnds {
				t.Errorf("%d bytes by %d: %d long chunks", len(p), n, big)
			}
		}
	}
}

// TestPipeHalfClose: what cannot half-close says so when a file asks for it.
func TestPipeHalfClose(t *testing.T) {
	s, err := parse("f", ">eof\n")
	if err != nil {
		t.Fatal(err)
	}
	err = s.play("whole", stuck, func() net.Conn { p, _ := net.Pipe(); return p })
	if want := "f:1: >eof\n\t*net.pipe has no CloseWrite"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestFresh: one server for all connections of a T, another for the next.
func TestFresh(t *testing.T) {
	var starts atomic.Int32
	dial := Fresh(func(t *testing.T) net.Addr { starts.Add(1); return start(t) })
	for range 2 {
		t.Run("", func(t *testing.T) {
			for range 2 {
				dial(t).Close()
			}
		})
	}
	if starts.Load() != 2 {
		t.Errorf("%d servers, want 2", starts.Load())
	}
}
