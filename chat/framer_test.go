package chat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// frame is what a handler is told of one frame.
type frame struct {
	What string // "message", "too long", "malformed", "for ever"
	Data string // with Collect, what that had of it before
}

// told is all that a stream has come to: its frames, and the bytes of the one
// that is not complete, as far as nobody knows yet what becomes of them.
type told struct {
	Frames  []frame
	Pending string
}

// switches is the terminators of a stream: the next takes over with each frame,
// the last one stays.
type switches []Terminator

func (s switches) at(i int) Terminator { return s[min(i, len(s)-1)] }

// forEver is after how many frames without a byte both sides give up.
const forEver = turnBudget

// naive cuts a stream of which it has all, by looking for the leftmost
// delimiter. It shares nothing with the framer but the byte at which a frame
// without an end is too long: the first at which every delimiter is, that
// begins within the limit.
func naive(s string, terms switches) (out told) {
	empty := 0
	for {
		t := terms.at(len(out.Frames))
		body, end, ok := 0, 0, false // of the frame in s, as far as known
		head, over := 0, false
		switch t.kind {
		case stream:
			out.Pending = s
			return out
		case delimited, line:
			window := t.limit + len(t.delim)
			if t.kind == line {
				window = t.limit + len("\r\n")
			}
			at := strings.Index(s, t.delim)
			body, end, ok = at, at+len(t.delim), at >= 0
			if ok && t.kind == line && at > 0 && s[at-1] == '\r' {
				body--
			}
			over = ok && body > t.limit || !ok && len(s) >= window
		default:
			var n uint64
			switch {
			case t.kind == counted:
				n = uint64(t.n)
			case t.kind == varint:
				for i := 0; ; i++ {
					if i == len(s) && i <= 10 {
						return told{out.Frames, s}
					}
					if i == 10 || i == 9 && s[i] > 1 && s[i] < 0x80 {
						out.Frames = append(out.Frames, frame{"malformed", ""})
						return out
					}
					n |= uint64(s[i]&0x7f) << (7 * i)
					if head++; s[i] < 0x80 {
						break
					}
				}
			default:
				if head = t.n; len(s) < head {
					return told{out.Frames, s}
				}
				var number [8]byte
				if t.big {
					copy(number[8-head:], s)
					n = binary.BigEndian.Uint64(number[:])
				} else {
					copy(number[:], s[:head])
					n = binary.LittleEndian.Uint64(number[:])
				}
			}
			over = n > uint64(t.limit)
			ok = n <= uint64(len(s)-head)
			if over && t.cut && len(s)-head < t.limit {
				return told{out.Frames, s}
			}
			if ok {
				body, end = int(n)+head, int(n)+head
			}
		}
		switch {
		case over && t.cut:
			out.Frames = append(out.Frames, frame{"message", s[head : head+t.limit]})
		case over:
			out.Frames = append(out.Frames, frame{"too long", ""})
		case ok:
			out.Frames = append(out.Frames, frame{"message", s[head:body]})
		}
		if !ok {
			if !over {
				out.Pending = s
			}
			return out
		}
		if empty++; end > 0 {
			empty = 0
		}
		if s = s[end:]; empty == forEver {
			out.Frames = append(out.Frames, frame{"for ever", ""})
			return out
		}
	}
}

// cutter is a framer at work, with what Conn.read does for it.
type cutter struct {
	f       framer
	terms   switches
	collect bool
	tail    []byte
	part    string // what Collect has had of the frame under way
	frames  []frame
	moved   bool // a byte has been used since the last frame
	empty   int  // frames in a row without one
	over    bool
}

func newCutter(terms switches, collect bool) *cutter {
	return &cutter{f: framer{term: terms[0]}, terms: terms, collect: collect}
}

func (c *cutter) feed(t testing.TB, input string) {
	p := append(slices.Clip(c.tail), input...)
	for v := dropped; v != wanting && !c.over; {
		var used int
		var data []byte
		used, data, v = c.f.next(p, c.collect)
		if used < 0 || used > len(p) {
			t.Fatalf("%d bytes of %d are used", used, len(p))
		}
		if cap(data) != len(data) {
			t.Fatalf("append to %q would overwrite input", data)
		}
		p = p[used:]
		c.moved = c.moved || used > 0
		switch v {
		case piece:
			if len(data) == 0 && (used == 0 && c.f.term.kind != counted || !c.collect) {
				t.Fatalf("an empty piece of %v", c.f.term)
			}
			c.part += string(data)
		case complete:
			if c.collect && len(data) > 0 && !c.f.term.cut && c.f.term.kind != delimited && c.f.term.kind != line {
				t.Fatalf("with Collect, Message would get %q", data)
			}
			c.ended("message", c.part+string(data))
		case oversize:
			c.ended("too long", "")
		case dropped: // counts as a part of the frame that was too long
			c.empty, c.moved = 0, false
		case malformed:
			c.ended("malformed", "")
			c.over = true
		}
	}
	c.tail = slices.Clone(p)
}

