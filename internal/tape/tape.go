// Package tape makes every choice of a simulated run, and remembers the ones
// that matter, so that the run can be made again, alone or with fewer of them.
//
// A choice is a number below a bound, and 0 is always the plainest one: no
// delay, no fault, the whole of what was asked for. What a run drew besides
// zeros is thus all that was unusual about it, and a failing run is made
// smaller by putting zeros in the place of its draws.
package tape

import (
	"math/rand/v2"
	"slices"
)

// Draw is a choice that was not the plainest one: the Index-th, from 0, that
// was made at Site for ID was V of N, 0 < V < N.
type Draw struct {
	Site      string
	ID, Index int
	N, V      int
}

// Tape is where a run gets its choices from. Make it with Random, Replay or
// Bytes. It belongs to one goroutine.
type Tape struct {
	source source
	places map[place]*counter
	count  int
	drawn  [][]Draw // in pieces, so that none is copied as they become more
}

// piece is how many draws are kept together.
const piece = 64

// place is where choices are made. Each has an index of its own, so that a
// choice more or less at one of them moves none at the others.
type place struct {
	site string
	id   int
}

// counter is what a Tape knows about a place.
type counter struct {
	next   int      // the index of the next draw
	script []forced // what is left to replay, by index
}

// forced is a draw to replay.
type forced struct{ index, v int }

// source makes choices.
type source interface {
	// choose returns a number from 0 to n-1; n is at least 2.
	choose(c *counter, n int) int
	// chance is true in perMyriad of 10,000 cases.
	chance(c *counter, perMyriad int) bool
}

func newTape(s source) *Tape {
	return &Tape{source: s, places: map[place]*counter{}}
}

// Random returns a Tape that draws evenly. The same seed gives the same draws.
func Random(seed uint64) *Tape {
	return newTape(random{rand.New(rand.NewPCG(seed, 0))})
}

// Replay returns a Tape that repeats draws. Whatever they do not name is 0. A
// value that has become too big, since the run has changed, is the biggest one
// that is left.
func Replay(draws []Draw) *Tape {
	t := newTape(replay{})
	for _, d := range draws {
		c := t.at(d.Site, d.ID)
		c.script = append(c.script, forced{d.Index, d.V})
	}
	for _, c := range t.places {
		slices.SortStableFunc(c.script, func(a, b forced) int { return a.index - b.index })
	}
	return t
}

// Bytes returns a Tape that makes each draw of bytes of p, of as many as its
// bound needs; it draws 0 when they are used up. It turns a fuzzer's input into
// a run.
func Bytes(p []byte) *Tape { return newTape(&input{rest: p}) }

// Choose returns a number from 0 to n-1. It is 0 if n is less than 2. site is a
// constant that names the kind of choice, id tells for which of its kind it
// is made: the number of a connection in order of creation, say, never one that
// depends on the run in other ways, as a descriptor does.
func (t *Tape) Choose(site string, id, n int) int {
	c := t.at(site, id)
	v := 0
	if n > 1 {
		v = t.source.choose(c, n)
	}
	t.record(site, id, c, n, v)
	return v
}

// Chance is true in perMyriad of 10,000 cases. False is the plainest, also
// where true is certain. It is a draw of 1 or 0 out of 2.
func (t *Tape) Chance(site string, id, perMyriad int) bool {
	c := t.at(site, id)
	v := 0
	if perMyriad > 0 && t.source.chance(c, perMyriad) {
		v = 1
	}
	t.record(site, id, c, 2, v)
	return v == 1
}

// Drawn returns the draws that were not 0, in order.
func (t *Tape) Drawn() []Draw { return slices.Concat(t.drawn...) }

// Count is how many draws were made, zeros included.
func (t *Tape) Count() int { return t.count }

func (t *Tape) at(site string, id int) *counter {
	p := place{site, id}
	c := t.places[p]
	if c == nil {
		c = &counter{}
		t.places[p] = c
	}
	return c
}

func (t *Tape) record(site string, id int, c *counter, n, v int) {
	if v != 0 {
		last := len(t.drawn) - 1
		if last < 0 || len(t.drawn[last]) == piece {
			t.drawn = append(t.drawn, make([]Draw, 0, piece))
			last++
		}
		t.drawn[last] = append(t.drawn[last], Draw{site, id, c.next, n, v})
	}
	c.next++
	t.count++
}
