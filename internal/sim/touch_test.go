package sim_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// poll looks at every descriptor, and epoll at those of which it was told: they
// must agree whatever calls are made.
func TestToldOfAll(t *testing.T) {
	for seed := range uint64(60) {
		m := newMonkey(t, seed)
		for range 400 {
			m.act()
			m.check()
		}
		m.end()
		if t.Failed() {
			return
		}
	}
}

// monkey makes calls at random.
type monkey struct {
	t    *testing.T
	r    *rand.Rand
	seed uint64
	k    *sim.Kernel
	link *sim.Link
	ps   []*actor
	log  []string
}

// actor is a process, with what watches its descriptors.
type actor struct {
	*sim.Process
	told, looks sys.Poller
	open        []int
}

// Where sockets are bound and connect to.
var (
	streamAddrs = []sys.Addr{
		{Family: sys.Unix, Path: "/stream"},
		{Family: sys.Inet, Inet: netip.MustParseAddrPort("127.0.0.1:1")},
		{Family: sys.Inet, Inet: netip.MustParseAddrPort("10.0.0.1:1")},
		{Family: sys.Inet, Inet: netip.MustParseAddrPort("10.0.0.2:1")},
		{Family: sys.Inet6, Inet: netip.MustParseAddrPort("[::1]:1")},
	}
	packetAddrs = []sys.Addr{
		{Family: sys.Unix, Path: "/packets"},
		{Family: sys.Inet, Inet: netip.MustParseAddrPort("127.0.0.1:2")},
		{Family: sys.Inet, Inet: netip.MustParseAddrPort("10.0.0.1:2")},
		{Family: sys.Inet, Inet: netip.MustParseAddrPort("10.0.0.2:2")},
	}
	sequencedAddr = sys.Addr{Family: sys.Unix, Path: "/sequenced"}
)

func newMonkey(t *testing.T, seed uint64) *monkey {
	k := sim.New(tape.Random(seed))
	m := &monkey{t: t, r: rand.New(rand.NewPCG(seed, 1)), seed: seed, k: k}
	for i := range 2 {
		ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)})
		p := &actor{Process: k.Process(sim.ProcessConfig{IP: ip, ReuseLast: i == 1})}
		p.told, _ = p.OpenPoller("epoll")
		p.looks, _ = p.OpenPoller("poll")
		p.BufferSizes(1+m.r.IntN(400), 1+m.r.IntN(400))
		m.ps = append(m.ps, p)
	}
	m.link = k.Link(m.ps[0].Process, m.ps[1].Process)
	if seed%3 > 0 {
		m.link.Latency, m.link.Jitter, m.link.Loss, m.link.Duplicate = time.Millisecond, time.Millisecond, 1000, 1000
	}
	for _, p := range m.ps {
		for _, a := range streamAddrs {
			fd, _ := p.Socket(a.Family)
			if p.Bind(fd, a) == 0 {
				p.Listen(fd, m.r.IntN(3))
			}
			m.got(p, fd)
		}
		for _, a := range packetAddrs {
			fd, _ := p.PacketSocket(a.Family, sys.Datagram)
			p.Bind(fd, a)
			m.got(p, fd)
		}
		fd, _ := p.PacketSocket(sys.Unix, sys.Sequenced)
		p.Bind(fd, sequencedAddr)
		p.Listen(fd, 1)
		m.got(p, fd)
	}
	return m
}

// got watches new descriptors, mostly for something that they are not ready for.
func (m *monkey) got(p *actor, fds ...int) {
	for _, fd := range fds {
		if fd < 0 {
			continue
		}
		p.open = append(p.open, fd)
		want := []asyncore.Interest{asyncore.Readable, asyncore.Readable, asyncore.Writable, asyncore.Urgent}[m.r.IntN(4)]
		p.told.Add(fd, uint64(fd), want)
		p.looks.Add(fd, uint64(fd), want)
	}
}

func (m *monkey) note(p *actor, format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf("%d: ", slices.Index(m.ps, p))+fmt.Sprintf(format, args...))
}

