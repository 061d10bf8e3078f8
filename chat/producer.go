package chat

import (
	"errors"
	"io"
)

// DotStuff returns a producer for the end of SMTP's DATA and its kin (RFC 5321,
// section 4.5.2): what r gives with every line end made CRLF, another dot in front
// of each line that begins with one, and the line with a dot that ends it all. A
// carriage return or line feed alone is a line end. For the other direction there
// are Delim("\r\n") and a look at each line's first byte.
func DotStuff(r io.Reader) io.Reader {
	d := &dots{src: r, start: true}
	return &encoder{fill: d.fill}
}

// Chunked returns a producer for HTTP/1.1's chunked transfer coding (RFC 9112,
// section 7.1): each piece that r gives is a chunk, and at r's end comes the last
// one, without trailers.
func Chunked(r io.Reader) io.Reader {
	return &encoder{fill: (&chunks{src: r}).fill}
}

// encoder is a Reader that leaves filling buffers of some size to fill.
type encoder struct {
	fill  func(p []byte) (int, error)
	small [64]byte // the least that fill gets
	rest  []byte   // of small
	err   error    // behind rest
}

func (e *encoder) Read(p []byte) (n int, err error) {
	if len(e.rest) == 0 {
		if e.err != nil || len(p) == 0 {
			return 0, e.err
		}
		if len(p) >= len(e.small) {
			n, e.err = e.fill(p)
			return n, e.err
		}
		n, e.err = e.fill(e.small[:])
		if e.rest = e.small[:n]; n == 0 {
			return 0, e.err
		}
	}
	n = copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

var errBadCount = errors.New("chat: producer returned an invalid count from Read")

// read does not trust r.
func read(r io.Reader, p []byte) (int, error) {
	n, err := r.Read(p)
	if n < 0 || n > len(p) {
		return 0, errBadCount
	}
	return n, err
}

type dots struct {
	src   io.Reader
	start bool // at the beginning of a line
	cr    bool // which a carriage return has ended: its line feed has been sent
}

// fill reads into the end of p, and writes from its beginning: two bytes for one,
// at most, and five at the end.
func (d *dots) fill(p []byte) (int, error) {
	for {
		in := p[len(p)-(len(p)-5)/2:]
		n, err := read(d.src, in)
		out := p[:0]
		for _, b := range in[:n] {
			again := b == '\n' && d.cr
			d.cr = b == '\r'
			switch {
			case again:
			case b == '\r' || b == '\n':
				out = append(out, '\r', '\n')
				d.start = true
			case b == '.' && d.start:
				out = append(out, '.')
				fallthrough
			default:
				out = append(out, b)
				d.start = false
			}
		}
		if err == io.EOF {
			if !d.start {
				out = append(out, '\r', '\n')
			}
			out = append(out, '.', '\r', '\n')
		}
		if len(out) > 0 || n == 0 || err != nil {
			return len(out), err
		}
	}
}

type chunks struct{ src io.Reader }

// fill leaves room for the size, which is as long as p's would be, and for the last
// chunk.
func (c *chunks) fill(p []byte) (int, error) {
	const digits = "0123456789abcdef"
	width := 0
	for n := len(p); n > 0; n >>= 4 {
		width++
	}
	data := p[width+2 : len(p)-7]
	n, err := read(c.src, data)
	out := p[:0]
	if n > 0 {
		for i := width - 1; i >= 0; i-- {
			out = append(out, digits[n>>(4*i)&15])
		}
		out = append(out, '\r', '\n')
		out = append(p[:len(out)+n], '\r', '\n')
	}
	if err == io.EOF {
		out = append(out, "0\r\n\r\n"...)
	}
	return len(out), err
}
