package proof

import (
	"encoding/binary"
	"strings"

	"github.com/seed-20e08ac4/asyncore/chat"
)

// cut is one terminator, as the server is told it and as the reference knows it.
type cut struct {
	t        chat.Terminator
	delim    string // "": a count, or a prefix
	line     bool
	prefix   int // bytes of a length in front; 0: none
	count    int
	limit    int
	truncate bool
}

func delim(d string, limit int, truncate bool) cut {
	c := cut{t: chat.Delim(d).Limit(limit), delim: d, limit: limit, truncate: truncate}
	return c.cutting()
}

func line(limit int, truncate bool) cut {
	c := cut{t: chat.Line.Limit(limit), delim: "\n", line: true, limit: limit, truncate: truncate}
	return c.cutting()
}

func count(n, limit int) cut {
	return cut{t: chat.Count(n).Limit(limit), count: n, limit: limit}
}

func prefix(bytes, limit int, truncate bool) cut {
	c := cut{t: chat.LengthPrefix(bytes, binary.BigEndian).Limit(limit), prefix: bytes, limit: limit, truncate: truncate}
	return c.cutting()
}

func (c cut) cutting() cut {
	if c.truncate {
		c.t = c.t.Truncate()
	}
	return c
}

// tooLong stands for a frame of which nothing was delivered.
const tooLong = "(too long)"

// split cuts a whole stream into frames by looking for the leftmost delimiter;
// cuts are used one after the other, round and round.
// lost tells that the stream ends in a frame that was too long.
func split(stream string, cuts []cut) (frames []string, tail string, lost bool) {
	for {
		c := cuts[len(frames)%len(cuts)]
		body, end, known, over := 0, 0, false, false
		head := 0
		switch {
		case c.delim != "":
			window := c.limit + len(c.delim)
			if c.line {
				window = c.limit + 2
			}
			at := strings.Index(stream, c.delim)
			body, end, known = at, at+len(c.delim), at >= 0
			if known && c.line && at > 0 && stream[at-1] == '\r' {
				body--
			}
			over = known && body > c.limit || !known && len(stream) >= window
		default:
			n := c.count
			if c.prefix > 0 {
				if len(stream) < c.prefix {
					return frames, stream, false
				}
				n = 0
				for _, b := range []byte(stream[:c.prefix]) {
					n = n<<8 | int(b)
				}
				head = c.prefix
			}
			over = n > c.limit
			body, end, known = head+n, head+n, len(stream)-head >= n
		}
		switch {
		case over && c.truncate:
			if len(stream)-head < c.limit {
				return frames, stream, false
			}
			frames = append(frames, stream[head:head+c.limit])
		case over:
			frames = append(frames, tooLong)
		case known:
			frames = append(frames, stream[head:body])
		default:
			return frames, stream, false
		}
		if !known {
			return frames, "", true
		}
		stream = stream[end:]
	}
}