func (c *cutter) ended(what, data string) {
	c.frames = append(c.frames, frame{what, data})
	c.part = ""
	if c.empty++; c.moved {
		c.empty, c.moved = 0, false
	}
	if c.empty == forEver {
		c.frames = append(c.frames, frame{"for ever", ""})
		c.over = true
	}
	if next := c.terms.at(len(c.frames)); next != c.f.term || len(c.terms) > len(c.frames) {
		c.f.set(next)
	}
}

// told is what has come of the stream. With Collect the prefix is used up.
func (c *cutter) told() told {
	out := told{Frames: c.frames}
	if !c.over && c.f.rest == nil {
		out.Pending = c.part + string(c.tail)
	}
	return out
}

// agree fails where got is not what naive has found.
func agree(t testing.TB, got, want told, terms switches, collect bool, how func() string) {
	t.Helper()
	same := slices.Equal(got.Frames, want.Frames)
	if collect {
		same = same && strings.HasSuffix(want.Pending, got.Pending)
	} else {
		same = same && got.Pending == want.Pending
	}
	if !same {
		t.Fatalf("%v, limits %v, Collect %v, %s: (-naive +got)\n%s", terms, limits(terms), collect, how(), cmp.Diff(want, got))
	}
}

func limits(terms switches) (n []int) {
	for _, t := range terms {
		n = append(n, t.limit)
	}
	return n
}

// cut feeds a stream in segments, whose lengths next gives, and compares.
func cut(t testing.TB, s string, terms switches, collect bool, next func(left int) int) {
	t.Helper()
	c := newCutter(terms, collect)
	var sizes []int
	for rest := s; ; {
		n := min(max(next(len(rest)), 1), len(rest))
		c.feed(t, rest[:n])
		sizes = append(sizes, n)
		if rest = rest[n:]; rest == "" {
			break
		}
	}
	agree(t, c.told(), naive(s, terms), terms, collect, func() string {
		return fmt.Sprintf("%.200q as %.200v", s, fmt.Sprint(sizes))
	})
}

// everyWay cuts a stream into segments of each size from 1 to 9, and not at all.
func everyWay(t testing.TB, s string, terms ...Terminator) {
	t.Helper()
	for _, collect := range []bool{false, true} {
		for size := range 10 {
			if size == 0 {
				size = len(s)
			}
			cut(t, s, terms, collect, func(int) int { return size })
		}
	}
}

// policies are the answers to a frame that is too long.
func policies(t Terminator, limit int) []Terminator {
	return []Terminator{t.Limit(limit), t.Limit(limit).Truncate()}
}

func delims(d ...string) (ts []Terminator) {
	for _, d := range d {
		ts = append(ts, Delim(d))
	}
	return ts
}

// The naive splitter itself, so that there is something to stand on.
func TestNaive(t *testing.T) {
	for _, tt := range []struct {
		s     string
		terms switches
		want  told
	}{
		{"a\r\nb\nc\r", switches{Line}, told{[]frame{{"message", "a"}, {"message", "b"}}, "c\r"}},
		{"\r\r\n\n\r\n", switches{Line}, told{[]frame{{"message", "\r"}, {"message", ""}, {"message", ""}}, ""}},
		{"aaab", switches{Delim("aab")}, told{[]frame{{"message", "a"}}, ""}},
		{"aaa", switches{Delim("aa")}, told{[]frame{{"message", ""}}, "a"}},
		{"abcd\nabc\n", switches{Line.Limit(3)}, told{[]frame{{"too long", ""}, {"message", "abc"}}, ""}},
		{"abcd\nabc\n", switches{Line.Limit(3).Truncate()}, told{[]frame{{"message", "abc"}, {"message", "abc"}}, ""}},
		{"3\nabcx\n", switches{Line, Count(3), Line}, told{[]frame{{"message", "3"}, {"message", "abc"}, {"message", "x"}}, ""}},
		{"\x00\x02ab\x00", switches{LengthPrefix(2, binary.BigEndian)}, told{[]frame{{"message", "ab"}}, "\x00"}},
	} {
		if diff := cmp.Diff(tt.want, naive(tt.s, tt.terms)); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", tt.s, diff)
		}
	}
}

