package sim_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

const (
	readable = asyncore.Readable
	writable = asyncore.Writable
)

func newKernel() *sim.Kernel { return sim.New(tape.Replay(nil)) }

func must(t testing.TB, e syscall.Errno) {
	t.Helper()
	if e != 0 {
		t.Fatal(e)
	}
}

// Events run in the order of their times, and of At where these are equal.
func TestEvents(t *testing.T) {
	k := newKernel()
	var ran []string
	at := func(at int64, name string) {
		k.At(at, func() { ran = append(ran, fmt.Sprintf("%s at %d", name, k.Now())) })
	}
	at(30, "last")
	at(10, "first")
	at(20, "second")
	at(20, "third")
	k.At(20, func() {
		at(20, "fourth, of an event")
		at(5, "fifth, too late")
	})
	if next, ok := k.Next(); next != 10 || !ok {
		t.Errorf("Next: %d, %v", next, ok)
	}
	k.Advance(25)
	if k.Now() != 25 {
		t.Errorf("Now: %d", k.Now())
	}
	k.Advance(3) // no way back
	k.Advance(40)
	want := []string{"first at 10", "second at 20", "third at 20", "fourth, of an event at 20", "fifth, too late at 20", "last at 30"}
	if diff := cmp.Diff(want, ran); diff != "" {
		t.Error(diff)
	}
	if _, ok := k.Next(); ok || k.Now() != 40 {
		t.Errorf("at the end: %v, %d", ok, k.Now())
	}
}

func TestDescriptors(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		t.Run(fmt.Sprintf("reuse last %v", reuse), func(t *testing.T) {
			p := newKernel().Process(sim.ProcessConfig{FDLimit: 5, ReuseLast: reuse})
			for want := range 5 {
				fd, e := p.Socket(sys.Inet)
				if fd != want || e != 0 {
					t.Fatalf("socket: %d, %v, want %d", fd, e, want)
				}
			}
			if _, e := p.Socket(sys.Inet); e != syscall.EMFILE {
				t.Errorf("one too many: %v", e)
			}
			must(t, p.Close(1))
			must(t, p.Close(3))
			if diff := cmp.Diff([]int{0, 2, 4}, p.FDs()); diff != "" {
				t.Error(diff)
			}
			if _, _, e := p.PipeFDs(); e != 0 {
				t.Errorf("pipe: %v", e)
			}
			must(t, p.Close(1))
			must(t, p.Close(3))
			first, _ := p.Dup(0)
			if want := map[bool]int{false: 1, true: 3}[reuse]; first != want {
				t.Errorf("dup: %d, want %d", first, want)
			}
			if e := p.Close(17); e != syscall.EBADF {
				t.Errorf("close of what is not open: %v", e)
			}
			p.SetFDLimit(2)
			if _, _, e := p.Pair("unix"); e != syscall.EMFILE {
				t.Errorf("pair: %v", e)
			}
		})
	}
}

// The same bits are other events to each flavour.
func TestFlavours(t *testing.T) {
	const hangUp, fault, urgent = asyncore.HangUp, asyncore.Fault, asyncore.Urgent
	tests := []struct {
		name  string
		enter func(p *sim.Process, a, b int)
		want  map[string]asyncore.Interest
	}{
		{"fresh", func(*sim.Process, int, int) {}, map[string]asyncore.Interest{
			"epoll": writable, "poll": writable, "select": writable, "kqueue": writable,
		}},
		{"data", func(p *sim.Process, _, b int) { p.Send(b, []byte("x")) }, map[string]asyncore.Interest{
			"epoll": readable | writable, "poll": readable | writable, "select": readable | writable, "kqueue": readable | writable,
		}},
		{"half-closed", func(p *sim.Process, _, b int) { p.ShutdownWrite(b) }, map[string]asyncore.Interest{
			"epoll": readable | writable, "poll": readable | writable, "select": readable | writable, "kqueue": readable | writable,
		}},
		{"reset", func(p *sim.Process, _, b int) { p.Reset(b) }, map[string]asyncore.Interest{
			"epoll":  readable | writable | hangUp | fault,
			"poll":   readable | writable | hangUp | fault,
			"select": readable | writable,
			"kqueue": readable | writable | hangUp,
		}},
		{"urgent", func(p *sim.Process, _, b int) { p.SendUrgent(b, '!') }, map[string]asyncore.Interest{
			"epoll": writable | urgent, "poll": writable | urgent, "select": writable | urgent, "kqueue": writable,
		}},
	}
	for _, tt := range tests {
		for _, flavour := range flavours {
			p := newKernel().Process(sim.ProcessConfig{Poller: flavour})
			a, b := connected(t, p, p, "127.0.0.1:1")
			q, err := p.OpenPoller("")
			if err != nil {
				t.Fatal(err)
			}
			if err := q.Add(a, 7, readable|writable|urgent); err != nil {
				t.Fatal(err)
			}
			tt.enter(p, a, b)
			got := waitAll(t, q)
			if diff := cmp.Diff([]asyncore.Event{{Token: 7, Ready: tt.want[flavour]}}, got); diff != "" {
				t.Errorf("%s, %s:\n%s", tt.name, flavour, diff)
			}
		}
	}
}

