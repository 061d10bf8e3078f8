//go:build linux

package sim_test

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// real is the kernel itself.
type real struct {
	sys.System
	send, recv int         // buffer sizes of new sockets; 0: the kernel's
	limit      unix.Rlimit // what SetFDLimit found
	limited    bool
}

var _ machine = (*real)(nil)

// sized gives a new socket the sizes of its buffers.
func (r *real) sized(fd int, e syscall.Errno) (int, syscall.Errno) {
	if e == 0 && r.send > 0 {
		r.SetOption(fd, sys.WriteBuffer, r.send)
		r.SetOption(fd, sys.ReadBuffer, r.recv)
	}
	return fd, e
}

func (r *real) Socket(f sys.Family) (int, syscall.Errno) { return r.sized(r.System.Socket(f)) }

func (r *real) PacketSocket(f sys.Family, k sys.Kind) (int, syscall.Errno) {
	return r.sized(r.System.PacketSocket(f, k))
}

func (r *real) BufferSizes(send, recv int) { r.send, r.recv = send, recv }

func (r *real) Pair(network string) (a, b int, e syscall.Errno) {
	kind := map[string]int{"unix": unix.SOCK_STREAM, "unixgram": unix.SOCK_DGRAM, "unixpacket": unix.SOCK_SEQPACKET}[network]
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, err.(syscall.Errno)
	}
	r.sized(fds[0], 0)
	r.sized(fds[1], 0)
	return fds[0], fds[1], 0
}

func (r *real) PipeFDs() (rd, wr int, e syscall.Errno) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return -1, -1, err.(syscall.Errno)
	}
	return fds[0], fds[1], 0
}

func (r *real) Shutdown(fd int, read, write bool) syscall.Errno {
	how := unix.SHUT_RDWR
	switch {
	case !write:
		how = unix.SHUT_RD
	case !read:
		how = unix.SHUT_WR
	}
	return number(unix.Shutdown(fd, how))
}

func (r *real) SendUrgent(fd int, b byte) syscall.Errno {
	return number(unix.Sendto(fd, []byte{b}, unix.MSG_OOB|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil))
}

func (r *real) Reset(fd int) syscall.Errno {
	if e := r.SetOption(fd, sys.Linger, 0); e != 0 {
		return e
	}
	return r.Close(fd)
}

// FDs lists the open descriptors without opening one.
func (r *real) FDs() (fds []int) {
	for fd := range 4096 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			fds = append(fds, fd)
		}
	}
	return fds
}

// SetFDLimit lowers the soft limit, which is the whole process's, until n is
// negative.
func (r *real) SetFDLimit(n int) {
	if !r.limited {
		unix.Getrlimit(unix.RLIMIT_NOFILE, &r.limit)
		r.limited = true
	}
	limit := r.limit
	if n >= 0 {
		limit.Cur = uint64(n)
	}
	unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
}

func number(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	return err.(syscall.Errno)
}
