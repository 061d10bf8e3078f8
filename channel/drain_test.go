//go:build unix

package channel_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const grace = 10 * time.Second

// drainEach runs a scenario under a manual clock, so that all of a turn, and of
// several without a wait, has one time.
func drainEach(t *testing.T, name string, scenario func(*testing.T, *faultWorld)) {
	faultEach(t, name, func(t *testing.T, w *faultWorld) {
		w.manual()
		w.step = 10 * time.Millisecond
		scenario(t, w)
	})
}

// stays wants the peer to have read exactly want, and no end.
func (w *faultWorld) stays(p *faultPeer, want string) {
	w.t.Helper()
	w.settle()
	w.wants(p, []byte(want), false)
	w.settle()
	if got, eof, err := p.recv(); len(got) > 0 || eof || err != nil {
		w.t.Fatalf("the peer read %d more bytes, end %v, %v", len(got), eof, err)
	}
}

// gone wants the end behind what the peer still reads, and then, with its own, a
// Close with nil and the end of Run, before the grace is over.
func (w *faultWorld) gone(r *faultRec, p *faultPeer, want string) {
	w.t.Helper()
	w.wants(p, []byte(want), true)
	p.close()
	began := w.l.Now()
	if err := w.run(); err != nil {
		w.t.Errorf("Run: %v", err)
	}
	r.waitClosed(nil)
	if took := w.l.Now() - began; took >= grace/2 {
		w.t.Errorf("Run returned after %v", took)
	}
}

// Where nothing is under way, the peer sees the end at once.
func TestDrainIdle(t *testing.T) {
	answer := channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }}
	drainEach(t, "no byte ever", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(answer)
		w.settle()
		w.l.Drain(grace)
		w.gone(r, p, "")
	})
	drainEach(t, "answered", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(answer)
		p.send([]byte("question"))
		w.wants(p, []byte("question"), false)
		w.l.Post(func() { w.l.Drain(grace) })
		w.gone(r, p, "")
	})
	drainEach(t, "answered, and a timeout set since", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(answer)
		p.send([]byte("question"))
		w.wants(p, []byte("question"), false)
		w.f.Advance(time.Minute)
		w.settle()
		r.c.SetIdleTimeout(time.Hour)
		w.l.Drain(grace)
		w.gone(r, p, "")
	})
	drainEach(t, "the peer's end has come", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{EOF: func(*channel.Conn) {}})
		p.closeWrite()
		w.until("EOF", func() bool { return r.events[len(r.events)-1] == "eof" })
		w.l.Drain(grace)
		w.gone(r, p, "")
	})
	drainEach(t, "drained twice", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(answer)
		w.l.Drain(grace)
		w.l.Drain(grace)
		w.gone(r, p, "")
	})
}

