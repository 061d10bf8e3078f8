//go:build unix

package channel_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"weak"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// exchange writes p in pieces of random length, half-closes, and reads what
// comes back, all at the same time.
func exchange(t testing.TB, nc net.Conn, p []byte, rng *rand.Rand) {
	t.Helper()
	go func() {
		for rest := p; len(rest) > 0; {
			n := min(1+rng.IntN(1<<rng.IntN(18)), len(rest))
			if _, err := nc.Write(rest[:n]); err != nil {
				t.Errorf("client: %v", err)
				return
			}
			rest = rest[n:]
		}
		halfClose(t, nc)
	}()
	wantAll(t, nc, p)
}

func TestEcho(t *testing.T) {
	networks := []string{"tcp4", "tcp6", "unix"}
	if runtime.GOOS == "linux" {
		networks = append(networks, "abstract")
	}
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				var ln net.Addr
				if network == "abstract" {
					name := fmt.Sprintf("@asyncore-%d-%s", os.Getpid(), r.l.Poller())
					ln = r.listen(channel.ListenConfig{}, "unix", name, func(*channel.Conn) *channel.Handler { return echo }).Addr()
					if ln.String() != name {
						t.Errorf("Addr = %v, want %v", ln, name)
					}
				} else {
					ln = r.serve(network, echo)
				}
				for seed := range uint64(4) {
					rng := rand.New(rand.NewPCG(seed, 1))
					exchange(t, connect(t, ln), noise(1+rng.IntN(1<<19)), rng)
					r.wantEnd(nil)
				}
			})
		})
	}
}

func TestManyConns(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		ln := r.serve("tcp4", echo)
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 200 {
			nc := connect(t, ln)
			wg.Go(func() {
				<-start
				exchange(t, nc, noise(i*137+1), rand.New(rand.NewPCG(uint64(i), 2)))
			})
		}
		close(start)
		wg.Wait()
		for range 200 {
			r.wantEnd(nil)
		}
	})
}

// A peer that sends 20 MB and its FIN before it reads anything gets all of it,
// if the queue may hold it; and one that starts to read late loses nothing if
// it may not.
func TestLateReader(t *testing.T) {
	all := noise(20e6)
	late := func(t *testing.T, r *rig, setup func(*channel.Conn)) {
		ln := r.listen(channel.ListenConfig{}, "tcp4", "127.0.0.1:0", func(c *channel.Conn) *channel.Handler {
			setup(c)
			return echo
		})
		nc := connect(t, ln.Addr())
		go func() {
			if _, err := nc.Write(all); err != nil {
				t.Errorf("client: %v", err)
			}
			halfClose(t, nc)
		}()
		time.Sleep(200 * time.Millisecond)
		wantAll(t, nc, all)
		r.wantEnd(nil)
	}
	t.Run("no water", func(t *testing.T) {
		t.Parallel()
		eachBackend(t, func(t *testing.T, r *rig) {
			late(t, r, func(c *channel.Conn) { c.SetWater(0, -1, -1) })
		})
	})
	t.Run("default", func(t *testing.T) {
		t.Parallel()
		eachBackend(t, func(t *testing.T, r *rig) {
			late(t, r, func(*channel.Conn) {})
		})
	})
}

// Peers that never read cost a bounded amount of memory, and nobody else
// anything.
func TestPeersThatNeverRead(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		const peers = 40
		ln := r.serve("unix", echo)
		block := make([]byte, 64<<10)
		var wg sync.WaitGroup
		for range peers {
			nc := connect(t, ln)
			wg.Go(func() {
				// Until the server has stopped reading.
				for sent := 0; sent < 8<<20; {
					nc.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
					n, err := nc.Write(block)
					sent += n
					if errors.Is(err, os.ErrDeadlineExceeded) {
						return
					}
				}
				t.Error("the server went on reading")
			})
		}
		wg.Wait()
		r.do(func() {
			if got := r.l.Stats().Buffered; got == 0 || got > peers*(1<<20+64<<10) {
				t.Errorf("%d bytes buffered", got)
			}
		})
		exchange(t, connect(t, ln), noise(1<<20), rand.New(rand.NewPCG(1, 1)))
	})
}

