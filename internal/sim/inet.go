package sim

import (
	"net/netip"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// inet is what the sockets of TCP and UDP have in common: an address and, if
// they are connected, the peer's.
type inet struct {
	base
	binding
	to netip.AddrPort // the peer; not valid if there is none

	broadcast bool
}

func (p *Process) inet(f sys.Family) inet {
	return inet{
		base:    p.base(f),
		binding: binding{ip: unspecified(f), v6: f == sys.Inet6},
	}
}

// check tells what is wrong with an address of another family.
func (s *inet) check(a sys.Addr) syscall.Errno {
	switch {
	case a.Family == s.family:
		return 0
	case s.v6 && a.Family == sys.Inet:
		return syscall.EINVAL // too short
	}
	return syscall.EAFNOSUPPORT
}

// bindTo takes an address for s.
func (s *inet) bindTo(ps *ports, a sys.Addr) syscall.Errno {
	if e := s.check(a); e != 0 {
		return e
	}
	to := plain(a)
	ip := to.Addr()
	switch {
	case s.taken:
		return syscall.EINVAL
	case s.v6 && s.only6 && ip.Is4():
		return syscall.EINVAL
	case !ip.IsUnspecified() && !s.p.host.has(ip):
		return syscall.EADDRNOTAVAIL
	}
	was := s.ip
	s.ip = ip
	if e := ps.bind(&s.binding, to.Port(), s.p.k.now); e != 0 {
		s.ip = was
		return e
	}
	s.chosen, s.fixed = to.Port() != 0, !ip.IsUnspecified()
	return 0
}

// reach finds where packets to an address go, and where they come from.
func (s *inet) reach(a sys.Addr) (to netip.AddrPort, from netip.Addr, e syscall.Errno) {
	if e := s.check(a); e != 0 {
		return to, from, e
	}
	to = plain(a)
	ip := to.Addr()
	if s.only6 && ip.Is4() {
		return to, from, syscall.ENETUNREACH
	}
	if ip.IsUnspecified() {
		if ip.Is4() {
			ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		} else {
			ip = netip.IPv6Loopback()
		}
		to = netip.AddrPortFrom(ip, to.Port())
	}
	from, ok := s.p.host.source(ip)
	if !ok {
		return to, from, syscall.ENETUNREACH
	}
	if !s.ip.IsUnspecified() {
		if s.ip.Is4() != ip.Is4() {
			return to, from, syscall.ENETUNREACH
		}
		from = s.ip
	}
	return to, from, 0
}

func (s *inet) local() sys.Addr { return inetAddr(s.family, s.addr()) }

// inetOption sets what both have.
func (s *inet) inetOption(o sys.Option, value int) syscall.Errno {
	switch o {
	case sys.ReuseAddr:
		s.reuseAddr = value != 0
	case sys.ReusePort:
		s.reusePort = value != 0
	case sys.Broadcast:
		s.broadcast = value != 0
	case sys.V6Only:
		switch {
		case !s.v6:
			return syscall.ENOPROTOOPT
		case s.taken:
			return syscall.EINVAL
		}
		s.only6 = value != 0
	case sys.PacketEnd:
		return syscall.EOPNOTSUPP
	case sys.MulticastHops, sys.MulticastLoop6:
		if !s.v6 {
			return syscall.ENOPROTOOPT
		}
	default:
		s.socketOption(o, value)
	}
	return 0
}
