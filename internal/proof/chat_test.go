package proof

import (
	"strings"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
)

// alphabet is what frames are made of: all that delimiters have, and little else.
const alphabet = "\r\n.a\x00\x01\x02"

// delims overlap themselves and each other.
var delims = []string{"\r\n", "\n", "\r\n.\r\n", "aa", "\r\r\n", "a.a", "\x00", ".", "\r\n\r\n"}

// cuts draws a round of terminators.
func (w *world) cuts() []cut {
	var all []cut
	limits := []int{8192, 100, 20, 9, 5}
	for range 1 + w.Choose(4) {
		limit, truncate := limits[w.Choose(len(limits))], w.Choose(3) == 2
		var c cut
		switch w.Choose(5) {
		case 0:
			c = line(limit, truncate)
		case 1:
			c = delim(delims[w.Choose(len(delims))], limit, truncate)
		case 2:
			c = count(1+w.Choose(12), limit)
		case 3:
			c = prefix(1, limit, truncate)
		case 4:
			c = prefix(2, max(limit, 300), truncate)
		}
		all = append(all, c)
	}
	return all
}

// stream draws what a client sends.
func (w *world) stream() string {
	var b strings.Builder
	for range w.Choose(12) {
		switch w.Choose(4) {
		case 0:
			b.WriteString("a.line\r\n")
		case 1:
			b.WriteString(delims[w.Choose(len(delims))])
		case 2:
			for range w.Choose(20) {
				b.WriteByte(alphabet[w.Choose(len(alphabet))])
			}
		case 3:
			b.WriteString(strings.Repeat("a", 1+w.Choose(40)))
		}
	}
	return b.String()
}

// framing is a chat session's ledger.
type framing struct {
	w    *world
	s    *session
	cuts []cut

	frames []string
	parts  []byte // of the frame under way, by Collect
	hooks  [2]*chat.Handler
	tail   string
	ended  bool
	freed  int // how often it was released and attached
	closes int
}

// next ends a frame, and sets how the next one ends.
func (f *framing) next(c *chat.Conn, frame string) {
	f.frames = append(f.frames, frame)
	f.s.d.frames.take(f.w, 1, mostFrames, "frames of one Conn")
	f.parts = nil
	last := f.cuts[(len(f.frames)-1)%len(f.cuts)]
	hitIf(85, len(frame) == last.limit)
	over := frame == tooLong || last.truncate && len(frame) == last.limit // what is left of it is still to come
	c.SetTerminator(f.cuts[len(f.frames)%len(f.cuts)].t)
	if c.Channel().Buffered() < 1<<16 {
		f.s.write([]byte("."))
	}
	switch f.w.Choose(12) {
	case 8:
		hit(71)
		c.SetHandler(f.hooks[f.w.Choose(2)])
	case 9: // it answers later
		hit(77)
		f.s.paused = true
		c.Pause()
		f.w.l.After(time.Duration(f.w.Choose(50))*time.Millisecond, func() {
			f.s.paused = false
			if !f.s.closed {
				c.Resume()
			}
		})
	case 10: // another protocol, which is the same one
		if over {
			break
		}
		f.freed++
		n := len(f.frames)
		again := chat.Attach(c.Release(), f.hooks[f.w.Choose(2)])
		again.SetTerminator(f.cuts[n%len(f.cuts)].t)
	case 11:
		f.w.l.Post(func() {
			if !f.s.closed {
				c.SetFrameTimeout(time.Hour)
			}
		})
	}
}

