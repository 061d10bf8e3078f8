package channel

import (
	"net"
	"os"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/core"
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
	// net.Dialer, for options that this struct lacks: inside Dial, or later
	// from the loop where another address is tried.
	Control func(network, address string, c syscall.RawConn) error
}

// Dial connects to an address and returns the Conn at once. It never fails:
// Handler.Connect tells that the connection stands, and every failure arrives
// in Handler.Close, also one that is known before Dial returns; both come
// later, from the loop. What is written meanwhile is sent when the connection
// stands. Only a loop that is closed calls nothing: the Conn is closed as it is
// returned.
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
	failure          error      // of the first address
}

var errDialTimeout = &timeoutError{"i/o timeout"}

// Dial is the function Dial with the options of d.
func (d *Dialer) Dial(l *loop.Loop, network, address string, h *Handler) *Conn {
	hb := hubOf(l)
	hb.e.Check()
	if h == nil {
		panic("channel: Dial: handler is nil")
	}
	if hb.e.IsClosed() {
		return &Conn{hub: hb, h: h, fd: -1, water: &defaultWater, reason: loop.ErrClosed, state: ended | finished,
			dial: &dialing{network: network, address: address}}
	}
	c := hb.newConn(-1, h)
	c.state |= connecting
	c.dial = &dialing{Dialer: *d, network: network, address: address}
	timeout := d.Timeout
	if timeout == 0 {
		timeout = connectTimeout
	}
	if timeout > 0 {
		c.limit = core.Later(c.e.Now(), timeout)
	}
	c.rearm()
	targets, err := parseAddr(network, address, false)
	if err != nil {
		c.dialFailed(err)
		return c
	}
	c.dial.targets = targets
	c.nextTarget()
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
	returned := false
	defer func() {
		if !returned { // Control panicked: nothing else would end the Conn
			c.end(net.ErrClosed)
		}
	}()
	err := control(d.Control, d.network, d.address, fd)
	returned = true
	if err != nil || d.LocalAddr == "" {
		return err
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
			c.backOff()
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
	switch pending {
	case 0:
	case syscall.ECONNRESET, syscall.EPIPE:
		// It stood, and was reset before we looked: what the peer had to say
		// is read first.
		c.breakOff(c.sysError("read", "connect", pending))
		c.established()
		return
	default:
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
	c.established()
}

// established ends the dial.
func (c *Conn) established() {
	c.state &^= connecting
	c.dial = nil
	c.limit = 0
	c.backoff = 0
	c.active = c.e.Now()
	c.progress = c.active
	c.rearm()
	c.connected()
}

func (c *Conn) selfConnected() bool {
	if c.remote.Family == sys.Unix {
		return false
	}
	local, errno := c.e.Sys.LocalAddr(int(c.fd))
	return errno == 0 && local.Inet == c.remote.Inet
}

// targetFailed goes on with the next address, or gives up with the failure of
// the first one, as package net does.
func (c *Conn) targetFailed(err error) {
	d := c.dial
	if d.failure == nil {
		d.failure = c.dialError(err)
	}
	if len(d.targets) == 0 {
		c.end(d.failure)
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

func (c *Conn) dialFailed(err error) { c.end(c.dialError(err)) }

func (c *Conn) dialError(err error) error {
	target := netAddr(c.remote)
	if target == nil {
		target = textAddr{c.dial.network, c.dial.address}
	}
	return &net.OpError{Op: "dial", Net: c.dial.network, Addr: target, Err: err}
}
