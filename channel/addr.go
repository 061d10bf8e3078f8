package channel

import (
	"net"
	"net/netip"
	"strconv"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// parseAddr reads an address of the networks "tcp", "tcp4", "tcp6" and "unix".
// It never asks a name server, which would block: a host is a number, empty
// (for listening on all addresses), or "localhost". There is more than one
// result only for "localhost".
func parseAddr(network, address string, listen bool) ([]sys.Addr, error) {
	switch network {
	case "unix":
		if address == "" {
			return nil, &net.AddrError{Err: "empty path", Addr: address}
		}
		return []sys.Addr{{Family: sys.Unix, Path: address}}, nil
	case "tcp", "tcp4", "tcp6":
	default:
		return nil, net.UnknownNetworkError(network)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil && !(listen && service == "") {
		return nil, &net.AddrError{Err: "port is not a number", Addr: address}
	}
	var ips []netip.Addr
	switch host {
	case "localhost":
		ips = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	case "":
		if !listen {
			return nil, &net.AddrError{Err: "missing host", Addr: address}
		}
		ips = []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}
	default:
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return nil, &net.AddrError{Err: "host is not a numeric address", Addr: address}
		}
		ips = []netip.Addr{ip}
	}
	var addrs []sys.Addr
	for _, ip := range ips {
		family := sys.Inet6
		if ip.Is4() || ip.Is4In6() {
			ip, family = ip.Unmap(), sys.Inet
		}
		if network == "tcp4" && family != sys.Inet || network == "tcp6" && family != sys.Inet6 {
			continue
		}
		addrs = append(addrs, sys.Addr{Family: family, Inet: netip.AddrPortFrom(ip, uint16(port))})
	}
	if len(addrs) == 0 {
		return nil, &net.AddrError{Err: "no suitable address for " + network, Addr: address}
	}
	return addrs, nil
}

// netAddr is a in package net's types; nil if it is not known.
func netAddr(a sys.Addr) net.Addr {
	switch a.Family {
	case sys.Inet, sys.Inet6:
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.Inet.Addr().Unmap(), a.Inet.Port()))
	case sys.Unix:
		return &net.UnixAddr{Name: a.Path, Net: "unix"}
	}
	return nil
}

// textAddr is a net.Addr for an address that could not be read.
type textAddr struct{ network, address string }

func (a textAddr) Network() string { return a.network }
func (a textAddr) String() string  { return a.address }
