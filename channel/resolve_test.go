//go:build unix

package channel_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// fakeNet is a network in which a connection attempt does what the test says,
// at the time that it says. All sockets are real ones, of IPv4, and all
// connections lead to one listener.
type fakeNet struct {
	sys.System
	t       *testing.T
	poller  sys.Poller
	ln      *net.TCPListener
	refused []string        // addresses that refuse at once
	tried   func(to string) // told of each attempt
	lookup  func(context.Context, string, string) ([]netip.Addr, error)
	hanging map[string]*hangingFD // by address
	errno   map[int]syscall.Errno // what SO_ERROR gives
}

// hangingFD is a socket of which the poller is not told.
type hangingFD struct {
	fd    int
	token uint64
	want  asyncore.Interest
}

func newFakeNet(t *testing.T) *fakeNet {
	ln, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return &fakeNet{System: sys.Real(), t: t, ln: ln, hanging: map[string]*hangingFD{}, errno: map[int]syscall.Errno{}}
}

// name is "6.1" for [2001:db8::1]:80 and "4.1" for 192.0.2.1:80.
func name(a netip.Addr) string {
	if a.Is4() {
		return fmt.Sprintf("4.%d", a.As4()[3])
	}
	return fmt.Sprintf("6.%d", a.As16()[15])
}

func host(name string) netip.Addr {
	family, number, _ := strings.Cut(name, ".")
	n, err := strconv.ParseUint(number, 10, 8)
	if err != nil {
		panic(err)
	}
	if family == "4" {
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)})
	}
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(n)})
}

func (n *fakeNet) Socket(sys.Family) (int, syscall.Errno) { return n.System.Socket(sys.Inet) }

func (n *fakeNet) Lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	return n.lookup(ctx, network, host)
}

func (n *fakeNet) Connect(fd int, to sys.Addr) syscall.Errno {
	name := name(to.Inet.Addr())
	n.tried(name)
	if slices.Contains(n.refused, name) {
		return syscall.ECONNREFUSED
	}
	n.hanging[name] = &hangingFD{fd: fd}
	return syscall.EINPROGRESS
}

func (n *fakeNet) Close(fd int) syscall.Errno {
	delete(n.errno, fd)
	for name, h := range n.hanging {
		if h.fd == fd {
			delete(n.hanging, name)
		}
	}
	return n.System.Close(fd)
}

func (n *fakeNet) SockError(fd int) (pending, errno syscall.Errno) {
	if e := n.errno[fd]; e != 0 {
		return e, 0
	}
	return n.System.SockError(fd)
}

// end ends an attempt: with an errno, or with success.
func (n *fakeNet) end(name string, errno syscall.Errno) {
	n.t.Helper()
	h := n.hanging[name]
	if h == nil {
		n.t.Fatalf("no attempt at %s is under way", name)
	}
	delete(n.hanging, name)
	if errno != 0 {
		n.errno[h.fd] = errno
	}
	// Connected also where the attempt is to fail, since not every poller
	// reports a socket that is not; SockError tells what came of it.
	a := n.ln.Addr().(*net.TCPAddr).AddrPort()
	n.System.Connect(h.fd, sys.Addr{Family: sys.Inet, Inet: a})
	fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLOUT}}
	unix.Poll(fds, int(patience/time.Millisecond))
	if h.want != 0 {
		if err := n.poller.Add(h.fd, h.token, h.want); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *fakeNet) OpenPoller(name string) (sys.Poller, error) {
	p, err := n.System.OpenPoller(name)
	n.poller = p
	return &fakePoller{Poller: p, n: n}, err
}

// fakePoller keeps what hangs from the poller, to which a socket that is not
// connected would look hung up.
type fakePoller struct {
	sys.Poller
	n *fakeNet
}

func (p *fakePoller) find(fd int) *hangingFD {
	for _, h := range p.n.hanging {
		if h.fd == fd {
			return h
		}
	}
	return nil
}

func (p *fakePoller) Add(fd int, token uint64, want asyncore.Interest) error {
	if h := p.find(fd); h != nil {
		h.token, h.want = token, want
		return nil
	}
	return p.Poller.Add(fd, token, want)
}

func (p *fakePoller) Modify(fd int, token uint64, want asyncore.Interest) error {
	if h := p.find(fd); h != nil {
		h.want = want
		return nil
	}
	return p.Poller.Modify(fd, token, want)
}

func (p *fakePoller) Remove(fd int) error {
	if p.find(fd) != nil {
		return nil
	}
	return p.Poller.Remove(fd)
}

// race is one dial in a fakeNet, under a clock that stands still until the loop
// waits.
type race struct {
	t     *testing.T
	n     *fakeNet
	f     *faultsys.Sys
	l     *loop.Loop
	c     *channel.Conn
	start int64
	log   []string // what happened, and when
	over  bool
	err   error

	mu      sync.Mutex
	answers map[string]chan answer // by network
	asked   []string
	running atomic.Int32 // lookups
}

