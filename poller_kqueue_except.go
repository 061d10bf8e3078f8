//go:build darwin || dragonfly || openbsd

package asyncore

import "golang.org/x/sys/unix"

// FreeBSD and NetBSD have no such filter.
func init() {
	kqFilters = append(kqFilters, kqFilter{Urgent, unix.EVFILT_EXCEPT, unix.NOTE_OOB})
}
