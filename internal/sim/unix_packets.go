package sim

import (
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// unixPackets is a Unix socket of datagrams, or of sequenced packets. What is
// sent is in the receiver's queue at once, and takes up the sender's room until
// it is read.
type unixPackets struct {
	base
	unixName
	queue
	sequenced bool
	packetEnd bool         // the option was set
	peer      *unixPackets // kept by a sequenced one when it has been closed
	dead      bool
	unread    int // bytes that were sent by this one

	// Datagrams: those whose peer this one is, for they are told when there is
	// room.
	senders []*unixPackets

	// Of one that listens.
	listening bool
	backlog   int
	waiting   []*unixPackets
}

// unixQueueMost is Linux's net.unix.max_dgram_qlen: a socket that has more datagrams
// than that to read takes no others.
const unixQueueMost = 10

func (p *Process) unixPackets(k sys.Kind) *unixPackets {
	return &unixPackets{base: p.base(sys.Unix), sequenced: k == sys.Sequenced}
}

func (s *unixPackets) kind() sys.Kind {
	if s.sequenced {
		return sys.Sequenced
	}
	return sys.Datagram
}

// join makes peer the one that s sends to.
func (s *unixPackets) join(peer *unixPackets) {
	s.peer = peer
	peer.senders = append(peer.senders, s)
}

func (s *unixPackets) ready() (b bits) {
	if s.err != 0 {
		b |= fault
	}
	if s.noRead {
		b |= in | peerShut
	}
	if s.noRead && s.noWrite {
		b |= hup | peerGone
	}
	if s.len() > 0 {
		b |= in
	}
	if s.listening {
		if len(s.waiting) > 0 {
			b |= in
		}
		return b
	}
	if s.sequenced && s.peer == nil {
		b |= hup | never
	}
	if s.unread*4 <= s.sendRoom && !s.peer.full(s) {
		b |= out
	}
	return b
}

// full tells whether a datagram of by has no place in the queue. The two of a pair
// have all that the sender has room for.
func (s *unixPackets) full(by *unixPackets) bool {
	return s != nil && s.peer != by && s.len() > unixQueueMost
}

func (s *unixPackets) bind(a sys.Addr) syscall.Errno { return bindUnix(s, &s.unixName, a) }

func (s *unixPackets) listen(backlog int) syscall.Errno {
	switch {
	case !s.sequenced:
		return syscall.EOPNOTSUPP
	case !s.bound || s.peer != nil:
		return syscall.EINVAL
	}
	s.listening, s.backlog = true, max(backlog, 0)
	s.touch()
	return 0
}

func (s *unixPackets) connect(to sys.Addr) syscall.Errno {
	s.nameIfAsked()
	found, e := s.p.host.findUnix(to)
	if e != 0 {
		return e
	}
	l, ok := found.(*unixPackets)
	switch {
	case !ok || l.sequenced != s.sequenced:
		return syscall.EPROTOTYPE
	case !s.sequenced:
		return s.connectDatagram(l)
	case !l.listening || l.noRead:
		return syscall.ECONNREFUSED
	case len(l.waiting) > l.backlog:
		return syscall.EAGAIN
	case s.listening:
		return syscall.EINVAL
	case s.peer != nil:
		return syscall.EISCONN
	}
	c := l.p.unixPackets(sys.Sequenced)
	c.name, c.bound = l.name, true
	c.join(s)
	s.join(c)
	l.waiting = append(l.waiting, c)
	l.touch()
	s.touch()
	return 0
}

func (s *unixPackets) connectDatagram(to *unixPackets) syscall.Errno {
	if to.peer != nil && to.peer != s {
		return syscall.EPERM // it hears only its own peer
	}
	if was := s.peer; was != to {
		s.part()
		s.join(to)
		s.disconnected(was)
	}
	s.touch()
	return 0
}

// disconnected is called when a datagram socket sends to its peer no more. What it
// has received is lost, and the peer that still sends to it is told.
func (s *unixPackets) disconnected(was *unixPackets) {
	if was == nil || s.len() == 0 {
		return
	}
	s.purge()
	if !was.dead && was.peer == s {
		was.err = syscall.ECONNRESET
		was.touch()
	}
}

// purge empties the queue.
func (s *unixPackets) purge() {
	for s.len() > 0 {
		got, _ := s.pop(s.p.k, nil)
		s.taken(got)
	}
}

// part ends being the sender of a peer.
func (s *unixPackets) part() {
	if s.peer == nil {
		return
	}
	for i, other := range s.peer.senders {
		if other == s {
			s.peer.senders = append(s.peer.senders[:i], s.peer.senders[i+1:]...)
			break
		}
	}
	s.peer = nil
}

func (s *unixPackets) accept() (socket, sys.Addr, syscall.Errno) {
	switch {
	case !s.sequenced:
		return nil, sys.Addr{}, syscall.EOPNOTSUPP
	case !s.listening:
		return nil, sys.Addr{}, syscall.EINVAL
	case len(s.waiting) == 0:
		return nil, sys.Addr{}, syscall.EAGAIN
	}
	c := s.waiting[0]
	s.waiting[0] = nil
	s.waiting = s.waiting[1:]
	return c, unixAddr(c.peer.name), 0
}

func (s *unixPackets) local() sys.Addr { return unixAddr(s.name) }

func (s *unixPackets) remote() (sys.Addr, syscall.Errno) {
	if s.peer == nil {
		return sys.Addr{}, syscall.ENOTCONN
	}
	return unixAddr(s.peer.name), 0
}

func (s *unixPackets) hasPeerCred() bool { return s.listening || s.peer != nil }

func (s *unixPackets) send(p []byte) (int, syscall.Errno) {
	if e := s.sendTo(sys.Addr{}, p); e != 0 {
		return 0, e
	}
	return len(p), 0
}

func (s *unixPackets) sendPackets(ps []sys.Packet) (int, syscall.Errno) {
	for i := range ps {
		if e := s.sendTo(ps[i].Addr, ps[i].Buf); e != 0 && i > 0 {
			return i, 0
		} else if e != 0 {
			return 0, e
		}
	}
	return len(ps), 0
}

// packetExtra is what a packet takes of the sender's room beside its bytes.
const packetExtra = 32

func (s *unixPackets) sendTo(a sys.Addr, p []byte) syscall.Errno {
	switch {
	case !s.sequenced && a.Family != 0 && checkUnix(a) != 0:
		return checkUnix(a)
	case s.sequenced && s.err != 0:
		return s.takeError()
	case s.sequenced && s.peer == nil:
		return syscall.ENOTCONN
	}
	s.nameIfAsked()
	switch {
	case len(p) > s.sendRoom-packetExtra:
		return syscall.EMSGSIZE
	case s.err != 0:
		return s.takeError()
	case s.noWrite:
		return syscall.EPIPE
	case s.unread >= s.sendRoom:
		return syscall.EAGAIN
	}
	to, e := s.receiver(a)
	switch {
	case e != 0:
		return e
	case to.dead && s.sequenced:
		return syscall.EPIPE
	case to.dead:
		s.part()
		s.disconnected(to)
		s.touch()
		return syscall.ECONNREFUSED
	case to.peer != nil && to.peer != s:
		return syscall.EPERM
	case to.noRead:
		return syscall.EPIPE
	case !s.sequenced && to.full(s):
		return syscall.EAGAIN
	}
	to.push(s.p.k, packet{data: p, by: s})
	s.unread += len(p) + packetExtra
	to.touch()
	return 0
}

// nameIfAsked gives a name to a socket that has the option, for Linux's comes with
// the sender's credentials, and these with a name.
func (s *unixPackets) nameIfAsked() {
	if s.packetEnd && !s.bound {
		autobind(s, &s.unixName)
	}
}

// receiver is the one that a packet to an address goes to, or to no address. A
// sequenced socket looks at none.
func (s *unixPackets) receiver(a sys.Addr) (*unixPackets, syscall.Errno) {
	switch {
	case !s.sequenced && a.Family != 0:
		found, e := s.p.host.findUnix(a)
		if e != 0 {
			return nil, e
		}
		to, ok := found.(*unixPackets)
		if !ok || to.sequenced {
			return nil, syscall.EPROTOTYPE
		}
		return to, 0
	case s.peer == nil:
		return nil, syscall.ENOTCONN
	}
	return s.peer, 0
}

// taken is called for each packet that was read.
func (s *unixPackets) taken(p packet) {
	p.by.unread -= len(p.data) + packetExtra
	p.by.touch()
	for _, other := range s.senders {
		other.touch()
	}
}

func (s *unixPackets) recv(p []byte) (int, syscall.Errno) {
	if e := s.empty(); e != 0 || s.len() == 0 {
		return 0, e
	}
	got, n := s.pop(s.p.k, p)
	s.taken(got)
	return n, 0
}

// empty tells what recv returns instead of a packet; 0 is one, or the end.
func (s *unixPackets) empty() syscall.Errno {
	switch {
	case s.sequenced && s.peer == nil:
		return syscall.ENOTCONN
	case s.err != 0:
		return s.takeError()
	case s.len() > 0, s.noRead && s.sequenced:
		return 0
	}
	return syscall.EAGAIN
}

func (s *unixPackets) recvPackets(ps []sys.Packet, _ bool) (int, syscall.Errno) {
	for i := range ps {
		if s.err != 0 && i > 0 {
			return i, 0
		}
		e := s.empty()
		switch {
		case e != 0 && i > 0:
			return i, 0
		case e != 0:
			return 0, e
		case s.len() == 0:
			return i, 0
		}
		s.taken(s.fill(s.p.k, &ps[i]))
	}
	return len(ps), 0
}

func (s *unixPackets) recvUrgent() (byte, syscall.Errno) {
	if s.sequenced && s.peer == nil {
		return 0, syscall.ENOTCONN
	}
	return 0, syscall.EOPNOTSUPP
}

func (s *unixPackets) shutdown(read, write bool) syscall.Errno {
	s.noRead, s.noWrite = s.noRead || read, s.noWrite || write
	s.touch()
	if s.sequenced && s.peer != nil {
		s.peer.noRead, s.peer.noWrite = s.peer.noRead || write, s.peer.noWrite || read
		s.peer.touch()
	}
	return 0
}

func (s *unixPackets) setOption(o sys.Option, value int) syscall.Errno {
	if o == sys.PacketEnd {
		s.packetEnd = value != 0
	}
	return s.unixOption(o, value)
}

func (s *unixPackets) released() {
	s.unbind(s.p.host)
	s.dead = true
	for _, c := range s.waiting {
		c.hangUp(true)
		c.purge()
	}
	s.waiting = nil
	s.hangUp(s.len() > 0)
	s.purge()
	for _, other := range s.senders {
		other.touch()
	}
	if !s.sequenced {
		s.part()
	}
}

// hangUp ends the peer's connection. It is an error if something was not read.
func (s *unixPackets) hangUp(reset bool) {
	s.dead = true
	if !s.sequenced || s.peer == nil {
		return
	}
	s.peer.noRead, s.peer.noWrite = true, true
	if reset {
		s.peer.err = syscall.ECONNRESET
	}
	s.peer.touch()
}
