//go:build unix

package sys

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// endsOf shares out a new pipe. The ends are two open files, so that one can be
// non-blocking and the other one not.
func endsOf(p [2]int, toChild bool) (int, *os.File, syscall.Errno) {
	ours, theirs := p[0], p[1]
	if toChild {
		ours, theirs = theirs, ours
	}
	if err := unix.SetNonblock(ours, true); err != nil {
		unix.Close(ours)
		unix.Close(theirs)
		return -1, nil, errno(err)
	}
	return ours, os.NewFile(uintptr(theirs), "pipe"), 0
}

func (r *real) Pending(fd int) (int, syscall.Errno) {
	n, err := unix.IoctlGetInt(fd, fionread)
	return n, errno(err)
}
