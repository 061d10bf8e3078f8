//go:build unix

package channel_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// serve listens with a handler of its own for each Conn; the records are
// in the order of arrival.
func (w *faultWorld) serve(lc *channel.ListenConfig, h channel.Handler) (*channel.Listener, *[]*faultRec) {
	var recs []*faultRec
	ln := w.listen("tcp", "127.0.0.1:0", lc, func() *channel.Handler {
		r := w.rec("accepted")
		recs = append(recs, r)
		return r.handler(h)
	})
	return ln, &recs
}

func (w *faultWorld) waitAccepted(recs *[]*faultRec, n int) {
	w.t.Helper()
	w.until("the accepted Conns", func() bool { return len(*recs) >= n })
}

// pass lets time go by on a manual clock.
func (w *faultWorld) pass(d time.Duration) {
	w.t.Helper()
	for start := w.l.Now(); w.l.Now() < start+d; {
		w.turn(w.step)
	}
}

func TestFaultAccept(t *testing.T) {
	faultEach(t, "7 EAGAIN on accept", func(t *testing.T, w *faultWorld) {
		w.f.Fail(faultsys.Accept, syscall.EAGAIN, faultsys.Times(2))
		ln, recs := w.serve(&channel.ListenConfig{}, channel.Handler{})
		w.peer(ln.Addr())
		w.waitAccepted(recs, 1)
		if len(w.log.lines) > 0 {
			t.Errorf("logged %q", w.log.lines)
		}
	})
	for id, errnos := range map[string][]syscall.Errno{
		"18": {syscall.EMFILE, syscall.ENFILE},
		"19": {syscall.ENOBUFS, syscall.ENOMEM},
		"21": {syscall.EPERM}, // a security module's: the connection stays where it is
	} {
		for _, e := range errnos {
			faultEach(t, id+" "+faultErrno(e)+" on accept", func(t *testing.T, w *faultWorld) {
				w.manual()
				ln, recs := w.serve(&channel.ListenConfig{}, faultEcho())
				old := w.peer(ln.Addr())
				w.waitAccepted(recs, 1)
				w.settle()
				w.f.Fail(faultsys.Accept, e)
				w.peer(ln.Addr())
				before, turns := w.f.Count(faultsys.Accept), w.l.Stats().Turns
				w.pass(10 * time.Second)
				// At 0, 0.1, 0.3, 0.7, 1.5, 2.5, … 9.5 s.
				if n := w.f.Count(faultsys.Accept) - before; n < 12 || n > 14 {
					t.Errorf("%d tries in 10 s", n)
				}
				if n := w.l.Stats().Turns - turns; n > 50 {
					t.Errorf("%d turns in 10 s", n)
				}
				w.exchange(old, []byte("still here"))
				if n := w.log.count("accept paused"); n != 1 {
					t.Errorf("logged %d times: %q", n, w.log.lines)
				}
				w.f.Heal(faultsys.Accept)
				start := w.l.Now()
				w.waitAccepted(recs, 2)
				if took := w.l.Now() - start; took > 2*time.Second {
					t.Errorf("resumed after %v of the clock", took)
				}
				// Another episode has its own line and starts over.
				w.settle()
				w.f.Fail(faultsys.Accept, e, faultsys.Times(1))
				w.peer(ln.Addr())
				start = w.l.Now()
				w.waitAccepted(recs, 3)
				if took := w.l.Now() - start; took != 100*time.Millisecond {
					t.Errorf("the second episode took %v", took)
				}
				if n := w.log.count("accept paused"); n != 2 {
					t.Errorf("logged %d times: %q", n, w.log.lines)
				}
			})
		}
	}
	faultEach(t, "18 EMFILE on accept, ended by a close", func(t *testing.T, w *faultWorld) {
		w.manual()
		ln, recs := w.serve(&channel.ListenConfig{}, channel.Handler{})
		w.peer(ln.Addr())
		w.waitAccepted(recs, 1)
		w.f.Fail(faultsys.Accept, syscall.EMFILE, faultsys.Times(1))
		w.peer(ln.Addr())
		w.until("the shortage", func() bool { return w.log.count("accept paused") == 1 })
		start := w.l.Now()
		(*recs)[0].c.Abort()
		w.waitAccepted(recs, 2)
		if took := w.l.Now() - start; took > 0 {
			t.Errorf("waited %v", took)
		}
	})
	faultEach(t, "18 EMFILE on accept, then a panic", func(t *testing.T, w *faultWorld) {
		w.panics = 1
		n := 0
		r := w.rec("second")
		ln := w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{}, func() *channel.Handler {
			if n++; n == 1 {
				panic("accept")
			}
			return r.handler(channel.Handler{})
		})
		w.f.Fail(faultsys.Accept, syscall.EMFILE, faultsys.Times(1))
		w.peer(ln.Addr())
		w.until("the panic", func() bool { return n == 1 })
		w.peer(ln.Addr())
		r.waitOpen()
	})
	faultEach(t, "18 room again under MaxConns, then a panic", func(t *testing.T, w *faultWorld) {
		w.panics = 1
		n := 0
		first, last := w.rec("first"), w.rec("last")
		ln := w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{MaxConns: 1}, func() *channel.Handler {
			switch n++; n {
			case 1:
				return first.handler(channel.Handler{})
			case 2:
				panic("accept")
			}
			return last.handler(channel.Handler{})
		})
		w.peer(ln.Addr())
		w.peer(ln.Addr())
		first.waitOpen()
		w.calm()
		first.c.Abort()
		w.until("the panic", func() bool { return n == 2 })
		w.peer(ln.Addr())
		last.waitOpen()
	})
	t.Run("20 a connection that is gone", func(t *testing.T) {
		for _, e := range []syscall.Errno{
			syscall.ECONNABORTED, syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
			syscall.EOPNOTSUPP, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ECONNRESET,
		} {
			faultOnce(t, faultErrno(e), func(t *testing.T, w *faultWorld) {
				w.manual()
				ln, recs := w.serve(&channel.ListenConfig{}, channel.Handler{})
				w.settle()
				w.f.Fail(faultsys.Accept, e)
				w.peer(ln.Addr())
				before := w.f.Count(faultsys.Accept)
				w.turn(0)
				if n := w.f.Count(faultsys.Accept) - before; n != 16 {
					t.Errorf("%d tries in a turn, want the budget of 16", n)
				}
				w.f.Heal(faultsys.Accept)
				start := w.l.Now()
				w.waitAccepted(recs, 1)
				if w.l.Now() != start || len(w.log.lines) > 0 {
					t.Errorf("waited %v, logged %q", w.l.Now()-start, w.log.lines)
				}
			})
		}
	})
	faultEach(t, "22 EINVAL on accept", func(t *testing.T, w *faultWorld) {
		w.faultListenerDies(syscall.EINVAL, func(*channel.Listener) { w.f.Fail(faultsys.Accept, syscall.EINVAL) })
	})
	faultEach(t, "22 EBADF on accept", func(t *testing.T, w *faultWorld) {
		w.faultListenerDies(syscall.EBADF, func(ln *channel.Listener) {
			raw, _ := ln.SyscallConn()
			raw.Control(func(fd uintptr) {
				w.f.Steal(int(fd))
				w.report(w.f.Token(int(fd)), faultFault) // epoll itself would say nothing
			})
		})
	})
	faultEach(t, "23 setsockopt fails after accept", func(t *testing.T, w *faultWorld) {
		ln, recs := w.serve(&channel.ListenConfig{}, faultEcho())
		w.f.Fail(faultsys.SetOption, syscall.EINVAL)
		p := w.peer(ln.Addr())
		w.waitAccepted(recs, 1)
		w.exchange(p, []byte("all the same"))
	})
	t.Run("24 descriptor above select's limit", func(t *testing.T) {
		w := faultLoop(t, loop.Config{Poller: "select"})
		w.manual()
		ln, recs := w.serve(&channel.ListenConfig{}, faultEcho())
		old := w.peer(ln.Addr())
		w.waitAccepted(recs, 1)
		first := w.peer(ln.Addr())
		var many []int
		free := func() {
			for _, fd := range many {
				unix.Close(fd)
			}
			many = nil
		}
		defer free()
		for {
			fd, err := unix.Dup(old.fd)
			if err != nil {
				t.Skipf("no room for so many descriptors: %v", err)
			}
			many = append(many, fd)
			if fd >= unix.FD_SETSIZE {
				break
			}
		}
		w.waitAccepted(recs, 2)
		r := (*recs)[1]
		w.until("its Close", r.isClosed)
		if e, ok := errors.AsType[*asyncore.FDLimitError](r.err); !ok || e.Limit != unix.FD_SETSIZE {
			t.Errorf("closed with %v", r.err)
		}
		w.exchange(old, []byte("still here"))
		if n := w.log.count("accept paused"); n != 1 {
			t.Errorf("logged %d times: %q", n, w.log.lines)
		}
		failed := w.dial("tcp", ln.Addr().String(), channel.Dialer{}, channel.Handler{})
		w.until("the dial's Close", failed.isClosed)
		if _, ok := errors.AsType[*asyncore.FDLimitError](failed.err); !ok {
			t.Errorf("dial: closed with %v", failed.err)
		}
		free()
		first.close()
		last := w.peer(ln.Addr())
		w.exchange(last, []byte("again"))
	})
	faultOnce(t, "51 the peer has gone before accept", func(t *testing.T, w *faultWorld) {
		ln, recs := w.serve(&channel.ListenConfig{}, channel.Handler{Connect: func(c *channel.Conn) {
			if c.RemoteAddr() == nil {
				t.Error("no RemoteAddr")
			}
			c.LocalAddr()
		}})
		w.f.Fail(faultsys.LocalAddr, syscall.EINVAL)
		p := w.peer(ln.Addr())
		p.send([]byte("gone"))
		p.reset()
		w.waitAccepted(recs, 1)
		w.until("its Close", (*recs)[0].isClosed)
		if r := (*recs)[0]; string(r.got) != "gone" || !errors.Is(r.err, syscall.ECONNRESET) {
			t.Errorf("got %q, closed with %v", r.got, r.err)
		}
	})
	faultEach(t, "56 the listener is closed in accept", func(t *testing.T, w *faultWorld) {
		var ln *channel.Listener
		r := w.rec("accepted")
		ln = w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{}, func() *channel.Handler {
			ln.Close()
			return r.handler(faultEcho())
		})
		p := w.peer(ln.Addr())
		w.peer(ln.Addr())
		w.peer(ln.Addr())
		r.waitOpen()
		w.exchange(p, []byte("I live on"))
	})
	faultEach(t, "76 accept panics, refuses", func(t *testing.T, w *faultWorld) {
		w.panics = 1
		n := 0
		r := w.rec("third")
		ln := w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{}, func() *channel.Handler {
			switch n++; n {
			case 1:
				panic("accept")
			case 2:
				return nil
			}
			return r.handler(faultEcho())
		})
		a, b, c := w.peer(ln.Addr()), w.peer(ln.Addr()), w.peer(ln.Addr())
		w.wants(a, nil, true)
		w.wants(b, nil, true)
		w.exchange(c, []byte("hello"))
	})
}

