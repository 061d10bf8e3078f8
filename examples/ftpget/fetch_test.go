//go:build unix

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// server is an FTP server for one session. What it answers to a command stands in
// answers, else the usual answer is given; DATA in an answer is where data goes out
// and its connection ends.
type server struct {
	answers map[string]string
	data    string
	reset   bool // the data connection ends with a reset
	hold    bool // or does not end

	control, passive net.Listener
	commands         []string
}

func (s *server) serve(t *testing.T) {
	c, err := s.control.Accept()
	if err != nil {
		return
	}
	defer c.Close()
	answer := func(command, usual string) bool {
		text, ok := s.answers[command]
		if !ok {
			text = usual
		}
		before, after, data := strings.Cut(text, "DATA")
		io.WriteString(c, before)
		if data {
			d, err := s.passive.Accept()
			if err != nil {
				t.Error(err)
				return false
			}
			if s.reset {
				d.(*net.TCPConn).SetLinger(0)
			}
			io.WriteString(d, s.data)
			if s.hold {
				defer d.Close()
				io.Copy(io.Discard, c)
				return false
			}
			d.Close()
			io.WriteString(c, after)
		}
		return !strings.HasSuffix(text, "HANG UP")
	}
	if !answer("", "220 ready\r\n") {
		return
	}
	_, port, _ := net.SplitHostPort(s.passive.Addr().String())
	var n int
	fmt.Sscan(port, &n)
	usual := map[string]string{
		"USER": "331 password?\r\n",
		"PASS": "230-welcome\r\n230-\r\n 230 is the code\r\n230 in\r\n",
		"TYPE": "200 binary\r\n",
		"SIZE": fmt.Sprintf("213 %d\r\n", len(s.data)),
		"EPSV": fmt.Sprintf("229 here (|||%s|)\r\n", port),
		"PASV": fmt.Sprintf("227 here (192,0,2,1,%d,%d).\r\n", n>>8, n&255),
		"RETR": "150 comes\r\nDATA226 came\r\n",
		"LIST": "150 comes\r\nDATA226 came\r\n",
		"QUIT": "221 bye\r\n",
	}
	for in := bufio.NewScanner(c); in.Scan(); {
		s.commands = append(s.commands, in.Text())
		command, _, _ := strings.Cut(in.Text(), " ")
		if !answer(command, usual[command]) {
			return
		}
	}
}

const file = "dir/file"

// fetched runs a fetch of a path from s, and returns what has been written.
func fetched(t *testing.T, s *server, path string, timeout time.Duration) (string, error) {
	t.Helper()
	for _, ln := range []*net.Listener{&s.control, &s.passive} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		*ln = l
	}
	served := make(chan struct{})
	go func() { s.serve(t); close(served) }()
	name := filepath.Join(t.TempDir(), "out")
	err := run("ftp://me:secret@"+s.control.Addr().String()+"/"+path, name, timeout)
	s.control.Close()
	s.passive.Close()
	<-served
	if err != nil {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file that is not complete has its name: %v", err)
		}
		return "", err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), nil
}

func TestFetch(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 1<<16)
	for name, c := range map[string]struct {
		server server
		path   string
	}{
		"usual":             {server{data: "text\r\n"}, file},
		"empty":             {server{}, file},
		"long":              {server{data: long}, file},
		"list":              {server{data: "-rw-r--r-- file\r\n"}, "dir/"},
		"no EPSV":           {server{data: long, answers: map[string]string{"EPSV": "500 what?\r\n"}}, file},
		"no SIZE":           {server{data: long, answers: map[string]string{"SIZE": "502 no\r\n"}}, file},
		"no password":       {server{data: long, answers: map[string]string{"USER": "230 in\r\n"}}, file},
		"not ready at once": {server{data: long, answers: map[string]string{"": "120 soon\r\n220 now\r\n"}}, file},
		"data first":        {server{data: long, answers: map[string]string{"RETR": "DATA150 comes\r\n226 came\r\n"}}, file},
		"answer first":      {server{data: long, answers: map[string]string{"RETR": "150 comes\r\n226 came\r\nDATA"}}, file},
		"answer, no more":   {server{data: long, answers: map[string]string{"RETR": "150 comes\r\n226 came\r\nDATAHANG UP"}}, file},
		"no farewell":       {server{data: long, answers: map[string]string{"QUIT": "HANG UP"}}, file},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := fetched(t, &c.server, c.path, time.Minute)
			if err != nil || got != c.server.data {
				t.Errorf("%d bytes of %d, %v; %q", len(got), len(c.server.data), err, c.server.commands)
			}
		})
	}
}

