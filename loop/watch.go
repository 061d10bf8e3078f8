package loop

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/core"
)

// Watch is a descriptor with a callback and nothing else: the loop neither
// reads, writes nor closes it. Its methods belong to the loop's goroutine.
type Watch struct {
	e     *core.Engine
	token uint64
	fd    int
	fn    func(asyncore.Interest)
	gone  bool
}

// Watch calls fn whenever fd is ready for want, with the directions that it is
// ready for. Readiness is level-triggered: fn is called in each turn until it
// has read or written enough for the kernel to say otherwise. The descriptor
// stays the caller's, who must Stop the Watch before closing it. An error
// means that the poller refuses fd.
//
// A Watch ends with its loop, when fn panics, and when the poller refuses what
// Set asks for; the last two are logged.
func (l *Loop) Watch(fd int, want asyncore.Interest, fn func(ready asyncore.Interest)) (*Watch, error) {
	l.e.Check()
	if l.e.IsClosed() {
		return nil, ErrClosed
	}
	if fn == nil {
		return nil, fmt.Errorf("loop: Watch: fn is nil")
	}
	w := &Watch{e: l.e, fd: fd, fn: fn}
	w.token = l.e.Register((*watched)(w), fd)
	l.e.Want(w.token, want)
	if err := l.e.Apply(w.token); err != nil {
		w.Stop()
		return nil, fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return w, nil
}

// Set replaces what the descriptor is watched for, from the end of this turn
// on; 0 rests the Watch.
func (w *Watch) Set(want asyncore.Interest) {
	w.e.Check()
	if !w.gone {
		w.e.Want(w.token, want)
	}
}

// Stop ends the Watch: fn is not called again, and the poller has forgotten
// the descriptor when Stop returns.
func (w *Watch) Stop() {
	w.e.Check()
	if !w.gone {
		w.gone = true
		w.e.Unregister(w.token)
	}
}

// watched is the Watch as the engine sees it.
type watched Watch

func (w *watched) Ready(ready asyncore.Interest) {
	w.e.Enter(w, "watch")
	w.fn(ready)
	w.e.Leave()
}

func (w *watched) Fail(err error) {
	if w.gone {
		return
	}
	(*Watch)(w).Stop()
	level := slog.LevelError
	if _, panicked := errors.AsType[*PanicError](err); panicked || err == ErrClosed {
		level = slog.LevelDebug // the panic has its own record
	}
	w.e.Log(level, "watch ended", slog.Int("fd", w.fd), slog.Any("err", err))
}

func (w *watched) Flush() {}

func (w *watched) Finish() {}

func (w *watched) Describe() string { return fmt.Sprintf("watch of descriptor %d", w.fd) }
