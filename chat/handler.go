package chat

import "github.com/seed-20e08ac4/asyncore/channel"

// Handler is a set of callbacks, asynchat's collect_incoming_data and
// found_terminator with those of [channel.Handler]. Message is required, each of
// the others may be nil, which has the meaning given beside it.
//
// They come in the order that channel.Handler promises, with Message, Collect,
// TooLong and Late in the place of Read: none while the Conn is paused or its output
// above high water, so that one Push for each is never too much; none after Close,
// and none inside a call that the user made. Frames
// that have been read by then wait, and come without further input.
//
// A Handler may serve any number of Conns. It must not be written to once a
// Conn has it; to change one callback, copy the struct and use SetHandler.
type Handler struct {
	// Connect: the connection is established.
	Connect func(c *Conn)

	// Message: a frame has come (found_terminator). msg is all of it without its
	// terminator or prefix, perhaps of no bytes; it lies in the loop's memory and
	// is valid until Message returns. With Collect it is nil. Under Stream,
	// where nothing ends a frame, each piece of input is a message.
	Message func(c *Conn, msg []byte)

	// Collect: a piece of a frame has come, never an empty one
	// (collect_incoming_data). Pieces are as long as reads happen to be; Message
	// follows the last. data is valid until Collect returns. Nil: frames are
	// kept until they are complete.
	Collect func(c *Conn, data []byte)

	// TooLong: a frame is longer than its terminator's limit, and what is left of
	// it is thrown away. It comes in the place of Message, as soon as its end cannot
	// come within the limit, so that an answer, or Fail, need not wait for a peer
	// that never ends its frame; Collect has had the frame's first bytes, as many as
	// the limit allows, or none where the length is known beforehand. Terminator
	// tells what kind of frame it was to be, and SetTerminator is for what follows
	// it. Nil: the Conn closes with ErrTooLong. It is not called for a terminator
	// that truncates.
	TooLong func(c *Conn)

	// Late: a frame has taken longer than SetFrameTimeout allows, and has the same
	// time again. Nil: the Conn closes with ErrFrameTimeout.
	Late func(c *Conn)

	// Write: output that had risen above high water has fallen to low water.
	// Nil: nothing. See channel.Handler for a Conn that is paused.
	Write func(c *Conn)

	// Urgent: an out-of-band byte has arrived. Nil: such bytes are ignored.
	Urgent func(c *Conn, b byte)

	// EOF: the peer has sent its last byte; output still works. What has come
	// of a frame that never ended is in Tail. Nil: what is queued is flushed,
	// then the Conn closes.
	EOF func(c *Conn)

	// Close: the Conn is closed; it comes exactly once, last. err is that of
	// channel.Handler's Close, or ErrTooLong, ErrFrameTimeout, or
	// io.ErrUnexpectedEOF where it would be nil and the peer ended its stream
	// within a frame. Nil: nothing.
	Close func(c *Conn, err error)
}

// of returns the Conn that was attached to conn.
func of(conn *channel.Conn) *Conn { return layer(conn).Owner.(*Conn) }

// The callbacks of all Conns. A Handler without Urgent has the first, so that
// the poller is not asked for what nobody wants.
var withoutUrgent, withUrgent = callbacks(nil), callbacks(func(conn *channel.Conn, b byte) {
	c := of(conn)
	if c.h.Urgent != nil {
		c.h.Urgent(c, b)
	}
})

func callbacks(urgent func(*channel.Conn, byte)) *channel.Handler {
	return &channel.Handler{
		Connect: func(conn *channel.Conn) { of(conn).connected() },
		Read:    func(conn *channel.Conn, p []byte) { of(conn).read(p) },
		Write: func(conn *channel.Conn) {
			if c := of(conn); c.h.Write != nil {
				c.h.Write(c)
			}
		},
		Urgent: urgent,
		EOF:    func(conn *channel.Conn) { of(conn).eof() },
		Close:  func(conn *channel.Conn, err error) { of(conn).closed(err) },
	}
}

// callbacks returns the channel's side of h.
func (h *Handler) callbacks() *channel.Handler {
	if h.Urgent != nil {
		return withUrgent
	}
	return withoutUrgent
}

// check refuses what cannot work where it is registered.
func (h *Handler) check(where string) {
	switch {
	case h == nil:
		panic("chat: " + where + ": handler is nil")
	case h.Message == nil:
		panic("chat: " + where + ": Handler.Message is nil")
	}
}
