package chat

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// framer cuts a stream into frames. It does no I/O and holds no input: next is
// given all that has not been used up, which only grows at its end from one call
// to the next.
type framer struct {
	term Terminator

	scanned int    // delimited: so much of the input has no terminator that ends in it
	inside  bool   // Collect has had a part of the frame, or its prefix is used up
	n       uint64 // inside: the bytes collected (delimited), or still to come
	over    uint64 // counted, inside: so many more than the limit, to be thrown away

	rest *remainder // of a frame that is too long: it is being thrown away
}

// remainder is what is thrown away of a frame.
type remainder struct {
	term Terminator // the frame's, where that is delimited
	n    uint64     // bytes, where the frame's length is known
}

// verdict is what next has found.
type verdict uint8

const (
	wanting   verdict = iota // more input is needed
	piece                    // data is for Collect; none: the prefix of what is
	complete                 // data is for Message
	oversize                 // the frame is too long
	dropped                  // the last of such a one has been thrown away
	malformed                // a prefix that is no number
)

// set makes t the terminator of what has not been used up, except for the
// remainder of a frame that was too long.
func (f *framer) set(t Terminator) {
	f.term = t
	f.scanned, f.inside, f.n, f.over = 0, false, 0, 0
}

// open tells whether a part of a frame is there, where waiting bytes of input are.
func (f *framer) open(waiting int) bool {
	return f.rest != nil || (waiting > 0 || f.inside) && f.term.kind != stream
}

// due tells whether a frame may end, or be found too long, without further input.
func (f *framer) due() bool {
	return f.term.immediate() || f.inside && f.n == 0 && f.term.delim == ""
}

// next looks for the end of a frame in p, and returns how much of p is used up, by
// what.
func (f *framer) next(p []byte, collect bool) (used int, data []byte, v verdict) {
	t := &f.term
	if t.delim == "" || f.rest != nil {
		return f.nextOther(p, collect)
	}
	end := find(p, f.scanned, t.delim)
	if end < 0 {
		return f.noEnd(p, collect)
	}
	f.scanned = 0
	body := end - len(t.delim)
	if t.kind == line && body > 0 && p[body-1] == '\r' {
		body--
	}
	room := t.limit - int(f.n)
	switch ready := min(body, room); {
	case collect && ready > 0:
		return f.collect(p[:ready])
	case body > room:
		return f.tooLong(0, p[:room:room], 0)
	}
	f.inside, f.n = false, 0
	return end, p[:body:body], complete
}

func (f *framer) nextOther(p []byte, collect bool) (used int, data []byte, v verdict) {
	switch {
	case f.rest != nil:
		return f.discard(p)
	case f.term.kind != stream:
		return f.nextCounted(p, collect)
	case len(p) == 0:
		return 0, nil, wanting
	}
	return len(p), p[:len(p):len(p)], piece
}

// noEnd decides that a frame is too long when its delimiter cannot begin within
// the limit any more: at the same byte of the stream however that comes.
func (f *framer) noEnd(p []byte, collect bool) (used int, data []byte, v verdict) {
	room := f.term.limit - int(f.n)
	window := room + len(f.term.delim)
	if f.term.kind == line {
		window++ // for a carriage return
	}
	ready := room
	if len(p) < window {
		ready = min(room, len(p)-f.term.held(p))
	}
	switch {
	case collect && ready > 0:
		f.scanned = len(p) - ready
		return f.collect(p[:ready])
	case len(p) >= window:
		f.scanned = 0
		return f.tooLong(0, p[:room:room], 0)
	}
	f.scanned = len(p)
	return 0, nil, wanting
}

func (f *framer) collect(data []byte) (used int, _ []byte, v verdict) {
	f.inside = true
	f.n += uint64(len(data))
	return len(data), data[:len(data):len(data)], piece
}

// find returns where the first d in p ends, or -1; none ends within p[:from]. It
// looks for d's last byte, so that nothing is looked at again when input is
// appended.
func find(p []byte, from int, d string) int {
	k := len(d)
	for from < len(p) {
		i := bytes.IndexByte(p[from:], d[k-1])
		if i < 0 {
			return -1
		}
		if from += i + 1; ends(p[:from], d) {
			return from
		}
	}
	return -1
}

// index is bytes.IndexByte for one frame after the other, of which the last had so
// many bytes. If that was short, it looks at the next 64 without a branch on where
// b is in them, which would mostly be predicted wrongly.
func index(p []byte, b byte, last int) int {
	if last > 4 && last <= 64 && len(p) >= 64 {
		q, s := (*[64]byte)(p), uint64(b)*0x0101_0101_0101_0101
		found := equal(q[0:], s) | equal(q[8:], s)<<8 | equal(q[16:], s)<<16 | equal(q[24:], s)<<24 |
			equal(q[32:], s)<<32 | equal(q[40:], s)<<40 | equal(q[48:], s)<<48 | equal(q[56:], s)<<56
		if found != 0 {
			return bits.TrailingZeros64(found)
		}
	}
	return bytes.IndexByte(p, b)
}

