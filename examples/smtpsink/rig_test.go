//go:build unix

package main

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// memory is a filesystem that fails and blocks on demand.
type memory struct {
	mu    sync.Mutex
	files map[string]string
	open  int
	twice []string // what must happen once and happened again

	fail map[string]error // by operation
	gate func(op string)  // called in front of each operation, and may block
}

func newMemory() *memory { return &memory{files: map[string]string{}, fail: map[string]error{}} }

// do begins an operation, with mu held until it has ended.
func (m *memory) do(op string, work func() error) error {
	if m.gate != nil {
		m.gate(op)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail[op]; err != nil {
		if op == "close" {
			m.open-- // the descriptor is gone all the same
		}
		return err
	}
	return work()
}

func (m *memory) Create(name string) (f file, err error) {
	err = m.do("create", func() error {
		if _, ok := m.files[name]; ok {
			return fs.ErrExist
		}
		m.files[name] = ""
		m.open++
		f = &memoryFile{m: m, name: name}
		return nil
	})
	return f, err
}

func (m *memory) Rename(from, to string) error {
	return m.do("rename", func() error {
		if _, ok := m.files[from]; !ok {
			return fs.ErrNotExist
		}
		m.files[to] = m.files[from]
		delete(m.files, from)
		return nil
	})
}

func (m *memory) Remove(name string) error {
	return m.do("remove", func() error {
		if _, ok := m.files[name]; !ok {
			m.twice = append(m.twice, "remove "+name)
		}
		delete(m.files, name)
		return nil
	})
}

func (m *memory) SyncDir(string) error { return m.do("syncdir", func() error { return nil }) }

type memoryFile struct {
	m      *memory
	name   string
	closed bool
}

func (f *memoryFile) Write(p []byte) (n int, err error) {
	err = f.m.do("write", func() error {
		f.m.files[f.name] += string(p)
		return nil
	})
	return len(p), err
}

func (f *memoryFile) Sync() error { return f.m.do("sync", func() error { return nil }) }

func (f *memoryFile) Close() error {
	return f.m.do("close", func() error {
		if f.closed {
			f.m.twice = append(f.m.twice, "close "+f.name)
		}
		f.closed = true
		f.m.open--
		return nil
	})
}

// state returns the delivered messages, without what the server put in front, and
// how much is left over of others.
func (m *memory) state() (delivered []string, left int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	left = m.open + len(m.twice)
	for name, text := range m.files {
		if filepath.Base(filepath.Dir(name)) == "new" {
			delivered = append(delivered, untraced(text))
		} else {
			left++
		}
	}
	return delivered, left
}

// take waits until nothing is left over, since files are removed away from the
// loop, and takes the delivered messages away.
func (m *memory) take(t testing.TB) (delivered []string) {
	t.Helper()
	var left int
	for i := range 1300 {
		if delivered, left = m.state(); left == 0 {
			break
		}
		if runtime.Gosched(); i > 1000 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if left > 0 {
		t.Fatalf("left over: %d open, %.300q, twice: %q", m.open, m.files, m.twice)
	}
	clear(m.files)
	return delivered
}

var trace = regexp.MustCompile(`\AReturn-Path: <.*>\n(?:X-Envelope-To: <.*>\n)+Received: from \S+ \(\S+\)\n\tby \S+ with E?SMTP id \w+;\n\t.+\n`)

func untraced(text string) string {
	at := trace.FindStringIndex(text)
	if at == nil {
		return "NO TRACE: " + text
	}
	return text[at[1]:]
}

// memorySink is a sink on a memory.
func memorySink() (*sink, *memory) {
	m := newMemory()
	k := newSink()
	k.hostname = "sink.test"
	k.tarpit = 0
	k.guests.Most = 10000
	k.mail = &maildir{path: "/mail", fs: m, host: "sink.test"}
	return k, m
}

// A rig is a loop that the test turns by hand, so that what is written at once is
// read at once, and what is not is not.
type rig struct {
	t    testing.TB
	l    *loop.Loop
	k    *sink
	m    *memory
	path string
}

func newRig(t testing.TB) *rig {
	t.Helper()
	l, err := loop.New(loop.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	k, m := memorySink()
	path := filepath.Join(t.TempDir(), "s")
	if _, err := channel.Listen(l, "unix", path, chat.Accept(k.accept)); err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, l: l, k: k, m: m, path: path}
}

// A wire is the client's end of a connection.
type wire struct {
	r   *rig
	fd  int
	in  []byte // answers
	end bool   // the server has closed
}

func (r *rig) dial() *wire {
	r.t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	unix.SetNonblock(fd, true)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: r.path}); err != nil {
		r.t.Fatal(err)
	}
	return &wire{r: r, fd: fd}
}

// write has p read at once, if it fits into a socket, and all done that follows
// from it.
func (w *wire) write(p string) {
	for p != "" && !w.end {
		n, err := unix.Write(w.fd, []byte(p))
		if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
			break
		}
		if n > 0 {
			p = p[n:]
		}
		w.settle()
	}
}

// settle turns the loop until nothing is left to do without us.
func (w *wire) settle() {
	w.r.t.Helper()
	quiet := 0
	for range 1_000_000 {
		before := w.r.l.Stats().Events
		wait := time.Duration(0)
		if w.r.working() {
			wait = time.Millisecond
		}
		if err := w.r.l.Poll(wait); err != nil {
			w.r.t.Fatal(err)
		}
		w.read()
		at, ok := w.r.l.NextDeadline()
		if w.r.working() || w.r.l.Stats().Events != before || ok && at <= w.r.l.Now() {
			quiet = 0
		} else if quiet++; quiet == 2 { // in the first one interest may have changed
			return
		}
	}
	w.r.t.Fatal("the loop spins")
}

func (r *rig) working() bool {
	for s := range r.k.sessions {
		if s.working {
			return true
		}
	}
	return false
}

func (w *wire) read() {
	buf := make([]byte, 4096)
	for !w.end {
		n, err := unix.Read(w.fd, buf)
		if errors.Is(err, syscall.EAGAIN) {
			return
		}
		w.in = append(w.in, buf[:max(n, 0)]...)
		w.end = n <= 0
	}
}

// answers returns the answers that have come since the last time: of each its
// code, with a - where the server has closed.
func (w *wire) answers() string {
	var codes []string
	for line := range bytes.Lines(w.in) {
		if !bytes.HasSuffix(line, []byte("\r\n")) || len(line) < 6 {
			w.r.t.Errorf("bad answer: %q", line)
		} else if line[3] == ' ' {
			codes = append(codes, string(line[:3]))
		}
	}
	if w.end {
		codes = append(codes, "-")
	}
	w.in = nil
	return strings.Join(codes, " ")
}

// hangUp ends the client's side, and the session with it.
func (w *wire) hangUp() {
	unix.Close(w.fd)
	w.end = true
	w.settle()
}

// inText brings a session to where it wants a message.
func (w *wire) inText() {
	w.r.t.Helper()
	w.settle()
	w.write("EHLO test\r\n")
	w.write("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n")
	if got := w.answers(); got != "220 250 250 250 354" {
		w.r.t.Fatalf("answers: %s", got)
	}
}
