package socket

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	sockNonblock Type = unix.SOCK_NONBLOCK

	// Flags with which recvmsg never waits, even on a blocking descriptor.
	msgNeverWaits = unix.MSG_DONTWAIT | unix.MSG_OOB | unix.MSG_ERRQUEUE

	connectTwice = true
)

func sysSocket(f Family, t Type, p Proto) (int, error) {
	return unix.Socket(int(f), int(t)|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(p))
}

func sysPair(f Family, t Type, p Proto) ([2]int, error) {
	return unix.Socketpair(int(f), int(t)|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, int(p))
}

func sysWaker() (r, w int, err error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	return fd, fd, err
}

// sysRecv and sysSend are recv(2) and send(2): x/sys's ways there make room for an
// address in each call.

func sysRecv(fd int, p []byte, flags int) (int, error) {
	return transfer(unix.SYS_RECVFROM, fd, p, flags|unix.MSG_DONTWAIT)
}

func sysSend(fd int, p []byte, flags int) (int, error) {
	return transfer(unix.SYS_SENDTO, fd, p, flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func transfer(call uintptr, fd int, p []byte, flags int) (int, error) {
	for {
		n, _, e := unix.Syscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			uintptr(flags), 0, 0)
		switch e {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}

// sysGetBytes is getsockopt(2) for a value of any form.
func sysGetBytes(fd, level, opt int, p []byte) (int, error) {
	size := uint32(len(p))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(unsafe.Pointer(&size)), 0)
	if e != 0 {
		return 0, e
	}
	return min(int(size), len(p)), nil
}

func credentials(c Cred) Control {
	oob := unix.UnixCredentials(&unix.Ucred{Pid: int32(c.PID), Uid: uint32(c.UID), Gid: uint32(c.GID)})
	return Control{Level: unix.SOL_SOCKET, Type: unix.SCM_CREDENTIALS, Data: oob[unix.CmsgLen(0):unix.CmsgLen(unix.SizeofUcred)]}
}

func parseCredentials(c Control) (Cred, bool) {
	if c.Level != unix.SOL_SOCKET || c.Type != unix.SCM_CREDENTIALS || len(c.Data) < unix.SizeofUcred {
		return Cred{}, false
	}
	var u unix.Ucred
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&u)), unix.SizeofUcred), c.Data)
	return Cred{PID: int(u.Pid), UID: int(u.Uid), GID: int(u.Gid)}, true
}
