//go:build unix

package sys

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
)

// Real returns the system itself, for one loop.
func Real() System { return &real{epoch: time.Now()} }

type real struct {
	epoch time.Time
	raw   rawAddr // scratch of Accept

	*packetRoom // scratch of RecvPackets and SendPackets
}

func (r *real) Now() int64 { return int64(time.Since(r.epoch)) }

func (r *real) OpenPoller(name string) (Poller, error) { return asyncore.Open(name) }

func (r *real) Read(fd int, p []byte) (int, syscall.Errno) {
	n, err := unix.Read(fd, p)
	return max(n, 0), errno(err)
}

func (r *real) Write(fd int, p []byte) (int, syscall.Errno) {
	n, err := unix.Write(fd, p)
	return max(n, 0), errno(err)
}

func (r *real) RecvUrgent(fd int) (byte, syscall.Errno) {
	var b [1]byte
	n, _, err := unix.Recvfrom(fd, b[:], unix.MSG_OOB)
	if err == nil && n == 0 {
		return 0, syscall.EAGAIN
	}
	return b[0], errno(err)
}

func (r *real) Close(fd int) syscall.Errno { return errno(unix.Close(fd)) }

func (r *real) Bind(fd int, a Addr) syscall.Errno {
	sa, e := sockaddr(a)
	if e != 0 {
		return e
	}
	return errno(unix.Bind(fd, sa))
}

func (r *real) Listen(fd, backlog int) syscall.Errno { return errno(unix.Listen(fd, backlog)) }

func (r *real) Connect(fd int, to Addr) syscall.Errno {
	sa, e := sockaddr(to)
	if e != 0 {
		return e
	}
	return errno(unix.Connect(fd, sa))
}

func (r *real) SockError(fd int) (pending, e syscall.Errno) {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	return syscall.Errno(v), errno(err)
}

func (r *real) ShutdownWrite(fd int) syscall.Errno {
	return errno(unix.Shutdown(fd, unix.SHUT_WR))
}

func (r *real) SetOption(fd int, o Option, value int) syscall.Errno {
	opt := options[o]
	if opt.name == 0 {
		return unix.EOPNOTSUPP
	}
	if o == Linger {
		linger := unix.Linger{Linger: int32(max(value, 0))}
		if value >= 0 {
			linger.Onoff = 1
		}
		return errno(unix.SetsockoptLinger(fd, opt.level, opt.name, &linger))
	}
	if o == MulticastTTL || o == MulticastLoop {
		return errno(unix.SetsockoptByte(fd, opt.level, opt.name, byte(min(value, 255)))) // the BSDs take no int
	}
	return errno(unix.SetsockoptInt(fd, opt.level, opt.name, value))
}

// options holds the numbers of this system; a name of 0 is an option that it
// lacks.
var options = [...]struct{ level, name int }{
	ReuseAddr:    {unix.SOL_SOCKET, unix.SO_REUSEADDR},
	ReusePort:    {unix.SOL_SOCKET, soReusePort},
	V6Only:       {unix.IPPROTO_IPV6, unix.IPV6_V6ONLY},
	NoDelay:      {unix.IPPROTO_TCP, unix.TCP_NODELAY},
	KeepAlive:    {unix.SOL_SOCKET, unix.SO_KEEPALIVE},
	KeepIdle:     {unix.IPPROTO_TCP, tcpKeepIdle},
	KeepInterval: {unix.IPPROTO_TCP, tcpKeepInterval},
	KeepCount:    {unix.IPPROTO_TCP, tcpKeepCount},
	UserTimeout:  {unix.IPPROTO_TCP, tcpUserTimeout},
	Linger:       {unix.SOL_SOCKET, unix.SO_LINGER},

	Broadcast:      {unix.SOL_SOCKET, unix.SO_BROADCAST},
	ReadBuffer:     {unix.SOL_SOCKET, unix.SO_RCVBUF},
	WriteBuffer:    {unix.SOL_SOCKET, unix.SO_SNDBUF},
	PacketEnd:      {unix.SOL_SOCKET, soPassCred},
	MulticastTTL:   {unix.IPPROTO_IP, unix.IP_MULTICAST_TTL},
	MulticastHops:  {unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS},
	MulticastLoop:  {unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP},
	MulticastLoop6: {unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP},
}

func (r *real) LocalAddr(fd int) (Addr, syscall.Errno) {
	sa, err := unix.Getsockname(fd)
	return addr(sa), errno(err)
}

func (r *real) PeerAddr(fd int) (Addr, syscall.Errno) {
	sa, err := unix.Getpeername(fd)
	return addr(sa), errno(err)
}