func TestFetchFails(t *testing.T) {
	for name, c := range map[string]struct {
		server server
		want   string
	}{
		"not there":      {server{answers: map[string]string{"RETR": "550 no such file\r\n"}}, `RETR: "550 no such file"`},
		"not let in":     {server{answers: map[string]string{"PASS": "530-no\r\n530 entry\r\n"}}, `PASS: "530 no\nentry"`},
		"too many users": {server{answers: map[string]string{"": "421 too many\r\n"}}, `connect: "421 too many"`},
		"gives up":       {server{data: "some", answers: map[string]string{"RETR": "150 comes\r\nDATA426 no\r\n"}}, `RETR: "426 no"`},
		"short": {server{data: "some", answers: map[string]string{"SIZE": "213 5\r\n"}},
			"4 bytes of 5 have come: unexpected EOF"},
		"long":           {server{data: "some", hold: true, answers: map[string]string{"SIZE": "213 3\r\n"}}, "more than 3 bytes have come"},
		"reset":          {server{data: "some", reset: true}, "data: "},
		"hangs up":       {server{answers: map[string]string{"TYPE": "HANG UP"}}, "unexpected EOF"},
		"another server": {server{answers: map[string]string{"": "SSH-2.0-OpenSSH\r\n"}}, "the server does not speak FTP"},
		"endless reply":  {server{answers: map[string]string{"": "220-\r\n" + strings.Repeat("x\r\n", 1000)}}, "the server does not speak FTP"},
		"never ready":    {server{answers: map[string]string{"": strings.Repeat("120 soon\r\n", 1000) + "HANG UP"}}, "the server does not speak FTP"},
		"never begins":   {server{answers: map[string]string{"RETR": strings.Repeat("150 soon\r\n", 1000) + "HANG UP"}}, "the server does not speak FTP"},
		"endless line":   {server{answers: map[string]string{"": strings.Repeat("2", 10_000)}}, "frame"},
		"no port":        {server{answers: map[string]string{"EPSV": "229 here (||||)\r\n"}}, `no port in "here (||||)"`},
		"bad port":       {server{answers: map[string]string{"EPSV": "500 \r\n", "PASV": "227 1,2,3,4,5,256\r\n"}}, `no port in "1,2,3,4,5,256"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fetched(t, &c.server, file, time.Minute)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s; %q", err, c.want, c.server.commands)
			}
		})
	}
}

// A server that says nothing more is given up: whichever connection it is.
func TestFetchSilence(t *testing.T) {
	for name, answers := range map[string]map[string]string{
		"greeting": {"": ""},
		"command":  {"TYPE": ""},
		"data":     {"RETR": "150 comes\r\n"},
		"verdict":  {"RETR": "150 comes\r\nDATA"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := fetched(t, &server{answers: answers, data: "some"}, file, 50*time.Millisecond)
			if !errors.Is(err, channel.ErrIdle) {
				t.Errorf("%v, want %v", err, channel.ErrIdle)
			}
		})
	}
}

// Who takes what has come as slowly as he likes is not the server's silence.
func TestFetchSlowSink(t *testing.T) {
	l, err := loop.New(loop.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("x", 100<<10) // more than a pipe takes
	peer := os.NewFile(uintptr(sockets[1]), "peer")
	unix.SetsockoptInt(sockets[1], unix.SOL_SOCKET, unix.SO_SNDBUF, 2*len(want))
	io.WriteString(peer, want)
	peer.Close()
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	defer pw.Close()
	f := &fetcher{loop: l, out: &sink{f: pw}, timeout: 5 * time.Millisecond, size: -1}
	var closed error
	f.data, err = channel.AdoptFD(l, sockets[0], &channel.Handler{
		Read:  f.store,
		Close: func(_ *channel.Conn, err error) { closed = err },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.data.SetIdleTimeout(f.timeout)
	l.After(100*time.Millisecond, func() { go io.Copy(io.Discard, pr) })
	if err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if closed != nil || f.got != int64(len(want)) {
		t.Errorf("%d bytes of %d, %v", f.got, len(want), closed)
	}
}

func TestParse(t *testing.T) {
	for rawURL, want := range map[string]target{
		"ftp://h/":                            {"h:21", "anonymous", "ftpget@", ""},
		"ftp://h/a%20b":                       {"h:21", "anonymous", "ftpget@", "a b"},
		"ftp://u:p%40@[::1]:2121/%2Fetc/motd": {"[::1]:2121", "u", "p@", "/etc/motd"},
		"ftp://h/a%0d%0aDELE%20b":             {},
		"ftp://u%0a@h/":                       {},
		"http://h/":                           {},
		"ftp:///a":                            {},
		"file":                                {},
	} {
		if got, err := parse(rawURL); got != want || (err == nil) != (want != target{}) {
			t.Errorf("%s: %+v, %v; want %+v", rawURL, got, err, want)
		}
	}
}

// What the servers of others say.
func TestPorts(t *testing.T) {
	for text, want := range map[string]uint16{
		"Entering Extended Passive Mode (|||6446|)":  6446,
		"Entering Extended Passive Mode (|||6446|).": 6446,
		"(!!!1!)":        1,
		"(|||65536|)":    0,
		"(|||0|)":        0,
		"(|1|::1|6446|)": 0,
		"(|||6446)":      0,
		"":               0,
		"(":              0,
	} {
		if got, err := extendedPort(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("EPSV %q: %d, %v; want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]uint16{
		"Entering Passive Mode (127,0,0,1,25,46).": 25<<8 | 46,
		"=127,0,0,1,0,1":             1,
		"127,0,0,1,0,0":              0,
		"127,0,0,1,25":               0,
		"127,0,0,1,25,46,1":          0,
		"127,0,0,1,,46":              0,
		"no digits":                  0,
		"(127,0,0,1,25,99999999999)": 0,
	} {
		if got, err := passivePort(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("PASV %q: %d, %v; want %d", text, got, err, want)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add("220 a\n")
	f.Add("220-a\n221 b\n220 c\n331\n")
	f.Fuzz(func(t *testing.T, text string) {
		var rs replies
		for line := range strings.Lines(text) {
			r, done, err := rs.line([]byte(line))
			if err != nil {
				return
			}
			if done && (r.kind() < 1 || r.kind() > 5 || rs.lines != nil) {
				t.Fatalf("%q: %v", text, r)
			}
			extendedPort(r.text)
			passivePort(r.text)
		}
	})
}
