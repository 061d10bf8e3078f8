package asynctest

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
)

// spin watches a descriptor that is always ready, and does nothing about it.
func spin(w *World) {
	h := &channel.Handler{Connect: func(c *channel.Conn) {
		c.Pause()
		w.Loop().After(time.Second, func() {
			if _, err := w.Loop().Watch(descriptor(c), asyncore.Writable, func(asyncore.Interest) {}); err != nil {
				w.Errorf("%v", err)
			}
		})
	}}
	w.Dial(w.Serve("tcp", ":7", with(h)))
	w.Advance(time.Minute)
}

// play runs a scenario once, in a world without faults.
func play(t *testing.T, scenario func(w *World)) {
	t.Helper()
	mustPass(t, inTest(t, func(t testing.TB) { Run(t, Config{}, scenario) }))
}

func TestPeer(t *testing.T) {
	for _, test := range []struct {
		name     string
		scenario func(w *World)
	}{
		{"close", func(w *World) {
			closed := errors.New("not called")
			h := &channel.Handler{Close: func(_ *channel.Conn, err error) { closed = err }}
			w.Dial(w.Serve("tcp", ":7", with(h))).Send("x").Close()
			if w.Quiesce(); closed != nil {
				w.Errorf("Close(%v)", closed)
			}
		}},
		{"reset", func(w *World) {
			var closed error
			h := &channel.Handler{Close: func(_ *channel.Conn, err error) { closed = err }}
			p := w.Dial(w.Serve("tcp", ":7", with(h)))
			w.Quiesce()
			p.Reset()
			if w.Quiesce(); !errors.Is(closed, syscall.ECONNRESET) {
				w.Errorf("Close(%v)", closed)
			}
		}},
		{"half-close", func(w *World) {
			h := &channel.Handler{EOF: func(c *channel.Conn) { c.WriteString("all of it"); c.Close() }}
			w.Dial(w.Serve("tcp", ":7", with(h))).HalfClose().Expect("all of it").ExpectClosed()
		}},
		{"urgent", func(w *World) {
			h := &channel.Handler{Urgent: func(c *channel.Conn, b byte) { c.Write([]byte{b, b}) }}
			w.Dial(w.Serve("tcp", ":7", with(h))).Urgent('!').Expect("!!")
		}},
		{"stop reading", func(w *World) {
			var conn *channel.Conn
			h := &channel.Handler{Connect: func(c *channel.Conn) {
				conn = c
				c.SetWater(0, 1, -1)
				c.Write(make([]byte, 16<<20))
			}}
			p := w.Dial(w.Serve("tcp", ":7", with(h))).StopReading()
			if w.Quiesce(); conn.Buffered() == 0 || len(p.Received()) != 0 {
				w.Errorf("buffered %d, received %d", conn.Buffered(), len(p.Received()))
			}
			p.StartReading()
			if w.Quiesce(); conn.Buffered() != 0 || len(p.Received()) != 16<<20 {
				w.Errorf("buffered %d, received %d", conn.Buffered(), len(p.Received()))
			}
		}},
		{"pause", func(w *World) {
			p := w.Dial(w.Serve("tcp", ":7", with(echo))).Send("a").Pause(time.Minute).Send("b")
			if p.Expect("a"); w.Now() != 0 {
				w.Errorf("a at %v", w.Now())
			}
			if p.Expect("b"); w.Now() != time.Minute {
				w.Errorf("b at %v", w.Now())
			}
		}},
		{"chop", func(w *World) {
			reads := 0
			h := &channel.Handler{Read: func(c *channel.Conn, p []byte) {
				if reads++; len(p) > 3 {
					w.Errorf("%d bytes at once", len(p))
				}
				c.Write(p)
			}}
			w.Dial(w.Serve("tcp", ":7", with(h))).Chop(1, 3).Send("abcdefghij").Expect("abcdefghij")
			if reads < 4 {
				w.Errorf("%d reads", reads)
			}
		}},
		{"latency", func(w *World) {
			p := w.Dial(w.Serve("tcp", ":7", with(echo)))
			w.Latency(p, 10*time.Millisecond, 0)
			p.Send("x").Expect("x")
			if w.Now() < 30*time.Millisecond || w.Now() > 60*time.Millisecond {
				w.Errorf("connected, asked and answered by %v", w.Now())
			}
		}},
		{"partition", func(w *World) {
			p := w.Dial(w.Serve("tcp", ":7", with(echo))).Send("x").Expect("x")
			w.Partition(p)
			p.Send("y")
			w.Advance(time.Minute)
			if got := p.Received(); string(got) != "x" {
				w.Errorf("received %q", got)
			}
			w.Heal(p)
			p.Expect("y")
		}},
		{"loopback", func(w *World) {
			w.Dial(w.Serve("tcp", "127.0.0.1:7", with(echo))).Send("x").Expect("x")
			w.Dial(w.Serve("tcp", "[::1]:7", with(echo))).Send("x").Expect("x")
		}},
		{"unix", func(w *World) {
			ln := w.Serve("unix", "/run/echo", with(echo))
			a, b := w.Dial(ln).Send("a"), w.Dial(ln).Send("b")
			b.Expect("b").HalfClose().ExpectClosed()
			a.Expect("a")
			w.Dial(w.Serve("unix", "@echo", with(echo))).Send("x").Expect("x")
		}},
		{"refused", func(w *World) {
			p := w.Dial(w.Serve("tcp", ":7", func(*channel.Conn) *channel.Handler { return nil }))
			p.ExpectClosed()
		}},
		{"nobody listens", func(w *World) {
			ln := w.Serve("tcp", ":7", with(echo))
			ln.Close()
			p := w.Dial(ln)
			if w.Quiesce(); p.errno != syscall.ECONNREFUSED {
				w.Errorf("connect: %v", p.errno)
			}
		}},
		{"listen", func(w *World) {
			up := w.Listen("tcp", "10.2.0.1:80")
			w.Latency(up, 5*time.Millisecond, 0)
			var got []byte
			channel.Dial(w.Loop(), "tcp", "10.2.0.1:80", &channel.Handler{
				Connect: func(c *channel.Conn) { c.WriteString("hello") },
				Read:    func(_ *channel.Conn, p []byte) { got = append(got, p...) },
			})
			up.Expect("hello").Send("bye").HalfClose().ExpectClosed()
			if w.Quiesce(); string(got) != "bye" || w.Now() < 20*time.Millisecond {
				w.Errorf("got %q at %v", got, w.Now())
			}
		}},
		{"listen at home", func(w *World) {
			for _, at := range [][2]string{{"tcp", "127.0.0.1:80"}, {"tcp", "[::1]:80"}, {"unix", "/run/up"}} {
				up := w.Listen(at[0], at[1])
				channel.Dial(w.Loop(), at[0], at[1], echo)
				up.Send("x").Expect("x").Close()
				w.Quiesce()
			}
		}},
		{"loop closed", func(w *World) {
			p := w.Dial(w.Serve("tcp", ":7", with(echo))).Send("x").Expect("x")
			w.Loop().Close()
			p.ExpectClosed()
			w.Advance(time.Second)
		}},
	} {
		t.Run(test.name, func(t *testing.T) { play(t, test.scenario) })
	}
}

