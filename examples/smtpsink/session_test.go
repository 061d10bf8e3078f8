//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
	"github.com/seed-20e08ac4/asyncore/internal/transcript"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func TestTranscripts(t *testing.T) {
	transcript.Run(t, "testdata/*.txt", transcript.Fresh(func(t *testing.T) net.Addr {
		k, _ := memorySink()
		k.maxSize = 5000
		k.maxRcpts = 3
		_, addr := exampletest.Serve(t, loop.Config{}, "tcp", chat.Accept(k.accept))
		return addr
	}))
}

// untilEnd turns the loop until the server has closed.
func (w *wire) untilEnd() {
	w.r.t.Helper()
	for range 10000 {
		if w.end {
			return
		}
		w.r.l.Poll(10 * time.Millisecond)
		w.read()
	}
	w.r.t.Fatal("the server does not close")
}

// Clients that are too slow, by the line or by the message, and one that has to
// wait since it makes many mistakes.
func TestTimes(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(k *sink)
		send func(w *wire)
		want string
	}{
		{"line", func(k *sink) { k.lineTime = time.Millisecond }, func(w *wire) { w.write("half a li") }, "220 421 -"},
		{"line of text", func(k *sink) { k.lineTime = 10 * time.Millisecond }, func(w *wire) { w.inText(); w.write("half a li") }, "421 -"},
		{"message", func(k *sink) { k.messageTime = time.Millisecond }, func(w *wire) { w.inText(); w.write("a line\r\n") }, "421 -"},
		{"tarpit", func(k *sink) { k.tarpit = time.Millisecond }, func(w *wire) { w.write(strings.Repeat("WHAT\r\n", 15) + "QUIT\r\n") },
			"220" + strings.Repeat(" 500", 15) + " 221 -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			c.set(r.k)
			w := r.dial()
			w.settle()
			c.send(w)
			w.untilEnd()
			if got := w.answers(); got != c.want {
				t.Errorf("answers %s, want %s", got, c.want)
			}
			w.hangUp()
			if got := r.m.take(t); len(got) > 0 {
				t.Errorf("delivered %q", got)
			}
		})
	}
}

// What is sent before the answer that it depends on ends the session.
func TestTooEarly(t *testing.T) {
	const hello, envelope = "EHLO x\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
	for _, c := range []struct {
		name  string
		sends []string // "" waits for the banner
		want  string
	}{
		{"before the banner", []string{hello, ""}, "554 -"},
		{"half a line before the banner", []string{"E", ""}, "554 -"},
		{"a long line before the banner", []string{strings.Repeat("x", 1000), ""}, "554 -"},
		{"behind EHLO", []string{"", hello + "NOOP\r\n"}, "220 554 -"},
		{"half a line behind HELO", []string{"", "HELO x\r\nM"}, "220 554 -"},
		{"behind DATA", []string{"", hello, envelope + "DATA\r\ntext\r\n.\r\n"}, "220 250 250 250 554 -"},
		{"half a line behind DATA", []string{"", hello, envelope + "DATA\r\nte"}, "220 250 250 250 554 -"},
		{"behind DATA without recipients", []string{"", hello, "DATA\r\n" + envelope}, "220 250 554 -"},
		{"not before the banner", []string{"", hello}, "220 250"},
		{"nothing early", []string{"", hello, envelope + "RSET\r\nNOOP\r\n" + envelope + "DATA\r\n",
			"text\r\n.\r\n" + envelope + "DATA\r\n", ".\r\nQUIT\r\n"}, "220 250 250 250 250 250 250 250 354 250 250 250 354 250 221 -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			w := r.dial()
			for _, p := range c.sends {
				if p == "" {
					w.settle()
				} else {
					w.write(p)
				}
			}
			if got := w.answers(); got != c.want {
				t.Errorf("answers %s, want %s", got, c.want)
			}
			w.hangUp()
			r.m.take(t)
		})
	}
}

