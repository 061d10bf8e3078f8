package channel

import (
	"bytes"
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// Close flushes what is queued and then closes (asynchat's close_when_done).
// No input is delivered any more, and no callback comes but Handler.Close:
// with nil when all has been flushed, with ErrStalled when the peer has taken
// nothing, or a parked producer given nothing, for 30 s. A Conn that is still
// connecting is given up.
//
// Input that nobody has read would make the kernel reset the connection, and
// the peer lose the end of what was flushed. Where there is some, only output
// is closed first, and input thrown away until the peer closes too, for at
// most 30 s.
//
// It returns net.ErrClosed if the Conn was closed, closing or detached already,
// else nil.
func (c *Conn) Close() error {
	c.e.Check()
	if c.is(ended | finished | draining | detaching) {
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
// follows with net.ErrClosed. Where output is dropped, by Abort or for any other
// reason, a TCP connection is reset: its peer must not take a part for the whole.
func (c *Conn) Abort() {
	c.e.Check()
	c.end(net.ErrClosed)
}

// Fail is Close with a reason of the user's, a message that breaks the protocol
// for instance: what is queued is flushed, an answer that says what is wrong
// perhaps, and Handler.Close gets err, which must not be nil. Abort or Reset after
// it do not flush, and leave it the reason. After Close it still gives that its
// reason.
func (c *Conn) Fail(err error) {
	c.e.Check()
	if err == nil {
		panic("channel: Fail: error is nil")
	}
	switch {
	case c.is(connecting | detaching | broken):
		c.end(err)
	case !c.is(ended | finished):
		if c.reason == nil {
			c.reason = err
		}
		if !c.is(draining) {
			c.drain()
		}
	}
}

// drain is Close once the Conn is established.
func (c *Conn) drain() {
	c.state |= draining
	c.unpark()
	if c.is(broken) {
		c.end(c.reason)
		return
	}
	c.limit = c.e.Now() + int64(lingerTimeout)
	c.rearm()
	c.dirty()
	c.watch()
}

// linger follows the flushing of a Conn that is being closed.
func (c *Conn) linger() {
	some := !c.is(isFile|atEOF) && c.throwAway()
	switch {
	case c.is(isFile | atEOF), !some && !c.is(lingering):
		c.end(nil)
	case !c.is(lingering):
		c.state |= lingering
		if !c.is(shutDone) {
			c.e.Sys.ShutdownWrite(int(c.fd))
		}
		c.limit = c.e.Now() + int64(lingerTimeout)
		c.rearm()
	}
}

// throwAway reads without delivering, and tells whether there was anything.
func (c *Conn) throwAway() (some bool) {
	for budget := readBudget; budget > 0; {
		buf := c.e.ReadBuffer()
		n, errno := c.recv(buf)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return some
		case errno != 0 || n == 0:
			c.state |= atEOF // or reset: there is nothing left to protect
			return some
		}
		some = true
		c.read += uint64(n)
		c.e.BytesIn += uint64(n)
		if budget -= n; n < len(buf) {
			break
		}
	}
	return some
}

// end sets the reason and leaves the rest to the close phase. The first reason
// stands.
func (c *Conn) end(err error) {
	if c.is(ended | finished) {
		return
	}
	c.state |= ended
	if !c.is(draining) || c.reason == nil { // else it is Fail's
		c.reason = err
	}
	if c.cutOff() {
		c.hardClose()
	}
	c.e.Want(c.token, 0)
	c.discardOutput()
	if c.dial != nil {
		c.dial.cancel() // a lookup need not go on until Finish
	}
	c.e.Due((*source)(c))
}

// cutOff tells whether a peer would take a part for the whole, if it saw an
// ordinary end: output waits, or a Pipe's other end has not come to its own.
func (c *Conn) cutOff() bool {
	return c.queued > 0 || len(c.rest) > 0 || c.is(piped) && !c.is(shutWanted|draining)
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
	if c.is(draining|detaching|atEOF|noRead) || errno == syscall.EBADF {
		c.failed("write", "write", errno)
		return
	}
	c.breakOff(c.sysError("write", "write", errno))
	c.discardOutput()
	c.state &^= choked | risen
	if c.is(paused) && !c.is(piped) {
		c.state |= risen // who waits for his output is told that there is none
	}
	c.e.Again(c.token) // nobody may tell again that there is something to read
}

// breakOff ends output for a reason that Close is told when input has ended too.
func (c *Conn) breakOff(err error) {
	c.state |= broken
	c.reason = err
	c.progress = c.e.Now()
	c.rearm()
}

// Finish closes the descriptor and tells the user.
func (s *source) Finish() {
	c := (*Conn)(s)
	left := c.release()
	defer c.leaveProcess() // these also after a panic
	defer c.dropTail()
	c.e.Enter(s, "close")
	c.closeCallback(left)
	c.e.Leave()
}

// Drain half-closes a Conn on which nothing is under way, as settle and drained do
// later with the others. A guest's question may have come and not been read yet:
// that is looked for first.
func (s *source) Drain() {
	c := (*Conn)(s)
	switch {
	case !c.quiet():
	case c.is(guest):
		c.e.Again(c.token)
	default:
		c.CloseWrite()
	}
}

// quiet tells whether nothing is under way, as far as one can see from here: all
// output has gone out, no input is kept for later, the user has not paused the
// Conn, and who was asked has answered, we or the one that was dialled. What was
// dialled may also be what others' answers are made with. Between the two ends of
// a Pipe nobody can tell.
func (c *Conn) quiet() bool {
	if c.queued > 0 || len(c.rest) > 0 || len(c.tail) > 0 ||
		c.is(connecting|opening|paused|broken|ended|draining|detaching|shutWanted|noWrite|piped) {
		return false
	}
	if c.is(guest) {
		return !c.is(heard) && !c.newcomer()
	}
	return c.guests == 0 && (c.is(heard) || c.written == 0)
}

// newcomer tells whether a guest has come so lately that its first question may be
// on its way.
func (c *Conn) newcomer() bool {
	return c.read == 0 && c.written == 0 && !c.is(atEOF) && c.e.Now() < core.Later(c.active, firstQuestion)
}

// release gives back all that the Conn holds, or returns what is given away.
func (c *Conn) release() Detached {
	c.state |= finished
	c.e.Disarm(&c.timer)
	c.e.Unregister(c.token)
	if c.dial != nil {
		c.dial.stop()
	}
	c.forget(c)
	if c.ln != nil {
		c.ln.leave()
	}
	if c.fd < 0 || c.is(lost) {
		return Detached{FD: -1} // somebody has closed it behind us: the number may be a stranger's
	}
	fd := int(c.fd)
	c.fd = -1
	if c.is(wasBlocking) {
		c.restoreBlocking(fd)
	}
	if c.is(givenAway) {
		return Detached{FD: fd, Unread: bytes.Clone(c.tail)}
	}
	c.e.CloseFD(fd)
	return Detached{FD: -1}
}

// Reset is Abort with a TCP reset, so that the peer gets an error and not an
// end (SO_LINGER with a time of 0): for a peer that must not take what it has
// got for the whole. A Unix socket and a file have no such thing.
func (c *Conn) Reset() {
	c.e.Check()
	c.hardClose()
	c.Abort()
}

// hardClose has close reset the connection, or each that a dial has begun.
func (c *Conn) hardClose() {
	if c.is(finished | isFile | lost) {
		return
	}
	if c.fd >= 0 {
		c.e.Sys.SetOption(int(c.fd), sys.Linger, 0)
	}
	if c.dial != nil {
		for _, a := range c.dial.attempts {
			if a.fd >= 0 {
				c.e.Sys.SetOption(a.fd, sys.Linger, 0)
			}
		}
	}
}

// Fail is the engine's: the poller refuses the descriptor, a callback has
// panicked, or the loop closes.
func (s *source) Fail(err error) {
	c := (*Conn)(s)
	if errors.Is(err, syscall.EBADF) {
		// Ours, or that of the loop's poller, or what a callback panicked with.
		if _, errno := c.e.Sys.Mode(int(c.fd)); errno == syscall.EBADF {
			c.state |= lost
		}
	}
	switch err.(type) {
	case *os.SyscallError, *asyncore.FDLimitError:
		err = c.opError("poll", err)
	}
	c.end(err)
}
