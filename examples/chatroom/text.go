package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible is what others are shown of a line: control bytes, which could move the
// cursor or clear the screen, invisible characters, which could turn the direction
// of the text, and bytes that are no UTF-8 are escaped as Go does it. Telnet's own
// commands (RFC 854) are left out.
func visible(p []byte) string {
	var b strings.Builder
	for len(p) > 0 {
		if n := telnetCommand(p); n > 0 {
			p = p[n:]
			continue
		}
		r, n := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, p[0])
		case r == '\t':
			b.WriteByte(' ')
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			q := fmt.Sprintf("%+q", r)
			b.WriteString(q[1 : len(q)-1])
		}
		p = p[n:]
	}
	return b.String()
}

// telnetCommand is the length of the command at the beginning of p, or 0. The text
// of a subnegotiation, which nobody has offered, is shown.
func telnetCommand(p []byte) int {
	const (
		iac  = 255
		will = 251
		dont = 254
	)
	switch {
	case len(p) < 2 || p[0] != iac:
		return 0
	case p[1] >= will && p[1] <= dont:
		return min(3, len(p))
	}
	return 2
}

func validName(name string) bool {
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '_' {
			return false
		}
	}
	return name != "" && utf8.RuneCountInString(name) <= nameLimit
}