// It is also noticed while the disk takes its time, and where it then fails: a
// message must not be read as commands.
func TestTooEarlyOnASlowDisk(t *testing.T) {
	for _, fails := range []bool{false, true} {
		r := newRig(t)
		release := make(chan bool)
		r.m.gate = func(op string) {
			if op == "create" {
				<-release
			}
		}
		if fails {
			r.m.fail["create"] = syscall.EIO
		}
		w := r.dial()
		w.settle()
		w.write("EHLO x\r\n")
		syscall.Write(w.fd, []byte("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"))
		for !r.working() {
			r.l.Poll(0)
		}
		syscall.Write(w.fd, []byte("RSET\r\n.\r\n"))
		close(release)
		w.settle()
		if got := w.answers(); got != "220 250 250 250 554 -" {
			t.Errorf("answers %s", got)
		}
		w.hangUp()
		r.m.take(t)
	}
}

func TestLimits(t *testing.T) {
	repeat := func(n int, line, code, last string) (string, string) {
		return strings.Repeat(line, n), strings.Repeat(code+" ", n-1) + last
	}
	mistakes, mistakesWant := repeat(hardMistakes, "WHAT\r\n", "500", "421 -")
	chores, choresWant := repeat(maxChores, "NOOP\r\n", "250", "421 -") // EHLO was one
	longs, longsWant := repeat(hardMistakes, strings.Repeat("x", 3000)+"\r\n", "500", "421 -")
	for _, c := range []struct {
		name, send, want string
	}{
		{"mistakes", mistakes, mistakesWant},
		{"long lines", longs, longsWant},
		{"chores", chores, choresWant},
		{"recipients", "MAIL FROM:<a@b>\r\n" + strings.Repeat("RCPT TO:<a@b>\r\n", 12), "250" + strings.Repeat(" 250", 10) + " 452 452"},
		{"announced size", "MAIL FROM:<a@b> SIZE=100001\r\nMAIL FROM:<a@b> SIZE=100000\r\n", "552 250"},
		{"web browser", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "521 -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.k.maxRcpts = 10
			r.k.maxSize = 100000
			w := r.dial()
			w.settle()
			w.write("EHLO x\r\n")
			w.answers()
			w.write(c.send)
			if got := w.answers(); got != c.want {
				t.Errorf("answers %s, want %s", got, c.want)
			}
			w.hangUp()
			r.m.take(t)
		})
	}
}

// Commands that lead nowhere count from one message to the next.
func TestChoresBetweenMessages(t *testing.T) {
	r := newRig(t)
	w := r.dial()
	w.inText()
	for range 3 {
		w.write(".\r\n" + strings.Repeat("NOOP\r\n", maxChores) + "MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n")
		if got, want := w.answers(), "250"+strings.Repeat(" 250", maxChores)+" 250 250 354"; got != want {
			t.Fatalf("answers %s, want %s", got, want)
		}
	}
	w.hangUp()
	if got := r.m.take(t); len(got) != 3 {
		t.Errorf("%d delivered", len(got))
	}
}

// A message that breaks a limit is refused at its end, and the next one is taken.
func TestTextLimits(t *testing.T) {
	const maxSize = 200_000
	line := strings.Repeat("x", 998) + "\r\n"
	for _, c := range []struct{ name, text, want string }{
		{"line of 2048", strings.Repeat("x", 2048) + "\r\n", "250"},
		{"line of 2049", strings.Repeat("x", 2049) + "\r\n", "500"},
		{"line of 2048 with its dot", strings.Repeat(".", 2048) + "\r\n", "250"},
		{"line of 2049 with its dot", strings.Repeat(".", 2049) + "\r\n", "500"},
		{"endless line", strings.Repeat("x", 300_000) + "\r\n", "500"},
		{"dot behind a long line", strings.Repeat("x", 2048) + ".\r\n", "500"},
		{"size", strings.Repeat(line, maxSize/1000), "250"},
		{"size and one more", strings.Repeat(line, maxSize/1000-1) + "x" + line, "552"},
		{"size with dots", "..\r\n" + strings.Repeat(line, maxSize/1000-1) + strings.Repeat("x", 995) + "\r\n", "250"},
		{"size by empty lines", strings.Repeat("\r\n", maxSize/2+1), "552"},
		{"far too large", strings.Repeat(line, 3*maxSize/1000), "552"},
		{"NUL", "a\r\n\x00\r\nb\r\n", "550"},
		{"8-bit", "\xff\x80\xc3\xa9\r\n", "250"},
		{"empty", "", "250"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.k.maxSize = maxSize
			w := r.dial()
			w.inText()
			w.write(c.text + ".\r\n")
			if got := w.answers(); got != c.want {
				t.Fatalf("answers %s, want %s", got, c.want)
			}
			want := []string{"next\n"}
			if c.want == "250" {
				want = append(want, strings.ReplaceAll(strings.ReplaceAll("\r\n"+c.text, "\r\n.", "\r\n"), "\r\n", "\n")[1:])
			}
			w.write("MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nDATA\r\n")
			w.write("next\r\n.\r\n")
			if got := w.answers(); got != "250 250 354 250" {
				t.Errorf("the next message: %s", got)
			}
			w.hangUp()
			got := r.m.take(t)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("delivered %.200q, want %.200q", got, want)
			}
		})
	}
}

