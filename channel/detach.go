package channel

import (
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// Detached is what has left its loop: a descriptor and the input that was read
// from it and not used. It belongs to whoever has it, on any goroutine. Conn,
// Listener and File take the descriptor over, also where they fail; otherwise it
// is to be closed, by Close.
//
// The descriptor is close-on-exec, and non-blocking unless it was blocking when
// the loop got it.
type Detached struct {
	FD     int    // -1 where somebody has closed it behind the loop's back
	Unread []byte // the owner's to keep
}

var errNoFD = &net.OpError{Op: "file", Net: "descriptor", Err: syscall.EBADF}

// Conn makes a connection of package net of it, whose first Reads give Unread.
func (d Detached) Conn() (net.Conn, error) {
	f := d.File()
	if f == nil {
		return nil, errNoFD
	}
	defer f.Close()
	nc, err := net.FileConn(f)
	if err != nil || len(d.Unread) == 0 {
		return nc, err
	}
	sc, ok := nc.(streamConn)
	if !ok {
		nc.Close()
		return nil, &net.OpError{Op: "file", Net: networkOf(nc.RemoteAddr()), Err: syscall.EPROTOTYPE}
	}
	return &leftover{streamConn: sc, unread: d.Unread}, nil
}

// Listener makes a listener of package net of it.
func (d Detached) Listener() (net.Listener, error) {
	f := d.File()
	if f == nil {
		return nil, errNoFD
	}
	defer f.Close()
	return net.FileListener(f)
}

// File makes a file of it, for pipes, terminals and devices; nil where FD is
// negative. Unread is left to the caller.
func (d Detached) File() *os.File { return os.NewFile(uintptr(d.FD), "detached") }

// Adopt makes a Conn of it on another loop, or the same one: AdoptFD, with Unread
// as the first input. On an error the descriptor is still the caller's.
func (d Detached) Adopt(l *loop.Loop, h *Handler) (*Conn, error) {
	c, err := AdoptFD(l, d.FD, h)
	if err == nil {
		c.Unread(d.Unread)
	}
	return c, err
}

// Close closes the descriptor.
func (d Detached) Close() error { return d.File().Close() }

// streamConn is what a *net.TCPConn and a *net.UnixConn have in common.
type streamConn interface {
	net.Conn
	syscall.Conn
	CloseRead() error
	CloseWrite() error
}

// leftover is a connection of which a loop has read more than was used. It has
// no WriteTo: the TCPConn's would skip the first bytes.
type leftover struct {
	streamConn
	mu     sync.Mutex
	unread []byte
}

func (lo *leftover) Read(p []byte) (int, error) {
	lo.mu.Lock()
	n := copy(p, lo.unread)
	lo.unread = lo.unread[n:]
	lo.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	return lo.streamConn.Read(p)
}

// Close ends what Read gives, too.
func (lo *leftover) Close() error {
	lo.take()
	return lo.streamConn.Close()
}

// SyscallConn hides what package os would recognize a socket of package net by:
// a File's ReadFrom would splice from it, past the first bytes.
func (lo *leftover) SyscallConn() (syscall.RawConn, error) {
	raw, err := lo.streamConn.SyscallConn()
	if err != nil {
		return nil, err
	}
	return struct{ syscall.RawConn }{raw}, nil
}

// take returns what Read has not given.
func (lo *leftover) take() []byte {
	lo.mu.Lock()
	defer lo.mu.Unlock()
	p := lo.unread
	lo.unread = nil
	return p
}

// Detach gives the connection or file away when all that is queued has gone
// out, producers included: reading stops at once, no callback comes but
// Handler.Close, with nil, and then take is called, on the loop, with the
// descriptor and what Unread gave back. What the peer sends stays in the
// kernel meanwhile. Where the output cannot be sent, or the Conn ends for
// another reason first, as by Abort, Handler.Close has that and take is not
// called. A dial is waited for, and so is a producer that is parked, without a
// limit of its own.
//
// It returns net.ErrClosed if the Conn was closed, closing or detached already,
// and the reason where writing has failed.
func (c *Conn) Detach(take func(Detached)) error {
	c.e.Check()
	switch {
	case take == nil:
		panic("channel: Detach: function is nil")
	case c.is(ended | finished | draining | detaching):
		return c.opError("detach", net.ErrClosed)
	case c.is(broken):
		return c.reason
	}
	if c.leaving == nil {
		c.leaving = map[*Conn]func(Detached){}
	}
	c.leaving[c] = take
	c.state |= detaching
	c.dirty()
	c.watch()
	return nil
}

// detached ends a Conn whose output has gone out.
func (c *Conn) detached() {
	c.state |= givenAway
	c.end(nil)
}

// closeCallback is Handler.Close, and then the end of a Detach, also after a
// panic: nobody else has the descriptor.
func (c *Conn) closeCallback(d Detached) {
	if take := c.leaving[c]; take != nil {
		delete(c.leaving, c)
		if c.is(givenAway) {
			defer take(d)
		}
	}
	if c.h.Close != nil {
		c.h.Close(c, c.reason)
	}
}