// Names are found where the configuration has them, and in no time but the world's.
func TestHosts(t *testing.T) {
	c := Config{Hosts: map[string][]netip.Addr{"up.example": {netip.MustParseAddr("10.2.0.1")}}}
	mustPass(t, inTest(t, func(t testing.TB) {
		Run(t, c, func(w *World) {
			up := w.Listen("tcp", "10.2.0.1:80")
			channel.Dial(w.Loop(), "tcp", "up.example:80", echo)
			up.Send("x").Expect("x").Close()
			var failed error
			channel.Dial(w.Loop(), "tcp", "down.example:80", &channel.Handler{
				Close: func(_ *channel.Conn, err error) { failed = err },
			})
			w.Advance(time.Minute)
			if _, ok := errors.AsType[*net.DNSError](failed); !ok {
				w.Errorf("an unknown name: %v", failed)
			}
		})
	}))
}

// Nothing to send is sent, whatever the segments.
func TestSendNothing(t *testing.T) {
	mustPass(t, inTest(t, func(t testing.TB) {
		Run(t, Config{Faults: Benign}, func(w *World) {
			w.Dial(w.Serve("tcp", ":7", with(echo))).Send("").Chop(1, 2).Send("").Send("x").Expect("x")
		})
	}))
}

// Timers run at their time, and Quiesce does not wait for them.
func TestTime(t *testing.T) {
	play(t, func(w *World) {
		var at []time.Duration
		l := w.Loop()
		l.After(time.Hour, func() { at = append(at, w.Now()) })
		l.Every(20*time.Minute, func() { at = append(at, w.Now()) })
		if w.Quiesce(); w.Now() != 0 || len(at) != 0 {
			w.Errorf("now %v, timers at %v", w.Now(), at)
		}
		w.Advance(time.Hour)
		if want := "[20m0s 40m0s 1h0m0s 1h0m0s]"; w.Now() != time.Hour || strings.Compare(want, sprint(at)) != 0 {
			w.Errorf("now %v, timers at %v", w.Now(), at)
		}
	})
}

