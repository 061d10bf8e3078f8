package main

// globBudget is how many comparisons one KEYS may make: a fraction of a second.
const globBudget = 20_000_000

// glob matches patterns as Redis does: * ? [a-z] [^a-z] and \ to quote. It goes
// back to the last star only, which is enough, so that a match takes at most
// len(pattern) times len(text) steps; steps is what all of them together may
// still take.
type glob struct {
	pattern string
	steps   int
}

// match tells whether all of text matches. With no steps left the answer is no.
func (g *glob) match(text string) bool {
	p := g.pattern
	star, from := "", "" // behind the last star; the text that it takes no part of yet
	starred := false
	for text != "" || p != "" {
		if g.steps--; g.steps < 0 {
			return false
		}
		if p != "" && p[0] == '*' {
			p = p[1:]
			star, from, starred = p, text, true
			continue
		}
		if p != "" && text != "" {
			ok, size := g.one(p, text[0])
			if p = p[size:]; ok {
				text = text[1:]
				continue
			}
		}
		if !starred || from == "" {
			return false
		}
		from = from[1:] // the star takes one byte more
		p, text = star, from
	}
	return true
}

// one matches the first element of p, of so many bytes, with one byte.
func (g *glob) one(p string, b byte) (ok bool, size int) {
	switch p[0] {
	case '?':
		return true, 1
	case '[':
		ok, size = class(p, b)
		g.steps -= size
		return ok, size
	case '\\':
		if len(p) > 1 {
			return p[1] == b, 2
		}
	}
	return p[0] == b, 1
}

// class matches a class. The end of the pattern closes one too.
func class(p string, b byte) (ok bool, size int) {
	i := 1
	not := i < len(p) && p[i] == '^'
	if not {
		i++
	}
	for ; i < len(p) && p[i] != ']'; i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
			ok = ok || p[i] == b
		case i+2 < len(p) && p[i+1] == '-':
			low, high := min(p[i], p[i+2]), max(p[i], p[i+2])
			ok = ok || low <= b && b <= high
			i += 2
		default:
			ok = ok || p[i] == b
		}
	}
	return ok != not, min(i+1, len(p))
}
