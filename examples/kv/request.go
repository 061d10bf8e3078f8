package main

import (
	"bytes"

	"github.com/seed-20e08ac4/asyncore/chat"
)

// request collects one command from the frames that it comes in: a line that
// says how many arguments follow, and for each a line with its length and a block
// of so many bytes; or one line with all of them, as a person types it. It does
// no I/O, and allocates by what has come.
type request struct {
	limits *limits
	held   *int // by the incomplete commands of all clients

	left  int // arguments still to come; 0: the next frame begins a command
	block int // the next frame is an argument of so many bytes, and CRLF; -1: a line

	text  []byte // the arguments, one behind the other
	ends  []int  // where each of them ends in text
	args  [][]byte
	owing int // counted in held
}

// lineLimit is PROTO_INLINE_MAX_SIZE.
const lineLimit = 64 << 10

// One byte more than is allowed comes of a line that is too long, to tell.
var line = chat.Delim("\n").Limit(lineLimit + 1).Truncate()

// next has the next frame end where it does.
func (r *request) next(c *chat.Conn) {
	switch size := r.block + 2; {
	case r.block < 0:
		c.SetTerminator(line)
	case size > 1<<20: // more than Count allows by itself
		c.SetTerminator(chat.Count(size).Limit(size))
	default:
		c.SetTerminator(chat.Count(size))
	}
}

// protocolError is what a client is told before its connection is closed.
type protocolError string

func (e protocolError) Error() string { return "Protocol error: " + string(e) }

// frame takes a frame, and tells whether the command is complete. args is then
// valid for as long as msg is: the last argument lies in it. No arguments are a
// command too, which has no answer.
func (r *request) frame(msg []byte) (complete bool, err error) {
	switch {
	case r.block >= 0:
		return r.argument(msg)
	case r.left > 0:
		return false, r.length(msg)
	}
	r.text, r.ends, r.args = r.text[:0], r.ends[:0], r.args[:0]
	if len(msg) > 0 && msg[0] == '*' {
		return r.count(msg)
	}
	return true, r.inline(msg)
}

func (r *request) count(msg []byte) (complete bool, err error) {
	n, ok := number(msg)
	switch {
	case tooLong(msg):
		return false, protocolError("too big mbulk count string")
	case !ok || n > int64(r.limits.args):
		return false, protocolError("invalid multibulk length")
	}
	r.left = int(max(n, 0))
	return r.left == 0, nil
}

func (r *request) length(msg []byte) error {
	n, ok := number(msg)
	switch {
	case tooLong(msg):
		return protocolError("too big bulk count string")
	case len(msg) == 0 || msg[0] != '$':
		return protocolError("expected '$', got '" + string(append(msg, ' ')[:1]) + "'")
	case !ok || n < 0 || n > int64(r.limits.value):
		return protocolError("invalid bulk length")
	case len(r.text)+int(n)+argCost*(len(r.ends)+1) > r.limits.command:
		return protocolError("too big command")
	}
	r.block = int(n)
	return nil
}

// argument keeps a copy of all arguments but the last: msg is gone when the next
// frame comes.
func (r *request) argument(msg []byte) (complete bool, err error) {
	arg := msg[:r.block]
	if msg[r.block] != '\r' || msg[r.block+1] != '\n' {
		return false, protocolError("expected CRLF behind an argument")
	}
	r.block = -1
	if r.left--; r.left > 0 {
		return false, r.keep(arg)
	}
	r.split()
	r.args = append(r.args, arg)
	return true, nil
}

// argCost is what an argument costs besides its bytes.
const argCost = 32

// smallText is what a connection may hold without being counted.
const smallText = 4 << 10

func (r *request) keep(arg []byte) error {
	r.text = append(r.text, arg...)
	r.ends = append(r.ends, len(r.text))
	if size := cap(r.text) + argCost*cap(r.ends); size > smallText {
		*r.held += size - r.owing
		r.owing = size
		if *r.held > r.limits.held {
			return protocolError("too big commands of all clients")
		}
	}
	return nil
}

// split makes arguments of text.
func (r *request) split() {
	begin := 0
	for _, end := range r.ends {
		r.args = append(r.args, r.text[begin:end:end])
		begin = end
	}
}

// release gives back what a large command has taken.
func (r *request) release() {
	if r.owing > 0 {
		*r.held -= r.owing
		r.owing = 0
		r.text, r.ends, r.args = nil, nil, nil
	}
}

// tooLong tells whether a line is too long. Redis' search for a line's end stops
// at a NUL byte, so that a line with one gets too long in any case.
func tooLong(msg []byte) bool {
	return len(msg) > lineLimit || bytes.IndexByte(msg, 0) >= 0
}

// number reads a header: a sign that says what it is, a number, and CR.
func number(msg []byte) (n int64, ok bool) {
	if len(msg) < 2 || msg[len(msg)-1] != '\r' {
		return 0, false
	}
	return parseInt(msg[1 : len(msg)-1])
}

// parseInt takes numbers as Redis does: no plus, no zero in front, no blanks.
func parseInt(p []byte) (n int64, ok bool) {
	digits := p
	if len(p) > 0 && p[0] == '-' {
		digits = p[1:]
	}
	if len(digits) == 0 || len(digits) > 19 || digits[0] == '0' && len(p) > 1 {
		return 0, false
	}
	var u uint64
	for _, b := range digits {
		if b < '0' || b > '9' {
			return 0, false
		}
		u = u*10 + uint64(b-'0')
	}
	if len(digits) < len(p) {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u < 1<<63
}