// equal has a bit for each of p's first 8 bytes, the lowest for the first one: set
// for the first byte that equals that of s, not before it, and behind it perhaps.
func equal(p []byte, s uint64) uint64 {
	x := binary.LittleEndian.Uint64(p) ^ s
	zero := (x - 0x0101_0101_0101_0101) &^ x & 0x8080_8080_8080_8080 // the top bit of a byte
	return zero * 0x0002_0408_1020_4081 >> 56                        // those side by side
}

// ends tells whether p, which ends with d's last byte, ends with all of d.
func ends(p []byte, d string) bool {
	at := len(p) - len(d)
	return at >= 0 && p[at] == d[0] && (len(d) <= 2 || string(p[at:]) == d)
}

// held is the length of the longest end of p with which a terminator may begin
// (asynchat's find_prefix_at_end).
func (t *Terminator) held(p []byte) int {
	begin := t.delim
	if t.kind == line {
		begin = "\r\n"
	}
	for k := min(len(begin)-1, len(p)); k > 0; k-- {
		if string(p[len(p)-k:]) == begin[:k] {
			return k
		}
	}
	return 0
}

// nextCounted knows a frame's length before its first byte.
func (f *framer) nextCounted(p []byte, collect bool) (used int, data []byte, v verdict) {
	if f.inside {
		return f.nextPart(p, collect)
	}
	size, head := f.term.length(p)
	if head < 0 {
		return 0, nil, malformed
	}
	if head > len(p) {
		return 0, nil, wanting
	}
	limit := uint64(f.term.limit)
	over := size > limit
	switch end := head + int(min(size, limit)); {
	case over && !f.term.cut:
		return f.tooLong(head, nil, size)
	case collect && head == 0 && len(p) == 0 && size > 0:
		return 0, nil, wanting // it has not begun
	case collect:
		f.inside, f.n = true, min(size, limit)
		f.over = size - f.n
		return head, nil, piece
	case len(p) < end:
		return 0, nil, wanting
	case over:
		return f.tooLong(head, p[head:end:end], size-limit)
	default:
		return end, p[head:end:end], complete
	}
}

// nextPart is nextCounted once the prefix is used up.
func (f *framer) nextPart(p []byte, collect bool) (used int, data []byte, v verdict) {
	ready := int(min(f.n, uint64(len(p))))
	data = p[:ready:ready]
	switch {
	case f.n == 0 || !collect && uint64(ready) == f.n: // the handler has been changed
		if f.over > 0 {
			f.rest = &remainder{n: f.over}
		}
		f.inside, f.n, f.over = false, 0, 0
		return ready, data, complete
	case !collect || ready == 0:
		return 0, nil, wanting
	}
	f.n -= uint64(ready)
	return ready, data, piece
}

// length returns a frame's length, and how many bytes of p say so: more than there
// are if these do not yet, and a negative number if they never will.
func (t *Terminator) length(p []byte) (size uint64, head int) {
	switch {
	case t.kind == counted:
		return uint64(t.n), 0
	case t.kind == varint:
		size, head = binary.Uvarint(p)
		if head == 0 {
			head = len(p) + 1
		}
		return size, head
	case len(p) < t.n:
		return 0, t.n
	}
	for i := range t.n {
		if t.big {
			size = size<<8 | uint64(p[i])
		} else {
			size |= uint64(p[i]) << (8 * i)
		}
	}
	return size, t.n
}

// tooLong begins to throw away what is left of a frame, n bytes of it where that is
// known, behind data, its beginning.
func (f *framer) tooLong(head int, data []byte, n uint64) (used int, _ []byte, v verdict) {
	f.inside, f.n = false, 0
	f.rest = &remainder{term: f.term, n: n}
	if f.term.cut {
		return head + len(data), data, complete
	}
	return head + len(data), nil, oversize
}

// discard throws away the remainder of a frame.
func (f *framer) discard(p []byte) (used int, data []byte, v verdict) {
	r := f.rest
	if r.term.delim == "" {
		used = int(min(r.n, uint64(len(p))))
		if r.n -= uint64(used); r.n > 0 {
			return used, nil, wanting
		}
		f.rest = nil
		return used, nil, dropped
	}
	if end := find(p, f.scanned, r.term.delim); end >= 0 {
		f.rest, f.scanned = nil, 0
		return end, nil, dropped
	}
	f.scanned = r.term.held(p)
	return len(p) - f.scanned, nil, wanting
}
