package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func (r *real) SendFile(fd, file, n int) (int, syscall.Errno) {
	n, err := unix.Sendfile(fd, file, nil, n)
	return max(n, 0), errno(err)
}