type answer struct {
	ips   []netip.Addr
	err   error
	panic any
}

func newRace(t *testing.T, config loop.Config) *race {
	t.Helper()
	r := &race{t: t, n: newFakeNet(t), answers: map[string]chan answer{"ip6": make(chan answer, 1), "ip4": make(chan answer, 1)}}
	r.n.tried = func(to string) { r.tell("connect " + to) }
	r.f = faultsys.New(t, r.n)
	r.f.Manual()
	v, err := core.On(config, r.f)
	if err != nil {
		t.Fatal(err)
	}
	r.l = v.(*loop.Loop)
	r.start = r.f.Now()
	t.Cleanup(func() {
		r.l.Close()
		r.returned()
		if s := r.l.Stats(); s.Buffered != 0 {
			t.Errorf("%d bytes count as buffered", s.Buffered)
		}
	})
	return r
}

func (r *race) now() time.Duration { return time.Duration(r.f.Now() - r.start) }

func (r *race) tell(what string) { r.log = append(r.log, fmt.Sprint(r.now(), " ", what)) }

func (r *race) lookup(ctx context.Context, network, host string) ([]netip.Addr, error) {
	r.running.Add(1)
	defer r.running.Add(-1)
	if host != "example.test" {
		r.t.Errorf("looked up %q", host)
	}
	r.mu.Lock()
	r.asked = append(r.asked, network)
	r.mu.Unlock()
	select {
	case a := <-r.answers[network]:
		if a.panic != nil {
			panic(a.panic)
		}
		return a.ips, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// returned waits for the lookups: those that nobody has answered return only
// if they were cancelled.
func (r *race) returned() {
	r.t.Helper()
	for end := time.Now().Add(patience); r.running.Load() > 0; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			r.t.Fatal("a lookup goes on")
		}
	}
}

func (r *race) dial(d channel.Dialer, network, address string) {
	if d.Lookup == nil {
		d.Lookup = r.lookup
	}
	r.c = d.Dial(r.l, network, address, &channel.Handler{
		Connect: func(c *channel.Conn) {
			a, ok := c.RemoteAddr().(*net.TCPAddr)
			if !ok {
				r.t.Fatalf("connected to %v", c.RemoteAddr())
			}
			r.tell("connected to " + name(a.AddrPort().Addr()))
		},
		Close: func(_ *channel.Conn, err error) {
			if r.over {
				r.t.Error("a second Close")
			}
			r.over, r.err = true, err
			r.tell(fmt.Sprint("closed: ", err))
		},
	})
}

func (r *race) poll(d time.Duration) {
	r.t.Helper()
	if err := r.l.Poll(d); err != nil {
		r.t.Fatal(err)
	}
}

// until runs the loop until it is that late.
func (r *race) until(at time.Duration) {
	r.t.Helper()
	for left := at - r.now(); left > 0; left = at - r.now() {
		r.poll(left)
	}
	for range 4 {
		r.poll(0)
	}
}

// answer gives a lookup its result, and lets the loop have it.
func (r *race) answer(network string, a answer) {
	r.t.Helper()
	before := r.l.Stats().Posts
	r.answers[network] <- a
	for end := time.Now().Add(patience); r.l.Stats().Posts == before; {
		if time.Now().After(end) {
			r.t.Fatalf("the answer of %s does not arrive", network)
		}
		r.poll(0)
	}
}

// want compares what has happened.
func (r *race) want(want ...string) {
	r.t.Helper()
	if diff := gocmp.Diff(want, r.log); diff != "" {
		r.t.Errorf("what happened (-want +got):\n%s", diff)
	}
}

// clean wants the closed Conn to have left nothing: Run returns by itself.
func (r *race) clean() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := r.l.Run(ctx); err != nil {
		r.t.Errorf("Run: %v", err)
	}
	r.returned()
	if open := r.f.Open(); len(open) > 0 {
		r.t.Errorf("left open: %v", open)
	}
	if at, ok := r.l.NextDeadline(); ok {
		r.t.Errorf("a timer is left, for %v", at)
	}
}

// act is something that the world does to a dial.
type act struct {
	at time.Duration
	do func(r *race)
}

const ms = time.Millisecond

// ips is the answer of a name server; those of IPv6 and IPv4 are told apart by
// the names.
func ips(at time.Duration, names ...string) act {
	network := "ip" + names[0][:1]
	var a answer
	for _, n := range names {
		a.ips = append(a.ips, host(n))
	}
	return act{at, func(r *race) { r.answer(network, a) }}
}

func fails(at time.Duration, network string, err error) act {
	return act{at, func(r *race) { r.answer(network, answer{err: err}) }}
}

func nothing(at time.Duration, network string) act { return fails(at, network, nil) }

func up(at time.Duration, name string) act {
	return act{at, func(r *race) { r.n.end(name, 0) }}
}

func down(at time.Duration, name string, errno syscall.Errno) act {
	return act{at, func(r *race) { r.n.end(name, errno) }}
}

