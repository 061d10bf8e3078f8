package main

import (
	"bytes"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// The limits of a header, and of a body.
const (
	maxLine   = 8 << 10 // with its CR
	maxHeader = 32 << 10
	maxFields = 100
	maxBody   = 1 << 20
)

// field is one line of a header.
type field struct{ name, value string }

// request is the header of one, parsed a line at a time. Every other reading of
// the same bytes that a proxy before us could have is refused: who is strict
// cannot be told one thing while the proxy is told another (request smuggling).
type request struct {
	method string
	target string // as it came
	path   string // of target, decoded; "*" is no path
	query  string // of target, as it came, with its question mark
	minor  int    // HTTP/1.minor
	fields []field
	length int64 // of the body; chunked: not known before its end

	begun bool // has a request line
	bytes int  // of all lines
}

const chunked = -1

// line takes the next line of a header, which has lost its line feed, but not
// the carriage return before it: a line feed alone ends no line. done is the
// empty line's. A status other than 0 is the answer, after which nothing is
// certain about what follows.
func (r *request) line(line []byte) (done bool, status int) {
	text, ok := bytes.CutSuffix(line, []byte("\r"))
	if !ok {
		return false, http.StatusBadRequest
	}
	if r.bytes += len(line) + 1; r.bytes > maxHeader {
		return false, http.StatusRequestHeaderFieldsTooLarge
	}
	switch {
	case !r.begun:
		r.begun = true
		return false, r.requestLine(string(text))
	case len(text) == 0:
		return true, r.check()
	case len(r.fields) == maxFields:
		return false, http.StatusRequestHeaderFieldsTooLarge
	}
	f, ok := parseField(string(text))
	if !ok {
		return false, http.StatusBadRequest
	}
	r.fields = append(r.fields, f)
	return false, 0
}

// requestLine has one space between its parts, and nothing else.
func (r *request) requestLine(text string) (status int) {
	method, rest, _ := strings.Cut(text, " ")
	target, proto, ok := strings.Cut(rest, " ")
	if !ok || !isToken(method) || !isVisible(target) {
		return http.StatusBadRequest
	}
	switch proto {
	case "HTTP/1.1":
		r.minor = 1
	case "HTTP/1.0":
	default:
		if len(proto) == 8 && proto[:5] == "HTTP/" && isDigits(proto[5:6]) && proto[6] == '.' && isDigits(proto[7:]) {
			return http.StatusHTTPVersionNotSupported
		}
		return http.StatusBadRequest
	}
	r.method, r.target = method, target
	return r.parseTarget()
}

// parseTarget knows the four forms of RFC 9112, section 3.2.
func (r *request) parseTarget() (status int) {
	t := r.target
	switch {
	case r.method == "CONNECT":
		if !isHost(t) || !strings.Contains(t, ":") {
			return http.StatusBadRequest
		}
		return http.StatusMethodNotAllowed // and what follows is no HTTP
	case t == "*":
		if r.method != "OPTIONS" {
			return http.StatusBadRequest
		}
		r.path = t
		return 0
	case t[0] != '/':
		scheme, rest, ok := strings.Cut(t, "://")
		if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
			return http.StatusBadRequest
		}
		end := strings.IndexAny(rest, "/?")
		if end < 0 {
			end = len(rest)
		}
		if !isHost(rest[:end]) {
			return http.StatusBadRequest
		}
		if t = rest[end:]; t == "" || t[0] == '?' {
			t = "/" + t
		}
	}
	if i := strings.IndexByte(t, '?'); i >= 0 {
		t, r.query = t[:i], t[i:]
	}
	path, err := url.PathUnescape(t)
	if err != nil || strings.Contains(path, "\x00") {
		return http.StatusBadRequest
	}
	r.path = path
	return 0
}

// parseField refuses, among others, a line that continues the one before
// (obs-fold), and a space before the colon.
func parseField(text string) (f field, ok bool) {
	name, value, ok := strings.Cut(text, ":")
	if !ok || !isToken(name) {
		return f, false
	}
	if !isText(value) {
		return f, false
	}
	// The fields that say where a request ends are not to be found, or not, by
	// who takes a tab for a space.
	if strings.Contains(value, "\t") && (is(name, "Content-Length") || is(name, "Transfer-Encoding")) {
		return f, false
	}
	return field{name, strings.Trim(value, " \t")}, true
}

