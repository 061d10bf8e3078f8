//go:build unix

package channel_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// readN reads and throws away n bytes.
func readN(t testing.TB, nc net.Conn, n int64) {
	t.Helper()
	if got, err := io.CopyN(io.Discard, nc, n); err != nil {
		t.Fatalf("client read %d bytes of %d: %v", got, n, err)
	}
}

// What a callback is given to write belongs to it again when Write returns.
func TestWriteCopies(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, c := r.pair("unix", echo)
		want := noise(900 << 10)
		r.do(func() {
			c.SetWater(0, 1<<20, -1)
			buf := make([]byte, 0, 100<<10)
			for rest := want; len(rest) > 0; {
				n := min(len(rest), 1+len(rest)%cap(buf))
				buf = append(buf[:0], rest[:n]...)
				if got, err := c.Write(buf); got != n || err != nil {
					t.Errorf("Write = %d, %v", got, err)
				}
				clear(buf)
				rest = rest[n:]
			}
			if n, err := c.Write(nil); n != 0 || err != nil {
				t.Errorf("Write(nil) = %d, %v", n, err)
			}
			if n, err := c.WriteString("end"); n != 3 || err != nil {
				t.Errorf("WriteString = %d, %v", n, err)
			}
			r.close(c)
		})
		wantAll(t, nc, append(want, "end"...))
		r.wantEnd(nil)
	})
}

func TestWriteCallback(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		const low, high = 1000, 100_000
		calls := 0
		nc, c := r.pair("unix", &channel.Handler{
			Connect: func(c *channel.Conn) { c.SetWater(low, high, -1) },
			Write: func(c *channel.Conn) {
				calls++
				if c.Buffered() > low {
					t.Errorf("Write called with %d bytes queued", c.Buffered())
				}
			},
		})
		want := func(want int) {
			t.Helper()
			r.do(func() {
				if calls != want {
					t.Fatalf("Write was called %d times, want %d", calls, want)
				}
			})
		}
		var wrote int64
		write := func(upTo int) {
			r.do(func() {
				for c.Buffered() < upTo {
					n, err := c.Write(make([]byte, 999))
					if err != nil {
						t.Error(err)
						return
					}
					wrote += int64(n)
				}
			})
		}
		drain := func() {
			readN(t, nc, wrote)
			wrote = 0
			r.until("all is sent", func() bool { return c.Buffered() == 0 })
			r.quiet()
		}
		write(high / 2)
		r.quiet()
		write(high / 2)
		want(0)
		drain()
		want(0) // it had not risen above high
		for i := range 3 {
			write(2 * high)
			r.quiet()
			want(i)
			write(4 * high)
			drain()
			want(i + 1)
		}
	})
}

// Write may be called while the callback's Conn is still above nothing: what
// it writes is sent, and calls it again, without end and without nesting.
func TestWriteFromWrite(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		const rounds = 50
		round := 0
		next := func(c *channel.Conn) {
			if round++; round <= rounds {
				c.Write(make([]byte, 50_000))
			} else {
				r.close(c)
			}
		}
		nc, _ := r.pair("unix", &channel.Handler{
			Connect: func(c *channel.Conn) {
				c.SetWater(0, 10, -1)
				next(c)
			},
			// A round that the kernel took at once does not call Write.
			Write: next,
			Read:  func(c *channel.Conn, p []byte) { next(c) },
		})
		total := 0
		buf := make([]byte, 50_000)
		for total < rounds*50_000 {
			n, err := nc.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if total += n; total%50_000 == 0 {
				send(t, nc, "x")
			}
		}
		nc.SetReadDeadline(time.Now().Add(patience))
		for {
			if _, err := nc.Read(buf); err != nil {
				break
			}
		}
		r.wantEnd(nil)
	})
}