var (
	notFound = &net.DNSError{Err: "no such host", Name: "example.test", IsNotFound: true}
	servFail = &net.DNSError{Err: "server misbehaving", Name: "example.test", IsTemporary: true}
)

func numbered(family string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s.%d", family, i+1))
	}
	return names
}

// RFC 8305, to the nanosecond.
func TestDialRace(t *testing.T) {
	var bounded []string // sixteen attempts: eight of each family
	for i := range 16 {
		bounded = append(bounded, fmt.Sprintf("%v connect %d.%d", time.Duration(i)*250*ms, 6-2*(i%2), i/2+1))
	}
	for _, tc := range []struct {
		name    string
		network string // tcp unless it says otherwise
		timeout time.Duration
		refused []string
		acts    []act
		want    []string
		is      []error // found in the error
		timed   bool    // the error's Timeout
	}{
		{
			name: "IPv6 comes first and is tried at once",
			acts: []act{ips(7*ms, "6.1"), up(8*ms, "6.1")},
			want: []string{"7ms connect 6.1", "8ms connected to 6.1"},
		},
		{
			name: "IPv4 comes first and waits for IPv6",
			acts: []act{ips(0, "4.1"), ips(49*ms, "6.1"), up(60*ms, "6.1")},
			want: []string{"49ms connect 6.1", "60ms connected to 6.1"},
		},
		{
			name: "IPv4 waits 50 ms and no longer",
			acts: []act{ips(3*ms, "4.1"), up(60*ms, "4.1")},
			want: []string{"53ms connect 4.1", "60ms connected to 4.1"},
		},
		{
			name: "IPv4 does not wait for IPv6 that has failed",
			acts: []act{fails(1*ms, "ip6", servFail), ips(3*ms, "4.1"), up(4*ms, "4.1")},
			want: []string{"3ms connect 4.1", "4ms connected to 4.1"},
		},
		{
			name: "IPv4 waits until IPv6 fails",
			acts: []act{ips(3*ms, "4.1"), fails(9*ms, "ip6", notFound), up(10*ms, "4.1")},
			want: []string{"9ms connect 4.1", "10ms connected to 4.1"},
		},
		{
			name: "IPv6 has no address",
			acts: []act{ips(3*ms, "4.1"), nothing(9*ms, "ip6"), up(10*ms, "4.1")},
			want: []string{"9ms connect 4.1", "10ms connected to 4.1"},
		},
		{
			name: "tcp4 asks for IPv4 only", network: "tcp4",
			acts: []act{ips(3*ms, "4.1"), up(10*ms, "4.1")},
			want: []string{"3ms connect 4.1", "10ms connected to 4.1"},
		},
		{
			name: "tcp6 asks for IPv6 only", network: "tcp6",
			acts: []act{ips(3*ms, "6.1"), up(10*ms, "6.1")},
			want: []string{"3ms connect 6.1", "10ms connected to 6.1"},
		},
		{
			name: "a new attempt every 250 ms, the families in turn",
			acts: []act{ips(0, "6.1", "6.2", "6.3"), ips(1*ms, "4.1"), up(751*ms, "4.1")},
			want: []string{"0s connect 6.1", "250ms connect 4.1", "500ms connect 6.2", "750ms connect 6.3", "751ms connected to 4.1"},
		},
		{
			name: "a failure begins the next attempt at once",
			acts: []act{ips(0, "6.1", "6.2"), ips(0, "4.1"), down(10*ms, "6.1", syscall.EHOSTUNREACH), up(300*ms, "6.2")},
			want: []string{"0s connect 6.1", "10ms connect 4.1", "260ms connect 6.2", "300ms connected to 6.2"},
		},
		{
			name: "so does one of several under way",
			acts: []act{ips(0, "6.1", "6.2"), ips(0, "4.1"), down(300*ms, "6.1", syscall.EHOSTUNREACH), up(301*ms, "4.1")},
			want: []string{"0s connect 6.1", "250ms connect 4.1", "300ms connect 6.2", "301ms connected to 4.1"},
		},
		{
			name:    "what fails at once does not hold up the rest",
			refused: []string{"6.1", "4.1", "6.2"},
			acts:    []act{ips(0, "6.1", "6.2"), ips(0, "4.1", "4.2"), up(1*ms, "4.2")},
			want:    []string{"0s connect 6.1", "0s connect 6.2", "0s connect 4.1", "0s connect 4.2", "1ms connected to 4.2"},
		},
		{
			name: "a late answer while an attempt hangs",
			acts: []act{ips(0, "6.1"), ips(400*ms, "4.1"), up(401*ms, "4.1")},
			want: []string{"0s connect 6.1", "400ms connect 4.1", "401ms connected to 4.1"},
		},
		{
			name: "a late answer before the time of the next attempt",
			acts: []act{ips(0, "6.1"), ips(100*ms, "4.1"), up(300*ms, "6.1")},
			want: []string{"0s connect 6.1", "250ms connect 4.1", "300ms connected to 6.1"},
		},
		{
			name: "a late answer after a failure, while another attempt hangs",
			acts: []act{ips(0, "6.1", "6.2"), down(260*ms, "6.1", syscall.EHOSTUNREACH), ips(270*ms, "4.1"), up(271*ms, "4.1")},
			want: []string{"0s connect 6.1", "250ms connect 6.2", "270ms connect 4.1", "271ms connected to 4.1"},
		},
		{
			name:    "a late answer when all has failed",
			refused: []string{"6.1"},
			acts:    []act{ips(0, "6.1"), ips(90*ms, "4.1"), up(91*ms, "4.1")},
			want:    []string{"0s connect 6.1", "90ms connect 4.1", "91ms connected to 4.1"},
		},
		{
			name: "late IPv6 goes before the IPv4 that is left",
			acts: []act{ips(0, "4.1", "4.2", "4.3"), ips(60*ms, "6.1", "6.2"), up(1100*ms, "4.3")},
			want: []string{"50ms connect 4.1", "300ms connect 6.1", "550ms connect 4.2", "800ms connect 6.2", "1.05s connect 4.3",
				"1.1s connected to 4.3"},
		},
		{
			name: "an address counts once",
			acts: []act{ips(0, "6.1", "6.1"), ips(1*ms, "4.1", "4.1"), up(900*ms, "6.1")},
			want: []string{"0s connect 6.1", "250ms connect 4.1", "900ms connected to 6.1"},
		},
		{
			name: "not hundreds",
			acts: []act{ips(0, numbered("6", 200)...), ips(1*ms, numbered("4", 200)...), up(9*time.Second, "4.8")},
			want: append(bounded, "9s connected to 4.8"),
		},
		{
			name: "both stand in one turn",
			acts: []act{ips(0, "6.1"), ips(0, "4.1"), {300 * ms, func(r *race) {
				r.n.end("6.1", 0)
				r.n.end("4.1", 0)
			}}, {301 * ms, func(r *race) {
				// Whichever the poller told of first.
				last := &r.log[len(r.log)-1]
				*last = strings.Replace(*last, "4.1", "6.1", 1)
			}}},
			want: []string{"0s connect 6.1", "250ms connect 4.1", "300ms connected to 6.1"},
		},
		{
			name: "the poller has no room for one",
			acts: []act{{0, func(r *race) { r.f.Fail(faultsys.Add, syscall.ENOSPC, faultsys.Times(1)) }},
				ips(0, "6.1"), ips(0, "4.1"), up(1*ms, "4.1")},
			want: []string{"0s connect 6.1", "0s connect 4.1", "1ms connected to 4.1"},
		},
		{
			name:    "each failure is told",
			refused: []string{"4.1"},
			acts:    []act{ips(0, "6.1"), ips(0, "4.1"), down(1*ms, "6.1", syscall.ENETUNREACH)},
			want: []string{"0s connect 6.1", "1ms connect 4.1", "1ms closed: dial tcp example.test:80: " +
				"[2001:db8::1]:80: connect: network is unreachable; 192.0.2.1:80: connect: connection refused"},
			is: []error{syscall.ENETUNREACH, syscall.ECONNREFUSED},
		},
		{
			name:    "one address",
			refused: []string{"4.1"},
			acts:    []act{ips(0, "4.1"), fails(1*ms, "ip6", notFound)},
			want:    []string{"1ms connect 4.1", "1ms closed: dial tcp 192.0.2.1:80: connect: connection refused"},
			is:      []error{syscall.ECONNREFUSED},
		},
		{
			name:    "one address, and a lookup that failed",
			refused: []string{"4.1"},
			acts:    []act{ips(0, "4.1"), fails(1*ms, "ip6", servFail)},
			want: []string{"1ms connect 4.1", "1ms closed: dial tcp example.test:80: " +
				"192.0.2.1:80: connect: connection refused; lookup example.test: server misbehaving"},
			is: []error{syscall.ECONNREFUSED, servFail},
		},
		{
			name: "no such name",
			acts: []act{fails(1*ms, "ip6", notFound), fails(2*ms, "ip4", notFound)},
			want: []string{"2ms closed: dial tcp example.test:80: lookup example.test: no such host"},
			is:   []error{notFound},
		},
		{
			name: "no such name in one family, and no answer in the other",
			acts: []act{fails(1*ms, "ip6", notFound), fails(2*ms, "ip4", servFail)},
			want: []string{"2ms closed: dial tcp example.test:80: lookup example.test: server misbehaving"},
			is:   []error{servFail},
		},
		{
			name: "no address and no error", network: "tcp4",
			acts: []act{nothing(0, "ip4")},
			want: []string{"0s closed: dial tcp4 example.test:80: address example.test:80: no suitable address for tcp4"},
		},
		{
			name: "time is over while looking up", timeout: time.Second,
			want:  []string{"1s closed: dial tcp example.test:80: lookup example.test: i/o timeout"},
			is:    []error{os.ErrDeadlineExceeded},
			timed: true,
		},
		{
			name:  "the default timeout",
			acts:  []act{fails(time.Second, "ip6", notFound)},
			want:  []string{"10s closed: dial tcp example.test:80: lookup example.test: i/o timeout"},
			is:    []error{os.ErrDeadlineExceeded},
			timed: true,
		},
		{
			name: "time is over in the resolution delay", timeout: 20 * ms,
			acts:  []act{ips(0, "4.1")},
			want:  []string{"20ms closed: dial tcp example.test:80: lookup example.test: i/o timeout"},
			is:    []error{os.ErrDeadlineExceeded},
			timed: true,
		},
		{
			name: "time is over while connecting to one address", network: "tcp6", timeout: time.Second,
			acts:  []act{ips(0, "6.1")},
			want:  []string{"0s connect 6.1", "1s closed: dial tcp6 [2001:db8::1]:80: i/o timeout"},
			is:    []error{os.ErrDeadlineExceeded},
			timed: true,
		},
		{
			name: "time is over while connecting to several", timeout: time.Second,
			acts: []act{ips(0, "6.1"), ips(0, "4.1", "4.2"), down(1*ms, "6.1", syscall.ENETUNREACH)},
			want: []string{"0s connect 6.1", "1ms connect 4.1", "251ms connect 4.2", "1s closed: dial tcp example.test:80: " +
				"[2001:db8::1]:80: connect: network is unreachable; 192.0.2.1:80: i/o timeout; 192.0.2.2:80: i/o timeout"},
			is:    []error{os.ErrDeadlineExceeded, syscall.ENETUNREACH},
			timed: true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRace(t, loop.Config{})
			r.n.refused = tc.refused
			r.dial(channel.Dialer{Timeout: tc.timeout}, cmp.Or(tc.network, "tcp"), "example.test:80")
			for _, a := range tc.acts {
				r.until(a.at)
				a.do(r)
			}
			r.until(r.now())
			if !r.over && !strings.Contains(fmt.Sprint(r.log), "connected to") {
				r.until(20 * time.Second)
			}
			r.want(tc.want...)
			if !r.over {
				if open := r.f.Open(); len(open) != 1 {
					t.Errorf("connected with descriptors %v", open)
				}
				r.returned() // the lookups of the losers
				r.c.Abort()
			} else {
				var op *net.OpError
				if !errors.As(r.err, &op) || op.Op != "dial" || op.Timeout() != tc.timed {
					t.Errorf("closed with %#v, timeout wanted: %v", r.err, tc.timed)
				}
				for _, err := range tc.is {
					if !errors.Is(r.err, err) {
						t.Errorf("%v is not in %v", err, r.err)
					}
				}
			}
			r.clean()
			for _, network := range r.asked {
				if tc.network != "" && tc.network[3:] != network[2:] {
					t.Errorf("%s: looked up %s", tc.network, network)
				}
			}
		})
	}
}

