//go:build solaris || aix

package sys

// What the two systems agree on without a look at their headers.
const (
	soReusePort     = 0
	tcpKeepIdle     = 0
	tcpKeepInterval = 0
	tcpKeepCount    = 0
	tcpUserTimeout  = 0
)
