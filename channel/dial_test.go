//go:build unix

package channel_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/systest"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// wantOpError wants a *net.OpError for this dial, around want unless that is nil.
func wantOpError(t testing.TB, err error, network, addr string, want error) {
	t.Helper()
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "dial" || op.Net != network || op.Addr == nil || op.Addr.String() != addr || want != nil && !errors.Is(err, want) {
		t.Errorf("Close(%v), want dial %s %s: %v", err, network, addr, want)
	}
}

// Connect comes later, never inside Dial, though a Unix socket connects at
// once; what was written before is sent.
func TestDial(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6", "unix"} {
		t.Run(network, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				ln := r.serve(network, echo)
				var got string
				connected := false
				h := &channel.Handler{
					Connect: func(c *channel.Conn) {
						connected = true
						if c.RemoteAddr().String() != ln.String() {
							t.Errorf("RemoteAddr = %v, want %v", c.RemoteAddr(), ln)
						}
						if a := c.LocalAddr(); a == nil || a.Network() != ln.Network() {
							t.Errorf("LocalAddr = %v", a)
						}
						c.WriteString("during, ")
					},
					Read: func(c *channel.Conn, p []byte) {
						got += string(p)
						if strings.HasSuffix(got, "after") {
							r.close(c)
						}
					},
				}
				r.do(func() {
					c := r.dial(channel.Dialer{}, strings.TrimRight(network, "46"), ln.String(), h)
					if _, err := c.WriteString("before, "); err != nil {
						t.Error(err)
					}
					if err := c.SendFrom(strings.NewReader("from, ")); err != nil {
						t.Error(err)
					}
					if connected {
						t.Error("Connect inside Dial")
					}
				})
				r.until("connected", func() bool { return connected })
				r.do(func() {
					for c := range channel.Conns(r.l) {
						if c.ID() == 1 {
							c.WriteString("after")
						}
					}
				})
				r.wantEnd(nil)
				r.wantEnd(nil)
				if want := "before, from, during, after"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		})
	}
}

func TestDialRefused(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp := free.Addr().String()
		free.Close()
		path := address(t, "unix")
		stale, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		stale.(*net.UnixListener).SetUnlinkOnClose(false)
		stale.Close()
		h := &channel.Handler{Connect: func(*channel.Conn) { t.Error("Connect") }}
		for _, c := range []struct {
			network, address string
			want             error
		}{
			{"tcp", tcp, syscall.ECONNREFUSED},
			{"unix", path, syscall.ECONNREFUSED},
			{"unix", path + "x", syscall.ENOENT},
			{"unix", "/" + strings.Repeat("x", 200), syscall.ENAMETOOLONG},
		} {
			r.do(func() {
				r.dial(channel.Dialer{}, c.network, c.address, h).WriteString("never sent")
				if len(r.closed) > 0 {
					t.Error("Close inside Dial")
				}
			})
			wantOpError(t, r.end().err, c.network, c.address, c.want)
		}
	})
}

// What is wrong with the arguments is told like everything else.
func TestDialErrors(t *testing.T) {
	r := newRig(t, loop.Config{})
	var unknown net.UnknownNetworkError
	var bad *net.AddrError
	for _, c := range []struct {
		network, address string
		as               any
	}{
		{"udp", "127.0.0.1:1", &unknown},
		{"", "127.0.0.1:1", &unknown},
		{"tcp", "127.0.0.1", &bad},
		{"tcp", ":80", &bad},
		{"tcp", "example.org:http", &bad},
		{"tcp", "127.0.0.1:http", &bad},
		{"tcp4", "[::1]:80", &bad},
		{"tcp6", "127.0.0.1:80", &bad},
		{"unix", "", &bad},
	} {
		var conn *channel.Conn
		r.do(func() {
			conn = r.dial(channel.Dialer{}, c.network, c.address, &channel.Handler{
				Connect: func(*channel.Conn) { t.Error("Connect") },
			})
			if len(r.closed) > 0 {
				t.Error("Close inside Dial")
			}
			if conn.RemoteAddr() != nil || conn.LocalAddr() != nil {
				t.Errorf("addresses %v and %v", conn.RemoteAddr(), conn.LocalAddr())
			}
			conn.WriteString("never sent")
		})
		e := r.end()
		if e.c != conn || !errors.As(e.err, c.as) {
			t.Errorf("Dial(%q, %q): Close(%v), want a %T", c.network, c.address, e.err, c.as)
		}
		wantOpError(t, e.err, c.network, c.address, nil)
	}
}