func TestOrderOfEvents(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		want := []string{"connect", "read", "eof", "close"}
		h := &channel.Handler{
			Connect: func(c *channel.Conn) { c.WriteString("hello") },
			Read:    func(c *channel.Conn, p []byte) {},
			EOF:     func(c *channel.Conn) { r.close(c) },
		}
		nc, c := r.pair("tcp4", h)
		wantRead(t, nc, "hello")
		send(t, nc, "input")
		halfClose(t, nc)
		wantRead(t, nc, "")
		r.wantEnd(nil)
		r.do(func() {
			if got := r.life(c).log; !slices.Equal(got, want) {
				t.Errorf("callbacks %v, want %v", got, want)
			}
		})

		// Everything that the peer has sent before it goes comes first, even
		// all at once: Connect, Read and EOF wait for us.
		hold := make(chan struct{})
		h = &channel.Handler{Read: h.Read, EOF: h.EOF}
		ln := r.serve("unix", h)
		go r.l.Post(func() { <-hold })
		nc = connect(t, ln)
		send(t, nc, "all")
		nc.Close()
		close(hold)
		e := r.end()
		r.do(func() {
			if got := r.life(e.c).log; !slices.Equal(got, want) {
				t.Errorf("callbacks %v, want %v", got, want)
			}
		})
	})
}

// A failure that a call of the user's runs into is told later.
func TestFailuresComeLater(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, n := range []int{10, 100 << 10} { // queued, and sent at once
			nc, c := r.pair("unix", &channel.Handler{})
			r.do(func() { c.Pause() })
			nc.Close()
			r.do(func() {
				if _, err := c.Write(make([]byte, n)); err != nil {
					t.Errorf("Write: %v", err)
				}
			})
			r.do(func() { c.Resume() }) // paused, it would not hear of the end
			e := r.end()
			if e.c != c {
				t.Errorf("Close of %v", e.c)
			}
			if !errors.Is(e.err, syscall.EPIPE) {
				t.Errorf("Close(%v), want EPIPE", e.err)
			}
		}
	})
}

// What the peer sent before it went is delivered, though writing fails first.
func TestInputBeforeWriteError(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var got []byte
		var c *channel.Conn
		nc, c := r.pair("unix", &channel.Handler{
			Read: func(_ *channel.Conn, p []byte) { got = append(got, p...) },
		})
		sent := noise(100 << 10)
		r.do(func() { c.Pause() })
		if _, err := nc.Write(sent); err != nil {
			t.Fatal(err)
		}
		nc.Close()
		r.do(func() { c.WriteString("to nobody") })
		r.quiet()
		r.do(func() {
			if len(got) > 0 || len(r.closed) > 0 {
				t.Errorf("%d bytes and %d closes while paused", len(got), len(r.closed))
			}
			if _, err := c.Write([]byte("more")); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("Write after EPIPE: %v", err)
			}
			c.Resume()
		})
		e := r.end()
		var op *net.OpError
		if !errors.As(e.err, &op) || op.Op != "write" || !errors.Is(op, syscall.EPIPE) {
			t.Errorf("Close(%v), want a write error with EPIPE", e.err)
		}
		if !bytes.Equal(got, sent) {
			t.Errorf("got %d bytes, want %d", len(got), len(sent))
		}
	})
}

// A reset by the peer is the reason, after what came before it.
func TestReset(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, c := r.pair("tcp4", &channel.Handler{Read: func(c *channel.Conn, p []byte) {}})
		send(t, nc, "before")
		r.until("the input is read", func() bool { return c.BytesRead() == 6 })
		nc.(*net.TCPConn).SetLinger(0)
		nc.Close()
		e := r.end()
		var op *net.OpError
		if !errors.As(e.err, &op) || op.Op != "read" || op.Net != "tcp" || !errors.Is(op, syscall.ECONNRESET) {
			t.Errorf("Close(%v), want a read error with ECONNRESET", e.err)
		}
	})
}

func TestConns(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		ln := r.serve("unix", echo)
		var clients []net.Conn
		for range 5 {
			clients = append(clients, connect(t, ln))
		}
		ids := func() (ids []uint64) {
			for c := range channel.Conns(r.l) {
				if c.Loop() != r.l {
					t.Error("Loop is another one")
				}
				ids = append(ids, c.ID())
			}
			return ids
		}
		want := func(want ...uint64) {
			t.Helper()
			r.do(func() {
				if got := ids(); !slices.Equal(got, want) {
					t.Errorf("Conns: %v, want %v", got, want)
				}
			})
		}
		r.until("all are accepted", func() bool { return len(ids()) == 5 })
		want(1, 2, 3, 4, 5)
		clients[2].Close()
		r.end()
		want(1, 2, 4, 5)

		// Closing while iterating, the one it stands on and others.
		r.do(func() {
			seen := 0
			for c := range channel.Conns(r.l) {
				seen++
				r.abort(c)
				for o := range channel.Conns(r.l) {
					if o.ID() == 5 {
						r.abort(o)
					}
				}
			}
			if seen != 4 {
				t.Errorf("saw %d Conns, want 4: none of them has been closed yet", seen)
			}
		})
		for range 4 {
			r.wantEnd(net.ErrClosed)
		}
		want()
		connect(t, ln)
		r.until("one more is accepted", func() bool { return len(ids()) > 0 })
		want(6) // though descriptors and slots are free
		r.do(func() {
			for range channel.Conns(r.l) {
				break
			}
		})
	})
}

