package channel

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// Dialer holds the options of a dial; the zero value of each is its default.
type Dialer struct {
	// Timeout bounds the whole dial. 0: 10 s; negative: no bound but the
	// kernel's.
	Timeout time.Duration

	// LocalAddr is the address to dial from, in the form that Dial takes; a
	// port of 0 leaves the port to the kernel. Empty: the kernel's choice.
	LocalAddr string

	// Nagle leaves Nagle's algorithm on: by default TCP_NODELAY is set, since
	// the loop gathers what a turn writes.
	Nagle bool

	// KeepAlive is the time without traffic after which TCP asks whether the
	// peer still lives, and from one question to the next. 0: 15 s; negative:
	// TCP does not ask.
	KeepAlive time.Duration

	// Control is called for each socket before it is bound or connected, as in
	// net.Dialer, for options that this struct lacks.
	Control func(network, address string, c syscall.RawConn) error
}

// Dial connects to an address and returns the Conn at once. It never fails:
// Handler.Connect tells that the connection stands, and every failure arrives
// in Handler.Close, also one that is known before Dial returns; both come
// later, from the loop. What is written meanwhile is sent when the connection
// stands.
//
// The networks are "tcp", "tcp4", "tcp6" and "unix". A host is a numeric
// address or "localhost"; a Unix address is a path, or "@name" in Linux's
// abstract namespace. Dial uses a Dialer's zero value.
func Dial(l *loop.Loop, network, address string, h *Handler) *Conn {
	return (&Dialer{}).Dial(l, network, address, h)
}

// dialing is what a Conn needs until it is connected.
type dialing struct {
	Dialer
	network, address string
	targets          []sys.Addr // still to be tried
	started          bool       // connect was called on the present socket
}

var errDialTimeout = &timeoutError{"i/o timeout"}

// Dial is the function Dial with the options of d.
func (d *Dialer) Dial(l *loop.Loop, network, address string, h *Handler) *Conn {
	hb := hubOf(l)
	hb.e.Check()
	if h == nil {
		panic("channel: Dial: handler is nil")
	}
	c := hb.newConn(-1, h)
	c.state |= connecting
	c.dial = &dialing{Dialer: *d, network: network, address: address}
	timeout := d.Timeout
	if timeout == 0 {
		timeout = connectTimeout
	}
	if timeout > 0 {
		c.limit = c.e.Now() + int64(timeout)
	}
	targets, err := parseAddr(network, address, false)
	if hb.e.IsClosed() {
		err = loop.ErrClosed
	}
	if err != nil {
		c.dialFailed(err)
		return c
	}
	c.dial.targets = targets
	c.nextTarget()
	c.rearm()
	c.watch()
	return c
}

// nextTarget opens a socket for the next address and starts to connect it.
func (c *Conn) nextTarget() {
	d := c.dial
	c.remote, d.targets = d.targets[0], d.targets[1:]
	d.started = false
	fd, errno := c.e.Sys.Socket(c.remote.Family)
	if errno != 0 {
		c.targetFailed(os.NewSyscallError("socket", errno))
		return
	}
	c.fd = int32(fd)
	c.e.SetFD(c.token, fd)
	if err := c.prepare(fd); err != nil {
		c.targetFailed(err)
		return
	}
	c.connect()
}

// prepare sets the socket's options and its own address.
func (c *Conn) prepare(fd int) error {
	d := c.dial
	if c.remote.Family != sys.Unix {
		tcpOptions{nagle: d.Nagle, keepAlive: d.KeepAlive}.set(c.e.Sys, fd)
	}
	if err := control(d.Control, d.network, d.address, fd); err != nil {
		return err
	}
	if d.LocalAddr == "" {
		return nil
	}
	locals, err := parseAddr(d.network, d.LocalAddr, true)
	if err != nil {
		return err
	}
	errno := syscall.EAFNOSUPPORT
	for _, local := range locals {
		if local.Family == c.remote.Family {
			errno = c.e.Sys.Bind(fd, local)
		}
	}
	if errno != 0 {
		return os.NewSyscallError("bind", errno)
	}
	return nil
}

// connect calls connect(2). Whatever comes of it, callbacks run later.
func (c *Conn) connect() {
	c.dial.started = true
	switch errno := c.e.Sys.Connect(int(c.fd), c.remote); errno {
	case 0, syscall.EISCONN:
		c.e.Again(c.token)
	case syscall.EINPROGRESS, syscall.EALREADY, syscall.EINTR:
		// The poller reports the outcome, as writable.
	case syscall.EAGAIN:
		if c.remote.Family == sys.Unix {
			// The listener's queue is full: there is nothing to poll for.
			c.dial.started = false
			c.pauseFor(shortage)
			return
		}
		fallthrough // ports are exhausted
	default:
		c.targetFailed(os.NewSyscallError("connect", errno))
	}
}

// connectReady looks at the outcome: the poller, a timer or connect itself has
// said that there is one.
func (c *Conn) connectReady() {
	if c.fd < 0 || c.retry != 0 {
		return
	}
	if !c.dial.started {
		c.connect()
		return
	}
	pending, errno := c.e.Sys.SockError(int(c.fd))
	if pending == 0 {
		pending = errno
	}
	if pending != 0 {
		c.targetFailed(os.NewSyscallError("connect", pending))
		return
	}
	if _, errno := c.e.Sys.PeerAddr(int(c.fd)); errno != 0 {
		if errno == syscall.ENOTCONN {
			return // woken for nothing
		}
		c.targetFailed(os.NewSyscallError("getpeername", errno))
		return
	}
	if c.selfConnected() {
		// TCP lets a socket meet itself where its own port, chosen by the
		// kernel, is the one it looks for and nobody listens there.
		c.targetFailed(os.NewSyscallError("connect", syscall.ECONNREFUSED))
		return
	}
	c.state &^= connecting
	c.dial = nil
	c.limit = 0
	c.backoff = 0
	c.active = c.e.Now()
	c.progress = c.active
	c.rearm()
	c.connected()
}

func (c *Conn) connected() {
	if c.h.Connect != nil && !c.is(draining|ended) {
		c.e.Enter((*source)(c), "connect")
		c.h.Connect(c)
		c.e.Leave()
	}
}

func (c *Conn) selfConnected() bool {
	if c.remote.Family == sys.Unix {
		return false
	}
	local, errno := c.e.Sys.LocalAddr(int(c.fd))
	return errno == 0 && local.Inet == c.remote.Inet
}

// targetFailed goes on with the next address, or gives up.
func (c *Conn) targetFailed(err error) {
	if len(c.dial.targets) == 0 {
		c.dialFailed(err)
		return
	}
	c.closeTarget()
	c.nextTarget()
}

// closeTarget drops the present socket; the registration stays, without one.
func (c *Conn) closeTarget() {
	if c.fd >= 0 {
		c.e.Detach(c.token)
		c.e.CloseFD(int(c.fd))
		c.fd = -1
	}
}

func (c *Conn) dialTimedOut() { c.dialFailed(os.ErrDeadlineExceeded) }

// dialFailed ends the Conn; the registration's Finish tells the user.
func (c *Conn) dialFailed(err error) {
	if errors.Is(err, loop.ErrClosed) {
		c.end(err)
		return
	}
	target := netAddr(c.remote)
	if target == nil {
		target = textAddr{c.dial.network, c.dial.address}
	}
	c.end(&net.OpError{Op: "dial", Net: c.dial.network, Addr: target, Err: err})
}
