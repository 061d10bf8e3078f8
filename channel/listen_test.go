//go:build unix

package channel_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// accept is an accept function with one Handler for all.
func accept(h *channel.Handler) func(*channel.Conn) *channel.Handler {
	return func(*channel.Conn) *channel.Handler { return h }
}

func TestListenAddr(t *testing.T) {
	r := newRig(t, loop.Config{})
	for _, c := range []struct{ network, address, host string }{
		{"tcp", "127.0.0.1:0", "127.0.0.1"},
		{"tcp4", "localhost:0", "127.0.0.1"},
		{"tcp", "localhost:0", "127.0.0.1"},
		{"tcp6", "localhost:0", "::1"},
		{"tcp6", "[::1]:0", "::1"},
		{"tcp4", ":0", "0.0.0.0"},
		{"tcp", "[::ffff:127.0.0.1]:0", "127.0.0.1"},
	} {
		t.Run(c.network+" "+c.address, func(t *testing.T) {
			if c.network == "tcp6" {
				needIPv6(t)
			}
			ln := r.listen(channel.ListenConfig{}, c.network, c.address, accept(echo))
			a, ok := ln.Addr().(*net.TCPAddr)
			if !ok || a.IP.String() != c.host || a.Port == 0 {
				t.Fatalf("Addr = %T %v", ln.Addr(), ln.Addr())
			}
			if want := fmt.Sprintf("listener %s %v", c.network, a); ln.String() != want {
				t.Errorf("String = %q, want %q", ln, want)
			}
			nc := connect(t, a)
			send(t, nc, "hello")
			wantRead(t, nc, "hello")
			r.do(func() {
				raw, err := ln.SyscallConn()
				if err == nil {
					err = raw.Control(func(fd uintptr) {
						if on, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR); on == 0 || err != nil {
							t.Errorf("SO_REUSEADDR = %d, %v", on, err)
						}
					})
				}
				if err != nil {
					t.Error(err)
				}
				ln.Close()
				if err := raw.Control(func(uintptr) {}); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Control after Close: %v", err)
				}
			})
		})
	}
}

