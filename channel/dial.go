package channel

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// Dialer holds the options of a dial; the zero value of each is its default.
type Dialer struct {
	// Timeout bounds the whole dial, the lookup of a name included. 0: 10 s;
	// negative: no bound but the kernel's.
	Timeout time.Duration

	// LocalAddr is the address to dial from, in the form that Dial takes; a
	// port of 0 leaves the port to the kernel. Empty: the kernel's choice.
	LocalAddr string

	// Nagle leaves Nagle's algorithm on: by default TCP_NODELAY is set, since
	// the loop gathers what a turn writes.
	Nagle bool

	// KeepAlive is the time without traffic after which TCP asks whether the
	// peer still lives, and from one question to the next. 0: 15 s; negative:
	// TCP does not ask.
	KeepAlive time.Duration

	// UserTimeout is how long TCP may send without an answer of the peer's
	// kernel before it gives the connection up with ETIMEDOUT
	// (TCP_USER_TIMEOUT), which also ends keep-alive's questions. 0: the
	// kernel's own, a quarter of an hour. An error on systems other than Linux.
	UserTimeout time.Duration

	// Control is called for each socket before it is bound or connected, as in
	// net.Dialer, with the address that is tried, for options that this struct
	// lacks: inside Dial where no name is looked up, or later from the loop. c is
	// of use until it returns.
	// SO_LINGER with a time is not one to set, see Conn.SyscallConn.
	Control func(network, address string, c syscall.RawConn) error

	// Lookup finds the addresses of a host for the network "ip4" or "ip6", as
	// [net.Resolver.LookupNetIP] does. It is called on other goroutines, for
	// both networks at once, and should return soon after ctx is done: the
	// answer is of no use then. Nil: the system's resolver.
	Lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Dial connects to an address and returns the Conn at once. It never fails:
// Handler.Connect tells that the connection stands, and every failure arrives
// in Handler.Close, also one that is known before Dial returns; both come
// later, from the loop. What is written meanwhile is sent when the connection
// stands. Only a loop that is closed calls nothing: the Conn is closed as it is
// returned.
//
// The networks are "tcp", "tcp4", "tcp6" and "unix". A host is a numeric
// address, "localhost", which is ::1 and 127.0.0.1 and nobody is asked, or a
// name, which [loop.Loop.Offload] looks up; a port is a number. A Unix address
// is a path, or "@name" in Linux's abstract namespace.
//
// Of several addresses the first that answers is taken, as RFC 8305 has it:
// IPv6 and IPv4 are looked up at once and tried in turn, IPv6 first, a new one
// 250 ms after the last or as soon as one has failed, and at most 16. IPv4
// addresses that are found first wait 50 ms for IPv6. The other attempts and
// lookups end when one connection stands, or when the Conn closes.
//
// A failure is a [*net.OpError] for the address that was tried. Where several
// were tried it is one for the address as given, in which errors.Is and
// errors.As find the failure of each. Lookups that failed are in it too, but a
// name that does not exist in one of the families only if nothing was found in
// the other.
//
// Dial uses a Dialer's zero value.
func Dial(l *loop.Loop, network, address string, h *Handler) *Conn {
	return (&Dialer{}).Dial(l, network, address, h)
}

var errDialTimeout error = core.Timeout("i/o timeout")

// Dial is the function Dial with the options of d.
func (d *Dialer) Dial(l *loop.Loop, network, address string, h *Handler) *Conn {
	hb := hubOf(l)
	hb.e.Check()
	if h == nil {
		panic("channel: Dial: handler is nil")
	}
	if hb.e.IsClosed() {
		return &Conn{hub: hb, h: h, fd: -1, water: &defaultWater, reason: loop.ErrClosed, state: ended | finished,
			dial: &dialing{network: network, address: address}}
	}
	c := hb.newConn(-1, h)
	c.state |= connecting
	c.dial = &dialing{Dialer: *d, c: c, network: network, address: address}
	timeout := d.Timeout
	if timeout == 0 {
		timeout = connectTimeout
	}
	if timeout > 0 {
		c.limit = core.Later(c.e.Now(), timeout)
	}
	c.rearm()
	c.dial.begin()
	return c
}

// dialing is what a Conn needs until it is connected: resolve.go finds the
// addresses, attempt.go tries them.
type dialing struct {
	Dialer
	c                *Conn
	network, address string

	// Lookups.
	pending [2]bool // by family, IPv6 first
	failed  []error
	ctx     context.Context
	abandon context.CancelFunc // ends ctx; nil: nothing was looked up

	// Attempts.
	untried  [2][]sys.Addr // by family, IPv6 first; a path is among the first
	turn     int           // the family to go on with
	attempts []*attempt    // in the order in which they began, failed ones too
	running  int           // those that have not failed
	next     int64         // no attempt begins before
	timer    core.Timer    // for next
}

// cancel ends the lookups.
func (d *dialing) cancel() {
	if d.abandon != nil {
		d.abandon()
	}
}

// stop gives back all that the dial holds.
func (d *dialing) stop() {
	d.cancel()
	d.c.e.Disarm(&d.timer)
	for _, a := range d.attempts {
		a.close()
	}
}

// over tells that the Conn has been connected, or has ended.
func (d *dialing) over() bool { return d.c.dial != d || d.c.is(ended) }

// timedOut ends the dial: what is still under way has taken too long.
func (d *dialing) timedOut() {
	for _, a := range d.attempts {
		if a.err == nil {
			a.err = d.opError(netAddr(a.to), os.ErrDeadlineExceeded)
		}
	}
	if d.pending[0] || d.pending[1] {
		d.failed = append(d.failed, d.lookupTimeout())
	}
	d.c.end(d.failure(true))
}

// failure is the reason of a dial that has come to nothing.
func (d *dialing) failure(timeout bool) error {
	var errs []error
	for _, a := range d.attempts {
		errs = append(errs, a.err)
	}
	switch errs = append(errs, d.lookupFailures(len(errs) > 0)...); {
	case len(errs) == 0:
		return d.fault(noSuitable(d.network, d.address))
	case len(errs) > 1:
		return d.fault(&dialErrors{errs, timeout})
	case len(d.attempts) == 0:
		return d.fault(errs[0])
	}
	return errs[0]
}

// fault is an error of the dial as a whole.
func (d *dialing) fault(err error) error { return d.opError(textAddr{d.network, d.address}, err) }

func (d *dialing) opError(to net.Addr, err error) error {
	return &net.OpError{Op: "dial", Net: d.network, Addr: to, Err: err}
}

// dialErrors is what became of each address.
type dialErrors struct {
	errs    []error
	timeout bool // the last of them ended by the dial's timeout
}

func (e *dialErrors) Error() string {
	var texts []string
	for _, err := range e.errs {
		text := err.Error()
		if op, ok := err.(*net.OpError); ok && op.Op == "dial" && op.Addr != nil {
			text = op.Addr.String() + ": " + op.Err.Error() // the rest is told already
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

func (e *dialErrors) Unwrap() []error { return e.errs }
func (e *dialErrors) Timeout() bool   { return e.timeout }
