package channel

// Handler is a set of callbacks, asyncore's handle_ methods. Each may be nil,
// which has the meaning given beside it. All run on the loop's goroutine, one
// at a time, and none inside a call that the user made: what a callback's
// Write, Close or Abort brings about comes after that callback has returned.
//
// For one Conn they come in this order: Connect; any of Read, Write and
// Urgent; at most one EOF, after which output goes on and Write may still
// come; one Close; nothing. After the user's Close, Abort or Detach only Close
// comes.
//
// A Handler may serve any number of Conns. It must not be written to once a
// Conn has it; to change one callback, copy the struct and use SetHandler.
type Handler struct {
	// Connect: the connection is established (handle_connect, and
	// handle_accepted's other half). Nil: nothing.
	Connect func(c *Conn)

	// Read: input has arrived (handle_read). p belongs to the loop and is
	// valid until Read returns; it is empty only where Redeliver has asked for
	// that. Nil: input is read and thrown away.
	Read func(c *Conn, p []byte)

	// Write: output that had risen above high water has fallen to low water,
	// so there is room again; or, where the Conn is paused, output has failed and
	// is gone. Nil: nothing. It is not asynchat's handle_write: writing when the
	// descriptor is ready is the loop's work.
	Write func(c *Conn)

	// Urgent: an out-of-band byte has arrived (handle_expt). Nil: such bytes
	// are ignored. On a socket with SO_OOBINLINE, Read gets the byte in its
	// place among the others, and Urgent is not called; what the option is when
	// the byte is read decides.
	Urgent func(c *Conn, b byte)

	// EOF: the peer has sent its last byte; output still works. Nil: what is
	// queued is flushed, then the Conn closes with a nil error.
	EOF func(c *Conn)

	// Close: the Conn is closed, its descriptor too, unless Detach gives that
	// away (handle_close and handle_error). It comes exactly once, last, for
	// every Conn that was handed to a Handler; without Connect where a dial has
	// failed, or accept has closed it. err is nil after Close has drained, after
	// Detach, or where EOF was answered by its default, and net.ErrClosed after
	// Abort. Otherwise it is the reason: a *net.OpError around the errno,
	// ErrIdle, ErrStalled, ErrOutputLimit, a *loop.PanicError, loop.ErrClosed,
	// what a producer returned, or what Fail was given.
	Close func(c *Conn, err error)
}

// discard stands in while a Conn has no Handler yet.
var discard = &Handler{}
