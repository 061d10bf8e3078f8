package chat

import (
	"errors"
	"io"
	"net"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
)

// ErrTooLong is the reason for which a Conn closes when a frame is longer than
// its terminator's limit and nothing else is to be done about that.
var ErrTooLong = errors.New("chat: frame too long")

var (
	errMalformed  = errors.New("chat: length prefix overflows 64 bits")
	errNoProgress = errors.New("chat: frames without a byte follow each other for ever")
)

// turnBudget is how many frames of one Conn may come in a turn, so that a peer
// that sends small ones costs the others no more than that.
const turnBudget = 256

// Conn is a channel.Conn whose input is cut into frames (asynchat's async_chat).
// Accept and Attach make it. No method may be called from another goroutine than
// the loop's.
type Conn struct {
	conn     *channel.Conn
	h        *Handler
	frames   framer
	deadline *deadline
	layer    core.Layer

	reading  bool // read is under way
	released bool
	changed  bool // the terminator, the handler or the owner
	over     bool // no frame can come any more
	cut      bool // the stream ended within a frame
}

var _ interface {
	io.WriteCloser
	io.StringWriter
	RemoteAddr() net.Addr
} = (*Conn)(nil)

// layer is the place in conn where its Conn is found.
func layer(conn *channel.Conn) *core.Layer { return *core.LayerOf(conn) }

// Accept makes of a function that gives each accepted Conn its Handler one for
// channel.Listen. accept may set a terminator and timeouts, Push, Pause and Close;
// where it returns nil the connection is refused, without a word: for a last one,
// Push, Close and return a Handler. State of a Conn's own goes there too:
//
//	s := &session{c: c}
//	return &chat.Handler{Message: s.message, Close: s.closed}
func Accept(accept func(c *Conn) *Handler) func(*channel.Conn) *channel.Handler {
	return func(conn *channel.Conn) *channel.Handler {
		c := attach(conn)
		c.h = accept(c)
		if c.h == nil {
			return nil
		}
		c.h.check("Accept")
		return c.h.callbacks()
	}
}

// Attach frames the input of a Conn that was dialled, adopted, opened or accepted,
// in the place of its Handler: from the next callback on, beginning with what it
// has given back by Unread. The Conn begins with Line as its terminator.
//
// A dial needs a Handler to begin with, which an empty one will do for:
//
//	c := chat.Attach(channel.Dial(l, "tcp", address, new(channel.Handler)), h)
//
// A client that sends its next requests before it has the answers must read those
// while its own output waits, or it and the server wait for each other: give it a
// producer, or c.Channel().SetWater(16<<10, -64<<10, 1<<20).
func Attach(conn *channel.Conn, h *Handler) *Conn {
	h.check("Attach")
	c := attach(conn)
	c.h = h
	conn.SetHandler(h.callbacks())
	return c
}

func attach(conn *channel.Conn) *Conn {
	place := core.LayerOf(conn)
	if *place != nil {
		panic("chat: Attach: " + conn.String() + " is attached already")
	}
	c := &Conn{conn: conn, frames: framer{term: Line}}
	c.layer.Owner = c
	*place = &c.layer
	return c
}

// Release ends the framing and returns the channel.Conn, for another protocol,
// Pipe or Detach. Its SetHandler, called in the same callback, says who gets what
// has been read of later frames, and what comes; without that it is thrown away.
// c must not be used any more.
func (c *Conn) Release() *channel.Conn {
	c.conn.SetHandler(new(channel.Handler))
	*core.LayerOf(c.conn) = nil
	c.released, c.changed = true, true
	c.deadline.stop()
	return c.conn
}

// Channel returns the channel.Conn, for what is not here: water marks, idle and
// write timeouts, counters, socket options. Its Handler and its input are c's:
// SetHandler and Unread are for after Release.
func (c *Conn) Channel() *channel.Conn { return c.conn }