// A peer that does not take its output is not read from above high water, and
// is again at low.
func TestHighWaterStopsReading(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, c := r.pair("unix", echo)
		sent := make(chan int64)
		go func() {
			var n int64
			block := make([]byte, 32<<10)
			for {
				nc.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
				m, err := nc.Write(block)
				n += int64(m)
				if errors.Is(err, os.ErrDeadlineExceeded) {
					break
				}
				if err != nil {
					t.Error(err)
					break
				}
			}
			sent <- n
		}()
		n := receive(t, sent, "the server went on reading")
		var read uint64
		r.do(func() {
			read = c.BytesRead()
			if got := c.Buffered(); got <= 64<<10 || got > 64<<10+256<<10 {
				t.Errorf("%d bytes queued, want a little more than high water", got)
			}
		})
		r.quiet()
		r.do(func() {
			if got := c.BytesRead(); got != read {
				t.Errorf("%d bytes were read above high water", got-read)
			}
		})
		readN(t, nc, n)
		r.until("the rest is read", func() bool { return c.BytesRead() == uint64(n) })
	})
}

// Below a negative high water, reading goes on however much is queued.
func TestNegativeHighWater(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		calls := 0
		nc, c := r.pair("unix", &channel.Handler{
			Connect: func(c *channel.Conn) { c.SetWater(0, -1000, -1) },
			Read:    func(c *channel.Conn, p []byte) { c.Write(p) },
			Write:   func(c *channel.Conn) { calls++ },
		})
		all := noise(4 << 20)
		if _, err := nc.Write(all); err != nil { // it would block for ever otherwise
			t.Fatal(err)
		}
		r.until("all is read", func() bool { return c.BytesRead() == uint64(len(all)) })
		r.do(func() {
			if c.Buffered() < 3<<20 {
				t.Errorf("%d bytes queued", c.Buffered())
			}
			calls = 0
		})
		wantRead(t, nc, string(all))
		r.until("Write is called", func() bool { return calls == 1 })
		halfClose(t, nc)
		r.wantEnd(nil)
	})
}

// New marks hold at once, for what is queued already too.
func TestSetWaterAppliesAtOnce(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, c := r.pair("unix", echo)
		r.do(func() {
			stuff(t, c)
			c.WriteString("0123456789")
			c.SetWater(0, 5, -1)
		})
		send(t, nc, "input")
		r.quiet()
		r.do(func() {
			if c.BytesRead() != 0 {
				t.Error("read above the new high water")
			}
			c.SetWater(0, -5, -1)
		})
		r.until("input is read", func() bool { return c.BytesRead() == 5 })
	})
}

func TestHardLimit(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		_, c := r.pair("unix", echo)
		r.do(func() {
			block := make([]byte, 100_000)
			for i := 0; ; i++ {
				before := c.Buffered()
				n, err := c.Write(block)
				if err == nil {
					if n != len(block) || c.Buffered() > 1<<20 {
						t.Errorf("Write = %d with %d queued", n, c.Buffered())
					}
					continue
				}
				if n != 0 || !errors.Is(err, channel.ErrOutputLimit) || before+len(block) <= 1<<20 {
					t.Errorf("Write = %d, %v onto %d", n, err, before)
				}
				break
			}
			r.life(c).over = true
			if _, err := c.Write(block); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the next Write: %v", err)
			}
			if len(r.closed) > 0 {
				t.Error("Close came inside Write")
			}
		})
		r.wantEnd(channel.ErrOutputLimit)

		// Onto a queue at or below high water, a Write is taken whole.
		nc, c := r.pair("unix", echo)
		all := noise(8 << 20)
		r.do(func() {
			stuff(t, c)
			c.Write(all[:64<<10])
			if c.Buffered() != 64<<10 {
				t.Errorf("%d bytes queued", c.Buffered())
			}
			if n, err := c.Write(all[64<<10:]); n != 8<<20-64<<10 || err != nil {
				t.Errorf("Write = %d, %v", n, err)
			}
			// What adds nothing passes no limit.
			if n, err := c.Write(nil); n != 0 || err != nil {
				t.Errorf("Write of nothing = %d, %v", n, err)
			}
			if err := c.SendFrom(strings.NewReader("!")); err != nil {
				t.Errorf("SendFrom: %v", err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Errorf("CloseWrite: %v", err)
			}
		})
		got, err := io.ReadAll(nc)
		if err != nil || !bytes.HasSuffix(got, append(all[7<<20:], '!')) {
			t.Errorf("client: %d bytes, %v", len(got), err)
		}
	})
}

