//go:build unix && !linux

package sys

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func (r *real) Pipe(toChild bool) (int, *os.File, syscall.Errno) {
	var p [2]int
	syscall.ForkLock.RLock()
	err := unix.Pipe(p[:])
	if err == nil {
		unix.CloseOnExec(p[0])
		unix.CloseOnExec(p[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, nil, errno(err)
	}
	return endsOf(p, toChild)
}

func (r *real) Exited(int) bool { return false }

// IsMaster: elsewhere a master whose other side has gone reads 0 bytes.
func (r *real) IsMaster(int) bool { return false }

// fionread is FIONREAD, which x/sys does not name: _IOR('f', 127, int).
const fionread = 0x4004667f