// SetHandler replaces the callbacks, from the next one on: input that has been
// read already goes to h too. h must not be nil. In the function given to Accept
// it does nothing: what that returns counts.
func (c *Conn) SetHandler(h *Handler) {
	h.check("SetHandler")
	if c.h != nil && (h.Urgent == nil) != (c.h.Urgent == nil) {
		c.conn.SetHandler(h.callbacks())
	}
	c.h = h
	c.changed = true
	c.again()
}

// SetTerminator has what has not been given to a callback, input that has been
// read already included, end frames at t (set_terminator). It may be called in
// any callback, and outside of them. Where it comes in the middle of a frame, its
// rest is framed anew, except for that of a frame that was too long, which is
// thrown away first.
func (c *Conn) SetTerminator(t Terminator) {
	if t.kind == 0 {
		panic("chat: SetTerminator: the zero Terminator is none")
	}
	c.frames.set(t)
	c.changed = true
	c.again()
	if c.deadline != nil && !c.reading {
		c.deadline.read(false, c.frames.open(len(c.conn.Tail())), false)
	}
}

// Terminator returns what SetTerminator set (get_terminator).
func (c *Conn) Terminator() Terminator { return c.frames.term }

// again has frames come that need no further input.
func (c *Conn) again() {
	if !c.reading && !c.released && (len(c.conn.Tail()) > 0 || c.frames.due() || c.deadline.due()) {
		c.conn.Redeliver()
	}
}

// Tail returns what has been read of a frame that is not complete, and no callback
// has been given: in EOF and Close the beginning of one that never ended. It is
// valid until the callback returns.
func (c *Conn) Tail() []byte { return c.conn.Tail() }

func (c *Conn) connected() {
	if c.h.Connect != nil {
		c.h.Connect(c)
	}
	c.again()
}

// read gives the handler what there is of frames in p, and keeps the rest.
func (c *Conn) read(p []byte) {
	c.reading = true
	p, ended, held := c.deliver(p)
	if c.deadline.late() && !ended && !held && c.frames.open(len(p)) {
		c.late()
		p, _, held = c.deliver(p) // under another terminator, perhaps
		ended = true
	}
	c.reading = false
	c.conn.Unread(p)
	if c.released {
		return
	}
	if held && c.frames.due() {
		c.conn.Redeliver()
	}
	if c.deadline != nil {
		c.deadline.read(ended, c.frames.open(len(p)), held && len(p) > 0)
	}
}

// deliver gives the handler one frame of p after the other, for as long as it
// wants input. What it does not want now, and the beginning of the next frame, is
// the rest; held is true where there may be a frame in that. ended tells whether
// one has come.
func (c *Conn) deliver(p []byte) (rest []byte, ended, held bool) {
	all := len(p)
	for left := turnBudget; c.wants(); left-- {
		before := len(p)
		p, left = c.plain(p, left)
		ended = ended || len(p) < before
		if !c.wants() {
			break
		}
		if left == 0 {
			c.yield(len(p) == all)
			break
		}
		used, data, v := c.frames.next(p, c.h.Collect != nil)
		p = p[used:]
		switch v {
		case wanting:
			return p, ended, false
		case piece:
			if len(data) == 0 { // a prefix
				left++
				continue
			}
			c.piece(data)
		case complete:
			ended = true
			if c.h.Collect != nil {
				data = nil
			}
			c.h.Message(c, data)
		case dropped:
			ended = true
		case oversize:
			c.tooLong()
		case malformed:
			c.conn.Fail(errMalformed)
		}
	}
	return p, ended, true
}

// wants tells whether a frame may be delivered.
func (c *Conn) wants() bool { return !c.released && c.conn.Reading() }

