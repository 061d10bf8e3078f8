//go:build unix

package asyncore

import (
	"net"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// waker is a descriptor that becomes readable on wake: an eventfd on Linux, a
// pipe elsewhere.
type waker struct {
	r, w int // the same descriptor for an eventfd

	// set is true from the wake that wrote until the wait that it ended has
	// emptied the descriptor. The order matters: cleared before the
	// descriptor is emptied, a racing wake's byte would be thrown away while
	// set stays true, and every later wake would be lost.
	set atomic.Bool

	mu     sync.Mutex // keeps close away from a write in another goroutine
	closed bool
}

func (w *waker) wake() error {
	if w.set.Load() || !w.set.CompareAndSwap(false, true) {
		return nil // the wake that is under way serves this call too
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		w.set.Store(false)
		return net.ErrClosed
	}
	for {
		_, err := unix.Write(w.w, wakeMessage)
		switch err {
		case nil, unix.EAGAIN: // full is awake
			return nil
		case unix.EINTR:
		default:
			w.set.Store(false)
			return os.NewSyscallError("write", err)
		}
	}
}

// drain empties the descriptor, for backends that would report it for ever.
func (w *waker) drain() {
	var buf [64]byte
	for {
		n, err := unix.Read(w.r, buf[:])
		if err != unix.EINTR && n < len(buf) {
			break
		}
	}
	w.answered()
}

// answered lets the next wake write again.
func (w *waker) answered() { w.set.Store(false) }

func (w *waker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.closed = true
	w.set.Store(false) // a later wake must come here and be told
	unix.Close(w.r)
	if w.w != w.r {
		unix.Close(w.w)
	}
}