// When sixteen addresses have failed, no answer helps any more.
func TestDialAllFail(t *testing.T) {
	r := newRace(t, loop.Config{})
	r.n.refused = numbered("6", 20)
	r.dial(channel.Dialer{}, "tcp", "example.test:80")
	ips(0, r.n.refused...).do(r)
	r.until(0)
	var op *net.OpError
	if !errors.As(r.err, &op) {
		t.Fatalf("closed: %v, with %v", r.over, r.err)
	}
	each, ok := op.Err.(interface{ Unwrap() []error })
	if !ok || len(each.Unwrap()) != 16 {
		t.Fatalf("not sixteen errors: %v", r.err)
	}
	for i, err := range each.Unwrap() {
		wantOpError(t, err, "tcp", fmt.Sprintf("[2001:db8::%x]:80", i+1), syscall.ECONNREFUSED)
	}
	r.clean()
}

// Numbers and localhost are no names.
func TestDialWithoutLookup(t *testing.T) {
	for _, tc := range []struct {
		address string
		want    []string
	}{
		{"192.0.2.7:80", []string{"0s connect 4.7"}},
		{"[2001:db8::7]:80", []string{"0s connect 6.7"}},
		{"[::ffff:192.0.2.7]:80", []string{"0s connect 4.7"}},
		{"localhost:80", []string{"0s connect 6.1", "250ms connect 4.1"}},
		{"LocalHost.:80", []string{"0s connect 6.1", "250ms connect 4.1"}},
		{"a.localhost:80", []string{"0s connect 6.1", "250ms connect 4.1"}},
	} {
		t.Run(tc.address, func(t *testing.T) {
			r := newRace(t, loop.Config{})
			r.dial(channel.Dialer{Lookup: noLookup(t)}, "tcp", tc.address)
			r.until(9 * time.Second)
			r.want(tc.want...)
			r.c.Abort()
			r.clean()
		})
	}
}

