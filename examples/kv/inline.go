package main

import "encoding/hex"

// inline splits a line as a shell does: blanks separate, quotes join, and in
// double ones \n \r \t \b \a and \xHH are what they are in C.
func (r *request) inline(p []byte) error {
	if tooLong(p) {
		return protocolError("too big inline request")
	}
	for {
		for len(p) > 0 && blank(p[0]) {
			p = p[1:]
		}
		if len(p) == 0 {
			r.split()
			return nil
		}
		used := r.word(p)
		if used < 0 {
			return protocolError("unbalanced quotes in request")
		}
		p = p[used:]
		if len(r.ends) == r.limits.args {
			return protocolError("invalid multibulk length")
		}
		if err := r.keep(nil); err != nil { // word has written it to text
			return err
		}
	}
}

func blank(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

// word appends one argument to text, and returns how much of p it takes; -1 where
// a quote is not closed, or what follows it is no blank.
func (r *request) word(p []byte) int {
	for i := 0; i < len(p); i++ {
		switch b := p[i]; b {
		case ' ', '\t', '\r':
			return i
		case '"', '\'':
			n := r.quoted(p[i:])
			if n < 0 || i+n < len(p) && !blank(p[i+n]) {
				return -1
			}
			i += n - 1
		default:
			r.text = append(r.text, b)
		}
	}
	return len(p)
}

// quoted is word for what begins with a quote.
func (r *request) quoted(p []byte) int {
	quote := p[0]
	for i := 1; i < len(p); i++ {
		b := p[i]
		switch {
		case b == quote:
			return i + 1
		case b == '\\' && quote == '"' && i+1 < len(p):
			var n int
			b, n = escape(p[i+1:])
			i += n
		case b == '\\' && i+1 < len(p) && p[i+1] == '\'':
			b = '\''
			i++
		}
		r.text = append(r.text, b)
	}
	return -1
}

var escapes = map[byte]byte{'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'a': '\a'}

// escape reads what stands behind a backslash, and returns how much of p that is.
func escape(p []byte) (b byte, n int) {
	if c, ok := escapes[p[0]]; ok {
		return c, 1
	}
	if p[0] == 'x' && len(p) > 2 {
		var c [1]byte
		if _, err := hex.Decode(c[:], p[1:3]); err == nil {
			return c[0], 3
		}
	}
	return p[0], 1
}
