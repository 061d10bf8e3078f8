package sim

import (
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// unixStream is a Unix stream socket. What is sent is in the peer's buffer at
// once, and takes up the sender's room until it is read.
type unixStream struct {
	base
	unixName
	peer *unixStream // kept when it has been closed
	in   buffer

	// Of one that listens.
	listening bool
	backlog   int
	waiting   []*unixStream // to be accepted
}

func (p *Process) unixStream() *unixStream { return &unixStream{base: p.base(sys.Unix)} }

func (s *unixStream) kind() sys.Kind {
	if s.listening {
		return sys.Listening
	}
	return sys.Stream
}

// join makes two sockets a pair.
func (s *unixStream) join(peer *unixStream) { s.peer, peer.peer = peer, s }

func (s *unixStream) ready() (b bits) {
	if s.err != 0 {
		b |= fault
	}
	if s.noRead {
		b |= in | peerShut
	}
	if s.noRead && s.noWrite {
		b |= hup | peerGone
	}
	if s.in.len() > 0 {
		b |= in
	}
	if s.listening {
		if len(s.waiting) > 0 {
			b |= in
		}
		return b
	}
	if s.peer == nil {
		b |= hup | never
	}
	if s.peer == nil || s.peer.in.len()*4 <= s.sendRoom {
		b |= out
	}
	return b
}

func (s *unixStream) bind(a sys.Addr) syscall.Errno { return bindUnix(s, &s.unixName, a) }

func (s *unixStream) listen(backlog int) syscall.Errno {
	if !s.bound || s.peer != nil {
		return syscall.EINVAL
	}
	s.listening, s.backlog = true, max(backlog, 0)
	s.touch()
	return 0
}

func (s *unixStream) connect(to sys.Addr) syscall.Errno {
	found, e := s.p.host.findUnix(to)
	if e != 0 {
		return e
	}
	l, ok := found.(*unixStream)
	switch {
	case !ok:
		return syscall.EPROTOTYPE
	case !l.listening || l.noRead:
		return syscall.ECONNREFUSED
	case len(l.waiting) > l.backlog:
		return syscall.EAGAIN
	case s.listening:
		return syscall.EINVAL
	case s.peer != nil:
		return syscall.EISCONN
	}
	c := l.p.unixStream()
	c.name, c.bound = l.name, true
	c.join(s)
	l.waiting = append(l.waiting, c)
	l.touch()
	s.touch()
	return 0
}

func (s *unixStream) accept() (socket, sys.Addr, syscall.Errno) {
	switch {
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

func (s *unixStream) local() sys.Addr { return unixAddr(s.name) }

func (s *unixStream) remote() (sys.Addr, syscall.Errno) {
	if s.peer == nil {
		return sys.Addr{}, syscall.ENOTCONN
	}
	return unixAddr(s.peer.name), 0
}

func (s *unixStream) hasPeerCred() bool { return s.listening || s.peer != nil }

func (s *unixStream) recv(p []byte) (int, syscall.Errno) {
	switch {
	case s.listening, s.peer == nil:
		return 0, syscall.EINVAL
	case s.in.len() > 0:
		n := s.in.read(p)
		s.peer.touch()
		return n, 0
	case s.err != 0:
		return 0, s.takeError()
	case s.noRead:
		return 0, 0
	}
	return 0, syscall.EAGAIN
}

func (s *unixStream) send(p []byte) (int, syscall.Errno) {
	switch {
	case s.peer == nil:
		return 0, syscall.ENOTCONN
	case s.noWrite:
		return 0, syscall.EPIPE
	case len(p) == 0:
		return 0, 0
	case s.err != 0:
		return 0, s.takeError()
	}
	n := min(s.sendRoom-s.peer.in.len(), len(p))
	if n <= 0 {
		return 0, syscall.EAGAIN
	}
	s.peer.in.write(p[:n])
	s.peer.touch()
	return n, 0
}

func (s *unixStream) recvUrgent() (byte, syscall.Errno) { return 0, syscall.EINVAL }

func (s *unixStream) recvPackets(ps []sys.Packet, _ bool) (int, syscall.Errno) {
	return recvOne(s, ps)
}

func (s *unixStream) sendPackets(ps []sys.Packet) (int, syscall.Errno) {
	return sendEach(s, ps)
}

// shutdown works for both ends at once: who reads no more has a peer that
// writes no more.
func (s *unixStream) shutdown(read, write bool) syscall.Errno {
	s.noRead, s.noWrite = s.noRead || read, s.noWrite || write
	s.touch()
	if s.peer != nil {
		s.peer.noRead, s.peer.noWrite = s.peer.noRead || write, s.peer.noWrite || read
		s.peer.touch()
	}
	return 0
}

func (s *unixStream) setOption(o sys.Option, value int) syscall.Errno { return s.unixOption(o, value) }

func (s *unixStream) released() {
	s.unbind(s.p.host)
	for _, c := range s.waiting {
		c.hangUp(true)
	}
	s.waiting = nil
	if s.peer != nil {
		s.hangUp(s.in.len() > 0)
	}
}

// hangUp ends the peer's connection. It is an error if something was not read.
func (s *unixStream) hangUp(reset bool) {
	p := s.peer
	s.in = buffer{}
	p.noRead, p.noWrite = true, true
	if reset {
		p.err = syscall.ECONNRESET
	}
	p.touch()
}