// Answers are taken for what they are: mapped addresses, invalid ones, and
// those of the other family.
func TestDialOddAnswers(t *testing.T) {
	for network, want := range map[string][]string{
		"tcp":  {"0s connect 6.1", "250ms connect 4.1"},
		"tcp4": {"0s connect 4.1"},
		"tcp6": {"0s connect 6.1"},
	} {
		t.Run(network, func(t *testing.T) {
			r := newRace(t, loop.Config{Workers: 1}) // IPv6 answers first
			odd := []netip.Addr{{}, netip.AddrFrom16(host("4.1").As16()), host("4.1"), host("6.1"), host("6.1")}
			for _, c := range r.answers {
				c <- answer{ips: odd}
			}
			r.dial(channel.Dialer{}, network, "example.test:80")
			for end := time.Now().Add(patience); len(r.log) == 0 && time.Now().Before(end); {
				r.poll(0)
			}
			r.until(9 * time.Second)
			r.want(want...)
			r.c.Abort()
			r.clean()
		})
	}
}

// A dial that is given up gives back all that it holds, whatever it is at, and
// ends its lookups before Close comes.
func TestDialGivenUp(t *testing.T) {
	for phase, acts := range map[string][]act{
		"looking up":             nil,
		"IPv4 waits":             {ips(10*ms, "4.1")},
		"connecting, looking up": {ips(10*ms, "6.1")},
		"connecting":             {ips(0, "4.1"), ips(10*ms, "6.1")},
		"connecting twice":       {ips(0, "4.1"), ips(10*ms, "6.1"), nop(300 * ms)},
		"it stands":              {ips(0, "4.1"), ips(10*ms, "6.1"), {11 * ms, func(r *race) { r.n.end("6.1", 0) }}},
	} {
		for how, end := range map[string]struct {
			do   func(r *race)
			want error
		}{
			"Close":      {func(r *race) { r.c.Close() }, net.ErrClosed},
			"Abort":      {func(r *race) { r.c.Abort() }, net.ErrClosed},
			"loop.Close": {func(r *race) { r.l.Close() }, loop.ErrClosed},
		} {
			t.Run(phase+", "+how, func(t *testing.T) {
				r := newRace(t, loop.Config{})
				r.dial(channel.Dialer{}, "tcp", "example.test:80")
				r.c.WriteString("never sent")
				r.until(0)
				for _, a := range acts {
					r.until(a.at)
					a.do(r)
				}
				end.do(r)
				r.returned()
				if how == "loop.Close" {
					if open := r.f.Open(); len(open) > 0 {
						t.Errorf("left open: %v", open)
					}
				} else {
					r.clean()
				}
				if !r.over || !errors.Is(r.err, end.want) {
					t.Errorf("closed: %v, with %v, want %v", r.over, r.err, end.want)
				}
			})
		}
	}
}

