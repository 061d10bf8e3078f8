package channel

import (
	"fmt"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

const (
	// packetBudget is how many packets one PacketConn may read in a turn, and how
	// many it may send; readBudget bounds the bytes.
	packetBudget = 256
	// errorBudget is how many errors it may be told in a row before it rests: each
	// has been used up by telling it, so that more is an error that stays.
	errorBudget = 16

	maxPacket    = 64 << 10
	maxPacketMax = 4 << 20 // also for the packets of one call together
	// stagger keeps the beginnings of packets, which are all that is touched of
	// small ones, from sharing a set of the processor's cache.
	stagger = 17 * 64
)

// packetRoom is the memory that the PacketConns of a loop share: an idle one holds
// none of it.
type packetRoom struct {
	area   []byte
	in     []sys.Packet // each with its part of area
	max    int          // bytes of each
	queues [][]sys.Packet
}

// input returns room for packets of up to max bytes.
func (r *packetRoom) input(max int) []sys.Packet {
	if r.max == max {
		return r.in
	}
	stride := (max+63)&^63 + stagger
	n := min(maxPacketMax/max, sys.PacketBatch)
	if need := n * stride; len(r.area) < need {
		r.area = make([]byte, need)
	}
	if r.in == nil {
		r.in = make([]sys.Packet, sys.PacketBatch)
	}
	r.in = r.in[:n]
	for i := range r.in {
		r.in[i].Buf = r.area[i*stride:][:max:max]
	}
	r.max = max
	return r.in
}

// SetMaxPacket sets how long a packet may be, in bytes, to be delivered whole: of
// a longer one the rest is lost. The default is 64 KiB, which no UDP datagram
// exceeds; Unix sockets may. The loop keeps one area for all of its PacketConns, of
// 64 times the largest size but at most about 4 MiB, of which the kernel gives out
// what packets have filled. It panics outside 1 to 4 MiB.
func (c *PacketConn) SetMaxPacket(n int) {
	c.e.Check()
	if n < 1 || n > maxPacketMax {
		panic(fmt.Sprintf("channel: SetMaxPacket(%d): not from 1 byte to 4 MiB", n))
	}
	c.max = n
}

// reading tells whether input is wanted now.
func (c *PacketConn) reading() bool {
	return !(c.paused || c.risen || c.draining || c.ended)
}

// readAll takes what there is, within the turn's budget. What is left the poller
// reports again.
func (c *PacketConn) readAll() {
	faults, bytes := 0, readBudget
	// An Error or Write in between may have called Resume: what is kept comes first.
	for left := packetBudget; left > 0 && bytes > 0 && c.reading() && c.rest == 0 && len(c.kept) == 0; {
		ps := c.packets.input(c.max)
		n, errno := c.e.Sys.RecvPackets(c.fd, ps, c.kind == sys.Sequenced)
		if n > 0 {
			left -= n
			faults, c.faint, c.vain = 0, 0, 0
			bytes -= c.deliver(ps[:n])
			if c.waiting() >= sys.PacketBatch {
				c.flush() // while it is in the cache
			}
		}
		switch {
		case c.ended:
			return
		case errno == syscall.EINTR:
		case errno != 0:
			if !c.readFailed(errno, left == packetBudget && faults == 0) {
				return
			}
			if faults++; faults == errorBudget {
				c.restInput()
				return
			}
		case n == 0:
			c.gotEnd()
			return
		case n < len(ps) && c.broken == nil:
			return // that was all
		}
	}
	if c.broken != nil && c.reading() && c.rest == 0 {
		c.e.Again(c.token) // it may be read to its end, which nobody would tell
	}
}

// readFailed tells whether it is worth trying again.
func (c *PacketConn) readFailed(errno syscall.Errno, first bool) bool {
	switch {
	case errno == syscall.EAGAIN && c.broken != nil:
		c.end(c.broken)
		return false
	case errno == syscall.EAGAIN:
		if !first {
			return false
		}
		// Ready, but not for a packet: it would be so for ever.
		if errno := c.e.Sys.PacketError(c.fd); errno != 0 {
			c.report(c.sysError("read", "recvmsg", nil, errno))
		} else if c.vain++; c.vain >= errorBudget {
			c.restInput() // and it is, where somebody has shut the socket down
		}
		return false
	case errno == syscall.ENOBUFS || errno == syscall.ENOMEM:
		c.restInput()
		return false
	case c.gone("read", "recvmsg", errno):
		return false
	case c.kind == sys.Sequenced && errno == syscall.ECONNRESET:
		c.breakOff(c.sysError("read", "recvmsg", nil, errno)) // and what came before it is there yet
	case c.kind == sys.Sequenced:
		c.end(c.sysError("read", "recvmsg", nil, errno))
		return false
	default:
		c.report(c.sysError("read", "recvmsg", nil, errno))
	}
	return true
}

// restInput takes the PacketConn out of the poller, as far as reading goes, for as
// long as a shortage is expected to last.
func (c *PacketConn) restInput() {
	c.faint = longer(c.faint)
	c.rest = core.Later(c.e.Now(), c.faint)
	c.rearm()
}

// deliver hands packets to the user, and returns how many bytes they were.
func (c *PacketConn) deliver(ps []sys.Packet) (bytes int) {
	for i := range ps {
		bytes += ps[i].Size
	}
	c.e.BytesIn += uint64(bytes)
	c.active = c.e.Now()
	c.heard = true
	for i := range ps {
		if c.ended || c.draining {
			break
		}
		if c.paused {
			c.keep(ps[i:])
			break
		}
		c.packet(&ps[i])
	}
	return bytes
}

func (c *PacketConn) packet(p *sys.Packet) {
	if c.h.Packet == nil {
		return
	}
	from := packetFrom(p.Addr)
	if c.connected {
		if from.Inet.IsValid() && from != c.peer {
			return // it came before the socket was connected
		}
		from = c.peer
	}
	c.e.Enter((*packetSource)(c), "packet")
	c.h.Packet(c, p.Buf[:p.Size:p.Size], from, p.Truncated)
	c.e.Leave()
	if c.e.Debug {
		poison(p.Buf[:p.Size])
	}
}

// keep copies packets that were read before the user's Pause.
func (c *PacketConn) keep(ps []sys.Packet) {
	for _, p := range ps {
		p.Buf = append(c.e.GetBuffer(max(p.Size, 1)), p.Buf[:p.Size]...)
		c.e.Buffered += int64(p.Size)
		c.kept = append(c.kept, p)
	}
}

func (c *PacketConn) deliverKept() {
	for len(c.kept) > 0 && c.reading() {
		p := c.kept[0]
		c.kept[0] = sys.Packet{}
		c.kept = c.kept[1:]
		c.e.Buffered -= int64(p.Size)
		c.packet(&p)
		c.e.PutBuffer(p.Buf)
	}
	if len(c.kept) == 0 {
		c.kept = nil
	}
}

func (c *PacketConn) dropKept() {
	for _, p := range c.kept {
		c.e.Buffered -= int64(p.Size)
	}
	c.kept = nil
}

// gotEnd: the peer of a sequenced connection has sent its last packet.
func (c *PacketConn) gotEnd() {
	if c.broken != nil {
		c.end(c.broken)
		return
	}
	c.drain()
}
