package main

import (
	"bytes"
	"net/http"
)

// The limits of what a chunked body may have besides its bytes.
const (
	maxChunkLine = 1 << 10
	maxDigits    = 16
	maxExtra     = 8 << 10 // chunk extensions and trailers
)

// body follows a request's body from frame to frame. A frame is a line, up to its
// line feed, or a number of bytes, which nobody wants.
type body struct {
	part  part
	n     int64 // bytes in the next frame, where that is no line
	total int64
	extra int
	lines int // trailers
}

type part uint8

const (
	over      part = iota
	sized          // all of a body whose length the header gave
	chunkSize      // a line
	chunkData
	chunkEnd // the empty line behind that
	trailer  // lines; an empty one is the last
)

// newBody begins a body of so many bytes, or a chunked one.
func newBody(length int64) body {
	switch length {
	case 0:
		return body{}
	case chunked:
		return body{part: chunkSize}
	}
	return body{part: sized, n: length}
}

func (b *body) over() bool { return b.part == over }

// counted tells that the next frame is n bytes; else it is a line.
func (b *body) counted() bool { return b.part == sized || b.part == chunkData }

// frame takes the next one: a line with its carriage return, as in a header.
// Bytes are not looked at.
func (b *body) frame(line []byte) (status int) {
	switch b.part {
	case sized:
		b.part = over
		return 0
	case chunkData:
		b.part = chunkEnd
		return 0
	}
	text, ok := bytes.CutSuffix(line, []byte("\r"))
	if !ok {
		return http.StatusBadRequest
	}
	switch b.part {
	case chunkSize:
		return b.size(text)
	case chunkEnd:
		if len(text) > 0 {
			return http.StatusBadRequest
		}
		b.part = chunkSize
	case trailer:
		return b.trailer(text)
	}
	return 0
}

// size takes digits alone, or an extension behind them: no sign, no prefix, no
// space.
func (b *body) size(text []byte) (status int) {
	digits, extension, _ := bytes.Cut(text, []byte(";"))
	n := int64(0)
	for _, c := range digits {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return http.StatusBadRequest
		}
		n = min(n<<4|int64(c), maxBody+1)
	}
	if len(digits) == 0 || len(digits) > maxDigits || !isText(extension) {
		return http.StatusBadRequest
	}
	b.total += n
	b.extra += len(text) - len(digits)
	switch {
	case b.total > maxBody, b.extra > maxExtra:
		return http.StatusRequestEntityTooLarge
	case n == 0:
		b.part = trailer
	default:
		b.part, b.n = chunkData, n
	}
	return 0
}

func (b *body) trailer(text []byte) (status int) {
	if len(text) == 0 {
		b.part = over
		return 0
	}
	b.extra += len(text)
	if b.lines++; b.lines > maxFields || b.extra > maxExtra {
		return http.StatusRequestHeaderFieldsTooLarge
	}
	if f, ok := parseField(string(text)); !ok || isFraming(f.name) {
		return http.StatusBadRequest
	}
	return 0
}
