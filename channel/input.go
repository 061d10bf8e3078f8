package channel

import "syscall"

// readBudget is how many bytes one Conn may read in a turn, so that a fast
// peer costs the others no more than that.
const readBudget = 256 << 10

// recv and send are the one seam through which a Conn's bytes pass.
func (c *Conn) recv(p []byte) (int, syscall.Errno) {
	if c.is(isFile) {
		return c.e.Sys.Read(int(c.fd), p)
	}
	return c.e.Sys.Recv(int(c.fd), p)
}

// readAll reads once for a readiness, and again only while reads fill the
// buffer. A Conn that cannot write any more is read until there is nothing
// left, since nobody will tell that again.
func (c *Conn) readAll() {
	budget := readBudget
	for budget > 0 && c.reading() {
		buf := c.e.ReadBuffer()
		kept := 0
		if len(c.tail) <= len(buf)/2 {
			kept = copy(buf, c.tail)
		}
		n, errno := c.recv(buf[kept:])
		switch errno {
		case 0:
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			if c.broken != nil {
				c.end(c.broken)
			}
			return
		case syscall.ENOBUFS, syscall.ENOMEM:
			c.pauseFor(shortage)
			return
		default:
			c.failed("read", "read", errno)
			return
		}
		if n == 0 {
			c.gotEOF()
			return
		}
		c.read += uint64(n)
		c.e.BytesIn += uint64(n)
		c.active = c.e.Now()
		c.backoff = 0
		filled := n == len(buf)-kept
		c.deliver(c.withTail(buf, kept, n))
		if filled {
			c.e.FilledRead()
		} else if c.broken == nil {
			return
		}
		budget -= n
	}
}

// withTail returns what to deliver: the kept bytes of the tail, then n new
// ones. A tail too long to lie in the read buffer grows instead.
func (c *Conn) withTail(buf []byte, kept, n int) []byte {
	if kept == len(c.tail) {
		c.dropTail()
		return buf[: kept+n : kept+n]
	}
	tail := c.tail
	c.e.Buffered -= int64(len(tail))
	c.tail = nil
	return append(tail, buf[:n]...)
}

// deliver hands input to the handler, and what that gave back to the handler
// that has taken its place.
func (c *Conn) deliver(p []byte) {
	if c.h.Read == nil {
		return
	}
	c.state &^= swapped
	c.e.Enter((*source)(c), "read")
	c.h.Read(c, p)
	c.e.Leave()
	if c.e.Debug {
		poison(p)
	}
	c.deliverTail()
}

// deliverTail gives unread bytes to the handler that was set for them.
func (c *Conn) deliverTail() {
	if !c.is(redeliver) || !c.reading() {
		return
	}
	c.state &^= redeliver
	p := append([]byte(nil), c.tail...)
	c.dropTail()
	c.deliver(p)
}

// poison makes a handler's mistake of keeping p show at once.
func poison(p []byte) {
	for i := range p {
		p[i] = 0xdb
	}
}

// Unread gives p, the end of what Read was called with, back to the Conn: it
// is copied, and comes again in front of the next input, in one slice, or at
// once where SetHandler puts another handler in place. It is how a protocol
// switches in mid-stream, and how one waits for the rest of a message. Bytes
// that are unread when the peer's EOF comes are dropped.
func (c *Conn) Unread(p []byte) {
	c.e.Check()
	if len(p) == 0 || c.is(ended|draining) {
		return
	}
	tail := append(c.e.GetBuffer(len(p)+len(c.tail)), p...)
	tail = append(tail, c.tail...)
	c.dropTail()
	c.tail = tail
	c.e.Buffered += int64(len(tail))
	if c.is(swapped) {
		c.state |= redeliver
	}
	c.shed()
}

func (c *Conn) dropTail() {
	if c.tail != nil {
		c.e.Buffered -= int64(len(c.tail))
		c.e.PutBuffer(c.tail)
		c.tail = nil
	}
}

func (c *Conn) readUrgent() {
	b, errno := c.e.Sys.RecvUrgent(int(c.fd))
	if errno != 0 || c.h.Urgent == nil {
		return // not there yet, or in the stream (SO_OOBINLINE)
	}
	c.active = c.e.Now()
	c.e.Enter((*source)(c), "urgent")
	c.h.Urgent(c, b)
	c.e.Leave()
}

func (c *Conn) gotEOF() {
	c.state |= atEOF
	c.dropTail()
	switch {
	case c.broken != nil:
		c.end(c.broken)
	case c.is(shutDone):
		c.end(nil) // both directions are over
	case c.h.EOF == nil:
		c.drain()
	default:
		c.e.Enter((*source)(c), "eof")
		c.h.EOF(c)
		c.e.Leave()
	}
}
