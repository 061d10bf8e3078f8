package channel

import (
	"errors"
	"net"
	"syscall"
)

// Close flushes what is queued and then closes (asynchat's close_when_done).
// No input is delivered any more, and no callback comes but Handler.Close,
// with nil when all is flushed, after at most 30 s. A Conn that is still
// connecting is given up. It returns net.ErrClosed if the Conn was closed or
// closing already, else nil.
func (c *Conn) Close() error {
	c.e.Check()
	if c.is(ended | finished | draining) {
		return net.ErrClosed
	}
	if c.is(connecting) {
		c.end(net.ErrClosed)
		return nil
	}
	c.drain()
	return nil
}

// Abort closes without flushing: queued output is dropped. Handler.Close
// follows with net.ErrClosed.
func (c *Conn) Abort() {
	c.e.Check()
	c.end(net.ErrClosed)
}

// drain is Close once the Conn is established.
func (c *Conn) drain() {
	c.state |= draining
	c.state &^= parked
	c.dropTail()
	if c.broken != nil {
		c.end(c.broken)
		return
	}
	c.limit = c.e.Now() + int64(lingerTimeout)
	c.rearm()
	c.dirty()
	c.watch()
}

// end sets the reason and leaves the rest to the close phase. The first reason
// stands.
func (c *Conn) end(err error) {
	if c.is(ended | finished) {
		return
	}
	c.state |= ended
	c.reason = err
	c.e.Want(c.token, 0)
	c.discardOutput()
	c.dropTail()
	c.e.Due((*source)(c))
}

func (c *Conn) discardOutput() {
	c.e.Buffered -= int64(c.queued)
	c.queued = 0
	c.dropOut()
	c.rest = nil
}

// failed ends the Conn for an error of the kernel.
func (c *Conn) failed(op, call string, errno syscall.Errno) {
	err := c.sysError(op, call, errno)
	if errno == syscall.EBADF {
		c.state |= lost
	}
	c.end(err)
}

// writeFailed ends output only: what the peer sent before it went is read and
// delivered first, and the Conn closes when nothing is left.
func (c *Conn) writeFailed(errno syscall.Errno) {
	if c.is(draining|atEOF|noRead) || errno == syscall.EBADF {
		c.failed("write", "write", errno)
		return
	}
	c.broken = c.sysError("write", "write", errno)
	c.discardOutput()
	c.state &^= choked | risen
	c.e.Again(c.token) // nobody may tell again that there is something to read
}

// Finish closes the descriptor and tells the user.
func (s *source) Finish() {
	c := (*Conn)(s)
	c.release()
	c.e.Enter(s, "close")
	if c.h.Close != nil {
		c.h.Close(c, c.reason)
	}
	c.e.Leave()
}

// release gives back all that the Conn holds.
func (c *Conn) release() {
	c.state |= finished
	c.e.Disarm(&c.timer)
	c.e.Unregister(c.token)
	c.forget(c)
	if c.ln != nil {
		c.ln.leave()
	}
	if c.fd < 0 || c.is(lost) {
		return // somebody has closed it behind us: the number may be a stranger's
	}
	if c.is(wasBlocking) {
		c.restoreBlocking()
	}
	c.e.CloseFD(int(c.fd))
	c.fd = -1
}

// Fail is the engine's: the poller refuses the descriptor, a callback has
// panicked, or the loop closes.
func (s *source) Fail(err error) {
	c := (*Conn)(s)
	if errors.Is(err, syscall.EBADF) {
		c.state |= lost
	}
	c.end(err)
}
