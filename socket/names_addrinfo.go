package socket

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// AI are the flags of GetAddrInfo, by glibc's numbers on every system.
type AI int

// The flags of Hints.
const (
	AI_PASSIVE     AI = 1    // no host means any address, to bind to; else loopback
	AI_CANONNAME   AI = 2    // CanonName of the first answer is set
	AI_NUMERICHOST AI = 4    // the host is numeric: no name is looked up
	AI_V4MAPPED    AI = 8    // AF_INET6: IPv4 addresses, mapped, where there are no IPv6 ones
	AI_ALL         AI = 16   // with AI_V4MAPPED: the IPv4 ones too where there are
	AI_ADDRCONFIG  AI = 32   // no family of which the machine has but loopback addresses
	AI_NUMERICSERV AI = 1024 // the service is a number: no name is looked up

	allAI = AI_PASSIVE | AI_CANONNAME | AI_NUMERICHOST | AI_V4MAPPED | AI_ALL | AI_ADDRCONFIG | AI_NUMERICSERV
)

// Hints narrow what GetAddrInfo answers; zero fields leave it open.
type Hints struct {
	Flags  AI
	Family Family // AF_INET, AF_INET6 or AF_UNSPEC
	Type   Type   // SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, ...
	Proto  Proto  // IPPROTO_TCP, ...
}

// AddrInfo is one answer of GetAddrInfo: what to make a socket of, and the InetAddr
// or Inet6Addr to connect or bind it to.
type AddrInfo struct {
	Family    Family
	Type      Type
	Proto     Proto
	CanonName string // in the first answer, if AI_CANONNAME asked for it
	Addr      Addr
}

// GetAddrInfo translates a host and a service into addresses (getaddrinfo(3)), one
// answer for each address and type of socket. The error is an *AddrInfoError.
//
// The host is an address in a form of InetAton or of InetPton, which may have a zone
// ("fe80::1%lo", "fe80::1%5"), or a name; "" is Python's None: loopback, or with
// AI_PASSIVE any address. The service is a number from 0 to 65535 or a name in the
// services file; "" is none, port 0. One of them must be given.
//
// Addresses of the DNS are in net.Resolver's order, that of RFC 6724 for the routes
// there are; those of the hosts file are in the order of the file, but sorted by
// RFC 6724's precedence, which has ::1 before IPv6 before IPv4. No host is ::1 and
// 127.0.0.1, or 0.0.0.0 and ::, in that order. Per address come TCP, UDP and raw, or
// those for which the services file has the name, SCTP and the others included.
//
// The canonical name is the first one on the line of the hosts file, the name at the
// end of the DNS's CNAMEs, for which it is asked once more, or a numeric host itself.
// A final dot keeps the DNS's search list out and is else ignored. "localhost" and
// what ends in ".localhost" never go to the DNS: if not in the hosts file, they are
// the loopback addresses (RFC 6761). AI_ADDRCONFIG doesn't touch numeric and empty
// hosts and loopback addresses. Names are ASCII; IDNs are to be encoded before.
func (r *Resolver) GetAddrInfo(ctx context.Context, host, service string, hints Hints) ([]AddrInfo, error) {
	infos, err := r.addrInfo(ctx, host, service, hints)
	if err != nil {
		return nil, addrInfoError("getaddrinfo", host, service, err)
	}
	return infos, nil
}

// GetAddrInfo is the zero Resolver's.
func GetAddrInfo(ctx context.Context, host, service string, hints Hints) ([]AddrInfo, error) {
	return new(Resolver).GetAddrInfo(ctx, host, service, hints)
}

func (r *Resolver) addrInfo(ctx context.Context, host, service string, h Hints) ([]AddrInfo, error) {
	switch {
	case host == "" && service == "":
		return nil, EAI_NONAME
	case h.Flags&^allAI != 0, h.Flags&AI_CANONNAME != 0 && host == "":
		return nil, EAI_BADFLAGS
	case h.Family != afUnspec && h.Family != afInet && h.Family != afInet6:
		return nil, EAI_FAMILY
	case h.Flags&AI_NUMERICSERV != 0 && !isNumber(service):
		return nil, EAI_NONAME
	}
	ends, err := r.endpoints(ctx, service, h)
	if err != nil {
		return nil, err
	}
	e, err := r.resolve(ctx, host, h.Family, h.Flags)
	if err != nil {
		return nil, err
	}
	infos := make([]AddrInfo, 0, len(e.Addrs)*len(ends))
	for _, ip := range e.Addrs {
		for _, end := range ends {
			a := FromAddrPort(netip.AddrPortFrom(ip, end.port))
			infos = append(infos, AddrInfo{Family: a.Family(), Type: end.Type, Proto: end.Proto, Addr: a})
		}
	}
	if h.Flags&AI_CANONNAME != 0 {
		infos[0].CanonName = e.Name
	}
	return infos, nil
}

