//go:build unix

package channel_test

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
)

func TestFaultPeers(t *testing.T) {
	faultEach(t, "100 half-close with the reply pending", func(t *testing.T, w *faultWorld) {
		reply := faultBytes(3 << 20)
		for _, produced := range []bool{false, true} {
			r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, _ []byte) {
				c.SetWater(0, -1, -1)
				if produced {
					c.SendFrom(bytes.NewReader(reply))
				} else {
					c.Write(reply)
				}
			}})
			p.send([]byte("GET"))
			p.closeWrite()
			w.wants(p, reply, true)
			r.waitClosed(nil)
		}
	})
	faultEach(t, "100 half-close, answered later", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{EOF: func(*channel.Conn) {}})
		p.send([]byte("GET"))
		p.closeWrite()
		w.until("EOF", func() bool { return len(r.events) == 3 })
		w.calm()
		r.c.WriteString("reply")
		r.c.CloseWrite()
		w.wants(p, []byte("reply"), true)
		r.waitClosed(nil)
	})
	faultEach(t, "101 simultaneous close", func(t *testing.T, w *faultWorld) {
		for _, half := range []bool{false, true} {
			a, b := w.pair(channel.Handler{}, channel.Handler{})
			for _, r := range []*faultRec{a, b} {
				if half {
					r.c.CloseWrite()
				} else {
					r.c.Close()
				}
			}
			a.waitClosed(nil)
			b.waitClosed(nil)
		}
		if len(w.log.lines) > 0 {
			t.Errorf("logged %q", w.log.lines)
		}
	})
	faultEach(t, "103 105 a peer that says nothing", func(t *testing.T, w *faultWorld) {
		w.manual()
		r, p := w.accept(channel.Handler{})
		r.c.SetIdleTimeout(time.Minute)
		for range 5 { // each byte counts as life
			w.pass(50 * time.Second)
			p.send([]byte("x"))
			w.turn(0)
		}
		start := w.l.Now()
		r.waitClosed(channel.ErrIdle)
		if took := w.l.Now() - start; took != time.Minute || !errors.Is(r.err, os.ErrDeadlineExceeded) {
			t.Errorf("closed after %v with %v", took, r.err)
		}
		paused, _ := w.accept(channel.Handler{})
		paused.c.Pause()
		paused.c.SetIdleTimeout(time.Minute)
		paused.waitClosed(channel.ErrIdle)
	})
	faultEach(t, "103 data in the kernel comes before the idle timeout", func(t *testing.T, w *faultWorld) {
		w.manual()
		r, p := w.accept(channel.Handler{})
		r.c.SetIdleTimeout(time.Second)
		p.send([]byte("in time"))
		time.Sleep(time.Millisecond)
		w.f.Advance(time.Hour)
		w.turn(0)
		if !r.isOpen() || string(r.got) != "in time" {
			t.Errorf("got %q, closed with %v", r.got, r.err)
		}
	})
	faultEach(t, "104 data, then RST", func(t *testing.T, w *faultWorld) {
		for _, paused := range []bool{false, true} {
			r, p := w.accept(channel.Handler{})
			if paused {
				r.c.Pause()
			}
			w.settle()
			msg := faultBytes(100_000)
			for sent := 0; sent < len(msg); {
				sent += p.send(msg[sent:])
			}
			time.Sleep(2 * time.Millisecond)
			p.reset()
			if paused {
				w.calm()
				r.c.Resume()
			}
			r.waitClosed(syscall.ECONNRESET)
			if !bytes.Equal(r.got, msg) {
				t.Errorf("got %d bytes of %d", len(r.got), len(msg))
			}
		}
	})
	faultEach(t, "104 RST while output waits", func(t *testing.T, w *faultWorld) {
		for _, paused := range []bool{false, true} {
			r, p := w.accept(channel.Handler{})
			w.settle()
			if paused {
				r.c.Pause()
			}
			p.send([]byte("last words"))
			r.c.SetWater(0, -1, -1)
			p.small()
			r.c.Write(make([]byte, 12<<20))
			w.settle()
			p.reset()
			if paused {
				w.settle()
				w.calm()
				if r.isClosed() || len(r.got) > 0 {
					t.Errorf("paused, and %v", r.events)
				}
				r.c.Resume()
			}
			w.until("its Close", r.isClosed)
			if !errors.Is(r.err, syscall.ECONNRESET) && !errors.Is(r.err, syscall.EPIPE) || string(r.got) != "last words" {
				t.Errorf("got %q, closed with %v", r.got, r.err)
			}
		}
	})
	faultEach(t, "91 input that nobody reads does not cost the peer the reply", func(t *testing.T, w *faultWorld) {
		reply := faultBytes(200_000)
		r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, _ []byte) {
			c.Write(reply)
			c.Close()
		}})
		w.f.Limit(faultsys.Recv, 4)
		p.send([]byte("QUITand much more"))
		w.wants(p, reply, true)
		p.close()
		r.waitClosed(nil)
	})
	faultEach(t, "109 churn", func(t *testing.T, w *faultWorld) {
		goroutines := runtime.NumGoroutine()
		ln, recs := w.serve(&channel.ListenConfig{}, faultEcho())
		for i := range 300 {
			p := w.peer(ln.Addr())
			p.send([]byte("x"))
			if i%2 == 0 {
				p.reset()
			} else {
				p.close()
			}
		}
		w.until("all to have gone", func() bool {
			n := 0
			for _, r := range *recs {
				n += r.closes
			}
			return n == 300
		})
		if open := w.f.Open(); len(open) != 1 {
			t.Errorf("%d descriptors are open, want the listener's", len(open))
		}
		if n := runtime.NumGoroutine(); n > goroutines {
			t.Errorf("%d goroutines, %d before", n, goroutines)
		}
	})
	faultEach(t, "111 a firehose starves nobody", func(t *testing.T, w *faultWorld) {
		fire, fp := w.accept(channel.Handler{})
		quick, qp := w.accept(faultEcho())
		w.settle()
		block := make([]byte, 1<<20)
		for range 20 {
			fp.send(block)
			qp.send([]byte("x"))
			fire.got, quick.got = nil, nil
			w.until("the small one's turn", func() bool { return len(quick.got) > 0 })
			if len(fire.got) > 1<<20 {
				t.Fatalf("%d bytes of the firehose came before", len(fire.got))
			}
		}
	})
	faultEach(t, "109 a storm of connections starves nobody", func(t *testing.T, w *faultWorld) {
		_, p := w.accept(faultEcho())
		ln, recs := w.serve(&channel.ListenConfig{}, channel.Handler{})
		for range 100 {
			w.peer(ln.Addr())
		}
		p.send([]byte("x"))
		w.turn(w.step)
		if n := len(*recs); n > 16 {
			t.Errorf("%d connections in a turn", n)
		}
		w.wants(p, []byte("x"), false)
		w.waitAccepted(recs, 100)
	})
}
