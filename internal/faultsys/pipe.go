package faultsys

import (
	"os"
	"syscall"
)

func (f *Sys) Pipe(toChild bool) (int, *os.File, syscall.Errno) {
	if errno, _ := f.fault(Pipe, -1); errno != 0 {
		return -1, nil, errno
	}
	fd, child, errno := f.System.Pipe(toChild)
	fd, errno = f.opened(fd, errno)
	return fd, child, errno
}

func (f *Sys) Pending(fd int) (int, syscall.Errno) {
	if errno, _ := f.use(Pending, fd); errno != 0 {
		return 0, errno
	}
	return f.System.Pending(fd)
}

func (f *Sys) Exited(pidfd int) bool {
	errno, _ := f.use(Exited, pidfd)
	return errno == 0 && f.System.Exited(pidfd)
}

func (f *Sys) IsMaster(fd int) bool {
	errno, _ := f.use(IsMaster, fd)
	return errno == 0 && f.System.IsMaster(fd)
}
