//go:build unix

package channel_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
)

// The ends that users hit: pausing a listener, resets, socket options, urgent
// bytes in the stream, peer credentials.

// A listener that its user has paused takes nobody and is not asked about, with
// whatever else would keep it from accepting, until the last reason is gone.
func TestListenerPause(t *testing.T) {
	faultEach(t, "waiting clients", func(t *testing.T, w *faultWorld) {
		ln, recs := w.serve(&channel.ListenConfig{}, channel.Handler{})
		ln.Pause()
		ln.Pause() // once is enough
		for range 3 {
			w.peer(ln.Addr())
		}
		w.calm()
		w.calm()
		if len(*recs) != 0 || w.f.Count(faultsys.Accept) != 0 {
			t.Errorf("%d accepted in %d calls while paused", len(*recs), w.f.Count(faultsys.Accept))
		}
		w.l.Post(ln.Resume)
		w.waitAccepted(recs, 3)
		ln.Resume() // changes nothing
		w.peer(ln.Addr())
		w.waitAccepted(recs, 4)
	})
	faultEach(t, "in accept", func(t *testing.T, w *faultWorld) {
		var ln *channel.Listener
		var recs []*faultRec
		ln = w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{}, func() *channel.Handler {
			ln.Pause()
			r := w.rec("accepted")
			recs = append(recs, r)
			return r.handler(channel.Handler{})
		})
		for range 3 {
			w.peer(ln.Addr())
		}
		for i := range 3 {
			w.waitAccepted(&recs, i+1)
			w.calm()
			if len(recs) != i+1 {
				t.Fatalf("%d accepted, want one for each Resume, %d", len(recs), i+1)
			}
			ln.Resume()
		}
	})
	faultEach(t, "in a callback of its Conn", func(t *testing.T, w *faultWorld) {
		var ln *channel.Listener
		ln, recs := w.serve(&channel.ListenConfig{}, channel.Handler{
			Read:  func(*channel.Conn, []byte) { ln.Pause() },
			Close: func(*channel.Conn, error) { ln.Resume() },
		})
		p := w.peer(ln.Addr())
		w.waitAccepted(recs, 1)
		p.send([]byte("x"))
		(*recs)[0].waitGot(1)
		w.peer(ln.Addr())
		w.calm()
		p.close()
		w.waitAccepted(recs, 2)
	})
	faultEach(t, "and as many as may be", func(t *testing.T, w *faultWorld) {
		ln, recs := w.serve(&channel.ListenConfig{MaxConns: 1}, channel.Handler{})
		var peers []*faultPeer
		for range 3 {
			peers = append(peers, w.peer(ln.Addr()))
		}
		w.waitAccepted(recs, 1)
		w.calm()
		ln.Pause()
		w.calm()
		peers[0].close() // makes room, but it is paused
		(*recs)[0].waitClosed(nil)
		w.calm()
		if len(*recs) != 1 {
			t.Fatal("accepted while paused")
		}
		ln.Resume()
		w.waitAccepted(recs, 2)
		ln.Pause()
		ln.Resume() // as many as may be still
		w.calm()
		if len(*recs) != 2 {
			t.Fatal("accepted above MaxConns")
		}
		peers[1].close()
		w.waitAccepted(recs, 3)
	})
	for _, resume := range []string{"before the rest is over", "after the rest", "by a closed descriptor"} {
		faultEach(t, "and starved, resumed "+resume, func(t *testing.T, w *faultWorld) {
			w.manual()
			w.step = 10 * time.Millisecond
			ln, recs := w.serve(&channel.ListenConfig{}, channel.Handler{})
			other, _ := w.accept(channel.Handler{})
			w.settle()
			w.f.Fail(faultsys.Accept, syscall.EMFILE, faultsys.Times(1))
			w.peer(ln.Addr())
			w.until("the shortage", func() bool { return len(w.log.lines) == 1 })
			ln.Pause()
			calls := w.f.Count(faultsys.Accept)
			switch resume {
			case "before the rest is over":
				ln.Resume()
				w.settle()
				if n := w.f.Count(faultsys.Accept) - calls; n > 0 {
					t.Errorf("%d more accepts while it rests", n)
				}
			case "after the rest":
				w.pass(time.Minute)
			case "by a closed descriptor":
				other.c.Abort()
				w.pass(time.Second / 100)
			}
			if n := w.f.Count(faultsys.Accept) - calls; n > 0 && resume != "before the rest is over" {
				t.Errorf("%d accepts while paused", n)
			}
			ln.Resume()
			w.waitAccepted(recs, 1)
			w.calm()
		})
	}
	faultEach(t, "closed", func(t *testing.T, w *faultWorld) {
		ln, _ := w.serve(&channel.ListenConfig{}, channel.Handler{})
		ln.Pause()
		ln.Close()
		ln.Pause()
		ln.Resume()
		w.calm()
	})
}

