package sim

import (
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

func (s *tcp) send(p []byte) (int, syscall.Errno) {
	switch {
	case s.state == tcpSynSent || s.state == tcpSynReceived:
		return 0, syscall.EAGAIN
	case s.err != 0:
		return 0, s.takeError()
	case s.state != tcpEstablished || s.noWrite:
		return 0, syscall.EPIPE
	case len(p) == 0:
		return 0, 0
	}
	n := 0
	if s.wire == nil && s.out.len() == 0 && !s.peer.refuses() {
		// The short way, without a copy in between.
		n = min(s.peer.window(), len(p))
		s.peer.take(p[:n])
	}
	if rest := min(s.sendRoom-s.out.len(), len(p)-n); rest > 0 {
		s.out.write(p[n : n+rest])
		n += rest
		s.push()
	}
	if n == 0 {
		return 0, syscall.EAGAIN
	}
	return n, 0
}

// window is how many bytes there is room for. An urgent byte that is the next to be
// read takes none: it is passed only when what is behind it is read.
func (s *tcp) window() int {
	if s.refuses() {
		return 1 << 30 // they meet a reset
	}
	held := s.in.len()
	if s.urgent.here() {
		held--
	}
	return max(s.recvRoom-held, 0)
}

// refuses tells whether data that arrives is answered by a reset: there is nobody
// who could read it.
func (s *tcp) refuses() bool {
	return s.state == tcpClosed || s.noRead && s.finAsked && !s.finSeen
}

// take puts what has arrived into the buffer.
func (s *tcp) take(p []byte) {
	s.in.write(p)
	s.urgent.arrived += int64(len(p))
	s.touch()
}

// push sends what there is room for at the peer, and the end when all is sent.
func (s *tcp) push() {
	if s.state != tcpEstablished {
		return
	}
	unsent := s.out.len() - s.flying
	if n := min(unsent, s.peer.window()-s.flying); n > 0 {
		unsent -= n
		if s.wire == nil {
			s.deliver(n)
		} else {
			s.flying += n
			s.wire.sendBytes(n)
		}
	}
	if s.finAsked && !s.finSent && unsent == 0 && s.state == tcpEstablished {
		s.finSent = true
		s.overWire(s.finDelivered)
	}
}

// overWire has fn run behind all that was sent before.
func (s *tcp) overWire(fn func()) {
	if s.wire == nil {
		fn()
		return
	}
	s.wire.send(fn)
}

// deliver has the first n bytes of out arrive.
func (s *tcp) deliver(n int) {
	n = min(n, s.out.len())
	if s.peer.refuses() {
		s.refuseMarks(n)
		s.out.drop(n)
		s.peer.refuse()
		return
	}
	s.peer.take(s.out.bytes()[:n])
	s.out.drop(n)
	s.passMarks()
	s.touch()
	if s.peer.urgent.here() && s.out.len() > s.flying {
		s.push() // the urgent byte has turned out to take no room
	}
}

func (s *tcp) recv(p []byte) (int, syscall.Errno) {
	switch {
	case s.state == tcpListening:
		return 0, syscall.ENOTCONN
	case s.state == tcpSynSent && !s.noRead:
		return 0, syscall.EAGAIN
	case len(p) == 0 && s.in.len() > 0:
		return 0, 0
	}
	s.skipUrgent()
	switch {
	case s.in.len() > 0:
		n := s.read(p[:s.upToUrgent(len(p))])
		return n, 0
	case s.finSeen:
		return 0, 0
	case s.err != 0:
		return 0, s.takeError()
	case s.noRead:
		return 0, 0
	case s.state == tcpClosed:
		return 0, syscall.ENOTCONN
	}
	return 0, syscall.EAGAIN
}

// probeAfter is after what time a sender asks whether there is room.
const probeAfter = 200e6

// read takes bytes that are there, and lets the peer send more.
func (s *tcp) read(p []byte) int {
	n := s.in.read(p)
	s.urgent.read += int64(n)
	peer := s.peer
	switch {
	case peer.out.len() <= peer.flying:
	case s.noRead:
		// Nobody who has shut down for reading tells that there is room. The peer
		// asks after a while.
		s.p.k.At(s.p.k.now+probeAfter, peer.push)
	default:
		peer.push()
	}
	return n
}

// arrive is called by the wire.
func (s *tcp) arrive(n int) {
	s.p.k.traced("bytes of connection", s.id, n)
	s.flying -= n
	s.deliver(n)
}

func (s *tcp) recvPackets(ps []sys.Packet, _ bool) (int, syscall.Errno) {
	return recvOne(s, ps)
}

func (s *tcp) sendPackets(ps []sys.Packet) (int, syscall.Errno) {
	return sendEach(s, ps)
}