// What people send, and what they should not: every framing case of the fault
// model that needs no Conn.
var streams = []string{
	"", "a", "\n", "\r", "\r\n", "\n\r", "\r\r\n", "\r\n\n", "\n\n\n", "a\r\nb\r\n", "a\nb\rc\r\n", "\x00\r\n\xff\xfe\n",
	"a\rb\r\r\n\r", "\r\n.\r\n", "x\r\n.\r\n", "a\r\n.\r.\r\n.\r\n\r\n", "\r\n.\r\r\n.\r\n", "\r\n.\r\n.\r\n", "..\r\n.\r", ".\r\n",
	"aaaaaa", "abababac", "aabaabaaab", "xxabcabcabd", strings.Repeat("a", 40) + "\n", strings.Repeat("\n", 300),
	"GET / HTTP/1.1\r\nHost: x\r\n\r\nbody", "5\nhello0\n6\nworld\n",
}

func TestFramerSegments(t *testing.T) {
	terms := append(delims("\n", "\r\n", "\r\n.\r\n", "\r\n\r\n", "aa", "aab", "abac", "abcabd", "aabaaab", "\x00"),
		Line, Stream, Count(1), Count(3), Count(7), Count(0), VarintPrefix, LengthPrefix(1, binary.BigEndian))
	for _, s := range streams {
		for _, term := range terms {
			everyWay(t, s, term)
			for _, limit := range []int{1, 2, 5, 8} {
				if limit >= len(term.delim) && term.kind != stream {
					everyWay(t, s, policies(term, limit)[0])
					everyWay(t, s, policies(term, limit)[1])
				}
			}
		}
	}
}

// All 2^(n-1) ways to cut up to 12 bytes.
func TestFramerEveryCut(t *testing.T) {
	terms := append(delims("\r\n", "\r\n.\r\n", "aa"), Line, Line.Limit(2), Line.Limit(2).Truncate(), Delim("\r\n").Limit(3), Count(2),
		Count(5).Limit(3), Count(5).Limit(3).Truncate(), VarintPrefix, LengthPrefix(2, binary.LittleEndian).Limit(600).Truncate())
	for _, s := range []string{
		"a\r\nbc\r\r\n\nd\r", "\r\n.\r\r\n.\r\na", "aaabaaaaabaa", "\x02\x00ab\x00\x00\x01\x00\x03\x02ab", "\x82\x00ab\x81\x80\x00cabcd",
	} {
		for _, term := range terms {
			for _, collect := range []bool{false, true} {
				for mask := range 1 << (len(s) - 1) {
					if RaceDetector && mask%7 != 0 {
						continue
					}
					at := 0
					cut(t, s, switches{term}, collect, func(left int) int {
						n := 1
						for ; n < left && mask>>at&1 == 0; n++ {
							at++
						}
						at++
						return n
					})
				}
			}
		}
	}
}

// place is a framer between two segments.
type place struct {
	f          framer
	rest       remainder
	tail, part string
	moved      bool
	discarding bool
}

// All strings over a small alphabet, and all ways to cut each: where two ways
// have led to the same place, one of them is followed.
func TestFramerEveryString(t *testing.T) {
	for i, term := range []Terminator{
		Line, Delim("\r\n.\r\n"), Delim("aa"),
		Delim("\r\n"), Count(3), Delim("\r\r\n"), Line.Limit(2), Line.Limit(2).Truncate(), Delim("aa").Limit(3), Delim(".\n").Limit(2).Truncate(),
		Count(4).Limit(2), Count(4).Limit(2).Truncate(),
	} {
		length := 7
		if i >= 3 {
			length = 6
		}
		if testing.Short() || RaceDetector {
			length = 5
		}
		for _, collect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v,%d,%v,%v", term, term.limit, term.cut, collect), func(t *testing.T) {
				t.Parallel()
				terms := switches{term}
				places := make([][]*cutter, length+1)
				places[0] = []*cutter{newCutter(terms, collect)}
				var s []byte
				var grow func()
				grow = func() {
					for _, b := range []byte("\r\n.a\x00") {
						s = append(s, b)
						n := len(s)
						want := naive(string(s), terms)
						seen := map[place]bool{}
						places[n] = places[n][:0]
						for from := range n {
							for _, c := range places[from] {
								c := c.clone()
								c.feed(t, string(s[from:n]))
								agree(t, c.told(), want, terms, collect, func() string {
									return fmt.Sprintf("%q, the last %d at once", s, n-from)
								})
								if at := c.place(); !seen[at] {
									seen[at] = true
									places[n] = append(places[n], c)
								}
							}
						}
						if n < length {
							grow()
						}
						s = s[:n-1]
					}
				}
				grow()
			})
		}
	}
}

