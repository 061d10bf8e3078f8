//go:build unix

package channel_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const maxFrame = 64 << 10

var (
	errFrame  = errors.New("frame too long")
	errAnswer = errors.New("an answer that nobody has asked for")
)

// A frame is its length in four bytes, big-endian, and then so many bytes.
func sendFrame(c *channel.Conn, body string) {
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(body)))
	c.Write(size[:])
	c.WriteString(body) // goes out with the size, in one call to the kernel
}

// eachFrame makes a Handler.Read of a function that takes one frame.
func eachFrame(got func(c *channel.Conn, body []byte)) func(*channel.Conn, []byte) {
	return func(c *channel.Conn, p []byte) {
		for c.Reading() && len(p) >= 4 {
			size := binary.BigEndian.Uint32(p)
			if size > maxFrame {
				c.Fail(errFrame)
				return
			}
			end := 4 + int(size)
			if len(p) < end {
				break
			}
			got(c, p[4:end])
			p = p[end:]
		}
		c.Unread(p)
	}
}

// rpc is a client that has any number of calls under way; answers come in the
// order of the calls.
type rpc struct {
	conn    *channel.Conn
	waiting []func(answer string, err error)
}

func dialRPC(l *loop.Loop, address string) *rpc {
	r := new(rpc)
	r.conn = channel.Dial(l, "tcp", address, &channel.Handler{
		Read: eachFrame(func(c *channel.Conn, body []byte) {
			if len(r.waiting) == 0 {
				c.Fail(errAnswer)
				return
			}
			done := r.waiting[0]
			r.waiting = r.waiting[1:]
			done(string(body), nil)
		}),
		Close: func(_ *channel.Conn, err error) {
			if err == nil {
				err = errors.New("server has closed")
			}
			for _, done := range r.waiting {
				done("", err)
			}
		},
	})
	return r
}

// call may be used at once: what is sent before the connection stands waits.
func (r *rpc) call(question string, done func(answer string, err error)) {
	r.waiting = append(r.waiting, done)
	sendFrame(r.conn, question)
}

// Calls over one connection, without waiting for one answer before the next
// question. Each call that was made is answered once, with an error if the
// connection ends first.
func Example_rpc() {
	l := newLoop()
	defer l.Close()
	server := &channel.Handler{
		Read: eachFrame(func(c *channel.Conn, body []byte) {
			if string(body) == "crash" {
				c.Reset()
				return
			}
			sendFrame(c, fmt.Sprintf("%s to you", body))
		}),
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return server })
	if err != nil {
		log.Fatal(err)
	}

	client := dialRPC(l, ln.Addr().String())
	show := func(answer string, err error) { fmt.Println(answer, err != nil) }
	client.call("hello", show)
	client.call("good day", func(answer string, err error) {
		show(answer, err)
		client.call("crash", func(answer string, err error) {
			show(answer, err)
			ln.Close()
		})
	})
	run(l)
	// Output:
	// hello to you false
	// good day to you false
	//  true
}
