package proof

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
)

// small are scenarios of a few system calls, one of each family and some more.
// They must not fail whichever of their calls fails.
var small = []family{
	{"echo", func(w *world) {
		ln := w.serve("tcp", ":7", echoing)
		if ln == nil {
			return
		}
		w.dial(ln).Send("hello").HalfClose()
		w.dial(ln).Send("hello").Expect("hello").HalfClose().ExpectClosed()
	}},
	{"unix", func(w *world) {
		ln := w.serve("unix", "/run/echo", echoing)
		if ln == nil {
			return
		}
		w.dial(ln).Send("hello").Expect("hello").HalfClose().ExpectClosed()
		ln.Close()
	}},
	{"eof", func(w *world) {
		ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
			return &channel.Handler{EOF: func(*channel.Conn) { s.write([]byte("all of it")); s.close() }}
		})
		if ln == nil {
			return
		}
		hit(100)
		w.dial(ln).Send("question").HalfClose().Expect("all of it").ExpectClosed()
	}},
	{"relay", func(w *world) {
		backend := w.serve("tcp", "127.0.0.1:9", echoing)
		front := w.serve("tcp", ":7", func(s *session) *channel.Handler {
			s.may |= byClose | byAbort
			return &channel.Handler{Connect: func(*channel.Conn) {
				back := w.connect(&channel.Dialer{}, "tcp", "127.0.0.1:9", func(s *session) *channel.Handler {
					s.may |= byClose | byAbort
					return &channel.Handler{}
				})
				s.piped, back.piped = true, true
				channel.Pipe(s.c, back.c)
			}}
		})
		if backend == nil || front == nil {
			return
		}
		w.dial(front).Send("hello").Expect("hello").HalfClose().ExpectClosed()
	}},
	{"chat", func(w *world) {
		ln := w.serve("tcp", ":7", framed(w, func(s *session, c *chat.Conn) *chat.Handler {
			s.framed = true
			s.may |= byClose
			c.SetTerminator(chat.Delim("\r\n"))
			return &chat.Handler{Message: func(c *chat.Conn, msg []byte) { s.write([]byte(strings.ToUpper(string(msg)) + "\n")) }}
		}))
		if ln == nil {
			return
		}
		w.dial(ln).Send("one\r\ntwo\r\nthr").Expect("ONE\nTWO\n").Send("ee\r\n").Expect("THREE\n").HalfClose().ExpectClosed()
	}},
	{"producer", func(w *world) {
		ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
			s.may |= byClose
			s.c.SetWater(0, 10, 100)
			s.mark([3]int{0, 10, 100})
			return &channel.Handler{Connect: func(*channel.Conn) {
				s.write([]byte("<"))
				s.sendFrom(&source{s: s, left: some(1, 3000)})
				s.write([]byte(">"))
				s.close()
			}}
		})
		if ln == nil {
			return
		}
		w.dial(ln).Expect("<" + string(some(1, 3000)) + ">").ExpectClosed()
	}},
	{"stopped reader", func(w *world) {
		ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
			s.may |= byStall
			return &channel.Handler{Connect: func(*channel.Conn) { s.write(some(1, 700_000)) }}
		})
		if ln == nil {
			return
		}
		p := w.dial(ln).StopReading()
		w.rest()
		p.StartReading().HalfClose()
		w.rest()
		w.pass(2 * time.Minute)
	}},
	{"stalled", func(w *world) {
		ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
			s.may |= byStall
			return &channel.Handler{Connect: func(*channel.Conn) { s.write(some(1, 500_000)) }}
		})
		if ln == nil {
			return
		}
		w.leaves[w.dial(ln).StopReading()] = true
		w.rest()
		w.pass(5 * time.Minute)
		for _, s := range w.sessions {
			if !s.closed && !w.Faulted() {
				w.Errorf("%v: %d bytes wait, and nobody has taken any for minutes", s, s.c.Buffered())
			}
		}
	}},
	{"mob", func(w *world) {
		w.MayPanic()
		ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) {
				switch p[0] {
				case 'p':
					s.may |= byPanic
					panic("as asked for")
				case 'a':
					s.abort()
				case 'r':
					s.reset()
				case 'f':
					s.fail(errOurs)
				}
			}}
		})
		if ln == nil {
			return
		}
		for _, what := range []string{"p", "a", "r", "f"} {
			w.leaves[w.dial(ln).Send(what)] = true
		}
		w.rest()
	}},
	{"listener", func(w *world) {
		ln := w.listen(&channel.ListenConfig{MaxConns: 1}, "tcp", ":7", echoing)
		if ln == nil {
			return
		}
		a := w.dial(ln).Send("a")
		b := w.dial(ln).Send("b")
		a.Expect("a").HalfClose().ExpectClosed()
		if !w.Faulted() { // b has to wait for a
			b.Expect("b").HalfClose().ExpectClosed()
		}
		ln.Close()
	}},
	{"dial", func(w *world) {
		w.serve("tcp", "10.0.0.1:7", echoing)
		d := &channel.Dialer{Lookup: func(_ context.Context, network, _ string) ([]netip.Addr, error) {
			if network == "ip4" {
				return []netip.Addr{loop4, good}, nil
			}
			return []netip.Addr{loop6}, nil
		}}
		s := w.connect(d, "tcp", "name:7", func(s *session) *channel.Handler {
			s.may |= byClose | byName
			return &channel.Handler{
				Connect: func(c *channel.Conn) { c.WriteString("hello") },
				Read:    func(*channel.Conn, []byte) { s.close() },
			}
		})
		w.rest()
		w.pass(30 * time.Second)
		if !s.closed && !w.Faulted() {
			w.Errorf("the dial does not end")
		}
	}},
	{"udp", func(w *world) { exchange(w, "udp", "127.0.0.1:53") }},
	{"unixgram", func(w *world) { exchange(w, "unixgram", "/run/packets") }},
	{"timer", func(w *world) {
		n := 0
		w.l.After(time.Second, func() { n++ })
		w.l.Post(func() { n++ })
		w.l.Offload(func() error { return nil }, func(error) { n++ })
		if w.pass(2 * time.Second); n != 3 {
			w.Errorf("%d of 3 have run", n)
		}
	}},
}

