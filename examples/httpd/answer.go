package main

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"
)

// answer is what a request gets. It is made where the disk may be slow, off the
// loop, and sent by the session.
type answer struct {
	status  int
	fields  []field
	length  int64    // of the body, also where a HEAD request does not get it
	content []byte   // the body, or
	file    *os.File // the next length bytes of this, which the session closes
}

func (a *answer) set(name, value string) { a.fields = append(a.fields, field{name, value}) }

// hasBody: for some statuses there is none, and no length either.
func (a *answer) hasBody() bool {
	return a.status != http.StatusNoContent && a.status != http.StatusNotModified
}

// problem answers with a status and its name.
func problem(status int) *answer {
	a := &answer{status: status}
	a.text("text/plain; charset=utf-8", fmt.Sprintf("%d %s\n", status, http.StatusText(status)))
	if status == http.StatusMethodNotAllowed {
		a.set("Allow", allowed)
	}
	return a
}

// text makes s the body.
func (a *answer) text(contentType, s string) {
	a.set("Content-Type", contentType)
	a.set("X-Content-Type-Options", "nosniff")
	a.content, a.length = []byte(s), int64(len(s))
}

// redirect sends to another place, relative to this one, which the query goes to
// too: location has been escaped, and query is a request's.
func redirect(location, query string) *answer {
	a := &answer{status: http.StatusMovedPermanently}
	a.set("Location", location+query)
	return a
}

// header is that of a, as it goes out. Whatever the values have come from, they
// end no line.
func (a *answer) header(date, connection string) []byte {
	p := make([]byte, 0, 512)
	line := func(name, value string) {
		p = append(p, name...)
		p = append(p, ": "...)
		for i := range len(value) {
			c := value[i]
			if c < ' ' || c == 0x7f {
				c = '?'
			}
			p = append(p, c)
		}
		p = append(p, "\r\n"...)
	}
	p = append(p, "HTTP/1.1 "...)
	p = strconv.AppendInt(p, int64(a.status), 10)
	p = append(p, ' ')
	p = append(p, http.StatusText(a.status)...)
	p = append(p, "\r\n"...)
	line("Date", date)
	for _, f := range a.fields {
		line(f.name, f.value)
	}
	if a.hasBody() {
		line("Content-Length", strconv.FormatInt(a.length, 10))
	}
	if connection != "" {
		line("Connection", connection)
	}
	return append(p, "\r\n"...)
}

// clock formats each second once.
type clock struct {
	second int64
	text   string
}

func (c *clock) date(now time.Time) string {
	if now.Unix() != c.second || c.text == "" {
		c.second, c.text = now.Unix(), now.UTC().Format(http.TimeFormat)
	}
	return c.text
}

const allowed = "GET, HEAD, OPTIONS"

func isAllowed(method string) bool {
	return method == "GET" || method == "HEAD" || method == "OPTIONS"
}
