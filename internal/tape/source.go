package tape

import "math/rand/v2"

// myriad is what Chance counts in.
const myriad = 10_000

// random draws evenly.
type random struct{ r *rand.Rand }

func (s random) choose(_ *counter, n int) int { return s.r.IntN(n) }

func (s random) chance(_ *counter, perMyriad int) bool { return s.r.IntN(myriad) < perMyriad }

// replay repeats what the counters hold.
type replay struct{}

func (replay) choose(c *counter, n int) int {
	for len(c.script) > 0 && c.script[0].index <= c.next {
		d := c.script[0]
		c.script = c.script[1:]
		if d.index == c.next {
			return max(0, min(d.v, n-1))
		}
	}
	return 0
}

func (s replay) chance(c *counter, _ int) bool { return s.choose(c, 2) == 1 }

// input draws from the bytes of a fuzzer.
type input struct{ rest []byte }

// choose takes as many bytes as n-1 has, the highest first.
func (s *input) choose(_ *counter, n int) int {
	v := uint64(0)
	for bound := n - 1; bound > 0; bound >>= 8 {
		v <<= 8
		if len(s.rest) > 0 {
			v |= uint64(s.rest[0])
			s.rest = s.rest[1:]
		}
	}
	return int(v % uint64(n))
}

// chance has the high values be true, so that no bytes and zeros are false.
func (s *input) chance(c *counter, perMyriad int) bool {
	v := s.choose(c, myriad)
	return v != 0 && v >= myriad-perMyriad
}