// The peer of a TCP connection gets an error for an end, whatever is under way.
func TestConnReset(t *testing.T) {
	h := channel.Handler{}
	for name, prepare := range map[string]func(w *faultWorld, r *faultRec, p *faultPeer){
		"idle": func(*faultWorld, *faultRec, *faultPeer) {},
		"with queued output": func(_ *faultWorld, r *faultRec, p *faultPeer) {
			r.c.SetWater(0, 1, -1)
			r.c.Write(make([]byte, 16<<20))
		},
		"with unread input": func(w *faultWorld, r *faultRec, p *faultPeer) {
			r.c.Pause()
			p.send([]byte("unread"))
			w.settle()
		},
		"half-closed": func(w *faultWorld, r *faultRec, p *faultPeer) {
			r.c.CloseWrite()
			w.wants(p, nil, true)
		},
		"lingering": func(w *faultWorld, r *faultRec, p *faultPeer) {
			r.c.Pause()
			p.send([]byte("unread"))
			w.settle()
			r.c.Close()
			w.wants(p, nil, true)
		},
	} {
		faultEach(t, name, func(t *testing.T, w *faultWorld) {
			r, p := w.accept(h)
			prepare(w, r, p)
			r.c.Reset()
			r.c.Reset()
			r.waitClosed(net.ErrClosed)
			var err error
			w.until("the reset", func() bool {
				if _, _, err = p.recv(); err == nil {
					_, err = unix.Write(p.fd, []byte("x")) // after an end there is only this to ask by
				}
				return err != nil
			})
			if err != unix.ECONNRESET && !(err == unix.EPIPE && (name == "lingering" || name == "half-closed")) {
				t.Errorf("the peer got %v", err)
			}
			r.c.Reset() // of a closed Conn
		})
	}
	faultEach(t, "while connecting", func(t *testing.T, w *faultWorld) {
		_, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 1)
		r := w.dial("tcp", addr.String(), channel.Dialer{}, h)
		r.c.Reset()
		r.waitClosed(net.ErrClosed)
		r = w.dial("tcp", "example.org", channel.Dialer{}, h) // has no socket
		r.c.Reset()
		w.until("its Close", r.isClosed)
	})
	faultEach(t, "files and Unix sockets", func(t *testing.T, w *faultWorld) {
		pr, pw, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer pr.Close()
		defer pw.Close()
		before := w.f.Count(faultsys.SetOption)
		c, err := channel.Open(w.l, pw, &channel.Handler{})
		if err != nil {
			t.Fatal(err)
		}
		c.Reset()
		w.settle()
		if n := w.f.Count(faultsys.SetOption) - before; n > 0 {
			t.Errorf("%d options set on a pipe", n)
		}
		path := address(t, "unix")
		_, addr := faultServer(t, &net.UnixAddr{Name: path, Net: "unix"}, 1)
		r := w.dial("unix", addr.String(), channel.Dialer{}, h)
		r.waitOpen()
		r.c.Reset()
		r.waitClosed(net.ErrClosed)
	})
}

