// Package sys is the seam between the reactor and the system: everything that
// loop and channel ask of the kernel goes through [System]. The one that
// [Real] returns is thin; tests wrap it to inject faults or replace it as a
// whole.
package sys

import (
	"context"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
)

// System is the kernel as one loop sees it. Its methods belong to the loop's
// goroutine, except Go and Lookup. Errors are raw numbers, 0 for none: the caller knows
// which ones are ordinary, and a number in an interface would be an allocation.
//
// Every descriptor that a System makes is close-on-exec and non-blocking.
type System interface {
	// Now is the monotonic clock, in nanoseconds from an arbitrary start.
	Now() int64
	// OpenPoller opens a poller as asyncore.Open does.
	OpenPoller(name string) (Poller, error)

	// Recv and Send move bytes of a socket. They never block, whatever the
	// descriptor's mode, and are hidden from Go's scheduler where the system
	// allows it. Recv returns 0 and no error at the end of the stream.
	Recv(fd int, p []byte) (int, syscall.Errno)
	Send(fd int, p []byte) (int, syscall.Errno)
	// RecvUrgent takes the out-of-band byte.
	RecvUrgent(fd int) (byte, syscall.Errno)
	// Read and Write are for every other descriptor. They may sleep (a file's
	// cold page), so Go's scheduler sees them.
	Read(fd int, p []byte) (int, syscall.Errno)
	Write(fd int, p []byte) (int, syscall.Errno)
	// SendFile has the kernel send up to n bytes, more than 0, of a file to a
	// socket, from the file's own offset, which moves on by what was sent. It
	// returns 0 and no error at the file's end. It may sleep as Read may, but not
	// for a peer. EOPNOTSUPP is a system without such a call.
	SendFile(fd, file, n int) (int, syscall.Errno)
	// FileRest is how many bytes a regular file has from its offset on. Of
	// anything else it is EINVAL.
	FileRest(fd int) (int64, syscall.Errno)
	// Close gives the descriptor back. Whatever it returns, the number is
	// free: it must not be repeated.
	Close(fd int) syscall.Errno

	// RecvPackets takes up to len(ps) packets of a socket that keeps their
	// boundaries, and is otherwise like Recv: the Buf of each is room, and Size,
	// From and Truncated are set. It returns how many there were, and an error
	// that came behind them. sequenced is for a connection of sequenced packets,
	// which alone has an end: no packet and no error. At most PacketBatch of ps
	// are looked at.
	RecvPackets(fd int, ps []Packet, sequenced bool) (int, syscall.Errno)
	// SendPackets sends the Buf of each packet to its Addr, or, where that has no
	// family, to the peer that the socket is connected to. It returns how many the
	// kernel took before it stopped, and an error only if that was none. At most
	// PacketBatch of ps are looked at.
	SendPackets(fd int, ps []Packet) (int, syscall.Errno)
	// PacketError takes what keeps a socket ready although there is no packet and
	// no room: the pending SO_ERROR, and on Linux a message of the error queue; 0
	// if there was none.
	PacketError(fd int) syscall.Errno
	// Membership joins or leaves a multicast group; EOPNOTSUPP is a source on a
	// system that cannot choose one.
	Membership(fd int, m Membership) syscall.Errno
	// MulticastInterface sets, by its number, on which interface a socket's
	// multicast packets go out; 0 is the system's choice.
	MulticastInterface(fd int, f Family, index int) syscall.Errno

	// Socket makes a stream socket, PacketSocket one that keeps boundaries:
	// Datagram or Sequenced.
	Socket(f Family) (int, syscall.Errno)
	PacketSocket(f Family, k Kind) (int, syscall.Errno)
	Bind(fd int, a Addr) syscall.Errno
	Listen(fd, backlog int) syscall.Errno
	// Accept returns the new descriptor, and in *from the peer's address as
	// the kernel gave it: asking later fails for a peer that has gone.
	Accept(fd int, from *Addr) (int, syscall.Errno)
	Connect(fd int, to Addr) syscall.Errno
	// SockError takes the pending SO_ERROR; errno tells that asking failed.
	SockError(fd int) (pending, errno syscall.Errno)
	ShutdownWrite(fd int) syscall.Errno
	// SetOption gives EOPNOTSUPP for an option that this system lacks.
	SetOption(fd int, o Option, value int) syscall.Errno
	// PeerCred tells who is at the other end of a Unix socket.
	PeerCred(fd int) (Cred, syscall.Errno)
	LocalAddr(fd int) (Addr, syscall.Errno)
	PeerAddr(fd int) (Addr, syscall.Errno)

	// Dup returns a close-on-exec duplicate, which shares fd's blocking mode.
	Dup(fd int) (int, syscall.Errno)
	Mode(fd int) (Mode, syscall.Errno)
	Kind(fd int) (Kind, syscall.Errno)
	SetNonblock(fd int, on bool) syscall.Errno

	// Pipe makes a pipe to a child process, or from it: fd is our end, child the
	// other one, blocking, to be closed when the child has it.
	Pipe(toChild bool) (fd int, child *os.File, e syscall.Errno)
	// Pending is how many bytes a pipe holds (FIONREAD).
	Pending(fd int) (int, syscall.Errno)
	// Exited tells whether the process of a pidfd has ended, so that waiting for it
	// does not block.
	Exited(pidfd int) bool
	// IsMaster tells whether fd is a terminal's master that reads EIO when the
	// other side has gone.
	IsMaster(fd int) bool

	// The file system, as far as Unix sockets need it.
	Lstat(path string) (Stat, syscall.Errno)
	Chmod(path string, mode uint32) syscall.Errno
	Unlink(path string) syscall.Errno

	// Go runs fn, which may block, beside the loop: on a goroutine of its own, and
	// never before it returns.
	Go(fn func())
	// Lookup returns the addresses of a host, for the network "ip4" or "ip6".
	// It blocks until ctx is done, so it is called on goroutines that are not
	// the loop's, on several at once.
	Lookup(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Poller is what the loop needs of *asyncore.Poller, which documents it.
type Poller interface {
	Name() string
	Add(fd int, token uint64, want asyncore.Interest) error
	Modify(fd int, token uint64, want asyncore.Interest) error
	Remove(fd int) error
	Wait(dst []asyncore.Event, timeout time.Duration) (int, error)
	Wake() error
	FD() int
	Close() error
}

var _ Poller = (*asyncore.Poller)(nil)

// Family is an address family.
type Family uint8

const (
	Inet Family = iota + 1
	Inet6
	Unix
)

// Addr is a socket address of any family, kept in place: no pointer but the
// path's, so that an accepted Conn costs no second allocation.
type Addr struct {
	Inet   netip.AddrPort // Inet and Inet6; the zone is the interface's number
	Path   string         // Unix; "@name" in the abstract namespace, "" unnamed
	Family Family         // 0: unknown
}

// PacketBatch is how many packets one call moves at most.
const PacketBatch = 64

// Packet is one packet of a batch.
type Packet struct {
	Buf       []byte // the room for it, or what is to be sent
	Size      int    // received
	Addr      Addr   // from where, or to where
	Truncated bool   // it was longer than its room
	Since     int64  // the caller's
	Held      bool   // the caller's
}

// Membership is a place in a multicast group.
type Membership struct {
	Group, Source netip.Addr // no Source: from anybody
	Interface     int        // 0: the system's choice
	Leave         bool
}

// Option is a socket option with an integer value.
type Option uint8

const (
	ReuseAddr      Option = iota // SO_REUSEADDR
	ReusePort                    // SO_REUSEPORT
	V6Only                       // IPV6_V6ONLY
	NoDelay                      // TCP_NODELAY
	KeepAlive                    // SO_KEEPALIVE
	KeepIdle                     // TCP_KEEPIDLE, seconds
	KeepInterval                 // TCP_KEEPINTVL, seconds
	KeepCount                    // TCP_KEEPCNT
	UserTimeout                  // TCP_USER_TIMEOUT, milliseconds
	Linger                       // SO_LINGER, seconds; negative: off
	Broadcast                    // SO_BROADCAST
	ReadBuffer                   // SO_RCVBUF, bytes
	WriteBuffer                  // SO_SNDBUF, bytes
	PacketEnd                    // what RecvPackets needs to tell an empty packet from the end
	MulticastTTL                 // IP_MULTICAST_TTL
	MulticastHops                // IPV6_MULTICAST_HOPS
	MulticastLoop                // IP_MULTICAST_LOOP
	MulticastLoop6               // IPV6_MULTICAST_LOOP
)

// Mode is how a descriptor was opened (F_GETFL).
type Mode struct {
	Read, Write, Nonblock bool
}

// Kind is what a descriptor refers to.
type Kind uint8

const (
	File      Kind = iota // no socket
	Stream                // a stream socket that does not listen
	Listening             // one that does
	Unsure                // one of the two: the system does not tell
	Datagram              // datagrams (SOCK_DGRAM)
	Sequenced             // sequenced packets (SOCK_SEQPACKET), also one that listens
	Other                 // a socket of another type
)

// Cred is a process as the kernel knows it. The PID is 0 where the system does
// not tell.
type Cred struct{ UID, GID, PID int }

// Stat is what a path refers to.
type Stat struct {
	Dev, Ino uint64
	Socket   bool
	Mine     bool // owned by this process's user
}
