package channel

import (
	"net"
	"net/netip"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// SetReadBuffer asks the kernel for room for so many bytes of packets that have
// come and were not read (SO_RCVBUF); there is a limit (net.core.rmem_max), and
// Linux counts what it needs besides.
func (c *PacketConn) SetReadBuffer(bytes int) error { return c.setOption(sys.ReadBuffer, bytes) }

// SetWriteBuffer is SetReadBuffer for packets on their way out (SO_SNDBUF). A Unix
// socket's largest packet depends on it.
func (c *PacketConn) SetWriteBuffer(bytes int) error { return c.setOption(sys.WriteBuffer, bytes) }

// SetBroadcast allows sending to broadcast addresses (SO_BROADCAST), which is
// EACCES otherwise.
func (c *PacketConn) SetBroadcast(on bool) error { return c.setOption(sys.Broadcast, number(on)) }

// SetMulticast sets how packets to multicast groups go out: on which interface, nil
// for the system's choice; how many networks they may pass, 1 to stay in this one
// and 0 for the machine; and whether members on this machine get them too
// (IP_MULTICAST_IF, IP_MULTICAST_TTL, IP_MULTICAST_LOOP, and IPv6's). Without it
// that is nil, 1 and true.
func (c *PacketConn) SetMulticast(ifi *net.Interface, ttl int, loopback bool) error {
	fd, err := c.inet("set")
	if err != nil {
		return err
	}
	if ttl < 0 || ttl > 255 {
		return c.sysError("set", "setsockopt", nil, syscall.EINVAL) // some would take it for another one
	}
	s := c.e.Sys
	// A socket of both families has the options of both, where the system lets it.
	check := func(own bool, errno syscall.Errno) {
		if own && errno != 0 && err == nil {
			err = c.sysError("set", "setsockopt", nil, errno)
		}
	}
	six := c.family == sys.Inet6
	check(true, s.MulticastInterface(fd, c.family, interfaceIndex(ifi)))
	check(!six, s.SetOption(fd, sys.MulticastTTL, ttl))
	check(!six, s.SetOption(fd, sys.MulticastLoop, number(loopback)))
	if six {
		check(true, s.SetOption(fd, sys.MulticastHops, ttl))
		check(true, s.SetOption(fd, sys.MulticastLoop6, number(loopback)))
	}
	return err
}

// JoinGroup joins a multicast group on an interface, nil for the system's choice:
// what is sent to the group and the PacketConn's port is received
// (IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP). With a source it is what that sends only
// (RFC 3678), on Linux; elsewhere the error is EOPNOTSUPP. Membership ends with the
// PacketConn.
//
// Linux delivers to a socket bound to all addresses what was sent to any group of
// its port that any socket of the machine has joined: bind to the group's address
// where that is wrong.
func (c *PacketConn) JoinGroup(ifi *net.Interface, group netip.Addr, source ...netip.Addr) error {
	return c.membership("join", ifi, group, source, false)
}

// LeaveGroup ends JoinGroup with the same arguments.
func (c *PacketConn) LeaveGroup(ifi *net.Interface, group netip.Addr, source ...netip.Addr) error {
	return c.membership("leave", ifi, group, source, true)
}

func (c *PacketConn) membership(op string, ifi *net.Interface, group netip.Addr, source []netip.Addr, leave bool) error {
	fd, err := c.inet(op)
	if err != nil {
		return err
	}
	if len(source) == 0 {
		source = []netip.Addr{{}}
	}
	group = group.Unmap()
	for _, from := range source {
		from = from.Unmap()
		errno := syscall.EINVAL
		if group.IsMulticast() && (!from.IsValid() || from.Is4() == group.Is4()) {
			errno = c.e.Sys.Membership(fd, sys.Membership{Group: group, Source: from, Interface: interfaceIndex(ifi), Leave: leave})
		}
		if errno != 0 {
			return c.sysError(op, "setsockopt", net.UDPAddrFromAddrPort(netip.AddrPortFrom(group, 0)), errno)
		}
	}
	return nil
}

// inet returns the descriptor of a socket with IP addresses.
func (c *PacketConn) inet(op string) (int, error) {
	c.e.Check()
	switch {
	case c.ended:
		return -1, c.opError(op, nil, net.ErrClosed)
	case c.family == sys.Unix:
		return -1, c.sysError(op, "setsockopt", nil, syscall.EOPNOTSUPP)
	}
	return c.fd, nil
}

func (c *PacketConn) setOption(o sys.Option, value int) error {
	c.e.Check()
	if c.ended {
		return c.opError("set", nil, net.ErrClosed)
	}
	if errno := c.e.Sys.SetOption(c.fd, o, value); errno != 0 {
		return c.sysError("set", "setsockopt", nil, errno)
	}
	return nil
}

func interfaceIndex(ifi *net.Interface) int {
	if ifi == nil {
		return 0
	}
	return ifi.Index
}