func (c *cutter) clone() *cutter {
	d := *c
	if c.f.rest != nil {
		rest := *c.f.rest
		d.f.rest = &rest
	}
	d.frames = slices.Clip(c.frames)
	return &d
}

// place leaves out the frames, which have been compared.
func (c *cutter) place() place {
	at := place{f: c.f, tail: string(c.tail), part: c.part, moved: c.moved}
	if c.f.rest != nil {
		at.rest = *c.f.rest
		at.f.rest, at.discarding = nil, true
	}
	return at
}

// Frames of one byte less than the limit, as many, and one more, are judged
// alike however they come.
func TestFramerLimit(t *testing.T) {
	for _, limit := range []int{5, 9, 64} {
		for _, term := range append(delims("\n", "\r\n", "\r\n.\r\n", "aab"), Line, VarintPrefix, LengthPrefix(1, binary.BigEndian)) {
			for size := limit - 1; size <= limit+1; size++ {
				for _, fill := range []string{"x", "\r", "a"} {
					body := strings.Repeat(fill, size)
					s := body + term.delim
					switch {
					case term.kind == line:
						s = body + "\r\n"
					case term.kind == varint || term.kind == prefixed:
						s = string([]byte{byte(size)}) + body
					}
					for _, policy := range policies(term, limit) {
						everyWay(t, s+s+s, policy)
						everyWay(t, s[:len(s)-1], policy)
					}
				}
			}
		}
	}
}

// Delimiters of every length, self-overlapping ones too, in streams made of
// their parts.
func TestFramerDelims(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		d := make([]byte, 1+rng.IntN(maxDelim))
		for i := range d {
			d[i] = "ab"[rng.IntN(20)/(1+rng.IntN(20))&1]
		}
		term := Delim(string(d)).Limit(len(d) + rng.IntN(100))
		var s strings.Builder
		for s.Len() < 300 {
			i := rng.IntN(len(d) + 1)
			s.Write(d[i : i+rng.IntN(len(d)-i+1)])
			if rng.IntN(3) == 0 {
				s.WriteByte("abc"[rng.IntN(3)])
			}
		}
		cut(t, s.String(), switches{term}, rng.IntN(2) == 0, func(int) int { return 1 + rng.IntN(1+rng.IntN(2*len(d))) })
	}
}

// Length prefixes: each size and order, lengths around the limit, and such as
// no memory holds.
func TestFramerPrefix(t *testing.T) {
	type order interface {
		binary.ByteOrder
		binary.AppendByteOrder
	}
	for _, order := range []order{binary.BigEndian, binary.LittleEndian} {
		for _, width := range []int{1, 2, 4, 8} {
			for _, n := range []uint64{0, 1, 9, 10, 11, 127, 255, 256, 65535, 1 << 31, 1 << 32, 1 << 62, math.MaxInt64, 1 << 63, math.MaxUint64} {
				if width < 8 && n >= 1<<(8*width) {
					continue
				}
				var p []byte
				switch width {
				case 1:
					p = []byte{byte(n)}
				case 2:
					p = order.AppendUint16(nil, uint16(n))
				case 4:
					p = order.AppendUint32(nil, uint32(n))
				case 8:
					p = order.AppendUint64(nil, n)
				}
				s := string(p) + strings.Repeat("x", int(min(n, 300))) + string(p[:width-1])
				for _, policy := range append(policies(LengthPrefix(width, order), 10), LengthPrefix(width, order).Limit(math.MaxInt)) {
					everyWay(t, s, policy)
				}
			}
		}
	}
}

