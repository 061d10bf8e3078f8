package chat

import (
	"encoding/binary"
	"fmt"
	"math"
)

// The limits of frames whose terminator sets none.
const (
	lineLimit  = 8 << 10
	countLimit = 1 << 20
)

// maxDelim is how long a delimiter may be.
const maxDelim = 64

// Terminator says where a frame ends: at a delimiter, after a number of bytes,
// or never (asynchat's set_terminator, whose three kinds share one argument).
// Make it with Delim, Count or LengthPrefix, or take one of the variables; the
// zero value is none. Terminators may be compared.
type Terminator struct {
	delim string // of delimited and line
	n     int    // of counted: the frame's length; of prefixed: the prefix's
	limit int
	kind  kind
	big   bool // of prefixed
	cut   bool // a frame that is too long is truncated
}

type kind uint8

const (
	delimited kind = iota + 1
	line
	counted
	prefixed
	varint
	stream
)

var (
	// Line ends frames at a line feed; one carriage return before it belongs to
	// the terminator too. It is what a Conn begins with. Protocols in which a
	// bare line feed must not end a line, SMTP and HTTP among them, take
	// Delim("\r\n").
	Line = Terminator{kind: line, delim: "\n", limit: lineLimit}

	// VarintPrefix is LengthPrefix with a base-128 varint as the length, as in
	// protocol buffers ([binary.Uvarint]). One of more than 64 bits closes the
	// Conn.
	VarintPrefix = Terminator{kind: varint, limit: countLimit}

	// Stream ends no frame (None, in asynchat): pieces of input come to Collect,
	// or to Message where that is nil, as they arrive.
	Stream = Terminator{kind: stream}
)

// Delim ends frames at d, which has 1 to 64 bytes of any values; the first d in
// the stream counts. The limit is 8 KiB.
func Delim(d string) Terminator {
	if len(d) == 0 || len(d) > maxDelim {
		panic(fmt.Sprintf("chat: Delim: delimiter has %d bytes, and may have 1 to %d", len(d), maxDelim))
	}
	return Terminator{kind: delimited, delim: d, limit: lineLimit}
}

// Count ends a frame after n bytes, and the next after as many again until
// another terminator is set. A frame of 0 bytes comes at once, and then the
// protocol has to set another one: where it lets frames without a byte follow
// each other for ever, the Conn closes. The limit is 1 MiB. n must not be
// negative. Where it comes from the peer it is best checked, and one that has been
// may be its own limit: Count(n).Limit(max(n, 1)).
func Count(n int) Terminator {
	if n < 0 {
		panic(fmt.Sprintf("chat: Count(%d): count is negative", n))
	}
	return Terminator{kind: counted, n: n, limit: countLimit}
}

// LengthPrefix takes each frame's length from the bytes in front of it, as a
// number of 1, 2, 4 or 8 bytes in the given order ([binary.BigEndian] is the
// network's). The limit is 1 MiB.
func LengthPrefix(bytes int, order binary.ByteOrder) Terminator {
	switch bytes {
	case 1, 2, 4, 8:
	default:
		panic(fmt.Sprintf("chat: LengthPrefix(%d): a length has 1, 2, 4 or 8 bytes", bytes))
	}
	big := order.Uint16([]byte{1, 0}) == 1<<8
	return Terminator{kind: prefixed, n: bytes, big: big, limit: countLimit}
}

// Limit returns t with another limit: the most bytes that a frame may have, not
// counting its terminator or prefix. What becomes of a longer one is told at
// Handler.TooLong. The limit must be positive, and not less than a delimiter's
// length. Under Stream there is none.
func (t Terminator) Limit(bytes int) Terminator {
	if bytes <= 0 || bytes < len(t.delim) {
		panic(fmt.Sprintf("chat: Limit(%d): not positive, or less than the delimiter's length", bytes))
	}
	t.limit = min(bytes, math.MaxInt-maxDelim-1)
	return t
}

// Truncate returns t such that of a frame that is too long Message gets as many
// bytes as the limit allows, as soon as it is known to be, and the rest is thrown
// away.
func (t Terminator) Truncate() Terminator {
	t.cut = true
	return t
}

// String describes t for logs.
func (t Terminator) String() string {
	switch t.kind {
	case delimited:
		return fmt.Sprintf("Delim(%q)", t.delim)
	case line:
		return "Line"
	case counted:
		return fmt.Sprintf("Count(%d)", t.n)
	case prefixed:
		order := "LittleEndian"
		if t.big {
			order = "BigEndian"
		}
		return fmt.Sprintf("LengthPrefix(%d, %s)", t.n, order)
	case varint:
		return "VarintPrefix"
	case stream:
		return "Stream"
	}
	return "Terminator{}"
}

// immediate tells whether t may end a frame without any input.
func (t *Terminator) immediate() bool {
	return t.kind == counted && (t.n == 0 || t.n > t.limit)
}
