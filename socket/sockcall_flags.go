//go:build dragonfly || freebsd || netbsd || openbsd

package socket

import "golang.org/x/sys/unix"

const (
	sockFlags      Type = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	msgCmsgCloexec      = unix.MSG_CMSG_CLOEXEC
)