// echoing is an accept function.
func echoing(s *session) *channel.Handler {
	return &channel.Handler{Read: func(c *channel.Conn, p []byte) { s.write(p) }}
}

// exchange is a packet and its answer.
func exchange(w *world, network, address string) {
	w.packets = true
	closed := 0
	h := func(answers bool) *channel.PacketHandler {
		return &channel.PacketHandler{
			Packet: func(c *channel.PacketConn, p []byte, from channel.PacketAddr, _ bool) {
				if answers {
					c.WriteTo(p, from)
				} else {
					c.Close()
				}
			},
			Close: func(*channel.PacketConn, error) { closed++ },
		}
	}
	server, err := channel.ListenPacket(w.l, network, address, h(true))
	if err != nil {
		if !w.Faulted() {
			w.Errorf("%v", err)
		}
		return
	}
	client, err := channel.DialPacket(w.l, network, address, h(false))
	if err != nil {
		if !w.Faulted() {
			w.Errorf("%v", err)
		}
		return
	}
	client.Write([]byte("ping"))
	client.Write(nil)
	w.rest()
	server.Close()
	client.Close()
	w.pass(time.Minute)
	if closed != 2 {
		w.Errorf("%d of 2 were closed", closed)
	}
}

// TestSweep has each call of the small scenarios fail in each way in which it can.
func TestSweep(t *testing.T) {
	for _, f := range small {
		t.Run(f.name, func(t *testing.T) {
			oneOf(t)
			asynctest.EveryFault(t, scenario(f.play, asynctest.None))
		})
	}
}
