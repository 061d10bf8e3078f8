package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const incomplete = -1

// cut takes a line off p, with its carriage return, as package chat does.
func cut(p []byte, limit int) (line, rest []byte, status int) {
	i := bytes.IndexByte(p, '\n')
	switch {
	case i > limit, i < 0 && len(p) > limit:
		return nil, nil, http.StatusRequestHeaderFieldsTooLarge
	case i < 0:
		return nil, nil, incomplete
	}
	return p[:i], p[i+1:], 0
}

// split takes a request off p as a session does, without a connection.
func split(p []byte) (r *request, content, rest []byte, status int) {
	r = new(request)
	for done := false; !done; {
		var line []byte
		if line, p, status = cut(p, maxLine); status > 0 && !r.begun {
			status = http.StatusRequestURITooLong
		}
		if status == 0 {
			done, status = r.line(line)
		}
		if status != 0 {
			return r, nil, nil, status
		}
	}
	content, rest, status = splitBody(r.length, p)
	return r, content, rest, status
}

func splitBody(length int64, p []byte) (content, rest []byte, status int) {
	content = []byte{}
	for b := newBody(length); !b.over(); {
		var line []byte
		if b.counted() {
			if int64(len(p)) < b.n {
				return nil, nil, incomplete
			}
			content, p = append(content, p[:b.n]...), p[b.n:]
		} else if line, p, status = cut(p, maxChunkLine); status > 0 {
			status = http.StatusBadRequest
		}
		if status == 0 {
			status = b.frame(line)
		}
		if status != 0 {
			return nil, nil, status
		}
	}
	return content, p, 0
}