func nop(at time.Duration) act { return act{at, func(*race) {}} }

// An answer that comes when the Conn has closed is nobody's.
func TestDialLateAnswer(t *testing.T) {
	r := newRace(t, loop.Config{})
	release := make(chan struct{})
	d := channel.Dialer{Timeout: time.Second, Lookup: func(context.Context, string, string) ([]netip.Addr, error) {
		<-release // it does not care for its context
		return []netip.Addr{host("4.1")}, nil
	}}
	r.dial(d, "tcp", "example.test:80")
	r.until(2 * time.Second)
	want := "1s closed: dial tcp example.test:80: lookup example.test: i/o timeout"
	r.want(want)
	close(release)
	r.clean() // waits for the lookups
	r.want(want)
}

// A name that nobody had the time to look up for is told as that.
func TestDialOffloadFull(t *testing.T) {
	for _, tc := range []struct {
		name string
		jobs int
		want []string
		is   error
	}{
		{"no room at all", 2, []string{"0s closed: dial tcp example.test:80: loop: too many posts waiting"}, loop.ErrFull},
		{"room for one", 1, []string{"0s connect 6.1"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRace(t, loop.Config{Workers: 1, MaxPosts: 1})
			busy := make(chan struct{})
			for range tc.jobs {
				if err := r.l.Offload(func() error { <-busy; return nil }, func(error) {}); err != nil {
					t.Fatal(err)
				}
			}
			r.dial(channel.Dialer{}, "tcp", "example.test:80")
			if r.over {
				t.Error("Close inside Dial")
			}
			r.until(0)
			if tc.is == nil {
				posts := r.l.Stats().Posts
				close(busy)
				for end := time.Now().Add(patience); r.l.Stats().Posts == posts && time.Now().Before(end); {
					r.poll(0)
				}
				ips(0, "6.1").do(r)
				r.want(tc.want...)
				r.c.Abort()
			} else {
				r.want(tc.want...)
				if !errors.Is(r.err, tc.is) {
					t.Errorf("%v is not in %v", tc.is, r.err)
				}
				close(busy)
			}
			r.clean()
		})
	}
}

// A lookup that still waits for a worker when its Conn ends is not made.
func TestDialCancelledInQueue(t *testing.T) {
	r := newRace(t, loop.Config{Workers: 1})
	busy := make(chan struct{})
	if err := r.l.Offload(func() error { <-busy; return nil }, func(error) {}); err != nil {
		t.Fatal(err)
	}
	r.dial(channel.Dialer{Lookup: noLookup(t)}, "tcp", "example.test:80")
	r.until(ms)
	r.c.Abort()
	close(busy)
	r.clean()
}

