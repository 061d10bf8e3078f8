//go:build linux || freebsd

package socket

import "golang.org/x/sys/unix"

// sysKind asks the kernel what a socket is.
func sysKind(fd int) (f Family, t Type, p Proto, err error) {
	var v [3]int
	for i, opt := range [...]int{unix.SO_TYPE, unix.SO_DOMAIN, unix.SO_PROTOCOL} {
		v[i], err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, opt)
		if err != nil {
			return 0, 0, 0, err
		}
	}
	return Family(v[1]), Type(v[0]), Proto(v[2]), nil
}