func TestDialOptions(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		ln := r.serve("tcp4", echo)
		boom := errors.New("boom")
		fail := &channel.Handler{Connect: func(*channel.Conn) { t.Error("Connect") }}

		var local net.Addr
		calls := 0
		d := channel.Dialer{
			LocalAddr: "127.0.0.1:0",
			Nagle:     true,
			KeepAlive: -1,
			Control: func(network, address string, raw syscall.RawConn) error {
				calls++
				if network != "tcp" || address != ln.String() {
					t.Errorf("Control(%q, %q)", network, address)
				}
				return raw.Control(func(fd uintptr) {
					for _, o := range [][2]int{{unix.IPPROTO_TCP, unix.TCP_NODELAY}, {unix.SOL_SOCKET, unix.SO_KEEPALIVE}} {
						if v, err := unix.GetsockoptInt(int(fd), o[0], o[1]); v != 0 || err != nil {
							t.Errorf("option %v = %d, %v", o, v, err)
						}
					}
				})
			},
		}
		r.do(func() {
			r.dial(d, "tcp", ln.String(), &channel.Handler{Connect: func(c *channel.Conn) {
				local = c.LocalAddr()
				r.close(c)
			}})
		})
		for range 2 {
			r.wantEnd(nil)
		}
		if a, ok := local.(*net.TCPAddr); !ok || a.IP.String() != "127.0.0.1" || a.Port == 0 || calls != 1 {
			t.Errorf("LocalAddr %v, %d calls of Control", local, calls)
		}

		r.do(func() {
			r.dial(channel.Dialer{Control: func(string, string, syscall.RawConn) error { return boom }}, "tcp", ln.String(), fail)
		})
		wantOpError(t, r.end().err, "tcp", ln.String(), boom)
		r.do(func() { r.dial(channel.Dialer{LocalAddr: "192.0.2.1:0"}, "tcp", ln.String(), fail) })
		wantOpError(t, r.end().err, "tcp", ln.String(), syscall.EADDRNOTAVAIL)
		r.do(func() { r.dial(channel.Dialer{LocalAddr: "[::1]:0"}, "tcp", ln.String(), fail) })
		wantOpError(t, r.end().err, "tcp", ln.String(), syscall.EAFNOSUPPORT)
		var bad *net.AddrError
		r.do(func() { r.dial(channel.Dialer{LocalAddr: "nonsense"}, "tcp", ln.String(), fail) })
		if e := r.end(); !errors.As(e.err, &bad) {
			t.Errorf("Close(%v), want a *net.AddrError", e.err)
		}

		// A Unix client may have a name, too.
		path, mine := address(t, "unix"), address(t, "unix")
		seen := make(chan net.Addr, 1)
		r.listen(channel.ListenConfig{}, "unix", path, func(c *channel.Conn) *channel.Handler {
			seen <- c.RemoteAddr()
			return echo
		})
		r.do(func() { r.dial(channel.Dialer{LocalAddr: mine}, "unix", path, echo) })
		if got := receive(t, seen, "nothing accepted"); got.String() != mine {
			t.Errorf("the server sees %v, want %v", got, mine)
		}
	})
}

// Keep-alive times beyond what the kernel takes are cut to that.
func TestKeepAliveLimit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the limit is Linux's")
	}
	r := newRig(t, loop.Config{})
	ln := r.serve("tcp4", echo)
	for _, d := range []time.Duration{32768 * time.Second, math.MaxInt64} {
		r.do(func() {
			c := r.dial(channel.Dialer{KeepAlive: d}, "tcp", ln.String(), &channel.Handler{})
			raw, err := c.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			raw.Control(func(fd uintptr) {
				for _, o := range []int{4, 5} { // TCP_KEEPIDLE, TCP_KEEPINTVL
					if got, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, o); got != 32767 || err != nil {
						t.Errorf("KeepAlive %v: option %d is %d s, %v", d, o, got, err)
					}
				}
			})
		})
	}
}

// What a dial was for is known also when it has failed.
func TestFailedDialHasNames(t *testing.T) {
	r := newRig(t, loop.Config{})
	path := address(t, "unix")
	for i, c := range []struct{ network, address, text string }{
		{"tcp", "nonsense", "tcp"},
		{"tcp4", "127.0.0.1:http", "tcp4"},
		{"unix", path, "unix " + path},
	} {
		r.do(func() { r.dial(channel.Dialer{}, c.network, c.address, &channel.Handler{}) })
		e := r.end()
		r.do(func() {
			if want := fmt.Sprintf("conn %d %s", i+1, c.text); e.c.String() != want {
				t.Errorf("String = %q, want %q", e.c, want)
			}
			_, err := e.c.WriteString("x")
			var op *net.OpError
			if !errors.As(err, &op) || op.Net != c.network || !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write: %#v, want net.ErrClosed for %s", err, c.network)
			}
		})
	}
}

