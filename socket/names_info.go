package socket

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// NI are the flags of GetNameInfo, by glibc's numbers on every system.
type NI int

// The flags of GetNameInfo, and what C's callers take as the sizes of its answers.
const (
	NI_NUMERICHOST NI = 1  // the host as an address
	NI_NUMERICSERV NI = 2  // the service as a number
	NI_NOFQDN      NI = 4  // a host of this machine's domain without that domain
	NI_NAMEREQD    NI = 8  // an error if the host has no name
	NI_DGRAM       NI = 16 // the service is UDP's

	NI_MAXHOST = 1025
	NI_MAXSERV = 32
)

// GetNameInfo translates an InetAddr or Inet6Addr into the names of a host and a
// service (getnameinfo(3)), or into numbers where there is no name. A scope is
// written as the name of its interface, for a link-local address, or as a number:
// "fe80::1%lo". The error is an *AddrInfoError; also a failing DNS is one.
func (r *Resolver) GetNameInfo(ctx context.Context, addr Addr, flags NI) (host, service string, err error) {
	fail := func(err error) (string, string, error) {
		text := ""
		if addr != nil {
			text = addr.String()
		}
		return "", "", addrInfoError("getnameinfo", text, "", err)
	}
	var ip netip.Addr
	var port, scope = uint16(0), uint32(0)
	switch a := addr.(type) {
	case InetAddr:
		ip, port = a.AddrPort().Addr(), a.Port
	case Inet6Addr:
		ip, port, scope = a.AddrPort().Addr().WithZone(""), a.Port, a.ScopeID
	}
	switch {
	case flags&^(NI_NUMERICHOST|NI_NUMERICSERV|NI_NOFQDN|NI_NAMEREQD|NI_DGRAM) != 0:
		return fail(EAI_BADFLAGS)
	case !ip.IsValid() || check(addr) != nil:
		return fail(EAI_FAMILY)
	}

	if flags&NI_NUMERICHOST == 0 {
		names, err := r.names(ctx, ip)
		switch {
		case err == nil:
			host = names[0]
		case hostCode(err) == TRY_AGAIN, hostCode(err) == NETDB_INTERNAL:
			return fail(err)
		}
		if flags&NI_NOFQDN != 0 && strings.Contains(host, ".") {
			_, domain, _ := strings.Cut(r.FQDN(ctx, ""), ".")
			host = strings.TrimSuffix(host, "."+domain)
		}
	}
	if host == "" {
		if flags&NI_NAMEREQD != 0 {
			return fail(EAI_NONAME)
		}
		host = numericName(ip, scope)
	}

	service = strconv.Itoa(int(port))
	if flags&NI_NUMERICSERV == 0 {
		proto := "tcp"
		if flags&NI_DGRAM != 0 {
			proto = "udp"
		}
		name, ok, err := r.serviceName(ctx, port, proto)
		if err != nil {
			return fail(err)
		}
		if ok {
			service = name
		}
	}
	return host, service, nil
}

// GetNameInfo is the zero Resolver's.
func GetNameInfo(ctx context.Context, addr Addr, flags NI) (host, service string, err error) {
	return new(Resolver).GetNameInfo(ctx, addr, flags)
}

func numericName(ip netip.Addr, scope uint32) string {
	s, err := InetNtop(familyOf(ip), ip.AsSlice())
	if err != nil || scope == 0 {
		return s
	}
	if isLinkLocal(ip) {
		if iface, err := net.InterfaceByIndex(int(scope)); err == nil {
			return s + "%" + iface.Name
		}
	}
	return s + "%" + strconv.FormatUint(uint64(scope), 10)
}