// Where something is, it comes first.
func TestDrainBusy(t *testing.T) {
	silent := channel.Handler{Read: func(*channel.Conn, []byte) {}}
	drainEach(t, "owes an answer", func(t *testing.T, w *faultWorld) {
		for _, answer := range []string{"small", strings.Repeat("l", 100_000)} {
			r, p := w.accept(silent)
			p.send([]byte("question"))
			r.waitGot(8)
			w.l.Drain(grace)
			w.stays(p, "")
			r.c.WriteString(answer)
			w.wants(p, []byte(answer), true)
			p.close()
			r.waitClosed(nil)
		}
	})
	drainEach(t, "has just come", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }})
		w.l.Drain(grace)
		w.stays(p, "")
		p.send([]byte("the question that was on its way"))
		w.gone(r, p, "the question that was on its way")
	})
	// The whole of a block may go out inside Write.
	drainEach(t, "answers in its callback", func(t *testing.T, w *faultWorld) {
		answer := strings.Repeat("l", 20_000)
		r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, p []byte) {
			if strings.HasSuffix(string(p), "?") {
				c.WriteString(answer)
			}
		}})
		p.send([]byte("ques"))
		r.waitGot(4)
		w.l.Drain(grace)
		w.stays(p, "")
		p.send([]byte("tion?"))
		w.gone(r, p, answer)
	})
	// An idle connection to a server behind us stays until no client needs it.
	drainEach(t, "answers with the help of a dialled Conn", func(t *testing.T, w *faultWorld) {
		server, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 1)
		r, p := w.accept(silent)
		up := w.dial("tcp", addr.String(), channel.Dialer{}, channel.Handler{
			Read: func(_ *channel.Conn, p []byte) { r.c.Write(p) },
		})
		up.waitOpen()
		behind := server.accept()
		p.send([]byte("question"))
		r.waitGot(8)
		w.l.Drain(grace)
		w.stays(behind, "")
		up.c.WriteString("what shall I say?")
		w.stays(behind, "what shall I say?")
		behind.send([]byte("hello"))
		w.wants(p, []byte("hello"), true)
		p.close()
		r.waitClosed(nil)
		w.gone(up, behind, "")
	})
	// In one turn the first answer goes out and the second question comes in.
	drainEach(t, "answered one question of two", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(silent)
		p.send([]byte("first"))
		r.waitGot(5)
		r.c.WriteString("one")
		w.settle()
		p.send([]byte("second"))
		r.waitGot(11)
		w.l.Drain(grace)
		w.stays(p, "one")
		r.c.WriteString("two")
		w.gone(r, p, "two")
	})
	drainEach(t, "output waits", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(silent)
		w.settle()
		all := faultBytes(8 << 20)
		r.c.SetWater(0, 1, -1)
		r.c.Write(all)
		w.settle()
		w.l.Drain(grace)
		w.settle()
		if r.c.Buffered() == 0 {
			t.Fatal("all of it has gone")
		}
		w.gone(r, p, string(all))
	})
	drainEach(t, "a producer", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(silent)
		ready, done := 0, false
		r.c.SendFrom(readerFunc(func(b []byte) (int, error) {
			if done {
				return 0, io.EOF
			}
			n := min(ready, len(b))
			clear(b[:n])
			ready -= n
			return n, nil
		}))
		w.settle()
		w.l.Drain(grace)
		w.stays(p, "")
		ready = 3
		r.c.Unpark()
		w.stays(p, "\x00\x00\x00")
		done = true
		r.c.Unpark()
		w.gone(r, p, "")
	})
	drainEach(t, "paused", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(silent)
		w.settle()
		r.c.Pause()
		p.send([]byte("question"))
		w.l.Drain(grace)
		w.stays(p, "")
		r.c.Resume()
		r.waitGot(8)
		w.stays(p, "")
		r.c.WriteString("answer")
		w.gone(r, p, "answer")
	})
	drainEach(t, "half a question is unread", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, p []byte) {
			if len(p) < 8 {
				c.WriteString("go on")
				c.Unread(p)
				return
			}
			c.WriteString("answer")
		}})
		p.send([]byte("ques"))
		w.wants(p, []byte("go on"), false)
		w.l.Drain(grace)
		w.stays(p, "")
		p.send([]byte("tion"))
		w.gone(r, p, "answer")
	})
	drainEach(t, "still connecting", func(t *testing.T, w *faultWorld) {
		path := address(t, "unix")
		server, _ := faultServer(t, &net.UnixAddr{Name: path, Net: "unix"}, 1)
		w.f.Fail(faultsys.Connect, syscall.EAGAIN, faultsys.Times(2))
		r := w.dial("unix", path, channel.Dialer{}, channel.Handler{})
		late := w.dial("unix", path, channel.Dialer{}, channel.Handler{})
		r.c.WriteString("written before")
		w.l.Drain(grace)
		r.waitOpen()
		p := server.accept()
		w.wants(p, []byte("written before"), false)
		w.stays(p, "") // until it is answered
		p.send([]byte("answer"))
		w.wants(p, nil, true)
		p.close()
		r.waitClosed(nil)
		// Who has not said a word yet may be waiting for something.
		late.waitOpen()
		p = server.accept()
		w.stays(p, "")
		late.c.WriteString("written after")
		w.stays(p, "written after")
		p.send([]byte("answer"))
		w.gone(late, p, "")
	})
	// With a last word, from its own callback.
	drainEach(t, "drained in its callback", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, p []byte) {
			c.WriteString("goodbye")
			w.l.Drain(grace)
			c.WriteString(", all")
		}})
		p.send([]byte("shutdown"))
		w.gone(r, p, "goodbye, all")
	})
	drainEach(t, "closing already", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(silent)
		r.c.WriteString("answer")
		r.c.Close()
		w.l.Drain(grace)
		w.gone(r, p, "answer")
	})
}

