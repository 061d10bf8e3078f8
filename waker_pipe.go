//go:build unix && (!linux || kqfake)

package asyncore

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// openPipe returns a waker that is a pipe.
func openPipe() (*waker, error) {
	var p [2]int
	// Not every system has pipe2: no fork may come between the pipe and its
	// flags.
	syscall.ForkLock.RLock()
	err := unix.Pipe(p[:])
	if err == nil {
		unix.CloseOnExec(p[0])
		unix.CloseOnExec(p[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	w := &waker{r: p[0], w: p[1]}
	for _, fd := range p {
		if err := unix.SetNonblock(fd, true); err != nil {
			w.close()
			return nil, os.NewSyscallError("fcntl", err)
		}
	}
	return w, nil
}
