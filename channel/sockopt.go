package channel

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// tcpOptions are what Dialer and ListenConfig set on every TCP connection.
type tcpOptions struct {
	nagle     bool
	keepAlive time.Duration
}

const (
	keepAliveDefault = 15 * time.Second
	keepAliveMax     = 32767 // seconds; Linux refuses more
)

// set applies the options. Errors do not matter: the connection works without,
// and one whose peer has gone already (EINVAL on some systems) says so soon.
func (o tcpOptions) set(s sys.System, fd int) {
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
}

// control runs a Control function on a socket that has no Conn yet.
func control(f func(network, address string, c syscall.RawConn) error, network, address string, fd int) error {
	if f == nil {
		return nil
	}
	return f(network, address, rawConn{fd: func() (int, error) { return fd, nil }})
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