// A message is written as it comes: what a session holds of it has a bound.
func TestSpoolIsBounded(t *testing.T) {
	r := newRig(t)
	w := r.dial()
	w.inText()
	most := 0
	for range 5000 {
		w.write(strings.Repeat("x", 1000) + "\r\n")
		for s := range r.k.sessions {
			most = max(most, cap(s.msg.buf))
		}
	}
	w.write(".\r\n")
	if got := w.answers(); got != "250" {
		t.Fatalf("answers %s", got)
	}
	if most > 2*spoolSize {
		t.Errorf("%d bytes held of a message", most)
	}
	if got := r.m.take(t); len(got) != 1 || len(got[0]) != 5000*1001 {
		t.Errorf("%d delivered", len(got))
	}
	w.hangUp()
}

var operations = []string{"create", "write", "sync", "close", "rename", "syncdir"}

// Whatever fails of the disk's, the client is told, nothing is left behind, and the
// next message is delivered.
func TestDiskFails(t *testing.T) {
	for _, op := range operations {
		for errno, code := range map[error]string{syscall.ENOSPC: "452", syscall.EDQUOT: "452", syscall.EIO: "451", syscall.EROFS: "451"} {
			t.Run(op+"/"+errno.Error(), func(t *testing.T) {
				r := newRig(t)
				r.m.fail[op] = &os.PathError{Op: op, Path: "x", Err: errno}
				w := r.dial()
				w.settle()
				w.write("EHLO x\r\n")
				w.write("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
				want := "220 250 250 250 " + code
				if op != "create" {
					w.write(strings.Repeat("text\r\n", 30000) + ".\r\n")
					want = "220 250 250 250 354 " + code
				}
				if got := w.answers(); got != want {
					t.Errorf("answers %s, want %s", got, want)
				}
				if got := r.m.take(t); len(got) > 0 {
					t.Errorf("delivered %.100q", got)
				}
				delete(r.m.fail, op)
				w.write("MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
				w.write("text\r\n.\r\n")
				if got := w.answers(); got != "250 250 354 250" {
					t.Errorf("the next message: %s", got)
				}
				w.hangUp()
				if got := r.m.take(t); len(got) != 1 {
					t.Errorf("delivered %.100q", got)
				}
			})
		}
	}
}

// fullDisk is one on which the kernel finds no room.
type fullDisk struct{ disk }

func (fullDisk) Create(string) (file, error) { return os.OpenFile("/dev/full", os.O_WRONLY, 0) }

func TestDiskIsFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip(err)
	}
	r := newRig(t)
	r.k.mail.fs = fullDisk{}
	w := r.dial()
	w.inText()
	w.write("text\r\n.\r\n")
	if got := w.answers(); got != "452" {
		t.Errorf("answers %s", got)
	}
	w.hangUp()
}

