package asynctest

import (
	"reflect"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// Serve listens, as channel.Listen does, in the world. What accept returns is
// watched over: that the callbacks come in the promised order, with what the peer
// has sent.
//
// To listen in another way, with a ListenConfig, give it [World.Watch] of the
// accept function.
func (w *World) Serve(network, address string, accept func(*channel.Conn) *channel.Handler) *channel.Listener {
	w.check()
	calm := w.calm
	w.calm = w.calm || !w.sweep // a world without its server shows nothing
	ln, err := channel.Listen(w.l, network, address, w.Watch(accept))
	w.calm = calm
	if err != nil {
		if w.global {
			panic(stop{}) // a fault, and nobody can be served
		}
		w.Fatalf("%v", err)
	}
	return ln
}

// Watch wraps an accept function as Serve does.
func (w *World) Watch(accept func(*channel.Conn) *channel.Handler) func(*channel.Conn) *channel.Handler {
	return func(c *channel.Conn) *channel.Handler {
		lf := &life{w: w, c: c}
		lf.peer = w.sys.owner[descriptor(c)]
		lf.enter("accept")
		defer lf.leave()
		h := accept(c)
		if h == nil {
			return nil
		}
		if lf.peer != nil {
			lf.peer.life = lf
		}
		w.lives = append(w.lives, lf)
		return lf.watch(h)
	}
}

// descriptor is the number of a Conn's descriptor; -1 if it has none.
func descriptor(c *channel.Conn) int {
	fd := -1
	if rc, err := c.SyscallConn(); err == nil {
		rc.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}

// whose is the peer that a listener's descriptor has accepted.
func (w *World) whose(listener int, from sys.Addr) *Peer {
	local, _ := w.host.LocalAddr(listener)
	var found *Peer
	for _, p := range w.peers {
		switch {
		case p.arrived || (p.from.Family == sys.Unix) != (from.Family == sys.Unix):
		case from.Family == sys.Unix: // unnamed: they come in order
			if p.to.Path == local.Path && (found == nil || p.turn < found.turn) {
				found = p
			}
		case p.from.Inet.Port() == from.Inet.Port() && p.from.Inet.Addr().Unmap() == from.Inet.Addr().Unmap():
			found = p
		}
	}
	if found != nil {
		found.arrived = true
	}
	return found
}

// life is what an accepted Conn has seen.
type life struct {
	w       *World
	c       *channel.Conn
	peer    *Peer // at the other end; nil: unknown
	h       *channel.Handler
	read    uint64 // BytesRead at the last Read
	opened  bool
	eof     bool
	closed  bool
	err     error // of Close
	outside bool  // another Handler has taken the place of ours: the rest is not seen
}

// watch returns a Handler that does as h does and keeps an eye on it. What h does
// not have, it does not have either.
func (lf *life) watch(h *channel.Handler) *channel.Handler {
	o := *h
	o.Connect = func(c *channel.Conn) {
		lf.begin("connect")
		defer lf.leave()
		if h.Connect != nil {
			h.Connect(c)
		}
	}
	if h.Read != nil {
		o.Read = func(c *channel.Conn, p []byte) {
			lf.begin("read %s", excerptOf{p})
			defer lf.leave()
			lf.input(p)
			h.Read(c, p)
		}
	}
	if h.Write != nil {
		o.Write = func(c *channel.Conn) {
			lf.begin("write")
			defer lf.leave()
			h.Write(c)
		}
	}
	if h.Urgent != nil {
		o.Urgent = func(c *channel.Conn, b byte) {
			lf.begin("urgent %q", b)
			defer lf.leave()
			h.Urgent(c, b)
		}
	}
	if h.EOF != nil {
		o.EOF = func(c *channel.Conn) {
			lf.begin("eof")
			defer lf.leave()
			lf.ended()
			h.EOF(c)
		}
	}
	o.Close = func(c *channel.Conn, err error) {
		lf.begin("close %v", err)
		defer lf.leave()
		lf.closed, lf.err = true, err
		if h.Close != nil {
			h.Close(c, err)
		}
	}
	lf.h = &o
	return lf.h
}

// excerptOf is excerpt that is made only where it is printed.
type excerptOf struct{ p []byte }

func (e excerptOf) String() string { return excerpt(e.p) }

// replaced tells whether SetHandler has been called since.
func (lf *life) replaced() bool {
	if !lf.outside {
		lf.outside = reflect.ValueOf(lf.c).Elem().FieldByName("h").Pointer() != reflect.ValueOf(lf.h).Pointer()
	}
	return lf.outside
}
