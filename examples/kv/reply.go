package main

import "strconv"

// reply is what goes out, in RESP2. A server has one, for all of its answers.
type reply []byte

func (r *reply) header(kind byte, n int64) {
	b := append(*r, kind)
	b = strconv.AppendInt(b, n, 10)
	*r = append(b, '\r', '\n')
}

func (r *reply) integer(n int64) { r.header(':', n) }
func (r *reply) array(n int)     { r.header('*', int64(n)) }
func (r *reply) null()           { *r = append(*r, "$-1\r\n"...) }
func (r *reply) status(s string) { *r = append(append(append(*r, '+'), s...), '\r', '\n') }
func (r *reply) text(s string)   { r.bulk([]byte(s)) }
func (r *reply) ok()             { *r = append(*r, "+OK\r\n"...) }

func (r *reply) bulk(p []byte) {
	r.header('$', int64(len(p)))
	*r = append(append(*r, p...), '\r', '\n')
}

// fail takes an error's text with its code, which may quote what has been
// received: line ends in it become blanks.
func (r *reply) fail(text string) {
	*r = append(*r, '-')
	for i := range len(text) {
		b := text[i]
		if b == '\r' || b == '\n' {
			b = ' '
		}
		*r = append(*r, b)
	}
	*r = append(*r, '\r', '\n')
}
