package proof

import (
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
)

// hoards is a server that gives back what it cannot use yet, be it for long, and
// one that answers early: while its peer still sends, and reads slowly.
func hoards(w *world) {
	ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
		s.c.SetWriteTimeout(-1)
		enough := []int{1, 10, 300, 3000, 1 << 30}[w.Choose(5)]
		early := w.Choose(3) == 2
		seen := 0
		give := func(p []byte) {
			if s.peer != nil && seen+len(p) > len(w.sends[s.peer]) || string(p) != w.sends[s.peer][seen:seen+len(p)] {
				w.Errorf("%v: other bytes than were sent, from %d on", s, seen)
			}
			seen += len(p)
		}
		return &channel.Handler{
			Connect: func(c *channel.Conn) {
				if !early {
					return
				}
				s.pause() // what has come by then is unread when it closes
				w.l.After(time.Second, func() {
					if !s.closed {
						s.write(some(int(c.ID()), 3000))
						s.gone = true // what it sends from then on may cost it the answer
						s.close()
					}
				})
			},
			Read: func(c *channel.Conn, p []byte) {
				if len(p) < enough {
					c.Unread(p)
					return
				}
				n := 1 + w.Choose(len(p))
				give(p[:n])
				c.Unread(p[n:])
			},
			EOF: func(c *channel.Conn) {
				give(c.Tail())
				s.write([]byte("."))
				s.close()
			},
		}
	})
	if ln == nil {
		return
	}
	for range 1 + w.Choose(3) {
		p := w.dial(ln)
		n := []int{100, 1000, 9000, 40_000}[w.Choose(4)]
		text := string(some(len(w.peers), n))
		w.sends[p] = text
		if w.Choose(2) == 1 {
			p.StopReading()
		}
		p.Send(text[:n/2]).Pause(w.pause()).Send(text[n/2:]).StartReading().HalfClose()
	}
	w.rest()
	w.pass(time.Minute)
	for _, s := range w.sessions {
		p := s.peer
		if !s.closed || s.err != nil || p == nil || p.Faulted() || w.Faulted() || s.d.nothing == s.endedIn || s.endedAt > 20*time.Second || w.faults != asynctest.Benign {
			continue // or it was told that there is no input, which need not be so, or it has waited for long
		}
		if len(p.Received()) != len(s.out()) {
			w.Errorf("%v: closed with nil, and %v has %d bytes of %d", s, p, len(p.Received()), len(s.out()))
		}
	}
}
