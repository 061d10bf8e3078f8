package channel

import "syscall"

// readBudget is how many bytes one Conn may read in a turn, so that a fast
// peer costs the others no more than that.
const readBudget = 256 << 10

// swapBudget is how often in a turn unread bytes may go on to the next handler.
const swapBudget = 1000

// tailInFront is the longest tail that is copied in front of new input; to a longer
// one the input is appended. So a message that comes in small pieces costs no
// more than a bounded number of copies, however long it grows.
const tailInFront = 16 << 10

// recv, send and sendFile are the one seam through which a Conn's bytes pass.
func (c *Conn) recv(p []byte) (int, syscall.Errno) {
	if c.is(isFile) {
		return c.e.Sys.Read(int(c.fd), p)
	}
	return c.e.Sys.Recv(int(c.fd), p)
}

func (c *Conn) send(p []byte) (int, syscall.Errno) {
	if c.is(isFile) {
		return c.e.Sys.Write(int(c.fd), p)
	}
	return c.e.Sys.Send(int(c.fd), p)
}

// sendFile is send of n bytes that the kernel takes from a file. What has to see
// the bytes, or cannot send so, gives EOPNOTSUPP: then they are read and sent.
func (c *Conn) sendFile(file, n int) (int, syscall.Errno) {
	if c.is(isFile) || c.is(adopted) && !c.nonblocking() {
		return 0, syscall.EOPNOTSUPP
	}
	return c.e.Sys.SendFile(int(c.fd), file, n)
}

// nonblocking tells whether nobody who shares the descriptor has made it blocking:
// Linux's send never waits for the peer, but its sendfile would.
func (c *Conn) nonblocking() bool {
	mode, errno := c.e.Sys.Mode(int(c.fd))
	return errno == 0 && mode.Nonblock
}