// plain gives the handler those frames at the beginning of p that take a look for
// their delimiter and nothing else. It leaves the others to next, which would do
// all of them in the same way, but takes twice as long.
func (c *Conn) plain(p []byte, left int) (rest []byte, _ int) {
	t := &c.frames.term
	k := len(t.delim)
	if k == 0 || c.h.Collect != nil || c.frames.scanned > 0 || c.frames.inside || c.frames.rest != nil {
		return p, left
	}
	delim, limit, strip := t.delim, t.limit, t.kind == line
	end := 0
	for c.changed = false; left > 0 && !c.changed && c.conn.Reading(); left-- {
		end = index(p, delim[k-1], end) + 1
		body := end - k
		if end == 0 || body > limit || !ends(p[:end], delim) {
			break
		}
		if strip && body > 0 && p[body-1] == '\r' {
			body--
		}
		data := p[:body:body]
		p = p[end:]
		c.h.Message(c, data)
	}
	return p, left
}

// yield leaves the rest to the next turn.
func (c *Conn) yield(idle bool) {
	if idle {
		c.conn.Fail(errNoProgress)
		return
	}
	c.conn.Redeliver()
}

func (c *Conn) piece(data []byte) {
	if c.h.Collect != nil {
		c.h.Collect(c, data)
	} else { // a stream
		c.h.Message(c, data)
	}
}

func (c *Conn) tooLong() {
	if c.h.TooLong != nil {
		c.h.TooLong(c)
	} else {
		c.conn.Fail(ErrTooLong)
	}
}

func (c *Conn) late() {
	if c.h.Late != nil {
		c.h.Late(c)
	} else {
		c.conn.Fail(ErrFrameTimeout)
	}
}

func (c *Conn) eof() {
	c.over = true
	c.cut = c.frames.open(len(c.conn.Tail()))
	c.deadline.stop()
	switch {
	case c.h.EOF != nil:
		c.h.EOF(c)
	case c.cut:
		c.conn.Fail(io.ErrUnexpectedEOF)
	default:
		c.conn.Close()
	}
}

func (c *Conn) closed(err error) {
	c.over = true
	c.deadline.stop()
	if err == nil && c.cut {
		err = io.ErrUnexpectedEOF
	}
	if c.h.Close != nil {
		c.h.Close(c, err)
	}
}

// Push queues one frame, given in parts, whole or not at all (push). Terminator
// and prefix are the caller's to add. The parts are copied. The error is that of
// channel.Conn.Write: errors.Is finds net.ErrClosed in it after Close. Where it is
// another one the peer will get nothing any more, while what it sent before still
// comes: Abort, if that is worth nothing without an answer.
func (c *Conn) Push(parts ...[]byte) error { return c.conn.Writev(parts...) }

// PushProducer queues all that r gives until io.EOF, behind what is queued
// (push_with_producer): see channel.Conn.SendFrom.
func (c *Conn) PushProducer(r io.Reader) error { return c.conn.SendFrom(r) }

// Unpark lets a producer that had nothing to give be asked again.
func (c *Conn) Unpark() { c.conn.Unpark() }

// Write is Push of one part, for package fmt.
func (c *Conn) Write(p []byte) (int, error) { return c.conn.Write(p) }

// WriteString is Write of a string.
func (c *Conn) WriteString(s string) (int, error) { return c.conn.WriteString(s) }

// Pause stops frames, buffered ones too, until Resume: for an answer that comes
// later, so that others do not pile up behind it, or for who sends too fast. That the
// peer has gone is not noticed meanwhile, see channel.Conn.Pause.
func (c *Conn) Pause() { c.conn.Pause() }

// Resume ends Pause.
func (c *Conn) Resume() { c.conn.Resume() }

// Close flushes what is queued and then closes (close_when_done).
func (c *Conn) Close() error { return c.conn.Close() }

// Abort closes without flushing.
func (c *Conn) Abort() { c.conn.Abort() }

// Fail is Close with a reason, which Handler.Close gets. What is queued still goes
// out, a producer to its end; Abort after it drops that, and leaves it the reason.
func (c *Conn) Fail(err error) { c.conn.Fail(err) }

// ID is the channel.Conn's.
func (c *Conn) ID() uint64 { return c.conn.ID() }

// RemoteAddr is the channel.Conn's.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// String describes the Conn for logs.
func (c *Conn) String() string { return c.conn.String() }