// With SO_OOBINLINE the byte is one of the stream: it is read in its place, and
// nobody spins for it.
func TestUrgentInline(t *testing.T) {
	for name, set := range map[string]func(w *faultWorld, h channel.Handler) (*faultRec, *faultPeer){
		"Control": func(w *faultWorld, h channel.Handler) (*faultRec, *faultPeer) {
			server, addr := faultServer(w.t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 1)
			r := w.dial("tcp", addr.String(), channel.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
				return oobInline(raw)
			}}, h)
			r.waitOpen()
			return r, server.accept()
		},
		"SyscallConn": func(w *faultWorld, h channel.Handler) (*faultRec, *faultPeer) {
			r, p := w.accept(h)
			raw, err := r.c.SyscallConn()
			if err == nil {
				err = oobInline(raw)
			}
			if err != nil {
				w.t.Fatal(err)
			}
			return r, p
		},
	} {
		for _, wanted := range []bool{false, true} {
			faultEach(t, fmt.Sprintf("%s, wanted %v", name, wanted), func(t *testing.T, w *faultWorld) {
				h := channel.Handler{}
				if wanted {
					h.Urgent = func(*channel.Conn, byte) { t.Error("Urgent was called") }
				}
				r, p := set(w, h)
				p.send([]byte("before"))
				p.sendUrgent('!')
				p.send([]byte("after"))
				r.waitGot(12)
				w.calm()
				r.c.Pause()
				p.sendUrgent('?')
				w.calm()
				r.c.Resume()
				r.waitGot(13)
				w.calm()
				if got := string(r.got); got != "before!after?" {
					t.Errorf("read %q", got)
				}
				p.sendUrgent('.') // with nothing behind it
				r.waitGot(14)
				w.calm()
			})
		}
	}
}

func oobInline(raw syscall.RawConn) (err error) {
	if e := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	}); e != nil {
		err = e
	}
	return err
}

// Without it, the byte comes by Urgent, and what was sent around it in order.
func TestUrgentAmongOthers(t *testing.T) {
	faultEach(t, "out of band", func(t *testing.T, w *faultWorld) {
		if w.l.Poller() == "kqueue" {
			t.Skip("not every kqueue can tell")
		}
		var urgent []byte
		r, p := w.accept(channel.Handler{Urgent: func(_ *channel.Conn, b byte) { urgent = append(urgent, b) }})
		for i := range 3 {
			p.send([]byte("before "))
			p.sendUrgent('a' + byte(i))
			p.send([]byte("after "))
			w.until("all", func() bool { return len(urgent) == i+1 && len(r.got) == (i+1)*13 })
		}
		w.calm()
		if got := string(r.got) + string(urgent); got != "before after before after before after abc" {
			t.Errorf("read %q", got)
		}
	})
}