func (r *real) Dup(fd int) (int, syscall.Errno) {
	nfd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	return nfd, errno(err)
}

func (r *real) Mode(fd int) (Mode, syscall.Errno) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	access := flags & unix.O_ACCMODE
	return Mode{
		Read:     access != unix.O_WRONLY,
		Write:    access != unix.O_RDONLY,
		Nonblock: flags&unix.O_NONBLOCK != 0,
	}, errno(err)
}

func (r *real) Kind(fd int) (Kind, syscall.Errno) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return File, errno(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return File, 0
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case err != nil:
		return Other, errno(err)
	case kind == unix.SOCK_DGRAM:
		return Datagram, 0
	case kind == unix.SOCK_SEQPACKET:
		return Sequenced, 0
	case kind != unix.SOCK_STREAM:
		return Other, 0
	}
	switch listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); {
	case err != nil:
		return Unsure, 0
	case listens != 0:
		return Listening, 0
	}
	return Stream, 0
}

func (r *real) FileRest(fd int) (int64, syscall.Errno) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return 0, errno(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, syscall.EINVAL
	}
	at, err := unix.Seek(fd, 0, io.SeekCurrent)
	return max(st.Size-at, 0), errno(err)
}

func (r *real) SetNonblock(fd int, on bool) syscall.Errno { return errno(unix.SetNonblock(fd, on)) }

func (r *real) Lstat(path string) (Stat, syscall.Errno) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return Stat{
		Dev:    uint64(st.Dev),
		Ino:    uint64(st.Ino),
		Socket: st.Mode&unix.S_IFMT == unix.S_IFSOCK,
		Mine:   int(st.Uid) == os.Geteuid(),
	}, errno(err)
}

func (r *real) Chmod(path string, mode uint32) syscall.Errno {
	return errno(unix.Chmod(path, mode))
}

func (r *real) Unlink(path string) syscall.Errno { return errno(unix.Unlink(path)) }

func (r *real) Go(fn func()) { go fn() }

func (r *real) Lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, network, host)
}

func (f Family) domain() int {
	switch f {
	case Inet:
		return unix.AF_INET
	case Inet6:
		return unix.AF_INET6
	default:
		return unix.AF_UNIX
	}
}

func (k Kind) socket() int {
	switch k {
	case Datagram:
		return unix.SOCK_DGRAM
	case Sequenced:
		return unix.SOCK_SEQPACKET
	default:
		return unix.SOCK_STREAM
	}
}

// sockaddr refuses what x/sys would cut short or call an invalid argument.
func sockaddr(a Addr) (unix.Sockaddr, syscall.Errno) {
	switch a.Family {
	case Inet:
		return &unix.SockaddrInet4{Addr: a.Inet.Addr().Unmap().As4(), Port: int(a.Inet.Port())}, 0
	case Inet6:
		zone, e := zoneID(a.Inet.Addr().Zone())
		return &unix.SockaddrInet6{Addr: a.Inet.Addr().As16(), Port: int(a.Inet.Port()), ZoneId: zone}, e
	default:
		return &unix.SockaddrUnix{Name: a.Path}, pathError(a.Path)
	}
}

// pathError is what is wrong with the name of a Unix socket, or 0.
func pathError(path string) syscall.Errno {
	room := len(unix.RawSockaddrUnix{}.Path)
	if !strings.HasPrefix(path, "@") {
		room-- // the NUL at the end
	}
	switch {
	case len(path) > room:
		return syscall.ENAMETOOLONG
	case strings.ContainsRune(path, 0):
		return syscall.EINVAL
	}
	return 0
}

func zoneID(zone string) (uint32, syscall.Errno) {
	if zone == "" {
		return 0, 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n), 0
	}
	iface, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, syscall.ENODEV
	}
	return uint32(iface.Index), 0
}

func addr(sa unix.Sockaddr) Addr {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return inetAddr(Inet, netip.AddrFrom4(sa.Addr), sa.Port, 0)
	case *unix.SockaddrInet6:
		return inetAddr(Inet6, netip.AddrFrom16(sa.Addr), sa.Port, sa.ZoneId)
	case *unix.SockaddrUnix:
		return Addr{Family: Unix, Path: sa.Name}
	}
	return Addr{}
}

func inetAddr(f Family, ip netip.Addr, port int, zone uint32) Addr {
	if zone != 0 {
		ip = ip.WithZone(strconv.FormatUint(uint64(zone), 10))
	}
	return Addr{Family: f, Inet: netip.AddrPortFrom(ip, uint16(port))}
}

func errno(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	if e, ok := err.(syscall.Errno); ok {
		return e
	}
	return syscall.EINVAL // x/sys itself refused an argument
}
