//go:build unix

package channel_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func faultEcho() channel.Handler {
	return channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }}
}

// exchange sends through an echo and waits for the answer.
func (w *faultWorld) exchange(p *faultPeer, msg []byte) {
	w.t.Helper()
	p.send(msg)
	w.wants(p, msg, false)
}

func TestFaultReads(t *testing.T) {
	faultOnce(t, "1 EINTR on read, write and accept", func(t *testing.T, w *faultWorld) {
		w.f.Fail(faultsys.Accept, syscall.EINTR, faultsys.Times(3))
		_, p := w.accept(faultEcho())
		w.f.Fail(faultsys.Recv, syscall.EINTR, faultsys.Times(3))
		w.f.Fail(faultsys.Send, syscall.EINTR, faultsys.Times(3))
		w.exchange(p, []byte("hello"))
	})
	faultEach(t, "5 EAGAIN on read after readiness", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(faultEcho())
		w.f.Fail(faultsys.Recv, syscall.EAGAIN, faultsys.Times(2))
		p.send([]byte("x"))
		w.turn(w.step)
		if len(r.got) > 0 {
			t.Error("Read called for nothing")
		}
		w.wants(p, []byte("x"), false)
	})
	faultEach(t, "5 readiness that is not there", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(faultEcho())
		w.settle()
		w.report(w.f.Token(r.fd()), faultReadable)
		w.turn(w.step)
		w.exchange(p, []byte("hello"))
	})
	faultEach(t, "8 short reads", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(faultEcho())
		msg := faultBytes(300)
		for n := 1; n < 8; n++ {
			w.f.Limit(faultsys.Recv, n)
			r.got = nil
			w.exchange(p, msg)
			if !bytes.Equal(r.got, msg) {
				t.Errorf("%d at a time: %d bytes of %d", n, len(r.got), len(msg))
			}
			w.f.Heal(faultsys.Recv)
		}
	})
	faultEach(t, "11 end of file, default", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		p.closeWrite()
		r.waitClosed(nil)
	})
	faultEach(t, "11 end of file, once", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{EOF: func(c *channel.Conn) { c.WriteString("bye") }})
		p.send([]byte("x"))
		p.closeWrite()
		w.wants(p, []byte("bye"), false)
		w.calm() // it waits for nothing, and is readable for ever
		r.c.Close()
		r.waitClosed(nil)
		if string(r.got) != "x" {
			t.Errorf("got %q", r.got)
		}
	})
	faultOnce(t, "12 ECONNRESET on read, after data", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		w.f.Limit(faultsys.Recv, 3, faultsys.Times(2))
		w.f.Fail(faultsys.Recv, syscall.ECONNRESET)
		p.send([]byte("abcdefgh"))
		r.waitClosed(syscall.ECONNRESET)
		if string(r.got) != "abcdef" {
			t.Errorf("got %q", r.got)
		}
	})
	t.Run("15 every other errno", func(t *testing.T) {
		for _, e := range []syscall.Errno{
			syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.ENETRESET,
			syscall.ECONNABORTED, syscall.ENOTCONN, syscall.ESHUTDOWN, syscall.EPROTO, syscall.EIO,
		} {
			faultOnce(t, faultErrno(e)+" on read", func(t *testing.T, w *faultWorld) {
				r, p := w.accept(channel.Handler{})
				w.f.Fail(faultsys.Recv, e)
				p.send([]byte("x"))
				r.waitClosed(e)
				faultOpError(t, r.err, "read")
			})
			faultOnce(t, faultErrno(e)+" on write", func(t *testing.T, w *faultWorld) {
				r, _ := w.accept(channel.Handler{})
				w.f.Fail(faultsys.Send, e)
				r.c.WriteString("x")
				r.waitClosed(e)
				faultOpError(t, r.err, "write")
			})
		}
	})
	faultOnce(t, "17 ENOMEM on read pauses that Conn only", func(t *testing.T, w *faultWorld) {
		w.manual()
		a, ap := w.accept(faultEcho())
		_, bp := w.accept(faultEcho())
		w.f.Fail(faultsys.Recv, syscall.ENOMEM, faultsys.On(a.fd()))
		ap.send([]byte("a"))
		w.exchange(bp, []byte("b"))
		before := w.f.Count(faultsys.Recv)
		for start := w.l.Now(); w.l.Now() < start+10*time.Second; {
			w.turn(w.step)
		}
		if n := w.f.Count(faultsys.Recv) - before; n < 5 || n > 30 {
			t.Errorf("%d reads in 10 s", n)
		}
		w.f.Heal(faultsys.Recv)
		w.wants(ap, []byte("a"), false)
	})
}

