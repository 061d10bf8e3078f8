package sim

import (
	"net/netip"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

func (s *tcp) listen(backlog int) syscall.Errno {
	switch {
	case s.state == tcpListening:
		s.backlog = max(backlog, 0)
		return 0
	case s.state != tcpClosed || s.told != toldNothing:
		return syscall.EINVAL
	case !s.taken:
		if e := s.ports().bind(&s.binding, 0, s.p.k.now); e != 0 {
			return e
		}
	}
	s.listening = true
	if !s.ports().free(&s.binding, s.number, s.p.k.now) {
		s.listening = false
		return syscall.EADDRINUSE
	}
	s.state, s.backlog = tcpListening, max(backlog, 0)
	s.noRead, s.noWrite, s.err = false, false, 0
	s.touch()
	return 0
}

func (s *tcp) accept() (socket, sys.Addr, syscall.Errno) {
	switch {
	case s.state != tcpListening:
		return nil, sys.Addr{}, syscall.EINVAL
	case len(s.waiting) == 0:
		return nil, sys.Addr{}, syscall.EAGAIN
	}
	c := s.waiting[0]
	s.waiting[0] = nil
	s.waiting = s.waiting[1:]
	c.listener = nil
	return c, inetAddr(c.family, c.to), 0
}

// listenerFor returns the one that connections to an address go to.
func (h *host) listenerFor(k *Kernel, to netip.AddrPort, id int) *tcp {
	p := h.tcp.by[to.Port()]
	if p == nil {
		return nil
	}
	var found []*binding
	best := -1
	for _, b := range p.bound {
		if !b.listening || !b.covers(to.Addr()) {
			continue
		}
		score := 0
		if !b.ip.IsUnspecified() {
			score++
		}
		if b.v6 == to.Addr().Is6() {
			score++
		}
		if score > best {
			best, found = score, found[:0]
		}
		if score == best {
			found = append(found, b)
		}
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return found[0].owner.(*tcp)
	}
	return found[k.tape.Choose("reuseport", id, len(found))].owner.(*tcp)
}

// full tells whether a SYN is dropped.
func (s *tcp) full() bool { return len(s.waiting)+s.coming > s.backlog }

// child makes the socket for a connection from c.
func (s *tcp) child(c *tcp) *tcp {
	n := s.p.tcp(s.family)
	n.only6, n.reuseAddr, n.reusePort, n.broadcast = s.only6, s.reuseAddr, s.reusePort, s.broadcast
	n.sendRoom, n.recvRoom, n.linger = s.sendRoom, s.recvRoom, s.linger
	n.binding.accepted = true
	n.ip, n.to = c.to.Addr(), c.addr()
	n.ports().take(&n.binding, s.number)
	n.peer, n.listener = c, s
	n.state, n.told = tcpSynReceived, toldMade
	s.coming++
	return n
}

// arrived is called when a child's connection is made.
func (s *tcp) arrived() {
	s.state = tcpEstablished
	if l := s.listener; l != nil {
		l.coming--
		l.waiting = append(l.waiting, s)
		l.touch()
	}
}

// stopListening resets those that were not accepted. Those that were being made
// meet a reset when they arrive.
func (s *tcp) stopListening() {
	s.state, s.listening = tcpClosed, false
	s.lose()
	for _, c := range s.waiting {
		c.listener, c.orphan = nil, true
		c.abort()
	}
	s.waiting = nil
}
