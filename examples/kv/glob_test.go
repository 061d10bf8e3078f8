package main

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// redisMatch is Redis' stringmatchlen in Go, as slow as that.
func redisMatch(p, s string) bool {
	for p != "" && s != "" {
		switch p[0] {
		case '*':
			for len(p) > 1 && p[1] == '*' {
				p = p[1:]
			}
			if len(p) == 1 {
				return true
			}
			for s != "" {
				if redisMatch(p[1:], s) {
					return true
				}
				s = s[1:]
			}
			return false
		case '?':
			s = s[1:]
		case '[':
			p = p[1:]
			not := p != "" && p[0] == '^'
			if not {
				p = p[1:]
			}
			match := false
			for {
				if len(p) >= 2 && p[0] == '\\' {
					p = p[1:]
					match = match || p[0] == s[0]
				} else if p == "" {
					p = "]"
					break
				} else if p[0] == ']' {
					break
				} else if len(p) >= 3 && p[1] == '-' {
					low, high := p[0], p[2]
					if low > high {
						low, high = high, low
					}
					p = p[2:]
					match = match || low <= s[0] && s[0] <= high
				} else {
					match = match || p[0] == s[0]
				}
				p = p[1:]
			}
			if match == not {
				return false
			}
			s = s[1:]
		default:
			if p[0] == '\\' && len(p) >= 2 {
				p = p[1:]
			}
			if p[0] != s[0] {
				return false
			}
			s = s[1:]
		}
		p = p[1:]
	}
	if s == "" {
		p = strings.TrimLeft(p, "*")
	}
	return p == "" && s == ""
}

func TestGlobIsRedis(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(letters string, most int) string {
		b := make([]byte, rng.IntN(most+1))
		for i := range b {
			b[i] = letters[rng.IntN(len(letters))]
		}
		return string(b)
	}
	matches := 0
	for range 200_000 {
		p, s := random(`ab*?[]^-\`, 8), random(`aab[-\`, 6)
		g := glob{pattern: p, steps: globBudget}
		want := redisMatch(p, s)
		if got := g.match(s); got != want {
			t.Fatalf("%q matches %q: %v, want %v", p, s, got, want)
		}
		if want {
			matches++
		}
	}
	if matches < 1000 {
		t.Errorf("only %d matches", matches)
	}
}

// CVE-2022-36021 and its kin: stars that send a naive matcher back again and again.
func TestGlobIsBounded(t *testing.T) {
	g := glob{pattern: strings.Repeat("a*", 500) + "b", steps: globBudget}
	began := time.Now()
	if g.match(strings.Repeat("a", 5000)) {
		t.Error("matches")
	}
	if g.steps < globBudget-500*5000 {
		t.Errorf("%d steps", globBudget-g.steps)
	}
	t.Log(time.Since(began))
	g = glob{pattern: strings.Repeat("?", 1<<20) + "*" + strings.Repeat("[a-z]", 100000) + "b", steps: globBudget}
	if g.match(strings.Repeat("a", 4<<20)) || g.steps >= 0 {
		t.Errorf("steps left: %d", g.steps)
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("a*[b-d]?\\*", "axxcx*")
	f.Fuzz(func(t *testing.T, p, s string) {
		if len(p) > 20 || len(s) > 20 {
			return
		}
		g := glob{pattern: p, steps: globBudget}
		if got, want := g.match(s), redisMatch(p, s); got != want {
			t.Errorf("%q matches %q: %v, want %v", p, s, got, want)
		}
	})
}