func TestFramerVarint(t *testing.T) {
	for _, n := range []uint64{0, 1, 9, 10, 11, 127, 128, 300, 1 << 31, 1 << 62, math.MaxInt64, math.MaxUint64} {
		p := string(binary.AppendUvarint(nil, n))
		for _, prefix := range []string{p, p[:len(p)-1] + string([]byte{p[len(p)-1] | 0x80, 0}), p[:len(p)-1]} { // the shortest, a longer one, a part
			for _, policy := range append(policies(VarintPrefix, 10), VarintPrefix.Limit(math.MaxInt)) {
				everyWay(t, prefix+strings.Repeat("\x01", int(min(n, 300))), policy)
			}
		}
	}
	for _, s := range []string{
		strings.Repeat("\x80", 9) + "\x01x",  // 1<<63
		strings.Repeat("\x80", 9) + "\x02",   // 1<<64
		strings.Repeat("\x80", 9) + "\x00xy", // 0 in ten bytes
		strings.Repeat("\xff", 30),
		"\x01a" + strings.Repeat("\x80", 10) + "\x00",
	} {
		everyWay(t, s, VarintPrefix)
		everyWay(t, s, VarintPrefix.Truncate())
	}
}

// Counts that no memory holds cost nothing but the throwing away.
func TestFramerCount(t *testing.T) {
	for _, n := range []int{0, 1, 2, 9, 10, 11, 1<<20 + 1, math.MaxInt} {
		for _, policy := range policies(Count(n), 10) {
			everyWay(t, strings.Repeat("abc", 20), policy)
			everyWay(t, strings.Repeat("abc", 20), policy, Count(3), Line)
		}
	}
}

// kinds has one terminator of each kind, and such as a frame is too long for.
var kinds = []Terminator{
	Delim("\r\n"), Line, Count(3), Count(0), LengthPrefix(1, binary.BigEndian), VarintPrefix, Delim("aa").Limit(2), Line.Limit(1),
	Line.Limit(1).Truncate(), Count(5).Limit(2), Count(5).Limit(2).Truncate(), LengthPrefix(1, binary.BigEndian).Limit(2).Truncate(), Stream,
}

// From every kind to every other one and back again with each frame.
func TestFramerSwitches(t *testing.T) {
	for _, a := range kinds {
		for _, b := range kinds {
			for _, s := range []string{"ab\r\ncd\r\nef\nghi\r\n\x03abcaaaxx", "\x02ab\r\n\x01\nx\x00aa\r\r\n\n\nabc", "\x04\r\nab\x03aaa\x09\r\n\x02\x01\n\n\n"} {
				everyWay(t, s, a, b, a, b, a)
				everyWay(t, s, a, a, b)
			}
		}
	}
}

// Script is a random stream and its terminators.
func Script(rng *rand.Rand) (s string, terms []Terminator) {
	for range 1 + rng.IntN(6) {
		terms = append(terms, kinds[rng.IntN(len(kinds))])
	}
	b := make([]byte, 1+rng.IntN(60))
	for i := range b {
		b[i] = "\r\n\r\na.\x00\x01\x02\x05x\x81"[rng.IntN(12)]
	}
	return string(b), terms
}

// Naive is what the naive splitter makes of a script, as text.
func Naive(s string, terms []Terminator) (frames []string) {
	for _, f := range naive(s, terms).Frames {
		frames = append(frames, strings.TrimSuffix(fmt.Sprintf("%s %q", f.What, f.Data), ` ""`))
	}
	return frames
}

// Random scripts over random streams.
func TestFramerScripts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 10000 {
		s, terms := Script(rng)
		cut(t, s, terms, rng.IntN(2) == 0, func(int) int { return 1 + rng.IntN(1+rng.IntN(8)) })
	}
}

// What is looked at, and what is kept, grows with the input and not with its
// square: the framer never asks for a byte twice but for a delimiter's length.
func TestFramerScansOnce(t *testing.T) {
	for _, d := range []string{"\n", "\r\n", strings.Repeat("a", 63) + "b"} {
		f := framer{term: Delim(d).Limit(1 << 20)}
		p := []byte(strings.Repeat("x", 1000))
		for n := range p {
			if used, _, v := f.next(p[:n], false); used != 0 || v != wanting || f.scanned != n {
				t.Fatalf("Delim(%.3q): %d bytes: %v, used %d, scanned %d", d, n, v, used, f.scanned)
			}
		}
	}
	f := framer{term: Line.Limit(8)}
	f.next([]byte(strings.Repeat("x", 10)), false)
	for range 100 {
		if used, _, v := f.next([]byte(strings.Repeat("x", 99)+"\r"), false); used != 99 || v != wanting {
			t.Fatalf("of what is thrown away %d bytes of 100 are used: %v", used, v)
		}
	}
}

