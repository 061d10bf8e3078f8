//go:build unix

package channel_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// faultHooks are the callbacks that a peer's "x", '!' and FIN bring about,
// each calling f once; the one named Write needs a queue that falls.
var faultHooks = []string{"connect", "read", "write", "urgent", "eof"}

func faultHook(name string, f func(*channel.Conn)) channel.Handler {
	var h channel.Handler
	switch name {
	case "connect":
		h.Connect = f
	case "read":
		h.Read = func(c *channel.Conn, _ []byte) { f(c) }
	case "write":
		h.Connect = func(c *channel.Conn) {
			c.SetWater(0, 1, -1)
			c.WriteString("high water")
		}
		h.Write = f
	case "urgent":
		h.Urgent = func(c *channel.Conn, _ byte) { f(c) }
	case "eof":
		h.EOF = f
	}
	return h
}

// provoke makes one Conn and brings the callback about.
func (w *faultWorld) provoke(name string, h channel.Handler) *faultRec {
	w.t.Helper()
	if name == "urgent" && !tellsUrgent(w.t, w.l.Poller()) {
		w.t.Skip("this poller cannot tell")
	}
	r := w.rec("provoked")
	ln := w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{}, func() *channel.Handler { return r.handler(h) })
	p := w.peer(ln.Addr())
	switch name {
	case "read":
		p.send([]byte("xyz"))
	case "urgent":
		p.sendUrgent('!')
	case "eof":
		p.closeWrite()
	}
	return r
}

// With CrashOnPanic, whoever recovers finds the work of that turn still to be
// done: output, closes and posts of others.
func TestCrashLosesNothing(t *testing.T) {
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) {
			w := faultLoop(t, loop.Config{Poller: name, CrashOnPanic: true})
			a, pa := w.accept(channel.Handler{})
			b, pb := w.accept(channel.Handler{Write: func(*channel.Conn) { panic("crash") }})
			ended, _ := w.accept(channel.Handler{})
			posted := false
			w.l.Post(func() {
				b.c.SetWater(0, 1, -1)
				b.c.WriteString("high water") // flushed before a is
				a.c.WriteString("hello, ")
				ended.c.Abort()
				w.l.Post(func() { posted = true })
			})
			wantPanic(t, "Poll", "crash", func() {
				w.inside = true
				defer func() { w.inside = false }()
				w.l.Poll(0)
			})
			if ended.isClosed() || posted {
				t.Error("the turn went on")
			}
			a.c.WriteString("world")
			w.wants(pa, []byte("hello, world"), false)
			w.wants(pb, []byte("high water"), false)
			ended.waitClosed(net.ErrClosed)
			w.until("the post", func() bool { return posted })
		})
	}
}

