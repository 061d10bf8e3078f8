package sim

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// offloadSlowest bounds how long what Go was given waits.
const offloadSlowest = 10 * time.Millisecond

// Go runs fn as an event, a little later: its goroutine is nobody's.
func (p *Process) Go(fn func()) {
	delay := p.k.tape.Choose("offload", p.id, int(offloadSlowest/time.Microsecond)+1)
	p.k.At(p.k.now+int64(delay)*int64(time.Microsecond), fn)
}

// Lookup finds the host among the kernel's Hosts.
func (p *Process) Lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var found []netip.Addr
	for _, ip := range p.k.Hosts[host] {
		if network == "ip" || ip.Unmap().Is4() == (network == "ip4") {
			found = append(found, ip)
		}
	}
	if len(found) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	return found, nil
}
