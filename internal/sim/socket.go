package sim

import (
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// socket is one end of a communication. The base of each kind answers for the
// calls that the kind does not have.
type socket interface {
	object
	self() *base
	kind() sys.Kind

	bind(a sys.Addr) syscall.Errno
	listen(backlog int) syscall.Errno
	accept() (socket, sys.Addr, syscall.Errno)
	connect(to sys.Addr) syscall.Errno
	local() sys.Addr
	remote() (sys.Addr, syscall.Errno)
	hasPeerCred() bool

	recv(p []byte) (int, syscall.Errno)
	send(p []byte) (int, syscall.Errno)
	recvPackets(ps []sys.Packet, sequenced bool) (int, syscall.Errno)
	sendPackets(ps []sys.Packet) (int, syscall.Errno)
	recvUrgent() (byte, syscall.Errno)
	sendUrgent(b byte) syscall.Errno
	shutdown(read, write bool) syscall.Errno
	setOption(o sys.Option, value int) syscall.Errno
}

// base is what every socket has.
type base struct {
	p      *Process
	file   *file // nil before it has a descriptor, and after
	id     int   // in the order of creation
	family sys.Family

	err      syscall.Errno // SO_ERROR
	noRead   bool          // shut down, by either side
	noWrite  bool
	sendRoom int
	recvRoom int
	linger   int // seconds, negative: off
}

func (p *Process) base(f sys.Family) base {
	p.k.sockets++
	return base{p: p, id: p.k.sockets, family: f, sendRoom: p.sendRoom, recvRoom: p.recvRoom, linger: -1}
}

func (b *base) self() *base    { return b }
func (b *base) mode() sys.Mode { return sys.Mode{Read: true, Write: true} }

// touch has the pollers look at the socket again.
func (b *base) touch() {
	if b.file != nil {
		b.file.touch()
	}
}

// takeError returns the pending error, and clears it.
func (b *base) takeError() syscall.Errno {
	e := b.err
	b.err = 0
	return e
}

func (b *base) listen(int) syscall.Errno                  { return syscall.EOPNOTSUPP }
func (b *base) accept() (socket, sys.Addr, syscall.Errno) { return nil, sys.Addr{}, syscall.EOPNOTSUPP }
func (b *base) hasPeerCred() bool                         { return false }
func (b *base) sendUrgent(byte) syscall.Errno             { return syscall.EOPNOTSUPP }

// Socket makes a stream socket.
func (p *Process) Socket(f sys.Family) (int, syscall.Errno) { return p.PacketSocket(f, sys.Stream) }

// PacketSocket makes a socket of any kind.
func (p *Process) PacketSocket(f sys.Family, k sys.Kind) (int, syscall.Errno) {
	fd, e := -1, syscall.EPROTONOSUPPORT
	switch {
	case f == sys.Unix && k == sys.Stream:
		fd, e = p.open(p.unixStream())
	case f == sys.Unix:
		fd, e = p.open(p.unixPackets(k))
	case k == sys.Stream:
		fd, e = p.open(p.tcp(f))
	case k == sys.Datagram:
		fd, e = p.open(p.udp(f))
	}
	p.called("socket", fd, 0, e)
	return fd, e
}

// Pair returns the two ends of a socketpair: "unix", "unixgram" or
// "unixpacket".
func (p *Process) Pair(network string) (a, b int, e syscall.Errno) {
	switch network {
	case "unix":
		x, y := p.unixStream(), p.unixStream()
		x.join(y)
		return p.openTwo(x, y)
	case "unixgram", "unixpacket":
		kind := sys.Datagram
		if network == "unixpacket" {
			kind = sys.Sequenced
		}
		x, y := p.unixPackets(kind), p.unixPackets(kind)
		x.join(y)
		y.join(x)
		return p.openTwo(x, y)
	}
	return -1, -1, syscall.EPROTONOSUPPORT
}

// Bind gives a socket its address.
func (p *Process) Bind(fd int, a sys.Addr) syscall.Errno {
	s, e := p.socket(fd)
	if e == 0 {
		e = s.bind(a)
	}
	p.calledFor("bind", fd, a, e)
	return e
}

// Listen has a socket take connections.
func (p *Process) Listen(fd, backlog int) syscall.Errno {
	s, e := p.socket(fd)
	if e == 0 {
		e = s.listen(backlog)
	}
	p.called("listen", fd, backlog, e)
	return e
}

// Accept takes a connection. Like Linux's it asks for a descriptor first.
func (p *Process) Accept(fd int, from *sys.Addr) (int, syscall.Errno) {
	n, e := p.accept(fd, from)
	p.called("accept", fd, n, e)
	return n, e
}

func (p *Process) accept(fd int, from *sys.Addr) (int, syscall.Errno) {
	f := p.table.get(fd)
	switch {
	case f == nil:
		return -1, syscall.EBADF
	case p.table.next() < 0:
		return -1, syscall.EMFILE
	case f.socket == nil:
		return -1, syscall.ENOTSOCK
	}
	c, a, e := f.socket.accept()
	if e != 0 {
		return -1, e
	}
	*from = a
	return p.open(c)
}

// Connect begins a connection, or sets the peer of a datagram socket.
func (p *Process) Connect(fd int, to sys.Addr) syscall.Errno {
	s, e := p.socket(fd)
	if e == 0 {
		e = s.connect(to)
	}
	p.calledFor("connect", fd, to, e)
	return e
}

// LocalAddr is the address that a socket is bound to.
func (p *Process) LocalAddr(fd int) (sys.Addr, syscall.Errno) {
	s, e := p.socket(fd)
	if e != 0 {
		return sys.Addr{}, e
	}
	return s.local(), 0
}

// PeerAddr is the address that a socket is connected to.
func (p *Process) PeerAddr(fd int) (sys.Addr, syscall.Errno) {
	s, e := p.socket(fd)
	if e != 0 {
		return sys.Addr{}, e
	}
	return s.remote()
}

// SockError takes the pending error of a socket.
func (p *Process) SockError(fd int) (pending, errno syscall.Errno) {
	s, e := p.socket(fd)
	if e != 0 {
		return 0, e
	}
	pending = s.self().takeError()
	p.called("so_error", fd, 0, pending)
	return pending, 0
}

// PacketError is SockError: the queue of errors is not simulated.
func (p *Process) PacketError(fd int) syscall.Errno {
	pending, _ := p.SockError(fd)
	return pending
}

// SetOption sets an option of a socket.
func (p *Process) SetOption(fd int, o sys.Option, value int) syscall.Errno {
	s, e := p.socket(fd)
	if e == 0 {
		e = s.setOption(o, value)
	}
	p.called("setsockopt", fd, value, e)
	return e
}

// ShutdownWrite ends what a socket sends.
func (p *Process) ShutdownWrite(fd int) syscall.Errno { return p.Shutdown(fd, false, true) }

// Shutdown is shutdown(2) in one direction or both.
func (p *Process) Shutdown(fd int, read, write bool) syscall.Errno {
	s, e := p.socket(fd)
	if e == 0 {
		e = s.shutdown(read, write)
	}
	p.called("shutdown", fd, 0, e)
	return e
}

// Reset closes a socket without lingering, which resets a TCP connection.
func (p *Process) Reset(fd int) syscall.Errno {
	s, e := p.socket(fd)
	if e != 0 {
		return e
	}
	s.self().linger = 0
	return p.Close(fd)
}
