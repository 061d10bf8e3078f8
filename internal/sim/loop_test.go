package sim_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
	"github.com/seed-20e08ac4/asyncore/loop"
)

var flavours = []string{"epoll", "kqueue", "poll", "select"}

// world is a kernel and loops on it.
type world struct {
	*sim.Kernel
	t     testing.TB
	loops []*loop.Loop
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{Kernel: sim.New(tape.Random(seed)), t: t}
}

// loop returns a loop on a process of its own.
func (w *world) loop(c sim.ProcessConfig) (*loop.Loop, *sim.Process) {
	w.t.Helper()
	p := w.Process(c)
	l, err := core.On(loop.Config{Debug: true}, p)
	if err != nil {
		w.t.Fatal(err)
	}
	w.loops = append(w.loops, l.(*loop.Loop))
	w.t.Cleanup(func() {
		l.(*loop.Loop).Close()
		if fds := p.FDs(); len(fds) > 0 {
			w.t.Errorf("%s has left descriptors open: %v", c.Name, fds)
		}
	})
	return l.(*loop.Loop), p
}

// settle turns the loops, and lets time pass, until nothing is left to happen
// before that time.
func (w *world) settle(until time.Duration) {
	w.t.Helper()
	for {
		// A turn may end with a call whose effect only the next one sees.
		for turns, idle := 0, 0; idle < 2; turns++ {
			if turns == 10_000 {
				w.t.Fatal("the loops do not come to rest")
			}
			idle++
			for _, l := range w.loops {
				was := l.Stats()
				if err := l.Poll(0); err != nil {
					w.t.Fatal(err)
				}
				is := l.Stats()
				if is.Events != was.Events || is.Posts != was.Posts || is.Timers != was.Timers {
					idle = 0
				}
			}
		}
		at, ok := w.Next()
		for _, l := range w.loops {
			if d, due := l.NextDeadline(); due && (!ok || int64(d) < at) {
				at, ok = int64(d), true // the loops are as old as the kernel
			}
		}
		if !ok || at > int64(until) {
			return
		}
		w.Advance(at)
	}
}

func TestEcho(t *testing.T) {
	far := netip.MustParseAddr("10.0.0.2")
	tests := []struct {
		name             string
		network, address string
		host             netip.Addr // the server's
		link             *sim.Link
	}{
		{name: "tcp", network: "tcp", address: "127.0.0.1:7"},
		{name: "tcp6", network: "tcp6", address: "[::1]:7"},
		{name: "unix", network: "unix", address: "/run/echo"},
		{name: "abstract", network: "unix", address: "@echo"},
		{name: "another host", network: "tcp", address: "10.0.0.2:7", host: far},
		{name: "another host, far away", network: "tcp", address: "10.0.0.2:7", host: far,
			link: &sim.Link{Latency: 20 * time.Millisecond, Jitter: 10 * time.Millisecond}},
	}
	for _, tt := range tests {
		for _, flavour := range flavours {
			t.Run(tt.name+" "+flavour, func(t *testing.T) {
				w := newWorld(t, 1)
				here := sim.ProcessConfig{Name: "client", Poller: flavour}
				there := sim.ProcessConfig{Name: "server", Poller: flavour}
				if tt.host.IsValid() {
					here.IP, there.IP = netip.MustParseAddr("10.0.0.1"), tt.host
				}
				server, p := w.loop(there)
				client, q := w.loop(here)
				p.BufferSizes(300, 200)
				q.BufferSizes(7, 700)
				if tt.link != nil {
					l := w.Link(p, q)
					l.Latency, l.Jitter = tt.link.Latency, tt.link.Jitter
				}
				sent := bytes.Repeat([]byte("all that was sent "), 200)
				got := echo(t, w, server, client, tt.network, tt.address, sent)
				if !bytes.Equal(got, sent) {
					t.Errorf("%d bytes came back of %d, or others", len(got), len(sent))
				}
			})
		}
	}
}

// echo sends bytes to a server that sends them back, and ends with an end of
// stream in both directions.
func echo(t *testing.T, w *world, server, client *loop.Loop, network, address string, sent []byte) (got []byte) {
	t.Helper()
	ends := 0
	closed := func(who string) func(*channel.Conn, error) {
		return func(_ *channel.Conn, err error) {
			ends++
			if err != nil {
				t.Errorf("%s closed: %v", who, err)
			}
		}
	}
	answer := &channel.Handler{
		Read:  func(c *channel.Conn, p []byte) { c.Write(p) },
		Close: closed("server"),
	}
	ln, err := channel.Listen(server, network, address, func(*channel.Conn) *channel.Handler { return answer })
	if err != nil {
		t.Fatal(err)
	}
	channel.Dial(client, network, address, &channel.Handler{
		Connect: func(c *channel.Conn) {
			if err := c.SendFrom(bytes.NewReader(sent)); err != nil {
				t.Error(err)
			}
			c.CloseWrite()
		},
		Read:  func(_ *channel.Conn, p []byte) { got = append(got, p...) },
		Close: closed("client"),
	})
	w.settle(time.Hour)
	if ends != 2 {
		t.Errorf("%d ends were closed, want 2", ends)
	}
	ln.Close()
	return got
}

