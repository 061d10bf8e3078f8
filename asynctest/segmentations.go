package asynctest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

const (
	// allSplits is the length up to which input is split in all ways.
	allSplits = 12
	// cutLimit is how many cuts of one kind are tried; where there are more, so
	// many of them.
	cutLimit = 1500
	// randomSplits is how many more there are of input too long for allSplits.
	randomSplits = 200
)

// Segmentations has the handler that accept gives read input in one piece, byte
// by byte, cut in two and in three at every place, split in all ways where it is
// short, and at random. After it comes EOF. What the handler writes must be the
// same each time; check, unless it is nil, is given that once.
func Segmentations(t testing.TB, accept func(*channel.Conn) *channel.Handler, input string, check func(output string)) {
	t.Helper()
	s := &segmenter{accept: accept, input: input}
	whole, wrong := s.all()
	switch {
	case wrong != "":
		t.Errorf("%s", wrong)
	case check != nil:
		check(whole)
	}
}

// segmenter feeds one handler.
type segmenter struct {
	accept func(*channel.Conn) *channel.Handler
	input  string
	trace  bool
}

// all feeds the input in all ways, and returns what was written, or what is wrong
// with the first way in which it was not that.
func (s *segmenter) all() (whole, wrong string) {
	whole, w := s.feed(nil)
	if w.failure != nil {
		return "", "input in one piece: " + s.report(nil, w)
	}
	for cuts := range splits(len(s.input)) {
		got, w := s.feed(cuts)
		switch {
		case w.failure != nil:
			return "", fmt.Sprintf("input cut as %s: %s", s.parts(cuts), s.report(cuts, w))
		case got != whole:
			return "", fmt.Sprintf("the output depends on how the input is cut\nin one piece: %s\n     written: %q\n      cut as: %s\n     written: %q\n\n%s",
				s.parts(nil), whole, s.parts(cuts), got, s.timeline(cuts))
		}
	}
	return whole, ""
}

// report says why w has failed.
func (s *segmenter) report(cuts []int, w *World) string {
	return w.failure.text + "\n\n" + s.timeline(cuts)
}

// timeline is what happens when the input is cut so.
func (s *segmenter) timeline(cuts []int) string {
	s.trace = true
	_, w := s.feed(cuts)
	return w.timeline.tail(tailLines)
}

// feed gives the handler the input in pieces, and returns what it has written.
func (s *segmenter) feed(cuts []int) (string, *World) {
	w := newWorld(Config{}, tape.Replay(nil), s.trace, false)
	var p *Peer
	func() {
		defer func() {
			if v := recover(); v != nil && v != any(stop{}) {
				panic(v)
			}
		}()
		p = w.Dial(w.Serve("tcp", ":1", s.accept))
		for _, piece := range pieces(s.input, cuts) {
			p.Send(piece)
			w.Quiesce()
		}
		p.HalfClose()
		w.Quiesce()
	}()
	w.finish()
	if p == nil {
		return "", w
	}
	return string(p.Received()), w
}

// parts shows how input is cut.
func (s *segmenter) parts(cuts []int) string {
	var all []string
	for _, piece := range pieces(s.input, cuts) {
		all = append(all, excerpt([]byte(piece)))
	}
	return strings.Join(all, " ")
}

func pieces(input string, cuts []int) (all []string) {
	from := 0
	for _, at := range cuts {
		all = append(all, input[from:at])
		from = at
	}
	return append(all, input[from:])
}

// splits gives the places at which to cut n bytes, one way after the other.
func splits(n int) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		if n < 2 {
			return
		}
		every := make([]int, 0, n)
		for at := 1; at < n; at++ {
			every = append(every, at)
		}
		if n <= allSplits {
			for set := range 1 << (n - 1) {
				var cuts []int
				for _, at := range every {
					if set&(1<<(at-1)) != 0 {
						cuts = append(cuts, at)
					}
				}
				if !yield(cuts) {
					return
				}
			}
			return
		}
		r := rand.New(rand.NewPCG(1, 0)) // the same ones each time
		if !yield(every) || !cutTwo(n, r, yield) || !cutThree(n, r, yield) {
			return
		}
		for range randomSplits {
			var cuts []int
			for at := 1 + r.IntN(n); at < n; at += 1 + r.IntN(n) {
				cuts = append(cuts, at)
			}
			if !yield(cuts) {
				return
			}
		}
	}
}

// cutTwo cuts once, at every place or at as many as there may be.
func cutTwo(n int, r *rand.Rand, yield func([]int) bool) bool {
	if n-1 > cutLimit {
		for range cutLimit {
			if !yield([]int{1 + r.IntN(n-1)}) {
				return false
			}
		}
		return true
	}
	for at := 1; at < n; at++ {
		if !yield([]int{at}) {
			return false
		}
	}
	return true
}

// cutThree cuts twice.
func cutThree(n int, r *rand.Rand, yield func([]int) bool) bool {
	if (n-1)*(n-2)/2 > cutLimit {
		for range cutLimit {
			a, b := 1+r.IntN(n-1), 1+r.IntN(n-1)
			if a != b && !yield([]int{min(a, b), max(a, b)}) {
				return false
			}
		}
		return true
	}
	for a := 1; a < n; a++ {
		for b := a + 1; b < n; b++ {
			if !yield([]int{a, b}) {
				return false
			}
		}
	}
	return true
}
