package sim

import (
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// tcp is a TCP socket. Within a host, and between hosts without a link, what
// is sent arrives at once; over a link it goes by its wire.
type tcp struct {
	inet
	state  tcpState
	told   told
	peer   *tcp // kept when it has been closed; nil if there never was one
	wire   *wire
	orphan bool // closed by its process

	in     buffer // arrived
	out    buffer // sent and not arrived
	flying int    // so many bytes of out, its first, are on the wire

	finAsked   bool // nothing will be sent behind out
	finSent    bool // and that is on the wire
	finArrived bool // at the peer
	finSeen    bool // the peer's, here
	first      bool // our FIN was sent before the peer's came

	listener *tcp // of an accepted one that is waiting
	backlog  int
	coming   int    // connections that are being made
	waiting  []*tcp // to be accepted
	tries    int    // SYNs that were sent in vain

	urgent urgent
}

type tcpState uint8

const (
	tcpClosed tcpState = iota
	tcpListening
	tcpSynSent
	tcpSynReceived
	tcpEstablished // and all that follows until both FINs have arrived
)

// told is what connect has told of the connection. Whatever has become of that,
// the next call goes by it.
type told uint8

const (
	toldNothing told = iota
	toldWait         // that it is being made
	toldMade         // that it is there, or shutdown has found it there
	toldOver         // shutdown has found it failed: nothing can be made of the socket
)

func (p *Process) tcp(f sys.Family) *tcp {
	s := &tcp{inet: p.inet(f)}
	s.owner = s
	return s
}

func (s *tcp) kind() sys.Kind {
	if s.state == tcpListening {
		return sys.Listening
	}
	return sys.Stream
}

func (s *tcp) ports() *ports { return &s.p.host.tcp }

func (s *tcp) ready() (b bits) {
	if s.state == tcpListening {
		if len(s.waiting) > 0 {
			b |= in
		}
		return b
	}
	if s.noRead && s.noWrite || s.state == tcpClosed {
		b |= hup
		switch {
		case s.noRead:
			b |= peerGone
		case s.peer == nil:
			b |= never
		}
	}
	if s.noRead {
		b |= in | peerShut
	}
	if s.state != tcpSynSent && s.state != tcpSynReceived {
		if s.readable() {
			b |= in
		}
		if s.noWrite || s.writable() {
			b |= out
		}
		if s.urgent.state == urgentValid {
			b |= pri
		}
	}
	if s.err != 0 {
		b |= fault
	}
	return b
}

// readable tells whether there is a byte that is not the urgent one.
func (s *tcp) readable() bool {
	n := s.in.len()
	if s.urgent.here() {
		n--
	}
	return n > 0
}

// writable asks for a third of the room, as Linux does.
func (s *tcp) writable() bool {
	used := s.out.len()
	free := s.sendRoom - used
	return free > 0 && free >= used/2
}

func (s *tcp) bind(a sys.Addr) syscall.Errno {
	if s.state != tcpClosed {
		if e := s.check(a); e != 0 {
			return e
		}
		return syscall.EINVAL
	}
	return s.bindTo(s.ports(), a)
}

func (s *tcp) remote() (sys.Addr, syscall.Errno) {
	if !s.to.IsValid() || s.state == tcpClosed || s.state == tcpSynSent {
		return sys.Addr{}, syscall.ENOTCONN
	}
	return inetAddr(s.family, s.to), 0
}

func (s *tcp) setOption(o sys.Option, value int) syscall.Errno {
	switch o {
	case sys.KeepIdle, sys.KeepInterval, sys.KeepCount:
		if value < 1 {
			return syscall.EINVAL
		}
		return 0
	case sys.UserTimeout:
		if value < 0 {
			return syscall.EINVAL
		}
		return 0
	case sys.MulticastTTL:
		return syscall.EINVAL
	case sys.MulticastHops:
		return syscall.ENOPROTOOPT
	}
	return s.inetOption(o, value)
}

// released closes: at once, or when all has been sent.
func (s *tcp) released() {
	s.orphan = true
	switch s.state {
	case tcpListening:
		s.stopListening()
	case tcpClosed:
	case tcpSynSent:
		s.finish()
	default:
		if s.linger == 0 || s.in.len() > 0 {
			s.abort()
			break
		}
		s.noRead = true
		s.endOutput()
	}
	if s.state == tcpClosed {
		s.leave()
	}
}

// leave gives the port back.
func (s *tcp) leave() { s.ports().release(&s.binding) }