func TestFramerAllocs(t *testing.T) {
	if RaceDetector {
		t.Skip("the race detector allocates")
	}
	input := []byte(strings.Repeat("PING 1\r\n", 100))
	for _, collect := range []bool{false, true} {
		f := framer{term: Line}
		if n := testing.AllocsPerRun(100, func() {
			for p := input; len(p) > 0; {
				used, _, _ := f.next(p, collect)
				p = p[used:]
			}
		}); n != 0 {
			t.Errorf("Collect %v: %v allocations for 100 lines", collect, n)
		}
	}
}

// fuzzTerm makes a terminator of what a fuzzer has come to.
func fuzzTerm(kind uint8, n uint16, delim string, limit uint16, cut bool) (t Terminator) {
	switch kind % 7 {
	case 0, 1:
		t = Delim(delim[:min(max(len(delim), 1), maxDelim, max(len(delim), 0))] + strings.Repeat("\n", max(0, 1-len(delim))))
	case 2:
		t = Line
	case 3:
		t = Count(int(n))
	case 4:
		t = LengthPrefix(1<<(n%4), []binary.ByteOrder{binary.BigEndian, binary.LittleEndian}[n>>2&1])
	case 5:
		t = VarintPrefix
	case 6:
		return Stream
	}
	t = t.Limit(max(int(limit), len(t.delim), 1))
	if cut {
		t = t.Truncate()
	}
	return t
}

// cuts gives the lengths of segments that a fuzzer has come to.
func cuts(p []byte) func(int) int {
	i := 0
	return func(left int) int {
		if len(p) == 0 {
			return left
		}
		i++
		return int(p[i%len(p)])
	}
}

func FuzzSplit(f *testing.F) {
	for i, s := range streams {
		f.Add(s, "\r\n", uint8(i), uint16(3), uint16(8192), i%2 == 0, i%3 == 0, []byte{1, 2, 5})
	}
	f.Add("aaab", "aab", uint8(0), uint16(0), uint16(3), false, true, []byte{1})
	f.Fuzz(func(t *testing.T, s, delim string, kind uint8, n, limit uint16, truncate, collect bool, segments []byte) {
		s = s[:min(len(s), 2000)]
		cut(t, s, switches{fuzzTerm(kind, n, delim, limit, truncate)}, collect, cuts(segments))
	})
}

func FuzzModes(f *testing.F) {
	f.Add("5\nhello0\n\r\n", []byte{2, 3, 9, 1, 0, 4}, false, []byte{3})
	f.Add("\x02ab\r\n\x01\nx\x00aa\r\r\n\n\nabc", []byte{4, 2, 8, 5, 1, 40}, true, []byte{1})
	f.Fuzz(func(t *testing.T, s string, script []byte, collect bool, segments []byte) {
		s = s[:min(len(s), 2000)]
		terms := switches{Line}
		for ; len(script) >= 3 && len(terms) < 50; script = script[3:] {
			delim := []string{"\n", "\r\n", "aa", "\r\n.\r\n", "aab", "\x00"}[script[1]%6]
			terms = append(terms, fuzzTerm(script[0], uint16(script[1]), delim, uint16(script[2]), script[0] >= 128))
		}
		cut(t, s, terms, collect, cuts(segments))
	})
}

// index gives what bytes.IndexByte does, wherever b is, whatever is around it and
// however long the frame before was. Next to b are those bytes that a sloppy
// comparison takes for it.
func TestIndex(t *testing.T) {
	lasts := []int{0, 4, 5, 64, 65, math.MaxInt}
	check := func(p []byte, b byte) {
		for _, last := range lasts {
			if got, want := index(p, b, last), bytes.IndexByte(p, b); got != want {
				t.Fatalf("index(%q, %#x, %d) = %d, want %d", p, b, last, got, want)
			}
		}
	}
	room := make([]byte, 8+140)
	for b := range 256 {
		b := byte(b)
		for _, other := range []byte{b ^ 1, b ^ 0x80, b + 1, b - 1, b ^ 0xff} {
			for i := range room {
				room[i] = other
			}
			for at := range 66 {
				p := room[at%8:][:66]
				check(p, b)
				p[at] = b
				check(p, b)
				p[at] = other
			}
		}
	}
	for size := range 140 {
		for offset := range 8 {
			p := room[offset:][:size]
			clear(p)
			check(p, 1)
			for at := range p {
				p[at] = 1
				room[offset+size] = 1 // not p's
				check(p, 1)
				for next := at + 1; offset == 0 && next < size; next++ {
					p[next] = 1
					check(p, 1)
					p[next] = 0
				}
				p[at] = 0
			}
		}
	}
}