// An iteration may stand on a Conn while the loop turns.
func TestConnsAcrossTurns(t *testing.T) {
	l, err := loop.New(loop.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ln, err := channel.Listen(l, "unix", address(t, "unix"), func(*channel.Conn) *channel.Handler { return echo })
	if err != nil {
		t.Fatal(err)
	}
	for range 6 {
		connect(t, ln.Addr())
	}
	l.Poll(0)
	var seen []uint64
	for c := range channel.Conns(l) {
		seen = append(seen, c.ID())
		switch c.ID() {
		case 2: // itself and the next two
			for o := range channel.Conns(l) {
				if o.ID() >= 2 && o.ID() <= 4 {
					o.Abort()
				}
			}
		case 5: // the last one, and another is made
			for o := range channel.Conns(l) {
				if o.ID() >= 5 {
					o.Abort()
				}
			}
			connect(t, ln.Addr())
			l.Poll(patience)
		}
		l.Poll(0)
	}
	if want := []uint64{1, 2, 5, 7}; !slices.Equal(seen, want) {
		t.Errorf("saw %v, want %v", seen, want)
	}
}

// A Conn that somebody keeps after its end keeps no other one in memory.
func TestClosedConnsAreCollected(t *testing.T) {
	l, err := loop.New(loop.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ln, err := channel.Listen(l, "unix", address(t, "unix"), func(*channel.Conn) *channel.Handler { return echo })
	if err != nil {
		t.Fatal(err)
	}
	next := func() *channel.Conn {
		connect(t, ln.Addr())
		l.Poll(patience)
		var last *channel.Conn
		for c := range channel.Conns(l) {
			last = c
		}
		return last
	}
	first := next()
	second := next()
	gone := weak.Make(second)
	first.Abort() // while the second one follows it
	l.Poll(0)
	third := next()
	second.Abort()
	second = nil
	l.Poll(0)
	third.Abort()
	l.Poll(0)
	runtime.GC()
	runtime.GC()
	if gone.Value() != nil {
		t.Errorf("a closed Conn is kept by %v, which was closed before it", first)
	}
	runtime.KeepAlive(first)
}

func TestStringAndAddrs(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, network := range []string{"tcp4", "unix"} {
			nc, c := r.pair(network, echo)
			r.do(func() {
				want := fmt.Sprintf("conn %d %s", c.ID(), strings.TrimRight(network, "4"))
				if network == "tcp4" {
					want += " " + nc.LocalAddr().String()
				}
				if c.String() != want {
					t.Errorf("String = %q, want %q", c, want)
				}
				for _, pair := range [][2]net.Addr{{c.LocalAddr(), nc.RemoteAddr()}, {c.RemoteAddr(), nc.LocalAddr()}} {
					ours, theirs := pair[0], pair[1]
					if reflect.TypeOf(ours) != reflect.TypeOf(theirs) || ours.Network() != theirs.Network() {
						t.Errorf("address %T %v, want %T %v", ours, ours, theirs, theirs)
					}
					// Package net gives an unnamed Unix socket the name "@".
					if ours.String() != strings.TrimRight(theirs.String(), "@") {
						t.Errorf("address %v, want %v", ours, theirs)
					}
				}
				r.abort(c)
			})
			r.wantEnd(net.ErrClosed)
			r.do(func() {
				if a := c.LocalAddr(); a != nil {
					t.Errorf("LocalAddr after the end: %v", a)
				}
				if c.RemoteAddr() == nil {
					t.Error("no RemoteAddr after the end")
				}
			})
		}
	})
}

func TestCounters(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, c := r.pair("unix", &channel.Handler{
			Read: func(c *channel.Conn, p []byte) {
				c.Write(p)
				c.Write(p)
			},
		})
		send(t, nc, "12345")
		wantRead(t, nc, "1234512345")
		r.do(func() {
			s := r.l.Stats()
			if c.BytesRead() != 5 || c.BytesWritten() != 10 || s.BytesRead != 5 || s.BytesWritten != 10 {
				t.Errorf("read %d written %d, loop %d and %d", c.BytesRead(), c.BytesWritten(), s.BytesRead, s.BytesWritten)
			}
			if c.Buffered() != 0 || s.Buffered != 0 {
				t.Errorf("buffered %d, loop %d", c.Buffered(), s.Buffered)
			}
		})
	})
}

