package socket

import (
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// NoTimeout is the timeout of a blocking Socket: Python's None.
const NoTimeout time.Duration = -1 << 63

// Socket is a socket: Python's socket.socket, over socket(2). It is made by [New],
// [Pair], [FromFD], [Socket.Accept], [CreateConnection] or [CreateServer], and is
// open until Close or Detach; it isn't closed by being forgotten. The zero Socket is
// a closed one.
//
// # Modes
//
// A Socket is blocking, timed or non-blocking, and a new one is always blocking:
// there is no default timeout of the process, such as Python's setdefaulttimeout
// sets, nor is one handed from a listener to what it accepts. A call that can't be
// done at once waits in a blocking Socket for as long as it takes. In a timed one it
// fails when the timeout has passed; the error is a [net.Error] whose Timeout method
// reports true, and errors.Is finds [os.ErrDeadlineExceeded]. In a non-blocking one
// it fails with [ErrWouldBlock], and Connect with EINPROGRESS.
//
// The descriptor itself always has O_NONBLOCK set, whatever the mode: waiting is
// done by poll(2), and takes a thread for each call that waits and one more
// descriptor for each Socket that has ever waited, until it is closed.
//
// # Goroutines
//
// All methods may be called from several goroutines at once. Close, Shutdown and
// SetTimeout take effect on calls that wait in others: Close ends them with
// [net.ErrClosed], and a new timeout counts from the beginning of the call. A
// descriptor's number is never given back while a call uses it. Each Recv, Send,
// Accept and their kin is one system call's worth of data; the parts of two SendAll
// calls may mix. Bytes that a call is given are the caller's again when it returns, and
// those that it returns are too.
//
// # Errors
//
// Errors are *[net.OpError] around *[os.SyscallError], in which errors.Is finds the
// errno (Python's OSError), or around one of those above, or around what is wrong
// with an argument. SIGPIPE is never raised.
type Socket struct {
	family Family
	typ    Type
	proto  Proto

	mu       sync.Mutex // guards what follows
	idle     sync.Cond  // signalled when calls falls to 0
	fd       int
	open     bool // neither Close nor Detach was called
	detached bool
	files    int // of Makefile, not yet closed
	calls    int // under way, with the use of fd
	waker    *waker
	timeout  time.Duration
}

// New returns a new socket, blocking and close-on-exec. Zeros stand for AF_INET,
// SOCK_STREAM and the type's usual protocol, so that New(0, 0, 0) is for TCP over
// IPv4. SOCK_NONBLOCK in t makes it non-blocking, SOCK_CLOEXEC changes nothing.
func New(f Family, t Type, p Proto) (*Socket, error) {
	if f == 0 {
		f = afInet
	}
	t, timeout := splitType(t)
	fd, err := sysSocket(f, t, p)
	if err != nil {
		return nil, creationError("socket", "socket", f, t, err)
	}
	return wrap(fd, f, t, p, timeout), nil
}

// Pair returns two sockets connected to each other, socketpair(2). Zeros stand for
// AF_UNIX and SOCK_STREAM; other families than AF_UNIX mostly have no pairs, which is
// EOPNOTSUPP.
func Pair(f Family, t Type, p Proto) (*Socket, *Socket, error) {
	if f == 0 {
		f = afUnix
	}
	t, timeout := splitType(t)
	fds, err := sysPair(f, t, p)
	if err != nil {
		return nil, nil, creationError("socketpair", "socketpair", f, t, err)
	}
	return wrap(fds[0], f, t, p, timeout), wrap(fds[1], f, t, p, timeout), nil
}

// FromFD returns a Socket on a duplicate of fd, which stays the caller's: closing one
// leaves the other. Zeros have the kernel asked for the family, the type and the
// protocol, where it tells (Linux and FreeBSD do; elsewhere the protocol stays 0);
// others are believed. A descriptor that is no socket is ENOTSOCK, one that isn't open
// EBADF.
//
// The Socket is blocking, whatever the mode of fd. O_NONBLOCK belongs to the open
// file, which a duplicate shares: it is set for fd too, and for every other process
// that has it, and must stay set.
func FromFD(fd uintptr, f Family, t Type, p Proto) (*Socket, error) {
	nfd, err := dupSocket(fd, &f, &t, &p)
	if err != nil {
		return nil, creationError("fromfd", "dup", f, t, err)
	}
	return wrap(nfd, f, t, p, NoTimeout), nil
}

func dupSocket(fd uintptr, f *Family, t *Type, p *Proto) (int, error) {
	if fd > math.MaxInt32 { // the kernel would take the lower half
		return -1, syscall.EBADF
	}
	kf, kt, kp, err := sysKind(int(fd))
	if err != nil {
		return -1, err
	}
	if *f == 0 {
		*f = kf
	}
	if *t == 0 {
		*t = kt
	}
	if *p == 0 {
		*p = kp
	}
	return sysDup(int(fd))
}

// splitType takes the flags out of a type, and the timeout from them.
func splitType(t Type) (Type, time.Duration) {
	timeout := NoTimeout
	if t&sockNonblock != 0 {
		timeout = 0
	}
	t &^= sockFlags
	if t == 0 {
		t = sockStream
	}
	return t, timeout
}

func wrap(fd int, f Family, t Type, p Proto, timeout time.Duration) *Socket {
	s := &Socket{family: f, typ: t, proto: p, fd: fd, open: true, timeout: timeout}
	s.idle.L = &s.mu
	return s
}

// Family returns the address family, Python's attribute family.
func (s *Socket) Family() Family { return s.family }

// Type returns the type, without SOCK_NONBLOCK and SOCK_CLOEXEC.
func (s *Socket) Type() Type { return s.typ }

// Proto returns the protocol that the Socket was made with: 0 stays 0.
func (s *Socket) Proto() Proto { return s.proto }

// Fd returns the descriptor, Python's fileno: valid until the Socket is closed, and
// always in O_NONBLOCK mode. It is the largest uintptr when the Socket is closed.
func (s *Socket) Fd() uintptr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return ^uintptr(0)
	}
	return uintptr(s.fd)
}

