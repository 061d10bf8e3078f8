package sim

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// ProcessConfig describes a process; the zero value is one to begin with.
type ProcessConfig struct {
	// Name is what traces call it.
	Name string
	// IP is the address that its host has besides loopback; the zero value is
	// none. Processes of the same IP share their host: loopback, ports, files.
	IP netip.Addr
	// Poller is what OpenPoller("") opens: "epoll" (the default), "kqueue", "poll"
	// or "select".
	Poller string
	// FDLimit is the first descriptor number that is too large; 0 is 1,024.
	FDLimit int
	// ReuseLast gives out the descriptor that was closed last instead of the
	// lowest that is free.
	ReuseLast bool
}

// roomDefault is how many bytes a socket holds in either direction: Linux's
// net.core.wmem_default.
const roomDefault = 212992

// Process is the system of one loop, with a descriptor table of its own. No
// call of it blocks but a poller's Wait, and that not for long.
type Process struct {
	k    *Kernel
	host *host
	id   int
	name string

	poller   string // the default
	sendRoom int
	recvRoom int

	table   table
	pollers []*Poller
}

var _ sys.System = (*Process)(nil)

// Process adds a process.
func (k *Kernel) Process(c ProcessConfig) *Process {
	p := &Process{
		k:        k,
		host:     k.host(c.IP.Unmap()),
		id:       len(k.processes) + 1,
		name:     c.Name,
		poller:   c.Poller,
		sendRoom: roomDefault,
		recvRoom: roomDefault,
		table:    table{last: -1, reuse: c.ReuseLast, limit: fdLimit},
	}
	if p.name == "" {
		p.name = fmt.Sprintf("process %d", p.id)
	}
	if c.FDLimit != 0 {
		p.SetFDLimit(c.FDLimit)
	}
	k.processes = append(k.processes, p)
	return p
}

// Now is the kernel's clock.
func (p *Process) Now() int64 { return p.k.now }

// BufferSizes sets, in bytes, what the sockets that are made from now on hold
// in either direction.
func (p *Process) BufferSizes(send, recv int) { p.sendRoom, p.recvRoom = max(send, 1), max(recv, 1) }

// PeerCred tells who is at the other end of a Unix socket: this very program, as
// all processes of a kernel are.
func (p *Process) PeerCred(fd int) (sys.Cred, syscall.Errno) {
	s, e := p.socket(fd)
	if e != 0 {
		return sys.Cred{}, e
	}
	if !s.hasPeerCred() {
		return sys.Cred{}, syscall.EOPNOTSUPP
	}
	return sys.Cred{UID: os.Getuid(), GID: os.Getgid(), PID: os.Getpid()}, 0
}
