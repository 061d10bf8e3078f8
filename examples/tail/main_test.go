//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func TestMain(m *testing.M) { exampletest.Main(m, "../tail") }

// patience is how long what has to happen may take.
const patience = 20 * time.Second

// running is a tail on a loop in a goroutine of its own. What it prints is read
// from out.
type running struct {
	*tail
	testing.TB
	l    *loop.Loop
	path string
	out  *os.File
	ran  chan error
}

func start(t testing.TB, poller string, every time.Duration, text string, filter ...string) *running {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	if text != "" {
		write(t, path, text)
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, poller, every, path, pr, pw, filter)
}

// startOn starts one that prints to pw, whose other end is pr.
func startOn(t testing.TB, poller string, every time.Duration, path string, pr, pw *os.File, filter []string) *running {
	t.Helper()
	t.Cleanup(func() { pr.Close() })
	pr.SetReadDeadline(time.Now().Add(patience))
	var err error
	r := &running{
		tail: &tail{lines: 10, every: every, filter: filter, stdout: pw, file: file{path: path}},
		TB:   t, path: path, out: pr, ran: make(chan error, 1),
	}
	if r.l, err = loop.New(loop.Config{Poller: poller}); err != nil {
		t.Fatal(err)
	}
	if err := r.start(r.l); err != nil {
		t.Fatal(err)
	}
	pw.Close()
	go func() { r.ran <- r.l.Run(context.Background()) }()
	t.Cleanup(func() {
		r.l.Stop()
		if r.ran != nil {
			<-r.ran
		}
		r.file.close()
		r.l.Close()
	})
	return r
}

// do runs f on the loop.
func (r *running) do(f func()) {
	r.Helper()
	done := make(chan bool)
	if err := r.l.Post(func() { defer close(done); f() }); err != nil {
		r.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(patience):
		r.Fatal("the loop does not run what was posted")
	}
}

// ends waits for the end, and returns why.
func (r *running) ends() error {
	r.Helper()
	select {
	case err := <-r.ran:
		r.ran = nil
		if err != nil {
			r.Fatal(err)
		}
	case <-time.After(patience):
		r.Fatal("it does not end")
	}
	return r.tail.err
}