// The client goes, or the loop closes, while the disk is at work: nothing is left
// behind, except a message of which everything had come.
func TestVanishes(t *testing.T) {
	for _, op := range append(operations, "") {
		for _, how := range []string{"reset", "loop"} {
			t.Run(op+"/"+how, func(t *testing.T) {
				r := newRig(t)
				release := make(chan bool)
				reached := false
				var mu sync.Mutex
				r.m.gate = func(at string) {
					if at == op {
						mu.Lock()
						reached = true
						mu.Unlock()
						<-release
					}
				}
				w := r.dial()
				defer syscall.Close(w.fd)
				w.settle()
				w.write("EHLO x\r\n")
				send := "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
				if op != "create" {
					w.write(send)
					send = strings.Repeat("text\r\n", 5000)
					if op != "write" && op != "" {
						send += ".\r\n"
					}
				}
				if op == "write" {
					send = strings.Repeat(send, 3)
				}
				syscall.Write(w.fd, []byte(send))
				for range 100000 { // until it is where it should vanish
					r.l.Poll(0)
					mu.Lock()
					there := reached
					mu.Unlock()
					if there || op == "" && len(r.k.sessions) > 0 && r.inText() {
						break
					}
				}
				if op == "" {
					w.settle()
				}
				if how == "loop" {
					r.l.Close()
				} else {
					for s := range r.k.sessions {
						s.c.Abort()
					}
					r.l.Poll(0)
				}
				if len(r.k.sessions) > 0 {
					t.Error("the session has not ended")
				}
				close(release)
				got := r.m.take(t)
				if complete := op != "create" && op != "write" && op != ""; complete && how == "reset" && len(got) > 1 || !complete && len(got) > 0 {
					t.Errorf("%d delivered", len(got))
				}
			})
		}
	}
}

func (r *rig) inText() bool {
	for s := range r.k.sessions {
		return s.inText
	}
	return false
}

