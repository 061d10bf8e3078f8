package asynctest

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// Peer is the other end of a connection: a client that does what the scenario
// says, in that order. Its methods put down what is to be done, which happens
// when the world runs; Expect and ExpectClosed run it.
//
// A peer reads all that comes unless it was told not to.
type Peer struct {
	w        *World
	id       int // from 1, in the order of Dial
	p        *sim.Process
	link     *sim.Link // to the loop's host; nil: it is on that
	to       sys.Addr
	fd       int // -1: not yet, or no more
	listener int // where it accepts its connection; -1: it does not
	life     *life

	todo      []action
	from      sys.Addr // its own address
	turn      int      // among those that have begun to connect
	connected bool
	arrived   bool // at the loop's host: accept has returned it
	until     int64
	min, max  int // of segments; 0: none are made
	reading   bool

	sent     []byte // that its kernel has taken
	finished bool   // and nothing follows
	got      []byte // that it has received
	seen     int    // of got, by Expect
	eof      bool
	errno    syscall.Errno // the end of the connection, where that was an error
	over     bool          // nothing will come of it any more
	faulted  bool
	shaky    bool // its network was broken for a while
}

// action is one thing to do; do tells whether it has been done, or else whether
// a part of it was. what is for the timeline; empty: do writes its own lines.
type action struct {
	what string
	do   func() (done, some bool)
}

// Dial makes a peer that connects to an address: of a Listener, or whatever has
// an Addr that is a *net.TCPAddr or *net.UnixAddr. A peer of a loopback address or a Unix socket is on the loop's own
// host, where there is no network that could be slow or break.
func (w *World) Dial(to interface{ Addr() net.Addr }) *Peer {
	w.check()
	p := &Peer{w: w, id: len(w.peers) + 1, fd: -1, listener: -1, reading: true}
	p.to = w.target(to.Addr())
	c := sim.ProcessConfig{Name: p.String(), IP: hostIP}
	local := p.to.Family == sys.Unix || p.to.Inet.Addr().IsLoopback()
	if !local {
		c.IP = netip.AddrFrom4([4]byte{10, 1, byte(p.id >> 8), byte(p.id)})
	}
	p.p = w.k.Process(c)
	w.swarm.buffers(w, p.p, p.id)
	if !local {
		p.link = w.k.Link(w.host, p.p)
		w.swarm.link(w, p)
	}
	w.peers = append(w.peers, p)
	p.later("connect to %v", []any{to.Addr()}, p.connect)
	return p
}

// Listen makes a peer that waits for one connection of the loop's, as servers do
// that code under test dials. The network is tcp, tcp4, tcp6 or unix, the address
// numeric, or a Unix socket's; its host is the peer's own, be it 10.2.0.1, or the
// loop's, for a loopback address.
func (w *World) Listen(network, address string) *Peer {
	w.check()
	p := &Peer{w: w, id: len(w.peers) + 1, fd: -1, listener: -1, reading: true, arrived: true}
	c := sim.ProcessConfig{Name: p.String(), IP: hostIP}
	at := sys.Addr{Family: sys.Unix, Path: address}
	switch network {
	case "unix":
	case "tcp", "tcp4", "tcp6":
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			w.Fatalf("listen %s %s: %v", network, address, err)
		}
		at = sys.Addr{Family: sys.Inet, Inet: ap}
		if ap.Addr().Is6() {
			at.Family = sys.Inet6
		}
		if !ap.Addr().IsLoopback() {
			c.IP = ap.Addr()
		}
	default:
		w.Fatalf("listen %s %s: a peer's networks are tcp, tcp4, tcp6 and unix", network, address)
	}
	p.p = w.k.Process(c)
	w.swarm.buffers(w, p.p, p.id)
	if c.IP != hostIP {
		p.link = w.k.Link(w.host, p.p)
		w.swarm.link(w, p)
	}
	p.listen(at)
	w.peers = append(w.peers, p)
	return p.later("accept a connection at %s", []any{address}, p.accept)
}