// check looks at the header as a whole.
func (r *request) check() (status int) {
	hosts := r.all("Host")
	if len(hosts) > 1 || len(hosts) == 0 && r.minor > 0 || len(hosts) == 1 && !isHost(hosts[0]) {
		return http.StatusBadRequest
	}
	lengths, codings := r.all("Content-Length"), r.all("Transfer-Encoding")
	switch {
	case len(lengths) > 1, len(lengths) == 1 && !isDigits(lengths[0]),
		len(codings) > 0 && (len(lengths) > 0 || r.minor == 0):
		return http.StatusBadRequest
	case len(codings) > 0:
		if status := codingStatus(strings.Join(codings, ",")); status != 0 {
			return status
		}
		r.length = chunked
	case len(lengths) == 1:
		n, err := strconv.ParseInt(lengths[0], 10, 64)
		if err != nil || n > maxBody {
			return http.StatusRequestEntityTooLarge
		}
		r.length = n
	}
	if slices.ContainsFunc(r.list("Trailer"), isFraming) {
		return http.StatusBadRequest
	}
	for _, e := range r.list("Expect") {
		if !is(e, "100-continue") {
			return http.StatusExpectationFailed
		}
	}
	return 0
}

// codingStatus wants chunked and nothing else. Codings that could be known, in
// front of it, are 501; where it is not the last, the request has no end.
func codingStatus(list string) (status int) {
	before, last := "", list
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		before, last = list[:i], list[i+1:]
	}
	if !is(strings.Trim(last, " "), "chunked") {
		return http.StatusBadRequest
	}
	if last == list {
		return 0
	}
	for coding := range strings.SplitSeq(before, ",") {
		if coding = strings.Trim(coding, " "); !isToken(coding) || is(coding, "chunked") || is(coding, "identity") {
			return http.StatusBadRequest
		}
	}
	return http.StatusNotImplemented
}

// isFraming names the fields that must not come in a trailer.
func isFraming(name string) bool {
	return is(name, "Content-Length") || is(name, "Transfer-Encoding") || is(name, "Trailer") || is(name, "Host")
}

// keepAlive tells whether another request may follow.
func (r *request) keepAlive() bool {
	keep := r.minor > 0
	for _, option := range r.list("Connection") {
		if is(option, "close") {
			return false
		}
		keep = keep || is(option, "keep-alive")
	}
	return keep
}

// waits tells whether the client waits for 100 before it sends the body.
func (r *request) waits() bool {
	return r.minor > 0 && r.length != 0 && len(r.list("Expect")) > 0
}

// get returns the first value of a field, or "".
func (r *request) get(name string) string {
	for _, f := range r.fields {
		if is(f.name, name) {
			return f.value
		}
	}
	return ""
}

// all returns the values of all fields of a name.
func (r *request) all(name string) (values []string) {
	for _, f := range r.fields {
		if is(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

// list returns the elements of a field that is a list.
func (r *request) list(name string) (elements []string) {
	for _, value := range r.all(name) {
		for e := range strings.SplitSeq(value, ",") {
			if e = strings.Trim(e, " \t"); e != "" {
				elements = append(elements, e)
			}
		}
	}
	return elements
}

// is compares as HTTP does, in ASCII: name is, so both are.
func is(s, name string) bool { return len(s) == len(name) && strings.EqualFold(s, name) }

func isDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0:
			return false
		}
	}
	return s != ""
}

// isText wants no control bytes but tabs.
func isText[T string | []byte](s T) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isVisible wants printing ASCII without a fragment.
func isVisible(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '#' {
			return false
		}
	}
	return s != ""
}

// isHost wants a name or an address, perhaps with a port, and nobody's password.
func isHost(s string) bool {
	if strings.HasPrefix(s, "[") {
		literal, port, ok := strings.Cut(s[1:], "]")
		ip, err := netip.ParseAddr(literal)
		return ok && err == nil && ip.Is6() && ip.Zone() == "" && (port == "" || port[0] == ':' && isPort(port[1:]))
	}
	host, port, ok := strings.Cut(s, ":")
	if ok && !isPort(port) {
		return false
	}
	for i := range len(host) {
		c := host[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return host != ""
}

func isPort(s string) bool { return len(s) <= 5 && isDigits(s) }