// The unspecified address serves both families, unless V6Only.
func TestListenDualStack(t *testing.T) {
	needIPv6(t)
	r := newRig(t, loop.Config{})
	reaches := func(ln *channel.Listener, host string) bool {
		nc, err := net.DialTimeout("tcp", net.JoinHostPort(host, fmt.Sprint(ln.Addr().(*net.TCPAddr).Port)), patience)
		if err != nil {
			return false
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		send(t, nc, "x")
		wantRead(t, nc, "x")
		return true
	}
	for _, c := range []struct {
		network, address string
		v6only, v4, v6   bool
	}{
		{"tcp", ":0", false, true, true},
		{"tcp", "[::]:0", false, true, true},
		{"tcp", "[::]:0", true, false, true},
		{"tcp6", ":0", false, false, true},
		{"tcp4", ":0", false, true, false},
		{"tcp", "0.0.0.0:0", false, true, false},
	} {
		if runtime.GOOS == "openbsd" && c.v4 && c.v6 {
			continue // it has no such sockets
		}
		var remote net.Addr
		ln := r.listen(channel.ListenConfig{V6Only: c.v6only}, c.network, c.address, func(c *channel.Conn) *channel.Handler {
			remote = c.RemoteAddr()
			return echo
		})
		if got := reaches(ln, "127.0.0.1"); got != c.v4 {
			t.Errorf("%v: serves IPv4: %v", c, got)
		}
		if c.v4 {
			r.do(func() {
				if ip := remote.(*net.TCPAddr).IP; ip.String() != "127.0.0.1" {
					t.Errorf("%v: client %v", c, ip)
				}
			})
		}
		if got := reaches(ln, "::1"); got != c.v6 {
			t.Errorf("%v: serves IPv6: %v", c, got)
		}
	}
}

func TestListenErrors(t *testing.T) {
	r := newRig(t, loop.Config{})
	taken := r.serve("tcp4", echo)
	var unknown net.UnknownNetworkError
	var bad *net.AddrError
	boom := errors.New("boom")
	for _, c := range []struct {
		network, address string
		lc               channel.ListenConfig
		accept           func(*channel.Conn) *channel.Handler
		is               error
		as               any
	}{
		{network: "udp", address: "127.0.0.1:0", as: &unknown},
		{network: "", address: "127.0.0.1:0", as: &unknown},
		{network: "tcp", address: "127.0.0.1", as: &bad},
		{network: "tcp", address: "127.0.0.1:http", as: &bad},
		{network: "tcp", address: "127.0.0.1:65536", as: &bad},
		{network: "tcp", address: "127.0.0.1:-1", as: &bad},
		{network: "tcp", address: "example.org:80", as: &bad},
		{network: "tcp4", address: "[::1]:0", as: &bad},
		{network: "tcp6", address: "127.0.0.1:0", as: &bad},
		{network: "unix", address: "", as: &bad},
		{network: "unix", address: "/" + strings.Repeat("x", 200), is: syscall.ENAMETOOLONG},
		{network: "unix", address: "/no such directory/s", is: syscall.ENOENT},
		{network: "tcp", address: taken.String(), is: syscall.EADDRINUSE},
		{network: "tcp", address: "192.0.2.1:0", is: syscall.EADDRNOTAVAIL},
		{network: "tcp", address: "127.0.0.1:0", is: boom, lc: channel.ListenConfig{
			Control: func(string, string, syscall.RawConn) error { return boom },
		}},
	} {
		t.Run(c.network+" "+c.address, func(t *testing.T) {
			c.lc.Closed = func(*channel.Listener, error) { t.Error("Closed was called") }
			var ln *channel.Listener
			var err error
			r.do(func() { ln, err = c.lc.Listen(r.l, c.network, c.address, accept(echo)) })
			var op *net.OpError
			if ln != nil || !errors.As(err, &op) || op.Op != "listen" || op.Net != c.network || op.Addr == nil || op.Addr.String() != c.address {
				t.Fatalf("Listen = %v, %v", ln, err)
			}
			if c.is != nil && !errors.Is(err, c.is) || c.as != nil && !errors.As(err, c.as) {
				t.Errorf("%v, want %v %T", err, c.is, c.as)
			}
		})
	}
	r.do(func() {
		if ln, err := channel.Listen(r.l, "tcp", "127.0.0.1:0", nil); ln != nil || err == nil || !strings.Contains(err.Error(), "accept function is nil") {
			t.Errorf("Listen without accept = %v, %v", ln, err)
		}
	})
}

// A nil Handler refuses, and nobody is told of the end.
func TestRefuse(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		calls := 0
		ln := r.listen(channel.ListenConfig{}, "unix", address(t, "unix"), func(c *channel.Conn) *channel.Handler {
			if calls++; calls == 2 {
				return echo
			}
			c.WriteString("never sent")
			c.SetHandler(&channel.Handler{Close: func(*channel.Conn, error) { t.Error("Close of a refused Conn") }})
			return nil
		})
		wantAll(t, connect(t, ln.Addr()), nil)
		nc := connect(t, ln.Addr())
		send(t, nc, "second")
		wantRead(t, nc, "second")
		wantAll(t, connect(t, ln.Addr()), nil)
		if len(r.closed) > 0 {
			t.Errorf("Close(%v)", (<-r.closed).err)
		}
	})
}

// The accept function may do with the Conn what any callback may.
func TestAcceptActs(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		listen := func(act func(*channel.Conn), h *channel.Handler) net.Conn {
			return connect(t, r.listen(channel.ListenConfig{}, "unix", address(t, "unix"), func(c *channel.Conn) *channel.Handler {
				act(c)
				return h
			}).Addr())
		}
		none := &channel.Handler{Connect: func(*channel.Conn) { t.Error("Connect after Close") }}
		wantAll(t, listen(func(c *channel.Conn) {
			c.WriteString("busy")
			r.close(c)
		}, none), []byte("busy"))
		r.wantEnd(nil)

		wantAll(t, listen(r.abort, none), nil)
		r.wantEnd(net.ErrClosed)

		var paused *channel.Conn
		nc := listen(func(c *channel.Conn) {
			paused = c
			c.Pause()
			c.WriteString("hello ")
		}, &channel.Handler{
			Connect: func(c *channel.Conn) { c.WriteString("from Connect ") },
			Read:    echo.Read,
		})
		send(t, nc, "input")
		wantRead(t, nc, "hello from Connect ")
		r.quiet()
		r.do(func() {
			if paused.BytesRead() != 0 {
				t.Error("read while paused")
			}
			paused.Resume()
		})
		wantRead(t, nc, "input")

		r.panics++
		nc = listen(func(*channel.Conn) { panic("boom") }, echo)
		wantAll(t, nc, nil)
		r.do(func() {}) // and the loop lives
	})
}

