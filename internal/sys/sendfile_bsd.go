//go:build darwin || freebsd

package sys

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// SendFile keeps the file's offset by hand: here the call takes one and leaves
// the file's alone.
func (r *real) SendFile(fd, file, n int) (int, syscall.Errno) {
	at, err := unix.Seek(file, 0, io.SeekCurrent)
	if err != nil {
		return 0, errno(err)
	}
	sent, err := unix.Sendfile(fd, file, &at, n)
	e := errno(err)
	if e != 0 && e != syscall.EAGAIN && e != syscall.EINTR && sent == n {
		sent = 0 // Darwin's count is what was asked for where the call failed early
	}
	if sent <= 0 {
		return 0, e
	}
	// What was sent counts before the error that ended it, which comes again.
	_, err = unix.Seek(file, at+int64(sent), io.SeekStart)
	return sent, errno(err)
}
