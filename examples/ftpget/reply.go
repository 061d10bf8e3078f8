package main

import (
	"errors"
	"fmt"
	"strings"
)

// reply is a server's answer (RFC 959, 4.2), the lines of its text joined.
type reply struct {
	code int
	text string
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.code, r.text) }

// kind is the first digit: 1 says that another answer follows, 2 that all is
// well, 3 that more is asked for, 4 and 5 that it failed.
func (r reply) kind() int { return r.code / 100 }

// maxLines bounds one reply, with those before it that only announce it.
const maxLines = 200

var errReply = errors.New("the server does not speak FTP")

// replies puts the lines of a reply together.
type replies struct {
	code  int // of the reply that has begun; 0: none has
	lines []string
	taken int // lines since the last reply of which nothing more follows
}

// line takes the next line; done tells whether the reply is complete with it.
func (rs *replies) line(msg []byte) (r reply, done bool, err error) {
	code, text, last := split(string(msg))
	switch {
	case rs.code == 0 && code == 0, rs.taken == maxLines:
		return reply{}, false, errReply
	case rs.code == 0:
		rs.code = code
	case code != rs.code: // a line of the text, whatever it looks like
		text, last = string(msg), false
	}
	rs.taken++
	rs.lines = append(rs.lines, text)
	if !last {
		return reply{}, false, nil
	}
	r = reply{rs.code, strings.Join(rs.lines, "\n")}
	rs.code, rs.lines = 0, nil
	if r.kind() != 1 {
		rs.taken = 0
	}
	return r, true, nil
}

// split takes a line apart. The code is 0 where it does not begin with one, and
// last is false where a hyphen says that further lines follow.
func split(line string) (code int, text string, last bool) {
	if len(line) < 3 || line[0] < '1' || line[0] > '5' || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return 0, line, false
	}
	for _, digit := range []byte(line[:3]) {
		if digit < '0' || digit > '9' {
			return 0, line, false
		}
		code = 10*code + int(digit-'0')
	}
	if len(line) == 3 {
		return code, "", true
	}
	return code, line[4:], line[3] == ' '
}