func faultOpError(t *testing.T, err error, op string) {
	t.Helper()
	if e, ok := errors.AsType[*net.OpError](err); !ok || e.Op != op || e.Addr == nil || e.Source == nil {
		t.Errorf("%#v is not a whole *net.OpError of a %s", err, op)
	}
	if _, ok := errors.AsType[*os.SyscallError](err); !ok {
		t.Errorf("no *os.SyscallError in %v", err)
	}
}

func TestFaultWrites(t *testing.T) {
	faultEach(t, "6 EAGAIN on write", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		w.settle()
		w.f.Fail(faultsys.Send, syscall.EAGAIN, faultsys.Times(1))
		before := w.f.Count(faultsys.Modify)
		r.c.WriteString("hello")
		w.wants(p, []byte("hello"), false)
		w.calm()
		if n := w.f.Count(faultsys.Modify) - before; n != 2 {
			t.Errorf("the interest changed %d times, want twice: on and off", n)
		}
	})
	faultOnce(t, "9 short writes at every byte", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		msg := faultBytes(40)
		for n := 1; n < len(msg); n++ {
			w.f.Limit(faultsys.Send, n)
			r.c.Write(msg[:7])
			r.c.Write(msg[7:])
			w.wants(p, msg, false)
			w.f.Heal(faultsys.Send)
		}
	})
	faultEach(t, "9 short writes of large blocks", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		r.c.SetWater(0, -1, -1)
		var want []byte
		for i, size := range []int{16 << 10, 100_000, 15_000, 64 << 10, 16<<10 - 1, 300_000, 1} {
			w.f.Limit(faultsys.Send, 4096*(i+1)-i)
			block := faultBytes(size)
			r.c.Write(block)
			want = append(want, block...)
			if i%2 == 0 {
				if err := r.c.SendFrom(bytes.NewReader(block)); err != nil {
					t.Fatal(err)
				}
				want = append(want, block...)
			}
		}
		w.wants(p, want, false)
		if n := r.c.BytesWritten(); n != uint64(len(want)) {
			t.Errorf("BytesWritten is %d, want %d", n, len(want))
		}
	})
	faultEach(t, "13 EPIPE on write, input first", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		w.f.Fail(faultsys.Send, syscall.EPIPE)
		msg := faultBytes(100_000)
		sent := p.send(msg)
		r.c.WriteString("x")
		r.waitClosed(syscall.EPIPE)
		if !bytes.Equal(r.got, msg[:sent]) {
			t.Errorf("got %d bytes of %d", len(r.got), sent)
		}
	})
	faultEach(t, "13 EPIPE on write, more input than a turn's", func(t *testing.T, w *faultWorld) {
		// Exactly what a turn reads: nothing is left that could be reported.
		for _, n := range []int{64 << 10, 256 << 10, 512 << 10} {
			r, p := w.accept(channel.Handler{})
			unix.SetsockoptInt(r.fd(), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
			r.c.Pause()
			msg := faultBytes(n)
			for sent, tries := 0, 0; sent < n; tries++ {
				sent += p.send(msg[sent:])
				w.turn(time.Millisecond)
				if tries == 1000 {
					t.Skipf("this kernel holds no more than %d bytes", sent)
				}
			}
			w.f.Fail(faultsys.Send, syscall.EPIPE)
			r.c.WriteString("x")
			w.settle()
			r.c.Resume()
			r.waitClosed(syscall.EPIPE)
			if !bytes.Equal(r.got, msg) {
				t.Errorf("got %d bytes of %d", len(r.got), n)
			}
			w.f.Heal(faultsys.Send)
		}
	})
	faultEach(t, "13 write error ends the pause by high water", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		r.c.SetWater(0, 10, -1)
		w.f.Fail(faultsys.Send, syscall.EAGAIN, faultsys.Times(1))
		r.c.Write(make([]byte, 100))
		p.send([]byte("last words"))
		w.f.Fail(faultsys.Send, syscall.EPIPE)
		r.waitClosed(syscall.EPIPE)
		if string(r.got) != "last words" {
			t.Errorf("got %q", r.got)
		}
	})
	t.Run("16 ENOBUFS and ENOMEM on write", func(t *testing.T) {
		for _, e := range []syscall.Errno{syscall.ENOBUFS, syscall.ENOMEM} {
			for _, size := range []int{10, 100_000} {
				faultEach(t, faultErrno(e), func(t *testing.T, w *faultWorld) {
					w.manual()
					r, p := w.accept(channel.Handler{})
					msg := faultBytes(size)
					w.f.Fail(faultsys.Send, e, faultsys.Times(8))
					start := w.l.Now()
					r.c.Write(msg)
					w.wants(p, msg, false)
					// 5, 10, 20, … 640 ms
					if took := w.l.Now() - start; took < 1275*time.Millisecond {
						t.Errorf("8 tries took %v, want 1.275 s", took)
					}
					w.calm()
				})
			}
		}
	})
	faultEach(t, "16 ENOBUFS for ever", func(t *testing.T, w *faultWorld) {
		w.manual()
		r, _ := w.accept(channel.Handler{})
		w.f.Fail(faultsys.Send, syscall.ENOBUFS)
		start := w.l.Now()
		r.c.WriteString("x")
		r.waitClosed(channel.ErrStalled)
		if took := w.l.Now() - start; took < 60*time.Second {
			t.Errorf("stalled after %v", took)
		}
	})
}

