//go:build unix

package channel_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const maxPage = 1 << 20

var errPage = errors.New("page too long")

// get fetches a page by HTTP/1.0, where the end of the connection is the end of
// the page. The parsing is package net/http's.
func get(l *loop.Loop, address string, done func(page string, err error)) {
	u, err := url.Parse(address)
	if err != nil {
		l.Post(func() { done("", err) }) // later, as every other outcome
		return
	}
	var answer []byte
	channel.Dial(l, "tcp", u.Host, &channel.Handler{
		Connect: func(c *channel.Conn) {
			fmt.Fprintf(c, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", u.RequestURI(), u.Host)
		},
		Read: func(c *channel.Conn, p []byte) {
			if len(answer)+len(p) > maxPage {
				c.Fail(errPage)
				return
			}
			answer = append(answer, p...)
		},
		Close: func(_ *channel.Conn, err error) {
			if err != nil {
				done("", err)
				return
			}
			resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
			if err != nil {
				done("", err)
				return
			}
			page, err := io.ReadAll(resp.Body) // ends too early where Content-Length says so
			done(string(page), err)
		},
	})
}

// An HTTP client, asyncore's own example: two pages fetched at the same time,
// without a goroutine.
func Example_http() {
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(web, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "the page %s", r.URL.Path)
	}))

	l := newLoop()
	defer l.Close()
	pages := map[string]string{}
	for _, path := range []string{"/one", "/two"} {
		get(l, "http://"+web.Addr().String()+path, func(page string, err error) {
			if err != nil {
				log.Fatal(err)
			}
			pages[path] = page
		})
	}
	run(l) // until both have closed
	web.Close()
	fmt.Println(pages["/one"])
	fmt.Println(pages["/two"])
	// Output:
	// the page /one
	// the page /two
}
