package channel

import "bytes"

// Pipe couples a and b: what either reads, the other sends, for as long as both
// live. It is a.PipeTo(b) and b.PipeTo(a), so that the end of either's input
// becomes the end of the other's output (half-close). When one has closed, for
// whatever reason, the other sends what has come and closes, or gives up where it
// is still connecting; when both ends have ended, both close with nil.
//
// An end that is ended itself before its source's input was over, by a timeout,
// Abort or the loop, resets its TCP connection, so that its peer does not take a
// part for the whole. Its partner sends what has come, the last words of a peer
// that failed perhaps, and an ordinary end: where that is not right, call Reset
// of the one in the Close of the other.
//
// Either may still be connecting. To end the coupling with both alive, or before
// Detach, give both a new handler with SetHandler, and Resume both: an end that is
// given away ends the other, and takes no more from it.
func Pipe(a, b *Conn) {
	a.PipeTo(b)
	b.PipeTo(a)
}

// PipeTo has to send what c reads; a byte that c's handler gives back with Unread
// before is the first. The end of c's input, or of c, becomes the end of to's
// output (CloseWrite). When to has closed, c does.
//
// c is not read while to has more queued than its high water, so that a slow sink
// holds a fast source back and memory is bounded: by to's mark and one read of up
// to 256 KiB. What to reads does not wait for that: PipeTo makes to's high mark
// negative, see SetWater. c's Pause and Resume are PipeTo's from here on. A Conn
// that is held back moves no bytes, which its idle timeout counts.
//
// Of c's handler all but Read and EOF stay, of to's all but Write, and Close still
// tells of each end. BytesRead and BytesWritten count. Both must be of one loop,
// and have their handlers: call it not in the function that accepts a Conn, but
// in the Connect of the Handler that it returns.
func (c *Conn) PipeTo(to *Conn) {
	c.e.Check()
	switch {
	case to == nil || c == to || c.hub != to.hub:
		panic("channel: PipeTo: not two Conns of one loop")
	case c.h == discard || to.h == discard:
		panic("channel: PipeTo: in an accept function")
	case c.is(noRead) || to.is(noWrite):
		panic("channel: PipeTo: source not open for reading, or sink not for writing")
	}
	c.becomeSource(to)
	to.becomeSink(c)
	c.feed(to)
}

func (c *Conn) becomeSource(to *Conn) {
	h := *c.h
	h.Read = func(_ *Conn, p []byte) {
		if to.is(risen) {
			c.Unread(p) // it has other output, a producer's or the user's
		} else {
			to.Write(p)
		}
		if to.is(risen) {
			c.Pause()
		}
	}
	h.EOF = func(*Conn) { to.CloseWrite() }
	closed := h.Close
	h.Close = func(_ *Conn, err error) {
		to.CloseWrite()
		if closed != nil {
			closed(c, err)
		}
	}
	c.SetHandler(&h)
	c.state |= piped
}

func (c *Conn) becomeSink(from *Conn) {
	w := *c.water
	w.high = max(w.mark(), 1) // there is no -0
	if w.hard >= 0 {
		w.hard = max(w.hard, w.high)
	}
	c.SetWater(w.low, -w.high, w.hard)
	h := *c.h
	h.Write = func(*Conn) { from.Resume() }
	closed := h.Close
	h.Close = func(_ *Conn, err error) {
		from.Close()
		if closed != nil {
			closed(c, err)
		}
	}
	c.SetHandler(&h)
	c.state |= piped
}

// feed starts with what has been before. Who has ended may have told that to
// another handler.
func (c *Conn) feed(to *Conn) {
	switch {
	case to.is(ended | finished):
		c.Close()
	case c.is(ended | finished):
		to.CloseWrite()
	case c.is(atEOF):
		if tail := c.takeTail(); len(tail) > 0 {
			to.SendFrom(bytes.NewReader(tail)) // nothing reads it any more
		}
		to.CloseWrite()
	case to.is(risen):
		c.Pause()
	default:
		c.Resume()
	}
}