func TestSyscallConn(t *testing.T) {
	r := newRig(t, loop.Config{})
	_, c := r.pair("tcp4", echo)
	var raw syscall.RawConn
	r.do(func() {
		var err error
		if raw, err = c.SyscallConn(); err != nil {
			t.Fatal(err)
		}
		nodelay, keep := 0, 0
		err = raw.Control(func(fd uintptr) {
			nodelay, _ = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY)
			keep, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		})
		if err != nil || nodelay == 0 || keep == 0 {
			t.Errorf("Control: %v; TCP_NODELAY %d, SO_KEEPALIVE %d", err, nodelay, keep)
		}
		calls := 0
		never := func(uintptr) bool { calls++; return false }
		for name, f := range map[string]func(func(uintptr) bool) error{"Read": raw.Read, "Write": raw.Write} {
			if err := f(func(uintptr) bool { return true }); err != nil {
				t.Errorf("%s that is done: %v", name, err)
			}
			if err := f(never); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s that would wait: %v", name, err)
			}
		}
		if calls != 2 {
			t.Errorf("called %d times, want once each", calls)
		}
		r.abort(c)
	})
	r.wantEnd(net.ErrClosed)
	r.do(func() {
		if err := raw.Control(func(uintptr) { t.Error("called") }); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Control after the end: %v", err)
		}
		if _, err := c.SyscallConn(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("SyscallConn after the end: %v", err)
		}
	})
}

func wantPanic(t testing.TB, what, text string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		v := recover()
		if got := fmt.Sprint(v); v == nil || !strings.Contains(got, text) {
			t.Errorf("%s: panic %.200q, want one with %q", what, got, text)
		}
	}()
	f()
}

func TestProgrammersMistakes(t *testing.T) {
	r := newRig(t, loop.Config{})
	_, c := r.pair("unix", echo)
	r.do(func() {
		wantPanic(t, "SetHandler(nil)", "SetHandler", func() { c.SetHandler(nil) })
		wantPanic(t, "SendFrom(nil)", "SendFrom", func() { c.SendFrom(nil) })
		for _, m := range [][3]int{{-1, 10, 20}, {11, 10, 20}, {11, -10, 20}, {0, 10, 9}, {0, -10, 9}, {0, 1, 0}} {
			wantPanic(t, fmt.Sprint("SetWater", m), "SetWater", func() { c.SetWater(m[0], m[1], m[2]) })
		}
		for _, m := range [][3]int{{0, 0, 0}, {10, 10, 10}, {10, -10, 10}, {0, 10, -1}} {
			c.SetWater(m[0], m[1], m[2])
		}
		wantPanic(t, "Dial without Handler", "Dial", func() { channel.Dial(r.l, "tcp", "127.0.0.1:1", nil) })
		wantPanic(t, "Open without Handler", "Open", func() { channel.Open(r.l, os.Stdin, nil) })
	})
}

// A method that is called when a Conn has ended does nothing, and says so if
// it can.
func TestAfterTheEnd(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		h := &channel.Handler{
			Close: func(c *channel.Conn, err error) {
				c.Pause()
				c.Resume()
				c.SetHandler(echo)
				c.SetWater(1, 2, 3)
				c.SetIdleTimeout(time.Nanosecond)
				c.SetWriteTimeout(time.Nanosecond)
				c.Unread([]byte("x"))
				c.Unpark()
				c.Abort()
				for what, err := range map[string]error{
					"Close":       c.Close(),
					"Write":       second(c.Write([]byte("x"))),
					"WriteString": second(c.WriteString("x")),
					"SendFrom":    c.SendFrom(strings.NewReader("x")),
					"CloseWrite":  c.CloseWrite(),
				} {
					if !errors.Is(err, net.ErrClosed) {
						t.Errorf("%s in Close: %v", what, err)
					}
				}
			},
		}
		_, c := r.pair("unix", h)
		r.do(func() { r.abort(c) })
		r.wantEnd(net.ErrClosed)
		r.do(func() { h.Close(c, nil) }) // the same once more
		r.quiet()
	})
}

func second(_ int, err error) error { return err }