// NameToAddr makes the address of a socket from a host and a port as Python does:
// of "" any address, of "<broadcast>" 255.255.255.255, of a numeric host that one
// without looking anything up, else the first of what GetAddrInfo answers. The family
// is AF_INET, AF_INET6 or, where host isn't "", AF_UNSPEC. The error is an
// *AddrInfoError.
func (r *Resolver) NameToAddr(ctx context.Context, f Family, host string, port uint16) (Addr, error) {
	ip, err := r.nameToIP(ctx, f, host)
	if err != nil {
		return nil, err
	}
	return FromAddrPort(netip.AddrPortFrom(ip, port)), nil
}

// NameToAddr is the zero Resolver's.
func NameToAddr(ctx context.Context, f Family, host string, port uint16) (Addr, error) {
	return new(Resolver).NameToAddr(ctx, f, host, port)
}

// nameToIP is CPython's setipaddr.
func (r *Resolver) nameToIP(ctx context.Context, f Family, host string) (netip.Addr, error) {
	var flags AI
	err := error(nil)
	switch {
	case f != afUnspec && f != afInet && f != afInet6:
		err = EAI_FAMILY
	case host == "":
		flags = AI_PASSIVE
		if f == afUnspec {
			err = EAI_ADDRFAMILY // "wildcard resolved to multiple address"
		}
	case host == "<broadcast>":
		if f != afInet6 {
			return netip.AddrFrom4([4]byte{255, 255, 255, 255}), nil
		}
		err = EAI_ADDRFAMILY // "address family mismatched"
	}
	if err == nil {
		var e HostEntry
		if e, err = r.resolve(ctx, host, f, flags); err == nil {
			return e.Addrs[0], nil
		}
	}
	return netip.Addr{}, addrInfoError("getaddrinfo", host, "", err)
}

// resolve returns the addresses of a host, at least one, and its canonical name.
func (r *Resolver) resolve(ctx context.Context, host string, f Family, flags AI) (HostEntry, error) {
	if host == "" {
		ips := []netip.Addr{netip.IPv6Loopback(), loopback4}
		if flags&AI_PASSIVE != 0 {
			ips = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
		}
		return HostEntry{Addrs: ofFamily(f, ips)}, nil
	}
	ip, err := numericHost(host, f, flags)
	switch {
	case err != nil:
		return HostEntry{}, err
	case ip.IsValid():
		return HostEntry{Name: host, Addrs: []netip.Addr{ip}}, nil
	case flags&AI_NUMERICHOST != 0:
		return HostEntry{}, EAI_NONAME
	}

	ask, mapped := f, f == afInet6 && flags&AI_V4MAPPED != 0
	if mapped {
		ask = afUnspec
	}
	not := afUnspec // the family that the machine hasn't
	if flags&AI_ADDRCONFIG != 0 {
		not = r.absent()
	}
	e, err := r.lookup(ctx, host, ask, not, flags&AI_CANONNAME != 0)
	if err != nil {
		return HostEntry{}, err
	}
	if mapped {
		if flags&AI_ALL == 0 && slices.ContainsFunc(e.Addrs, netip.Addr.Is6) {
			e.Addrs = ofFamily(afInet6, e.Addrs)
		}
		for i, ip := range e.Addrs {
			e.Addrs[i] = toV6(ip)
		}
	}
	return e, nil
}

// numericHost parses a numeric host; the zero Addr is none. A zone comes out as a
// number.
func numericHost(host string, f Family, flags AI) (netip.Addr, error) {
	if b, err := InetAton(host); err == nil {
		ip := netip.AddrFrom4(b)
		switch {
		case f != afInet6:
			return ip, nil
		case flags&AI_V4MAPPED != 0:
			return toV6(ip), nil
		}
		return netip.Addr{}, EAI_ADDRFAMILY
	}
	text, zone, zoned := strings.Cut(host, "%")
	ip, err := netip.ParseAddr(text)
	if err != nil || !ip.Is6() {
		return netip.Addr{}, nil
	}
	if f == afInet {
		if !ip.Is4In6() {
			return netip.Addr{}, EAI_ADDRFAMILY
		}
		ip = ip.Unmap()
	}
	if zoned {
		scope, ok := zoneOf(ip, zone)
		if !ok {
			return netip.Addr{}, EAI_NONAME
		}
		ip = withScope(ip, scope)
	}
	return ip, nil
}

