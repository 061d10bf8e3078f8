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

// The flags are set by hand, close-on-exec with no fork in between: Darwin has no
// call that sets them at once.

func sysSocket(f Family, t Type, p Proto) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(int(f), int(t), int(p))
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	return fd, nonblocking(fd)
}

func sysPair(f Family, t Type, p Proto) ([2]int, error) {
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(int(f), int(t), int(p))
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return fds, err
	}
	return fds, nonblocking(fds[0], fds[1])
}

// sysWaker returns the two ends of a pipe.
func sysWaker() (r, w int, err error) {
	var fds [2]int
	syscall.ForkLock.RLock()
	err = unix.Pipe(fds[:])
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, -1, err
	}
	return fds[0], fds[1], nonblocking(fds[0], fds[1])
}

// nonblocking sets O_NONBLOCK, or closes the descriptors.
func nonblocking(fds ...int) error {
	for _, fd := range fds {
		if err := unix.SetNonblock(fd, true); err != nil {
			for _, fd := range fds {
				unix.Close(fd)
			}
			return err
		}
	}
	return nil
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
