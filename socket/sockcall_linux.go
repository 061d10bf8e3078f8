package socket

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	afInet        Family = unix.AF_INET
	afInet6       Family = unix.AF_INET6
	afUnix        Family = unix.AF_UNIX
	afNetlink     Family = unix.AF_NETLINK
	afTIPC        Family = unix.AF_TIPC
	sockStream    Type   = unix.SOCK_STREAM
	sockDgram     Type   = unix.SOCK_DGRAM
	sockSeqpacket Type   = unix.SOCK_SEQPACKET
	sockFlags     Type   = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

	maxPath     = 107 // sun_path and the NUL at its end
	hasAbstract = true
)

// The calls take and give addresses in the kernel's own form, by encode and decode:
// x/sys's types lose the flow info, turn a path that begins with @ into an abstract
// name, and cut one at a NUL.

// sysBind is bind(2). Like all below, its error is a syscall.Errno, or tells what is
// wrong with the address.
func sysBind(fd int, a Addr) error { return withAddr(unix.SYS_BIND, fd, a) }

// sysConnect is connect(2). EINTR is returned: the connection goes on being made,
// and a second call would answer EALREADY.
func sysConnect(fd int, a Addr) error { return withAddr(unix.SYS_CONNECT, fd, a) }

func withAddr(call uintptr, fd int, a Addr) error {
	raw, err := encode(a)
	if err != nil {
		return err
	}
	if _, _, e := unix.Syscall(call, uintptr(fd), uintptr(unsafe.Pointer(&raw[0])), uintptr(len(raw))); e != 0 {
		return e
	}
	return nil
}

// sysAccept is accept4(2) with SOCK_CLOEXEC and SOCK_NONBLOCK.
func sysAccept(fd int) (nfd int, from Addr, err error) {
	var b [unix.SizeofSockaddrAny]byte
	for {
		size := uint32(len(b))
		n, _, e := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&b)),
			uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			return int(n), decode(b[:min(int(size), len(b))]), nil
		case unix.EINTR:
		default:
			return -1, nil, e
		}
	}
}

// sysLocalAddr is getsockname(2).
func sysLocalAddr(fd int) (Addr, error) { return getAddr(unix.SYS_GETSOCKNAME, fd) }

// sysPeerAddr is getpeername(2).
func sysPeerAddr(fd int) (Addr, error) { return getAddr(unix.SYS_GETPEERNAME, fd) }

func getAddr(call uintptr, fd int) (Addr, error) {
	var b [unix.SizeofSockaddrAny]byte
	size := uint32(len(b))
	_, _, e := unix.Syscall(call, uintptr(fd), uintptr(unsafe.Pointer(&b)), uintptr(unsafe.Pointer(&size)))
	if e != 0 {
		return nil, e
	}
	return decode(b[:min(int(size), len(b))]), nil
}

// sysRecvMsg is recvmsg(2) with MSG_CMSG_CLOEXEC. from is nil where the kernel gave
// no address: on connected streams, and from a Unix socket without a name.
func sysRecvMsg(fd int, p, oob []byte, flags int) (n, oobn, rflags int, from Addr, err error) {
	var b [unix.SizeofSockaddrAny]byte
	for {
		var iov unix.Iovec
		msg := header(&iov, p, oob)
		msg.Name, msg.Namelen = &b[0], uint32(len(b))
		r, _, e := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)),
			uintptr(flags|unix.MSG_CMSG_CLOEXEC))
		switch e {
		case 0:
			from = decode(b[:min(int(msg.Namelen), len(b))])
			return int(r), int(msg.Controllen), int(msg.Flags) &^ unix.MSG_CMSG_CLOEXEC, from, nil
		case unix.EINTR:
		default:
			return 0, 0, 0, nil, e
		}
	}
}

// sysSendMsg is sendmsg(2) with MSG_NOSIGNAL; to is nil on a connected socket.
func sysSendMsg(fd int, p, oob []byte, to Addr, flags int) (n int, err error) {
	var iov unix.Iovec
	msg := header(&iov, p, oob)
	if to != nil {
		raw, err := encode(to)
		if err != nil {
			return 0, err
		}
		msg.Name, msg.Namelen = &raw[0], uint32(len(raw))
	}
	for {
		r, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)),
			uintptr(flags|unix.MSG_NOSIGNAL))
		switch e {
		case 0:
			return int(r), nil
		case unix.EINTR:
		default:
			return 0, e
		}
	}
}

