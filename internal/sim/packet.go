package sim

import (
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// packet is one that has arrived.
type packet struct {
	data []byte
	from sys.Addr
	by   *unixPackets // the Unix socket that it is from, whose room it takes up
}

// queue has the packets of a socket.
type queue struct {
	packets []packet
	head    int
	bytes   int
}

func (q *queue) len() int { return len(q.packets) - q.head }

// push adds a copy of the data. Room for it comes from the spare buffers of the
// kernel.
func (q *queue) push(k *Kernel, p packet) {
	data := p.data
	p.data = nil
	if last := len(k.spare) - 1; last >= 0 {
		p.data = k.spare[last][:0]
		k.spare = k.spare[:last]
	}
	p.data = append(p.data, data...)
	if q.head > 0 && len(q.packets) == cap(q.packets) {
		n := copy(q.packets, q.packets[q.head:])
		clear(q.packets[n:])
		q.packets, q.head = q.packets[:n], 0
	}
	q.packets = append(q.packets, p)
	q.bytes += len(data)
}

// sparePackets bounds the buffers that are kept.
const sparePackets = 64

// pop takes the first packet, and copies as much of it as there is room for.
func (q *queue) pop(k *Kernel, to []byte) (p packet, n int) {
	p = q.packets[q.head]
	q.packets[q.head] = packet{}
	if q.head++; q.head == len(q.packets) {
		q.packets, q.head = q.packets[:0], 0
	}
	q.bytes -= len(p.data)
	n = copy(to, p.data)
	if len(k.spare) < sparePackets {
		k.spare = append(k.spare, p.data)
	}
	return p, n
}

// fill puts the first packet into p.
func (q *queue) fill(k *Kernel, p *sys.Packet) packet {
	got, n := q.pop(k, p.Buf)
	p.Size, p.Addr, p.Truncated = n, got.from, len(got.data) > n
	if got.by != nil {
		p.Addr = got.by.unixName.from()
	}
	return got
}

// recvOne receives from a stream, as if what is there were a packet.
func recvOne(s socket, ps []sys.Packet) (n int, e syscall.Errno) {
	for i := range ps {
		size, e := s.recv(ps[i].Buf)
		if e != 0 && i > 0 {
			return i, 0
		}
		if e != 0 {
			return 0, e
		}
		ps[i].Size, ps[i].Addr, ps[i].Truncated = size, sys.Addr{}, false
		if size == 0 {
			return i, 0
		}
	}
	return len(ps), 0
}

// sendEach sends packets by a stream.
func sendEach(s socket, ps []sys.Packet) (n int, e syscall.Errno) {
	for i := range ps {
		if _, e := s.send(ps[i].Buf); e != 0 && i > 0 {
			return i, 0
		} else if e != 0 {
			return 0, e
		}
	}
	return len(ps), 0
}