// A long answer in small pieces, in one callback, is not a peer that does not
// read.
func TestManySmallWrites(t *testing.T) {
	for _, network := range []string{"tcp4", "unix"} {
		t.Run(network, func(t *testing.T) {
			pieces := 1 << 10 // as many as the hard limit allows to wait
			if network == "tcp4" && runtime.GOOS == "linux" {
				pieces *= 4 // the kernel takes the rest meanwhile
			}
			eachBackend(t, func(t *testing.T, r *rig) {
				all := noise(pieces << 10)
				nc, _ := r.pair(network, &channel.Handler{Read: func(c *channel.Conn, p []byte) {
					for i := range pieces {
						if _, err := c.Write(all[i<<10 : (i+1)<<10]); err != nil {
							t.Errorf("piece %d: %v", i, err)
							return
						}
					}
					r.close(c)
				}})
				send(t, nc, "go")
				wantAll(t, nc, all)
				r.wantEnd(nil)
			})
		})
	}
}

func TestMaxBuffered(t *testing.T) {
	eachBackend(t, func(t *testing.T, _ *rig) {
		backend := t.Name()[strings.LastIndexByte(t.Name(), '/')+1:]
		r := newRig(t, loop.Config{Poller: backend, MaxBuffered: 3 << 20})
		var conns [3]*channel.Conn
		var clients [3]net.Conn
		for i := range conns {
			clients[i], conns[i] = r.pair("unix", &channel.Handler{
				Connect: func(c *channel.Conn) { c.SetWater(0, 1, -1) },
			})
		}
		r.do(func() {
			for _, c := range conns {
				stuff(t, c)
			}
			for i, n := range []int{1 << 20, 3 << 19, 1 << 18} {
				if _, err := conns[i].Write(make([]byte, n)); err != nil {
					t.Errorf("Write to %d: %v", i, err)
				}
			}
			for r.l.Stats().Buffered < 3<<20 {
				if _, err := conns[2].Write(make([]byte, 1<<16)); err != nil {
					t.Errorf("Write: %v", err)
					return
				}
			}
			r.life(conns[1]).over = true
			if _, err := conns[2].Write([]byte("x")); err != nil {
				t.Errorf("the Write that passed MaxBuffered: %v", err)
			}
		})
		if e := r.end(); e.c != conns[1] || !errors.Is(e.err, channel.ErrOutputLimit) {
			t.Errorf("closed %v with %v, want %v, which had the most", e.c, e.err, conns[1])
		}
		r.do(func() {
			if got := r.l.Stats().Buffered; got > 3<<20 {
				t.Errorf("%d bytes buffered", got)
			}
			// The one that writes may itself be the one.
			r.life(conns[0]).over = true
			if _, err := conns[0].Write(make([]byte, 2<<20)); !errors.Is(err, channel.ErrOutputLimit) {
				t.Errorf("Write: %v", err)
			}
		})
		if e := r.end(); e.c != conns[0] || !errors.Is(e.err, channel.ErrOutputLimit) {
			t.Errorf("closed %v with %v", e.c, e.err)
		}
		// Bytes given back count too.
		nc, c := r.pair("unix", &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Unread(p) }})
		go nc.Write(make([]byte, 4<<20))
		if e := r.end(); e.c != c || !errors.Is(e.err, channel.ErrOutputLimit) {
			t.Errorf("closed %v with %v", e.c, e.err)
		}
	})
}

