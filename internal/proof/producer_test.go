package proof

import (
	"errors"
	"io"
	"math"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// source is a producer that gives what it has in pieces of drawn sizes, and now and
// then nothing.
type source struct {
	s     *session
	left  []byte
	to    *piece
	parks bool
	fails bool
	last  bool
}

var errSource = errors.New("the producer has failed")

func (r *source) Read(p []byte) (int, error) {
	w := r.s.w
	if w.depth == 0 {
		w.depth++
		defer func() { w.depth-- }()
	}
	if len(r.left) == 0 {
		if r.last {
			w.Errorf("%v: a producer was asked after its end", r.s)
		}
		r.s.producers--
		r.last = true
		if r.fails {
			r.s.failed = errSource
			return 0, errSource
		}
		return 0, io.EOF
	}
	n := min(len(p), len(r.left))
	switch w.Choose(4) {
	case 1:
		n = min(n, 1+w.Choose(100))
	case 2:
		if r.parks {
			hit(74)
			w.l.After(time.Duration(w.Choose(3000))*time.Millisecond, func() {
				if !r.s.closed {
					r.s.c.Unpark()
				}
			})
			return 0, nil
		}
	}
	copy(p, r.left[:n])
	r.to.b = append(r.to.b, r.left[:n]...)
	r.left = r.left[n:]
	if len(r.left) == 0 && !r.fails && w.Choose(2) == 1 {
		r.s.producers--
		r.last = true
		return n, io.EOF
	}
	return n, nil
}

// waters are marks: low, high, hard.
var waters = [][3]int{{16 << 10, 64 << 10, 1 << 20}, {0, 1, 2}, {0, 100, 1000}, {10, 10, 300}, {0, -1, -1}, {50, -100, 4000}, {0, 1, -1}}

// pulled is how much of a producer is queued at most.
const pulled = 64 << 10

// mark keeps the highest marks that a Conn has had.
func (s *session) mark(marks [3]int) {
	s.may |= byLimit
	if high := max(marks[1], -marks[1]); s.hard == 0 || high < s.lowest {
		s.lowest = high
	}
	s.risen = s.risen || s.c.Buffered() > s.lowest
	if marks[1] < 0 {
		s.unchoked = true
	}
	if marks[2] < 0 {
		s.unbound = true
	}
	s.high = max(s.high, marks[1], -marks[1])
	s.hard = max(s.hard, marks[2])
}

// bound is the most that may be queued: what one Write puts onto a queue that is not
// above high water, or what the hard limit allows, and a producer's piece.
func (s *session) bound() int {
	if s.hard == 0 || s.unbound {
		return math.MaxInt
	}
	most := max(s.hard, s.high+s.largest)
	if s.produced {
		most += pulled
	}
	return most
}

// answering is a server that answers with a program of writes, producers and ends.
type answering struct {
	w     *world
	marks [3]int
	idle  time.Duration
	stall time.Duration
}

// producers is such a server, under narrow marks and timeouts.
func producers(w *world) {
	a := &answering{w: w, marks: waters[w.Choose(len(waters))]}
	a.idle = time.Duration(w.Choose(3)) * 3 * time.Second
	a.stall = []time.Duration{-1, time.Second, 11 * time.Second, 0}[w.Choose(4)]
	ln := w.serve("tcp", []string{":7", "127.0.0.1:7"}[w.Choose(2)], a.accept)
	if ln == nil {
		return
	}
	for range 1 + w.Choose(4) {
		w.client(ln, kindsOfClient-1)
	}
	w.rest()
	w.pass(2 * time.Minute)
	for _, s := range w.sessions {
		if a.stall > 0 && !s.closed && s.c.Buffered() > 0 && w.Now()-s.d.moved > time.Minute && !w.Faulted() {
			w.Errorf("%v: %d bytes wait since %v, and may for %v", s, s.c.Buffered(), s.d.moved, a.stall)
		}
	}
}

func (a *answering) accept(s *session) *channel.Handler {
	c := s.c
	c.SetWater(a.marks[0], a.marks[1], a.marks[2])
	c.SetIdleTimeout(a.idle)
	c.SetWriteTimeout(a.stall)
	if a.idle > 0 {
		s.may |= byIdle
		s.idle = a.idle
	}
	if a.stall >= 0 {
		s.may |= byStall
	}
	s.mark(a.marks)
	return a.handler(s)
}

func (a *answering) handler(s *session) *channel.Handler {
	w := a.w
	left := 40 // Write may ask for ever
	act := func() {
		if left > 0 {
			left--
			a.act(s)
		}
	}
	return &channel.Handler{
		Connect: func(*channel.Conn) {
			for range w.Choose(3) {
				act()
			}
		},
		Read:  func(*channel.Conn, []byte) { act() },
		Write: func(*channel.Conn) { act() },
		EOF: func(*channel.Conn) {
			act()
			if w.Choose(2) == 0 {
				s.close()
			} else {
				s.shutWrite()
			}
		},
	}
}

// act takes a step of the program.
func (a *answering) act(s *session) {
	w, c := a.w, s.c
	switch w.Choose(9) {
	case 0:
		s.answer(1 + w.Choose(200))
	case 1:
		s.answer([]int{0, 1, 1000, 17_000, 40_000}[w.Choose(5)])
	case 2, 3:
		s.sendFrom(&source{
			s:     s,
			left:  some(int(c.ID()), []int{10, 0, 1000, 5000}[w.Choose(4)]),
			parks: w.Choose(3) == 2,
			fails: w.Choose(6) == 5,
		})
	case 4:
		c.Unpark()
	case 5:
		s.shutWrite()
	case 6:
		s.close()
	case 7:
		s.fail(errSource)
	case 8:
		m := waters[w.Choose(len(waters))]
		c.SetWater(m[0], m[1], m[2])
		s.mark(m)
	}
}

// answer writes n bytes, which may be too much.
func (s *session) answer(n int) {
	s.largest = max(s.largest, n)
	if err := s.write(some(int(s.c.ID())+s.wrote, n)); errors.Is(err, channel.ErrOutputLimit) {
		s.gone = true
		hit(107)
	}
}