// What has come already is read before the end is told, and answered.
func TestDrainUnreadQuestion(t *testing.T) {
	answer := channel.Handler{Read: func(c *channel.Conn, _ []byte) { c.WriteString("answer") }}
	adopted := func(t *testing.T, w *faultWorld) (*faultRec, *faultPeer) {
		r, p := w.accept(channel.Handler{})
		var d channel.Detached
		r.c.Detach(func(given channel.Detached) { d = given })
		r.waitClosed(nil)
		r = w.rec("adopted")
		var err error
		if r.c, err = d.Adopt(w.l, r.handler(answer)); err != nil {
			t.Fatal(err)
		}
		return r, p
	}
	for what, question := range map[string]string{"a question": "question", "none": ""} {
		want := ""
		if question != "" {
			want = "answer"
		}
		drainEach(t, what+", accepted", func(t *testing.T, w *faultWorld) {
			r, p := w.accept(answer)
			w.settle()
			p.send([]byte(question))
			w.l.Drain(grace)
			w.gone(r, p, want)
		})
		drainEach(t, what+", just adopted", func(t *testing.T, w *faultWorld) {
			r, p := adopted(t, w)
			p.send([]byte(question))
			w.l.Drain(grace)
			w.gone(r, p, want)
		})
		drainEach(t, what+", paused", func(t *testing.T, w *faultWorld) {
			r, p := w.accept(answer)
			r.c.Pause()
			w.l.Drain(grace)
			p.send([]byte(question))
			w.stays(p, "")
			r.c.Resume()
			w.gone(r, p, want)
		})
	}
}

// Between the ends of a Pipe nobody can tell what is under way: an upload would
// be cut short with a proper end.
func TestDrainPipe(t *testing.T) {
	drainEach(t, "upload", func(t *testing.T, w *faultWorld) {
		ra, pa := w.accept(channel.Handler{})
		rb, pb := w.accept(channel.Handler{})
		channel.Pipe(ra.c, rb.c)
		pa.send([]byte("first half, "))
		w.stays(pb, "first half, ")
		w.l.Drain(grace)
		w.stays(pb, "")
		pa.send([]byte("second half"))
		w.stays(pb, "second half")
		pb.send([]byte("thanks"))
		pb.closeWrite()
		w.wants(pa, []byte("thanks"), true)
		pa.closeWrite()
		w.wants(pb, nil, true)
		if err := w.run(); err != nil {
			t.Error(err)
		}
		ra.waitClosed(nil)
		rb.waitClosed(nil)
	})
	drainEach(t, "for ever", func(t *testing.T, w *faultWorld) {
		ra, _ := w.accept(channel.Handler{})
		rb, _ := w.accept(channel.Handler{})
		channel.Pipe(ra.c, rb.c)
		w.l.Drain(grace)
		w.ended(ra, rb)
	})
}

// ended wants Run to return when the grace is over, and what is left to be closed
// as by Close.
func (w *faultWorld) ended(left ...*faultRec) {
	w.t.Helper()
	began := w.l.Now()
	if err := w.run(); err != nil {
		w.t.Errorf("Run: %v", err)
	}
	if took := w.l.Now() - began; took > grace || took < grace/2 {
		w.t.Errorf("Run returned after %v, want %v", took, grace)
	}
	for _, r := range left {
		if !r.isClosed() || !errors.Is(r.err, loop.ErrClosed) {
			w.t.Errorf("%s: %v, closed with %v", r.name, r.events, r.err)
		}
	}
	if err := w.l.Post(func() {}); !errors.Is(err, loop.ErrClosed) {
		w.t.Errorf("Post: %v", err)
	}
}

func TestDrainGrace(t *testing.T) {
	drainEach(t, "peers that do not end", func(t *testing.T, w *faultWorld) {
		silent := channel.Handler{Read: func(*channel.Conn, []byte) {}}
		var left []*faultRec
		idle, p := w.accept(silent)
		left = append(left, idle)
		owing, q := w.accept(silent)
		left = append(left, owing)
		q.send([]byte("question"))
		owing.waitGot(8)
		full, _ := w.accept(silent)
		full.c.SetWater(0, 1, -1)
		full.c.Write(make([]byte, 16<<20))
		paused, _ := w.accept(silent)
		paused.c.Pause()
		left = append(left, full, paused)
		// A handler with an EOF of its own that never ends either.
		deaf, d := w.accept(channel.Handler{EOF: func(*channel.Conn) {}, Read: func(*channel.Conn, []byte) {}})
		d.send([]byte("x"))
		d.closeWrite()
		deaf.waitGot(1)
		left = append(left, deaf)
		w.l.Drain(grace)
		w.wants(p, nil, true)
		w.ended(left...)
	})
}