// faultListenerDies checks that a listener ends once, and nobody else.
func (w *faultWorld) faultListenerDies(want syscall.Errno, how func(*channel.Listener)) {
	w.t.Helper()
	var reasons []error
	ln, recs := w.serve(&channel.ListenConfig{Closed: func(_ *channel.Listener, err error) {
		reasons = append(reasons, err)
	}}, faultEcho())
	p := w.peer(ln.Addr())
	w.waitAccepted(recs, 1)
	w.settle()
	w.peer(ln.Addr())
	how(ln)
	w.until("Closed", func() bool { return len(reasons) > 0 })
	if len(reasons) != 1 || !errors.Is(reasons[0], want) {
		w.t.Errorf("closed with %v", reasons)
	}
	if ln.Close() != net.ErrClosed {
		w.t.Error("Close of a closed listener")
	}
	if w.log.count("listener failed") != 1 {
		w.t.Errorf("logged %q", w.log.lines)
	}
	w.exchange(p, []byte("still here"))
}

func TestFaultListen(t *testing.T) {
	for _, c := range []struct {
		call  faultsys.Call
		errno syscall.Errno
	}{
		{faultsys.Socket, syscall.EAFNOSUPPORT}, {faultsys.Socket, syscall.EMFILE},
		{faultsys.SetOption, syscall.EINVAL},
		{faultsys.Bind, syscall.EADDRINUSE}, {faultsys.Bind, syscall.EADDRNOTAVAIL}, {faultsys.Bind, syscall.EACCES},
		{faultsys.Listen, syscall.EADDRINUSE}, {faultsys.LocalAddr, syscall.ENOBUFS},
		{faultsys.Add, syscall.ENOSPC}, {faultsys.Add, syscall.ENOMEM},
	} {
		id := "28 "
		if c.call == faultsys.SetOption {
			id = "52 "
		}
		faultOnce(t, id+string(c.call)+" "+faultErrno(c.errno), func(t *testing.T, w *faultWorld) {
			w.f.Fail(c.call, c.errno)
			ln, err := channel.Listen(w.l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return nil })
			if ln != nil || !errors.Is(err, c.errno) {
				t.Errorf("Listen: %v, %v", ln, err)
			}
			if open := w.f.Open(); len(open) > 0 {
				t.Errorf("left open: %v", open)
			}
		})
	}
	for _, c := range []struct {
		call  faultsys.Call
		errno syscall.Errno
	}{{faultsys.Chmod, syscall.EPERM}, {faultsys.Listen, syscall.EOPNOTSUPP}, {faultsys.LocalAddr, syscall.ENOBUFS}, {faultsys.Add, syscall.ENOSPC}} {
		faultOnce(t, "31 nothing is left after a failure: "+string(c.call), func(t *testing.T, w *faultWorld) {
			path := filepath.Join(t.TempDir(), "s")
			w.f.Fail(c.call, c.errno)
			_, err := channel.Listen(w.l, "unix", path, func(*channel.Conn) *channel.Handler { return nil })
			if !errors.Is(err, c.errno) {
				t.Errorf("Listen: %v", err)
			}
			if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the path is still there: %v", err)
			}
		})
	}
	faultOnce(t, "28 a system without IPv6", func(t *testing.T, w *faultWorld) {
		w.f.Fail(faultsys.Socket, syscall.EAFNOSUPPORT, faultsys.Times(1))
		ln := w.listen("tcp", ":0", &channel.ListenConfig{}, func() *channel.Handler { return nil })
		if !ln.Addr().(*net.TCPAddr).IP.Equal(net.IPv4zero) {
			t.Errorf("listens on %v", ln.Addr())
		}
	})
	faultOnce(t, "28 ENAMETOOLONG", func(t *testing.T, w *faultWorld) {
		path := "/" + strings.Repeat("x", 200)
		if _, err := channel.Listen(w.l, "unix", path, func(*channel.Conn) *channel.Handler { return nil }); !errors.Is(err, syscall.ENAMETOOLONG) {
			t.Errorf("Listen: %v", err)
		}
		r := w.dial("unix", path, channel.Dialer{}, channel.Handler{})
		r.waitClosed(syscall.ENAMETOOLONG)
	})
	for _, e := range []syscall.Errno{syscall.ENOSPC, syscall.ENOMEM} {
		faultEach(t, "32 the poller has no room for a resuming listener: "+faultErrno(e), func(t *testing.T, w *faultWorld) {
			w.manual()
			ln, recs := w.serve(&channel.ListenConfig{}, channel.Handler{})
			w.f.Fail(faultsys.Accept, syscall.EMFILE, faultsys.Times(1))
			w.peer(ln.Addr())
			w.until("the shortage", func() bool { return w.log.count("accept paused") == 1 })
			w.f.Fail(faultsys.Add, e, faultsys.Times(2))
			w.pass(5 * time.Second)
			w.peer(ln.Addr())
			w.waitAccepted(recs, 2)
		})
		faultEach(t, "32 the poller has no room for a listener for long: "+faultErrno(e), func(t *testing.T, w *faultWorld) {
			w.manual()
			ln, recs := w.serve(&channel.ListenConfig{}, faultEcho())
			w.f.Fail(faultsys.Accept, syscall.EMFILE, faultsys.Times(1))
			w.peer(ln.Addr())
			w.until("the shortage", func() bool { return w.log.count("accept paused") == 1 })
			w.f.Fail(faultsys.Add, e)
			w.waitAccepted(recs, 1) // so that shortage is over, and another one begins
			before, turns := w.f.Count(faultsys.Add), w.l.Stats().Turns
			w.pass(10 * time.Second)
			// After 0.1, 0.3, 0.7, 1.5, 2.5, … 9.5 s.
			if n := w.f.Count(faultsys.Add) - before; n < 11 || n > 14 {
				t.Errorf("%d tries in 10 s", n)
			}
			if n := w.l.Stats().Turns - turns; n > 50 {
				t.Errorf("%d turns in 10 s", n)
			}
			if n := w.log.count("accept paused"); n != 2 {
				t.Errorf("logged %d times, want once for each shortage: %q", n, w.log.lines)
			}
			w.f.Heal(faultsys.Add)
			w.exchange(w.peer(ln.Addr()), []byte("at last"))
		})
	}
	for _, network := range []string{"tcp", "unix"} {
		faultOnce(t, "61 panic in a listener's Control, "+network, func(t *testing.T, w *faultWorld) {
			lc := channel.ListenConfig{Control: func(string, string, syscall.RawConn) error { panic("control") }}
			path := address(t, network)
			wantPanic(t, "Listen", "control", func() {
				lc.Listen(w.l, network, path, func(*channel.Conn) *channel.Handler { return nil })
			})
			if open := w.f.Open(); len(open) > 0 {
				t.Errorf("left open: %v", open)
			}
			if err := w.run(); err != nil { // nothing is left that would keep it
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestFaultDial(t *testing.T) {
	faultEach(t, "3 EINTR on connect", func(t *testing.T, w *faultWorld) {
		server, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
		w.f.Fail(faultsys.Connect, syscall.EINTR, faultsys.Times(1))
		r := w.dial("tcp", addr.String(), channel.Dialer{}, faultEcho())
		r.waitOpen()
		w.exchange(server.accept(), []byte("hello"))
	})
	faultEach(t, "25 refused", func(t *testing.T, w *faultWorld) {
		r := w.dial("tcp", faultNobody(t), channel.Dialer{}, channel.Handler{})
		r.waitClosed(syscall.ECONNREFUSED)
		if len(r.events) != 1 {
			t.Errorf("callbacks %v", r.events)
		}
	})
	faultEach(t, "25 SO_ERROR", func(t *testing.T, w *faultWorld) {
		_, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
		w.f.Fail(faultsys.SockError, syscall.EHOSTUNREACH)
		r := w.dial("tcp", addr.String(), channel.Dialer{}, channel.Handler{})
		r.waitClosed(syscall.EHOSTUNREACH)
	})
	faultEach(t, "26 immediate success and refusal", func(t *testing.T, w *faultWorld) {
		path := filepath.Join(t.TempDir(), "s")
		server, addr := faultServer(t, &net.UnixAddr{Name: path, Net: "unix"}, 5)
		r := w.dial("unix", addr.String(), channel.Dialer{}, faultEcho())
		r.waitOpen()
		w.exchange(server.accept(), []byte("hello"))
		server.close()
		w.dial("unix", addr.String(), channel.Dialer{}, channel.Handler{}).waitClosed(syscall.ECONNREFUSED)
		w.f.Fail(faultsys.Connect, syscall.ECONNREFUSED)
		w.dial("tcp", "127.0.0.1:1", channel.Dialer{}, channel.Handler{}).waitClosed(syscall.ECONNREFUSED)
		w.dial("tcp", "no address", channel.Dialer{}, channel.Handler{}).waitClosed(faultAny)
	})
	faultEach(t, "28 no port is free", func(t *testing.T, w *faultWorld) {
		w.f.Fail(faultsys.Connect, syscall.EAGAIN)
		w.dial("tcp", "127.0.0.1:1", channel.Dialer{}, channel.Handler{}).waitClosed(syscall.EADDRNOTAVAIL)
		if c, err := channel.DialPacket(w.l, "udp", "127.0.0.1:1", &channel.PacketHandler{}); c != nil || !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("DialPacket: %v, %v", c, err)
		}
	})
	faultEach(t, "27 a Unix listener's queue is full", func(t *testing.T, w *faultWorld) {
		path := filepath.Join(t.TempDir(), "s")
		server, addr := faultServer(t, &net.UnixAddr{Name: path, Net: "unix"}, 0)
		faultFill(t, addr)
		adds := w.f.Count(faultsys.Add)
		r := w.dial("unix", path, channel.Dialer{}, faultEcho())
		w.until("some tries", func() bool { return w.f.Count(faultsys.Connect) >= 3 })
		if w.f.Count(faultsys.Add) != adds {
			t.Error("the poller has a socket that has nothing to tell")
		}
		unix.SetNonblock(server.fd, true)
		w.until("the connection", func() bool {
			if fd, _, err := unix.Accept(server.fd); err == nil {
				t.Cleanup(func() { unix.Close(fd) })
			}
			return r.isOpen()
		})
		w.calm()
	})
	faultOnce(t, "27 a Unix listener's queue stays full", func(t *testing.T, w *faultWorld) {
		w.manual()
		w.f.Fail(faultsys.Connect, syscall.EAGAIN)
		start := w.l.Now()
		r := w.dial("unix", "/nowhere", channel.Dialer{}, channel.Handler{})
		r.waitClosed(os.ErrDeadlineExceeded)
		if took := w.l.Now() - start; took < 10*time.Second {
			t.Errorf("gave up after %v", took)
		}
		if n := w.f.Count(faultsys.Connect); n > 30 {
			t.Errorf("%d tries in 10 s", n)
		}
	})
	for _, c := range []struct {
		call  faultsys.Call
		errno syscall.Errno
	}{
		{faultsys.Socket, syscall.EAFNOSUPPORT}, {faultsys.Socket, syscall.EMFILE}, {faultsys.Bind, syscall.EADDRINUSE},
		{faultsys.Bind, syscall.EACCES}, {faultsys.Connect, syscall.EADDRNOTAVAIL},
		{faultsys.Connect, syscall.ENETUNREACH}, {faultsys.PeerAddr, syscall.EINVAL}, {faultsys.Add, syscall.ENOSPC},
	} {
		faultOnce(t, "28 "+string(c.call)+" "+faultErrno(c.errno), func(t *testing.T, w *faultWorld) {
			_, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
			w.f.Fail(c.call, c.errno)
			r := w.dial("tcp", addr.String(), channel.Dialer{LocalAddr: "127.0.0.1:0"}, channel.Handler{})
			r.waitClosed(c.errno)
			if _, ok := errors.AsType[*net.OpError](r.err); !ok {
				t.Errorf("closed with %#v, want a *net.OpError", r.err)
			}
			if open := w.f.Open(); len(open) > 0 {
				t.Errorf("left open: %v", open)
			}
		})
	}
	faultOnce(t, "28 ENOENT", func(t *testing.T, w *faultWorld) {
		r := w.dial("unix", filepath.Join(t.TempDir(), "none"), channel.Dialer{}, channel.Handler{})
		r.waitClosed(syscall.ENOENT)
	})
	faultEach(t, "28 the next address is tried", func(t *testing.T, w *faultWorld) {
		_, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
		w.f.Fail(faultsys.SockError, syscall.ETIMEDOUT)
		_, port, _ := net.SplitHostPort(addr.String())
		r := w.dial("tcp", "localhost:"+port, channel.Dialer{}, channel.Handler{})
		r.waitClosed(syscall.ETIMEDOUT)
		if n := w.f.Count(faultsys.Socket); n != 2 {
			t.Errorf("%d sockets were made", n)
		}
	})
	faultEach(t, "28 each address's failure is told", func(t *testing.T, w *faultWorld) {
		_, port, _ := net.SplitHostPort(faultNobody(t))
		w.f.Fail(faultsys.Socket, syscall.EAFNOSUPPORT, faultsys.Times(1))
		r := w.dial("tcp", "localhost:"+port, channel.Dialer{}, channel.Handler{})
		r.waitClosed(syscall.ECONNREFUSED)
		want := fmt.Sprintf("dial tcp localhost:%[1]s: [::1]:%[1]s: socket: %[2]v; 127.0.0.1:%[1]s: connect: %[3]v",
			port, syscall.EAFNOSUPPORT, syscall.ECONNREFUSED)
		if !errors.Is(r.err, syscall.EAFNOSUPPORT) || r.err.Error() != want {
			t.Errorf("closed with %v, want %v", r.err, want)
		}
	})
	faultEach(t, "28 somebody closes an attempt's descriptor", func(t *testing.T, w *faultWorld) {
		_, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
		r := w.dial("tcp", addr.String(), channel.Dialer{}, channel.Handler{})
		w.f.Steal(r.fd())
		r.waitClosed(syscall.EBADF)
		w.calm()
	})
	faultEach(t, "50 reset before the dial is done", func(t *testing.T, w *faultWorld) {
		server, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
		r := w.dial("tcp", addr.String(), channel.Dialer{}, channel.Handler{})
		p := server.accept()
		p.send([]byte("banner"))
		p.reset()
		w.until("its Close", r.isClosed)
		if want := []string{"connect", "read", "close"}; !slices.Equal(r.events, want) || string(r.got) != "banner" {
			t.Errorf("callbacks %v, got %q, want %v", r.events, r.got, want)
		}
		if !errors.Is(r.err, syscall.ECONNRESET) && !errors.Is(r.err, syscall.EPIPE) {
			t.Errorf("closed with %v", r.err)
		}
	})
	for at := 1; at <= 2; at++ {
		faultEach(t, fmt.Sprintf("61 panic in a dialer's Control, address %d", at), func(t *testing.T, w *faultWorld) {
			if at == 2 {
				needIPv6(t)
			}
			w.panics = 1
			_, port, _ := net.SplitHostPort(faultNobody(t))
			calls := 0
			d := channel.Dialer{Timeout: -1, Control: func(string, string, syscall.RawConn) error {
				if calls++; calls == at {
					panic("control")
				}
				return nil
			}}
			w.l.Post(func() { w.dial("tcp", "localhost:"+port, d, channel.Handler{}) })
			w.until("the registration's end", func() bool { return len(w.recs) == 1 && w.recs[0].isClosed() })
			if err := w.recs[0].err; !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed with %v", err)
			}
			if open := w.f.Open(); len(open) > 0 {
				t.Errorf("left open: %v", open)
			}
			if err := w.run(); err != nil { // nothing is left that would keep it
				t.Errorf("Run: %v", err)
			}
		})
	}
	faultEach(t, "29 self-connect", func(t *testing.T, w *faultWorld) {
		addr := faultNobody(t)
		r := w.dial("tcp", addr, channel.Dialer{LocalAddr: addr}, channel.Handler{})
		r.waitClosed(syscall.ECONNREFUSED)
		if len(r.events) != 1 {
			t.Errorf("callbacks %v", r.events)
		}
	})
	faultEach(t, "30 connect timeout", func(t *testing.T, w *faultWorld) {
		_, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 0)
		faultFill(t, addr)
		w.manual()
		start := w.l.Now()
		r := w.dial("tcp", addr.String(), channel.Dialer{}, channel.Handler{})
		w.turn(0)
		if r.isClosed() || r.isOpen() {
			t.Skip("this kernel takes more than its queue holds")
		}
		fd := w.f.Open()[0]
		token := w.f.Token(fd)
		r.waitClosed(os.ErrDeadlineExceeded)
		if took := w.l.Now() - start; took != 10*time.Second {
			t.Errorf("gave up after %v", took)
		}
		w.report(token, faultWritable|faultHangUp)
		w.turn(0)
		if w.l.Stats().StaleEvents != 1 {
			t.Error("the late event was not dropped")
		}
	})
	faultEach(t, "30 woken for nothing while connecting", func(t *testing.T, w *faultWorld) {
		_, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
		w.f.Fail(faultsys.PeerAddr, syscall.ENOTCONN, faultsys.Times(2))
		r := w.dial("tcp", addr.String(), channel.Dialer{}, channel.Handler{})
		r.waitOpen()
	})
	faultEach(t, "40 no registration before connect", func(t *testing.T, w *faultWorld) {
		adds := w.f.Count(faultsys.Add)
		r := w.dial("tcp", faultNobody(t), channel.Dialer{}, channel.Handler{})
		if w.f.Count(faultsys.Add) != adds {
			t.Error("registered inside Dial")
		}
		r.waitClosed(syscall.ECONNREFUSED)
	})
	faultOnce(t, "52 setsockopt fails", func(t *testing.T, w *faultWorld) {
		server, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
		w.f.Fail(faultsys.SetOption, syscall.EINVAL)
		r := w.dial("tcp", addr.String(), channel.Dialer{}, faultEcho())
		r.waitOpen()
		w.exchange(server.accept(), []byte("all the same"))
	})
	for _, how := range []string{"Close", "Abort"} {
		faultEach(t, "69 "+how+" while connecting", func(t *testing.T, w *faultWorld) {
			_, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
			r := w.dial("tcp", addr.String(), channel.Dialer{}, channel.Handler{})
			r.c.WriteString("never")
			if how == "Close" {
				r.c.Close()
			} else {
				r.c.Abort()
			}
			r.waitClosed(net.ErrClosed)
			if len(r.events) != 1 {
				t.Errorf("callbacks %v", r.events)
			}
			if at, ok := w.l.NextDeadline(); ok {
				t.Errorf("a timer is left, for %v", at)
			}
		})
	}
	faultOnce(t, "106 no descriptor for a dial, a listener, a file", func(t *testing.T, w *faultWorld) {
		_, p := w.accept(faultEcho())
		w.f.Fail(faultsys.Socket, syscall.EMFILE)
		w.f.Fail(faultsys.Dup, syscall.EMFILE)
		w.dial("tcp", "127.0.0.1:1", channel.Dialer{}, channel.Handler{}).waitClosed(syscall.EMFILE)
		if _, err := channel.Listen(w.l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return nil }); !errors.Is(err, syscall.EMFILE) {
			t.Errorf("Listen: %v", err)
		}
		if _, err := channel.Open(w.l, os.Stdin, &channel.Handler{}); !errors.Is(err, syscall.EMFILE) {
			t.Errorf("Open: %v", err)
		}
		w.exchange(p, []byte("still here"))
	})
}

// faultAny stands for any error.
var faultAny error = faultAnyError{}

type faultAnyError struct{}

func (faultAnyError) Error() string { return "any error" }

// faultNobody is an address where nobody listens.
func faultNobody(t *testing.T) string {
	server, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
	server.close()
	return addr.String()
}

// faultFill connects until a listener's queue is full.
func faultFill(t *testing.T, to net.Addr) {
	t.Helper()
	for range 300 {
		family, sa := faultSockaddr(to)
		fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		unix.SetNonblock(fd, true)
		switch err := unix.Connect(fd, sa); err {
		case nil:
		case unix.EAGAIN:
			return
		case unix.EINPROGRESS:
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
			if n, _ := unix.Poll(fds, 50); n == 0 {
				return // its SYN is not answered
			}
		default:
			t.Skipf("a full queue is answered with %v here", err)
		}
	}
	t.Skip("the queue does not fill up here")
}