// SetBlocking sets the timeout to NoTimeout, or to 0.
func (s *Socket) SetBlocking(on bool) error {
	if on {
		return s.SetTimeout(NoTimeout)
	}
	return s.SetTimeout(0)
}

// SetTimeout makes the Socket timed, or non-blocking by 0, or blocking by
// [NoTimeout]; any other negative timeout is an error. It holds for each call from
// its beginning, SendAll's as a whole, and also for those under way.
func (s *Socket) SetTimeout(d time.Duration) error {
	if d < 0 && d != NoTimeout {
		return s.fail("settimeout", "", -1, errNegativeTimeout)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return s.fail("settimeout", "", -1, net.ErrClosed)
	}
	s.timeout = d
	s.poke()
	return nil
}

// Timeout returns the timeout: 0 in a non-blocking Socket, [NoTimeout] in a blocking
// one.
func (s *Socket) Timeout() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.timeout
}

// GetSockName returns the Socket's own address.
func (s *Socket) GetSockName() (a Addr, err error) {
	err = s.quick("getsockname", "getsockname", func(fd int) (err error) {
		a, err = sysLocalAddr(fd)
		return err
	})
	return a, err
}

// GetPeerName returns the address of the other end; ENOTCONN where there is none.
func (s *Socket) GetPeerName() (a Addr, err error) {
	err = s.quick("getpeername", "getpeername", func(fd int) (err error) {
		a, err = sysPeerAddr(fd)
		return err
	})
	return a, err
}

// Dup returns a second Socket on the same socket, with the same timeout. The two are
// closed separately; the connection ends with the last.
func (s *Socket) Dup() (d *Socket, err error) {
	err = s.quick("dup", "dup", func(fd int) error {
		nfd, err := sysDup(fd)
		if err == nil {
			d = wrap(nfd, s.family, s.typ, s.proto, s.Timeout())
		}
		return err
	})
	return d, err
}

// Detach closes the Socket without closing its descriptor, and returns that. It is the
// caller's from now on, still close-on-exec and in O_NONBLOCK mode. Calls under way
// are ended as by Close, and so are files of Makefile.
func (s *Socket) Detach() (fd uintptr, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return ^uintptr(0), s.fail("detach", "", -1, net.ErrClosed)
	}
	s.open, s.detached = false, true
	return uintptr(s.takeFD()), nil
}