// Further connections wait in the backlog until one closes.
func TestMaxConns(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		open, most := 0, 0
		h := &channel.Handler{
			Connect: func(c *channel.Conn) {
				open++
				most = max(most, open)
				c.WriteString("welcome")
			},
			Close: func(*channel.Conn, error) { open-- },
		}
		ln := r.listen(channel.ListenConfig{MaxConns: 3}, "unix", address(t, "unix"), accept(h))
		var clients []net.Conn
		for range 8 {
			clients = append(clients, connect(t, ln.Addr()))
		}
		r.until("three are accepted", func() bool { return open == 3 })
		r.quiet()
		var turns uint64
		r.do(func() {
			turns = r.l.Stats().Turns
			if open != 3 {
				t.Errorf("%d are open", open)
			}
		})
		r.quiet()
		r.do(func() {
			if n := r.l.Stats().Turns - turns; n > 50 {
				t.Errorf("%d turns while full", n)
			}
		})
		for _, nc := range clients {
			wantRead(t, nc, "welcome")
			nc.Close()
		}
		r.until("all have left", func() bool { return open == 0 })
		if most != 3 {
			t.Errorf("%d were open at once", most)
		}
		nc := connect(t, ln.Addr())
		wantRead(t, nc, "welcome")
		r.do(func() { ln.Close() })
	})
}

func TestListenerClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var told []error
		lc := channel.ListenConfig{Closed: func(ln *channel.Listener, err error) {
			if r.depth != 0 {
				t.Error("Closed inside a call of the user's")
			}
			if ln.Addr() == nil {
				t.Error("no Addr in Closed")
			}
			told = append(told, err)
		}}
		var ln *channel.Listener
		accepted := 0
		ln = r.listen(lc, "tcp", "127.0.0.1:0", func(c *channel.Conn) *channel.Handler {
			if accepted++; accepted == 2 {
				if err := ln.Close(); err != nil {
					t.Error(err)
				}
			}
			return echo
		})
		a, b := connect(t, ln.Addr()), connect(t, ln.Addr())
		r.until("it is closed", func() bool { return len(told) == 1 })
		if nc, err := net.Dial("tcp", ln.Addr().String()); err == nil {
			nc.Close()
			t.Error("it still accepts")
		}
		for _, nc := range []net.Conn{a, b} { // those that were accepted live on
			send(t, nc, "hello")
			wantRead(t, nc, "hello")
		}
		r.do(func() {
			if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the second Close: %v", err)
			}
			ln = nil
		})
		r.quiet()
		r.do(func() {
			if !slices.Equal(told, []error{nil}) {
				t.Errorf("Closed was told %v, want nil once", told)
			}
		})
	})
}

// A server that has just ended can be started again on its port.
func TestListenAgain(t *testing.T) {
	r := newRig(t, loop.Config{})
	addr := "127.0.0.1:0"
	for range 3 {
		var conn *channel.Conn
		ln := r.listen(channel.ListenConfig{}, "tcp", addr, func(c *channel.Conn) *channel.Handler {
			conn = c
			return echo
		})
		addr = ln.Addr().String()
		nc := connect(t, ln.Addr())
		send(t, nc, "x")
		wantRead(t, nc, "x")
		r.do(func() {
			ln.Close()
			r.close(conn) // our end closes first: TIME_WAIT is ours
		})
		wantAll(t, nc, nil)
		nc.Close()
		r.wantEnd(nil)
	}
}

func TestReusePort(t *testing.T) {
	r := newRig(t, loop.Config{})
	lc := channel.ListenConfig{ReusePort: true}
	first := r.listen(lc, "tcp", "127.0.0.1:0", accept(echo))
	second := r.listen(lc, "tcp", first.Addr().String(), accept(echo))
	if first.Addr().String() != second.Addr().String() {
		t.Errorf("%v and %v", first, second)
	}
	r.do(func() {
		if _, err := channel.Listen(r.l, "tcp", first.Addr().String(), accept(echo)); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("without ReusePort: %v", err)
		}
	})
	nc := connect(t, first.Addr())
	send(t, nc, "x")
	wantRead(t, nc, "x")
}

