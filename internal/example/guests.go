package example

import (
	"net"
	"net/netip"
)

// Guests counts the connections of each client, those of an IPv6 one by its
// network: it has all the addresses there.
type Guests struct {
	Most int // of one client; 0: no limit
	of   map[netip.Prefix]int
}

func client(addr net.Addr) (p netip.Prefix, ok bool) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return p, false // a Unix socket has its permissions
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	p, err := ip.Prefix(min(ip.BitLen(), 64))
	return p, err == nil
}

// Enter tells whether one more may come in, and counts it then.
func (g *Guests) Enter(addr net.Addr) bool {
	p, ok := client(addr)
	if !ok {
		return true
	}
	if g.Most > 0 && g.of[p] >= g.Most {
		return false
	}
	if g.of == nil {
		g.of = map[netip.Prefix]int{}
	}
	g.of[p]++
	return true
}

// Leave is for who has entered.
func (g *Guests) Leave(addr net.Addr) {
	if p, ok := client(addr); ok {
		if g.of[p]--; g.of[p] == 0 {
			delete(g.of, p)
		}
	}
}
