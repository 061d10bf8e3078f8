package channel

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// resolutionDelay is how long IPv4 addresses wait for IPv6 ones (RFC 8305).
const resolutionDelay = 50 * time.Millisecond

// The indexes of the families.
const (
	ipv6 = iota
	ipv4
)

// begin finds the addresses, or has them looked up.
func (d *dialing) begin() {
	ep, err := readAddr(d.network, d.address, false)
	switch {
	case err != nil:
		d.c.end(d.fault(err))
	case ep.name != "":
		d.lookUp(ep.name, ep.port)
	default:
		d.add(ep.addrs)
		d.step()
	}
}

// lookUp asks for the addresses of both families at once.
func (d *dialing) lookUp(name string, port uint16) {
	d.ctx, d.abandon = context.WithCancel(context.Background())
	d.pending = [2]bool{ipv6: d.network != "tcp4", ipv4: d.network != "tcp6"}
	for family, asked := range d.pending {
		if asked {
			d.ask(family, name, port)
		}
	}
}

func (d *dialing) ask(family int, name string, port uint16) {
	ctx, lookup := d.ctx, d.Lookup
	if lookup == nil {
		lookup = d.c.e.Sys.Lookup
	}
	network := [...]string{ipv6: "ip6", ipv4: "ip4"}[family]
	var ips []netip.Addr
	work := func() (err error) {
		if err = ctx.Err(); err == nil { // it may have waited for a worker for long
			ips, err = lookup(ctx, network, name)
		}
		return err
	}
	done := func(err error) { d.answered(family, inetAddrs(d.network, ips, port), err) }
	if err := d.c.l.Offload(work, done); err != nil {
		done(err)
	}
}

// answered takes the result of a lookup.
func (d *dialing) answered(family int, addrs []sys.Addr, err error) {
	if p, ok := errors.AsType[*loop.PanicError](err); ok {
		// The dial may do without, but nobody should have to guess.
		d.c.e.Log(slog.LevelError, "lookup panicked", slog.String("in", d.c.String()),
			slog.Any("panic", p.Value), slog.String("stack", string(p.Stack)))
	}
	if d.over() {
		return
	}
	d.pending[family] = false
	if err != nil {
		d.failed = append(d.failed, err)
	} else {
		d.add(addrs)
	}
	if len(d.attempts) == 0 {
		d.next = 0
		if d.pending[ipv6] {
			d.next = core.Later(d.c.e.Now(), resolutionDelay)
		}
	}
	d.step()
}

// add puts addresses among those to try, each once.
func (d *dialing) add(addrs []sys.Addr) {
	for _, a := range addrs {
		family := ipv6
		if a.Family == sys.Inet {
			family = ipv4
		}
		known := slices.Contains(d.untried[family], a) ||
			slices.ContainsFunc(d.attempts, func(b *attempt) bool { return b.to == a })
		if !known && len(d.untried[family]) < maxAttempts {
			d.untried[family] = append(d.untried[family], a)
		}
	}
}

// lookupTimeout is the error of a lookup that the dial's timeout has ended.
func (d *dialing) lookupTimeout() error {
	host, _, _ := net.SplitHostPort(d.address)
	return &net.DNSError{UnwrapErr: os.ErrDeadlineExceeded, Err: os.ErrDeadlineExceeded.Error(), Name: host, IsTimeout: true}
}

// lookupFailures are the errors of lookups as far as they say something: what
// both families failed with counts once, and that there is no such name only
// where nothing else is known.
func (d *dialing) lookupFailures(tried bool) (errs []error) {
	for _, err := range d.failed {
		told := slices.ContainsFunc(errs, func(e error) bool { return e.Error() == err.Error() })
		if dns, ok := errors.AsType[*net.DNSError](err); !told && !(ok && dns.IsNotFound) {
			errs = append(errs, err)
		}
	}
	if len(errs) == 0 && !tried && len(d.failed) > 0 {
		errs = d.failed[:1]
	}
	return errs
}