// A producer stands in the queue where SendFrom put it.
func TestSendFromOrder(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, c := r.pair("tcp4", echo)
		a, b := noise(300_001), noise(1_000_003)
		var want []byte
		r.do(func() {
			c.SetWater(0, 1, -1)
			put := func(p []byte) {
				want = append(want, p...)
				if _, err := c.Write(p); err != nil {
					t.Error(err)
				}
			}
			from := func(p []byte, wrap func(io.Reader) io.Reader) {
				want = append(want, p...)
				if err := c.SendFrom(wrap(bytes.NewReader(p))); err != nil {
					t.Error(err)
				}
			}
			plain := func(r io.Reader) io.Reader { return r }
			put([]byte("head "))
			from(a, plain)
			put([]byte(" middle "))
			put([]byte("again "))
			from(nil, plain)
			from(b[:999], iotest.OneByteReader)
			from(b, iotest.DataErrReader)
			from(a, iotest.HalfReader)
			put(b)
			from([]byte("last"), iotest.DataErrReader)
			r.close(c)
		})
		wantAll(t, nc, want)
		r.wantEnd(nil)
	})
}

// readerFunc is a producer.
type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestSendFromFails(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		boom := errors.New("the disk is gone")
		nc, c := r.pair("unix", echo)
		r.do(func() {
			r.life(c).over = true
			c.SendFrom(io.MultiReader(strings.NewReader("before"), iotest.ErrReader(boom)))
			c.WriteString("never sent")
		})
		wantAll(t, nc, []byte("before"))
		r.wantEnd(boom)

		// A producer that panics fails like a callback.
		r.panics++
		nc, c = r.pair("unix", echo)
		r.do(func() {
			c.WriteString("before")
			c.SendFrom(readerFunc(func([]byte) (int, error) { panic(boom) }))
		})
		wantAll(t, nc, []byte("before"))
		e := r.end()
		var pe *loop.PanicError
		if !errors.As(e.err, &pe) || pe.Value != boom {
			t.Errorf("Close(%v), want a *loop.PanicError", e.err)
		}

		// It may close its own Conn.
		nc, c = r.pair("unix", echo)
		r.do(func() {
			c.SendFrom(readerFunc(func(p []byte) (int, error) {
				r.abort(c)
				return copy(p, "never sent"), nil
			}))
		})
		wantAll(t, nc, nil)
		r.wantEnd(net.ErrClosed)
	})
}

// A producer that breaks io.Reader's contract ends its Conn, not the loop.
func TestSendFromBadCount(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, n := range []int{-1, 64<<10 + 1, math.MaxInt} {
			nc, c := r.pair("unix", echo)
			r.do(func() {
				r.life(c).over = true
				c.WriteString("before")
				c.SendFrom(readerFunc(func([]byte) (int, error) { return n, nil }))
			})
			wantAll(t, nc, []byte("before"))
			if e := r.end(); e.err == nil || !strings.Contains(e.err.Error(), "invalid count") {
				t.Errorf("Read returned %d: Close(%v)", n, e.err)
			}
		}
	})
}

// What a producer is given to fill is its own until it returns, though it ends
// its Conn and others write meanwhile.
func TestProducerKeepsItsBuffer(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		_, a := r.pair("unix", echo)
		nc, b := r.pair("unix", echo)
		var want []byte
		r.do(func() {
			a.SendFrom(readerFunc(func(p []byte) (int, error) {
				r.abort(a)
				for range 4 {
					part := noise(15 << 10)
					b.Write(part)
					want = append(want, part...)
				}
				clear(p)
				return len(p), io.EOF
			}))
		})
		r.wantEnd(net.ErrClosed)
		wantRead(t, nc, string(want))
	})
}

// A producer that gives a byte at a time costs one write for many of them.
func TestTinyProducer(t *testing.T) {
	faultEach(t, "one byte at a time", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		w.settle()
		all := noise(100_000)
		if err := r.c.SendFrom(iotest.OneByteReader(bytes.NewReader(all))); err != nil {
			t.Fatal(err)
		}
		before := w.f.Count(faultsys.Send)
		w.wants(p, all, false)
		if n := w.f.Count(faultsys.Send) - before; n > len(all)/100 {
			t.Errorf("%d writes for %d bytes", n, len(all))
		}
	})
}