// To kqueue a socket that was never connected is ready for nothing, and the end of
// the peer's half is a hang-up to whoever only reads.
func TestKqueue(t *testing.T) {
	p := newKernel().Process(sim.ProcessConfig{Poller: "kqueue"})
	q, _ := p.OpenPoller("")
	fd, _ := p.Socket(sys.Inet)
	q.Add(fd, 1, readable|writable)
	if got := waitAll(t, q); len(got) > 0 {
		t.Errorf("never connected: %v", got)
	}
	q.Remove(fd)
	a, b := connected(t, p, p, "127.0.0.1:1")
	q.Add(a, 2, readable)
	p.ShutdownWrite(b)
	if diff := cmp.Diff([]asyncore.Event{{Token: 2, Ready: readable | asyncore.HangUp}}, waitAll(t, q)); diff != "" {
		t.Error(diff)
	}
	// A descriptor that is closed is forgotten, though a duplicate lives on.
	dup, _ := p.Dup(a)
	must(t, p.Close(a))
	if got := waitAll(t, q); len(got) > 0 {
		t.Errorf("closed: %v", got)
	}
	if err := q.Remove(a); err != nil {
		t.Errorf("remove: %v", err)
	}
	must(t, p.Close(dup))
}

// connected returns two TCP sockets that are, the second one accepted by q.
func connected(t testing.TB, p, q *sim.Process, address string) (a, b int) {
	t.Helper()
	to := sys.Addr{Family: sys.Inet, Inet: netip.MustParseAddrPort(address)}
	l, _ := q.Socket(sys.Inet)
	must(t, q.Bind(l, to))
	must(t, q.Listen(l, 8))
	a, _ = p.Socket(sys.Inet)
	if e := p.Connect(a, to); e != syscall.EINPROGRESS {
		t.Fatal(e)
	}
	pollFor(t, q, l, readable)
	b, e := q.Accept(l, new(sys.Addr))
	must(t, e)
	must(t, q.Close(l))
	return a, b
}

// pollFor waits until a descriptor is ready for something.
func pollFor(t testing.TB, p *sim.Process, fd int, want asyncore.Interest) asyncore.Interest {
	t.Helper()
	q, err := p.OpenPoller("")
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.Add(fd, 1, want); err != nil {
		t.Fatal(err)
	}
	var dst [1]asyncore.Event
	if _, err := q.Wait(dst[:], -1); err != nil {
		t.Fatal(err)
	}
	return dst[0].Ready
}

func TestWait(t *testing.T) {
	k := newKernel()
	p := k.Process(sim.ProcessConfig{Name: "waiting"})
	q, _ := p.OpenPoller("")
	a, b, _ := p.Pair("unix")
	if err := q.Add(a, 1, readable); err != nil {
		t.Fatal(err)
	}
	var dst [4]asyncore.Event
	k.At(int64(time.Second), func() { p.Send(b, []byte("x")) })
	if n, err := q.Wait(dst[:], 300*time.Millisecond); n != 0 || err != nil || k.Now() != 3e8 {
		t.Errorf("timeout: %d, %v at %d", n, err, k.Now())
	}
	if n, err := q.Wait(dst[:], -1); n != 1 || err != nil || k.Now() != 1e9 {
		t.Errorf("event: %d, %v at %d", n, err, k.Now())
	}
	p.Recv(a, make([]byte, 9))
	if n, err := q.Wait(dst[:], -1); n != 0 || !errors.Is(err, sim.ErrDeadlock) || !strings.Contains(fmt.Sprint(err), "waiting") {
		t.Errorf("for ever: %d, %v", n, err)
	}
	if n, err := q.Wait(dst[:], 1<<62); n != 0 || err != nil {
		t.Errorf("for long: %d, %v", n, err)
	}
	q.Wake()
	if n, err := q.Wait(dst[:], -1); n != 0 || err != nil {
		t.Errorf("woken: %d, %v", n, err)
	}
	// A poller is readable to another while it has something to report.
	outer, _ := p.OpenPoller("epoll")
	outer.Add(q.FD(), 9, readable)
	if got := waitAll(t, outer); len(got) > 0 {
		t.Errorf("nested, nothing: %v", got)
	}
	q.Wake()
	if got := waitAll(t, outer); len(got) != 1 {
		t.Errorf("nested, woken: %v", got)
	}
	q.Wait(dst[:], 0)
	p.Send(b, []byte("x"))
	if got := waitAll(t, outer); len(got) != 1 {
		t.Errorf("nested, ready: %v", got)
	}
	if diff := cmp.Diff([]sim.Watch{{FD: q.FD(), Token: 9, Want: readable}, {FD: a, Token: 1, Want: readable}}, p.Watched()); diff != "" {
		t.Error(diff)
	}
	for _, q := range []sys.Poller{q, outer} {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if err := q.Close(); err != net.ErrClosed {
			t.Errorf("closed twice: %v", err)
		}
		if err := q.Wake(); err != net.ErrClosed {
			t.Errorf("wake: %v", err)
		}
		if _, err := q.Wait(dst[:], 0); !errors.Is(err, syscall.EBADF) {
			t.Errorf("wait: %v", err)
		}
	}
	if diff := cmp.Diff([]int{a, b}, p.FDs()); diff != "" {
		t.Error(diff)
	}
}