// handlers makes one that gets whole frames and one that gets pieces.
func (f *framing) handlers() {
	eof := func(c *chat.Conn) {
		f.tail, f.ended = string(f.parts)+string(c.Tail()), true
		f.s.may |= byClose
		c.Close()
	}
	long := func(c *chat.Conn) {
		if len(f.parts) > f.cuts[len(f.frames)%len(f.cuts)].limit {
			f.w.Errorf("%v: a frame that is too long has given %d bytes", f.s, len(f.parts))
		}
		hit(86)
		f.next(c, tooLong)
	}
	closed := func(_ *chat.Conn, err error) {
		if f.closes++; f.closes > 1 {
			f.w.Errorf("%v: Close twice", f.s)
		}
		if !f.s.closed { // its Handler is not the first one any more
			f.s.ended(err)
		}
	}
	f.hooks[0] = &chat.Handler{
		Message: func(c *chat.Conn, msg []byte) {
			hitIf(89, len(msg) == 0)
			f.check("message")
			f.next(c, string(f.parts)+string(msg))
		},
		TooLong: long, EOF: eof, Close: closed,
	}
	f.hooks[1] = &chat.Handler{
		Collect: func(c *chat.Conn, data []byte) {
			f.check("collect")
			if len(data) == 0 {
				f.w.Errorf("%v: an empty piece", f.s)
			}
			f.parts = append(f.parts, data...)
		},
		Message: func(c *chat.Conn, msg []byte) {
			f.check("message")
			f.next(c, string(f.parts))
		},
		TooLong: long, EOF: eof, Close: closed,
	}
}

func (f *framing) check(hook string) {
	switch {
	case f.s.closed:
		f.w.Errorf("%v: %s after Close", f.s, hook)
	case f.s.paused:
		f.w.Errorf("%v: %s while paused", f.s, hook)
	case f.ended:
		f.w.Errorf("%v: %s after EOF", f.s, hook)
	}
}

// chats is a server whose terminators change with each frame, and clients that
// send pieces of what could be one.
func chats(w *world) {
	cuts := w.cuts()
	hit(83)
	byIP := map[string]*framing{}
	ln := w.serve("tcp", ":7", framed(w, func(s *session, c *chat.Conn) *chat.Handler {
		f := &framing{w: w, s: s, cuts: cuts}
		s.framed = true
		s.may |= byClose
		s.c.SetWriteTimeout(-1)
		f.handlers()
		c.SetTerminator(cuts[0].t)
		if s.peer != nil {
			byIP[s.peer.String()] = f
		}
		return f.hooks[w.Choose(2)]
	}))
	if ln == nil {
		return
	}
	type asker struct {
		name string
		sent string
		p    interface{ Faulted() bool }
	}
	var askers []asker
	for range 1 + w.Choose(3) {
		p := w.dial(ln)
		text := w.stream()
		hitIf(87, strings.Contains(text, "\x00"))
		hitIf(80, strings.Contains(text, "\r\n.\r"))
		p.Chop(1, 1+w.Choose(9))
		if w.Choose(3) == 2 {
			p.Chop(0, 0)
			hit(79)
		} else {
			hit(78)
		}
		p.Send(text).HalfClose()
		askers = append(askers, asker{p.String(), text, p})
	}
	w.rest()
	for _, a := range askers {
		f := byIP[a.name]
		if f == nil || a.p.Faulted() {
			continue
		}
		frames, tail, lost := split(a.sent, cuts)
		if len(f.frames) > len(frames) || !f.ended && len(f.frames) != len(frames) || f.ended && len(f.frames) != len(frames) {
			w.Errorf("%s: %d frames, the reference has %d: %q and %q (cuts %v) of %q", a.name, len(f.frames), len(frames), f.frames, frames, terminators(cuts), a.sent)
			continue
		}
		for i := range f.frames {
			if f.frames[i] != frames[i] {
				w.Errorf("%s: frame %d is %q, the reference has %q (cuts %v) of %q", a.name, i, f.frames[i], frames[i], terminators(cuts), a.sent)
			}
		}
		hitIf(90, f.ended && tail != "")
		if f.ended && !lost && f.freed == 0 && !strings.HasSuffix(tail, f.tail) { // a prefix need not be kept
			w.Errorf("%s: the rest is %q, the reference has %q (cuts %v) of %q", a.name, f.tail, tail, terminators(cuts), a.sent)
		}
	}
}

func terminators(cuts []cut) (all []string) {
	for _, c := range cuts {
		all = append(all, c.t.String())
	}
	return all
}

// framed makes of a chat's accept function a session's.
func framed(w *world, accept func(s *session, c *chat.Conn) *chat.Handler) func(s *session) *channel.Handler {
	return func(s *session) *channel.Handler {
		return chat.Accept(func(c *chat.Conn) *chat.Handler { return accept(s, c) })(s.c)
	}
}