// The timer of the next attempt goes with the last address.
func TestDialIdleTimer(t *testing.T) {
	r := newRace(t, loop.Config{})
	r.dial(channel.Dialer{Timeout: -1}, "tcp", "example.test:80")
	ips(0, "6.1").do(r)
	ips(0, "4.1").do(r)
	if _, ok := r.l.NextDeadline(); !ok {
		t.Error("no timer for the second address")
	}
	down(10*ms, "6.1", syscall.ECONNREFUSED).do(r)
	r.until(20 * ms)
	if at, ok := r.l.NextDeadline(); ok {
		t.Errorf("a timer is left, for %v", at)
	}
	r.c.Abort()
	r.clean()
}

// A lookup that panics is one that has failed, and is logged.
func TestDialLookupPanics(t *testing.T) {
	var log faultLog
	r := newRace(t, loop.Config{Logger: log.logger()})
	r.dial(channel.Dialer{}, "tcp", "example.test:80")
	r.answer("ip6", answer{panic: "boom"})
	r.answer("ip4", answer{ips: []netip.Addr{host("4.1")}})
	r.until(ms)
	r.n.end("4.1", syscall.ECONNREFUSED)
	r.until(2 * ms)
	r.want("0s connect 4.1", "1ms closed: dial tcp example.test:80: 192.0.2.1:80: connect: connection refused; callback panicked: boom")
	if p, ok := errors.AsType[*loop.PanicError](r.err); !ok || p.Value != "boom" {
		t.Errorf("no panic in %v", r.err)
	}
	if log.count("lookup panicked") != 1 {
		t.Errorf("logged %q", log.lines)
	}
	r.clean()
}

// Without a Lookup of the Dialer's the system is asked.
func TestDialSystemLookup(t *testing.T) {
	r := newRace(t, loop.Config{})
	r.n.lookup = r.lookup
	r.c = channel.Dial(r.l, "tcp4", "example.test:80", &channel.Handler{})
	ips(0, "4.1").do(r)
	r.want("0s connect 4.1")
	r.c.Abort()
	r.clean()

	got, err := sys.Real().Lookup(t.Context(), "ip4", "localhost")
	if err != nil {
		t.Skip("the system does not know localhost: ", err)
	}
	if want := netip.MustParseAddr("127.0.0.1"); len(got) == 0 || got[0].Unmap() != want {
		t.Errorf("localhost is %v, want %v", got, want)
	}
}

// Control is called for each attempt, with its address; a panic in it ends the
// Conn, wherever it is called from.
func TestDialControl(t *testing.T) {
	acts := []act{ips(0, "6.1"), ips(0, "4.1")}
	for at := range 3 {
		t.Run(fmt.Sprint("panic ", at), func(t *testing.T) {
			var log faultLog
			r := newRace(t, loop.Config{Logger: log.logger()})
			var got []string
			r.dial(channel.Dialer{Control: func(network, address string, _ syscall.RawConn) error {
				if got = append(got, network+" "+address); len(got) == at {
					panic("control")
				}
				return nil
			}}, "tcp", "example.test:80")
			for _, a := range acts {
				a.do(r)
			}
			r.until(300 * ms)
			want := []string{"tcp [2001:db8::1]:80", "tcp 192.0.2.1:80"}
			if at == 1 {
				want = want[:1]
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("Control (-want +got):\n%s", diff)
			}
			if panics := r.l.Stats().Panics; r.over != (at > 0) || r.over && (panics != 1 || !errors.Is(r.err, net.ErrClosed)) {
				t.Errorf("over: %v, with %v, after %d panics", r.over, r.err, panics)
			}
			r.c.Abort()
			r.clean()
		})
	}
}

// The socket's number may be another's when Control has returned.
func TestControlKept(t *testing.T) {
	faultOnce(t, "both", func(t *testing.T, w *faultWorld) {
		var kept []syscall.RawConn
		keep := func(_, _ string, c syscall.RawConn) error {
			kept = append(kept, c)
			return c.Control(func(uintptr) {})
		}
		ln := w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{Control: keep}, func() *channel.Handler { return nil })
		w.dial("tcp", ln.Addr().String(), channel.Dialer{Control: keep}, channel.Handler{}).waitClosed(faultAny)
		for _, c := range kept {
			err := c.Control(func(fd uintptr) { t.Errorf("got descriptor %d", fd) })
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("error %v", err)
			}
		}
		if len(kept) != 2 {
			t.Errorf("Control was called %d times", len(kept))
		}
	})
}

