package sim

import (
	"net/netip"
	"strings"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// inetAddr is an address as a socket of the family has it.
func inetAddr(f sys.Family, a netip.AddrPort) sys.Addr {
	ip := a.Addr()
	if !ip.IsValid() {
		ip = unspecified(f)
	}
	if f == sys.Inet6 && ip.Is4() {
		ip = netip.AddrFrom16(ip.As16())
	}
	return sys.Addr{Family: f, Inet: netip.AddrPortFrom(ip, a.Port())}
}

func unspecified(f sys.Family) netip.Addr {
	if f == sys.Inet6 {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

func unixAddr(name string) sys.Addr { return sys.Addr{Family: sys.Unix, Path: name} }

// plain is the address in a, without the mapping of IPv4 into IPv6 and without
// a zone.
func plain(a sys.Addr) netip.AddrPort {
	return netip.AddrPortFrom(a.Inet.Addr().Unmap().WithZone(""), a.Inet.Port())
}

// checkPath tells what is wrong with the name of a Unix socket, as Linux has room
// for it.
func checkPath(path string) syscall.Errno {
	room := 108
	if !strings.HasPrefix(path, "@") {
		room-- // the NUL at the end
	}
	switch {
	case len(path) > room:
		return syscall.ENAMETOOLONG
	case strings.ContainsRune(path, 0):
		return syscall.EINVAL
	}
	return 0
}
