package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// guest is a member of a simulated room.
type guest struct {
	*asynctest.Peer
	name string
	said []string
}

// simRoom is a room in a world.
type simRoom struct {
	*asynctest.World
	*room
	ln     *channel.Listener
	guests []*guest // in the order in which they came
}

func newSimRoom(w *asynctest.World) *simRoom {
	r := newRoom()
	return &simRoom{World: w, room: r, ln: w.Serve("tcp", ":7008", chat.Accept(r.accept))}
}

// come has one more enter. All who are there hear of it.
func (s *simRoom) come() *guest {
	g := &guest{Peer: s.Dial(s.ln), name: fmt.Sprintf("g%d", len(s.guests))}
	s.guests = append(s.guests, g)
	g.Send(g.name + "\r\n").Expect("* Your name?\r\n* " + g.name + " has come in\r\n")
	return g
}

func (g *guest) say(text string) {
	g.said = append(g.said, text)
	g.Send(text + "\r\n")
}

// heard is what a guest was sent since he came in, line by line; a last one without
// an end is left out.
func (g *guest) heard() []string {
	lines := strings.Split(string(g.Received()), "\r\n")
	return lines[:len(lines)-1]
}

// saidBy picks the lines of somebody.
func saidBy(name string, lines []string) (said []string) {
	for _, line := range lines {
		if text, ok := strings.CutPrefix(line, name+": "); ok {
			said = append(said, text)
		}
	}
	return said
}

func (s *simRoom) until(so func() bool) { exampletest.Until(s.World, so) }

// heardAll tells whether all that a guest's neighbours have said has come to him.
// From one who was lost it is a part, to one who was lost perhaps nothing.
func (s *simRoom) heardAll(g *guest) bool {
	return g.Faulted() || !slices.ContainsFunc(s.guests, func(o *guest) bool {
		return o != g && !o.Faulted() && len(saidBy(o.name, g.heard())) < len(o.said)
	})
}

// check compares what a guest has heard with what was said while he was there.
func (s *simRoom) check(g *guest) {
	for _, o := range s.guests {
		said, heard := o.said, saidBy(o.name, g.heard())
		switch {
		case o == g:
			said = nil
		case g.Faulted() || o.Faulted():
			said = said[:min(len(heard), len(said))]
		}
		if !slices.Equal(said, heard) {
			s.Errorf("%s has heard %q of %s, who said %q", g.name, heard, o.name, said)
		}
		comes, goes := count(g, "* "+o.name+" has come in"), count(g, "* "+o.name+" has left")
		if comes > 1 || goes > 1 {
			s.Errorf("%s was told %d times that %s comes, and %d times that he goes", g.name, comes, o.name, goes)
		}
		if at := slices.Index(g.heard(), "* "+o.name+" has left"); at >= 0 && saidBy(o.name, g.heard()[at:]) != nil {
			s.Errorf("%s heard %s, who had left", g.name, o.name)
		}
	}
}

func count(g *guest, line string) (n int) {
	for _, heard := range g.heard() {
		if heard == line {
			n++
		}
	}
	return n
}

// empty tells that the room has forgotten all who were in it.
func (s *simRoom) empty() bool { return len(s.members)+len(s.names) == 0 }

// TestSimTalk: each hears all that the others say, in the order in which they say it.
func TestSimTalk(t *testing.T) {
	exampletest.Worlds(t, 50, func(w *asynctest.World) {
		s := newSimRoom(w)
		for range 2 + w.Choose(4) {
			s.come()
		}
		for i := range w.Choose(40) {
			g := s.guests[w.Choose(len(s.guests))]
			g.Chop(0, w.Choose(8))
			g.say(fmt.Sprint(i, strings.Repeat(".", w.Choose(100))))
		}
		for _, g := range s.guests {
			s.until(func() bool { return s.heardAll(g) })
		}
		for _, g := range s.guests {
			s.check(g)
		}
		s.leave()
	})
}

// leave has all go, one after the other, each in a way of his own. Those who are
// left are told.
func (s *simRoom) leave() {
	for i, g := range s.guests {
		s.Advance(10 * time.Second) // what breaks a connection off is lost where the network is broken
		switch s.Choose(3) {
		case 0:
			g.Send("/quit\r\n")
		case 1:
			g.Close()
		case 2:
			g.Reset()
		}
		s.until(func() bool { return s.names[g.name] == nil })
		for _, o := range s.guests[i+1:] {
			s.until(func() bool { return o.Faulted() || g.Faulted() || count(o, "* "+g.name+" has left") == 1 })
			s.check(o)
		}
	}
	s.until(s.empty)
}

