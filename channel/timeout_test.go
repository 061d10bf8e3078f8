//go:build unix

package channel_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/systest"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// clock is a loop under a manual clock, driven by the test itself, with one
// Conn and its client.
type clock struct {
	testing.TB
	sys   *systest.System
	l     *loop.Loop
	nc    net.Conn
	c     *channel.Conn
	read  int
	ended []error
}

// underClock runs f on every backend with a fresh pair.
func underClock(t *testing.T, f func(t *testing.T, k *clock)) {
	t.Helper()
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) {
			k := newClock(t, name)
			path := address(t, "unix")
			_, err := channel.Listen(k.l, "unix", path, func(c *channel.Conn) *channel.Handler {
				k.c = c
				return k.handler()
			})
			if err != nil {
				t.Fatal(err)
			}
			k.nc = connect(t, &net.UnixAddr{Name: path, Net: "unix"})
			k.pass(0)
			if k.c == nil {
				t.Fatal("nothing accepted")
			}
			f(t, k)
		})
	}
}

func newClock(t testing.TB, backend string) *clock {
	t.Helper()
	k := &clock{TB: t, sys: systest.New(time.Hour)}
	l, err := core.On(loop.Config{Poller: backend}, k.sys)
	if err != nil {
		t.Fatal(err)
	}
	k.l = l.(*loop.Loop)
	t.Cleanup(func() { k.l.Close() })
	return k
}

func (k *clock) handler() *channel.Handler {
	return &channel.Handler{
		Read:  func(_ *channel.Conn, p []byte) { k.read += len(p) },
		Close: func(_ *channel.Conn, err error) { k.ended = append(k.ended, err) },
	}
}

// pass lets d pass, and then as many turns as the loop has something to do in.
func (k *clock) pass(d time.Duration) {
	k.Helper()
	k.sys.Advance(d)
	for range 20 {
		if err := k.l.Poll(0); err != nil {
			k.Fatal(err)
		}
	}
}

func (k *clock) alive(what string) {
	k.Helper()
	if len(k.ended) > 0 {
		k.Fatalf("%s: %d closed, the first with %v", what, len(k.ended), k.ended[0])
	}
}

// dead wants exactly one Close, with this timeout.
func (k *clock) dead(what string, want error) {
	k.Helper()
	if len(k.ended) != 1 || !errors.Is(k.ended[0], want) {
		k.Fatalf("%s: closes %v, want one with %v", what, k.ended, want)
	}
	var ne net.Error
	if !errors.Is(k.ended[0], os.ErrDeadlineExceeded) || !errors.As(k.ended[0], &ne) || !ne.Timeout() {
		k.Errorf("%v is no timeout", k.ended[0])
	}
}

// expires wants the Conn to close with reason when d has passed, not before.
func (k *clock) expires(d time.Duration, what string, reason error) {
	k.Helper()
	k.pass(d - tick)
	k.alive("just before")
	k.pass(tick)
	k.dead(what, reason)
}

const tick = time.Nanosecond

func TestIdleTimeout(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		k.pass(10 * time.Hour)
		k.alive("off by default")

		k.c.SetIdleTimeout(time.Minute)
		k.pass(time.Minute - tick)
		k.alive("just before")
		send(t, k.nc, "x")
		k.pass(0)
		k.pass(time.Minute - tick)
		k.alive("after input")
		k.c.WriteString("y")
		k.pass(0)
		k.pass(time.Minute - tick)
		k.alive("after output")

		// What is in the kernel when the time is over counts.
		send(t, k.nc, "z")
		k.pass(tick)
		k.alive("with input in the kernel")
		if k.read != 2 {
			t.Errorf("%d bytes were read", k.read)
		}
		k.pass(30 * time.Second)
		k.c.SetIdleTimeout(time.Minute) // counts from now
		k.pass(time.Minute - tick)
		k.alive("set anew")
		k.pass(tick)
		k.dead("idle", channel.ErrIdle)
	})
}

