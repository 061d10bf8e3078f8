package main

import "bytes"

// textLine is where a message stands in its lines. The framing is the
// terminator's: CRLF ends a line and nothing else does, so the only end of a
// message is a line with one dot.
type textLine struct {
	dot  bool // it began with one, which is not part of the text
	more bool // and it has more than that
}

// part takes the next bytes of the line, at least one, and returns those that are
// text.
func (t *textLine) part(p []byte) []byte {
	if !t.dot && !t.more && p[0] == '.' {
		t.dot = true
		p = p[1:]
	}
	t.more = t.more || len(p) > 0
	return p
}

// end ends the line, and tells whether the message ends with it.
func (t *textLine) end() (last bool) {
	last = t.dot && !t.more
	*t = textLine{}
	return last
}

// bare tells whether there is a CR or an LF in p, a part of a line, which ends at
// CRLF. To some servers such a one ends a line (CVE-2023-51764 and its kin).
func bare(p []byte) bool {
	return bytes.IndexByte(p, '\n') >= 0 || bytes.IndexByte(p, '\r') >= 0
}
