package socket

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// Family is an address family, AF_*.
type Family int

// Type is a socket type, SOCK_*.
type Type int

// Proto is a protocol's number, IPPROTO_*.
type Proto int

// Addr is the address of a socket: an InetAddr, Inet6Addr, UnixAddr, NetlinkAddr or
// TIPCAddr, as a value and not as a pointer. Addresses can be compared with == and
// be keys of a map. What the kernel reports of any other family is an Addr too,
// with the raw bytes in hexadecimal as its text, and can be given back to it.
type Addr interface {
	net.Addr
	Family() Family
}

// InetAddr is an address of AF_INET.
type InetAddr struct {
	IP   netip.Addr // IPv4; the zero Addr is 0.0.0.0
	Port uint16
}

// Inet6Addr is an address of AF_INET6.
type Inet6Addr struct {
	IP       netip.Addr // IPv6, without a zone: that is ScopeID; the zero Addr is ::
	Port     uint16
	FlowInfo uint32 // at most 0xfffff; Linux only
	ScopeID  uint32 // the interface's number, for link-local addresses
}

// UnixAddr is an address of AF_UNIX.
type UnixAddr struct {
	// Name is a path, or, where its first byte is NUL, a name in Linux's abstract
	// namespace. The empty one is that of a socket without a name; to Bind, on
	// Linux, it has the kernel choose an abstract one. A path has no NUL in it and
	// at most 107 bytes, elsewhere than on Linux 103; an abstract name has at most
	// 108, the NUL it begins with among them.
	Name string
}

// NetlinkAddr is an address of AF_NETLINK (Linux).
type NetlinkAddr struct {
	PID    uint32 // the port, often a process's ID; 0: the kernel, to Bind: let it choose
	Groups uint32
}

// TIPCAddr is an address of AF_TIPC (Linux), with the fields in the order of
// Python's tuple.
type TIPCAddr struct {
	// AddrType tells what V1, V2 and V3 are. TIPC_ADDR_NAME: type, instance and
	// domain; TIPC_ADDR_NAMESEQ: type, lower and upper; TIPC_ADDR_ID: node, reference
	// and 0.
	AddrType   uint8
	V1, V2, V3 uint32
	Scope      int8 // TIPC_ZONE_SCOPE, _CLUSTER_SCOPE or _NODE_SCOPE
}

// Family returns AF_INET.
func (InetAddr) Family() Family { return afInet }

// Family returns AF_INET6.
func (Inet6Addr) Family() Family { return afInet6 }

// Family returns AF_UNIX.
func (UnixAddr) Family() Family { return afUnix }

// Family returns AF_NETLINK, or AF_UNSPEC where the system has none.
func (NetlinkAddr) Family() Family { return afNetlink }

// Family returns AF_TIPC, or AF_UNSPEC where the system has none.
func (TIPCAddr) Family() Family { return afTIPC }

// Network returns "inet". An address doesn't know whether it is TCP's or UDP's;
// NetAddr makes one that does.
func (InetAddr) Network() string { return "inet" }

// Network returns "inet6".
func (Inet6Addr) Network() string { return "inet6" }

// Network returns "unix".
func (UnixAddr) Network() string { return "unix" }

// Network returns "netlink".
func (NetlinkAddr) Network() string { return "netlink" }

// Network returns "tipc".
func (TIPCAddr) Network() string { return "tipc" }

// String returns the form "127.0.0.1:80".
func (a InetAddr) String() string { return a.AddrPort().String() }

// String returns the form "[fe80::1%2]:80", the scope as a number after the percent
// sign. The flow info isn't in it.
func (a Inet6Addr) String() string { return a.AddrPort().String() }

// String returns the path, or "@name" for an abstract name, with what can't be
// printed escaped as in a Go string, or "" for a socket without a name. A path that
// begins with @ is written "./@path".
func (a UnixAddr) String() string {
	name, abstract := strings.CutPrefix(a.Name, "\x00")
	q := strconv.Quote(name)
	text := strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
	switch {
	case abstract:
		return "@" + text
	case strings.HasPrefix(text, "@"):
		return "./" + text
	}
	return text
}

