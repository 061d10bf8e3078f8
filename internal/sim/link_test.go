package sim_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// apart returns two processes with a link between their hosts.
func apart(seed uint64) (k *sim.Kernel, p, q *sim.Process, l *sim.Link) {
	k = sim.New(tape.Random(seed))
	p = k.Process(sim.ProcessConfig{IP: netip.MustParseAddr("10.0.0.1")})
	q = k.Process(sim.ProcessConfig{IP: netip.MustParseAddr("10.0.0.2")})
	return k, p, q, k.Link(p, q)
}

func pass(k *sim.Kernel, d time.Duration) { k.Advance(k.Now() + int64(d)) }

func recv(p *sim.Process, fd int) string {
	buf := make([]byte, 100)
	n, e := p.Recv(fd, buf)
	if e != 0 {
		return e.Error()
	}
	return fmt.Sprintf("%q", buf[:n])
}

func TestLatency(t *testing.T) {
	k, p, q, l := apart(1)
	l.Latency = 10 * time.Millisecond
	a, b := connected(t, p, q, "10.0.0.2:1")
	if k.Now() != 3*int64(l.Latency) {
		t.Errorf("accepted at %d", k.Now())
	}
	p.Send(a, []byte("x"))
	pass(k, l.Latency-1)
	if got := recv(q, b); got != syscall.EAGAIN.Error() {
		t.Errorf("too early: %s", got)
	}
	pass(k, 1)
	if got := recv(q, b); got != `"x"` {
		t.Errorf("received %s", got)
	}
	p.Send(a, []byte("last"))
	p.Close(a)
	pass(k, l.Latency)
	if got := recv(q, b) + recv(q, b); got != `"last"""` {
		t.Errorf("received %s", got)
	}
}

// Bytes that are on their way arrive before the reset that follows them.
func TestResetFollows(t *testing.T) {
	k, p, q, l := apart(1)
	l.Latency = 10 * time.Millisecond
	a, b := connected(t, p, q, "10.0.0.2:1")
	p.Send(a, []byte("last"))
	p.Reset(a)
	pass(k, time.Second)
	if got, want := recv(q, b)+recv(q, b)+recv(q, b), `"last"`+syscall.ECONNRESET.Error()+`""`; got != want {
		t.Errorf("received %s", got)
	}
}

func TestPartition(t *testing.T) {
	k, p, q, l := apart(1)
	l.Latency = time.Millisecond
	a, b := connected(t, p, q, "10.0.0.2:1")
	l.Partition(true)
	p.Send(a, []byte("waits"))
	c, _ := p.Socket(sys.Inet)
	to := sys.Addr{Family: sys.Inet, Inet: netip.MustParseAddrPort("10.0.0.2:9")}
	if e := p.Connect(c, to); e != syscall.EINPROGRESS {
		t.Fatal(e)
	}
	pass(k, time.Minute)
	if got := recv(q, b); got != syscall.EAGAIN.Error() {
		t.Errorf("partitioned: %s", got)
	}
	if e, _ := p.SockError(c); e != 0 {
		t.Errorf("connect has ended: %v", e)
	}
	l.Partition(false)
	pass(k, time.Minute)
	if got := recv(q, b); got != `"waits"` {
		t.Errorf("afterwards: %s", got)
	}
	if e, _ := p.SockError(c); e != syscall.ECONNREFUSED {
		t.Errorf("connect: %v", e)
	}
	// A reset is lost, and who comes later meets another.
	l.Partition(true)
	p.Reset(a)
	l.Partition(false)
	pass(k, time.Minute)
	if got := recv(q, b); got != syscall.EAGAIN.Error() {
		t.Errorf("the reset arrived: %s", got)
	}
	q.Send(b, []byte("x"))
	pass(k, time.Second)
	if got := recv(q, b); got != syscall.ECONNRESET.Error() {
		t.Errorf("no reset: %s", got)
	}
}