// A descriptor for each connection is what a process may run out of.
func TestFault(t *testing.T) {
	play(t, func(w *World) {
		ln := w.Serve("tcp", ":7", with(echo))
		first := w.Dial(ln).Send("1").Expect("1")
		w.Fault(syscall.EMFILE, For(time.Minute))
		second := w.Dial(ln).Send("2")
		first.Send("still").Expect("still")
		w.Advance(30 * time.Second)
		if len(second.Received()) > 0 {
			w.Errorf("second was accepted")
		}
		if second.Expect("2"); w.Now() > 61*time.Second || w.Faulted() {
			w.Errorf("accepted at %v, faulted: %v", w.Now(), w.Faulted())
		}
		w.Fault(syscall.ECONNRESET, Times(1))
		first.Send("gone")
		if w.Quiesce(); !w.Faulted() || !first.Faulted() || second.Faulted() {
			w.Errorf("faulted: %v, first %v, second %v", w.Faulted(), first.Faulted(), second.Faulted())
		}
		first.Expect("gone").ExpectClosed() // does not count
		second.Send("alive").Expect("alive")
	})
}

// Shortages of memory delay, and change nothing else.
func TestFaultMemory(t *testing.T) {
	play(t, func(w *World) {
		ln := w.Serve("tcp", ":7", with(echo))
		p := w.Dial(ln).Send("1").Expect("1")
		w.Fault(syscall.ENOBUFS, For(time.Second))
		p.Send("2").Expect("2")
		if w.Now() < time.Second || w.Faulted() {
			w.Errorf("answered at %v, faulted: %v", w.Now(), w.Faulted())
		}
	})
}

// The wrapped callbacks notice what a loop must not do.
func TestCheckCallbacks(t *testing.T) {
	for _, test := range []struct {
		name string
		do   func(h *channel.Handler, c *channel.Conn)
		want string
	}{
		{"before connect", func(h *channel.Handler, c *channel.Conn) { h.Read(c, nil) }, "read before Connect"},
		{"connect twice", func(h *channel.Handler, c *channel.Conn) { h.Connect(c); h.Connect(c) }, "Connect came twice"},
		{"eof twice", func(h *channel.Handler, c *channel.Conn) { h.Connect(c); h.EOF(c); h.EOF(c) }, "EOF came twice"},
		{"read after eof", func(h *channel.Handler, c *channel.Conn) { h.Connect(c); h.EOF(c); h.Read(c, nil) }, "Read after EOF"},
		{"close twice", func(h *channel.Handler, c *channel.Conn) { h.Close(c, nil); h.Close(c, nil) }, "close after Close"},
		{"write after close", func(h *channel.Handler, c *channel.Conn) { h.Connect(c); h.Close(c, nil); h.Write(c) }, "write after Close"},
		{"paused", func(h *channel.Handler, c *channel.Conn) { h.Connect(c); c.Pause(); h.Read(c, nil) }, "no input is wanted"},
		{"nested", func(h *channel.Handler, c *channel.Conn) { h.Connect(c); h.Urgent(c, '1') }, "inside another callback"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := inTest(t, func(t testing.TB) {
				Run(t, Config{}, func(w *World) {
					var observed *channel.Handler
					var conn *channel.Conn
					h := &channel.Handler{
						Read:  func(*channel.Conn, []byte) {},
						Write: func(*channel.Conn) {},
						EOF:   func(*channel.Conn) {},
						Urgent: func(c *channel.Conn, b byte) {
							if b == '1' {
								observed.Urgent(c, '2')
							}
						},
					}
					accept := w.Watch(with(h))
					ln, err := channel.Listen(w.Loop(), "tcp", ":7", func(c *channel.Conn) *channel.Handler {
						conn, observed = c, accept(c)
						return h
					})
					if err != nil {
						w.Fatalf("%v", err)
					}
					w.Dial(ln)
					w.Quiesce()
					test.do(observed, conn)
					w.check()
				})
			})
			mustFail(t, f, test.want)
		})
	}
}

