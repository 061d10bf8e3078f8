//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// bindsIPv6 closes fd. Where IPv6 is switched off there may be sockets of it still,
// but no addresses.
func bindsIPv6(fd int) bool {
	defer unix.Close(fd)
	return sysBind(fd, Inet6Addr{IP: netip.IPv6Loopback()}) == nil
}
