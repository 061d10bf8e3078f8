package sim

import (
	"fmt"
	"strings"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// unixName is the name that a Unix socket is bound to, if it is.
type unixName struct {
	name  string // "@name" in the abstract namespace
	bound bool
	owned bool  // it goes with the socket; not so the name of an accepted one
	node  *node // of a path
}

// bindUnix gives s a name of its own.
func bindUnix(s socket, n *unixName, a sys.Addr) syscall.Errno {
	if a.Family != sys.Unix {
		return syscall.EINVAL
	}
	if e := checkPath(a.Path); e != 0 {
		return e
	}
	h := s.self().p.host
	switch {
	case n.bound && a.Path == "":
		return 0
	case n.bound && strings.HasPrefix(a.Path, "@"):
		return syscall.EINVAL
	case a.Path == "":
		autobind(s, n)
		return 0
	case strings.HasPrefix(a.Path, "@"):
		if h.names[a.Path] != nil {
			return syscall.EADDRINUSE
		}
		h.names[a.Path] = s
	default:
		if h.tree.nodes[a.Path] != nil {
			return syscall.EADDRINUSE
		}
		if n.bound {
			return syscall.EINVAL
		}
		n.node = h.tree.add(a.Path, s)
	}
	n.name, n.bound, n.owned = a.Path, true, true
	return 0
}

// autobind makes up a name.
func autobind(s socket, n *unixName) {
	h := s.self().p.host
	for {
		h.named++
		name := fmt.Sprintf("@%05x", h.named)
		if h.names[name] == nil {
			h.names[name] = s
			n.name, n.bound, n.owned = name, true, true
			return
		}
	}
}

// unbind gives an abstract name back. A path stays, with nobody behind it.
func (n *unixName) unbind(h *host) {
	switch {
	case n.node != nil:
		n.node.socket = nil
	case n.owned:
		delete(h.names, n.name)
	}
}

// from is the address that packets come from: none, if there is no name.
func (n *unixName) from() sys.Addr {
	if !n.bound {
		return sys.Addr{}
	}
	return unixAddr(n.name)
}

// checkUnix tells what is wrong with the address of a receiver.
func checkUnix(a sys.Addr) syscall.Errno {
	if a.Family != sys.Unix || a.Path == "" {
		return syscall.EINVAL
	}
	return checkPath(a.Path)
}

// findUnix returns the socket that has a name.
func (h *host) findUnix(a sys.Addr) (socket, syscall.Errno) {
	if e := checkUnix(a); e != 0 {
		return nil, e
	}
	var s socket
	switch {
	case strings.HasPrefix(a.Path, "@"):
		s = h.names[a.Path]
	default:
		n := h.tree.nodes[a.Path]
		if n == nil {
			return nil, syscall.ENOENT
		}
		s = n.socket
	}
	if s == nil {
		return nil, syscall.ECONNREFUSED
	}
	return s, 0
}

// unixOption sets an option of a Unix socket.
func (b *base) unixOption(o sys.Option, value int) syscall.Errno {
	switch o {
	case sys.ReusePort:
		if value != 0 {
			return syscall.EOPNOTSUPP
		}
	case sys.NoDelay, sys.KeepIdle, sys.KeepInterval, sys.KeepCount, sys.UserTimeout, sys.V6Only,
		sys.MulticastTTL, sys.MulticastHops, sys.MulticastLoop, sys.MulticastLoop6:
		return syscall.EOPNOTSUPP
	default:
		b.socketOption(o, value)
	}
	return 0
}

// socketOption sets what every socket has.
func (b *base) socketOption(o sys.Option, value int) {
	switch o {
	case sys.Linger:
		b.linger = value
	case sys.ReadBuffer:
		b.recvRoom = max(value, 1)
	case sys.WriteBuffer:
		b.sendRoom = max(value, 1)
	}
}
