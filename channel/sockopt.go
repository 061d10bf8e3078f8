package channel

import (
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// tcpOptions are what Dialer and ListenConfig set on every TCP connection.
type tcpOptions struct {
	nagle     bool
	keepAlive time.Duration
}

const keepAliveDefault = 15 * time.Second

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
		seconds := int(max((period+time.Second-1)/time.Second, 1))
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