// A disk that hangs for one client does not for the others, as far as they do not
// need it.
func TestSlowDisk(t *testing.T) {
	k, m := memorySink()
	release := make(chan bool)
	var slowed atomic.Bool
	started := make(chan bool)
	m.gate = func(op string) {
		if op == "sync" {
			if slowed.CompareAndSwap(false, true) {
				close(started)
				<-release
			}
		}
	}
	_, addr := exampletest.Serve(t, loop.Config{}, "tcp", chat.Accept(k.accept))
	slow, err := smtp.Dial(addr.String())
	if err != nil {
		t.Fatal(err)
	}
	slowDone := make(chan error, 1)
	go func() {
		defer slow.Close()
		slow.Mail("a@b.example")
		slow.Rcpt("c@d.example")
		w, err := slow.Data()
		if err == nil {
			io.WriteString(w, "slow")
			err = w.Close()
		}
		slowDone <- err
	}()
	<-started
	for i := range 20 {
		if err := smtp.SendMail(addr.String(), nil, "a@b.example", []string{"c@d.example"}, fmt.Appendf(nil, "fast %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	close(release)
	if err := <-slowDone; err != nil {
		t.Error(err)
	}
	if got := m.take(t); len(got) != 21 {
		t.Errorf("%d delivered", len(got))
	}
}

// Many send at once, through every backend, into a real Maildir.
func TestSendMail(t *testing.T) {
	for _, poller := range asyncore.Backends() {
		t.Run(poller, func(t *testing.T) {
			const senders, each = 100, 3
			k, _ := memorySink()
			dir := t.TempDir()
			mail, err := openMaildir(dir)
			if err != nil {
				t.Fatal(err)
			}
			k.mail = mail
			_, addr := exampletest.Serve(t, loop.Config{Poller: poller}, "tcp", chat.Accept(k.accept))
			body := func(i int) string {
				return fmt.Sprintf("Subject: %d\n\n.\n..\n.x\n\n%s", i, strings.Repeat(fmt.Sprintf("%d line\n", i), i*20))
			}
			var wg sync.WaitGroup
			for n := range senders {
				wg.Go(func() {
					for i := range each {
						msg := strings.ReplaceAll(body(n*each+i), "\n", "\r\n")
						if err := smtp.SendMail(addr.String(), nil, "a@b.example", []string{"c@d.example", "e@f.example"}, []byte(msg)); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			files, _ := filepath.Glob(filepath.Join(dir, "new", "*"))
			seen := map[int]bool{}
			for _, name := range files {
				text, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				var i int
				got := untraced(string(text))
				fmt.Sscanf(got, "Subject: %d", &i)
				if seen[i] || got != body(i) {
					t.Fatalf("message %d has come twice, or differs: %.200q", i, got)
				}
				seen[i] = true
			}
			if len(seen) != senders*each {
				t.Errorf("%d of %d messages have come", len(seen), senders*each)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) > 0 {
				t.Errorf("left in tmp: %q", left)
			}
		})
	}
}

// Clients that go in the middle of a message leave no file and no descriptor.
func TestVanishingClients(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/dev/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	k, _ := memorySink()
	dir := t.TempDir()
	mail, err := openMaildir(dir)
	if err != nil {
		t.Fatal(err)
	}
	k.mail = mail
	l, addr := exampletest.Serve(t, loop.Config{}, "tcp", chat.Accept(k.accept))
	before := descriptors()
	for i := range 50 {
		c, err := smtp.Dial(addr.String())
		if err != nil {
			t.Fatal(err)
		}
		c.Mail("a@b.example")
		c.Rcpt("c@d.example")
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		w.Write(bytes.Repeat([]byte("text\r\n"), i*2000)) // perhaps cut off by the close
		c.Close()
	}
	empty := false
	for range 2000 {
		done := make(chan int)
		l.Post(func() { done <- len(k.sessions) })
		left, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
		if empty = <-done == 0 && len(left) == 0 && descriptors() <= before; empty {
			break
		}
	}
	if !empty {
		left, _ := filepath.Glob(filepath.Join(dir, "*", "*"))
		t.Errorf("left: %d sessions, %d descriptors more, files %q", len(k.sessions), descriptors()-before, left)
	}
}

func TestMaildirGoesAway(t *testing.T) {
	r := newRig(t)
	dir := filepath.Join(t.TempDir(), "mail")
	mail, err := openMaildir(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.k.mail = mail
	w := r.dial()
	w.inText()
	os.RemoveAll(dir)
	w.write("text\r\n.\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
	if got := w.answers(); got != "451 250 250 451" {
		t.Errorf("answers %s", got)
	}
	w.hangUp()
}

func TestOpenMaildir(t *testing.T) {
	if _, err := openMaildir(""); err == nil {
		t.Error("no -dir is no error")
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openMaildir(file); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("on a file: %v", err)
	}
	d, err := openMaildir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d.host = "a/b"
	names := map[string]bool{}
	for range 1000 {
		names[d.add().name] = true
	}
	if len(names) != 1000 {
		t.Errorf("%d names of 1000 differ", len(names))
	}
}

// A server that ends says so: at once to who waits, and to others behind their
// message.
func TestGoodbye(t *testing.T) {
	r := newRig(t)
	idle, busy := r.dial(), r.dial()
	idle.inText()
	idle.write(".\r\n")
	idle.answers()
	busy.inText()
	busy.write("text\r\n")
	r.k.goodbye()
	r.l.Drain(1e9)
	idle.settle()
	busy.read()
	if got := idle.answers(); got != "421 -" {
		t.Errorf("idle: %s", got)
	}
	busy.write("more\r\n.\r\n")
	if got := busy.answers(); got != "250 421 -" {
		t.Errorf("busy: %s", got)
	}
	idle.hangUp()
	busy.hangUp()
	if got := r.m.take(t); len(got) != 2 {
		t.Errorf("delivered %q", got)
	}
}

func TestPerAddress(t *testing.T) {
	k, _ := memorySink()
	k.guests.Most = 2
	_, addr := exampletest.Serve(t, loop.Config{}, "tcp", chat.Accept(k.accept))
	for i := range 5 {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		want := "220"
		if i >= 2 {
			want = "421"
		}
		got := make([]byte, 3)
		if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
			t.Errorf("connection %d: %q, %v", i, got, err)
		}
	}
}

func TestTrace(t *testing.T) {
	r := newRig(t)
	w := r.dial()
	w.inText()
	w.write(".\r\n")
	w.hangUp()
	for _, text := range r.m.files {
		want := "Return-Path: <a@example.com>\nX-Envelope-To: <b@example.com>\nReceived: from test ([local])\n\tby sink.test with ESMTP id "
		if !strings.HasPrefix(text, want) {
			t.Errorf("%q", text)
		}
	}
	if len(r.m.files) != 1 {
		t.Errorf("%d files", len(r.m.files))
	}
}