// On a closed loop nothing is called: the Conn is closed as it is returned.
func TestDialOnClosedLoop(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		r.stop()
		r.l.Close()
		c := channel.Dial(r.l, "tcp", "127.0.0.1:1", &channel.Handler{
			Connect: func(*channel.Conn) { t.Error("Connect") },
			Close:   func(*channel.Conn, error) { t.Error("Close") },
		})
		_, err := c.WriteString("x")
		var op *net.OpError
		if !errors.As(err, &op) || op.Net != "tcp" || !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write: %v, want net.ErrClosed for tcp", err)
		}
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Close: %v", err)
		}
		c.Abort()
		for c := range channel.Conns(r.l) {
			t.Errorf("%v is in Conns", c)
		}
		if err := r.l.Poll(0); !errors.Is(err, loop.ErrClosed) {
			t.Errorf("Poll: %v", err)
		}
	})
}

// "localhost" is ::1 and 127.0.0.1, and needs no lookup.
func TestDialLocalhost(t *testing.T) {
	needIPv6(t)
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, network := range []string{"tcp4", "tcp6"} {
			ln := r.serve(network, echo).(*net.TCPAddr)
			address := fmt.Sprintf("localhost:%d", ln.Port)
			var conn *channel.Conn
			connects := 0
			r.do(func() {
				conn = r.dial(channel.Dialer{Lookup: noLookup(t)}, "tcp", address, &channel.Handler{
					Connect: func(c *channel.Conn) { connects++ },
					Read:    func(c *channel.Conn, p []byte) { r.close(c) },
				})
				conn.WriteString("hello") // survives the first, refused attempt
			})
			r.wantEnd(nil)
			r.wantEnd(nil)
			if connects != 1 || conn.RemoteAddr().String() != ln.String() {
				t.Errorf("%d Connects, to %v, want %v", connects, conn.RemoteAddr(), ln)
			}
		}
		free, err := net.Listen("tcp6", "[::1]:0")
		if err != nil {
			t.Fatal(err)
		}
		port := free.Addr().(*net.TCPAddr).Port
		free.Close()
		r.do(func() {
			r.dial(channel.Dialer{}, "tcp", fmt.Sprintf("localhost:%d", port), &channel.Handler{})
		})
		err = r.end().err
		wantOpError(t, err, "tcp", fmt.Sprintf("localhost:%d", port), syscall.ECONNREFUSED)
		want := fmt.Sprintf("dial tcp localhost:%[1]d: [::1]:%[1]d: connect: connection refused; 127.0.0.1:%[1]d: connect: connection refused", port)
		if err.Error() != want {
			t.Errorf("got  %v\nwant %v", err, want)
		}
	})
}

// noLookup is a Dialer.Lookup that must not be called.
func noLookup(t testing.TB) func(context.Context, string, string) ([]netip.Addr, error) {
	return func(_ context.Context, network, host string) ([]netip.Addr, error) {
		t.Errorf("looked up: %s %q", network, host)
		return nil, nil
	}
}

// blackhole is a TCP address where nobody answers: the backlog of its listener
// is full.
func blackhole(t testing.TB) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", swallow(t, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
}

// swallow makes a blackhole of an address, and returns the port.
func swallow(t testing.TB, at unix.Sockaddr) (port int) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux is known to drop what a full backlog cannot take")
	}
	family := unix.AF_INET
	if _, ok := at.(*unix.SockaddrInet6); ok {
		family = unix.AF_INET6
	}
	socket := func() int {
		fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		return fd
	}
	fd := socket()
	if err := unix.Bind(fd, at); err != nil {
		t.Skip("cannot listen at this address: ", err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		c := socket()
		unix.SetNonblock(c, true)
		if err := unix.Connect(c, sa); err != nil && err != unix.EINPROGRESS {
			t.Fatal(err)
		}
	}
	if sa6, ok := sa.(*unix.SockaddrInet6); ok {
		return sa6.Port
	}
	return sa.(*unix.SockaddrInet4).Port
}