// What a handler reads is compared with what the peer sent.
func TestCheckBytes(t *testing.T) {
	f := inTest(t, func(t testing.TB) {
		Run(t, Config{}, func(w *World) {
			p := w.Dial(w.Serve("tcp", ":7", with(echo))).Send("abc").Expect("abc")
			copy(p.sent, "abd")
			p.life.read = 0
			p.life.input([]byte("abc"))
			w.check()
		})
	})
	mustFail(t, f, `Read got "abc" at byte 0, and peer 1 sent "abd"`)
}

// A handler that keeps its input and gives it back is not in the way of that.
func TestCheckBytesUnread(t *testing.T) {
	lines := &channel.Handler{Read: func(c *channel.Conn, p []byte) {
		for {
			line, rest, found := bytes.Cut(p, []byte("\n"))
			if !found {
				c.Unread(p)
				return
			}
			c.Write(append(line, '\n'))
			p = rest
		}
	}}
	text := strings.Repeat("some text\n", 50)
	f := inTest(t, func(t testing.TB) {
		Run(t, Config{Faults: Swarm}, func(w *World) {
			w.Dial(w.Serve("tcp", ":7", with(lines))).Chop(1, 7).Send(text).Expect(text)
		})
	})
	mustPass(t, f)
}

// What a Conn leaves behind is noticed at the end.
func TestCheckEnd(t *testing.T) {
	t.Run("close", func(t *testing.T) {
		f := inTest(t, func(t testing.TB) {
			Run(t, Config{}, func(w *World) {
				w.Dial(w.Serve("tcp", ":7", with(echo)))
				w.Quiesce()
				w.lives = append(w.lives, &life{w: w, c: w.lives[0].c, h: w.lives[0].h})
			})
		})
		mustFail(t, f, "Close was never called")
	})
	t.Run("descriptor", func(t *testing.T) {
		f := inTest(t, func(t testing.TB) {
			Run(t, Config{}, func(w *World) {
				if _, e := w.f.Socket(1); e != 0 {
					w.Fatalf("socket: %v", e)
				}
			})
		})
		mustFail(t, f, "descriptors left open")
	})
	t.Run("descriptor at rest", func(t *testing.T) {
		f := inTest(t, func(t testing.TB) {
			Run(t, Config{}, func(w *World) {
				w.f.Socket(1)
				w.Quiesce()
			})
		})
		mustFail(t, f, "is open, and nobody has it")
	})
}

// Peers of a Unix socket have no addresses to tell them apart by: they are accepted
// in the order in which they got into its queue. One that has found it full may come
// after one that was dialled later.
func TestPeersOfUnixSocket(t *testing.T) {
	play(t, func(w *World) {
		lc := &channel.ListenConfig{Backlog: 1}
		ln, err := lc.Listen(w.Loop(), "unix", "/run/server", w.Watch(with(echo)))
		if err != nil {
			w.Fatalf("%v", err)
		}
		w.Fault(syscall.EMFILE, Times(1)) // accepts none for 100 ms; one that is turned away tries each 5 ms
		a, b, late := w.Dial(ln).Send("a"), w.Dial(ln).Send("bb"), w.Dial(ln).Send("late")
		w.Advance(102 * time.Millisecond)
		w.Fault(syscall.EMFILE, Times(1))
		early := w.Dial(ln).Send("early")
		a.Expect("a")
		b.Expect("bb")
		early.Expect("early")
		late.Expect("late")
	})
}
