package sim

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

const (
	// synFirst is after what time a SYN without an answer is repeated; it
	// doubles each time.
	synFirst = time.Second
	// synTries is how often it is sent until ETIMEDOUT.
	synTries = 7
)

func (s *tcp) connect(to sys.Addr) syscall.Errno {
	switch {
	case s.state == tcpListening:
		return syscall.EISCONN
	case s.told == toldOver:
		return syscall.EINVAL
	case s.told == toldMade:
		return syscall.EISCONN
	case s.told == toldWait && s.state == tcpSynSent:
		return syscall.EALREADY
	case s.told == toldWait && s.state == tcpClosed:
		return s.failedConnect()
	case s.told == toldWait:
		s.told = toldMade
		return 0
	}
	return s.startConnect(to)
}

// failedConnect tells how connect has ended, and makes the socket as good as new:
// what has arrived is lost.
func (s *tcp) failedConnect() syscall.Errno {
	e := s.takeError()
	if e == 0 {
		e = syscall.ECONNABORTED
	}
	s.told = toldNothing
	s.disconnect()
	s.touch()
	return e
}

// disconnect leaves nothing of a connection that has ended.
func (s *tcp) disconnect() {
	s.peer, s.wire, s.to = nil, nil, netip.AddrPort{}
	s.noRead, s.noWrite = false, false
	s.finAsked, s.finSent, s.finArrived, s.finSeen = false, false, false, false
	s.in, s.urgent = buffer{}, urgent{}
	if !s.fixed {
		s.ip = unspecified(s.family)
	}
}

func (s *tcp) startConnect(a sys.Addr) syscall.Errno {
	to, from, e := s.reach(a)
	if e != 0 {
		return e
	}
	if s.taken {
		was := s.ip
		s.ip = from
		if _, there := s.p.host.connected[pair{s.addr(), to}]; there {
			s.ip = was
			return syscall.EADDRNOTAVAIL
		}
	} else {
		if e := s.ports().borrow(&s.binding, s.p.k.now); e != 0 {
			return e
		}
		s.ip = from
	}
	s.to = to
	s.p.host.connected[pair{s.addr(), to}] = struct{}{}
	s.state, s.told, s.tries = tcpSynSent, toldWait, 0
	if to == s.addr() {
		s.peer, s.state = s, tcpEstablished // both ends of it
		s.touch()
		return syscall.EINPROGRESS
	}
	s.sendSyn()
	return syscall.EINPROGRESS
}

// sendSyn begins the handshake, or does so again.
func (s *tcp) sendSyn() {
	if s.state != tcpSynSent {
		return // closed meanwhile
	}
	k := s.p.k
	h := s.p.host.find(k, s.to.Addr())
	if h == nil {
		s.synLost()
		return
	}
	if s.wire == nil {
		s.wire = k.wire(s.p.host, h, s)
	}
	switch {
	case s.wire == nil:
		s.synArrived(h)
	case s.wire.link.partitioned:
		s.synLost()
	default:
		s.wire.send(func() { s.synArrived(h) })
	}
}

// synLost has the SYN sent again later.
func (s *tcp) synLost() {
	k := s.p.k
	wait := int64(synFirst) << s.tries
	s.tries++
	k.At(k.now+wait, func() {
		switch {
		case s.state != tcpSynSent:
		case s.tries == synTries:
			s.fail(syscall.ETIMEDOUT)
		default:
			s.sendSyn()
		}
	})
}

// synArrived happens at the other host.
func (s *tcp) synArrived(h *host) {
	if s.state != tcpSynSent {
		return
	}
	l := h.listenerFor(s.p.k, s.to, s.id)
	switch {
	case l == nil:
		s.refused()
		return
	case l.full():
		s.synLost()
		return
	}
	c := l.child(s)
	if s.wire == nil {
		s.established(c)
		c.arrived()
		return
	}
	c.wire = s.wire.back(c)
	c.wire.send(func() {
		if s.state != tcpSynSent {
			c.resetArrived()
			return
		}
		s.established(c)
		s.wire.send(func() { c.acknowledged() })
	})
}

// refused has nobody listen: a reset comes back.
func (s *tcp) refused() {
	if s.wire == nil {
		s.resetArrived()
		return
	}
	s.wire.back(s).send(s.resetArrived)
}

// established is called when the client knows of the connection.
func (s *tcp) established(c *tcp) {
	s.peer, s.state = c, tcpEstablished
	s.touch()
}

// acknowledged is called when the listener's side knows that the client does.
func (s *tcp) acknowledged() {
	switch {
	case s.state != tcpSynReceived:
	case s.listener.state != tcpListening:
		s.orphan = true
		s.abort()
	default:
		s.arrived()
	}
}
