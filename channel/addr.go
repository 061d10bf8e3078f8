package channel

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// endpoint is an address as it was read: the addresses that it stands for, or a
// name that somebody has to look up, and the port.
type endpoint struct {
	addrs []sys.Addr // more than one only for "localhost", or for all addresses
	name  string
	port  uint16
}

// readAddr reads an address of the networks "tcp", "tcp4", "tcp6" and "unix".
// It never asks a name server, which would block.
func readAddr(network, address string, listen bool) (ep endpoint, err error) {
	switch network {
	case "unix":
		if address == "" {
			return ep, &net.AddrError{Err: "empty path", Addr: address}
		}
		ep.addrs = []sys.Addr{{Family: sys.Unix, Path: address}}
		return ep, nil
	case "tcp", "tcp4", "tcp6":
		return readInet(network, address, listen)
	}
	return ep, net.UnknownNetworkError(network)
}

// readInet is readAddr for a network whose name ends in 4 or 6 where it has only
// addresses of that family.
func readInet(network, address string, listen bool) (ep endpoint, err error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return ep, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil && !(listen && service == "") {
		return ep, &net.AddrError{Err: "port is not a number from 0 to 65535", Addr: address}
	}
	ep.port = uint16(port)
	var ips []netip.Addr
	switch ip, err := netip.ParseAddr(host); {
	case err == nil:
		ips = []netip.Addr{ip}
	case isLocalhost(host):
		ips = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	case host != "":
		ep.name = host
		return ep, nil
	case listen:
		ips = []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}
	default:
		return ep, &net.AddrError{Err: "missing host", Addr: address}
	}
	if ep.addrs = inetAddrs(network, ips, ep.port); len(ep.addrs) == 0 {
		err = noSuitable(network, address)
	} else {
		err = nil
	}
	return ep, err
}

// parseAddr is readAddr where no name will do: a host is a number, empty (for
// listening on all addresses), or "localhost".
func parseAddr(network, address string, listen bool) ([]sys.Addr, error) {
	ep, err := readAddr(network, address, listen)
	return ep.numeric(address, err)
}

func (ep endpoint) numeric(address string, err error) ([]sys.Addr, error) {
	if ep.name != "" {
		err = &net.AddrError{Err: "host is not a numeric address", Addr: address}
	}
	return ep.addrs, err
}

// isLocalhost tells whether a name is this host's by itself, whatever a name
// server says (RFC 6761).
func isLocalhost(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// inetAddrs returns those of ips that the network may use.
func inetAddrs(network string, ips []netip.Addr, port uint16) []sys.Addr {
	var addrs []sys.Addr
	for _, ip := range ips {
		family := sys.Inet6
		if ip = ip.Unmap(); ip.Is4() {
			family = sys.Inet
		}
		if !ip.IsValid() || strings.HasSuffix(network, "4") && family != sys.Inet || strings.HasSuffix(network, "6") && family != sys.Inet6 {
			continue
		}
		addrs = append(addrs, sys.Addr{Family: family, Inet: netip.AddrPortFrom(ip, port)})
	}
	return addrs
}

func noSuitable(network, address string) error {
	return &net.AddrError{Err: "no suitable address for " + network, Addr: address}
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