// A peer that does not read is noticed however the output came into the queue.
func TestFaultStall(t *testing.T) {
	fill := func(c *channel.Conn) {
		c.SetWater(0, -1, -1)
		c.Write(make([]byte, 12<<20)) // more than a kernel takes
	}
	zeros, _ := tempFile(t, 0)
	if err := zeros.Truncate(1 << 40); err != nil {
		t.Fatal(err)
	}
	for name, queue := range map[string]func(*channel.Conn){
		"one large write": fill,
		"small writes": func(c *channel.Conn) {
			c.SetWater(0, -1, -1)
			for range 1200 {
				c.Write(make([]byte, 10_000))
			}
		},
		"a producer": func(c *channel.Conn) { c.SendFrom(io.LimitReader(faultZeros{}, 12<<20)) },
		"a file":     func(c *channel.Conn) { c.SendFrom(zeros) },
	} {
		faultEach(t, "102 never reads, "+name, func(t *testing.T, w *faultWorld) {
			w.manual()
			r, p := w.accept(channel.Handler{})
			p.small()
			start := w.l.Now()
			queue(r.c)
			r.waitClosed(channel.ErrStalled)
			if took := w.l.Now() - start; took < 60*time.Second {
				t.Errorf("stalled after %v", took)
			}
		})
		faultEach(t, "102 never reads, in a callback, "+name, func(t *testing.T, w *faultWorld) {
			w.manual()
			r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, _ []byte) { queue(c) }})
			p.small()
			p.send([]byte("x"))
			r.waitClosed(channel.ErrStalled)
			w.calm()
		})
		faultEach(t, "70 Close to a peer that never reads, "+name, func(t *testing.T, w *faultWorld) {
			w.manual()
			r, p := w.accept(channel.Handler{})
			p.small()
			queue(r.c)
			w.settle()
			start := w.l.Now()
			r.c.Close()
			r.waitClosed(channel.ErrStalled)
			if took := w.l.Now() - start; took < 30*time.Second || took > 60*time.Second {
				t.Errorf("lingered for %v of the clock, want 30 s", took)
			}
		})
	}
	faultEach(t, "102 a producer after a long rest", func(t *testing.T, w *faultWorld) {
		// The kernel's buffer is full and the queue empty; the write timeout
		// must count from when there is output again.
		w.manual()
		r, p := w.accept(channel.Handler{})
		r.c.WriteString("x")
		w.wants(p, []byte("x"), false)
		w.f.Advance(5 * time.Minute)
		w.turn(0)
		w.faultFull()
		start := w.l.Now()
		r.c.SendFrom(bytes.NewReader(make([]byte, 100)))
		r.waitClosed(channel.ErrStalled)
		if took := w.l.Now() - start; took < 60*time.Second {
			t.Errorf("stalled after %v, want 60 s", took)
		}
	})
	faultEach(t, "102 room that no poller tells of", func(t *testing.T, w *faultWorld) {
		w.manual()
		r, p := w.accept(channel.Handler{})
		w.f.Limit(faultsys.Send, 1000)
		w.unwritable()
		msg := faultBytes(5000)
		start := w.l.Now()
		r.c.Write(msg)
		w.wants(p, msg, false)
		if took := w.l.Now() - start; took < 4*time.Minute || took > 5*time.Minute {
			t.Errorf("took %v, want a thousand bytes for each write timeout", took)
		}
		if r.closes > 0 {
			t.Errorf("closed with %v", r.err)
		}
	})
	faultEach(t, "102 room that no poller tells of, and an idle timeout", func(t *testing.T, w *faultWorld) {
		w.manual()
		r, p := w.accept(channel.Handler{})
		w.f.Limit(faultsys.Send, 1000)
		w.unwritable()
		r.c.SetIdleTimeout(time.Minute)
		msg := faultBytes(5000)
		r.c.Write(msg)
		w.wants(p, msg, false)
		start := w.l.Now()
		r.waitClosed(channel.ErrIdle)
		if took := w.l.Now() - start; took < 50*time.Second || took > 2*time.Minute {
			t.Errorf("idle for %v, want a minute", took)
		}
	})
	faultEach(t, "102 a full pipe that somebody has made blocking", func(t *testing.T, w *faultWorld) {
		w.manual()
		pr, pw, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer pr.Close()
		r := w.open(pw, channel.Handler{})
		r.c.Write(make([]byte, 1<<20))
		w.settle()
		raw, _ := pw.SyscallConn()
		raw.Control(func(fd uintptr) { unix.SetNonblock(int(fd), false) })
		stop := time.AfterFunc(5*time.Second, func() {
			t.Error("the loop waits for the pipe")
			pr.Close()
		})
		r.waitClosed(channel.ErrStalled)
		stop.Stop()
		pw.Close()
	})
	faultOnce(t, "102 progress puts the write timeout off", func(t *testing.T, w *faultWorld) {
		w.manual()
		r, p := w.accept(channel.Handler{})
		r.c.SetWater(0, -1, -1)
		r.c.Write(make([]byte, 200<<10))
		w.f.Limit(faultsys.Send, 1)
		r.c.Write(make([]byte, 100))
		for range 20 {
			w.f.Advance(50 * time.Second)
			w.turn(0)
		}
		if !r.isOpen() {
			t.Fatalf("closed with %v", r.err)
		}
		w.f.Heal(faultsys.Send)
		w.wants(p, make([]byte, 200<<10+100), false)
	})
	faultEach(t, "102 high water pauses reading", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		w.f.Fail(faultsys.Send, syscall.EAGAIN)
		r.c.Write(make([]byte, 70<<10))
		w.turn(0)
		p.send([]byte("not now"))
		for range 5 {
			w.turn(time.Millisecond)
		}
		if len(r.got) > 0 {
			t.Error("read above high water")
		}
		w.f.Heal(faultsys.Send)
		w.wants(p, make([]byte, 70<<10), false)
		r.waitGot(7)
		if want := []string{"connect", "write", "read"}; len(r.events) != 3 || r.events[1] != want[1] {
			t.Errorf("callbacks %v, want %v", r.events, want)
		}
	})
	faultOnce(t, "102 hard limit", func(t *testing.T, w *faultWorld) {
		r, _ := w.accept(channel.Handler{})
		w.f.Fail(faultsys.Send, syscall.EAGAIN)
		n := 0
		for ; n < 200; n++ {
			if _, err := r.c.Write(make([]byte, 10_000)); err != nil {
				if err != channel.ErrOutputLimit {
					t.Errorf("Write: %v", err)
				}
				break
			}
		}
		if n != 104 { // 1 MiB
			t.Errorf("%d blocks of 10,000 bytes went in", n)
		}
		r.waitClosed(channel.ErrOutputLimit)
	})
	faultEach(t, "two honest ends that both send 8 MB first, default water", func(t *testing.T, w *faultWorld) {
		w.manual()
		msg := faultBytes(8 << 20)
		send := channel.Handler{Connect: func(c *channel.Conn) { c.Write(msg) }}
		a, b := w.pair(send, send)
		w.until("the end", func() bool { return a.isClosed() && b.isClosed() })
		if a.err != channel.ErrStalled && b.err != channel.ErrStalled {
			t.Errorf("closed with %v and %v", a.err, b.err)
		}
	})
	faultEach(t, "two honest ends that both send 8 MB first, SetWater(0, -1, -1)", func(t *testing.T, w *faultWorld) {
		msg := faultBytes(8 << 20)
		send := channel.Handler{Connect: func(c *channel.Conn) {
			c.SetWater(0, -1, -1)
			c.Write(msg)
			c.CloseWrite()
		}}
		a, b := w.pair(send, send)
		w.until("the end", func() bool { return a.isClosed() && b.isClosed() })
		for _, r := range []*faultRec{a, b} {
			if r.err != nil || !bytes.Equal(r.got, msg) {
				t.Errorf("%s: %d bytes, %v", r.name, len(r.got), r.err)
			}
		}
	})
	t.Run("107 MaxBuffered closes the Conn with the most", func(t *testing.T) {
		w := faultLoop(t, loop.Config{MaxBuffered: 100_000})
		a, _ := w.accept(channel.Handler{})
		b, bp := w.accept(channel.Handler{})
		w.f.Fail(faultsys.Send, syscall.EAGAIN)
		a.c.Write(make([]byte, 60_000))
		if n, err := b.c.Write(make([]byte, 50_000)); n != 50_000 || err != nil {
			t.Errorf("Write of the smaller: %d, %v", n, err)
		}
		a.waitClosed(channel.ErrOutputLimit)
		w.f.Heal(faultsys.Send)
		w.wants(bp, make([]byte, 50_000), false)
		// And where the one that writes is the largest itself.
		w.f.Fail(faultsys.Send, syscall.EAGAIN)
		if n, err := b.c.Write(make([]byte, 200_000)); n != 0 || err != channel.ErrOutputLimit {
			t.Errorf("Write of the largest: %d, %v", n, err)
		}
		b.waitClosed(channel.ErrOutputLimit)
	})
}

type faultZeros struct{}

func (faultZeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
