package channel

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

const (
	// attemptDelay is the time from one attempt to the next (RFC 8305).
	attemptDelay = 250 * time.Millisecond
	// maxAttempts bounds a dial: a name server may return hundreds of
	// addresses.
	maxAttempts = 16
)

// attempt is one socket on its way to one address. While several race, each has
// a registration of its own; the Conn takes over the winner's.
type attempt struct {
	d     *dialing
	to    sys.Addr
	fd    int // -1: closed, not open yet, or the Conn's now
	token uint64
	err   error // why it failed

	// A Unix listener whose queue is full is asked again.
	timer   core.Timer
	backoff time.Duration
}

// step begins the attempts that may begin now, and comes back when there will
// be more. It ends the dial that has nothing left to hope for.
func (d *dialing) step() {
	e := d.c.e
	e.Disarm(&d.timer)
	for !d.over() {
		switch {
		case !d.more():
			if d.running == 0 && (d.pending == [2]bool{} || len(d.attempts) == maxAttempts) {
				d.c.end(d.failure(false))
			}
			return
		case d.next > e.Now():
			e.Arm(&d.timer, d, d.next)
			return
		}
		d.next = core.Later(e.Now(), attemptDelay)
		a := &attempt{d: d, to: d.take(), fd: -1}
		d.attempts = append(d.attempts, a)
		d.running++
		a.begin()
	}
}

// Expire is the timer's.
func (d *dialing) Expire() { d.step() }

// more tells whether there is an address left to try.
func (d *dialing) more() bool {
	return len(d.untried[ipv6])+len(d.untried[ipv4]) > 0 && len(d.attempts) < maxAttempts
}

// take takes the next address, where it can of the family that was not taken
// last.
func (d *dialing) take() sys.Addr {
	if len(d.untried[d.turn]) == 0 {
		d.turn = 1 - d.turn
	}
	list := &d.untried[d.turn]
	d.turn = 1 - d.turn
	a := (*list)[0]
	*list = (*list)[1:]
	return a
}

// socket is the descriptor of the attempt begun last of those under way; -1 if
// there is none.
func (d *dialing) socket() int {
	for i := len(d.attempts) - 1; i >= 0; i-- {
		if fd := d.attempts[i].fd; fd >= 0 {
			return fd
		}
	}
	return -1
}

// begin opens a socket and starts to connect it. Whatever comes of it, callbacks
// run later.
func (a *attempt) begin() {
	c := a.d.c
	c.remote = a.to
	fd, errno := c.e.Sys.Socket(a.to.Family)
	if errno != 0 {
		a.fail(os.NewSyscallError("socket", errno))
		return
	}
	a.fd = fd
	a.token = c.e.Register(a, fd)
	if err := a.prepare(); err != nil {
		a.fail(err)
		return
	}
	if !c.is(ended) { // by Control: the rest is for stop
		a.connect()
	}
}

// prepare sets the socket's options and its own address.
func (a *attempt) prepare() error {
	d := a.d
	if a.to.Family != sys.Unix {
		o := tcpOptions{nagle: d.Nagle, keepAlive: d.KeepAlive, userTimeout: d.UserTimeout}
		if err := o.set(d.c.e.Sys, a.fd); err != nil {
			return err
		}
	}
	if err := a.control(); err != nil || d.c.is(ended) {
		return err
	}
	return a.bind()
}

// control lets the user have the socket.
func (a *attempt) control() error {
	returned := false
	defer func() {
		if !returned { // Control panicked: nothing else would end the Conn
			a.d.c.end(net.ErrClosed)
		}
	}()
	err := control(a.d.Control, a.d.network, netAddr(a.to).String(), a.fd)
	returned = true
	return err
}

// bind gives the socket its own address.
func (a *attempt) bind() error {
	if a.d.LocalAddr == "" {
		return nil
	}
	locals, err := parseAddr(a.d.network, a.d.LocalAddr, true)
	if err != nil {
		return err
	}
	errno := syscall.EAFNOSUPPORT
	for _, local := range locals {
		if local.Family == a.to.Family {
			errno = a.d.c.e.Sys.Bind(a.fd, local)
		}
	}
	if errno != 0 {
		return os.NewSyscallError("bind", errno)
	}
	return nil
}

