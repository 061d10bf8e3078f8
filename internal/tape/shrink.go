package tape

import "slices"

// Shrink looks for fewer and smaller draws with which a run still fails. fails
// makes the run on the Tape it is given, from its very beginning, and tells
// whether it fails, best in the same way as before. It is called at most tries
// times. If draws don't fail to begin with, they are returned as they are.
func Shrink(draws []Draw, fails func(*Tape) bool, tries int) []Draw {
	s := &shrinker{best: draws, fails: fails, tries: tries}
	if !s.try(draws) {
		return draws
	}
	for {
		wins := s.wins
		s.drop(func(d Draw) Draw { return Draw{Site: d.Site} }) // a kind of choice
		s.drop(func(d Draw) Draw { return Draw{ID: d.ID} })     // a connection
		s.drop(Draw.key)
		s.lower()
		if s.wins == wins || s.tries <= 0 {
			return s.best
		}
	}
}

// shrinker holds the smallest failing draws that were found so far.
type shrinker struct {
	best  []Draw
	fails func(*Tape) bool
	tries int // left
	wins  int // tries that failed as wanted
}

// try makes a run, and keeps what it really drew if it fails: a draw that the
// run did not get to is gone then.
func (s *shrinker) try(draws []Draw) bool {
	if s.tries <= 0 {
		return false
	}
	s.tries--
	t := Replay(draws)
	if !s.fails(t) {
		return false
	}
	s.best = t.Drawn()
	s.wins++
	return true
}

// drop leaves out draws by groups, first all of them, then halves, quarters
// and so on down to single groups.
func (s *shrinker) drop(group func(Draw) Draw) {
	var groups []Draw
	known := map[Draw]bool{}
	for _, d := range s.best {
		if g := group(d); !known[g] {
			known[g] = true
			groups = append(groups, g)
		}
	}
	for size := len(groups); size > 0; size /= 2 {
		for at := 0; at < len(groups); {
			end := min(at+size, len(groups))
			if s.without(groups[at:end], group) {
				groups = slices.Delete(groups, at, end)
			} else {
				at = end
			}
		}
	}
}

// without tries the run without some groups. That none of their draws is left
// counts as success.
func (s *shrinker) without(groups []Draw, group func(Draw) Draw) bool {
	out := map[Draw]bool{}
	for _, g := range groups {
		out[g] = true
	}
	rest := slices.DeleteFunc(slices.Clone(s.best), func(d Draw) bool { return out[group(d)] })
	return len(rest) == len(s.best) || s.try(rest)
}

// lower makes each value as small as it gets.
func (s *shrinker) lower() {
	for _, d := range slices.Clone(s.best) {
		s.lowerOne(d.key())
	}
}

// lowerOne tries 1, and then closes in on the smallest value that still fails,
// as if all above it did.
func (s *shrinker) lowerOne(key Draw) {
	low := 0 // does not fail
	for next := 1; low < next && next < s.value(key); next = low + (s.value(key)-low)/2 {
		if !s.try(s.with(key, next)) {
			low = next
		}
	}
}

// value is what a draw is now; 0 if it has gone.
func (s *shrinker) value(key Draw) int {
	for _, d := range s.best {
		if d.key() == key {
			return d.V
		}
	}
	return 0
}

// with returns the draws with one of them changed.
func (s *shrinker) with(key Draw, v int) []Draw {
	draws := slices.Clone(s.best)
	for i := range draws {
		if draws[i].key() == key {
			draws[i].V = v
		}
	}
	return draws
}
