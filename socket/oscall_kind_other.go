//go:build darwin || dragonfly || netbsd || openbsd

package socket

import "golang.org/x/sys/unix"

// sysKind asks the kernel what a socket is; its address tells the family.
func sysKind(fd int) (f Family, t Type, p Proto, err error) {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return 0, 0, 0, err
	}
	if a, err := sysLocalAddr(fd); err == nil && a != nil {
		f = a.Family()
	}
	return f, Type(v), 0, nil
}