// What the kernel holds when the time is over counts for each of many Conns that
// are ready in one turn: none is idle.
func TestIdleTimeoutOfManyReady(t *testing.T) {
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) {
			k := newClock(t, name)
			n := 1500
			if name == "select" {
				n = 200
			}
			var peers []int
			for i := range n {
				p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
				if err != nil {
					t.Skipf("%d pairs: %v", i, err)
				}
				t.Cleanup(func() { unix.Close(p[1]) })
				unix.CloseOnExec(p[0])
				unix.CloseOnExec(p[1])
				unix.SetNonblock(p[0], true) // else each Conn looks at all others when it ends
				f := os.NewFile(uintptr(p[0]), "pair")
				c, err := channel.Open(k.l, f, k.handler())
				f.Close()
				if err != nil {
					t.Skipf("%d Conns: %v", i, err)
				}
				c.SetIdleTimeout(10 * time.Second)
				peers = append(peers, p[1])
			}
			k.pass(5 * time.Second)
			k.alive("before")
			for _, fd := range peers {
				if _, err := unix.Write(fd, []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			k.pass(6 * time.Second) // as after a callback that took so long
			k.alive("with input in the kernel")
			if k.read != n {
				t.Errorf("%d bytes were read, want %d", k.read, n)
			}
		})
	}
}

// Nor has a dial timed out whose connection stands by then.
func TestDialTimeoutOfManyReady(t *testing.T) {
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) {
			n := 1200
			if name == "select" {
				n = 200
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			t.Cleanup(func() {
				ln.Close()
				<-done
			})
			go func() {
				defer close(done)
				for {
					nc, err := ln.Accept()
					if err != nil {
						return
					}
					defer nc.Close()
				}
			}()
			k := newClock(t, name)
			connects := 0
			h := k.handler()
			h.Connect = func(*channel.Conn) { connects++ }
			for range n {
				channel.Dial(k.l, "tcp", ln.Addr().String(), h)
			}
			k.l.Poll(0) // before it the poller has none of them
			for c := range channel.Conns(k.l) {
				raw, err := c.SyscallConn()
				if err != nil {
					t.Fatal(err)
				}
				raw.Control(func(fd uintptr) {
					// Standing, as far as the kernel is concerned.
					fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
					unix.Poll(fds, int(patience/time.Millisecond))
				})
			}
			k.pass(11 * time.Second)
			k.alive("with standing connections")
			if connects != n {
				t.Errorf("%d Connects, want %d", connects, n)
			}
		})
	}
}

// The longest duration is no overflow.
func TestTimeoutsForEver(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		k.c.SetIdleTimeout(math.MaxInt64)
		k.c.SetWriteTimeout(math.MaxInt64)
		k.c.Write(make([]byte, 1<<20))
		k.pass(10 * time.Hour)
		k.alive("idle, with waiting output")
	})
}

func TestIdleTimeoutChanges(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		k.c.SetIdleTimeout(time.Hour)
		k.c.SetIdleTimeout(time.Second)
		k.c.SetIdleTimeout(0)
		k.pass(2 * time.Hour)
		k.alive("off with 0")
		k.c.SetIdleTimeout(time.Second)
		k.c.SetIdleTimeout(-1)
		k.pass(2 * time.Hour)
		k.alive("off with a negative one")
		k.c.SetIdleTimeout(time.Hour)
		k.c.SetIdleTimeout(time.Second)
		k.c.Pause() // it runs on
		k.pass(time.Second)
		k.dead("shortened, and paused", channel.ErrIdle)
	})
}

func TestWriteTimeout(t *testing.T) {
	for _, limit := range []time.Duration{0, 5 * time.Second} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			underClock(t, func(t *testing.T, k *clock) {
				if limit != 0 {
					k.c.SetWriteTimeout(limit)
				}
				d := limit
				if d == 0 {
					d = time.Minute // the default
				}
				k.pass(10 * time.Hour)
				k.alive("nothing waits")
				k.c.SetWater(0, 1, -1)
				k.c.Write(make([]byte, 1<<20))
				k.pass(d - tick)
				k.alive("just before")
				readN(t, k.nc, 200_000)
				k.pass(0)
				k.pass(d - tick)
				k.alive("after progress")
				k.c.WriteString("more") // is none
				k.pass(tick)
				k.dead("stalled", channel.ErrStalled)
			})
		})
	}
}

func TestWriteTimeoutChanges(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		k.c.SetWriteTimeout(-1)
		k.c.Write(make([]byte, 1<<20))
		k.pass(10 * time.Hour)
		k.alive("off")
		readN(t, k.nc, 200_000)
		k.pass(0)
		k.c.SetWriteTimeout(0)
		k.pass(time.Minute - tick)
		k.alive("the default again")
		k.pass(tick)
		k.dead("stalled", channel.ErrStalled)
	})
}

