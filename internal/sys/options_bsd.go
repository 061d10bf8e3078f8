//go:build dragonfly || freebsd || netbsd

package sys

import "golang.org/x/sys/unix"

const (
	msgDontWait     = unix.MSG_DONTWAIT
	soReusePort     = unix.SO_REUSEPORT
	tcpKeepIdle     = unix.TCP_KEEPIDLE
	tcpKeepInterval = unix.TCP_KEEPINTVL
	tcpKeepCount    = unix.TCP_KEEPCNT
	tcpUserTimeout  = 0
)