// zoneOf returns the number of a zone: only a link-local address has the name of an
// interface in it.
func zoneOf(ip netip.Addr, zone string) (uint32, bool) {
	n, err := strconv.ParseUint(zone, 10, 32)
	switch {
	case err == nil:
		return uint32(n), true
	case zone == "" || !isLinkLocal(ip):
		return 0, false
	}
	return scopeID(zone)
}

func isLinkLocal(ip netip.Addr) bool { return ip.IsLinkLocalUnicast() || ip.IsLinkLocalMulticast() }

func withScope(ip netip.Addr, scope uint32) netip.Addr {
	if scope == 0 {
		return ip
	}
	return ip.WithZone(strconv.FormatUint(uint64(scope), 10))
}

func toV6(ip netip.Addr) netip.Addr { return netip.AddrFrom16(ip.As16()).WithZone(ip.Zone()) }

func ofFamily(f Family, ips []netip.Addr) []netip.Addr {
	return slices.DeleteFunc(ips, func(ip netip.Addr) bool { return f != afUnspec && familyOf(ip) != f })
}

func familyOf(ip netip.Addr) Family {
	if ip.Is4() {
		return afInet
	}
	return afInet6
}

// absent returns the family of which no interface has an address other than
// loopback, if there is one of the other family; else AF_UNSPEC.
func (r *Resolver) absent() Family {
	list := net.InterfaceAddrs
	if r != nil && r.addrs != nil {
		list = r.addrs
	}
	addrs, err := list()
	if err != nil {
		return afUnspec
	}
	seen := make(map[Family]bool)
	for _, a := range addrs {
		if p, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(p.IP); ok && !ip.Unmap().IsLoopback() {
				seen[familyOf(ip.Unmap())] = true
			}
		}
	}
	switch {
	case seen[afInet] == seen[afInet6]:
		return afUnspec
	case seen[afInet]:
		return afInet6
	}
	return afInet
}

func isNumber(service string) bool { return strings.Trim(service, "0123456789") == "" }

// endpoint is a row of endpoints: a type of socket, and what its protocol is called
// in the services file.
type endpoint struct {
	Type
	Proto
	name  string // "" has no services
	usual bool   // answers where neither a type nor a protocol is given
	port  uint16
}

// endpoints is glibc's table, in its order. DCCP is left out: its type has that
// number on Linux only.
func (r *Resolver) endpoints(ctx context.Context, service string, h Hints) ([]endpoint, error) {
	rows := []endpoint{
		{Type: sockStream, Proto: protoTCP, name: "tcp", usual: true},
		{Type: sockDgram, Proto: protoUDP, name: "udp", usual: true},
		{Type: sockDgram, Proto: protoUDPLite, name: "udplite"},
		{Type: sockStream, Proto: protoSCTP, name: "sctp"},
		{Type: sockSeqpacket, Proto: protoSCTP, name: "sctp"},
		{Type: sockRaw, Proto: h.Proto, usual: true},
	}
	asked := h.Type != 0 || h.Proto != 0
	rows = slices.DeleteFunc(rows, func(e endpoint) bool {
		return h.Type != 0 && h.Type != e.Type || h.Proto != 0 && h.Proto != e.Proto
	})
	if len(rows) == 0 {
		return nil, EAI_SOCKTYPE
	}
	if asked {
		rows = rows[:1]
	}

	port, numeric := uint64(0), true
	if service != "" {
		if rows[0].Type == sockRaw {
			return nil, EAI_SERVICE
		}
		if numeric = isNumber(service); numeric {
			var err error
			if port, err = strconv.ParseUint(service, 10, 16); err != nil {
				return nil, EAI_SERVICE
			}
		}
	}
	if numeric {
		rows = slices.DeleteFunc(rows, func(e endpoint) bool { return !asked && !e.usual })
		for i := range rows {
			rows[i].port = uint16(port)
		}
		return rows, nil
	}
	known, err := r.servicePorts(ctx, service)
	if err != nil {
		return nil, err
	}
	rows = slices.DeleteFunc(rows, func(e endpoint) bool {
		_, ok := known[e.name]
		return !ok
	})
	if len(rows) == 0 {
		return nil, EAI_SERVICE
	}
	for i, e := range rows {
		rows[i].port = known[e.name]
	}
	return rows, nil
}

const (
	afUnspec     Family = 0
	sockRaw      Type   = 3
	protoTCP     Proto  = 6
	protoUDP     Proto  = 17
	protoSCTP    Proto  = 132
	protoUDPLite Proto  = 136
)