// readAll reads once for a readiness, and again only while reads fill the
// buffer. A Conn that cannot write any more is read until there is nothing
// left, since nobody will tell that again.
func (c *Conn) readAll() {
	budget := readBudget
	for budget > 0 && c.reading() && !c.is(redeliver) {
		buf := c.e.ReadBuffer()
		kept := 0
		if len(c.tail) <= tailInFront {
			kept = copy(buf, c.tail)
		}
		n, errno := c.recv(buf[kept:])
		switch errno {
		case 0:
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			if c.is(broken) {
				c.end(c.reason)
			}
			return
		case syscall.ENOBUFS, syscall.ENOMEM:
			c.backOff()
			return
		case syscall.EIO:
			if c.is(isFile) && c.e.Sys.IsMaster(int(c.fd)) {
				n = 0 // the end of a terminal
				break
			}
			fallthrough
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
		c.state |= heard
		c.backoff = 0
		filled := n == len(buf)-kept
		c.deliver(c.withTail(buf, kept, n))
		if filled {
			c.e.FilledRead()
		} else if !c.is(broken) {
			return
		}
		budget -= n
	}
	if c.is(broken) {
		c.e.Again(c.token)
	}
}

// withTail returns what to deliver: the kept bytes of the tail, then n new
// ones; and whether it lies in memory of the Conn's own.
func (c *Conn) withTail(buf []byte, kept, n int) (p []byte, own bool) {
	if kept == len(c.tail) {
		c.dropTail()
		return buf[: kept+n : kept+n], false
	}
	tail := c.takeTail()
	if cap(tail)-len(tail) < n {
		grown := append(c.e.GetBuffer(2*len(tail)+n), tail...)
		c.e.PutBuffer(tail)
		tail = grown
	}
	return append(tail, buf[:n]...), true
}

// deliver hands input to the handler, and what that gives back to the handler
// that has taken its place, as often as it comes to that. Own memory of the
// Conn's is kept as its tail, or given back.
func (c *Conn) deliver(p []byte, own bool) {
	whole := p
	if c.is(broken) {
		c.progress = c.e.Now() // who reads it has not forgotten it
	}
	for swaps := 0; c.h.Read != nil; swaps++ {
		c.state &^= swapped | resumed
		c.reader, c.input, c.unread = c, p, nil
		c.e.Enter((*source)(c), "read")
		c.h.Read(c, p)
		c.e.Leave()
		rest := c.unread
		c.reader, c.input, c.unread = nil, nil, nil
		if c.e.Debug {
			poison(p[:len(p)-len(rest)])
		}
		if len(rest) == 0 {
			break
		}
		if !c.is(swapped) || !c.reading() || swaps == swapBudget {
			if own && len(c.tail) == 0 && len(rest) >= cap(whole)/4 {
				own = false
				c.setTail(rest)
			} else {
				c.keep(rest)
			}
			break
		}
		p = rest
	}
	if own {
		c.e.PutBuffer(whole)
	}
	if c.is(resumed) && len(c.tail) > 0 && len(c.tail) < len(p) {
		c.state |= redeliver // what was given back as a whole waits for more: no spin
	}
	if c.is(redeliver) {
		c.e.Again(c.token) // kept: the next turn's, or given back in pieces
	}
}

// wantTail sees to it that the tail is delivered without new input, since
// reading has resumed. During a Read the tail is not complete: deliver decides.
func (c *Conn) wantTail() {
	switch {
	case c.reader == c:
		c.state |= resumed
	case len(c.tail) > 0:
		c.state |= redeliver
	}
}

// deliverTail gives what was kept to the handler that was set for it.
func (c *Conn) deliverTail() {
	if !c.is(redeliver) || !c.reading() {
		return
	}
	c.state &^= redeliver
	c.deliver(c.takeTail(), true)
}

func (c *Conn) takeTail() []byte {
	tail := c.tail
	c.tail = nil
	c.e.Buffered -= int64(len(tail))
	return tail
}

// poison makes a handler's mistake of keeping p show at once.
func poison(p []byte) {
	for i := range p {
		p[i] = 0xdb
	}
}

// Unread gives p, the end of what Read was called with, back to the Conn. It
// comes again in front of the next input, in one slice, or at once where
// SetHandler puts another handler in place, before or after in the same Read.
// It is how a protocol switches in mid-stream, and how one waits for the rest
// of a message, or, with Pause and Resume, for its own answer. Given to a Conn
// that was just adopted, it is its first input. What is unread when the peer's
// EOF comes is in Tail.
//
// Called again in one Read, it puts p in front of what it was given before. A
// message that comes in many pieces is not copied for each, but may grow until
// the handler ends it: nothing else bounds it but the loop's MaxBuffered.
func (c *Conn) Unread(p []byte) {
	c.e.Check()
	if len(p) == 0 || c.is(ended|draining) {
		return
	}
	if c.is(connecting | opening) {
		c.state |= redeliver
	}
	if c.reader == c && c.unread == nil && endsWith(c.input, p) {
		c.unread = p // to be copied only if it outlives the callback
		return
	}
	if c.reader == c {
		c.keep(c.unread)
		c.unread = nil
	}
	c.keep(p)
}

// Redeliver has Read called again without waiting for more input, as soon as input
// is wanted: with what Unread has given back by then, or with nothing. Asked for in
// a Read that is in the next turn, so that a Read may take a part of its input in
// each, and others have theirs. SetHandler forgets it where nothing was given back.
func (c *Conn) Redeliver() {
	c.e.Check()
	c.state |= redeliver
	if c.reader != c { // else deliver sees to it
		c.again()
	}
}

// Tail returns what Unread gave back and no Read has been given since: in EOF
// and Close the beginning of a message that never ended. It is valid until the
// callback returns.
func (c *Conn) Tail() []byte {
	c.e.Check()
	return c.tail
}

// endsWith tells whether p is the end of input, in place.
func endsWith(input, p []byte) bool {
	return len(p) <= len(input) && &input[len(input)-1] == &p[len(p)-1]
}

// keep puts a copy of p in front of the tail.
func (c *Conn) keep(p []byte) {
	if len(p) == 0 {
		return
	}
	tail := append(c.e.GetBuffer(len(p)+len(c.tail)), p...)
	tail = append(tail, c.tail...)
	c.dropTail()
	c.setTail(tail)
}

func (c *Conn) setTail(tail []byte) {
	c.tail = tail
	c.e.Buffered += int64(len(tail))
	if c.is(swapped) {
		c.state |= redeliver
	}
	c.shed()
}

func (c *Conn) dropTail() {
	if c.tail != nil {
		c.e.PutBuffer(c.takeTail())
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
	if c.is(broken) {
		c.end(c.reason)
		return
	}
	if c.h.EOF == nil {
		c.drain()
		return
	}
	c.e.Enter((*source)(c), "eof")
	c.h.EOF(c)
	c.e.Leave()
	if c.is(shutDone|noWrite) && !c.is(detaching) {
		c.end(nil) // both directions are over
	}
}