func (r *running) wants(text string) {
	r.Helper()
	got := make([]byte, len(text))
	if n, err := io.ReadFull(r.out, got); err != nil || string(got) != text {
		r.Fatalf("it printed %q, %v, want %q", got[:n], err, text)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// follows is what tail -F does, told by inotify or by the timer.
func follows(t *testing.T, r *running, out func(string) string) {
	step := func(change func() error, text string) {
		t.Helper()
		if err := change(); err != nil {
			t.Fatal(err)
		}
		r.wants(out(text))
	}
	add := func(text string) func() error {
		return func() error { write(t, r.path, text); return nil }
	}
	r.wants(out("1\n2\n"))
	step(add("3\n"), "3\n")
	step(add("4\n5\n"), "4\n5\n")
	// Replaced, in either order, with something written to the old one yet.
	step(func() error {
		f, err := os.OpenFile(r.path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := os.Rename(r.path, r.path+".1"); err != nil {
			return err
		}
		_, err = f.WriteString("late\n")
		return err
	}, "late\n")
	step(add("new\n"), "new\n")
	step(add("more\n"), "more\n")
	step(func() error {
		write(t, r.path+".tmp", "over it\n")
		return os.Rename(r.path+".tmp", r.path)
	}, "over it\n")
	// Truncated.
	step(func() error { return os.WriteFile(r.path, []byte("short\n"), 0o600) }, "short\n")
	step(add("again\n"), "again\n")
	// Gone, and back.
	step(func() error { os.Remove(r.path); return add("back\n")() }, "back\n")
	step(add("end\n"), "end\n")
}

func plain(text string) string { return text }

func TestFollows(t *testing.T) {
	for name, filter := range map[string][]string{"plain": nil, "filter": {"sed", "-u", "s/^/> /"}} {
		t.Run(name, func(t *testing.T) {
			out := plain
			if filter != nil {
				if exec.Command("sed", "-u", "p", "/dev/null").Run() != nil {
					t.Skip("sed has no -u here")
				}
				out = func(text string) string {
					return "> " + strings.ReplaceAll(text[:len(text)-1], "\n", "\n> ") + "\n"
				}
			}
			exampletest.EachPoller(t, func(t *testing.T, poller string) {
				r := start(t, poller, time.Millisecond, "1\n2\n", filter...)
				follows(t, r, out)
				r.do(func() { write(t, r.path, "last\n"); r.finish() })
				r.wants(out("last\n"))
				if err := r.ends(); err != nil {
					t.Error(err)
				}
				if rest, err := io.ReadAll(r.out); len(rest) > 0 || err != nil {
					t.Errorf("%q, %v behind the end", rest, err)
				}
			})
		})
	}
}

func TestWaitsForTheFile(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		r := start(t, poller, time.Millisecond, "")
		r.do(func() {})
		write(t, r.path, "here\n")
		r.wants("here\n")
	})
}

func TestRefuses(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*tail{
		"fifo":       {file: file{path: fifo}},
		"directory":  {file: file{path: t.TempDir()}},
		"device":     {file: file{path: os.DevNull}},
		"no program": {file: file{path: "main.go"}, filter: []string{"no-such-program-anywhere"}},
	} {
		c.stdout, c.every = os.Stderr, time.Second
		if err := run(loop.Config{}, c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Nobody reads the output: the file is not read either, and what is in memory is
// bounded. Then it all comes.
func TestHoldsBack(t *testing.T) {
	line := strings.Repeat("x", 63) + "\n"
	text := strings.Repeat(line, 1<<18) // 16 MiB
	for name, filter := range map[string][]string{"plain": nil, "cat": {"cat"}} {
		t.Run(name, func(t *testing.T) {
			exampletest.EachPoller(t, func(t *testing.T, poller string) {
				r := start(t, poller, time.Millisecond, line, filter...)
				r.wants(line)
				f, err := os.OpenFile(r.path, os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteString(text); err != nil {
					t.Fatal(err)
				}
				var at, most int64
				look := func() {
					r.do(func() {
						at = r.file.at
						most = max(most, r.l.Stats().Buffered)
					})
				}
				// It comes to a halt.
				for same, last := 0, int64(-1); same < 50; last = at {
					look()
					if same++; at != last || at == int64(len(line)) {
						same = 0
					}
					time.Sleep(time.Millisecond)
				}
				if at > 2<<20 {
					t.Errorf("%d bytes were read for nobody", at)
				}
				got := make([]byte, 1<<20)
				for n := 0; n < len(text); n += len(got) {
					if _, err := io.ReadFull(r.out, got); err != nil {
						t.Fatal(err)
					}
					if !bytes.Equal(got, []byte(text[:len(got)])) {
						t.Fatal("other bytes")
					}
					look()
				}
				if most > 1<<20 {
					t.Errorf("%d bytes in memory", most)
				}
				r.do(r.finish)
				if err := r.ends(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// It ends with its filter, and has its status.
func TestFilterEnds(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		r := start(t, poller, time.Hour, "1\n2\n", "head", "-n", "1")
		r.wants("1\n")
		write(t, r.path, "3\n")
		if err := r.ends(); err != nil && !errors.Is(err, syscall.EPIPE) {
			t.Error(err)
		}
		r = start(t, poller, time.Hour, "1\n", "sh", "-c", "read a; echo bye; exit 3")
		r.wants("bye\n")
		if exit, _ := errors.AsType[*exec.ExitError](r.ends()); exit == nil || exit.ExitCode() != 3 {
			t.Errorf("it ended with %v", exit)
		}
	})
}

// Nobody reads the output any more.
func TestReaderGoes(t *testing.T) {
	for name, filter := range map[string][]string{"plain": nil, "cat": {"cat"}} {
		t.Run(name, func(t *testing.T) {
			exampletest.EachPoller(t, func(t *testing.T, poller string) {
				r := start(t, poller, time.Millisecond, "1\n", filter...)
				r.wants("1\n")
				r.out.Close()
				write(t, r.path, "2\n")
				if err := r.ends(); !errors.Is(err, syscall.EPIPE) {
					t.Errorf("it ended with %v", err)
				}
			})
		})
	}
}

// A socket as standard output, as an SSH server has it, tells of its end like a pipe.
func TestReaderGoesSocket(t *testing.T) {
	for name, filter := range map[string][]string{"plain": nil, "cat": {"cat"}} {
		t.Run(name, func(t *testing.T) {
			exampletest.EachPoller(t, func(t *testing.T, poller string) {
				path := filepath.Join(t.TempDir(), "log")
				write(t, path, "1\n")
				fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
				if err != nil {
					t.Fatal(err)
				}
				for _, fd := range fds {
					unix.CloseOnExec(fd)
					unix.SetNonblock(fd, true)
				}
				r := startOn(t, poller, time.Millisecond, path, os.NewFile(uintptr(fds[0]), "reader"),
					os.NewFile(uintptr(fds[1]), "stdout"), filter)
				r.wants("1\n")
				io.WriteString(r.out, "not for it")
				unix.Shutdown(fds[0], unix.SHUT_WR) // its input's end is not its reader's
				write(t, r.path, "2\n")
				r.wants("2\n")
				r.out.Close()
				write(t, r.path, "3\n")
				if err := r.ends(); !errors.Is(err, syscall.EPIPE) {
					t.Errorf("it ended with %v", err)
				}
			})
		})
	}
}

func TestLastLines(t *testing.T) {
	long := strings.Repeat("y", 40<<10)
	for _, c := range []struct {
		text string
		n    int
		want string
	}{
		{"", 10, ""}, {"", 0, ""}, {"\n", 1, "\n"}, {"\n\n", 1, "\n"}, {"a", 1, "a"}, {"a\nb", 1, "b"},
		{"a\nb\n", 0, ""}, {"a\nb\n", 1, "b\n"}, {"a\nb\n", 2, "a\nb\n"}, {"a\nb\n", 3, "a\nb\n"},
		{"a\n\nb", 2, "\nb"}, {long + "\n" + long + "\nz", 2, long + "\nz"}, {long + "\n", 1, long + "\n"},
		{strings.Repeat("z\n", 1<<16), 40000, strings.Repeat("z\n", 40000)},
	} {
		path := filepath.Join(t.TempDir(), "f")
		write(t, path, c.text)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		at, err := lastLines(f, c.n)
		f.Close()
		if err != nil || c.text[at:] != c.want {
			t.Errorf("the last %d lines of %.20q: %.20q, %v, want %.20q", c.n, c.text, c.text[at:], err, c.want)
		}
		if _, err := exec.LookPath("tail"); err == nil && c.n > 0 {
			theirs, err := exec.Command("tail", "-n", fmt.Sprint(c.n), path).Output()
			if err != nil || string(theirs) != c.want {
				t.Errorf("tail -n %d of %.20q: %.20q, %v", c.n, c.text, theirs, err)
			}
		}
	}
}