func TestFaultCallbacks(t *testing.T) {
	for _, hook := range faultHooks {
		faultEach(t, "53 Close in "+hook, func(t *testing.T, w *faultWorld) {
			r := w.provoke(hook, faultHook(hook, func(c *channel.Conn) {
				c.WriteString("bye")
				if err := c.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if err := c.Close(); err != net.ErrClosed {
					t.Errorf("second Close: %v", err)
				}
				if _, err := c.WriteString("late"); !errors.Is(err, net.ErrClosed) { // 68
					t.Errorf("Write after Close: %v", err)
				}
			}))
			r.waitClosed(nil)
		})
		faultEach(t, "53 Abort in "+hook, func(t *testing.T, w *faultWorld) {
			r := w.provoke(hook, faultHook(hook, func(c *channel.Conn) {
				c.WriteString("never")
				c.Abort()
				c.Abort()
				if err := c.Close(); err != net.ErrClosed {
					t.Errorf("Close: %v", err)
				}
				if _, err := c.WriteString("late"); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Write after Abort: %v", err)
				}
				c.Unread([]byte("late"))
				c.Pause()
				c.Resume()
				c.SetWater(0, 0, 0)
				c.SetIdleTimeout(time.Second)
			}))
			r.waitClosed(net.ErrClosed)
		})
		faultEach(t, "61 panic in "+hook, func(t *testing.T, w *faultWorld) {
			_, p := w.accept(faultEcho())
			r := w.provoke(hook, faultHook(hook, func(c *channel.Conn) { panic(io.ErrNoProgress) }))
			w.panics = 1
			r.waitClosed(io.ErrNoProgress)
			e, ok := errors.AsType[*loop.PanicError](r.err)
			if !ok || !strings.Contains(string(e.Stack), "fault_callback_test.go") {
				t.Errorf("closed with %#v", r.err)
			}
			if w.log.count("callback panicked") != 1 {
				t.Errorf("logged %q", w.log.lines)
			}
			w.exchange(p, []byte("still here"))
		})
		faultEach(t, "63 Goexit in "+hook, func(t *testing.T, w *faultWorld) {
			a, _ := w.accept(channel.Handler{})
			r := w.provoke(hook, faultHook(hook, func(c *channel.Conn) { runtime.Goexit() }))
			done := make(chan bool)
			go func() {
				defer close(done)
				w.run()
				t.Error("Run returned")
			}()
			<-done
			if a.closes != 1 || r.closes != 1 || a.err == nil || r.err == nil {
				t.Errorf("closed with %v and %v", a.err, r.err)
			}
			w.inside = true
			w.in = ""
		})
	}
	faultEach(t, "61 panic with EBADF", func(t *testing.T, w *faultWorld) {
		w.panics = 1
		r, p := w.accept(channel.Handler{Read: func(*channel.Conn, []byte) {
			panic(&os.PathError{Op: "write", Path: "elsewhere", Err: syscall.EBADF})
		}})
		p.send([]byte("x"))
		r.waitClosed(syscall.EBADF)
		if len(w.f.Open()) > 0 {
			t.Errorf("left open: %v", w.f.Open())
		}
	})
	faultEach(t, "62 panic in Close, Closed and the logger", func(t *testing.T, w *faultWorld) {
		w.panics = 2 + 2 // the callbacks, and the logger when it is told of them
		w.log.panic = true
		r, _ := w.accept(channel.Handler{Close: func(*channel.Conn, error) { panic("close") }})
		ln := w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{
			Closed: func(*channel.Listener, error) { panic("closed") },
		}, func() *channel.Handler { return nil })
		r.c.Abort()
		ln.Close()
		r.waitClosed(net.ErrClosed)
		w.settle()
	})
	faultEach(t, "54 close self in Close", func(t *testing.T, w *faultWorld) {
		r, _ := w.accept(channel.Handler{Close: func(c *channel.Conn, _ error) {
			if err := c.Close(); err != net.ErrClosed {
				t.Errorf("Close: %v", err)
			}
			c.Abort()
			c.Pause()
			c.Resume()
			c.Unpark()
			c.Unread([]byte("x"))
			c.SetWater(1, 2, 3)
			c.SetIdleTimeout(1)
			c.SetWriteTimeout(1)
			if c.LocalAddr() != nil || c.CloseWrite() == nil || c.SendFrom(strings.NewReader("x")) == nil {
				t.Error("a closed Conn goes on")
			}
			if _, err := c.SyscallConn(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("SyscallConn: %v", err)
			}
			_ = c.String()
		}})
		r.c.Abort()
		r.waitClosed(net.ErrClosed)
		w.calm()
	})
	faultEach(t, "55 close another in the batch", func(t *testing.T, w *faultWorld) {
		var a, b *faultRec
		a, ap := w.accept(channel.Handler{Read: func(*channel.Conn, []byte) {
			b.c.Abort()
			if b.isClosed() {
				t.Error("closed inside Abort")
			}
		}})
		b, bp := w.accept(channel.Handler{Read: func(*channel.Conn, []byte) { a.c.Abort() }})
		w.settle()
		ap.send([]byte("x"))
		bp.send([]byte("x"))
		time.Sleep(time.Millisecond)
		w.until("one end", func() bool { return a.isClosed() || b.isClosed() })
		w.settle()
		if len(a.got)+len(b.got) != 1 || a.closes+b.closes != 1 {
			t.Errorf("%s", w.story())
		}
	})
	faultEach(t, "57 close all and Stop in a callback", func(t *testing.T, w *faultWorld) {
		var order []uint64
		note := channel.Handler{Close: func(c *channel.Conn, _ error) { order = append(order, c.ID()) }}
		for range 3 {
			w.accept(note)
		}
		w.recs[1].c.Abort() // a gap, which the next one fills
		w.recs[1].waitClosed(net.ErrClosed)
		w.accept(note)
		h := note
		h.Read = func(*channel.Conn, []byte) {
			for c := range channel.Conns(w.l) {
				c.Abort()
			}
			w.l.Stop()
		}
		_, p := w.accept(h)
		order = nil
		p.send([]byte("x"))
		if err := w.run(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if !slices.Equal(order, []uint64{1, 3, 4, 5}) {
			t.Errorf("closed in the order %v", order)
		}
	})
	faultEach(t, "58 what is made in a turn begins in the next", func(t *testing.T, w *faultWorld) {
		pr, pw, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer pr.Close()
		defer pw.Close()
		pw.WriteString("ready at once")
		opened := w.rec("opened")
		var made, first uint64
		_, p := w.accept(channel.Handler{Read: func(c *channel.Conn, _ []byte) {
			made = w.l.Stats().Turns
			channel.Open(w.l, pr, opened.handler(channel.Handler{Read: func(*channel.Conn, []byte) {
				first = w.l.Stats().Turns
			}}))
		}})
		p.send([]byte("x"))
		opened.waitGot(13)
		if first <= made {
			t.Errorf("made in turn %d, read in turn %d", made, first)
		}
	})
	faultEach(t, "59 60 pause others during dispatch", func(t *testing.T, w *faultWorld) {
		var recs []*faultRec
		var peers []*faultPeer
		var first *channel.Conn
		for range 3 {
			r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, _ []byte) {
				if first != nil {
					return
				}
				first = c
				for o := range channel.Conns(w.l) {
					if o != c {
						o.Pause()
					}
				}
				c.Pause()
				c.Resume()
			}})
			recs, peers = append(recs, r), append(peers, p)
		}
		w.settle()
		for _, p := range peers {
			p.send([]byte("x"))
		}
		w.until("the first", func() bool { return first != nil })
		w.calm()
		n := 0
		for _, r := range recs {
			n += len(r.got)
		}
		if n != 1 {
			t.Errorf("%d Conns read, want one", n)
		}
		changes := w.f.Count(faultsys.Modify)
		for _, r := range recs {
			r.c.Resume()
		}
		for _, r := range recs {
			r.waitGot(1)
		}
		if w.f.Count(faultsys.Modify) != changes {
			t.Error("the poller was told more than it had to be")
		}
	})
	faultEach(t, "65 writes without end", func(t *testing.T, w *faultWorld) {
		const n = 100_000
		r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, _ []byte) {
			for range n {
				c.Write([]byte("x"))
			}
		}})
		w.settle()
		sends := w.f.Count(faultsys.Send)
		p.send([]byte("x"))
		w.wants(p, bytes.Repeat([]byte("x"), n), false)
		if got := w.f.Count(faultsys.Send) - sends; got > 10 {
			t.Errorf("%d writes of one byte took %d sends", n, got)
		}
		left := 1000
		again, q := w.accept(channel.Handler{Write: func(c *channel.Conn) {
			var pcs [200]uintptr
			if depth := runtime.Callers(0, pcs[:]); depth > 100 {
				t.Errorf("%d calls deep", depth)
			}
			if left--; left >= 0 {
				c.WriteString("xy")
			}
		}})
		again.c.SetWater(0, 1, -1)
		again.c.WriteString("xy")
		w.wants(q, []byte(strings.Repeat("xy", 1001)), false)
		_ = r
	})
	faultEach(t, "71 another handler in mid-buffer", func(t *testing.T, w *faultWorld) {
		for _, choked := range []bool{false, true} {
			second := w.rec("second")
			var sh *channel.Handler
			r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, p []byte) {
				i := bytes.IndexByte(p, '\n') + 1
				if choked {
					c.SetWater(0, 1, -1)
					c.WriteString("ok")
				}
				c.SetHandler(sh)
				c.Unread(p[i:])
			}})
			second.events = []string{"connect"}
			sh = second.handler(channel.Handler{})
			p.send([]byte("line\nrest"))
			second.waitGot(4)
			if string(second.got) != "rest" {
				t.Errorf("got %q", second.got)
			}
			r.expected = false
			second.c.Abort()
			second.waitClosed(net.ErrClosed)
		}
	})
	t.Run("72 slow callback", func(t *testing.T) {
		w := faultLoop(t, loop.Config{SlowCallback: 100 * time.Millisecond})
		w.manual()
		r, p := w.accept(channel.Handler{Read: func(*channel.Conn, []byte) { w.f.Advance(200 * time.Millisecond) }})
		p.send([]byte("x"))
		r.waitGot(1)
		if len(w.log.lines) != 1 || !strings.Contains(w.log.lines[0], r.c.String()) || !strings.Contains(w.log.lines[0], "hook=read") {
			t.Errorf("logged %q", w.log.lines)
		}
	})
	t.Run("73 a handler that keeps its input", func(t *testing.T) {
		w := faultLoop(t, loop.Config{Debug: true})
		var kept []byte
		r, p := w.accept(channel.Handler{Read: func(_ *channel.Conn, p []byte) { kept = p }})
		p.send([]byte("secret"))
		r.waitGot(6)
		if bytes.Contains(kept, []byte("secret")) {
			t.Error("it can still read it")
		}
	})
	faultEach(t, "74 producers", func(t *testing.T, w *faultWorld) {
		r, _ := w.accept(channel.Handler{})
		r.c.SendFrom(faultReader(func([]byte) (int, error) { return 0, io.ErrNoProgress }))
		r.waitClosed(io.ErrNoProgress)

		w.panics = 1
		r, _ = w.accept(channel.Handler{})
		r.c.SendFrom(faultReader(func([]byte) (int, error) { panic("producer") }))
		r.waitClosed(faultAny)
		if _, ok := errors.AsType[*loop.PanicError](r.err); !ok {
			t.Errorf("closed with %v", r.err)
		}

		asked := 0
		r, p := w.accept(channel.Handler{})
		r.c.SendFrom(faultReader(func(b []byte) (int, error) { asked++; return 0, nil }))
		w.calm()
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		p.send([]byte("x"))
		r.waitGot(1)
		r.c.Abort()
		r.waitClosed(net.ErrClosed)
	})
	faultOnce(t, "75 no handler", func(t *testing.T, w *faultWorld) {
		if _, err := channel.Listen(w.l, "tcp", "127.0.0.1:0", nil); err == nil {
			t.Error("Listen took it")
		}
		r, _ := w.accept(channel.Handler{})
		for name, call := range map[string]func(){
			"Dial":       func() { channel.Dial(w.l, "tcp", "127.0.0.1:1", nil) },
			"Open":       func() { channel.Open(w.l, os.Stdin, nil) },
			"SetHandler": func() { r.c.SetHandler(nil) },
		} {
			func() {
				defer func() {
					if v := recover(); !strings.Contains(fmt.Sprint(v), name) {
						t.Errorf("%s: %v", name, v)
					}
				}()
				call()
			}()
		}
	})
	faultEach(t, "77 pause and resume in a callback", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, _ []byte) { c.Pause() }})
		w.f.Limit(faultsys.Recv, 1)
		p.send([]byte("abc"))
		for want := 1; want <= 3; want++ {
			r.waitGot(want)
			w.calm()
			if len(r.got) != want {
				t.Fatalf("%d bytes while paused, want %d", len(r.got), want)
			}
			r.c.Resume()
		}
	})
	t.Run("120 off the loop's goroutine", func(t *testing.T) {
		w := faultLoop(t, loop.Config{Debug: true})
		r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, _ []byte) {
			caught := make(chan any)
			go func() {
				defer func() { caught <- recover() }()
				c.WriteString("x")
			}()
			if v := fmt.Sprint(<-caught); !strings.Contains(v, "used by") || !strings.Contains(v, "loop run by") {
				t.Errorf("it panicked with %s", v)
			}
		}})
		p.send([]byte("x"))
		r.waitGot(1)
	})
	faultEach(t, "117 a post for a Conn that has closed", func(t *testing.T, w *faultWorld) {
		r, _ := w.accept(channel.Handler{})
		ran := false
		r.c.Abort()
		r.waitClosed(net.ErrClosed)
		posted := make(chan error)
		go func() {
			posted <- w.l.Post(func() {
				ran = true
				if _, err := r.c.WriteString("x"); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Write: %v", err)
				}
			})
		}()
		if err := <-posted; err != nil {
			t.Fatal(err)
		}
		w.until("the post", func() bool { return ran })
	})
}

type faultReader func([]byte) (int, error)

func (f faultReader) Read(p []byte) (int, error) { return f(p) }
