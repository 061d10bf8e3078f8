//go:build unix

package channel_test

import (
	"bytes"
	"fmt"
	"log"

	"github.com/seed-20e08ac4/asyncore/channel"
)

const maxLine = 1 << 10

// eachLine makes a Handler.Read of a function that takes one line. What belongs to
// a line that has not ended yet goes back to the Conn, which puts it in front
// of the next input. A line that closes or pauses the Conn is the last one for
// now.
func eachLine(got func(c *channel.Conn, line []byte)) func(*channel.Conn, []byte) {
	return func(c *channel.Conn, p []byte) {
		for c.Reading() {
			line, rest, found := bytes.Cut(p, []byte("\n"))
			if !found {
				if len(p) > maxLine {
					c.WriteString("line too long\n")
					c.Close()
				}
				break
			}
			got(c, bytes.TrimSuffix(line, []byte("\r")))
			p = rest
		}
		c.Unread(p)
	}
}

// A server that answers each line, in pieces of whatever size they come. Package
// net would take a bufio.Scanner and a goroutine for each client; asyncore left
// the gathering of lines to asynchat.
func Example_lines() {
	l := newLoop()
	defer l.Close()
	echo := &channel.Handler{
		Read: eachLine(func(c *channel.Conn, line []byte) {
			if string(line) == "quit" {
				c.WriteString("bye\n")
				c.Close()
				return
			}
			fmt.Fprintf(c, "you said %q\n", line)
		}),
		EOF: func(c *channel.Conn) {
			fmt.Fprintf(c, "you broke off at %q\n", c.Tail())
			c.Close()
		},
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return echo })
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		fmt.Print(ask(ln.Addr(), "hello\r\nworld\nhalf a li"))
		fmt.Print(ask(ln.Addr(), "one\nquit\nignored\n"))
		l.Post(func() { ln.Close() })
	}()
	run(l)
	// Output:
	// you said "hello"
	// you said "world"
	// you broke off at "half a li"
	// you said "one"
	// bye
}