// connect calls connect(2). The poller learns of the socket no earlier: until
// then it is hung up.
func (a *attempt) connect() {
	e := a.d.c.e
	switch errno := e.Sys.Connect(a.fd, a.to); errno {
	case 0, syscall.EISCONN:
		e.Again(a.token)
	case syscall.EINPROGRESS, syscall.EALREADY, syscall.EINTR:
		// The poller reports the outcome, as writable.
	case syscall.EAGAIN:
		if a.to.Family == sys.Unix {
			// The listener's queue is full: there is nothing to poll for.
			a.backoff = longer(a.backoff)
			e.Arm(&a.timer, a, core.Later(e.Now(), a.backoff))
			return
		}
		// No port is free. As it is, the error would pass for a timeout.
		a.fail(os.NewSyscallError("connect", syscall.EADDRNOTAVAIL))
		return
	default:
		a.fail(os.NewSyscallError("connect", errno))
		return
	}
	e.Want(a.token, asyncore.Writable)
}

// Expire is the timer's: there may be room now.
func (a *attempt) Expire() {
	if !a.d.over() {
		a.connect()
		a.d.step()
	}
}

// Ready looks at the outcome: the poller, or connect itself, has said that
// there is one.
func (a *attempt) Ready(ready asyncore.Interest) {
	c := a.d.c
	if a.d.over() {
		return
	}
	pending, errno := c.e.Sys.SockError(a.fd)
	if pending == 0 {
		pending = errno
	}
	var failure error
	switch pending {
	case 0:
		_, errno := c.e.Sys.PeerAddr(a.fd)
		switch {
		case errno == syscall.ENOTCONN:
			return // woken for nothing
		case errno != 0:
			failure = os.NewSyscallError("getpeername", errno)
		case a.selfConnected():
			// The dialled port is of the range from which the kernel chooses,
			// and nobody listens there.
			failure = os.NewSyscallError("connect", syscall.ECONNREFUSED)
		}
	case syscall.ECONNRESET, syscall.EPIPE:
		// It stood, and was reset before we looked: what the peer had to say
		// is read first.
	default:
		failure = os.NewSyscallError("connect", pending)
	}
	if failure != nil {
		a.fail(failure)
		a.d.step()
		return
	}
	c.established(a)
	if pending != 0 {
		c.breakOff(c.sysError("read", "connect", pending))
	}
	(*source)(c).Ready(ready)
}

// established ends the dial: the Conn takes over what a has, its registration
// too, so that the poller hears of it only when the interest changes.
func (c *Conn) established(a *attempt) {
	c.e.Unregister(c.token)
	c.e.Transfer(a.token, (*source)(c))
	c.token, c.fd, c.remote = a.token, int32(a.fd), a.to
	a.fd = -1
	c.dial.stop()
	c.dial = nil
	c.state = c.state&^connecting | opening
	c.limit = 0
	c.active = c.e.Now()
	c.progress = c.active
	c.rearm()
}

func (a *attempt) selfConnected() bool {
	if a.to.Family == sys.Unix {
		return false
	}
	local, errno := a.d.c.e.Sys.LocalAddr(a.fd)
	return errno == 0 && local.Inet == a.to.Inet
}

// fail ends the attempt; the next one need not wait. The caller sees to that
// with step, unless step itself is the caller.
func (a *attempt) fail(err error) {
	a.err = a.d.opError(netAddr(a.to), err)
	if errors.Is(err, syscall.EBADF) {
		if _, errno := a.d.c.e.Sys.Mode(a.fd); errno == syscall.EBADF {
			// Somebody has closed it behind us: the number may be a stranger's.
			a.d.c.e.Unregister(a.token)
			a.fd = -1
		}
	}
	a.close()
	a.d.running--
	a.d.next = 0
}

// close gives back what the attempt holds, if it holds anything.
func (a *attempt) close() {
	if a.fd < 0 {
		return
	}
	e := a.d.c.e
	e.Disarm(&a.timer)
	e.Unregister(a.token)
	e.CloseFD(a.fd)
	a.fd = -1
}

// Fail is the engine's: the poller refuses the descriptor. When the loop
// closes, the Conn has ended already.
func (a *attempt) Fail(err error) {
	if !a.d.over() {
		a.fail(err)
		a.d.step()
	}
}

// Flush and Finish are never asked for.
func (a *attempt) Flush()           {}
func (a *attempt) Finish()          {}
func (a *attempt) Describe() string { return a.d.c.String() }
