//go:build unix && !linux

package sys

import (
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

const soPassCred = 0

type packetRoom struct{}

// RecvPackets makes a call a packet: what several systems have for batches is
// theirs alone, and x/sys knows none of it. Each costs an address.
func (r *real) RecvPackets(fd int, ps []Packet, sequenced bool) (int, syscall.Errno) {
	for i := range ps[:min(len(ps), PacketBatch)] {
		p := &ps[i]
		n, _, flags, from, err := unix.Recvmsg(fd, p.Buf, nil, msgDontWait)
		if i > 0 && err == unix.EAGAIN {
			return i, 0
		}
		if err != nil {
			return i, errno(err)
		}
		if sequenced && n == 0 && flags&unix.MSG_EOR == 0 {
			return i, 0 // comes again; an empty packet looks the same but where its sender ends records
		}
		p.Size, p.Addr, p.Truncated = n, addr(from), flags&unix.MSG_TRUNC != 0
	}
	return min(len(ps), PacketBatch), 0
}

func (r *real) SendPackets(fd int, ps []Packet) (int, syscall.Errno) {
	for i := range ps[:min(len(ps), PacketBatch)] {
		var to unix.Sockaddr
		if ps[i].Addr.Family != 0 {
			sa, e := sockaddr(ps[i].Addr)
			if e != 0 && i == 0 {
				return 0, e
			}
			if e != 0 {
				return i, 0 // it comes again
			}
			to = sa
		}
		if _, err := unix.SendmsgN(fd, ps[i].Buf, nil, to, msgDontWait); err != nil {
			if i > 0 {
				return i, 0
			}
			return 0, errno(err)
		}
	}
	return min(len(ps), PacketBatch), 0
}

func (r *real) PacketError(fd int) syscall.Errno {
	pending, _ := r.SockError(fd)
	return pending
}

func (r *real) Membership(fd int, m Membership) syscall.Errno {
	if m.Source.IsValid() {
		return syscall.EOPNOTSUPP
	}
	if m.Group.Is6() {
		option := unix.IPV6_JOIN_GROUP
		if m.Leave {
			option = unix.IPV6_LEAVE_GROUP
		}
		mreq := unix.IPv6Mreq{Multiaddr: m.Group.As16()}
		mreq.Interface = interfaceIndex(mreq.Interface, m.Interface)
		return errno(unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, option, &mreq))
	}
	option := unix.IP_ADD_MEMBERSHIP
	if m.Leave {
		option = unix.IP_DROP_MEMBERSHIP
	}
	own, e := interfaceAddr(m.Interface)
	if e != 0 {
		return e
	}
	return errno(unix.SetsockoptIPMreq(fd, unix.IPPROTO_IP, option, &unix.IPMreq{Multiaddr: m.Group.As4(), Interface: own}))
}

func (r *real) MulticastInterface(fd int, f Family, index int) syscall.Errno {
	if f == Inet6 {
		return errno(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index))
	}
	own, e := interfaceAddr(index)
	if e != 0 {
		return e
	}
	return errno(unix.SetsockoptInet4Addr(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, own))
}

// interfaceIndex is index in the type that a system has for it.
func interfaceIndex[T int32 | uint32](_ T, index int) T { return T(index) }

// interfaceAddr is an interface's first IPv4 address, by which these systems know
// it; that of 0 leaves the choice to them.
func interfaceAddr(index int) ([4]byte, syscall.Errno) {
	if index == 0 {
		return [4]byte{}, 0
	}
	ifi, err := net.InterfaceByIndex(index)
	if err != nil {
		return [4]byte{}, syscall.ENXIO
	}
	addrs, _ := ifi.Addrs()
	for _, a := range addrs {
		if ipnet, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(ipnet.IP); ok && ip.Unmap().Is4() {
				return ip.Unmap().As4(), 0
			}
		}
	}
	return [4]byte{}, syscall.EADDRNOTAVAIL
}
