package sys

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func (r *real) Pipe(toChild bool) (int, *os.File, syscall.Errno) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return -1, nil, errno(err)
	}
	return endsOf(p, toChild)
}

func (r *real) Exited(pidfd int) bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PIDFD, pidfd, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	// ECHILD: the kernel has taken it away itself, since SIGCHLD is ignored.
	return err == unix.ECHILD || err == nil && info.Signo != 0
}

// IsMaster asks for the number of the terminal's other side, which only a master has.
func (r *real) IsMaster(fd int) bool {
	_, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	return err == nil
}

const fionread = unix.TIOCINQ
