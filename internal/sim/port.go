package sim

import (
	"math"
	"net/netip"
	"slices"
	"syscall"
)

// The ports that the kernel gives out are Linux's.
const (
	firstPort = 32768
	lastPort  = 60999
)

// ports are those of a host and protocol.
type ports struct {
	by   map[uint16]*port
	last uint16 // given out
}

func (ps *ports) init() {
	ps.by = map[uint16]*port{}
	ps.last = lastPort
}

// port is one that is or was in use.
type port struct {
	bound    []*binding // sockets that have taken it
	accepted []*binding // and those that were accepted by such a one
	// Until when it is kept for a connection that is over (TIME_WAIT): for all,
	// and for those that do not allow reuse.
	wait, waitStrict int64
}

// binding is what a socket has of a port.
type binding struct {
	ip        netip.Addr // unmapped
	number    uint16
	v6, only6 bool
	reuseAddr bool
	reusePort bool
	listening bool
	taken     bool // it has one
	chosen    bool // bind was asked for this one, and not for any
	fixed     bool // the same of the address
	owner     socket
	accepted  bool
	index     int // in its port's list
}

func (b *binding) addr() netip.AddrPort { return netip.AddrPortFrom(b.ip, b.number) }

// covers tells whether what is sent to ip arrives at b.
func (b *binding) covers(ip netip.Addr) bool {
	if !b.ip.IsUnspecified() {
		return b.ip == ip
	}
	return b.v6 == ip.Is6() || b.v6 && !b.only6
}

// overlaps tells whether there is an address that both would cover.
func (b *binding) overlaps(c *binding) bool {
	switch {
	case b.ip.IsUnspecified() && c.ip.IsUnspecified():
		return b.v6 == c.v6 || b.v6 && !b.only6 || c.v6 && !c.only6
	case b.ip.IsUnspecified():
		return b.covers(c.ip)
	}
	return c.covers(b.ip)
}

// conflicts tells whether b cannot have a port that c has.
func (b *binding) conflicts(c *binding) bool {
	if b == c || !b.overlaps(c) {
		return false
	}
	return !(b.reuseAddr && c.reuseAddr && !c.listening || b.reusePort && c.reusePort)
}

// free tells whether b can have the port.
func (ps *ports) free(b *binding, number uint16, now int64) bool {
	p := ps.by[number]
	if p == nil {
		return true
	}
	if now < p.waitStrict || now < p.wait && !b.reuseAddr {
		return false
	}
	return !slices.ContainsFunc(p.bound, b.conflicts) && !slices.ContainsFunc(p.accepted, b.conflicts)
}

// bind takes a port for b; 0 is any.
func (ps *ports) bind(b *binding, number uint16, now int64) syscall.Errno {
	if number == 0 {
		number = ps.unused(now)
	} else if !ps.free(b, number, now) {
		number = 0
	}
	if number == 0 {
		return syscall.EADDRINUSE
	}
	ps.take(b, number)
	return 0
}

// borrow takes a port for a connection's sake, if need be one that is still kept
// for another.
func (ps *ports) borrow(b *binding, now int64) syscall.Errno {
	number := ps.unused(now)
	if number == 0 {
		number = ps.unused(math.MaxInt64)
	}
	if number == 0 {
		return syscall.EADDRNOTAVAIL
	}
	ps.take(b, number)
	return 0
}

// unused returns a port that nobody has, 0 if there is none.
func (ps *ports) unused(now int64) uint16 {
	for range lastPort - firstPort + 1 {
		if ps.last++; ps.last > lastPort {
			ps.last = firstPort
		}
		p := ps.by[ps.last]
		if p == nil || len(p.bound)+len(p.accepted) == 0 && now >= max(p.wait, p.waitStrict) {
			return ps.last
		}
	}
	return 0
}

func (ps *ports) take(b *binding, number uint16) {
	p := ps.by[number]
	if p == nil {
		p = &port{}
		ps.by[number] = p
	}
	list := p.list(b)
	b.number, b.taken, b.index = number, true, len(*list)
	*list = append(*list, b)
}

func (p *port) list(b *binding) *[]*binding {
	if b.accepted {
		return &p.accepted
	}
	return &p.bound
}

// release gives b's port back. The order of the others stays as it is for those
// that were bound: packets go to the first that will do.
func (ps *ports) release(b *binding) {
	if !b.taken {
		return
	}
	b.taken = false
	p := ps.by[b.number]
	list := p.list(b)
	last := len(*list) - 1
	if b.accepted {
		(*list)[b.index] = (*list)[last]
		(*list)[b.index].index = b.index
	} else {
		copy((*list)[b.index:], (*list)[b.index+1:])
		for i, c := range (*list)[b.index:last] {
			c.index = b.index + i
		}
	}
	(*list)[last] = nil
	*list = (*list)[:last]
	if len(p.bound)+len(p.accepted) == 0 && p.wait == 0 && p.waitStrict == 0 {
		delete(ps.by, b.number)
	}
}

// timeWait is how long a port is kept for what may still be on its way.
const timeWait = 60e9

// linger keeps the port of a connection that has ended in order.
func (ps *ports) linger(b *binding, now int64) {
	p := ps.by[b.number]
	if p == nil {
		return
	}
	p.wait = now + timeWait
	if !b.reuseAddr {
		p.waitStrict = p.wait
	}
}
