package main

import (
	"net/netip"
	"strconv"
	"strings"
)

// The most bytes of a line without its CRLF. RFC 5321 has 512 with it, and lets
// MAIL have 26 more for SIZE (RFC 1870) and 17 for BODY (RFC 6152).
const (
	maxCommand = 512 - 2
	maxMail    = maxCommand + 26 + 17
)

// A command is one line of a client.
type command struct {
	verb string // in capitals
	arg  string // of EHLO and HELO
	path string // of MAIL and RCPT: without its brackets and without a source route
	size int64  // of MAIL: as announced
}

// parse takes a line apart. One that cannot be obeyed gets refusal as its answer,
// which has nothing of the line in it.
func parse(line []byte) (cmd command, refusal string) {
	for _, b := range line {
		if b < ' ' || b > '~' {
			return cmd, "501 5.5.2 a command has printable ASCII only"
		}
	}
	verb, arg, _ := strings.Cut(strings.TrimRight(string(line), " "), " ")
	cmd = command{verb: strings.ToUpper(verb), arg: arg}
	if len(line) > maxCommand && cmd.verb != "MAIL" {
		return cmd, tooLong
	}
	switch cmd.verb {
	case "HELO", "EHLO":
		if !validDomain(arg, "-_") && !validLiteral(arg) {
			refusal = "501 5.5.4 who are you?"
		}
	case "MAIL":
		refusal = cmd.envelope("FROM:", cmd.mailParameter)
	case "RCPT":
		refusal = cmd.envelope("TO:", func(string, string) string { return unknownParameter })
	case "DATA", "RSET", "QUIT":
		if arg != "" {
			refusal = "501 5.5.4 it takes no argument"
		}
	case "VRFY":
		if arg == "" {
			refusal = "501 5.5.4 whom?"
		}
	case "NOOP", "HELP":
	case "EXPN", "AUTH", "STARTTLS", "BDAT", "ETRN":
		refusal = "502 5.5.1 not implemented"
	case "GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT":
		refusal = "521 5.7.0 this is no web server" // who made a browser send this?
	default:
		refusal = "500 5.5.2 no such command"
	}
	return cmd, refusal
}

const (
	tooLong          = "500 5.5.2 line too long"
	unknownParameter = "555 5.5.4 no such parameter"
	badParameter     = "501 5.5.4 bad parameter"
)

// envelope reads the argument of MAIL or RCPT: keyword, path, parameters.
func (cmd *command) envelope(keyword string, parameter func(key, value string) (refusal string)) (refusal string) {
	if len(cmd.arg) < len(keyword) || !strings.EqualFold(cmd.arg[:len(keyword)], keyword) {
		return "501 5.5.4 " + keyword + "<address> is wanted"
	}
	path, rest, ok := cutPath(cmd.arg[len(keyword):])
	switch {
	case !ok, rest != "" && rest[0] != ' ':
		return "501 5.1.7 bad address syntax"
	case path == "" && keyword == "TO:":
		return "501 5.1.3 nobody is no recipient"
	case !strings.Contains(path, "@") && path != "" && keyword == "FROM:":
		return "501 5.1.7 a sender has a domain"
	}
	cmd.path = path
	seen := map[string]bool{}
	for p := range strings.FieldsSeq(rest) {
		key, value, _ := strings.Cut(p, "=")
		key = strings.ToUpper(key)
		if seen[key] {
			return badParameter
		}
		seen[key] = true
		if refusal := parameter(key, value); refusal != "" {
			return refusal
		}
	}
	return ""
}

func (cmd *command) mailParameter(key, value string) (refusal string) {
	switch key {
	case "SIZE":
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil || len(value) > 20 {
			return badParameter
		}
		cmd.size = int64(n)
	case "BODY":
		if v := strings.ToUpper(value); v != "7BIT" && v != "8BITMIME" {
			return badParameter
		}
	default:
		return unknownParameter
	}
	return ""
}

// cutPath reads a path from the beginning of s (RFC 5321, section 4.1.2), and
// throws its source route away. The empty path and <postmaster> are paths too.
func cutPath(s string) (path, rest string, ok bool) {
	whole := len(s)
	if s == "" || s[0] != '<' {
		return "", "", false
	}
	s = s[1:]
	if s != "" && s[0] == '@' {
		if s, ok = cutRoute(s); !ok {
			return "", "", false
		}
	} else if s != "" && s[0] == '>' {
		return "", s[1:], true
	}
	n := localPart(s)
	if n < 0 || n > 64 {
		return "", "", false
	}
	if n < len(s) && s[n] == '@' {
		end := strings.IndexByte(s[n:], '>') + n // no domain has one
		if end < n || !validDomain(s[n+1:end], "-") && !validLiteral(s[n+1:end]) {
			return "", "", false
		}
		n = end
	} else if !strings.EqualFold(s[:n], "postmaster") {
		return "", "", false
	}
	if n == len(s) || s[n] != '>' || whole-len(s)+n+1 > 256 {
		return "", "", false
	}
	return s[:n], s[n+1:], true
}

// cutRoute reads what nobody uses any more, and all have to accept:
// @one.example,@two.example: in front of a mailbox.
func cutRoute(s string) (rest string, ok bool) {
	route, rest, ok := strings.Cut(s, ":")
	for hop := range strings.SplitSeq(route, ",") {
		ok = ok && hop != "" && hop[0] == '@' && validDomain(hop[1:], "-")
	}
	return rest, ok
}

// localPart returns the length of the dot-string or quoted string that s begins
// with, or -1.
func localPart(s string) int {
	if s != "" && s[0] == '"' {
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '"':
				return i + 1
			case '\\':
				i++
			}
		}
		return -1
	}
	n := 0
	for n < len(s) && (isAlnum(s[n]) || strings.IndexByte("!#$%&'*+-/=?^_`{|}~.", s[n]) >= 0) {
		n++
	}
	if atoms := "." + s[:n] + "."; strings.Contains(atoms, "..") {
		return -1
	}
	return n
}

// validDomain tells whether s is a name of labels with letters, digits, and
// between these the bytes of marks.
func validDomain(s, marks string) bool {
	if len(s) > 255 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		n := len(label)
		if n == 0 || n > 63 || strings.IndexByte(marks, label[0]) >= 0 || strings.IndexByte(marks, label[n-1]) >= 0 {
			return false
		}
		for i := range n {
			if !isAlnum(label[i]) && strings.IndexByte(marks, label[i]) < 0 {
				return false
			}
		}
	}
	return true
}

// validLiteral tells whether s is an address in brackets: [192.0.2.1] or
// [IPv6:2001:db8::1].
func validLiteral(s string) bool {
	if len(s) < 2 || s[0] != '[' || s[len(s)-1] != ']' {
		return false
	}
	s = s[1 : len(s)-1]
	const tag = "IPv6:"
	if len(s) > len(tag) && strings.EqualFold(s[:len(tag)], tag) {
		ip, err := netip.ParseAddr(s[len(tag):])
		return err == nil && ip.Is6() && ip.Zone() == ""
	}
	ip, err := netip.ParseAddr(s)
	return err == nil && ip.Is4()
}

func isAlnum(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'z'
}