func TestOpenPoller(t *testing.T) {
	p := newKernel().Process(sim.ProcessConfig{FDLimit: 1})
	if _, err := p.OpenPoller("devpoll"); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("unknown: %v", err)
	}
	if _, err := p.OpenPoller("epoll"); !errors.Is(err, syscall.EMFILE) || len(p.FDs()) > 0 {
		t.Errorf("no room: %v, %v", err, p.FDs())
	}
	p.SetFDLimit(3)
	q, err := p.OpenPoller("select")
	if err != nil || q.FD() != -1 {
		t.Fatal(err)
	}
	for _, err := range []error{q.Add(1, 1, 0), q.Add(1, 1, asyncore.HangUp), q.Modify(1, ^uint64(0), readable)} {
		if err == nil {
			t.Error("no error for what cannot be watched")
		}
	}
	if _, ok := errors.AsType[*asyncore.FDLimitError](q.Add(1024, 1, readable)); !ok {
		t.Error("select takes 1,024")
	}
}

// Level-triggered, and nobody is starved by a small batch.
func TestFair(t *testing.T) {
	for _, flavour := range flavours {
		p := newKernel().Process(sim.ProcessConfig{Poller: flavour})
		q, _ := p.OpenPoller("")
		for i := range 5 {
			a, _, _ := p.Pair("unix")
			q.Add(a, uint64(i), writable)
		}
		seen := map[uint64]int{}
		for range 10 {
			var dst [1]asyncore.Event
			q.Wait(dst[:], 0)
			seen[dst[0].Token]++
		}
		if diff := cmp.Diff(map[uint64]int{0: 2, 1: 2, 2: 2, 3: 2, 4: 2}, seen); diff != "" {
			t.Errorf("%s:\n%s", flavour, diff)
		}
	}
}

func TestNoise(t *testing.T) {
	run := func(seed uint64) (log []string) {
		k := sim.New(tape.Random(seed))
		k.SetNoise(sim.Noise{Shuffle: 5000, Spurious: 5000, SmallBatch: 5000, Merge: 5000})
		p := k.Process(sim.ProcessConfig{})
		q, _ := p.OpenPoller("")
		for i := range 4 {
			a, b, _ := p.Pair("unix")
			q.Add(a, uint64(i), readable)
			if i < 3 {
				p.Close(b)
			}
		}
		for range 30 {
			var dst [8]asyncore.Event
			n, _ := q.Wait(dst[:], 0)
			log = append(log, fmt.Sprint(dst[:n]))
		}
		return log
	}
	if diff := cmp.Diff(run(1), run(1)); diff != "" {
		t.Errorf("twice the same seed:\n%s", diff)
	}
	said := strings.Join(run(1), "\n")
	for name, sign := range map[string]string{
		"shuffled": "[{2 hang-up} {0", "spurious": "{3 readable}", "cut": "[{1 readable|hang-up}]", "merged": "{1 hang-up}",
	} {
		if !strings.Contains(said, sign) {
			t.Errorf("nothing was %s in\n%s", name, said)
		}
	}
}

func TestLookup(t *testing.T) {
	k := newKernel()
	four, six := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")
	k.Hosts["server.test"] = []netip.Addr{four, six}
	p := k.Process(sim.ProcessConfig{})
	for network, want := range map[string]netip.Addr{"ip4": four, "ip6": six} {
		got, err := p.Lookup(t.Context(), network, "server.test")
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: %v, %v", network, got, err)
		}
	}
	_, err := p.Lookup(t.Context(), "ip4", "nowhere.test")
	if dns, ok := errors.AsType[*net.DNSError](err); !ok || !dns.IsNotFound {
		t.Errorf("unknown: %v", err)
	}
}

// What Go is given runs later, in order of its delays.
func TestGo(t *testing.T) {
	k := sim.New(tape.Random(1))
	p := k.Process(sim.ProcessConfig{})
	ran := int64(-1)
	p.Go(func() { ran = k.Now() })
	if ran >= 0 {
		t.Fatal("ran at once")
	}
	k.Advance(int64(time.Second))
	if ran <= 0 || ran > int64(time.Second) {
		t.Errorf("ran at %d", ran)
	}
}

func TestTrace(t *testing.T) {
	k := newKernel()
	p := k.Process(sim.ProcessConfig{Name: "p"})
	var log []string
	k.Trace(func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) })
	a, b, _ := p.Pair("unix")
	p.Send(a, []byte("abc"))
	k.Advance(int64(time.Second))
	p.Recv(a, nil)
	p.Close(b)
	k.Trace(nil)
	p.Close(a)
	want := []string{"0s p: send(0) = 3", fmt.Sprintf("1s p: recv(0) = %v", syscall.EAGAIN), "1s p: close(1) = 0"}
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
}