func TestListenOptions(t *testing.T) {
	r := newRig(t, loop.Config{})
	for _, on := range []bool{true, false} {
		lc := channel.ListenConfig{}
		want := [3]int{1, 1, 15}
		if !on {
			lc.Nagle, lc.KeepAlive = true, -1
			want = [3]int{0, 0, 0}
		}
		calls := 0
		lc.Control = func(network, address string, raw syscall.RawConn) error {
			calls++
			if network != "tcp" || address != "127.0.0.1:0" {
				t.Errorf("Control(%q, %q)", network, address)
			}
			return raw.Control(func(fd uintptr) {
				if a, _ := unix.Getsockname(int(fd)); a == nil || a.(*unix.SockaddrInet4).Port != 0 {
					t.Errorf("Control comes after bind: %v", a)
				}
			})
		}
		var conn *channel.Conn
		ln := r.listen(lc, "tcp", "127.0.0.1:0", func(c *channel.Conn) *channel.Handler {
			conn = c
			return echo
		})
		nc := connect(t, ln.Addr())
		send(t, nc, "x")
		wantRead(t, nc, "x")
		r.do(func() {
			raw, _ := conn.SyscallConn()
			raw.Control(func(fd uintptr) {
				get := func(level, name int) int {
					v, err := unix.GetsockoptInt(int(fd), level, name)
					if err != nil {
						t.Error(err)
					}
					return v
				}
				got := [3]int{min(get(unix.IPPROTO_TCP, unix.TCP_NODELAY), 1), min(get(unix.SOL_SOCKET, unix.SO_KEEPALIVE), 1)}
				if runtime.GOOS == "linux" && on {
					got[2] = get(unix.IPPROTO_TCP, 4) // TCP_KEEPIDLE
				} else {
					got[2] = want[2]
				}
				if got != want {
					t.Errorf("TCP_NODELAY, SO_KEEPALIVE, TCP_KEEPIDLE = %v, want %v", got, want)
				}
			})
		})
		if calls != 1 {
			t.Errorf("Control was called %d times", calls)
		}
	}
}

func TestUnixPath(t *testing.T) {
	r := newRig(t, loop.Config{})
	mode := func(path string) os.FileMode {
		fi, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return fi.Mode()
	}
	exists := func(path string) bool {
		_, err := os.Lstat(path)
		return err == nil
	}
	listen := func(lc channel.ListenConfig, path string) (ln *channel.Listener, err error) {
		r.do(func() { ln, err = lc.Listen(r.l, "unix", path, accept(r.check(echo))) })
		return ln, err
	}
	must := func(lc channel.ListenConfig, path string) *channel.Listener {
		t.Helper()
		ln, err := listen(lc, path)
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	closeIt := func(ln *channel.Listener) { r.do(func() { ln.Close() }) }

	path := address(t, "unix")
	ln := must(channel.ListenConfig{}, path)
	if a, ok := ln.Addr().(*net.UnixAddr); !ok || a.Name != path || a.Net != "unix" {
		t.Errorf("Addr = %#v", ln.Addr())
	}
	if got := mode(path); got != os.ModeSocket|0o600 {
		t.Errorf("mode %v, want 0600", got)
	}

	// One that answers is not taken over, and stays.
	if ln, err := listen(channel.ListenConfig{}, path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("on a live path: %v, %v", ln, err)
	}
	nc := connect(t, ln.Addr())
	send(t, nc, "alive")
	wantRead(t, nc, "alive")
	closeIt(ln)
	if exists(path) {
		t.Error("the path is still there after Close")
	}

	ln = must(channel.ListenConfig{Mode: 0o666}, path)
	if got := mode(path); got != os.ModeSocket|0o666 {
		t.Errorf("mode %v, want 0666", got)
	}
	// A path that is somebody else's by now is left alone.
	os.Remove(path)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	closeIt(ln)
	if !exists(path) {
		t.Error("Close has removed another one's file")
	}

	// A file that is no socket is never removed.
	if _, err := listen(channel.ListenConfig{}, path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("on a regular file: %v", err)
	}
	if p, err := os.ReadFile(path); string(p) != "precious" {
		t.Errorf("the file: %q, %v", p, err)
	}
	os.Remove(path)
	if err := os.Symlink(filepath.Join(filepath.Dir(path), "nowhere"), path); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(channel.ListenConfig{}, path); err == nil || !exists(path) {
		t.Errorf("on a symbolic link: %v", err)
	}
	os.Remove(path)

	// A socket that a dead server has left is taken over.
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	ln = must(channel.ListenConfig{}, path)
	nc = connect(t, ln.Addr())
	send(t, nc, "taken over")
	wantRead(t, nc, "taken over")

	// Another server's new socket on our path is not ours to remove.
	os.Remove(path)
	other := must(channel.ListenConfig{}, path)
	closeIt(ln)
	if !exists(path) {
		t.Error("Close has removed another server's socket")
	}
	closeIt(other)
	if exists(path) {
		t.Error("the path is still there after Close")
	}

	// A failure later on leaves nothing behind.
	_, err = listen(channel.ListenConfig{Control: func(string, string, syscall.RawConn) error { return errors.New("no") }}, path)
	if err == nil || exists(path) {
		t.Errorf("Control failed: %v, path exists: %v", err, exists(path))
	}
}
