//go:build dragonfly || freebsd || netbsd || openbsd

package socket

import "golang.org/x/sys/unix"

const sockNonblock Type = unix.SOCK_NONBLOCK
