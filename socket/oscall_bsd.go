//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	msgNeverWaits = unix.MSG_DONTWAIT | unix.MSG_OOB

	connectTwice = false
)

func sysSocket(f Family, t Type, p Proto) (fd int, err error) {
	err = create(func() (err error) {
		fd, err = unix.Socket(int(f), int(t), int(p))
		return err
	}, &fd)
	return fd, err
}

func sysPair(f Family, t Type, p Proto) (fds [2]int, err error) {
	err = create(func() (err error) {
		fds, err = unix.Socketpair(int(f), int(t), int(p))
		return err
	}, &fds[0], &fds[1])
	return fds, err
}

// sysWaker returns the two ends of a pipe.
func sysWaker() (r, w int, err error) {
	var fds [2]int
	err = create(func() error { return unix.Pipe(fds[:]) }, &fds[0], &fds[1])
	return fds[0], fds[1], err
}

// create has descriptors made, and sets the flags by hand, close-on-exec with no fork
// in between: Darwin has no call that sets them at once. None is left after an error.
func create(makeThem func() error, fds ...*int) error {
	syscall.ForkLock.RLock()
	err := makeThem()
	if err == nil {
		for _, fd := range fds {
			unix.CloseOnExec(*fd)
		}
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return err
	}
	for _, fd := range fds {
		if err = unix.SetNonblock(*fd, true); err != nil {
			break
		}
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(*fd)
		}
	}
	return err
}

func sysRecv(fd int, p []byte, flags int) (int, error) {
	n, _, _, _, err := sysRecvMsg(fd, p, nil, flags|unix.MSG_DONTWAIT)
	return n, err
}

func sysSend(fd int, p []byte, flags int) (int, error) {
	return sysSendMsg(fd, p, nil, nil, flags|unix.MSG_DONTWAIT)
}

// sysGetBytes has no way into the system: x/sys reads values of known forms only.
func sysGetBytes(fd, level, opt int, p []byte) (int, error) { return 0, errors.ErrUnsupported }

// The BSDs' messages of credentials differ from one to the next.

func credentials(Cred) Control { return Control{} }

func parseCredentials(Control) (Cred, bool) { return Cred{}, false }