// Listeners are closed at once, and say so.
func TestDrainListeners(t *testing.T) {
	drainEach(t, "listeners", func(t *testing.T, w *faultWorld) {
		var closed []error
		lc := channel.ListenConfig{Closed: func(_ *channel.Listener, err error) { closed = append(closed, err) }}
		none := func() *channel.Handler { t.Error("accepted"); return nil }
		tcp := w.listen("tcp", "127.0.0.1:0", &lc, none)
		path := address(t, "unix")
		w.listen("unix", path, &lc, none)
		paused := w.listen("tcp", "127.0.0.1:0", &lc, none)
		paused.Pause()
		before := len(w.f.Open())
		w.l.Drain(grace)
		if len(closed) > 0 {
			t.Error("Closed inside Drain")
		}
		if got := before - len(w.f.Open()); got != 3 {
			t.Errorf("%d sockets were closed, want 3", got)
		}
		for _, a := range []net.Addr{tcp.Addr(), paused.Addr(), &net.UnixAddr{Name: path, Net: "unix"}} {
			if nc, err := net.Dial(a.Network(), a.String()); err == nil {
				nc.Close()
				t.Errorf("%v still listens", a)
			}
		}
		if err := w.run(); err != nil {
			t.Error(err)
		}
		if len(closed) != 3 || closed[0] != nil || closed[1] != nil || closed[2] != nil {
			t.Errorf("Closed(%v), want three times nil", closed)
		}
		if err := tcp.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Close afterwards: %v", err)
		}
	})
	// In the accept function, whose Conn is one of those to end.
	drainEach(t, "drained in accept", func(t *testing.T, w *faultWorld) {
		r := w.rec("accepted")
		ln := w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{}, func() *channel.Handler {
			w.l.Drain(grace)
			return r.handler(channel.Handler{})
		})
		p := w.peer(ln.Addr())
		r.waitOpen()
		w.gone(r, p, "")
	})
}

// lineEcho answers each line with itself, and keeps what is no line yet.
var lineEcho = &channel.Handler{Read: func(c *channel.Conn, p []byte) {
	end := bytes.LastIndexByte(p, '\n') + 1
	if end > 0 {
		c.Write(p[:end])
	}
	c.Unread(p[end:])
}}

// Clients in the middle of their work see whole answers and then an end, never
// half of one and never a reset.
func TestDrainUnderLoad(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		const clients = 10
		ln := r.serve("tcp4", lineEcho)
		var wg sync.WaitGroup
		warm := make(chan struct{}, clients)
		for i := range clients {
			nc := connect(t, ln)
			wg.Go(func() {
				defer nc.Close()
				rng := rand.New(rand.NewPCG(uint64(i), 3))
				answers := bufio.NewReaderSize(nc, 64<<10)
				for n := 0; ; n++ {
					if n == 10 {
						warm <- struct{}{}
					}
					line := strings.Repeat("x", rng.IntN(40_000)) + "\n"
					cut := rng.IntN(len(line))
					for _, part := range []string{line[:cut], line[cut:]} {
						if _, err := io.WriteString(nc, part); err != nil {
							t.Errorf("client %d: %v", i, err)
							return
						}
					}
					got, err := answers.ReadString('\n')
					if err == io.EOF && got == "" {
						return
					}
					if err != nil || got != line {
						t.Errorf("client %d: %d bytes of %d, %v", i, len(got), len(line), err)
						return
					}
				}
			})
		}
		for range clients {
			receive(t, warm, "a client hangs")
		}
		r.do(func() { r.l.Drain(2 * patience) })
		wg.Wait()
		for c, err := range r.ends(clients) {
			if err != nil {
				t.Errorf("%v: Close(%v)", c, err)
			}
		}
	})
}