// TestSimDeaf: a member who does not read is dropped when too much waits for him, and
// nobody else notices.
func TestSimDeaf(t *testing.T) {
	for _, poller := range []string{"epoll", "kqueue", "poll", "select"} {
		asynctest.Run(t, asynctest.Config{Poller: poller}, func(w *asynctest.World) {
			s := newSimRoom(w)
			s.rate = 0
			talker, listener, deaf := s.come(), s.come(), s.come()
			deaf.StopReading()
			for i := range 800 { // more than the limit and two sockets' buffers
				talker.say(fmt.Sprint(i, strings.Repeat(".", 990)))
			}
			s.until(func() bool { return s.heardAll(listener) })
			if s.until(func() bool { return s.names[deaf.name] == nil }); s.Now() > 10*time.Second {
				s.Errorf("dropped at %v", s.Now())
			}
			s.until(func() bool { return count(talker, "* g2 has left") == 1 && count(listener, "* g2 has left") == 1 })
			s.check(listener)
			deaf.StartReading()
			s.Quiesce()
			if heard := saidBy(talker.name, deaf.heard()); !slices.Equal(heard, talker.said[:len(heard)]) {
				s.Errorf("the deaf one has been sent other lines than were said, or in another order")
			}
			listener.say("finally")
			s.until(func() bool { return s.heardAll(talker) })
		})
	}
}

// TestSimTooFast: who says more than he may is listened to more slowly, and loses
// nothing by that.
func TestSimTooFast(t *testing.T) {
	exampletest.Worlds(t, 50, func(w *asynctest.World) {
		s := newSimRoom(w)
		talker, listener := s.come(), s.come()
		began, n := w.Now(), (burst+10)*s.rate
		for i := range n {
			talker.say(fmt.Sprint(i))
		}
		s.until(func() bool { return s.heardAll(listener) })
		s.check(listener)
		if took := w.Now() - began; !talker.Faulted() && !listener.Faulted() && took < 9*time.Second {
			w.Errorf("%d lines in %v", n, took)
		}
	})
}

// TestSimFlood: and is thrown out if he goes on for too long.
func TestSimFlood(t *testing.T) {
	asynctest.Run(t, asynctest.Config{}, func(w *asynctest.World) {
		s := newSimRoom(w)
		g := s.come()
		g.Send(strings.Repeat("!\r\n", s.rate*int(2*patience/time.Second)))
		if g.ExpectClosed(); w.Now() < patience || w.Now() > patience+5*time.Second {
			w.Errorf("thrown out at %v", w.Now())
		}
	})
}

// TestSimSilent: who does not give his name in a minute is closed, however slowly he
// gives it.
func TestSimSilent(t *testing.T) {
	asynctest.Run(t, asynctest.Config{Faults: asynctest.Benign}, func(w *asynctest.World) {
		s := newSimRoom(w)
		ok := s.come()
		silent, slow := w.Dial(s.ln), w.Dial(s.ln).Chop(1, 1)
		for range 20 {
			slow.Send("x").Pause(nameTime / 15)
		}
		silent.Expect("* Your name?\r\n").ExpectClosed()
		slow.Expect("* Your name?\r\n").ExpectClosed()
		if w.Now() < nameTime || w.Now() > nameTime+10*time.Second {
			w.Errorf("closed at %v", w.Now())
		}
		ok.say("I have as long as I want")
		if len(s.members) != 1 {
			w.Errorf("%d members", len(s.members))
		}
	})
}

// TestSimGuests: so many come from one address, and one more when another has gone.
func TestSimGuests(t *testing.T) {
	exampletest.Worlds(t, 100, func(w *asynctest.World) {
		r := newRoom()
		r.guests.Most = 2
		ln := w.Serve("tcp", "127.0.0.1:7008", chat.Accept(r.accept))
		first := w.Dial(ln).Expect("* Your name?\r\n")
		w.Dial(ln).Expect("* Your name?\r\n")
		third := w.Dial(ln)
		if w.Advance(5 * time.Second); w.Faulted() {
			return // there may be room for more
		}
		third.ExpectClosed()
		first.Close()
		w.Advance(5 * time.Second)
		w.Dial(ln).Expect("* Your name?\r\n")
	})
}

func TestSimEveryFault(t *testing.T) {
	asynctest.EveryFault(t, func(w *asynctest.World) {
		s := newSimRoom(w)
		a, b := s.come(), s.come()
		a.say("hello")
		b.say("who is there?")
		a.Send("/who\r\n/msg g1 psst\r\n/nick other\r\n")
		s.until(func() bool { return s.heardAll(a) && s.heardAll(b) })
		s.check(a)
		s.check(b)
		a.Send("/quit\r\n")
		b.Close()
		s.until(func() bool { return w.Faulted() || s.empty() })
	})
}

func TestSimSegmentations(t *testing.T) {
	const lines = "two names\r\nann\r\n/who\r\nhello\r\n\r\n\xff\xfd\x01/msg ann to me\r\n/nick Eve\r\n/nick\r\n/no\r\n"
	accept := func(c *channel.Conn) *channel.Handler { return chat.Accept(newRoom().accept)(c) }
	asynctest.Segmentations(t, accept, lines+strings.Repeat("x", lineLimit+1)+"\r\n/quit\r\n", nil)
}
