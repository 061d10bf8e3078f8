package sim

import (
	"net/netip"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// udp is a UDP socket.
type udp struct {
	inet
	queue
	lastOut int64 // when the last packet that was sent over a link arrives
}

func (p *Process) udp(f sys.Family) *udp {
	s := &udp{inet: p.inet(f)}
	s.owner = s
	return s
}

func (s *udp) kind() sys.Kind { return sys.Datagram }
func (s *udp) ports() *ports  { return &s.p.host.udp }

func (s *udp) ready() (b bits) {
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
	return b | out
}

func (s *udp) bind(a sys.Addr) syscall.Errno { return s.bindTo(s.ports(), a) }

// autobind gives the socket a port if it has none.
func (s *udp) autobind() syscall.Errno {
	if s.taken {
		return 0
	}
	if s.ports().bind(&s.binding, 0, s.p.k.now) != 0 {
		return syscall.EAGAIN
	}
	return 0
}

func (s *udp) connect(a sys.Addr) syscall.Errno {
	if e := s.autobind(); e != 0 {
		return e
	}
	if s.v6 && a.Family == sys.Inet {
		if s.only6 || s.ip.Is6() && !s.ip.IsUnspecified() {
			return syscall.EAFNOSUPPORT
		}
		a = inetAddr(sys.Inet6, a.Inet)
	}
	to, from, e := s.reach(a)
	if e != 0 {
		return e
	}
	s.ip, s.to = from, to
	s.touch()
	return 0
}

func (s *udp) remote() (sys.Addr, syscall.Errno) {
	if !s.to.IsValid() {
		return sys.Addr{}, syscall.ENOTCONN
	}
	return inetAddr(s.family, s.to), 0
}

// most is how long a packet may be, beside the headers of both protocols.
func most(to netip.Addr) int {
	if to.Is4() {
		return 65507
	}
	return 65527
}

func (s *udp) send(p []byte) (int, syscall.Errno) {
	if e := s.sendTo(sys.Addr{}, p); e != 0 {
		return 0, e
	}
	return len(p), 0
}

func (s *udp) sendPackets(ps []sys.Packet) (int, syscall.Errno) {
	for i := range ps {
		if e := s.sendTo(ps[i].Addr, ps[i].Buf); e != 0 && i > 0 {
			return i, 0
		} else if e != 0 {
			return 0, e
		}
	}
	return len(ps), 0
}

func (s *udp) sendTo(a sys.Addr, p []byte) syscall.Errno {
	if e := s.autobind(); e != 0 {
		return e
	}
	if len(p) > 65535 {
		return syscall.EMSGSIZE
	}
	to, from := s.to, s.ip
	if a.Family != 0 {
		if a.Family == s.family && a.Inet.Port() == 0 {
			return syscall.EINVAL
		}
		var e syscall.Errno
		if s.v6 && a.Family == sys.Inet {
			a = inetAddr(sys.Inet6, a.Inet)
		}
		if to, from, e = s.reach(a); e != 0 {
			return e
		}
	}
	switch {
	case !to.IsValid():
		return syscall.EDESTADDRREQ
	case s.noWrite:
		return syscall.EPIPE
	case isBroadcast(to.Addr()) && !s.broadcast:
		return syscall.EACCES
	case s.err != 0:
		return s.takeError()
	case len(p) > most(to.Addr()):
		return syscall.EMSGSIZE
	}
	s.transmit(netip.AddrPortFrom(from, s.number), to, p)
	return 0
}

func isBroadcast(ip netip.Addr) bool { return ip == netip.AddrFrom4([4]byte{255, 255, 255, 255}) }

// transmit has the packet arrive: at once, or over a link.
func (s *udp) transmit(from, to netip.AddrPort, p []byte) {
	k := s.p.k
	h := s.p.host.find(k, to.Addr())
	if h == nil {
		return
	}
	l := k.between(s.p.host, h)
	if l == nil {
		if !h.arrive(from, to, p) {
			s.unreachable(to)
		}
		return
	}
	t := k.tape
	if l.partitioned || t.Chance("loss", s.id, l.Loss) {
		return
	}
	data := append([]byte(nil), p...)
	arrive := func() {
		if !l.partitioned && !h.arrive(from, to, data) {
			k.At(l.arrival(s.id), func() { s.unreachable(to) })
		}
	}
	at := max(l.arrival(s.id), s.lastOut)
	if t.Chance("reorder", s.id, l.Reorder) {
		at += int64(l.Latency) + int64(time.Duration(1+t.Choose("late", s.id, lateMost))*time.Microsecond)
	} else {
		s.lastOut = at
	}
	k.At(at, arrive)
	if t.Chance("duplicate", s.id, l.Duplicate) {
		k.At(l.arrival(s.id), arrive)
	}
}

// lateMost is how many microseconds a packet that comes late takes besides twice
// the latency.
const lateMost = 10_000

// unreachable is the arrival of the ICMP message that nobody has the port. Only
// who is connected hears of it.
func (s *udp) unreachable(to netip.AddrPort) {
	if s.to == to {
		s.err = syscall.ECONNREFUSED
		s.touch()
	}
}

// arrive gives a packet to the socket that fits best, and tells whether there is
// one.
func (h *host) arrive(from, to netip.AddrPort, data []byte) bool {
	p := h.udp.by[to.Port()]
	if p == nil {
		return false
	}
	var found *udp
	best := -1
	for _, b := range p.bound {
		s := b.owner.(*udp)
		if score := s.score(from, to); score > best {
			best, found = score, s
		}
	}
	if found == nil {
		return false
	}
	if found.queue.bytes+found.len() >= found.recvRoom {
		return true // no room: it is lost
	}
	found.push(h.kernel, packet{data: data, from: inetAddr(found.family, from)})
	found.touch()
	return true
}

// score tells how well a packet fits, -1 if it does not.
func (s *udp) score(from, to netip.AddrPort) int {
	if !s.covers(to.Addr()) || s.to.IsValid() && s.to != from {
		return -1
	}
	score := 0
	if s.to.IsValid() {
		score += 4
	}
	if !s.ip.IsUnspecified() {
		score += 2
	}
	if s.v6 == to.Addr().Is6() {
		score++
	}
	return score
}

func (s *udp) recv(p []byte) (int, syscall.Errno) {
	if e := s.empty(); e != 0 {
		return 0, e
	}
	_, n := s.pop(s.p.k, p)
	return n, 0
}

// empty tells what recv returns instead of a packet.
func (s *udp) empty() syscall.Errno {
	switch {
	case s.err != 0:
		return s.takeError()
	case s.len() == 0:
		return syscall.EAGAIN // also when shut down
	}
	return 0
}

func (s *udp) recvPackets(ps []sys.Packet, _ bool) (int, syscall.Errno) {
	for i := range ps {
		if s.err != 0 && i > 0 {
			return i, 0 // the next call will tell
		}
		e := s.empty()
		switch {
		case e != 0 && i > 0:
			return i, 0
		case e != 0:
			return 0, e
		}
		s.fill(s.p.k, &ps[i])
	}
	return len(ps), 0
}

func (s *udp) shutdown(read, write bool) syscall.Errno {
	s.noRead, s.noWrite = s.noRead || read, s.noWrite || write
	s.touch()
	if !s.to.IsValid() {
		return syscall.ENOTCONN
	}
	return 0
}

func (s *udp) setOption(o sys.Option, value int) syscall.Errno {
	switch o {
	case sys.NoDelay, sys.KeepIdle, sys.KeepInterval, sys.KeepCount, sys.UserTimeout:
		return syscall.ENOPROTOOPT
	}
	return s.inetOption(o, value)
}

// recvUrgent receives a packet, for UDP does not know the flag.
func (s *udp) recvUrgent() (byte, syscall.Errno) {
	var b [1]byte
	n, e := s.recv(b[:])
	if e == 0 && n == 0 {
		e = syscall.EAGAIN
	}
	return b[0], e
}

func (s *udp) released() { s.ports().release(&s.binding) }