// Output that is queued when the Conn has long been quiet has the whole time.
func TestWriteTimeoutCountsFromQueueing(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		stuff(t, k.c)
		k.pass(time.Hour)
		k.c.WriteString("x")
		k.expires(time.Minute, "stalled", channel.ErrStalled)
	})
}

// trickle gives what *ready says, and then has nothing.
func trickle(ready *int) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		n := min(*ready, len(p))
		*ready -= n
		return n, nil
	})
}

// A producer that has nothing to give is not the peer's fault, and what stands
// behind it is not refused by the peer.
func TestWriteTimeoutAndParkedProducer(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		ready := 0
		k.c.SendFrom(trickle(&ready))
		k.c.WriteString("behind")
		k.pass(10 * time.Hour)
		k.alive("parked")

		// What it gives at last has the whole time.
		stuff(t, k.c)
		ready = 10
		k.c.Unpark()
		k.pass(0)
		k.alive("unparked")
		k.expires(time.Minute, "stalled", channel.ErrStalled)
	})
}

// The same with nothing behind the producer.
func TestWriteTimeoutAndLateProducer(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		ready := 0
		k.c.SendFrom(trickle(&ready))
		stuff(t, k.c)
		k.pass(10 * time.Hour)
		ready = 10
		k.c.Unpark()
		k.expires(time.Minute, "stalled", channel.ErrStalled)
	})
}

// Close flushes for as long as the peer takes something every 30 s.
func TestLinger(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		k.c.SetWater(0, 1, -1)
		k.c.Write(make([]byte, 8<<20))
		k.pass(time.Minute - time.Second)
		readN(t, k.nc, 200_000)
		k.pass(0)
		if err := k.c.Close(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1<<20)
		for range 10 {
			k.pass(20 * time.Second)
			k.alive("flushing")
			if n, err := k.nc.Read(buf); n < 100_000 || err != nil {
				t.Fatalf("client read %d bytes, %v", n, err)
			}
			k.pass(0)
		}
		k.expires(30*time.Second, "30 s without progress", channel.ErrStalled)
	})
}

// A parked producer has the same time to come to its end.
func TestLingerForProducer(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		k.c.SendFrom(readerFunc(func(p []byte) (int, error) { return 0, nil }))
		k.pass(time.Hour)
		k.c.Close()
		k.expires(30*time.Second, "a producer without end", channel.ErrStalled)
	})
}

// What nobody has read makes the Conn linger when all is flushed: for 30 s, be
// its peer silent or never silent, and whatever its idle timeout.
func TestLingerWithUnreadInput(t *testing.T) {
	for _, flood := range []bool{false, true} {
		t.Run(fmt.Sprintf("flood %v", flood), func(t *testing.T) {
			underClock(t, func(t *testing.T, k *clock) {
				k.c.Pause()
				k.c.SetIdleTimeout(5 * time.Second)
				k.c.WriteString("bye")
				send(t, k.nc, "unread")
				k.c.Close()
				k.pass(0)
				wantAll(t, k.nc, []byte("bye")) // with EOF behind it
				for range 29 {
					if flood {
						send(t, k.nc, "more")
					}
					k.pass(time.Second)
					k.alive("lingering")
				}
				k.pass(time.Second)
				if len(k.ended) != 1 || k.ended[0] != nil {
					t.Errorf("closes %v, want one with nil", k.ended)
				}
			})
		})
	}
}

// What is flushed in time is no timeout.
func TestLingerInTime(t *testing.T) {
	underClock(t, func(t *testing.T, k *clock) {
		k.c.SetWater(0, 1, -1)
		k.c.Write(make([]byte, 1<<20))
		k.c.Close()
		k.pass(29 * time.Second)
		k.alive("flushing")
		for len(k.ended) == 0 {
			if _, err := k.nc.Read(make([]byte, 64<<10)); err != nil {
				break
			}
			k.pass(0)
		}
		if len(k.ended) != 1 || k.ended[0] != nil {
			t.Errorf("closes %v, want one with nil", k.ended)
		}
		k.pass(time.Hour)
		if len(k.ended) != 1 {
			t.Errorf("closes %v", k.ended)
		}
		io.Copy(io.Discard, k.nc)
	})
}
