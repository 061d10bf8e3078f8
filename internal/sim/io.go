package sim

import (
	"os"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// stream is an object that is no socket and has bytes.
type stream interface {
	read(p []byte) (int, syscall.Errno)
	write(p []byte) (int, syscall.Errno)
}

// Recv receives bytes of a socket.
func (p *Process) Recv(fd int, b []byte) (int, syscall.Errno) {
	s, e := p.socket(fd)
	n := 0
	if e == 0 {
		n, e = s.recv(b)
	}
	p.called("recv", fd, n, e)
	return n, e
}

// Send sends bytes by a socket.
func (p *Process) Send(fd int, b []byte) (int, syscall.Errno) {
	s, e := p.socket(fd)
	n := 0
	if e == 0 {
		n, e = s.send(b)
	}
	p.called("send", fd, n, e)
	return n, e
}

// RecvUrgent takes the out-of-band byte.
func (p *Process) RecvUrgent(fd int) (byte, syscall.Errno) {
	s, e := p.socket(fd)
	var b byte
	if e == 0 {
		b, e = s.recvUrgent()
	}
	p.called("recv oob", fd, int(b), e)
	return b, e
}

// SendUrgent sends an out-of-band byte.
func (p *Process) SendUrgent(fd int, b byte) syscall.Errno {
	s, e := p.socket(fd)
	if e == 0 {
		e = s.sendUrgent(b)
	}
	p.called("send oob", fd, int(b), e)
	return e
}

// Read reads any descriptor.
func (p *Process) Read(fd int, b []byte) (int, syscall.Errno) {
	n, e := 0, syscall.EINVAL
	if f := p.table.get(fd); f == nil {
		e = syscall.EBADF
	} else if f.socket != nil {
		n, e = f.socket.recv(b)
	} else if s, ok := f.object.(stream); ok {
		n, e = s.read(b)
	}
	p.called("read", fd, n, e)
	return n, e
}

// Write writes to any descriptor.
func (p *Process) Write(fd int, b []byte) (int, syscall.Errno) {
	n, e := 0, syscall.EINVAL
	if f := p.table.get(fd); f == nil {
		e = syscall.EBADF
	} else if f.socket != nil {
		n, e = f.socket.send(b)
	} else if s, ok := f.object.(stream); ok {
		n, e = s.write(b)
	}
	p.called("write", fd, n, e)
	return n, e
}

// RecvPackets receives packets.
func (p *Process) RecvPackets(fd int, ps []sys.Packet, sequenced bool) (int, syscall.Errno) {
	s, e := p.socket(fd)
	n := 0
	if e == 0 {
		n, e = s.recvPackets(ps[:min(len(ps), sys.PacketBatch)], sequenced)
	}
	p.called("recvmmsg", fd, n, e)
	return n, e
}

// SendPackets sends packets.
func (p *Process) SendPackets(fd int, ps []sys.Packet) (int, syscall.Errno) {
	s, e := p.socket(fd)
	n := 0
	if e == 0 {
		n, e = s.sendPackets(ps[:min(len(ps), sys.PacketBatch)])
	}
	p.called("sendmmsg", fd, n, e)
	return n, e
}

// What follows is not simulated.

// SendFile has no files to send.
func (p *Process) SendFile(int, int, int) (int, syscall.Errno) { return 0, syscall.EOPNOTSUPP }

// FileRest knows no regular file.
func (p *Process) FileRest(fd int) (int64, syscall.Errno) {
	if p.table.get(fd) == nil {
		return 0, syscall.EBADF
	}
	return 0, syscall.EINVAL
}

// Membership knows no multicast.
func (p *Process) Membership(int, sys.Membership) syscall.Errno { return syscall.EOPNOTSUPP }

// MulticastInterface knows no multicast.
func (p *Process) MulticastInterface(int, sys.Family, int) syscall.Errno { return syscall.EOPNOTSUPP }

// Pipe knows no child processes.
func (p *Process) Pipe(bool) (int, *os.File, syscall.Errno) { return -1, nil, syscall.EOPNOTSUPP }

// Exited knows no child processes.
func (p *Process) Exited(int) bool { return false }

// IsMaster knows no terminals.
func (p *Process) IsMaster(int) bool { return false }
