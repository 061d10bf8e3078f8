package channel

import (
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// tcpOptions are what Dialer and ListenConfig set on every TCP connection.
type tcpOptions struct {
	nagle       bool
	keepAlive   time.Duration
	userTimeout time.Duration
}

const (
	keepAliveDefault = 15 * time.Second
	keepAliveMax     = 32767 // seconds; Linux refuses more
)

// set applies the options. Errors of those that are on by default do not matter:
// the connection works without, and one whose peer has gone already (EINVAL on
// some systems) says so soon.
func (o tcpOptions) set(s sys.System, fd int) error {
	if !o.nagle {
		s.SetOption(fd, sys.NoDelay, 1)
	}
	period := o.keepAlive
	if period == 0 {
		period = keepAliveDefault
	}
	if period > 0 && s.SetOption(fd, sys.KeepAlive, 1) == 0 {
		seconds := int(min(max(period/time.Second, 1), keepAliveMax))
		s.SetOption(fd, sys.KeepIdle, seconds)
		s.SetOption(fd, sys.KeepInterval, seconds)
		s.SetOption(fd, sys.KeepCount, 9)
	}
	if o.userTimeout <= 0 {
		return nil
	}
	ms := min((o.userTimeout+time.Millisecond-1)/time.Millisecond, math.MaxInt32)
	return os.NewSyscallError("setsockopt", errnoOrNil(s.SetOption(fd, sys.UserTimeout, int(ms))))
}

// switchOption sets an option that is on or off.
func switchOption(s sys.System, fd int, o sys.Option, on bool) error {
	return os.NewSyscallError("setsockopt", errnoOrNil(s.SetOption(fd, o, number(on))))
}

func number(on bool) int {
	if on {
		return 1
	}
	return 0
}

// Cred is the process at the other end of a Unix socket. GID is -1, and PID 0,
// where the system does not tell: macOS and FreeBSD know no PID, and Linux none
// of a process outside the container, which has no number inside.
type Cred struct{ UID, GID, PID int }

// PeerCred asks the kernel who is at the other end of a Unix socket: the process
// that connected, or made the listener, as it was then (SO_PEERCRED,
// LOCAL_PEERCRED). It is an error that wraps [errors.ErrUnsupported] for another
// kind of Conn and on systems other than Linux, macOS and FreeBSD; during a dial it
// is ENOTCONN.
func (c *Conn) PeerCred() (Cred, error) {
	c.e.Check()
	switch {
	case c.is(finished):
		return Cred{}, c.opError("peer credentials", net.ErrClosed)
	case c.is(connecting):
		return Cred{}, c.opError("peer credentials", syscall.ENOTCONN)
	}
	if c.remote.Family != sys.Unix {
		return Cred{}, c.opError("peer credentials", errors.ErrUnsupported)
	}
	cred, errno := c.e.Sys.PeerCred(int(c.fd))
	if errno != 0 {
		return Cred{}, c.sysError("peer credentials", "getsockopt", errno)
	}
	return Cred(cred), nil
}

// control runs a Control function on a socket that has no Conn yet. What it is
// given ends with it: the number may be a stranger's later.
func control(f func(network, address string, c syscall.RawConn) error, network, address string, fd int) error {
	if f == nil {
		return nil
	}
	over := false
	defer func() { over = true }()
	return f(network, address, rawConn{fd: func() (int, error) {
		if over {
			return -1, net.ErrClosed
		}
		return fd, nil
	}})
}

// rawConn is a descriptor as a syscall.RawConn.
type rawConn struct{ fd func() (int, error) }

func (r rawConn) Control(f func(uintptr)) error {
	fd, err := r.fd()
	if err != nil {
		return err
	}
	f(uintptr(fd))
	return nil
}

func (r rawConn) Read(f func(uintptr) bool) error {
	done := false
	if err := r.Control(func(fd uintptr) { done = f(fd) }); err != nil {
		return err
	}
	if !done {
		return fmt.Errorf("channel: waiting inside SyscallConn: %w", errors.ErrUnsupported)
	}
	return nil
}

func (r rawConn) Write(f func(uintptr) bool) error { return r.Read(f) }
