//go:build solaris || aix

package sys

// What the two systems agree on without a look at their headers.
const (
	msgDontWait     = 0 // the descriptors are non-blocking
	soReusePort     = 0
	tcpKeepIdle     = 0
	tcpKeepInterval = 0
	tcpKeepCount    = 0
	tcpUserTimeout  = 0
)