// A producer that has nothing to give is asked again after Unpark, and only
// then.
func TestPark(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var reads int
		var ready string
		var done bool
		producer := readerFunc(func(p []byte) (int, error) {
			reads++
			n := copy(p, ready)
			ready = ready[n:]
			if done {
				return n, io.EOF
			}
			return n, nil
		})
		nc, c := r.pair("unix", echo)
		calm := func(wantReads int) {
			t.Helper()
			var turns uint64
			r.do(func() { turns = r.l.Stats().Turns })
			r.quiet()
			r.do(func() {
				if reads != wantReads {
					t.Errorf("asked %d times, want %d", reads, wantReads)
				}
				if n := r.l.Stats().Turns - turns; n > 50 {
					t.Errorf("%d turns while parked", n)
				}
			})
		}
		r.do(func() { c.SendFrom(producer) })
		calm(1)
		r.do(func() {
			ready = "one "
			c.Unpark()
			if ready == "" {
				t.Error("asked inside Unpark")
			}
		})
		wantRead(t, nc, "one ")
		calm(3)

		// What is queued behind it waits, too.
		r.do(func() { c.WriteString("behind") })
		send(t, nc, " echo")
		calm(3)
		r.do(func() {
			c.Unpark()
			c.Unpark()
		})
		calm(4)
		r.do(func() {
			ready, done = "two ", true
			c.Unpark()
		})
		wantRead(t, nc, "two behind echo")
		calm(5)
		r.do(func() { c.Unpark() })
		calm(5)
	})
}

// Close asks a parked producer once more, and sends what all producers have.
func TestSendFromAndClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, c := r.pair("tcp4", echo)
		all := noise(3 << 20)
		parts := []string{"", "late "}
		r.do(func() {
			c.SendFrom(readerFunc(func(p []byte) (int, error) {
				if len(parts) == 0 {
					return 0, io.EOF
				}
				n := copy(p, parts[0])
				parts = parts[1:]
				return n, nil
			}))
		})
		r.quiet()
		r.do(func() {
			c.SendFrom(bytes.NewReader(all))
			r.close(c)
		})
		wantAll(t, nc, append([]byte("late "), all...))
		r.wantEnd(nil)
	})
}

// Close asks a producer that has run dry while the kernel takes nothing, too.
func TestCloseAndDryProducer(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		parts := []string{"all ", ""} // 0 and nil after what it has now
		k.c.SendFrom(readerFunc(func(p []byte) (int, error) {
			if len(parts) == 0 {
				return copy(p, "the end"), io.EOF
			}
			n := copy(p, parts[0])
			parts = parts[1:]
			return n, nil
		}))
		stuffed := stuff(t, k.c)
		k.pass(0)
		if len(parts) > 0 || k.c.Buffered() == 0 {
			t.Fatalf("the producer has %q left, %d bytes wait", parts, k.c.Buffered())
		}
		k.c.Close()
		k.pass(0)
		readN(t, k.nc, stuffed)
		k.pass(0)
		wantAll(t, k.nc, []byte("all the end"))
		if len(k.ended) != 1 || k.ended[0] != nil {
			t.Errorf("closes %v, want one with nil", k.ended)
		}
	})
}

// A peer that is slow makes the producer slow: nothing is asked for that
// cannot be sent.
func TestSendFromIsPulled(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var given int
		nc, c := r.pair("unix", echo)
		r.do(func() {
			c.SendFrom(readerFunc(func(p []byte) (int, error) {
				if given >= 8<<20 {
					return 0, io.EOF
				}
				given += len(p)
				return len(p), nil
			}))
		})
		r.quiet()
		r.do(func() {
			if given > 4<<20 || c.Buffered() > 64<<10 {
				t.Errorf("%d bytes taken from the producer, %d queued", given, c.Buffered())
			}
			c.CloseWrite()
		})
		got, err := io.Copy(io.Discard, nc)
		r.do(func() {
			if err != nil || got != int64(given) {
				t.Errorf("client read %d bytes, %v, want %d", got, err, given)
			}
		})
	})
}

// A Conn is an io.Writer, so it takes what package fmt prints.
func TestPrintf(t *testing.T) {
	r := newRig(t, loop.Config{})
	nc, c := r.pair("unix", echo)
	r.do(func() { fmt.Fprintf(c, "%d bottles", 99) })
	wantRead(t, nc, "99 bottles")
}
