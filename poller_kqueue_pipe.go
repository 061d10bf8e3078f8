//go:build netbsd || openbsd

package asyncore

// kqWaker wakes through a pipe: EVFILT_USER came to these systems only lately,
// and x/sys has no name for it.
type kqWaker struct{ *waker }

func openKqWaker(kq int) (*kqWaker, error) {
	w, err := openWaker()
	if err != nil {
		return nil, err
	}
	if err := kqChange(kq, w.r, evfiltRead, evAdd|evEnable, 0); err != nil {
		w.close()
		return nil, err
	}
	return &kqWaker{w}, nil
}

// woken tells whether ev is the wake-up, and if so empties the pipe and lets
// the next wake write again.
func (w *kqWaker) woken(ev *kevent) bool {
	if int(ev.Ident) != w.r {
		return false
	}
	w.drain()
	return true
}
