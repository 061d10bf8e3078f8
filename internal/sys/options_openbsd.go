package sys

import "golang.org/x/sys/unix"

const (
	msgDontWait = unix.MSG_DONTWAIT
	soReusePort = unix.SO_REUSEPORT
	// Keep-alive's times are of the whole system.
	tcpKeepIdle     = 0
	tcpKeepInterval = 0
	tcpKeepCount    = 0
	tcpUserTimeout  = 0
)
