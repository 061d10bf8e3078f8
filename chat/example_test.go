//go:build unix

package chat_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// serve runs f against a server for one Handler, until f and its connections end.
func serve(accept func(*chat.Conn) *chat.Handler, f func(addr net.Addr)) {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", chat.Accept(accept))
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		f(ln.Addr())
		l.Post(func() { ln.Close() })
	}()
	if err := l.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// ask sends a text, ends it, and returns what comes back.
func ask(addr net.Addr, text string) string {
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, text)
	conn.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(err)
	}
	return string(answer)
}

var crlf = []byte("\r\n")

// A chat room: each line goes to all but the one who said it.
func Example() {
	var room []*chat.Conn
	member := &chat.Handler{
		Connect: func(c *chat.Conn) { room = append(room, c) },
		Message: func(c *chat.Conn, line []byte) {
			for _, p := range room {
				if p != c {
					p.Push(line, crlf)
				}
			}
		},
		Close: func(c *chat.Conn, err error) {
			room = slices.DeleteFunc(room, func(p *chat.Conn) bool { return p == c })
		},
	}
	serve(func(*chat.Conn) *chat.Handler { return member }, func(addr net.Addr) {
		listener, err := net.Dial(addr.Network(), addr.String())
		if err != nil {
			log.Fatal(err)
		}
		defer listener.Close()
		ask(addr, "hello\r\nhow are you?\n")
		heard := make([]byte, len("hello\r\nhow are you?\r\n"))
		io.ReadFull(listener, heard)
		fmt.Printf("%q\n", heard)
	})
	// Output: "hello\r\nhow are you?\r\n"
}

// A header line says how many bytes follow: the terminator changes with every
// message, and what has been read already is framed anew.
func ExampleConn_SetTerminator() {
	size := false
	h := &chat.Handler{
		Message: func(c *chat.Conn, msg []byte) {
			if size = !size; !size {
				fmt.Fprintf(c, "got %q\n", msg)
				c.SetTerminator(chat.Line)
				return
			}
			n, err := strconv.ParseUint(string(msg), 10, 20)
			if err != nil {
				c.Fail(err)
				return
			}
			c.SetTerminator(chat.Count(int(n)))
		},
	}
	serve(func(*chat.Conn) *chat.Handler { return h }, func(addr net.Addr) {
		fmt.Print(ask(addr, "5\nhello0\n6\nworld\n"))
	})
	// Output:
	// got "hello"
	// got ""
	// got "world\n"
}

// A client: calls with their length in front, any number of them under way.
func ExampleAttach() {
	frame := chat.LengthPrefix(2, binary.BigEndian)
	push := func(c *chat.Conn, msg string) {
		c.Push(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), []byte(msg))
	}
	server := &chat.Handler{
		Message: func(c *chat.Conn, msg []byte) { push(c, strings.ToUpper(string(msg))) },
	}
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", chat.Accept(func(c *chat.Conn) *chat.Handler {
		c.SetTerminator(frame)
		return server
	}))
	if err != nil {
		log.Fatal(err)
	}
	answers := 0
	conn := channel.Dial(l, "tcp", ln.Addr().String(), new(channel.Handler))
	c := chat.Attach(conn, &chat.Handler{
		Message: func(c *chat.Conn, msg []byte) {
			fmt.Printf("%s\n", msg)
			if answers++; answers == 3 {
				c.Close()
			}
		},
		Close: func(_ *chat.Conn, err error) {
			fmt.Println("closed:", err)
			ln.Close()
		},
	})
	c.SetTerminator(frame)
	for _, msg := range []string{"one", "two", "three"} {
		push(c, msg) // goes out when the connection stands
	}
	if err := l.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// ONE
	// TWO
	// THREE
	// closed: <nil>
}

// An upload that is not held in memory: Collect has it in pieces, as they come.
func ExampleHandler() {
	accept := func(c *chat.Conn) *chat.Handler {
		c.SetTerminator(chat.Delim(".\n").Limit(10 << 20))
		c.SetFrameTimeout(time.Minute)
		sum := crc32.NewIEEE()
		return &chat.Handler{
			Collect: func(c *chat.Conn, data []byte) { sum.Write(data) },
			Message: func(c *chat.Conn, _ []byte) {
				fmt.Fprintf(c, "%08x\n", sum.Sum32())
				sum.Reset()
			},
			TooLong: func(c *chat.Conn) {
				c.WriteString("too long\n")
				sum.Reset()
			},
		}
	}
	serve(accept, func(addr net.Addr) {
		fmt.Print(ask(addr, strings.Repeat("x", 1<<20)+".\n"))
		fmt.Print(ask(addr, strings.Repeat("x", 11<<20)+".\n123.\n"))
	})
	// Output:
	// 153b9c32
	// too long
	// 884863d2
}

// Chunked and DotStuff are producers around others.
func ExampleConn_PushProducer() {
	h := &chat.Handler{
		Message: func(c *chat.Conn, line []byte) {
			c.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			c.PushProducer(chat.Chunked(strings.NewReader("a body of unknown length")))
			c.Close() // when all that has gone out
		},
	}
	accept := func(c *chat.Conn) *chat.Handler {
		c.SetTerminator(chat.Delim("\r\n\r\n"))
		return h
	}
	serve(accept, func(addr net.Addr) {
		resp, err := http.Get("http://" + addr.String())
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		fmt.Printf("%s, %v\n", body, err)
	})
	// Output: a body of unknown length, <nil>
}

func ExampleDotStuff() {
	mail := "Subject: hello\n\n.signature\n"
	text, err := io.ReadAll(chat.DotStuff(strings.NewReader(mail)))
	fmt.Printf("%q %v\n", text, err)
	// Output: "Subject: hello\r\n\r\n..signature\r\n.\r\n" <nil>
}
