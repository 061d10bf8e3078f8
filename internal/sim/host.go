package sim

import "net/netip"

// host is a machine: its processes share addresses, ports and files.
type host struct {
	kernel *Kernel
	ip     netip.Addr // besides loopback; the zero value is none
	tcp    ports
	udp    ports
	tree   tree
	// names are the abstract names of Unix sockets.
	names map[string]socket
	named int // names that were made up

	connected map[pair]struct{} // by the local side
}

// pair is both ends of a TCP connection.
type pair struct{ local, remote netip.AddrPort }

// host returns the host that has the address, a new one at first.
func (k *Kernel) host(ip netip.Addr) *host {
	h := k.hosts[ip]
	if h == nil {
		h = &host{
			kernel:    k,
			ip:        ip,
			tree:      tree{nodes: map[string]*node{}},
			names:     map[string]socket{},
			connected: map[pair]struct{}{},
		}
		h.tcp.init()
		h.udp.init()
		k.hosts[ip] = h
	}
	return h
}

// has tells whether an address is one of the host's.
func (h *host) has(ip netip.Addr) bool { return ip.IsLoopback() || ip == h.ip }

// find returns the host that has an address, as h sees it; nil if none has.
func (h *host) find(k *Kernel, ip netip.Addr) *host {
	if h.has(ip) {
		return h
	}
	return k.hosts[ip]
}

// source is the address that packets to another one come from; it is not ok if
// there is no way.
func (h *host) source(to netip.Addr) (from netip.Addr, ok bool) {
	switch {
	case to == h.ip:
		return to, true
	case to.IsLoopback() && to.Is4():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), true
	case to.IsLoopback():
		return netip.IPv6Loopback(), true
	}
	return h.ip, h.ip.IsValid() && h.ip.Is4() == to.Is4()
}
