package sys

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const soPassCred = unix.SO_PASSCRED

// packetRoom is what the kernel reads and writes beside the packets of a batch.
type packetRoom struct {
	heads [PacketBatch]packetHead
	parts [PacketBatch]unix.Iovec
	names [PacketBatch]rawAddr
	creds [PacketBatch][credSize]byte
	paths map[string]string
}

// packetHead is struct mmsghdr.
type packetHead struct {
	msg  unix.Msghdr
	size uint32
}

// credSpace is that of a control message with the sender's credentials, and of no
// other one besides: there must be no room for descriptors, which nobody would
// close. credSize is at least as much.
var credSpace = unix.CmsgSpace(unix.SizeofUcred)

const credSize = 32

// pathsKept bounds the names of Unix sockets that are kept, so that a packet of
// one who has sent before costs no allocation.
const pathsKept = 1024

func (r *real) packets() *packetRoom {
	if r.packetRoom == nil {
		r.packetRoom = &packetRoom{paths: map[string]string{}}
	}
	return r.packetRoom
}

// prepare points the head of each packet to its bytes.
func (m *packetRoom) prepare(i int, p []byte) *unix.Msghdr {
	part, h := &m.parts[i], &m.heads[i].msg
	part.Base = unsafe.SliceData(p)
	part.SetLen(len(p))
	h.Iov = part
	h.SetIovlen(1)
	h.Name, h.Namelen = nil, 0
	h.Control = nil
	h.SetControllen(0)
	return h
}

func (r *real) RecvPackets(fd int, ps []Packet, sequenced bool) (int, syscall.Errno) {
	m := r.packets()
	ps = ps[:min(len(ps), PacketBatch)]
	for i := range ps {
		h := m.prepare(i, ps[i].Buf)
		h.Name = (*byte)(unsafe.Pointer(&m.names[i]))
		h.Namelen = uint32(unsafe.Sizeof(m.names[i]))
		if sequenced {
			h.Control = &m.creds[i][0]
			h.SetControllen(credSpace)
		}
	}
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.heads)), uintptr(len(ps)),
		unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC, 0, 0)
	if e != 0 {
		return 0, e
	}
	for i := range ps[:n] {
		h, p := &m.heads[i], &ps[i]
		p.Size = int(h.size)
		if sequenced && p.Size == 0 && h.msg.Controllen == 0 {
			return i, 0 // an end, since every packet has its credentials; it comes again
		}
		p.Truncated = h.msg.Flags&unix.MSG_TRUNC != 0
		if h.msg.Namelen == 0 {
			p.Addr = Addr{}
		} else if name := &m.names[i]; name.Addr.Family == unix.AF_UNIX {
			p.Addr = Addr{Family: Unix, Path: m.path(name, h.msg.Namelen)}
		} else {
			p.Addr = decode(name, h.msg.Namelen)
		}
	}
	return int(n), 0
}

// path is the path in raw, as the string that it was the last time.
func (m *packetRoom) path(raw *rawAddr, size uint32) string {
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(raw)), size)
	if path, ok := m.paths[string(bytes)]; ok {
		return path
	}
	if len(m.paths) >= pathsKept {
		clear(m.paths)
	}
	path := decode(raw, size).Path
	m.paths[string(bytes)] = path
	return path
}

func (r *real) SendPackets(fd int, ps []Packet) (int, syscall.Errno) {
	m := r.packets()
	ps = ps[:min(len(ps), PacketBatch)]
	for i := range ps {
		h := m.prepare(i, ps[i].Buf)
		if ps[i].Addr.Family == 0 {
			continue
		}
		size, e := encode(ps[i].Addr, &m.names[i])
		if e != 0 && i == 0 {
			return 0, e
		}
		if e != 0 {
			ps = ps[:i] // those before it first
			break
		}
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&m.names[i])), size
	}
	n, _, e := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&m.heads)), uintptr(len(ps)),
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// encode is sockaddr without an allocation.
func encode(a Addr, raw *rawAddr) (size uint32, e syscall.Errno) {
	switch a.Family {
	case Inet:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: ntohs(a.Inet.Port()), Addr: a.Inet.Addr().Unmap().As4()}
		return unix.SizeofSockaddrInet4, 0
	case Inet6:
		zone, e := zoneID(a.Inet.Addr().Zone())
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: ntohs(a.Inet.Port()), Addr: a.Inet.Addr().As16(), Scope_id: zone}
		return unix.SizeofSockaddrInet6, e
	}
	if e := pathError(a.Path); e != 0 {
		return 0, e
	}
	sa := (*unix.RawSockaddrUnix)(unsafe.Pointer(raw))
	*sa = unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	path := unsafe.Slice((*byte)(unsafe.Pointer(&sa.Path)), len(sa.Path))
	n := copy(path, a.Path)
	if path[0] == '@' {
		path[0] = 0
	} else if n > 0 {
		n++ // the NUL
	}
	return uint32(unsafe.Offsetof(sa.Path)) + uint32(n), 0
}

func (r *real) PacketError(fd int) syscall.Errno {
	if pending, _ := r.SockError(fd); pending != 0 {
		return pending
	}
	// A Unix socket has no such queue, and would give a packet that waits.
	if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err != nil || domain == unix.AF_UNIX {
		return 0
	}
	// Whoever has set IP_RECVERR, or asked for timestamps, and does not read them.
	var control [256]byte
	_, n, _, _, err := unix.Recvmsg(fd, nil, control[:], unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	if err != nil {
		return 0
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_RECVERR ||
			m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_RECVERR {
			return syscall.Errno(binary.NativeEndian.Uint32(m.Data)) // sock_extended_err begins with it
		}
	}
	return 0
}

// Membership is RFC 3678's protocol-independent call: one for both families, by
// the interface's number, with or without a source.
func (r *real) Membership(fd int, m Membership) syscall.Errno {
	level := unix.IPPROTO_IP
	if m.Group.Is6() {
		level = unix.IPPROTO_IPV6
	}
	option := unix.MCAST_JOIN_GROUP
	addrs := []netip.Addr{m.Group}
	switch {
	case m.Source.IsValid() && m.Leave:
		option = unix.MCAST_LEAVE_SOURCE_GROUP
	case m.Source.IsValid():
		option = unix.MCAST_JOIN_SOURCE_GROUP
	case m.Leave:
		option = unix.MCAST_LEAVE_GROUP
	}
	if m.Source.IsValid() {
		addrs = append(addrs, m.Source)
	}
	// struct group_req: the interface, and sockaddr_storages, aligned as a word is.
	const word, storage = unsafe.Sizeof(uintptr(0)), 128
	req := make([]byte, word+storage*uintptr(len(addrs)))
	binary.NativeEndian.PutUint32(req, uint32(m.Interface))
	for i, a := range addrs {
		family := Inet
		if a.Is6() {
			family = Inet6
		}
		var raw rawAddr
		size, e := encode(Addr{Family: family, Inet: netip.AddrPortFrom(a.WithZone(""), 0)}, &raw)
		if e != 0 {
			return e
		}
		copy(req[word+storage*uintptr(i):], unsafe.Slice((*byte)(unsafe.Pointer(&raw)), size))
	}
	return errno(unix.SetsockoptString(fd, level, option, string(req)))
}

func (r *real) MulticastInterface(fd int, f Family, index int) syscall.Errno {
	if f == Inet6 {
		if e := errno(unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, index)); e != 0 {
			return e
		}
		// For the IPv4 groups of a socket that serves both.
	}
	return errno(unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)}))
}