// String returns the form "pid 1234 groups 0x1".
func (a NetlinkAddr) String() string { return fmt.Sprintf("pid %d groups %#x", a.PID, a.Groups) }

// String returns the fields as numbers, in their order: "type 2 addr 1000,5,0 scope 1".
func (a TIPCAddr) String() string {
	return fmt.Sprintf("type %d addr %d,%d,%d scope %d", a.AddrType, a.V1, a.V2, a.V3, a.Scope)
}

// AddrPort returns the address as package netip has it, with 0.0.0.0 for the zero IP.
func (a InetAddr) AddrPort() netip.AddrPort {
	ip := a.IP
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(ip, a.Port)
}

// AddrPort returns the address as package netip has it, with :: for the zero IP and
// the scope as a numeric zone. The flow info is lost.
func (a Inet6Addr) AddrPort() netip.AddrPort {
	ip := a.IP
	if !ip.IsValid() {
		ip = netip.IPv6Unspecified()
	}
	if a.ScopeID != 0 {
		ip = ip.WithZone(strconv.FormatUint(uint64(a.ScopeID), 10))
	}
	return netip.AddrPortFrom(ip, a.Port)
}

// FromAddrPort returns an InetAddr for an IPv4 address and an Inet6Addr for an IPv6
// one, IPv4-mapped ones included. A zone, a number or an interface's name, becomes
// the scope; one that names no interface stays in the IP, and every call refuses
// such an address. The zero AddrPort gives the zero InetAddr.
func FromAddrPort(ap netip.AddrPort) Addr {
	ip := ap.Addr()
	if !ip.Is6() {
		return InetAddr{IP: ip, Port: ap.Port()}
	}
	a := Inet6Addr{IP: ip, Port: ap.Port()}
	if scope, ok := scopeID(ip.Zone()); ok {
		a.IP, a.ScopeID = ip.WithZone(""), scope
	}
	return a
}

// scopeID returns the number of a zone; 0 is no zone.
func scopeID(zone string) (uint32, bool) {
	if zone == "" {
		return 0, true
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), true
	}
	iface, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, false
	}
	return uint32(iface.Index), true
}

// FromNetAddr turns an address of package net into one of this package: a TCPAddr,
// UDPAddr, IPAddr (its port is 0) or UnixAddr, whose "@name" is an abstract name on
// Linux. An IP in net's 16-byte form of IPv4 is IPv4, and no IP is 0.0.0.0, as in
// package net. An Addr is returned as it is.
func FromNetAddr(na net.Addr) (Addr, error) {
	switch a := na.(type) {
	case Addr:
		return a, nil
	case *net.TCPAddr:
		if a != nil {
			return fromIP(a, a.IP, a.Port, a.Zone)
		}
	case *net.UDPAddr:
		if a != nil {
			return fromIP(a, a.IP, a.Port, a.Zone)
		}
	case *net.IPAddr:
		if a != nil {
			return fromIP(a, a.IP, 0, a.Zone)
		}
	case *net.UnixAddr:
		if a != nil {
			if name, ok := strings.CutPrefix(a.Name, "@"); ok && hasAbstract {
				return UnixAddr{Name: "\x00" + name}, nil
			}
			return UnixAddr{Name: a.Name}, nil
		}
	}
	return nil, fmt.Errorf("socket address from %T: %w", na, errNoAddress)
}

func fromIP(na net.Addr, b net.IP, port int, zone string) (Addr, error) {
	if port < 0 || port > 65535 {
		return nil, &net.AddrError{Err: "port must be 0-65535", Addr: na.String()}
	}
	ip, ok := netip.AddrFromSlice(b)
	if !ok && len(b) > 0 {
		return nil, &net.AddrError{Err: "invalid length of packed IP address string", Addr: na.String()}
	}
	if _, ok := scopeID(zone); !ok {
		return nil, &net.AddrError{Err: "no such interface", Addr: na.String()}
	}
	return FromAddrPort(netip.AddrPortFrom(ip.Unmap().WithZone(zone), uint16(port))), nil
}