// target is an address as a peer dials it.
func (w *World) target(a net.Addr) sys.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		at := a.AddrPort()
		ip := at.Addr().Unmap()
		if ip.IsUnspecified() {
			ip = hostIP
		}
		f := sys.Inet
		if ip.Is6() {
			f = sys.Inet6
		}
		return sys.Addr{Family: f, Inet: netip.AddrPortFrom(ip, at.Port())}
	case *net.UnixAddr:
		return sys.Addr{Family: sys.Unix, Path: a.Name}
	}
	w.Fatalf("a peer cannot dial %v (%T)", a, a)
	return sys.Addr{}
}

// String is the peer's name in timelines.
func (p *Peer) String() string { return fmt.Sprintf("peer %d", p.id) }

// Faulted tells whether a fault has hit this peer's connection that may have ended
// it. From then on Expect and ExpectClosed do not fail.
func (p *Peer) Faulted() bool {
	return p.faulted || p.w.global || p.shaky && p.life != nil && isTimeout(p.life.err)
}

func (p *Peer) note(format string, args ...any) { p.w.note(p.String(), format, args...) }

// later puts down something to do.
func (p *Peer) later(what string, args []any, do func() (done, some bool)) *Peer {
	p.w.check()
	p.todo = append(p.todo, action{fmt.Sprintf(what, args...), do})
	return p
}

// once is later for what succeeds or fails at once.
func (p *Peer) once(what string, do func() syscall.Errno) *Peer {
	return p.later(what, nil, func() (bool, bool) {
		e := do()
		if e != 0 {
			p.note("%s: %v", what, e)
		}
		return true, true
	})
}

// Send sends text, a part after the other as the connection takes them.
func (p *Peer) Send(text string) *Peer {
	rest := []byte(text)
	lowest, highest := p.min, p.max
	return p.later("", nil, func() (bool, bool) {
		n, e := p.send(rest[:p.segment(len(rest), lowest, highest)])
		if n > 0 {
			p.note("send %s", excerptOf{rest[:n]})
		}
		rest = rest[n:]
		switch {
		case e == syscall.EAGAIN:
			return false, false
		case e != 0:
			p.fail(e)
			return true, true
		}
		p.gap(highest > 0)
		return len(rest) == 0, true
	})
}

// Chop has what is sent from now on go in segments of min to max bytes, with
// pauses between some of them. Chop(0, 0) ends that.
func (p *Peer) Chop(min, max int) *Peer {
	p.min, p.max = min, max
	return p
}

// Urgent sends an out-of-band byte.
func (p *Peer) Urgent(b byte) *Peer {
	return p.once("urgent", func() syscall.Errno { return p.p.SendUrgent(p.fd, b) })
}

// HalfClose ends what the peer sends; it goes on to receive.
func (p *Peer) HalfClose() *Peer {
	return p.once("half-close", func() syscall.Errno {
		p.finished = true
		return p.p.Shutdown(p.fd, false, true)
	})
}

// Close closes the connection. The loop's end is reset if it has sent what the
// peer has not read, or sends more.
func (p *Peer) Close() *Peer {
	return p.once("close", func() syscall.Errno {
		p.receive()
		p.discard()
		return 0
	})
}

// Reset breaks the connection off: what is on its way is lost.
func (p *Peer) Reset() *Peer {
	return p.once("reset", func() syscall.Errno {
		e := p.p.Reset(p.fd)
		p.fd, p.over, p.todo = -1, true, nil
		return e
	})
}

// StopReading leaves what comes in the kernel, whose buffer is soon full.
func (p *Peer) StopReading() *Peer {
	return p.once("stop reading", func() syscall.Errno { p.reading = false; return 0 })
}

// StartReading ends StopReading.
func (p *Peer) StartReading() *Peer {
	return p.once("start reading", func() syscall.Errno { p.reading = true; return 0 })
}