func TestConnectTimesOut(t *testing.T) {
	k, p, _, l := apart(1)
	l.Partition(true)
	for _, address := range []string{"10.0.0.2:1", "10.9.9.9:1"} {
		c, _ := p.Socket(sys.Inet)
		p.Connect(c, sys.Addr{Family: sys.Inet, Inet: netip.MustParseAddrPort(address)})
		pass(k, 126*time.Second)
		if e, _ := p.SockError(c); e != 0 {
			t.Errorf("%s: too early: %v", address, e)
		}
		pass(k, time.Second)
		if e, _ := p.SockError(c); e != syscall.ETIMEDOUT {
			t.Errorf("%s: %v", address, e)
		}
	}
	// From a host that is alone, there is no way.
	alone := k.Process(sim.ProcessConfig{})
	c, _ := alone.Socket(sys.Inet)
	if e := alone.Connect(c, sys.Addr{Family: sys.Inet, Inet: netip.MustParseAddrPort("10.0.0.1:1")}); e != syscall.ENETUNREACH {
		t.Errorf("alone: %v", e)
	}
}

func TestClog(t *testing.T) {
	k, p, q, l := apart(1)
	a, b := connected(t, p, q, "10.0.0.2:1")
	l.Clog(k.Now() + int64(time.Hour))
	p.Send(a, []byte("x"))
	pass(k, time.Hour-1)
	if got := recv(q, b); got != syscall.EAGAIN.Error() {
		t.Errorf("clogged: %s", got)
	}
	pass(k, 1)
	if got := recv(q, b); got != `"x"` {
		t.Errorf("afterwards: %s", got)
	}
}

// A stream arrives whole and in order, whatever the jitter and the windows.
func TestStreamOverLink(t *testing.T) {
	for seed := range uint64(50) {
		k, p, q, l := apart(seed)
		l.Latency, l.Jitter = time.Millisecond, 20*time.Millisecond
		p.BufferSizes(int(seed)*3+1, 100)
		q.BufferSizes(100, int(seed)*7+1)
		a, b := connected(t, p, q, "10.0.0.2:1")
		var sent, got []byte
		for i := 0; len(got) < 3000; i++ {
			if len(sent) < 3000 {
				chunk := bytes.Repeat([]byte{byte(i)}, i%97+1)
				n, _ := p.Send(a, chunk)
				sent = append(sent, chunk[:n]...)
			} else {
				p.ShutdownWrite(a)
			}
			pass(k, time.Millisecond)
			buf := make([]byte, i%53+1)
			n, e := q.Recv(b, buf)
			if n == 0 && e == 0 {
				break
			}
			got = append(got, buf[:n]...)
		}
		for {
			pass(k, time.Second)
			buf := make([]byte, 1000)
			n, e := q.Recv(b, buf)
			if n == 0 && e == 0 {
				break
			}
			got = append(got, buf[:n]...)
		}
		if !bytes.Equal(sent, got) {
			t.Fatalf("seed %d: sent %d bytes, received %d, or others", seed, len(sent), len(got))
		}
	}
}

func TestDatagramsOverLink(t *testing.T) {
	tests := []struct {
		name string
		set  func(l *sim.Link)
		ok   func(sent, got []string) bool
	}{
		{"plain", func(*sim.Link) {}, slices.Equal[[]string]},
		{"jitter alone keeps the order", func(l *sim.Link) { l.Jitter = time.Second }, slices.Equal[[]string]},
		{"loss", func(l *sim.Link) { l.Loss = 5000 }, func(sent, got []string) bool {
			return len(got) < 80 && len(got) > 20 && slices.IsSorted(got)
		}},
		{"duplicates", func(l *sim.Link) { l.Duplicate = 5000 }, func(sent, got []string) bool {
			slices.Sort(got)
			return len(got) > 120 && slices.Equal(slices.Compact(got), sent)
		}},
		{"reordered", func(l *sim.Link) { l.Reorder = 5000 }, func(sent, got []string) bool {
			sorted := slices.IsSorted(got)
			slices.Sort(got)
			return !sorted && slices.Equal(got, sent)
		}},
		{"partition", func(l *sim.Link) { l.Partition(true) }, func(_, got []string) bool { return len(got) == 0 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k, p, q, l := apart(1)
			l.Latency = time.Millisecond
			tt.set(l)
			to := sys.Addr{Family: sys.Inet, Inet: netip.MustParseAddrPort("10.0.0.2:53")}
			a, _ := p.PacketSocket(sys.Inet, sys.Datagram)
			b, _ := q.PacketSocket(sys.Inet, sys.Datagram)
			must(t, q.Bind(b, to))
			var sent, got []string
			for i := range 100 {
				sent = append(sent, fmt.Sprintf("%03d", i))
				if n, e := p.SendPackets(a, []sys.Packet{{Buf: []byte(sent[i]), Addr: to}}); n != 1 || e != 0 {
					t.Fatal(n, e)
				}
				pass(k, 100*time.Microsecond)
			}
			pass(k, time.Minute)
			for {
				ps := []sys.Packet{{Buf: make([]byte, 10)}}
				n, e := q.RecvPackets(b, ps, false)
				if n == 0 {
					if e != syscall.EAGAIN {
						t.Errorf("recv: %v", e)
					}
					break
				}
				if from := ps[0].Addr.Inet.Addr(); from != netip.MustParseAddr("10.0.0.1") {
					t.Fatalf("from %v", from)
				}
				got = append(got, string(ps[0].Buf[:ps[0].Size]))
			}
			if !tt.ok(sent, got) {
				t.Errorf("received %d: %s", len(got), strings.Join(got, " "))
			}
		})
	}
}