// verdict is what the tables say of a request: its status, or what was read.
func verdict(in string) string {
	r, content, rest, status := split([]byte(in))
	if status != 0 {
		return fmt.Sprint(status)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%s %q", r.method, r.path+r.query)
	if r.minor == 0 {
		s.WriteString(" 1.0")
	}
	for _, f := range r.fields {
		if f.name != "Host" {
			fmt.Fprintf(&s, " %s=%s", f.name, f.value)
		}
	}
	if r.length != 0 {
		fmt.Fprintf(&s, " body=%q", content)
	}
	if !r.keepAlive() {
		s.WriteString(" close")
	}
	if len(rest) > 0 {
		fmt.Fprintf(&s, " rest=%q", rest)
	}
	return s.String()
}

type parseCase struct{ name, in, want string }

const get = `GET "/"`

// requestLines are followed by a Host field.
var requestLines = []parseCase{
	{"plain", "GET / HTTP/1.1\r\n", get},
	{"head", "HEAD /x HTTP/1.1\r\n", `HEAD "/x"`},
	{"1.0", "GET / HTTP/1.0\r\n", get + " 1.0 close"},
	{"unknown method", "BREW / HTTP/1.1\r\n", `BREW "/"`},
	{"lower-case method", "get / HTTP/1.1\r\n", `get "/"`},
	{"method of all token characters", "!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\n", "!#$%&'*+-.^_`|~09azAZ \"/\""},
	{"empty method", " / HTTP/1.1\r\n", "400"},
	{"method with a colon", "GE:T / HTTP/1.1\r\n", "400"},
	{"method with parens", "G(E)T / HTTP/1.1\r\n", "400"},
	{"method with a NUL", "GE\x00T / HTTP/1.1\r\n", "400"},
	{"method in quotes", "\"GET\" / HTTP/1.1\r\n", "400"},
	{"method with 8 bits", "G\xc9T / HTTP/1.1\r\n", "400"},
	{"no target", "GET HTTP/1.1\r\n", "400"},
	{"no target, two spaces", "GET  HTTP/1.1\r\n", "400"},
	{"no version", "GET /\r\n", "400"},
	{"no version, a space", "GET / \r\n", "400"},
	{"empty line first", "\r\nGET / HTTP/1.1\r\n", "400"},
	{"two empty lines first", "\r\n\r\nGET / HTTP/1.1\r\n", "400"},
	{"line feed first", "\nGET / HTTP/1.1\r\n", "400"},
	{"space first", " GET / HTTP/1.1\r\n", "400"},
	{"two spaces before target", "GET  / HTTP/1.1\r\n", "400"},
	{"two spaces after target", "GET /  HTTP/1.1\r\n", "400"},
	{"space at the end", "GET / HTTP/1.1 \r\n", "400"},
	{"fourth part", "GET / HTTP/1.1 x\r\n", "400"},
	{"tab for space", "GET\t/ HTTP/1.1\r\n", "400"},
	{"tab before version", "GET /\tHTTP/1.1\r\n", "400"},
	{"vertical tab", "GET\v/ HTTP/1.1\r\n", "400"},
	{"form feed", "GET /\fHTTP/1.1\r\n", "400"},
	{"bare CR for space", "GET /\rHTTP/1.1\r\n", "400"},
	{"bare LF", "GET / HTTP/1.1\n", "400"},
	{"CR CR LF", "GET / HTTP/1.1\r\r\n", "400"},
	{"CR before version's end", "GET / HTTP/1\r.1\r\n", "400"},
	{"HTTP/2.0", "GET / HTTP/2.0\r\n", "505"},
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n", "505"},
	{"HTTP/1.2", "GET / HTTP/1.2\r\n", "505"},
	{"HTTP/1.9", "GET / HTTP/1.9\r\n", "505"},
	{"HTTP/0.9", "GET / HTTP/0.9\r\n", "505"},
	{"HTTP/9.9", "GET / HTTP/9.9\r\n", "505"},
	{"HTTP/2", "GET / HTTP/2\r\n", "400"},
	{"HTTP/1.", "GET / HTTP/1.\r\n", "400"},
	{"HTTP/1.10", "GET / HTTP/1.10\r\n", "400"},
	{"HTTP/01.1", "GET / HTTP/01.1\r\n", "400"},
	{"HTTP/1,1", "GET / HTTP/1,1\r\n", "400"},
	{"HTTP/+1.1", "GET / HTTP/+1.1\r\n", "400"},
	{"HTTP/1.x", "GET / HTTP/1.x\r\n", "400"},
	{"http/1.1", "GET / http/1.1\r\n", "400"},
	{"HTTPS/1.1", "GET / HTTPS/1.1\r\n", "400"},
	{"ICY/1.1", "GET / ICY/1.1\r\n", "400"},
	{"HTTP 1.1", "GET / HTTP 1.1\r\n", "400"},
	{"a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", "400"},
	{"query", "GET /a?b=c&d HTTP/1.1\r\n", `GET "/a?b=c&d"`},
	{"two question marks", "GET /a?b?c HTTP/1.1\r\n", `GET "/a?b?c"`},
	{"empty query", "GET /a? HTTP/1.1\r\n", `GET "/a?"`},
	{"bad escape in the query", "GET /a?%zz HTTP/1.1\r\n", `GET "/a?%zz"`},
	{"escape", "GET /%41%2f%2F HTTP/1.1\r\n", `GET "/A//"`},
	{"escaped space and CRLF", "GET /a%20b%0d%0a HTTP/1.1\r\n", `GET "/a b\r\n"`},
	{"escaped question mark and hash", "GET /%3f%23 HTTP/1.1\r\n", `GET "/?#"`},
	{"escaped 8 bits", "GET /%ff HTTP/1.1\r\n", `GET "/\xff"`},
	{"plus stays", "GET /a+b HTTP/1.1\r\n", `GET "/a+b"`},
	{"escape cut short", "GET /%4 HTTP/1.1\r\n", "400"},
	{"lone percent", "GET /% HTTP/1.1\r\n", "400"},
	{"escape of no hex", "GET /%g0 HTTP/1.1\r\n", "400"},
	{"escaped NUL", "GET /a%00.txt HTTP/1.1\r\n", "400"},
	{"raw NUL", "GET /a\x00b HTTP/1.1\r\n", "400"},
	{"raw DEL", "GET /a\x7fb HTTP/1.1\r\n", "400"},
	{"raw control", "GET /a\x01b HTTP/1.1\r\n", "400"},
	{"raw 8 bits", "GET /\xc3\xa4 HTTP/1.1\r\n", "400"},
	{"fragment", "GET /#x HTTP/1.1\r\n", "400"},
	{"fragment in the query", "GET /?a#x HTTP/1.1\r\n", "400"},
	{"what browsers leave", "GET /a|b\"<>\\^`{}[] HTTP/1.1\r\n", "GET \"/a|b\\\"<>\\\\^`{}[]\""},
	{"dots", "GET /../.././a HTTP/1.1\r\n", `GET "/../.././a"`},
	{"two slashes", "GET //a//b HTTP/1.1\r\n", `GET "//a//b"`},
	{"relative", "GET a HTTP/1.1\r\n", "400"},
	{"query alone", "GET ?a HTTP/1.1\r\n", "400"},
	{"star", "OPTIONS * HTTP/1.1\r\n", `OPTIONS "*"`},
	{"star for GET", "GET * HTTP/1.1\r\n", "400"},
	{"more than a star", "OPTIONS *a HTTP/1.1\r\n", "400"},
	{"absolute", "GET http://a.example/b?c HTTP/1.1\r\n", `GET "/b?c"`},
	{"absolute, upper-case", "GET HTTP://A/b HTTP/1.1\r\n", `GET "/b"`},
	{"absolute https", "GET https://a/b HTTP/1.1\r\n", `GET "/b"`},
	{"absolute without path", "GET http://a HTTP/1.1\r\n", get},
	{"absolute, query without path", "GET http://a?b HTTP/1.1\r\n", `GET "/?b"`},
	{"absolute with port", "GET http://a:8080/ HTTP/1.1\r\n", get},
	{"absolute with IPv6", "GET http://[::1]:8080/ HTTP/1.1\r\n", get},
	{"absolute with user", "GET http://u:p@a/ HTTP/1.1\r\n", "400"},
	{"absolute with bad port", "GET http://a:x/ HTTP/1.1\r\n", "400"},
	{"absolute without host", "GET http:///a HTTP/1.1\r\n", "400"},
	{"absolute with zone", "GET http://[fe80::1%25eth0]/ HTTP/1.1\r\n", "400"},
	{"absolute, one slash", "GET http:/a HTTP/1.1\r\n", "400"},
	{"other scheme", "GET ftp://a/ HTTP/1.1\r\n", "400"},
	{"file scheme", "GET file:///etc/passwd HTTP/1.1\r\n", "400"},
	{"javascript", "GET javascript:alert(1) HTTP/1.1\r\n", "400"},
	{"connect", "CONNECT a:443 HTTP/1.1\r\n", "405"},
	{"connect without port", "CONNECT a HTTP/1.1\r\n", "400"},
	{"connect to a path", "CONNECT / HTTP/1.1\r\n", "400"},
	{"connect with user", "CONNECT u@a:443 HTTP/1.1\r\n", "400"},
	{"authority for GET", "GET a:443 HTTP/1.1\r\n", "400"},
	{"longest line", "GET /" + strings.Repeat("a", maxLine-15) + " HTTP/1.1\r\n", `GET "/` + strings.Repeat("a", maxLine-15) + `"`},
	{"a byte longer", "GET /" + strings.Repeat("a", maxLine-14) + " HTTP/1.1\r\n", "414"},
	{"long method", strings.Repeat("A", maxLine+1), "414"},
	{"nothing", "", "400"}, // a field is no request line
}

// fieldLines stand behind GET / HTTP/1.1 and Host, and before the empty line.
var fieldLines = []parseCase{
	{"plain", "A: b\r\n", get + " A=b"},
	{"no space", "A:b\r\n", get + " A=b"},
	{"spaces and tabs around", "A: \t b \t \r\n", get + " A=b"},
	{"tab inside", "A: b\tc\r\n", get + " A=b\tc"},
	{"colons", "A: b:c:\r\n", get + " A=b:c:"},
	{"empty value", "A:\r\n", get + " A="},
	{"blank value", "A: \t\r\n", get + " A="},
	{"8 bits in value", "A: \xe4\xff\r\n", get + " A=\xe4\xff"},
	{"twice", "A: b\r\nA: c\r\n", get + " A=b A=c"},
	{"token name", "!#$%&'*+-.^_`|~09azAZ: b\r\n", get + " !#$%&'*+-.^_`|~09azAZ=b"},
	{"space before colon", "A : b\r\n", "400"},
	{"tab before colon", "A\t: b\r\n", "400"},
	{"empty name", ": b\r\n", "400"},
	{"empty name and value", ":\r\n", "400"},
	{"no colon", "A\r\n", "400"},
	{"blank line", " \r\n", "400"},
	{"obs-fold", "A: b\r\n c\r\n", "400"},
	{"obs-fold by tab", "A: b\r\n\tc\r\n", "400"},
	{"obs-fold of nothing", "A: b\r\n \r\n", "400"},
	{"fold looks like a field", "A: b\r\n C: d\r\n", "400"},
	{"space in name", "A B: c\r\n", "400"},
	{"space before name", " A: b\r\n", "400"},
	{"slash in name", "A/B: c\r\n", "400"},
	{"parens in name", "A(B): c\r\n", "400"},
	{"at in name", "A@: c\r\n", "400"},
	{"quotes in name", "\"A\": c\r\n", "400"},
	{"brackets in name", "A[]: c\r\n", "400"},
	{"NUL in name", "A\x00: b\r\n", "400"},
	{"control in name", "A\x01: b\r\n", "400"},
	{"8 bits in name", "\xc4: b\r\n", "400"},
	{"CR in name", "A\rB: c\r\n", "400"},
	{"NUL in value", "A: b\x00c\r\n", "400"},
	{"control in value", "A: b\x01c\r\n", "400"},
	{"escape in value", "A: \x1b[2J\r\n", "400"},
	{"DEL in value", "A: b\x7f\r\n", "400"},
	{"CR in value", "A: b\rc\r\n", "400"},
	{"CR CR LF", "A: b\r\r\n", "400"},
	{"bare LF", "A: b\n", "400"},
	{"bare LF before a field", "A: b\nC: d\r\n", "400"},
	{"LF CR", "A: b\n\r", "400"},
	{"bare LF for the empty line", "A: b\r\n\n", "400"},
	{"form feed in value", "A: b\fc\r\n", "400"},
	{"vertical tab after colon", "A:\vb\r\n", "400"},
	{"connection close", "Connection: close\r\n", get + " Connection=close close"},
	{"connection Close", "Connection: Close\r\n", get + " Connection=Close close"},
	{"connection list", "Connection: x, close , y\r\n", get + " Connection=x, close , y close"},
	{"connection twice", "Connection: x\r\nconnection: close\r\n", get + " Connection=x connection=close close"},
	{"connection enclosed", "Connection: enclosed\r\n", get + " Connection=enclosed"},
	{"upgrade is ignored", "Connection: Upgrade\r\nUpgrade: h2c\r\n", get + " Connection=Upgrade Upgrade=h2c"},
	{"second host", "Host: b\r\n", "400"},
	{"second host, the same", "host: a\r\n", "400"},
	{"expect", "Expect: 100-continue\r\n", get + " Expect=100-continue"},
	{"expect, upper-case", "Expect: 100-Continue\r\n", get + " Expect=100-Continue"},
	{"expect something", "Expect: 200-ok\r\n", "417"},
	{"expect more", "Expect: 100-continue, x\r\n", "417"},
	{"expect nothing", "Expect:\r\n", get + " Expect="},
	{"99 fields", strings.Repeat("A: b\r\n", 99), get + strings.Repeat(" A=b", 99)},
	{"100 fields", strings.Repeat("A: b\r\n", 100), "431"},
	{"longest field", "A: " + strings.Repeat("b", maxLine-4) + "\r\n", get + " A=" + strings.Repeat("b", maxLine-4)},
	{"a byte longer", "A: " + strings.Repeat("b", maxLine-3) + "\r\n", "431"},
	{"a field without end", "A: " + strings.Repeat("b", 2*maxLine), "431"},
	{"32 KiB", strings.Repeat("A: "+strings.Repeat("b", 8000)+"\r\n", 4), get + strings.Repeat(" A="+strings.Repeat("b", 8000), 4)},
	{"more than 32 KiB", strings.Repeat("A: "+strings.Repeat("b", 8186)+"\r\n", 4), "431"},
}

// hosts are the Host fields of GET / HTTP/1.1.
var hosts = []parseCase{
	{"none", "", "400"},
	{"name", "Host: a.example\r\n", get},
	{"underscore", "Host: a_b\r\n", get},
	{"lower-case field", "hOST: a\r\n", get + " hOST=a"},
	{"port", "Host: a:80\r\n", get},
	{"IPv4", "Host: 127.0.0.1:8080\r\n", get},
	{"IPv6", "Host: [::1]:8080\r\n", get},
	{"IPv6 without port", "Host: [2001:db8::1]\r\n", get},
	{"empty", "Host:\r\n", "400"},
	{"blank", "Host: \r\n", "400"},
	{"port alone", "Host: :80\r\n", "400"},
	{"empty port", "Host: a:\r\n", "400"},
	{"long port", "Host: a:080808\r\n", "400"},
	{"port with sign", "Host: a:+80\r\n", "400"},
	{"two ports", "Host: a:80:80\r\n", "400"},
	{"no port number", "Host: a:b\r\n", "400"},
	{"user", "Host: u@a\r\n", "400"},
	{"path", "Host: a/b\r\n", "400"},
	{"two names", "Host: a b\r\n", "400"},
	{"list", "Host: a, b\r\n", "400"},
	{"query", "Host: a?b\r\n", "400"},
	{"fragment", "Host: a#b\r\n", "400"},
	{"quotes", "Host: \"a\"\r\n", "400"},
	{"backslash", "Host: a\\b\r\n", "400"},
	{"8 bits", "Host: \xe4\r\n", "400"},
	{"escape", "Host: a%2eb\r\n", "400"},
	{"IPv6 without end", "Host: [::1\r\n", "400"},
	{"IPv6 and more", "Host: [::1]x\r\n", "400"},
	{"IPv6 with zone", "Host: [fe80::1%eth0]\r\n", "400"},
	{"IPv4 in brackets", "Host: [127.0.0.1]\r\n", "400"},
	{"nothing in brackets", "Host: []\r\n", "400"},
	{"space before colon", "Host : a\r\n", "400"},
	{"first line folded", " Host: a\r\n", "400"},
}

// bodies stand behind POST / HTTP/1.1 and Host, with the empty line in them.
var bodies = []parseCase{
	{"none", "\r\nrest", `POST "/" rest="rest"`},
	{"length 0", "Content-Length: 0\r\n\r\nrest", `POST "/" Content-Length=0 rest="rest"`},
	{"length", "Content-Length: 2\r\n\r\nabrest", `POST "/" Content-Length=2 body="ab" rest="rest"`},
	{"length, lower-case", "content-length: 2\r\n\r\nab", `POST "/" content-length=2 body="ab"`},
	{"length with zeros", "Content-Length: 002\r\n\r\nab", `POST "/" Content-Length=002 body="ab"`},
	{"length with spaces around", "Content-Length:  2  \r\n\r\nab", `POST "/" Content-Length=2 body="ab"`},
	{"too short", "Content-Length: 3\r\n\r\nab", "-1"},
	{"length +2", "Content-Length: +2\r\n\r\nab", "400"},
	{"length -2", "Content-Length: -2\r\n\r\nab", "400"},
	{"length -0", "Content-Length: -0\r\n\r\nab", "400"},
	{"length 0x2", "Content-Length: 0x2\r\n\r\nab", "400"},
	{"length 2.0", "Content-Length: 2.0\r\n\r\nab", "400"},
	{"length 2e0", "Content-Length: 2e0\r\n\r\nab", "400"},
	{"length 2_0", "Content-Length: 2_0\r\n\r\nab", "400"},
	{"length 2 2", "Content-Length: 2 2\r\n\r\nab", "400"},
	{"length 2,2", "Content-Length: 2,2\r\n\r\nab", "400"},
	{"length 2, 2", "Content-Length: 2, 2\r\n\r\nab", "400"},
	{"length 2;", "Content-Length: 2;\r\n\r\nab", "400"},
	{"length quoted", "Content-Length: \"2\"\r\n\r\nab", "400"},
	{"length empty", "Content-Length:\r\n\r\nab", "400"},
	{"length blank", "Content-Length: \r\n\r\nab", "400"},
	{"length x", "Content-Length: x\r\n\r\nab", "400"},
	{"length in other digits", "Content-Length: \xd9\xa2\r\n\r\nab", "400"},
	{"length by tab", "Content-Length:\t2\r\n\r\nab", "400"},
	{"length before tab", "Content-Length: 2\t\r\n\r\nab", "400"},
	{"length with NUL", "Content-Length: 2\x00\r\n\r\nab", "400"},
	{"length, space before colon", "Content-Length : 2\r\n\r\nab", "400"},
	{"length folded", "Content-Length:\r\n 2\r\n\r\nab", "400"},
	{"two lengths", "Content-Length: 2\r\nContent-Length: 3\r\n\r\nab", "400"},
	{"two lengths, the same", "Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", "400"},
	{"length, and one in a fold", "Content-Length: 2\r\n , 3\r\n\r\nab", "400"},
	{"largest length", "Content-Length: 1048576\r\n\r\n", "-1"},
	{"larger length", "Content-Length: 1048577\r\n\r\n", "413"},
	{"length of 2^63", "Content-Length: 9223372036854775808\r\n\r\n", "413"},
	{"length of 2^64 + 2", "Content-Length: 18446744073709551618\r\n\r\nab", "413"},
	{"length of 40 digits", "Content-Length: " + strings.Repeat("9", 40) + "\r\n\r\n", "413"},

	{"chunked", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nrest", `POST "/" Transfer-Encoding=chunked body="ab" rest="rest"`},
	{"chunked, Upper-case", "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", `POST "/" Transfer-Encoding=Chunked body=""`},
	{"chunked, no space", "Transfer-Encoding:chunked\r\n\r\n0\r\n\r\n", `POST "/" Transfer-Encoding=chunked body=""`},
	{"length and chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
	{"chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "400"},
	{"chunked and length 0", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", "400"},
	{"identity and length", "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nab", "400"},
	{"chunked, identity", "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "400"},
	{"identity, chunked", "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", "400"},
	{"identity", "Transfer-Encoding: identity\r\n\r\n", "400"},
	{"xchunked", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400"},
	{"chunkedx", "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", "400"},
	{"chunKed with a Kelvin sign", "Transfer-Encoding: chun\u212aed\r\n\r\n0\r\n\r\n", "400"},
	{"chunked quoted", "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "400"},
	{"chunked with parameter", "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", "400"},
	{"chunked and a comma", "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", "400"},
	{"comma and chunked", "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", "400"},
	{"chunked twice", "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "400"},
	{"chunked in two fields", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
	{"chunked, then a field of identity", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "400"},
	{"no coding", "Transfer-Encoding:\r\n\r\n", "400"},
	{"chunked by tab", "Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n", "400"},
	{"chunked before tab", "Transfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n", "400"},
	{"chunked by vertical tab", "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", "400"},
	{"chunked in a fold", "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400"},
	{"chunked, space before colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
	{"chunked, CR before it", "Transfer-Encoding: \rchunked\r\n\r\n0\r\n\r\n", "400"},
	{"chunked behind a LF", "A: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
	{"gzip", "Transfer-Encoding: gzip\r\n\r\n", "400"},
	{"gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"},
	{"gzip, chunked in two fields", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "501"},
	{"underscore is another field", "Transfer_Encoding: chunked\r\n\r\nrest", `POST "/" Transfer_Encoding=chunked rest="rest"`},
	{"trailer of a length", "Trailer: x, content-length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
	{"pipelined", "Content-Length: 1\r\n\r\naGET / HTTP/1.1\r\n", `POST "/" Content-Length=1 body="a" rest="GET / HTTP/1.1\r\n"`},
	{"body of a line feed", "Content-Length: 1\r\n\r\n\n", `POST "/" Content-Length=1 body="\n"`},
}

// chunkedBodies are what follows the header of a chunked request.
var chunkedBodies = []parseCase{
	{"empty", "0\r\n\r\n", `""`},
	{"one", "3\r\nabc\r\n0\r\n\r\n", `"abc"`},
	{"two", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", `"abcde"`},
	{"hex", "a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", `"01234567890123456789"`},
	{"zeros in front", "0003\r\nabc\r\n0000\r\n\r\n", `"abc"`},
	{"16 digits", "0000000000000003\r\nabc\r\n0\r\n\r\n", `"abc"`},
	{"17 digits", "00000000000000003\r\nabc\r\n0\r\n\r\n", "400"},
	{"CRLF in data", "4\r\n\r\n\r\n\r\n0\r\n\r\n", `"\r\n\r\n"`},
	{"last chunk in data", "5\r\n0\r\n\r\n\r\n0\r\n\r\n", `"0\r\n\r\n"`},
	{"rest", "0\r\n\r\nGET /", `"" rest="GET /"`},
	{"extension", "3;a=b\r\nabc\r\n0;c\r\n\r\n", `"abc"`},
	{"quoted extension", "3;a=\"b;c\"\r\nabc\r\n0\r\n\r\n", `"abc"`},
	{"empty extension", "3;\r\nabc\r\n0\r\n\r\n", `"abc"`},
	{"tab in extension", "3;a\tb\r\nabc\r\n0\r\n\r\n", `"abc"`},
	{"bare LF in extension", "3;a\nb\r\nabc\r\n0\r\n\r\n", "400"},
	{"bare LF after extension", "3;a\nabc\r\n0\r\n\r\n", "400"},
	{"CR in extension", "3;a\rb\r\nabc\r\n0\r\n\r\n", "400"},
	{"NUL in extension", "3;\x00\r\nabc\r\n0\r\n\r\n", "400"},
	{"space before extension", "3 ;a\r\nabc\r\n0\r\n\r\n", "400"},
	{"tab before extension", "3\t;a\r\nabc\r\n0\r\n\r\n", "400"},
	{"space after size", "3 \r\nabc\r\n0\r\n\r\n", "400"},
	{"space before size", " 3\r\nabc\r\n0\r\n\r\n", "400"},
	{"bare LF after size", "3\nabc\r\n0\r\n\r\n", "400"},
	{"bare CR after size", "3\rabc\r\n0\r\n\r\n", "400"},
	{"CR CR LF after size", "3\r\r\nabc\r\n0\r\n\r\n", "400"},
	{"no size", "\r\nabc\r\n0\r\n\r\n", "400"},
	{"extension without size", ";a\r\nabc\r\n0\r\n\r\n", "400"},
	{"0x3", "0x3\r\nabc\r\n0\r\n\r\n", "400"},
	{"+3", "+3\r\nabc\r\n0\r\n\r\n", "400"},
	{"-3", "-3\r\nabc\r\n0\r\n\r\n", "400"},
	{"3_", "3_\r\nabc\r\n0\r\n\r\n", "400"},
	{"3h", "3h\r\nabc\r\n0\r\n\r\n", "400"},
	{"3,", "3,\r\nabc\r\n0\r\n\r\n", "400"},
	{"quoted size", "\"3\"\r\nabc\r\n0\r\n\r\n", "400"},
	{"more data than size", "3\r\nabcd\r\n0\r\n\r\n", "400"},
	{"less data than size", "3\r\nab\r\n0\r\n\r\n", "400"},
	{"no CRLF after data", "3\r\nabc0\r\n\r\n", "400"},
	{"bare LF after data", "3\r\nabc\n0\r\n\r\n", "400"},
	{"bare CR after data", "3\r\nabc\r0\r\n\r\n", "400"},
	{"CR x after data", "3\r\nabc\rx\r\n0\r\n\r\n", "400"},
	{"space after data", "3\r\nabc \r\n0\r\n\r\n", "400"},
	{"no last chunk", "3\r\nabc\r\n", "-1"},
	{"no empty line", "0\r\n", "-1"},
	{"bare LF at the end", "0\r\n\n", "400"},
	{"2^64 + 3", "10000000000000003\r\nabc\r\n0\r\n\r\n", "400"},
	{"2^63", "8000000000000000\r\n", "413"},
	{"2^64 - 1", "ffffffffffffffff\r\n", "413"},
	{"2^32 + 3", "100000003\r\nabc\r\n", "413"},
	{"1 MiB", "100000\r\n", "-1"},
	{"more than 1 MiB", "100001\r\n", "413"},
	{"more than 1 MiB in two", "3\r\nabc\r\nffffe\r\n", "413"},
	{"trailer", "0\r\nA: b\r\n\r\nrest", `"" rest="rest"`},
	{"trailers", "0\r\nA: b\r\nC:\r\n\r\n", `""`},
	{"trailer without colon", "0\r\nA\r\n\r\n", "400"},
	{"trailer, space before colon", "0\r\nA : b\r\n\r\n", "400"},
	{"trailer without name", "0\r\n: b\r\n\r\n", "400"},
	{"trailer folded", "0\r\nA: b\r\n c\r\n\r\n", "400"},
	{"trailer with bare LF", "0\r\nA: b\nC: d\r\n\r\n", "400"},
	{"trailer of a length", "0\r\nContent-Length: 5\r\n\r\n", "400"},
	{"trailer of a coding", "0\r\ntransfer-encoding: chunked\r\n\r\n", "400"},
	{"trailer of a host", "0\r\nHost: b\r\n\r\n", "400"},
	{"100 trailers", "0\r\n" + strings.Repeat("A: b\r\n", 100) + "\r\n", `""`},
	{"101 trailers", "0\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n", "431"},
	{"long trailers", "0\r\n" + strings.Repeat("A: "+strings.Repeat("b", 900)+"\r\n", 10) + "\r\n", "431"},
	{"long extension", "3;" + strings.Repeat("a", maxChunkLine) + "\r\nabc\r\n0\r\n\r\n", "400"},
	{"long extensions", strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 10), "413"},
	{"many chunks of a byte", strings.Repeat("1\r\nx\r\n", 5000) + "0\r\n\r\n", `"` + strings.Repeat("x", 5000) + `"`},
}

func TestParse(t *testing.T) {
	cases := 0
	run := func(group, before, after string, table []parseCase) {
		t.Helper()
		for _, c := range table {
			cases++
			if got := verdict(before + c.in + after); got != c.want {
				t.Errorf("%s, %s: %.200q\ngot  %.300s\nwant %.300s", group, c.name, c.in, got, c.want)
			}
		}
	}
	const post = "POST / HTTP/1.1\r\nHost: a\r\n"
	run("request line", "", "Host: a\r\n\r\n", requestLines)
	run("field", "GET / HTTP/1.1\r\nHost: a\r\n", "\r\n", fieldLines)
	run("host", "GET / HTTP/1.1\r\n", "\r\n", hosts)
	run("body", post, "", bodies)
	for _, c := range chunkedBodies {
		if c.want[0] == '"' {
			c.want = `POST "/" Transfer-Encoding=chunked body=` + c.want
		}
		run("chunked", post+"Transfer-Encoding: chunked\r\n\r\n", "", []parseCase{c})
	}
	run("1.0", "POST / HTTP/1.0\r\n", "", []parseCase{
		{"without host", "\r\n", `POST "/" 1.0 close`},
		{"keep-alive", "Connection: Keep-Alive\r\n\r\n", `POST "/" 1.0 Connection=Keep-Alive`},
		{"keep-alive and close", "Connection: keep-alive, close\r\n\r\n", `POST "/" 1.0 Connection=keep-alive, close close`},
		{"bad host", "Host: a b\r\n\r\n", "400"},
		{"two hosts", "Host: a\r\nHost: a\r\n\r\n", "400"},
		{"chunked", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"length", "Content-Length: 1\r\n\r\na", `POST "/" 1.0 Content-Length=1 body="a" close`},
		{"no length", "\r\nabc", `POST "/" 1.0 close rest="abc"`},
		{"expect", "Expect: 100-continue\r\n\r\n", `POST "/" 1.0 Expect=100-continue close`},
	})
	t.Logf("%d cases", cases)
	if cases < 200 {
		t.Error("fewer than 200")
	}
}

// everyCase gives the tables as whole requests.
func everyCase(f func(in string)) {
	for _, c := range requestLines {
		f(c.in + "Host: a\r\n\r\n")
	}
	for _, c := range fieldLines {
		f("GET / HTTP/1.1\r\nHost: a\r\n" + c.in + "\r\n")
	}
	for _, c := range hosts {
		f("GET / HTTP/1.1\r\n" + c.in + "\r\n")
	}
	for _, c := range bodies {
		f("POST / HTTP/1.1\r\nHost: a\r\n" + c.in)
	}
	for _, c := range chunkedBodies {
		f("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + c.in)
	}
}

// FuzzRequest: what we take for a request net/http takes for the same one, with
// the same body, and the same beginning of the next.
func FuzzRequest(f *testing.F) {
	everyCase(func(in string) {
		if len(in) < 1000 {
			f.Add([]byte(in))
		}
	})
	f.Fuzz(func(t *testing.T, in []byte) {
		r, content, rest, status := split(in)
		if status != 0 {
			return
		}
		in = append(slices.Clip(in), "GET /next HTTP/1.1\r\nHost: b\r\n\r\n"...)
		rest = in[len(in)-len(rest)-len("GET /next HTTP/1.1\r\nHost: b\r\n\r\n"):]
		br := bufio.NewReaderSize(bytes.NewReader(in), len(in)+16)
		theirs, err := http.ReadRequest(br)
		if err != nil {
			t.Fatalf("%q: net/http says %v", in, err)
		}
		body, err := io.ReadAll(theirs.Body)
		if err != nil {
			t.Fatalf("%q: net/http says of the body: %v", in, err)
		}
		theirRest, _ := io.ReadAll(br)
		header := http.Header{}
		for _, f := range r.fields {
			header.Add(f.name, f.value)
		}
		host := header.Get("Host")
		if theirs.URL.Host != "" {
			host = theirs.URL.Host
		}
		keep := r.keepAlive()
		for _, name := range []string{"Host", "Transfer-Encoding", "Content-Length", "Trailer", "Cache-Control"} {
			header.Del(name) // what ReadRequest takes out, or puts in
			theirs.Header.Del(name)
		}
		type view struct {
			Method, Target, Path, Host string
			Minor                      int
			Header                     http.Header
			Length                     int64
			Body, Rest                 string
			Close                      bool
		}
		got := view{r.method, r.target, r.path, host, r.minor, header, r.length, string(content), string(rest), !keep}
		want := view{theirs.Method, theirs.RequestURI, theirs.URL.Path, theirs.Host, theirs.ProtoMinor, theirs.Header,
			theirs.ContentLength, string(body), string(theirRest), theirs.Close}
		if theirs.URL.Path == "" {
			want.Path = "/"
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q (-net/http +ours):\n%s", in, d)
		}
	})
}

// FuzzChunked: what we take for a chunked body net/http does too, with the same
// bytes, and the same end.
func FuzzChunked(f *testing.F) {
	for _, c := range chunkedBodies {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in))
		}
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		content, rest, status := splitBody(chunked, in)
		if status != 0 {
			return
		}
		br := bufio.NewReaderSize(bytes.NewReader(in), len(in)+16)
		theirs, err := io.ReadAll(httputil.NewChunkedReader(br))
		if err != nil || !bytes.Equal(theirs, content) {
			t.Fatalf("%q: ours %q, net/http's %q, %v", in, content, theirs, err)
		}
		if _, err := textproto.NewReader(br).ReadMIMEHeader(); err != nil {
			t.Fatalf("%q: trailers: %v", in, err)
		}
		if theirRest, _ := io.ReadAll(br); !bytes.Equal(theirRest, rest) {
			t.Fatalf("%q: ours leave %q, net/http's %q", in, rest, theirRest)
		}
	})
}