// The same tape gives the same run, call by call.
func TestDeterminism(t *testing.T) {
	run := func(seed uint64) (log []string) {
		w := newWorld(t, seed)
		w.Trace(func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) })
		w.SetNoise(sim.Noise{Shuffle: 3000, Spurious: 1000, SmallBatch: 3000, Merge: 3000})
		server, p := w.loop(sim.ProcessConfig{Name: "server", IP: netip.MustParseAddr("10.0.0.2")})
		client, q := w.loop(sim.ProcessConfig{Name: "client", IP: netip.MustParseAddr("10.0.0.1"), ReuseLast: true})
		l := w.Link(p, q)
		l.Latency, l.Jitter = time.Millisecond, time.Second
		echo(t, w, server, client, "tcp", "10.0.0.2:7", bytes.Repeat([]byte("x"), 100_000))
		return log
	}
	if diff := cmp.Diff(run(1), run(1)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(run(1), run(2)) {
		t.Error("another seed makes no difference")
	}
}

// A connection to nobody, and one that is not answered.
func TestDialFails(t *testing.T) {
	w := newWorld(t, 1)
	l, p := w.loop(sim.ProcessConfig{Name: "client", IP: netip.MustParseAddr("10.0.0.1")})
	q := w.Process(sim.ProcessConfig{IP: netip.MustParseAddr("10.0.0.2")})
	w.Link(p, q).Partition(true)
	for _, tt := range []struct {
		address string
		want    error
		after   time.Duration
	}{
		{"127.0.0.1:1", syscall.ECONNREFUSED, 0},
		{"10.0.0.2:1", os.ErrDeadlineExceeded, 10 * time.Second},
		{"10.0.0.3:1", os.ErrDeadlineExceeded, 10 * time.Second},
	} {
		var reason error
		start, end := w.Now(), int64(0)
		channel.Dial(l, "tcp", tt.address, &channel.Handler{
			Close: func(_ *channel.Conn, err error) { reason, end = err, w.Now() },
		})
		w.settle(time.Hour)
		if after := time.Duration(end - start); !errors.Is(reason, tt.want) || after != tt.after {
			t.Errorf("%s: %v after %v", tt.address, reason, after)
		}
	}
}

func TestChat(t *testing.T) {
	w := newWorld(t, 3)
	w.SetNoise(sim.Noise{Shuffle: 5000, Spurious: 1000, SmallBatch: 3000, Merge: 3000})
	server, _ := w.loop(sim.ProcessConfig{Name: "server"})
	client, _ := w.loop(sim.ProcessConfig{Name: "client"})
	upper := &chat.Handler{Message: func(c *chat.Conn, line []byte) { c.Push(bytes.ToUpper(line), []byte("\r\n")) }}
	ln, err := channel.Listen(server, "tcp", "127.0.0.1:0", chat.Accept(func(*chat.Conn) *chat.Handler { return upper }))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	c := channel.Dial(client, "tcp", ln.Addr().String(), &channel.Handler{})
	chat.Attach(c, &chat.Handler{
		Connect: func(c *chat.Conn) { c.Push([]byte("one\r\ntwo\r\n")) },
		Message: func(c *chat.Conn, line []byte) {
			if got = append(got, string(line)); len(got) == 2 {
				c.Close()
			}
		},
	})
	w.settle(time.Minute)
	if fmt.Sprint(got) != "[ONE TWO]" {
		t.Errorf("got %q", got)
	}
	ln.Close()
}

// Run waits in virtual time, and notices when it would wait for ever.
func TestRun(t *testing.T) {
	w := newWorld(t, 1)
	l, _ := w.loop(sim.ProcessConfig{})
	rang := int64(0)
	l.After(3*time.Hour, func() { rang = w.Now() })
	if err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := int64(3 * time.Hour); rang != want {
		t.Errorf("rang at %d, want %d", rang, want)
	}
	release := l.Hold()
	defer release()
	if err := l.Run(t.Context()); !errors.Is(err, sim.ErrDeadlock) {
		t.Errorf("nothing left: %v", err)
	}
}
