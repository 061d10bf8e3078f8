//go:build netbsd || openbsd || (linux && kqfake)

package asyncore

// pipeWaker wakes through a pipe: EVFILT_USER came to NetBSD and OpenBSD only
// lately, and x/sys has no name for it.
type pipeWaker struct{ *waker }

func openPipeWaker(kq int) (*pipeWaker, error) {
	w, err := openPipe()
	if err != nil {
		return nil, err
	}
	if err := kqChange(kq, w.r, evfiltRead, evAdd|evEnable, 0); err != nil {
		w.close()
		return nil, err
	}
	return &pipeWaker{w}, nil
}

// woken tells whether ev is the wake-up, and if so empties the pipe and lets
// the next wake write again.
func (w *pipeWaker) woken(ev *kevent) bool {
	if int(ev.Ident) != w.r {
		return false
	}
	w.drain()
	return true
}
