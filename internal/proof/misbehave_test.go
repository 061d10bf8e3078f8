package proof

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
)

var errOurs = errors.New("we are through with it")

// mob is a server whose callbacks do what they should not, to themselves and to
// others.
type mob struct {
	w    *world
	ln   *channel.Listener
	rate int // of 100 callbacks, how many do something
	acts int // left
}

// misbehave draws what a callback does. self is the Conn whose callback it is, nil
// for a timer's or a post's.
func (m *mob) misbehave(self *session, hook string) {
	w := m.w
	if m.acts == 0 || w.Choose(100) < 100-m.rate {
		return
	}
	m.acts--
	target := self
	if n := w.Choose(1 + len(w.sessions)); n > 0 || self == nil {
		target = w.sessions[max(n, 1)-1]
	}
	if target == nil || target.refused && target != self {
		return
	}
	own := target == self
	c := target.c
	switch w.Choose(20) {
	case 0:
		w.Logf("%v: %s writes to %v", self, hook, target)
		hitIf(65, own)
		target.write(some(int(c.ID())+target.wrote, 1+w.Choose(300)))
	case 1:
		w.Logf("%v: %s closes %v", self, hook, target)
		m.probeClose(self, target, hook)
		err := target.close()
		if target.closed && !errors.Is(err, net.ErrClosed) {
			w.Errorf("%v: Close of a closed Conn: %v", target, err)
		}
		if err := target.write([]byte("x")); err == nil {
			w.Errorf("%v: a Write after Close was taken", target)
		}
		hit(68)
	case 2:
		w.Logf("%v: %s aborts %v", self, hook, target)
		m.probeClose(self, target, hook)
		target.abort()
	case 3:
		target.reset()
	case 4:
		target.fail(errOurs)
	case 5:
		hit(61)
		hitIf(62, hook == "close")
		hitIf(76, hook == "accept")
		w.Logf("%v: %s panics", self, hook)
		if self != nil && hook != "close" {
			self.may |= byPanic
			self.panicked = true
			self.gone = true
		}
		m.w.panics++
		panic(fmt.Sprintf("%s of %v", hook, self))
	case 6:
		hitIf(60, !own)
		if !target.closed {
			target.pause()
			w.l.After(time.Duration(w.Choose(3000))*time.Millisecond, func() {
				if !target.closed {
					target.resume()
				}
			})
		}
	case 7:
		if !target.closed {
			target.resume()
		}
	case 8:
		hit(58)
		m.timer(0)
	case 9:
		m.timer(time.Duration(w.Choose(2000)) * time.Millisecond)
	case 10:
		m.post()
	case 11:
		if m.ln != nil && w.Choose(2) == 1 {
			hitIf(56, hook == "accept")
			m.ln.Close()
		}
	case 12:
		hit(58)
		m.dial()
	case 13:
		w.Logf("%v: %s stops the loop", self, hook)
		w.l.Stop() // which only ends Run
	case 14:
		if m.ln != nil {
			m.ln.Pause()
			w.l.After(time.Duration(w.Choose(500))*time.Millisecond, func() { m.ln.Resume() })
		}
	case 15:
		if !target.closed {
			target.shutWrite()
		}
	case 16:
		if w.Choose(4) == 3 {
			hit(57)
			w.Logf("%v: %s closes the loop", self, hook)
			w.halted = true
			w.l.Close()
		}
	case 17:
		if err := w.l.Poll(0); err == nil {
			w.Errorf("Poll in a callback")
		} else {
			hit(66)
		}
	case 18:
		if !target.closed && target.accepted {
			hit(71)
			c.SetHandler(target.watch(m.handler(target)))
		}
	case 19:
		if self != nil && !target.closed {
			c.Redeliver()
		}
	}
}

func (m *mob) probeClose(self, target *session, hook string) {
	hitIf(53, self == target && hook != "close")
	hitIf(54, self == target && hook == "close")
	hitIf(55, self != target)
	hitIf(69, !target.connected)
}

// aside runs what no Conn's callback is.
func (m *mob) aside(hook string) {
	m.w.depth++
	if m.w.depth > 1 {
		m.w.Errorf("a %s inside a callback of %v", hook, m.w.current)
	}
	defer func() { m.w.depth-- }()
	m.misbehave(nil, hook)
}

func (m *mob) timer(d time.Duration) {
	set := m.w.l.Now()
	m.w.l.After(d, func() {
		if now := m.w.l.Now(); now < set+d {
			m.w.Errorf("a timer of %v has run after %v", d, now-set)
		}
		m.aside("timer")
	})
}

func (m *mob) post() { m.w.l.Post(func() { m.aside("post") }) }

func (m *mob) dial() {
	if m.ln == nil {
		return
	}
	m.w.connect(&channel.Dialer{}, "tcp", m.ln.Addr().String(), func(s *session) *channel.Handler { return m.handler(s) })
}

// handler is one that misbehaves.
func (m *mob) handler(s *session) *channel.Handler {
	h := &channel.Handler{
		Connect: func(*channel.Conn) { m.misbehave(s, "connect") },
		Read: func(c *channel.Conn, p []byte) {
			if s.accepted && c.Buffered() < 1000 { // one of two that know each other
				s.write(p[:min(len(p), 100)])
			}
			m.misbehave(s, "read")
			if m.w.Choose(10) == 9 {
				c.Unread(p[len(p)/2:])
			}
		},
		Write:  func(*channel.Conn) { m.misbehave(s, "write") },
		Urgent: func(*channel.Conn, byte) { m.misbehave(s, "urgent") },
		Close:  func(*channel.Conn, error) { m.misbehave(s, "close") },
	}
	s.may |= byClose
	if m.w.Choose(2) == 0 {
		h.EOF = func(*channel.Conn) {
			m.misbehave(s, "eof")
			s.close()
		}
	}
	return h
}

// mobs is a server of misbehaving callbacks.
func mobs(w *world) {
	w.MayPanic()
	m := &mob{w: w, rate: []int{5, 20, 50, 90}[w.Choose(4)], acts: 1 + w.Choose(30)}
	m.ln = w.serve("tcp", ":7", func(s *session) *channel.Handler {
		s.c.SetWriteTimeout(-1)
		h := m.handler(s)
		m.misbehave(s, "accept")
		return h
	})
	if m.ln == nil {
		return
	}
	for range 1 + w.Choose(5) {
		w.client(m.ln, kindsOfClient-1)
	}
	w.rest()
	w.pass(time.Minute)
	if got := w.l.Stats().Panics; got != w.panics {
		w.Errorf("the loop counts %d panics, there were %d", got, w.panics)
	}
	for _, s := range w.sessions {
		if s.panicked && !s.closed {
			w.Errorf("%v: a callback of it has panicked, and it lives", s)
		}
	}
	if w.Choose(2) == 1 && !w.halted {
		w.Logf("the loop closes in a callback")
		w.l.Post(func() { w.halted = true; w.l.Close() })
		w.pass(time.Second)
	}
}
