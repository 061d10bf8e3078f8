//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package asyncore

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// The kqueue backend knows its kernel by the names in kqueue_sys*.go alone, so
// that another kqueue can be put in its place. Kevent_t's fields differ from
// system to system: write them with kqSet, convert what is read, and leave
// Udata alone.

type kevent = unix.Kevent_t

const (
	evfiltRead  = unix.EVFILT_READ
	evfiltWrite = unix.EVFILT_WRITE

	evAdd     = unix.EV_ADD
	evDelete  = unix.EV_DELETE
	evEnable  = unix.EV_ENABLE
	evClear   = unix.EV_CLEAR
	evOneshot = unix.EV_ONESHOT
	evEOF     = unix.EV_EOF
	evError   = unix.EV_ERROR
)

func kqOpen() (int, error) {
	// No fork may come between the kqueue and its flag: a child does not
	// inherit the kqueue, but exec would keep the number taken.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	kq, err := unix.Kqueue()
	if err == nil {
		unix.CloseOnExec(kq)
	}
	return kq, err
}

func kqSet(k *kevent, ident, filter, flags int) { unix.SetKevent(k, ident, filter, flags) }

func kqCall(kq int, changes, events []kevent, timeout *unix.Timespec) (int, error) {
	return unix.Kevent(kq, changes, events, timeout)
}

func kqClose(kq int) error { return unix.Close(kq) }
