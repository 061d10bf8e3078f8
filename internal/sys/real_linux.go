package sys

import (
	"encoding/binary"
	"math"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	soReusePort     = unix.SO_REUSEPORT
	tcpKeepIdle     = unix.TCP_KEEPIDLE
	tcpKeepInterval = unix.TCP_KEEPINTVL
	tcpKeepCount    = unix.TCP_KEEPCNT
	tcpUserTimeout  = unix.TCP_USER_TIMEOUT
)

// Inherits tells that accepted sockets have the listener's TCP options.
const Inherits = true

// rawAddr is what the kernel writes an address into.
type rawAddr = unix.RawSockaddrAny

// The calls below cannot block, so they are hidden from Go's scheduler: seen
// by it, they would keep its monitor thread awake and cost a quarter of the
// throughput (docs/design.md has the measurement).

func (r *real) Recv(fd int, p []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

func (r *real) Send(fd int, p []byte) (int, syscall.Errno) {
	n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

func (r *real) Accept(fd int, from *Addr) (int, syscall.Errno) {
	size := uint32(unsafe.Sizeof(r.raw))
	nfd, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&r.raw)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, e
	}
	*from = decode(&r.raw, size)
	return int(nfd), 0
}

func decode(raw *rawAddr, size uint32) Addr {
	switch raw.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return inetAddr(Inet, netip.AddrFrom4(sa.Addr), int(ntohs(sa.Port)), 0)
	case unix.AF_INET6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		return inetAddr(Inet6, netip.AddrFrom16(sa.Addr), int(ntohs(sa.Port)), sa.Scope_id)
	case unix.AF_UNIX:
		sa := (*unix.RawSockaddrUnix)(unsafe.Pointer(raw))
		n := int(size) - int(unsafe.Offsetof(sa.Path))
		if n <= 0 {
			return Addr{Family: Unix}
		}
		path := unsafe.Slice((*byte)(unsafe.Pointer(&sa.Path)), min(n, len(sa.Path)))
		if path[0] == 0 {
			return Addr{Family: Unix, Path: "@" + string(path[1:])}
		}
		return Addr{Family: Unix, Path: unix.ByteSliceToString(path)}
	}
	return Addr{}
}

// ntohs turns a port as it lies in memory into a number.
func ntohs(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

func (r *real) Socket(f Family) (int, syscall.Errno) { return r.PacketSocket(f, Stream) }

func (r *real) PacketSocket(f Family, k Kind) (int, syscall.Errno) {
	fd, err := unix.Socket(f.domain(), k.socket()|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	return fd, errno(err)
}

func (r *real) PeerCred(fd int) (Cred, syscall.Errno) {
	u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Cred{}, errno(err)
	}
	if u.Uid == math.MaxUint32 {
		return Cred{}, syscall.EOPNOTSUPP // no Unix socket, or no peer
	}
	// A PID of 0: the peer is in a PID namespace that is not ours or inside it.
	return Cred{UID: int(u.Uid), GID: int(u.Gid), PID: int(u.Pid)}, 0
}