// Hosts have ports and files of their own.
func TestHosts(t *testing.T) {
	k, p, q, _ := apart(1)
	for _, a := range []sys.Addr{
		{Family: sys.Inet, Inet: netip.MustParseAddrPort("0.0.0.0:80")},
		{Family: sys.Unix, Path: "/run/x"},
		{Family: sys.Unix, Path: "@x"},
	} {
		for _, p := range []*sim.Process{p, q} {
			fd, _ := p.Socket(a.Family)
			must(t, p.Bind(fd, a))
		}
		neighbour := k.Process(sim.ProcessConfig{IP: netip.MustParseAddr("10.0.0.1")})
		fd, _ := neighbour.Socket(a.Family)
		if e := neighbour.Bind(fd, a); e != syscall.EADDRINUSE {
			t.Errorf("on one host: bind %v: %v", a, e)
		}
	}
	fd, _ := p.Socket(sys.Inet)
	if e := p.Bind(fd, sys.Addr{Family: sys.Inet, Inet: netip.MustParseAddrPort("10.0.0.2:1")}); e != syscall.EADDRNOTAVAIL {
		t.Errorf("another's address: %v", e)
	}
}

// Who ends while the handshake is under way leaves nothing behind.
func TestHandshakeInterrupted(t *testing.T) {
	to := sys.Addr{Family: sys.Inet, Inet: netip.MustParseAddrPort("10.0.0.2:1")}
	start := func() (k *sim.Kernel, p, q *sim.Process, l, c int) {
		k, p, q, link := apart(1)
		link.Latency = 10 * time.Millisecond
		l, _ = q.Socket(sys.Inet)
		must(t, q.Bind(l, to))
		must(t, q.Listen(l, 0))
		c, _ = p.Socket(sys.Inet)
		p.Connect(c, to)
		return k, p, q, l, c
	}
	t.Run("by the listener", func(t *testing.T) {
		k, p, q, l, c := start()
		pass(k, 15*time.Millisecond) // the answer is on its way back
		must(t, q.Close(l))
		pass(k, time.Second)
		if got := recv(p, c); got != syscall.ECONNRESET.Error() {
			t.Errorf("client: %s", got)
		}
		l, _ = q.Socket(sys.Inet)
		if e := q.Bind(l, to); e != 0 {
			t.Errorf("bind again: %v", e)
		}
	})
	t.Run("by the client", func(t *testing.T) {
		k, p, q, l, c := start()
		pass(k, 15*time.Millisecond)
		must(t, p.Close(c))
		pass(k, time.Second)
		if _, e := q.Accept(l, new(sys.Addr)); e != syscall.EAGAIN {
			t.Errorf("accept: %v", e)
		}
		c, _ = p.Socket(sys.Inet) // the one place in the queue is free again
		p.Connect(c, to)
		pass(k, time.Second/2)
		if _, e := q.Accept(l, new(sys.Addr)); e != 0 {
			t.Errorf("accept: %v", e)
		}
	})
}