// A Control that closes its Conn is the last thing to happen to it.
func TestDialControlAborts(t *testing.T) {
	r := newRace(t, loop.Config{})
	r.dial(channel.Dialer{Control: func(string, string, syscall.RawConn) error {
		r.c.Abort()
		return nil
	}}, "tcp", "example.test:80")
	ips(0, "6.1", "6.2").do(r)
	r.until(time.Second)
	r.want("0s closed: use of closed network connection")
	r.clean()
}

// What a dialling Conn tells of itself.
func TestDialDescribes(t *testing.T) {
	r := newRace(t, loop.Config{})
	r.dial(channel.Dialer{}, "tcp", "example.test:80")
	raw, err := r.c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := func() (fd int) {
		fd = -1
		if err := raw.Control(func(p uintptr) { fd = int(p) }); err != nil && !errors.Is(err, syscall.ENOTCONN) {
			t.Error(err)
		}
		return fd
	}
	if fd() != -1 || r.c.RemoteAddr() != nil || r.c.LocalAddr() != nil || r.c.String() != "conn 1 tcp" {
		t.Errorf("looking up: descriptor %d, from %v to %v, %v", fd(), r.c.LocalAddr(), r.c.RemoteAddr(), r.c)
	}
	ips(0, "6.1", "6.2").do(r)
	ips(0, "4.1").do(r)
	for _, s := range []struct {
		at time.Duration
		to string
	}{{0, "6.1"}, {300 * ms, "4.1"}, {600 * ms, "6.2"}} {
		r.until(s.at)
		to := netip.AddrPortFrom(host(s.to), 80).String()
		if got := r.c.RemoteAddr().String(); got != to || r.c.String() != "conn 1 tcp "+to {
			t.Errorf("connecting to %s: %v", to, r.c)
		}
		if want := r.n.hanging[s.to].fd; fd() != want {
			t.Errorf("connecting to %s: descriptor %d, want %d", to, fd(), want)
		}
	}
	want := r.n.hanging["6.1"].fd
	up(700*ms, "6.1").do(r)
	r.until(700 * ms)
	if to := netip.AddrPortFrom(host("6.1"), 80).String(); r.c.RemoteAddr().String() != to || fd() != want {
		t.Errorf("connected: %v, descriptor %d, want %d", r.c, fd(), want)
	}
	r.c.Abort()
	r.clean()
}

// What is written while several attempts race goes to the winner, once, and the
// poller hears no more of its socket than if it had been alone.
func TestDialWritesToWinner(t *testing.T) {
	r := newRace(t, loop.Config{})
	r.dial(channel.Dialer{}, "tcp", "example.test:80")
	r.c.WriteString("hello, ")
	ips(0, "6.1").do(r)
	ips(0, "4.1").do(r)
	r.until(300 * ms)
	r.c.WriteString("world")
	adds, mods, removes := r.f.Count(faultsys.Add), r.f.Count(faultsys.Modify), r.f.Count(faultsys.Remove)
	r.n.end("4.1", 0)
	r.until(301 * ms)
	r.n.ln.SetDeadline(time.Now().Add(patience))
	nc, err := r.n.ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	r.c.Close()
	r.until(302 * ms)
	wantAll(t, nc, []byte("hello, world"))
	r.clean()
	adds, mods, removes = r.f.Count(faultsys.Add)-adds, r.f.Count(faultsys.Modify)-mods, r.f.Count(faultsys.Remove)-removes
	if adds != 0 || mods != 1 || removes != 2 {
		t.Errorf("after two adds %d more, %d modifies, %d removes; want 0, 1 for reading, 2", adds, mods, removes)
	}
}

// A real dead ::1: its SYNs are not answered.
func TestDialDeadIPv6(t *testing.T) {
	needIPv6(t)
	port := swallow(t, &unix.SockaddrInet6{Addr: [16]byte{15: 1}})
	ln, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Skip("the port is taken in IPv4: ", err)
	}
	defer ln.Close()
	address := fmt.Sprintf("localhost:%d", port)
	t.Run("virtual clock", func(t *testing.T) {
		for _, name := range asyncore.Backends() {
			f := faultsys.New(t, sys.Real())
			f.Manual()
			v, err := core.On(loop.Config{Poller: name}, f)
			if err != nil {
				t.Fatal(err)
			}
			l := v.(*loop.Loop)
			began, took := l.Now(), time.Duration(0)
			channel.Dial(l, "tcp", address, &channel.Handler{Connect: func(c *channel.Conn) {
				took = l.Now() - began
				c.Abort()
			}})
			if err := l.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.Close()
			if took < 250*ms || took >= 300*ms {
				t.Errorf("%s: connected after %v, want 250 ms", name, took)
			}
		}
	})
	t.Run("real clock", func(t *testing.T) {
		eachBackend(t, func(t *testing.T, r *rig) {
			began, took := time.Now(), time.Duration(0)
			r.do(func() {
				r.dial(channel.Dialer{}, "tcp", address, &channel.Handler{Connect: func(c *channel.Conn) {
					took = time.Since(began)
					r.close(c)
				}})
			})
			r.end()
			t.Logf("%s, whose ::1 does not answer: connected after %v", address, took)
		})
	})
}
