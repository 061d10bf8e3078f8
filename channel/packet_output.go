package channel

import (
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

const (
	packetLimit      = 1024
	packetBytesLimit = 1 << 20
	// crowded is the first wait for a Unix socket whose owner does not keep up,
	// which nothing tells the end of; it doubles up to a second.
	crowded = time.Millisecond
	// queuesKept and queueKept bound the memory that is kept for queues of output.
	queuesKept = 16
	queueKept  = 1024
)

// SetLimit sets how much output may wait: that many packets, and that many bytes
// of them. A packet that would pass either is refused, unless nothing waits. The
// defaults are 1,024 and 1 MiB. Above half of either nothing is read, so that who
// asks and takes no answers stops being answered; at a quarter it is again, and
// PacketHandler.Write is called. It panics where one is not positive.
func (c *PacketConn) SetLimit(packets, bytes int) {
	c.e.Check()
	if packets <= 0 || bytes <= 0 {
		panic(fmt.Sprintf("channel: SetLimit(%d, %d): not positive", packets, bytes))
	}
	c.maxPackets, c.maxBytes = packets, bytes
	c.risen = c.risen || c.above()
	c.dirty()
}

// Buffered is how many packets, and bytes in them, have been written and not been
// taken by the kernel.
func (c *PacketConn) Buffered() (packets, bytes int) {
	c.e.Check()
	return c.waiting(), c.queued + c.heldBytes
}

// Write sends a packet to the peer that the PacketConn is connected to: see
// WriteTo. Without one the error is EDESTADDRREQ.
func (c *PacketConn) Write(p []byte) (int, error) {
	c.e.Check()
	err := c.mayWrite()
	if err == nil && !c.connected {
		err = c.sysError("write", "sendmsg", nil, syscall.EDESTADDRREQ)
	}
	if err == nil {
		err = c.enqueue(p, sys.Addr{})
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteTo sends a packet, which may be empty, to an address (sendto). It never
// blocks: the packet is copied, queued, and sent in the same turn, together with
// others, unless the kernel has no room.
//
// An error means that this packet will not be sent: ErrOutputLimit, where SetLimit
// or the loop's MaxBuffered has no room for it; net.ErrClosed; EDESTADDRREQ or
// EAFNOSUPPORT for an address that is none of the network's; EISCONN for one that
// is not the peer's on a connected PacketConn. What the kernel says comes later, by
// PacketHandler.Error.
//
// Packets to one address go out in the order of writing. Those to Unix sockets
// whose owners do not keep up wait, and may take a quarter of the limit, while
// others go out. What is more is dropped with ErrOutputLimit, and what has waited
// for 60 s with ErrStalled: see PacketHandler.Error.
func (c *PacketConn) WriteTo(p []byte, to PacketAddr) error {
	c.e.Check()
	err := c.mayWrite()
	if err != nil {
		return err
	}
	var addr sys.Addr // connected
	if !c.connected {
		if addr, err = c.target(to); err != nil {
			return err
		}
	} else if to.Inet = unmapped(to.Inet); to != c.peer {
		return c.sysError("write", "sendmsg", c.netAddr(to), syscall.EISCONN)
	}
	return c.enqueue(p, addr)
}

// target is an address as this socket wants it.
func (c *PacketConn) target(to PacketAddr) (sys.Addr, error) {
	ip := to.Inet.Addr()
	switch {
	case c.family == sys.Unix && to.Unix != "":
		return sys.Addr{Family: sys.Unix, Path: to.Unix}, nil
	case c.family == sys.Unix || !ip.IsValid():
		return sys.Addr{}, c.sysError("write", "sendmsg", c.netAddr(to), syscall.EDESTADDRREQ)
	case c.family == sys.Inet && !ip.Is4() && !ip.Is4In6():
		return sys.Addr{}, c.sysError("write", "sendmsg", c.netAddr(to), syscall.EAFNOSUPPORT)
	}
	return sys.Addr{Family: c.family, Inet: to.Inet}, nil
}

func (c *PacketConn) netAddr(a PacketAddr) net.Addr {
	if a.Inet.IsValid() {
		return net.UDPAddrFromAddrPort(a.Inet)
	}
	return &net.UnixAddr{Name: a.Unix, Net: c.network}
}

func (c *PacketConn) mayWrite() error {
	switch {
	case c.ended || c.draining:
		return c.opError("write", nil, net.ErrClosed)
	case c.broken != nil:
		return c.broken
	}
	return nil
}

func (c *PacketConn) waiting() int { return len(c.out) - c.head + len(c.held) }

// above tells whether output is so much that nothing more is read.
func (c *PacketConn) above() bool {
	return len(c.out)-c.head > c.maxPackets/2 || c.queued > c.maxBytes/2
}

// hasRoom tells whether n bytes may be queued for an address.
func (c *PacketConn) hasRoom(n int, stuck bool) bool {
	switch {
	case c.e.MaxBuffered >= 0 && c.e.Buffered+int64(n) > c.e.MaxBuffered:
		return false
	case stuck && !c.mayHold(n):
		return false
	}
	waiting := c.waiting()
	return waiting == 0 || waiting < c.maxPackets && c.queued+c.heldBytes+n <= c.maxBytes
}

// mayHold tells whether n bytes may be put aside, or be put behind others there.
func (c *PacketConn) mayHold(n int) bool {
	return len(c.held) == 0 || len(c.held) < c.maxPackets/4 && c.heldBytes+n <= c.maxBytes/4
}

func (c *PacketConn) isHeld(to sys.Addr) bool {
	return slices.ContainsFunc(c.held, func(p sys.Packet) bool { return p.Addr == to })
}

// enqueue copies a packet to the end of the queue.
func (c *PacketConn) enqueue(p []byte, to sys.Addr) error {
	stuck := len(c.held) > 0 && c.isHeld(to)
	if !c.hasRoom(len(p), stuck) {
		if len(c.out) > c.head && !stuck {
			c.risen = true // Write tells when there is room
			c.dirty()
		} else {
			c.crammed = len(c.held) > 0 // the same
		}
		return ErrOutputLimit
	}
	c.wrote, c.heard = true, false
	packet := sys.Packet{Buf: append(c.e.GetBuffer(max(len(p), 1)), p...), Addr: to, Since: c.e.Now()}
	c.e.Buffered += int64(len(p))
	if stuck {
		c.held = append(c.held, packet)
		c.heldBytes += len(p)
		return nil
	}
	if len(c.out) == cap(c.out) {
		c.grow()
	}
	c.out = append(c.out, packet)
	c.queued += len(p)
	c.risen = c.risen || c.above()
	c.dirty()
	return nil
}

// grow makes room in out: an earlier queue's, or that of what has been sent.
func (c *PacketConn) grow() {
	r := &c.packets
	switch last := len(r.queues) - 1; {
	case c.out == nil && last >= 0:
		c.out = r.queues[last]
		r.queues = r.queues[:last]
	case c.out == nil:
		c.out = make([]sys.Packet, 0, sys.PacketBatch)
	case c.head > len(c.out)/2:
		n := copy(c.out, c.out[c.head:])
		clear(c.out[n:])
		c.out, c.head = c.out[:n], 0
	}
}

// dirty sees to it that the queue is sent in this turn.
func (c *PacketConn) dirty() {
	if !c.dispatching && !c.inDirty && !c.ended {
		c.inDirty = true
		c.e.Dirty((*packetSource)(c))
	}
}

// flush gives the kernel what it takes.
func (c *PacketConn) flush() {
	for left := packetBudget; len(c.out) > c.head && !c.full && c.retry == 0 && !c.ended; {
		if left <= 0 {
			c.e.Again(c.token)
			break
		}
		n, errno := c.e.Sys.SendPackets(c.fd, c.out[c.head:min(len(c.out), c.head+sys.PacketBatch)])
		if n > 0 {
			c.sent(n)
			left -= n
			continue // whatever stopped it, it says so now
		}
		left--
		c.sendFailed(errno)
	}
	if c.ended {
		return
	}
	switch {
	case c.risen && len(c.out)-c.head <= c.maxPackets/4 && c.queued <= c.maxBytes/4,
		!c.risen && c.crammed && len(c.held) <= c.maxPackets/8 && c.heldBytes <= c.maxBytes/8:
		c.fallen()
	}
	switch {
	case c.ended:
	case c.waiting() > 0:
		c.rearm()
	case c.draining:
		c.end(nil)
	}
}

// sent takes n packets that the kernel has off the queue.
func (c *PacketConn) sent(n int) {
	c.progress = c.e.Now()
	c.active = c.progress
	c.backoff = 0
	c.told, c.refused = false, false
	before := c.queued
	for range n {
		if len(c.held) == 0 || c.out[c.head].Held {
			c.heldWait = 0
		}
		c.pop()
	}
	c.e.BytesOut += uint64(before - c.queued)
}

// pop takes the first packet off the queue.
func (c *PacketConn) pop() {
	p := &c.out[c.head]
	c.queued -= len(p.Buf)
	c.e.Buffered -= int64(len(p.Buf))
	c.e.PutBuffer(p.Buf)
	*p = sys.Packet{}
	if c.head++; c.head == len(c.out) {
		c.dropQueue()
	}
}

// dropQueue gives the empty queue's memory back.
func (c *PacketConn) dropQueue() {
	if r := &c.packets; cap(c.out) > 0 && cap(c.out) <= queueKept && len(r.queues) < queuesKept {
		r.queues = append(r.queues, c.out[:0])
	}
	c.out, c.head = nil, 0
}

// sendFailed is called where the kernel has not taken the packet in front.
func (c *PacketConn) sendFailed(errno syscall.Errno) {
	to := c.out[c.head].Addr
	switch errno {
	case syscall.EINTR:
	case 0, syscall.EAGAIN, syscall.ENOBUFS, syscall.ENOMEM:
		switch {
		case to.Family == sys.Unix:
			c.hold(to) // the receiver's queue is full, which no poller tells the end of
		case errno == syscall.ENOBUFS || errno == syscall.ENOMEM:
			c.backOff(shortage)
		case !c.told:
			c.full = true
		default: // the poller says that there is room, and there is none
			if errno := c.e.Sys.PacketError(c.fd); errno != 0 {
				c.report(c.sysError("write", "sendmsg", nil, errno))
			}
			c.backOff(crowded)
		}
	case syscall.EPIPE, syscall.ECONNRESET, syscall.ENOTCONN:
		if c.kind == sys.Sequenced {
			c.breakOff(c.sysError("write", "sendmsg", nil, errno))
			return
		}
		c.dropFront(errno)
	case syscall.ECONNREFUSED:
		if !c.connected || c.family == sys.Unix || c.refused {
			c.dropFront(errno)
			return
		}
		// The network says so of an earlier packet; this one has not been tried.
		c.refused = true
		c.report(c.sysError("write", "sendmsg", nil, errno))
	default:
		if !c.gone("write", "sendmsg", errno) {
			c.dropFront(errno)
		}
	}
}

// dropFront drops the packet in front, and tells why.
func (c *PacketConn) dropFront(errno syscall.Errno) {
	to := packetAddr(c.out[c.head].Addr, c.network)
	c.refused = false
	c.pop()
	c.report(c.sysError("write", "sendmsg", to, errno))
}

func (c *PacketConn) backOff(first time.Duration) {
	c.backoff = min(max(2*c.backoff, first), shortageMax)
	c.retry = core.Later(c.e.Now(), c.backoff)
}

// hold puts aside what goes to a receiver that takes none for now, so that others
// get theirs.
func (c *PacketConn) hold(to sys.Addr) {
	rest := c.out[c.head:]
	others := rest[:0]
	first, dropped := !rest[0].Held, 0
	for _, p := range rest {
		if p.Addr != to {
			others = append(others, p)
			continue
		}
		c.queued -= len(p.Buf)
		if !c.draining && !c.mayHold(len(p.Buf)) {
			c.e.Buffered -= int64(len(p.Buf))
			c.e.PutBuffer(p.Buf)
			dropped++
			continue
		}
		p.Held = true
		c.held = append(c.held, p)
		c.heldBytes += len(p.Buf)
	}
	clear(rest[len(others):])
	if c.out = c.out[:c.head+len(others)]; len(others) == 0 {
		c.dropQueue()
	}
	switch now := c.e.Now(); {
	case c.heldUntil == 0 || c.heldWait == 0: // once for all that are tried together, unless one has taken some
		c.heldWait = min(max(2*c.heldWait, crowded), shortageMax)
		c.heldUntil = core.Later(now, c.heldWait)
	case first: // others' wait is not its own
		c.heldUntil = min(c.heldUntil, core.Later(now, crowded))
	}
	for range dropped {
		c.report(c.opError("write", packetAddr(to, c.network), ErrOutputLimit))
	}
}

// letIn puts what was held back in front of the queue, to be tried again.
func (c *PacketConn) letIn() {
	c.heldUntil = 0
	c.queued += c.heldBytes
	c.heldBytes = 0
	waiting := c.out[c.head:]
	c.out, c.head, c.held = append(c.held, waiting...), 0, nil
	c.dirty()
}

// dropStale drops what has waited for too long.
func (c *PacketConn) dropStale(now int64) {
	if c.draining {
		return // its own limit is near enough
	}
	before := c.waiting()
	for len(c.out) > c.head && !c.ended && c.stale(c.out[c.head]) <= now {
		if c.kind == sys.Sequenced {
			c.end(ErrStalled)
			return
		}
		to := c.out[c.head].Addr
		c.pop()
		c.stalled(to)
	}
	for i := 0; i < len(c.held) && !c.ended; { // in the order of writing for each receiver only
		p := c.held[i]
		if core.Later(p.Since, writeTimeout) > now {
			i++
			continue
		}
		c.held = slices.Delete(c.held, i, i+1)
		c.heldBytes -= len(p.Buf)
		c.e.Buffered -= int64(len(p.Buf))
		c.e.PutBuffer(p.Buf)
		c.stalled(p.Addr)
	}
	if c.waiting() != before {
		c.dirty() // there is room again
	}
}

func (c *PacketConn) stalled(to sys.Addr) {
	c.report(c.opError("write", packetAddr(to, c.network), ErrStalled))
}

func (c *PacketConn) dropOutput() {
	c.e.Buffered -= int64(c.queued + c.heldBytes)
	c.queued, c.heldBytes, c.heldUntil = 0, 0, 0
	for _, p := range c.out[c.head:] {
		c.e.PutBuffer(p.Buf)
	}
	clear(c.out)
	c.dropQueue()
	c.held = nil
}

// fallen: there is room again.
func (c *PacketConn) fallen() {
	c.risen, c.crammed = false, false
	if len(c.kept) > 0 {
		c.e.Again(c.token)
	}
	if c.h.Write != nil && !c.draining {
		c.e.Enter((*packetSource)(c), "write")
		c.h.Write(c)
		c.e.Leave()
	}
}