// Who is at the other end: the process of the test itself.
func TestPeerCred(t *testing.T) {
	faultOnce(t, "who", func(t *testing.T, w *faultWorld) {
		self := channel.Cred{UID: os.Geteuid(), GID: os.Getegid(), PID: os.Getpid()}
		want := func(what string, c *channel.Conn) {
			t.Helper()
			got, err := c.PeerCred()
			if errors.Is(err, errors.ErrUnsupported) {
				t.Skip(err)
			}
			if got.PID == 0 {
				got.PID = self.PID // macOS and FreeBSD do not tell
			}
			if err != nil || got != self {
				t.Errorf("%s: %+v, %v, want %+v", what, got, err, self)
			}
		}
		path := address(t, "unix")
		s := w.rec("accepted")
		w.listen("unix", path, &channel.ListenConfig{}, func() *channel.Handler { return s.handler(channel.Handler{}) })
		c := w.dial("unix", path, channel.Dialer{}, channel.Handler{})
		w.until("both ends", func() bool { return s.isOpen() && c.isOpen() })
		want("accepted", s.c)
		want("dialled", c.c)

		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fds[1])
		w.f.Give(fds[0])
		p := w.rec("adopted")
		if p.c, err = channel.AdoptFD(w.l, fds[0], p.handler(channel.Handler{})); err != nil {
			t.Fatal(err)
		}
		want("a pair's", p.c)
		p.c.Abort()
		p.waitClosed(net.ErrClosed)
		if _, err := p.c.PeerCred(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("of a closed Conn: %v", err)
		}

		tcp, _ := w.accept(channel.Handler{})
		pr, pw, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer pr.Close()
		defer pw.Close()
		f := w.rec("pipe")
		if f.c, err = channel.Open(w.l, pr, f.handler(channel.Handler{})); err != nil {
			t.Fatal(err)
		}
		none := w.dial("unix", address(t, "unix"), channel.Dialer{}, channel.Handler{}) // nobody listens
		for what, c := range map[string]*channel.Conn{"TCP": tcp.c, "a pipe": f.c} {
			if _, err := c.PeerCred(); !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, new(*net.OpError)) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if got, err := none.c.PeerCred(); err == nil {
			t.Errorf("of nobody: %+v", got)
		}
		late := w.dial("unix", path, channel.Dialer{}, channel.Handler{})
		if _, err := late.c.PeerCred(); !errors.Is(err, syscall.ENOTCONN) {
			t.Errorf("during a dial: %v", err)
		}
	})
}

// Both of two listeners on one port get connections.
func TestReusePortShares(t *testing.T) {
	faultOnce(t, "two listeners", func(t *testing.T, w *faultWorld) {
		var got [2]int
		lc := &channel.ListenConfig{ReusePort: true}
		address := "127.0.0.1:0"
		for i := range got {
			ln := w.listen("tcp", address, lc, func() *channel.Handler { got[i]++; return nil })
			address = ln.Addr().String()
		}
		for n := 1; n <= 200 && slices.Contains(got[:], 0); n++ {
			nc, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			w.until("the Conn", func() bool { return got[0]+got[1] == n })
			nc.Close()
		}
		if runtime.GOOS == "linux" && (got[0] == 0 || got[1] == 0) { // elsewhere the last one may get all
			t.Errorf("the listeners got %v", got)
		}
	})
}

// Bytes given back count no longer when their Conn has ended, though its Close
// panics.
func TestTailAndPanicInClose(t *testing.T) {
	faultOnce(t, "panic", func(t *testing.T, w *faultWorld) {
		w.panics = 1
		r, p := w.accept(channel.Handler{
			Read: func(c *channel.Conn, p []byte) { c.Unread(p) },
			Close: func(c *channel.Conn, err error) {
				if got := string(c.Tail()); got != "half a line" {
					t.Errorf("tail %q", got)
				}
				panic("in Close")
			},
		})
		p.send([]byte("half a line"))
		p.closeWrite()
		r.waitClosed(nil)
		w.settle()
		if got := w.l.Stats().Buffered; got != 0 {
			t.Errorf("%d bytes count as buffered", got)
		}
	})
}

// A dial that is reset leaves no proper connection behind.
func TestResetWhileDialling(t *testing.T) {
	faultEach(t, "reset in the turn of the dial", func(t *testing.T, w *faultWorld) {
		server, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 1)
		r := w.dial("tcp", addr.String(), channel.Dialer{}, channel.Handler{})
		r.c.Reset()
		r.waitClosed(net.ErrClosed)
		p := server.accept()
		var err error
		w.until("the peer to see it", func() bool {
			var eof bool
			_, eof, err = p.recv()
			return eof || err != nil
		})
		if err != syscall.ECONNRESET {
			t.Errorf("the peer read: %v", err)
		}
	})
}