func TestPanics(t *testing.T) {
	boom := errors.New("boom")
	eachBackend(t, func(t *testing.T, r *rig) {
		other, _ := r.pair("unix", echo)
		for hook, h := range map[string]*channel.Handler{
			"connect": {Connect: func(*channel.Conn) { panic(boom) }},
			"read":    {Read: func(*channel.Conn, []byte) { panic(boom) }},
			"eof":     {EOF: func(*channel.Conn) { panic(boom) }},
			"write": {
				Connect: func(c *channel.Conn) {
					c.SetWater(0, 1, -1)
					c.WriteString("output")
				},
				Write: func(c *channel.Conn) { panic(boom) },
			},
		} {
			r.panics++
			nc, _ := r.pair("unix", h)
			nc.Write([]byte("input"))
			nc.(*net.UnixConn).CloseWrite()
			e := r.end()
			var pe *loop.PanicError
			if !errors.As(e.err, &pe) || pe.Value != boom || !errors.Is(e.err, boom) || !bytes.Contains(pe.Stack, []byte("TestPanics")) {
				t.Errorf("%s: Close(%v), want a *loop.PanicError with its stack", hook, e.err)
			}
			send(t, other, hook)
			wantRead(t, other, hook)
		}
	})
}

func TestDebugMode(t *testing.T) {
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, loop.Config{Poller: name, Debug: true})
			exchange(t, connect(t, r.serve("tcp4", echo)), noise(1<<18), rand.New(rand.NewPCG(3, 3)))
			r.wantEnd(nil)

			// Input belongs to the loop.
			var kept []byte
			nc, c := r.pair("unix", &channel.Handler{Read: func(c *channel.Conn, p []byte) {
				kept = p
				c.WriteString("ok")
			}})
			send(t, nc, "mine!")
			wantRead(t, nc, "ok")
			r.do(func() {
				if string(kept) != "\xdb\xdb\xdb\xdb\xdb" {
					t.Errorf("what Read kept is still %q", kept)
				}
			})

			// And so do the Conns.
			const text = "off its loop's goroutine"
			for what, f := range map[string]func(){
				"Write":           func() { c.Write(nil) },
				"WriteString":     func() { c.WriteString("") },
				"SendFrom":        func() { c.SendFrom(nil) },
				"Unpark":          func() { c.Unpark() },
				"CloseWrite":      func() { c.CloseWrite() },
				"Close":           func() { c.Close() },
				"Abort":           func() { c.Abort() },
				"Pause":           func() { c.Pause() },
				"Resume":          func() { c.Resume() },
				"Unread":          func() { c.Unread(nil) },
				"SetHandler":      func() { c.SetHandler(echo) },
				"SetWater":        func() { c.SetWater(0, 0, 0) },
				"SetIdleTimeout":  func() { c.SetIdleTimeout(0) },
				"SetWriteTimeout": func() { c.SetWriteTimeout(0) },
				"SyscallConn":     func() { c.SyscallConn() },
				"Conns":           func() { channel.Conns(r.l) },
				"Dial":            func() { channel.Dial(r.l, "tcp", "127.0.0.1:1", echo) },
				"Open":            func() { channel.Open(r.l, os.Stdin, echo) },
				"Listen":          func() { channel.Listen(r.l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return nil }) },
			} {
				wantPanic(t, what, text, f)
			}
		})
	}
}

// idleBytes measures the heap per accepted Conn that has echoed once and waits.
// The other ends are bare descriptors, which cost no heap.
func idleBytes(t testing.TB, n int) float64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || uint64(limit.Cur) < uint64(2*n+100) {
		t.Skipf("%d descriptors are too few", limit.Cur)
	}
	l, err := loop.New(loop.Config{Poller: asyncore.Backends()[0]})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := address(t, "unix")
	accepted := 0
	_, err = channel.Listen(l, "unix", path, func(*channel.Conn) *channel.Handler {
		accepted++
		return echo
	})
	if err != nil {
		t.Fatal(err)
	}
	fds := make([]int, 0, n)
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	buf := make([]byte, 16)
	one := func() {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
			t.Fatal(err)
		}
		unix.Write(fd, []byte("ping"))
		for accepted < len(fds) {
			l.Poll(patience)
		}
		l.Poll(patience) // and answered
		if n, err := unix.Read(fd, buf); n != 4 || err != nil {
			t.Fatal(n, err)
		}
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	one()
	before := heap()
	for len(fds) < n {
		one()
	}
	return float64(heap()-before) / float64(n-1)
}

func TestIdleConnIsSmall(t *testing.T) {
	got := idleBytes(t, 2000)
	t.Logf("%.0f bytes of heap per idle Conn", got)
	if got >= 600 {
		t.Errorf("%.0f bytes of heap per idle Conn, want less than 600: it holds a buffer?", got)
	}
}

// A Conn takes an io.Copy's part on either side of a program.
var _ io.Writer = (*channel.Conn)(nil)