// act makes one call.
func (m *monkey) act() {
	r, p := m.r, m.ps[m.r.IntN(len(m.ps))]
	fd := -1
	if n := len(p.open); n > 0 {
		fd = p.open[r.IntN(n)]
	}
	buf := make([]byte, r.IntN(200))
	switch r.IntN(20) {
	case 0, 1:
		a := streamAddrs[r.IntN(len(streamAddrs))]
		s, _ := p.Socket(a.Family)
		m.got(p, s)
		m.note(p, "%d = socket, connect %v: %v", s, a, p.Connect(s, a))
	case 2:
		a := packetAddrs[r.IntN(len(packetAddrs))]
		s, _ := p.PacketSocket(a.Family, sys.Datagram)
		m.got(p, s)
		m.note(p, "%d = packet socket, connect %v: %v", s, a, p.Connect(s, a))
	case 3:
		s, _ := p.PacketSocket(sys.Unix, sys.Sequenced)
		m.got(p, s)
		m.note(p, "%d = sequenced socket, connect: %v", s, p.Connect(s, sequencedAddr))
	case 4:
		a, b, _ := p.Pair([]string{"unix", "unixgram", "unixpacket"}[r.IntN(3)])
		m.got(p, a, b)
		m.note(p, "%d %d = pair", a, b)
	case 5:
		a, b, _ := p.PipeFDs()
		m.got(p, a, b)
		m.note(p, "%d %d = pipe", a, b)
	case 6, 7:
		for _, fd := range slices.Clone(p.open) {
			if n, e := p.Accept(fd, new(sys.Addr)); e == 0 {
				m.got(p, n)
				m.note(p, "%d = accept %d", n, fd)
			}
		}
	case 8, 9:
		n, e := p.Write(fd, buf)
		m.note(p, "write %d %d: %d %v", fd, len(buf), n, e)
	case 10, 11:
		n, e := p.Read(fd, buf)
		m.note(p, "read %d %d: %d %v", fd, len(buf), n, e)
	case 12:
		read, write := r.IntN(2) == 0, r.IntN(2) == 0
		m.note(p, "shutdown %d %v %v: %v", fd, read, write, p.Shutdown(fd, read, write))
	case 13:
		m.note(p, "urgent %d: %v", fd, p.SendUrgent(fd, 'u'))
	case 14:
		b, e := p.RecvUrgent(fd)
		m.note(p, "recv urgent %d: %c %v", fd, b, e)
	case 15:
		e, _ := p.SockError(fd)
		m.note(p, "so_error %d: %v", fd, e)
	case 16:
		m.close(p, fd)
	case 17:
		a := packetAddrs[r.IntN(len(packetAddrs))]
		n, e := p.SendPackets(fd, []sys.Packet{{Buf: buf, Addr: a}, {Buf: buf}})
		m.note(p, "sendmmsg %d %v: %d %v", fd, a, n, e)
	case 18:
		n, e := p.RecvPackets(fd, []sys.Packet{{Buf: buf}, {Buf: buf}}, r.IntN(2) == 0)
		m.note(p, "recvmmsg %d: %d %v", fd, n, e)
	case 19:
		switch r.IntN(4) {
		case 0:
			m.k.Advance(m.k.Now() + r.Int64N(int64(3*time.Second)))
		case 1:
			m.k.Advance(m.k.Now() + r.Int64N(int64(time.Millisecond)))
		case 2:
			m.link.Partition(r.IntN(2) == 0)
		case 3:
			m.link.Clog(m.k.Now() + r.Int64N(int64(time.Second)))
		}
		m.note(p, "something happens")
	}
}

func (m *monkey) close(p *actor, fd int) {
	p.told.Remove(fd)
	p.looks.Remove(fd)
	closing := p.Close
	if m.r.IntN(3) == 0 {
		closing = p.Reset
		if k, _ := p.Kind(fd); k == sys.File {
			closing = p.Close
		}
	}
	m.note(p, "close %d: %v", fd, closing(fd))
	p.open = slices.DeleteFunc(p.open, func(n int) bool { return n == fd })
}

func (m *monkey) check() {
	m.t.Helper()
	for i, p := range m.ps {
		want, have := waitAll(m.t, p.looks), waitAll(m.t, p.told)
		if !slices.Equal(want, have) {
			diff := gocmp.Diff(want, have)
			m.t.Fatalf("seed %d, process %d: poll says -, epoll +:\n%s\n%q", m.seed, i, diff, m.log[max(0, len(m.log)-30):])
		}
	}
}

// end closes all: nothing is left behind, and nothing goes on for ever.
func (m *monkey) end() {
	m.link.Partition(false)
	for _, p := range m.ps {
		p.told.Close()
		p.looks.Close()
		for _, fd := range p.FDs() {
			if e := p.Close(fd); e != 0 {
				m.t.Errorf("close %d: %v", fd, e)
			}
		}
	}
	m.k.Advance(m.k.Now() + int64(time.Hour))
	if at, ok := m.k.Next(); ok {
		m.t.Errorf("something is left to happen at %v", time.Duration(at))
	}
}

// waitAll is what a poller reports now, by token.
func waitAll(t *testing.T, p sys.Poller) []asyncore.Event {
	t.Helper()
	dst := make([]asyncore.Event, 500)
	n, err := p.Wait(dst, 0)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(dst[:n], func(a, b asyncore.Event) int { return cmp.Compare(a.Token, b.Token) })
	return dst[:n]
}
