//go:build unix && !linux

package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Inherits tells that accepted sockets have the listener's TCP options.
const Inherits = false

type rawAddr struct{}

// recvfrom and sendto through x/sys would allocate an address a call; the
// descriptors are non-blocking, so read and write do.

func (r *real) Recv(fd int, p []byte) (int, syscall.Errno) { return r.Read(fd, p) }

func (r *real) Send(fd int, p []byte) (int, syscall.Errno) { return r.Write(fd, p) }

// Accept and Socket set the flags by hand, with no fork in between: not every
// system has accept4 and SOCK_CLOEXEC, and the BSDs' accept inherits
// O_NONBLOCK while it never inherits close-on-exec.

func (r *real) Accept(fd int, from *Addr) (int, syscall.Errno) {
	syscall.ForkLock.RLock()
	nfd, sa, err := unix.Accept(fd)
	if err == nil {
		unix.CloseOnExec(nfd)
	}
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = unix.SetNonblock(nfd, true)
		if err != nil {
			unix.Close(nfd)
		}
	}
	if err != nil {
		return -1, errno(err)
	}
	*from = addr(sa)
	return nfd, 0
}

func (r *real) Socket(f Family) (int, syscall.Errno) { return r.PacketSocket(f, Stream) }

func (r *real) PacketSocket(f Family, k Kind) (int, syscall.Errno) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(f.domain(), k.socket(), 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err == nil {
		err = unix.SetNonblock(fd, true)
		if err != nil {
			unix.Close(fd)
		}
	}
	return fd, errno(err)
}
