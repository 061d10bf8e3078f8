//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"errors"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	afInet        Family = unix.AF_INET
	afInet6       Family = unix.AF_INET6
	afUnix        Family = unix.AF_UNIX
	afNetlink     Family = unix.AF_UNSPEC
	afTIPC        Family = unix.AF_UNSPEC
	sockStream    Type   = unix.SOCK_STREAM
	sockDgram     Type   = unix.SOCK_DGRAM
	sockSeqpacket Type   = unix.SOCK_SEQPACKET

	maxPath     = 103 // sun_path and the NUL at its end
	hasAbstract = false
)

// sysBind is bind(2). Like all below, its error is a syscall.Errno, or tells what is
// wrong with the address.
func sysBind(fd int, a Addr) error {
	sa, err := encode(a)
	if err != nil {
		return err
	}
	return unix.Bind(fd, sa)
}

// sysConnect is connect(2). EINTR is returned: the connection goes on being made,
// and a second call would answer EALREADY.
func sysConnect(fd int, a Addr) error {
	sa, err := encode(a)
	if err != nil {
		return err
	}
	return unix.Connect(fd, sa)
}

// sysAccept is accept(2) and the two flags: not every system's accept inherits
// O_NONBLOCK.
func sysAccept(fd int) (nfd int, from Addr, err error) {
	var sa unix.Sockaddr
	err = create(func() (err error) {
		nfd, sa, err = unix.Accept(fd)
		for err == unix.EINTR {
			nfd, sa, err = unix.Accept(fd)
		}
		return err
	}, &nfd)
	if err != nil {
		return -1, nil, err
	}
	return nfd, decode(sa), nil
}

// sysLocalAddr is getsockname(2).
func sysLocalAddr(fd int) (Addr, error) {
	sa, err := unix.Getsockname(fd)
	return decode(sa), err
}

// sysPeerAddr is getpeername(2).
func sysPeerAddr(fd int) (Addr, error) {
	sa, err := unix.Getpeername(fd)
	return decode(sa), err
}

// sysRecvMsg is recvmsg(2); received descriptors are close-on-exec. from is nil where
// the kernel gave no address: on connected streams, and from a Unix socket without a
// name.
func sysRecvMsg(fd int, p, oob []byte, flags int) (n, oobn, rflags int, from Addr, err error) {
	if len(oob) > 0 && msgCmsgCloexec == 0 {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		defer func() { closeOnExec(oob[:oobn]) }()
	}
	for {
		var sa unix.Sockaddr
		n, oobn, rflags, sa, err = unix.Recvmsg(fd, p, oob, flags|msgCmsgCloexec)
		if err != unix.EINTR {
			return max(n, 0), oobn, rflags, decode(sa), err
		}
	}
}

// closeOnExec sets the flag on the descriptors in control messages, also in one that
// is cut short.
func closeOnExec(oob []byte) {
	for _, c := range parseControl(oob) {
		for _, fd := range c.Rights() {
			unix.CloseOnExec(fd)
		}
	}
}

// sysSendMsg is sendmsg(2) with MSG_NOSIGNAL; to is nil on a connected socket.
func sysSendMsg(fd int, p, oob []byte, to Addr, flags int) (n int, err error) {
	var sa unix.Sockaddr
	if to != nil {
		sa, err = encode(to)
		if err != nil {
			return 0, err
		}
	}
	for {
		n, err = unix.SendmsgN(fd, p, oob, sa, flags|unix.MSG_NOSIGNAL)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

var errLinux = &addrError{"address that only Linux has", errors.ErrUnsupported}

// encode returns x/sys's form of an address. That has no flow info.
func encode(a Addr) (unix.Sockaddr, error) {
	if err := check(a); err != nil {
		return nil, err
	}
	switch a := a.(type) {
	case InetAddr:
		return &unix.SockaddrInet4{Addr: a.AddrPort().Addr().As4(), Port: int(a.Port)}, nil
	case Inet6Addr:
		if a.FlowInfo == 0 {
			return &unix.SockaddrInet6{Addr: a.AddrPort().Addr().As16(), Port: int(a.Port), ZoneId: a.ScopeID}, nil
		}
	case UnixAddr:
		return &unix.SockaddrUnix{Name: a.Name}, nil // x/sys refuses an empty one
	}
	return nil, errLinux
}

// decode undoes encode. It returns nil for no address and for one that x/sys can't
// tell.
func decode(sa unix.Sockaddr) Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return InetAddr{IP: netip.AddrFrom4(sa.Addr), Port: uint16(sa.Port)}
	case *unix.SockaddrInet6:
		return Inet6Addr{IP: netip.AddrFrom16(sa.Addr), Port: uint16(sa.Port), ScopeID: sa.ZoneId}
	case *unix.SockaddrUnix:
		return UnixAddr{Name: sa.Name}
	}
	return nil
}

func hasIPv6() bool {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	return err == nil && bindsIPv6(fd)
}