// NetAddr turns an address of a socket of type t into package net's: a TCPAddr for
// SOCK_STREAM, a UDPAddr for SOCK_DGRAM, else an IPAddr; or a UnixAddr, in which an
// abstract name begins with @ and a path that does so is written "./@path". The
// flow info is lost. An address of another family is returned as it is.
func NetAddr(a Addr, t Type) net.Addr {
	t &^= sockFlags
	switch a := a.(type) {
	case InetAddr:
		return netAddr(a.AddrPort(), t)
	case Inet6Addr:
		return netAddr(a.AddrPort(), t)
	case UnixAddr:
		network := "unix"
		switch t {
		case sockDgram:
			network = "unixgram"
		case sockSeqpacket:
			network = "unixpacket"
		}
		name := a.Name
		if rest, abstract := strings.CutPrefix(name, "\x00"); abstract {
			name = "@" + rest
		} else if hasAbstract && strings.HasPrefix(name, "@") {
			name = "./" + name
		}
		return &net.UnixAddr{Name: name, Net: network}
	}
	return a
}

func netAddr(ap netip.AddrPort, t Type) net.Addr {
	switch t {
	case sockStream:
		return net.TCPAddrFromAddrPort(ap)
	case sockDgram:
		return net.UDPAddrFromAddrPort(ap)
	}
	return &net.IPAddr{IP: ap.Addr().AsSlice(), Zone: ap.Addr().Zone()}
}

// addrError is what is wrong with an address, in Python's words where it has some.
type addrError struct {
	text string
	err  error // what errors.Is finds
}

func (e *addrError) Error() string { return e.text }

func (e *addrError) Unwrap() error { return e.err }

var (
	errNoAddress = &addrError{"no address of a known type", syscall.EAFNOSUPPORT}
	errFamily    = &addrError{"address family mismatched", syscall.EAFNOSUPPORT}
	errZone      = &addrError{"zone in the IP; it belongs in ScopeID", syscall.EINVAL}
	errFlowInfo  = &addrError{"flowinfo must be 0-1048575", syscall.EINVAL}
	errPathLong  = &addrError{"AF_UNIX path too long", syscall.ENAMETOOLONG}
	errPathNUL   = &addrError{"NUL in an AF_UNIX path", syscall.EINVAL}
	errAbstract  = &addrError{"abstract AF_UNIX name outside Linux", errors.ErrUnsupported}
	errTIPC      = &addrError{"invalid TIPC address", syscall.EINVAL}
)

// check refuses what the kernel, or the way to it, would misread: a wrong kind of
// IP, names that would be cut short. It leaves to the kernel what that can refuse.
func check(a Addr) error {
	switch a := a.(type) {
	case InetAddr:
		if a.IP.IsValid() && !a.IP.Is4() {
			return errFamily
		}
	case Inet6Addr:
		switch {
		case a.IP.IsValid() && !a.IP.Is6():
			return errFamily
		case a.IP.Zone() != "":
			return errZone
		case a.FlowInfo > 0xfffff:
			return errFlowInfo
		}
	case UnixAddr:
		abstract := strings.HasPrefix(a.Name, "\x00")
		switch {
		case abstract && !hasAbstract:
			return errAbstract
		case abstract && len(a.Name) > maxPath+1, !abstract && len(a.Name) > maxPath:
			return errPathLong
		case !abstract && strings.Contains(a.Name, "\x00"):
			return errPathNUL
		}
	case TIPCAddr:
		if a.AddrType < tipcNameSeq || a.AddrType > tipcID || a.AddrType == tipcID && a.V3 != 0 {
			return errTIPC
		}
	case NetlinkAddr, rawAddr:
	default:
		return errNoAddress
	}
	return nil
}

// linux/tipc.h's, here because check is built for all systems.
const (
	tipcNameSeq = 1 // TIPC_ADDR_NAMESEQ
	tipcName    = 2 // TIPC_ADDR_NAME
	tipcID      = 3 // TIPC_ADDR_ID
)

// rawAddr is an address of a family without a type here, as the kernel wrote it
// after the family.
type rawAddr struct {
	family Family
	data   string
}

func (a rawAddr) Family() Family  { return a.family }
func (a rawAddr) Network() string { return a.family.String() }
func (a rawAddr) String() string  { return fmt.Sprintf("%x", a.data) }
