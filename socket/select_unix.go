//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// readyBits are what Linux's select(2) takes for ready in each set. A hang-up comes in
// place of POLLOUT on some systems: Darwin tells so of a connect that has failed.
func readyBits(want int16) int16 {
	switch want {
	case unix.POLLIN:
		return unix.POLLIN | unix.POLLHUP | unix.POLLERR
	case unix.POLLOUT:
		return unix.POLLOUT | unix.POLLHUP | unix.POLLERR
	}
	return want
}

// quietRest is how long a descriptor is left out that only has a hang-up or an error
// to tell, which nobody in its set has asked for and poll always reports.
const quietRest = 10 * time.Millisecond

// selectPoll sets what is ready.
func selectPoll(entries []pollEntry, timeout time.Duration) error {
	fds := make([]unix.PollFd, len(entries))
	for i, e := range entries {
		if e.fd > math.MaxInt32 { // a negative one, which poll would pass over
			return unix.EBADF
		}
		fds[i] = unix.PollFd{Fd: int32(e.fd), Events: e.want}
	}
	began := time.Now()
	for rest := NoTimeout; ; {
		left := timeout
		if timeout > 0 {
			left = max(timeout-time.Since(began), 0)
		}
		last := left == 0
		if rest != NoTimeout {
			left, last = sooner(left, rest), false
		}
		n, err := unix.Poll(fds, milliseconds(left))
		if err != nil && err != unix.EINTR {
			return err
		}
		if err != nil {
			continue
		}
		ready := false
		for i, e := range entries {
			bits := fds[i].Revents
			if bits&unix.POLLNVAL != 0 {
				return unix.EBADF
			}
			entries[i].ready = bits&readyBits(e.want) != 0
			ready = ready || entries[i].ready
			fds[i].Fd = int32(e.fd)
			if n > 0 && bits != 0 && !entries[i].ready {
				fds[i].Fd = -1
			}
		}
		if ready || last {
			return nil
		}
		rest = NoTimeout
		if n > 0 {
			rest = quietRest
		}
	}
}