// Pause has the peer do nothing for d, except read.
func (p *Peer) Pause(d time.Duration) *Peer {
	return p.once("pause", func() syscall.Errno { p.sleep(d); return 0 })
}

// Received returns what has come, all of it since the beginning.
func (p *Peer) Received() []byte { return p.got }

// Expect runs the world until the peer has received text, which must be what
// comes next.
func (p *Peer) Expect(text string) *Peer {
	p.note("Expect(%s)", excerpt([]byte(text)))
	next := func() []byte { return p.got[p.seen:] }
	wrong := func() bool {
		n := min(len(next()), len(text))
		return string(next()[:n]) != text[:n]
	}
	p.await(func() bool { return len(next()) >= len(text) || wrong() })
	switch {
	case p.Faulted():
		return p
	case wrong(), len(next()) < len(text):
		state := p.state()
		if wrong() && !p.ended() {
			state = "" // more may have followed
		}
		p.w.Fatalf("%v: %s%s%s", p, contrast(text, string(next())), state, p.w.hint())
	}
	p.seen += len(text)
	return p
}

// ExpectClosed runs the world until the connection has ended for the peer, with
// EOF or an error, and nothing else has come before.
func (p *Peer) ExpectClosed() *Peer {
	p.note("ExpectClosed()")
	p.await(func() bool { return len(p.got) > p.seen })
	switch {
	case p.Faulted():
	case len(p.got) > p.seen:
		p.w.Fatalf("%v: expected the connection to be closed, received %s", p, excerpt(p.got[p.seen:]))
	case !p.eof && p.errno == 0:
		p.w.Fatalf("%v: expected the connection to be closed%s%s", p, p.state(), p.w.hint())
	}
	return p
}

// await runs the world until the connection has come to its end, or enough. What a
// fault has broken need not come to an end.
func (p *Peer) await(enough func() bool) {
	w := p.w
	w.movedAt = w.k.Now()
	w.drive(math.MaxInt64, func() bool { return p.ended() || enough() }, func(next int64, _ bool) bool {
		return w.still(next, w.c.Timeout) || p.Faulted() && w.still(next, patience)
	})
}

// ended tells that nothing more will be received.
func (p *Peer) ended() bool { return p.over || p.eof || p.errno != 0 }

// state says for a failure's text how the connection stands.
func (p *Peer) state() string {
	switch {
	case p.errno != 0:
		return fmt.Sprintf(", then %v", p.errno)
	case p.eof:
		return ", then the end"
	case p.over:
		return "; it has closed the connection itself"
	case !p.connected:
		return "; it is not connected"
	case !p.reading:
		return "; it does not read"
	}
	return fmt.Sprintf(", and nothing more in %v", p.w.c.Timeout)
}

// wanting tells whether the peer waits for something: that it can go on, or that
// what was sent arrives, and its end.
func (p *Peer) wanting() bool {
	if len(p.todo) > 0 {
		return true
	}
	c := p.conn()
	switch {
	case c == nil:
		return p.connected && !p.ended() && !p.arrived
	case p.life != nil && p.life.closed:
		return p.reading && !p.ended()
	case c.Reading() && (p.over || p.finished || c.BytesRead() < uint64(len(p.sent))):
		return true
	}
	return p.reading && !p.ended() && (c.Buffered() > 0 || c.BytesWritten() > uint64(len(p.got)))
}

// conn is the Conn at the other end; nil if there is none, or if it is not known.
func (p *Peer) conn() *channel.Conn {
	if p.life != nil {
		return p.life.c
	}
	if !p.connected || p.from.Family == sys.Unix {
		return nil
	}
	for c := range channel.Conns(p.w.l) { // one that was dialled
		if a, ok := c.LocalAddr().(*net.TCPAddr); ok && a.AddrPort() == p.from.Inet {
			return c
		}
	}
	return nil
}

// isTimeout tells whether a connection was closed because nothing came.
func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
