//go:build unix

package loop_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/systest"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const (
	readable = asyncore.Readable
	writable = asyncore.Writable
	urgent   = asyncore.Urgent

	ms = time.Millisecond
)

// interest is what a Watch is told.
type interest = asyncore.Interest

// patience is how long anything may take that has to happen. Only a failing
// test waits that long.
const patience = 20 * time.Second

// watchdog ends the process with all stacks if the test hangs.
func watchdog(t testing.TB) {
	timer := time.AfterFunc(patience, func() {
		buf := make([]byte, 1<<20)
		panic(t.Name() + " hangs\n\n" + string(buf[:runtime.Stack(buf, true)]))
	})
	t.Cleanup(func() { timer.Stop() })
}

// each runs f for every backend of this system.
func each(t *testing.T, f func(t *testing.T, poller string)) {
	t.Helper()
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

// open returns a loop on the real system.
func open(t testing.TB, c loop.Config) *loop.Loop {
	t.Helper()
	if _, bench := t.(*testing.B); !bench {
		watchdog(t)
	}
	l, err := loop.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// manual returns a loop under a manual clock, which starts an hour after the
// system's own beginning.
func manual(t testing.TB, c loop.Config) (*loop.Loop, *systest.System) {
	t.Helper()
	watchdog(t)
	s := systest.New(time.Hour)
	l, err := core.On(c, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.(*loop.Loop).Close() })
	return l.(*loop.Loop), s
}

// run runs l to its end, which must be without an error.
func run(t testing.TB, l *loop.Loop) {
	t.Helper()
	if err := l.Run(context.Background()); err != nil {
		t.Fatalf("Run: %v", err)
	}
}

// poll runs one turn.
func poll(t testing.TB, l *loop.Loop, timeout time.Duration) {
	t.Helper()
	if err := l.Poll(timeout); err != nil {
		t.Fatalf("Poll(%v): %v", timeout, err)
	}
}

func post(t testing.TB, l *loop.Loop, fn func()) {
	t.Helper()
	if err := l.Post(fn); err != nil {
		t.Fatalf("Post: %v", err)
	}
}

func watch(t testing.TB, l *loop.Loop, fd int, want asyncore.Interest, fn func(asyncore.Interest)) *loop.Watch {
	t.Helper()
	w, err := l.Watch(fd, want, fn)
	if err != nil {
		t.Fatalf("Watch(%d, %v): %v", fd, want, err)
	}
	return w
}

// pipe is a pipe of non-blocking descriptors, closed when the test ends.
type pipe struct {
	t    testing.TB
	r, w int
}

func newPipe(t testing.TB) *pipe {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	p := &pipe{t: t, r: own(t, fds[0]), w: own(t, fds[1])}
	t.Cleanup(func() { p.closeRead(); p.closeWrite() })
	return p
}

// newPair is the same with a pair of sockets: both ends read and write.
func newPair(t testing.TB) *pipe {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{t: t, r: own(t, fds[0]), w: own(t, fds[1])}
	t.Cleanup(func() { p.closeRead(); p.closeWrite() })
	return p
}

func own(t testing.TB, fd int) int {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return fd
}

// ready returns a pipe that has something to read.
func ready(t testing.TB) *pipe {
	p := newPipe(t)
	p.write("x")
	return p
}

func (p *pipe) write(s string) {
	p.t.Helper()
	if _, err := unix.Write(p.w, []byte(s)); err != nil {
		p.t.Fatalf("write: %v", err)
	}
}

// drain reads what there is.
func (p *pipe) drain() string {
	buf := make([]byte, 1024)
	n, _ := unix.Read(p.r, buf)
	return string(buf[:max(n, 0)])
}

func (p *pipe) closeRead() {
	if p.r >= 0 {
		unix.Close(p.r)
		p.r = -1
	}
}

func (p *pipe) closeWrite() {
	if p.w >= 0 {
		unix.Close(p.w)
		p.w = -1
	}
}

// journal is a log that several goroutines may write while a test reads it.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// logger writes records without their time into j.
func (j *journal) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}
