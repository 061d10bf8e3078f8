//go:build darwin || dragonfly || freebsd || (linux && kqfake)

package asyncore

import (
	"net"
	"sync"
	"sync/atomic"
)

// wakeIdent names the wake-up among the kqueue's user events, of which it is
// the only one. It is no descriptor number: each filter counts for itself.
const wakeIdent = 0

// userWaker wakes through the kqueue itself: EVFILT_USER needs no descriptor.
type userWaker struct {
	kq  int
	set atomic.Bool // true from the wake that triggered until its event is seen

	mu     sync.Mutex // keeps close away from a trigger in another goroutine
	closed bool
}

func openUserWaker(kq int) (*userWaker, error) {
	// With EV_CLEAR the event is reported once for any number of triggers.
	if err := kqChange(kq, wakeIdent, evfiltUser, evAdd|evClear, 0); err != nil {
		return nil, err
	}
	return &userWaker{kq: kq}, nil
}

func (w *userWaker) wake() error {
	if w.set.Load() || !w.set.CompareAndSwap(false, true) {
		return nil // the wake that is under way serves this call too
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		w.set.Store(false)
		return net.ErrClosed
	}
	if err := kqChange(w.kq, wakeIdent, evfiltUser, 0, noteTrigger); err != nil {
		w.set.Store(false)
		return err
	}
	return nil
}

// woken tells whether ev is the wake-up, and if so lets the next wake trigger
// again. The kernel has cleared the event in reporting it, so the order that
// waker asks for is kept.
func (w *userWaker) woken(ev *kevent) bool {
	if int(ev.Filter) != evfiltUser {
		return false
	}
	w.set.Store(false)
	return true
}

func (w *userWaker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.set.Store(false) // a later wake must come here and be told
}