// Close closes the Socket, once: a second Close returns [net.ErrClosed]. Calls under
// way in other goroutines end, before Close returns, with that error. While a [File]
// of Makefile is open, the descriptor is too, and only it; Close then doesn't wait for
// those calls.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return s.fail("close", "", -1, net.ErrClosed)
	}
	s.open = false
	return s.closeUnused()
}

// closeUnused closes the descriptor of a Socket that is closed, and so are its files.
func (s *Socket) closeUnused() error {
	if s.files > 0 {
		s.poke()
		return nil
	}
	fd := s.takeFD()
	s.mu.Unlock() // close(2) may take as long as SO_LINGER lets it
	err := sysClose(fd)
	s.mu.Lock()
	// The descriptor is gone whatever close(2) says; ECONNRESET is what the peer has
	// done.
	if err != nil && err != syscall.ECONNRESET {
		return s.fail("close", "close", -1, err)
	}
	return nil
}

// takeFD waits until no call uses the descriptor any more, and takes it out.
func (s *Socket) takeFD() int {
	s.poke()
	for s.calls > 0 {
		s.idle.Wait()
	}
	if s.waker != nil {
		s.waker.close()
		s.waker = nil
	}
	fd := s.fd
	s.fd = -1
	return fd
}

// stream tells that a read of no bytes is the end.
func (s *Socket) stream() bool { return s.typ == sockStream || s.typ == sockSeqpacket }

// network is package net's name for the kind of socket.
func network(f Family, t Type) string {
	switch f {
	case afInet, afInet6:
		switch t {
		case sockStream:
			return "tcp"
		case sockDgram:
			return "udp"
		}
		return "ip"
	case afUnix:
		switch t {
		case sockDgram:
			return "unixgram"
		case sockSeqpacket:
			return "unixpacket"
		}
		return "unix"
	}
	return f.String()
}

// ErrWouldBlock is what a non-blocking Socket answers to a call that can't be done at
// once: Python's BlockingIOError. errors.Is finds EAGAIN in it. It is no timeout.
var ErrWouldBlock error = wouldBlock{}

type wouldBlock struct{}

func (wouldBlock) Error() string        { return "operation would block" }
func (wouldBlock) Timeout() bool        { return false }
func (wouldBlock) Temporary() bool      { return true }
func (wouldBlock) Is(target error) bool { return target == syscall.EAGAIN }

// errTimedOut is Python's socket.timeout.
var errTimedOut error = timedOut{}

type timedOut struct{}

func (timedOut) Error() string        { return "timed out" }
func (timedOut) Timeout() bool        { return true }
func (timedOut) Temporary() bool      { return true }
func (timedOut) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// argumentError is one that Python calls a ValueError.
type argumentError string

func (e argumentError) Error() string        { return string(e) }
func (e argumentError) Is(target error) bool { return target == syscall.EINVAL }

const (
	errNegativeTimeout = argumentError("timeout value out of range")
	errNegativeSize    = argumentError("negative buffer size")
	errOptionRange     = argumentError("option value out of range")
	errNoData          = argumentError("descriptors need a byte of data to go with")
)

// fail returns package net's form of an error. fd is -1 where addresses can't or
// needn't be told.
func (s *Socket) fail(op, call string, fd int, err error) *net.OpError {
	e := creationError(op, call, s.family, s.typ, err)
	if fd >= 0 {
		if a, err := sysLocalAddr(fd); err == nil && a != nil && a.String() != "" {
			e.Source = a
		}
		if a, err := sysPeerAddr(fd); err == nil && a != nil && a.String() != "" {
			e.Addr = a
		}
	}
	return e
}

// creationError is fail where there is no Socket yet.
func creationError(op, call string, f Family, t Type, err error) *net.OpError {
	if errno, ok := err.(syscall.Errno); ok {
		err = os.NewSyscallError(call, errno)
	}
	return &net.OpError{Op: op, Net: network(f, t), Err: err}
}
