package proof

import (
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
)

// stuff is bytes of which no two stretches are alike.
var stuff = func() []byte {
	p := make([]byte, 1<<20)
	x := uint32(1)
	for i := range p {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		p[i] = byte(x)
	}
	return p
}()

// some returns n bytes that are the id's.
func some(id, n int) []byte {
	from := id * 1009 % (len(stuff) / 2)
	return stuff[from : from+n]
}

// lengths are how long what a peer sends may be; most are short, since in a world
// of one-byte buffers each byte is a turn.
var lengths, longer = []int{5, 0, 1, 100, 300, 700}, []int{4096, 17_000, 70_000}

func (w *world) length() int {
	if w.Choose(50) == 49 && w.local {
		return longer[w.Choose(len(longer))]
	}
	return lengths[w.Choose(len(lengths))]
}

// places are where a server may listen.
var places = []struct{ network, address string }{
	{"tcp", ":7"}, {"tcp", "10.0.0.1:7"}, {"tcp4", ":7"}, {"tcp", "127.0.0.1:7"}, {"tcp", "[::1]:7"}, {"unix", "/run/server"}, {"unix", "@server"},
}

// place draws where to listen.
func (w *world) place() struct{ network, address string } {
	i := w.Choose(len(places))
	w.local = i >= 3
	return places[i]
}

// pauses of a peer.
func (w *world) pause() time.Duration {
	if w.Choose(4) == 3 {
		return 3 * time.Second // as some timeouts are
	}
	return time.Duration(w.Choose(3000)) * time.Millisecond
}

// client is a peer of a server that answers each byte with itself, and what it
// is to have in the end.
type client struct {
	p    *asynctest.Peer
	sent []byte
	all  bool // it must have all of it
	end  bool // and the end
}

// echoes is a server that sends back what it gets, with peers of all sorts.
func echoes(w *world) {
	at := w.place()
	answerEOF := w.Choose(2) == 1
	urgent := w.Choose(2) == 1
	pieces := w.Choose(3)
	ln := w.serve(at.network, at.address, func(s *session) *channel.Handler {
		s.c.SetWriteTimeout(-1) // a byte at a time is slow
		h := &channel.Handler{Read: func(c *channel.Conn, p []byte) {
			switch pieces {
			case 1: // one byte is given back
				if len(p) > 1 {
					c.Unread(p[len(p)-1:])
					c.Redeliver()
					p = p[:len(p)-1]
				}
			case 2:
				s.write(p[:len(p)/2])
				p = p[len(p)/2:]
			}
			s.write(p)
		}}
		if urgent {
			h.Urgent = func(_ *channel.Conn, b byte) {
				hit(41)
				if b != '!' {
					w.Errorf("%v: the urgent byte is %q", s, b)
				}
			}
		}
		if answerEOF {
			h.EOF = func(c *channel.Conn) { s.close() }
		}
		return h
	})
	if ln == nil {
		return
	}
	var clients []*client
	for range 1 + w.Choose(6) {
		clients = append(clients, w.client(ln, kindsOfClient))
	}
	w.rest()
	for _, c := range clients {
		c.check(w)
	}
}

// kindsOfClient is how many there are; the last one is only for who answers each
// byte with itself.
const kindsOfClient = 10

// client draws a peer.
func (w *world) client(ln *channel.Listener, kinds int) *client {
	c := &client{p: w.dial(ln), all: true, end: true}
	c.sent = some(len(w.peers), w.length())
	p, text := c.p, string(c.sent)
	half := len(text) / 2
	kind := w.Choose(kinds)
	switch kind {
	case 0: // asks, and ends
		p.Send(text).HalfClose()
	case 1: // does not read for a while
		hit(102)
		p.StopReading().Send(text[:half]).Pause(w.pause()).StartReading().Send(text[half:]).HalfClose()
	case 2: // sends little by little
		if len(text) > 100 {
			text = text[:100]
			c.sent = c.sent[:100]
		}
		p.Chop(1, 1+w.Choose(7)).Send(text).HalfClose()
	case 3: // stays
		p.Send(text)
		c.end = false
	case 4: // goes without waiting for answers
		p.Send(text).Close()
		c.all, c.end, w.leaves[p] = false, false, true
	case 5: // breaks off
		hit(104)
		p.Send(text).Pause(w.pause()).Reset()
		c.all, c.end, w.leaves[p] = false, false, true
	case 6: // says nothing
		p.Pause(w.pause()).HalfClose()
		c.sent = nil
	case 7: // never reads
		p.StopReading().Send(text)
		c.all, c.end, w.leaves[p] = false, false, true
	case 8: // an urgent byte in between, which is nobody's
		p.Send(text[:half])
		if ln.Addr().Network() == "tcp" {
			p.Urgent('!')
		}
		p.Send(text[half:]).HalfClose()
	case 9: // asks again when it was answered
		p.Send(text[:half]).Expect(text[:half]).Send(text[half:]).HalfClose()
		c.sent = c.sent[half:]
		c.p = p
		p.Expect(text[half:]).ExpectClosed()
		c.all, c.end = false, false
	}
	return c
}

// check wants a peer to have what it is to have.
func (c *client) check(w *world) {
	got := c.p.Received()
	switch {
	case c.p.Faulted():
	case c.all && len(got) != len(c.sent):
		w.Errorf("%v has received %d bytes of %d", c.p, len(got), len(c.sent))
	case c.all && string(got) != string(c.sent):
		w.Errorf("%v has received other bytes than it has sent", c.p)
	case c.end:
		c.p.Expect(string(c.sent)).ExpectClosed()
	}
}