func TestDialTimeout(t *testing.T) {
	hole := blackhole(t)
	eachBackend(t, func(t *testing.T, r *rig) {
		began := time.Now()
		r.do(func() {
			r.dial(channel.Dialer{Timeout: 20 * time.Millisecond}, "tcp", hole, &channel.Handler{
				Connect: func(*channel.Conn) { t.Error("Connect") },
			})
		})
		e := r.end()
		if took := time.Since(began); took < 20*time.Millisecond {
			t.Errorf("timed out after %v", took)
		}
		wantOpError(t, e.err, "tcp", hole, os.ErrDeadlineExceeded)
		var ne net.Error
		if !errors.As(e.err, &ne) || !ne.Timeout() {
			t.Errorf("%v is no timeout", e.err)
		}
	})
}

// The longest timeout is no overflow.
func TestDialTimeoutForEver(t *testing.T) {
	hole := blackhole(t)
	k := newClock(t, "")
	d := channel.Dialer{Timeout: math.MaxInt64}
	d.Dial(k.l, "tcp", hole, k.handler())
	k.pass(10 * time.Hour)
	k.alive("connecting")
}

func TestDialTimeoutDefault(t *testing.T) {
	hole := blackhole(t)
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) {
			for timeout, want := range map[time.Duration]time.Duration{0: 10 * time.Second, time.Hour: time.Hour, -1: 0} {
				k := newClock(t, name)
				c := (&channel.Dialer{Timeout: timeout}).Dial(k.l, "tcp", hole, k.handler())
				c.SetIdleTimeout(time.Second) // counts from Connect
				c.WriteString("waits")        // and so does the write timeout
				if want == 0 {
					k.pass(1000 * time.Hour)
					k.alive("without a timeout")
					continue
				}
				k.pass(0)
				k.pass(want - time.Nanosecond)
				k.alive("just before")
				k.pass(time.Nanosecond)
				k.dead("dialling", os.ErrDeadlineExceeded)
			}
		})
	}
}

// A Unix listener whose backlog is full gives nothing to poll for: the dial
// tries again until there is room or the time is over.
func TestDialUnixBacklogFull(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere such a connect is refused")
	}
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) {
			s := systest.New(time.Hour)
			v, err := core.On(loop.Config{Poller: name}, s)
			if err != nil {
				t.Fatal(err)
			}
			l := v.(*loop.Loop)
			defer l.Close()
			path := address(t, "unix")
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
				t.Fatal(err)
			}
			if err := unix.Listen(fd, 0); err != nil {
				t.Fatal(err)
			}
			connects := 0
			var ended []error
			h := &channel.Handler{
				Connect: func(*channel.Conn) { connects++ },
				Close:   func(_ *channel.Conn, err error) { ended = append(ended, err) },
			}
			for range 4 {
				channel.Dial(l, "unix", path, h)
			}
			before := s.Now()
			for s.Now() < before+int64(5*time.Second) {
				l.Poll(time.Second)
			}
			had := connects
			if had == 0 || had == 4 || len(ended) > 0 {
				t.Fatalf("%d connected, ended %v", had, ended)
			}
			if turns := l.Stats().Turns; turns > 200 {
				t.Errorf("%d turns in 5 s", turns)
			}
			nfd, _, err := unix.Accept(fd)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(nfd)
			for s.Now() < before+int64(8*time.Second) {
				l.Poll(time.Second)
			}
			if connects != had+1 {
				t.Errorf("%d connected, want one more than %d", connects, had)
			}
			for s.Now() < before+int64(11*time.Second) {
				l.Poll(time.Second)
			}
			if len(ended) != 4-connects {
				t.Fatalf("ended %v", ended)
			}
			for _, err := range ended {
				wantOpError(t, err, "unix", path, os.ErrDeadlineExceeded)
			}
		})
	}
}

// A dial in a callback, and one from Close to try again.
func TestRedial(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		path := address(t, "unix")
		tries := 0
		var again func()
		again = func() {
			tries++
			if tries == 5 {
				if _, err := channel.Listen(r.l, "unix", path, accept(echo)); err != nil {
					t.Error(err)
				}
			}
			r.dial(channel.Dialer{}, "unix", path, &channel.Handler{
				Connect: func(c *channel.Conn) { c.WriteString("at last") },
				Read:    func(c *channel.Conn, p []byte) { r.close(c) },
				Close: func(c *channel.Conn, err error) {
					if err != nil {
						again()
					}
				},
			})
		}
		r.do(again)
		for range 4 {
			r.wantEnd(syscall.ENOENT)
		}
		r.wantEnd(nil)
	})
}
