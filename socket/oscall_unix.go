//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"encoding/binary"
	"math"
	"time"

	"golang.org/x/sys/unix"
)

const (
	solSocket   = unix.SOL_SOCKET
	soError     = unix.SO_ERROR
	soReuseAddr = unix.SO_REUSEADDR
	soReusePort = unix.SO_REUSEPORT
	ipprotoIPv6 = unix.IPPROTO_IPV6
	ipprotoTCP  = unix.IPPROTO_TCP
	ipv6V6Only  = unix.IPV6_V6ONLY
	scmRights   = unix.SCM_RIGHTS

	msgCtrunc   = unix.MSG_CTRUNC
	msgDontWait = unix.MSG_DONTWAIT
	msgPeek     = unix.MSG_PEEK
	msgWaitAll  = unix.MSG_WAITALL

	pollIn  = unix.POLLIN
	pollOut = unix.POLLOUT
	pollPri = unix.POLLPRI

	shutRD = unix.SHUT_RD
	shutWR = unix.SHUT_WR
)

func sysClose(fd int) error { return unix.Close(fd) }

func sysListen(fd, backlog int) error { return unix.Listen(fd, backlog) }

func sysShutdown(fd, how int) error { return unix.Shutdown(fd, how) }

// sysDup returns a duplicate above the standard descriptors: on 1 and 2 package os
// lets SIGPIPE end the process.
func sysDup(fd int) (int, error) {
	nfd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(nfd, true); err != nil {
		unix.Close(nfd)
		return -1, err
	}
	return nfd, nil
}

// sysWake makes a waker's other end readable: the message is an eventfd's, and a
// pipe takes it as well.
func sysWake(w int) {
	unix.Write(w, binary.NativeEndian.AppendUint64(nil, 1))
}

// sysPoll waits for a descriptor, or -1 for none, and for a waker, or nil.
func sysPoll(fd int, w *waker, events int16, timeout time.Duration) (ready, woken bool, err error) {
	fds := [2]unix.PollFd{{Fd: int32(fd), Events: events}, {Fd: -1, Events: unix.POLLIN}}
	if w != nil {
		fds[1].Fd = int32(w.r)
	}
	_, err = unix.Poll(fds[:], milliseconds(timeout))
	return fds[0].Revents != 0, fds[1].Revents != 0, err
}

// milliseconds rounds up: rounded down, a wait for the last fraction would spin.
func milliseconds(timeout time.Duration) int {
	if timeout < 0 {
		return -1
	}
	return int(min((timeout+time.Millisecond-1)/time.Millisecond, math.MaxInt32))
}

func sysGetInt(fd, level, opt int) (int, error) { return unix.GetsockoptInt(fd, level, opt) }

func sysSetInt(fd, level, opt, v int) error { return unix.SetsockoptInt(fd, level, opt, v) }

func sysGetTime(fd, level, opt int) (time.Duration, error) {
	tv, err := unix.GetsockoptTimeval(fd, level, opt)
	if err != nil {
		return 0, err
	}
	return time.Duration(tv.Nano()), nil
}

func sysSetTime(fd, level, opt int, d time.Duration) error {
	tv := unix.NsecToTimeval(int64(d)) // rounded up
	return unix.SetsockoptTimeval(fd, level, opt, &tv)
}

func sysGetLinger(fd, level, opt int) (Linger, error) {
	l, err := unix.GetsockoptLinger(fd, level, opt)
	if err != nil {
		return Linger{}, err
	}
	return Linger{On: l.Onoff != 0, Seconds: int(l.Linger)}, nil
}

func sysSetLinger(fd, level, opt int, l Linger) error {
	raw := unix.Linger{Linger: int32(l.Seconds)}
	if l.On {
		raw.Onoff = 1
	}
	return unix.SetsockoptLinger(fd, level, opt, &raw)
}

func sysSetBytes(fd, level, opt int, p []byte) error {
	return unix.SetsockoptString(fd, level, opt, string(p))
}