func header(iov *unix.Iovec, p, oob []byte) (msg unix.Msghdr) {
	iov.Base = unsafe.SliceData(p)
	iov.SetLen(len(p))
	msg.Iov = iov
	msg.SetIovlen(1)
	msg.Control = unsafe.SliceData(oob)
	msg.SetControllen(len(oob))
	return msg
}

// encode returns the struct sockaddr of an address, of exactly the length to give to
// the kernel (ip(7), ipv6(7), unix(7), netlink(7), linux/tipc.h).
func encode(a Addr) ([]byte, error) {
	// Inlined, so that the bytes stay on the caller's stack.
	return appendAddr(make([]byte, 0, unix.SizeofSockaddrAny), a)
}

func appendAddr(b []byte, a Addr) ([]byte, error) {
	if err := check(a); err != nil {
		return nil, err
	}
	native, network := binary.NativeEndian, binary.BigEndian
	b = native.AppendUint16(b, uint16(a.Family()))
	switch a := a.(type) {
	case InetAddr:
		b = network.AppendUint16(b, a.Port)
		ip := a.AddrPort().Addr().As4()
		b = append(b, ip[:]...)
		b = b[:unix.SizeofSockaddrInet4]
	case Inet6Addr:
		b = network.AppendUint16(b, a.Port)
		b = network.AppendUint32(b, a.FlowInfo)
		ip := a.AddrPort().Addr().As16()
		b = append(b, ip[:]...)
		b = native.AppendUint32(b, a.ScopeID)
	case UnixAddr:
		b = append(b, a.Name...)
		if a.Name != "" && a.Name[0] != 0 {
			b = append(b, 0)
		}
	case NetlinkAddr:
		b = append(b, 0, 0)
		b = native.AppendUint32(b, a.PID)
		b = native.AppendUint32(b, a.Groups)
	case TIPCAddr:
		b = append(b, a.AddrType, byte(a.Scope))
		v1, v2 := a.V1, a.V2
		if a.AddrType == tipcID { // struct tipc_socket_addr has the reference first
			v1, v2 = v2, v1
		}
		b = native.AppendUint32(b, v1)
		b = native.AppendUint32(b, v2)
		b = native.AppendUint32(b, a.V3)
	case rawAddr:
		b = append(b, a.data...)
	}
	return b, nil
}

// decode undoes encode. It returns nil for no address, and the bytes as they are
// for what is too short or of another family.
func decode(b []byte) Addr {
	native, network := binary.NativeEndian, binary.BigEndian
	if len(b) < 2 {
		return nil
	}
	family := Family(native.Uint16(b))
	switch {
	case family == afInet && len(b) >= unix.SizeofSockaddrInet4:
		return InetAddr{IP: netip.AddrFrom4([4]byte(b[4:8])), Port: network.Uint16(b[2:])}
	case family == afInet6 && len(b) >= unix.SizeofSockaddrInet6:
		return Inet6Addr{
			IP:       netip.AddrFrom16([16]byte(b[8:24])),
			Port:     network.Uint16(b[2:]),
			FlowInfo: network.Uint32(b[4:]),
			ScopeID:  native.Uint32(b[24:]),
		}
	case family == afUnix:
		name := string(b[2:])
		if !strings.HasPrefix(name, "\x00") {
			name, _, _ = strings.Cut(name, "\x00")
		}
		return UnixAddr{Name: name}
	case family == afNetlink && len(b) >= unix.SizeofSockaddrNetlink:
		return NetlinkAddr{PID: native.Uint32(b[4:]), Groups: native.Uint32(b[8:])}
	case family == afTIPC && len(b) >= unix.SizeofSockaddrTIPC:
		a := TIPCAddr{
			AddrType: b[2],
			Scope:    int8(b[3]),
			V1:       native.Uint32(b[4:]),
			V2:       native.Uint32(b[8:]),
			V3:       native.Uint32(b[12:]),
		}
		if a.AddrType == tipcID {
			a.V1, a.V2, a.V3 = a.V2, a.V1, 0
		}
		return a
	}
	return rawAddr{family: family, data: string(b[2:])}
}

func hasIPv6() bool {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	return err == nil && bindsIPv6(fd)
}
