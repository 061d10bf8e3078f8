//go:build unix

package channel_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// A goroutine reads the first line of each connection, as a program of package
// net does, and then leaves the connection to the loop. What its bufio.Reader
// has read too much goes along.
func ExampleAdopt() {
	l := newLoop()
	defer l.Close()
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer nl.Close()
	answer := make(chan string)
	go func() { answer <- ask(nl.Addr(), "who\nthe rest") }()

	h := &channel.Handler{
		Read:  func(c *channel.Conn, p []byte) { fmt.Fprintf(c, "the loop got %q", p) },
		Close: func(c *channel.Conn, err error) { l.Stop() },
	}
	go func() {
		nc, err := nl.Accept()
		if err != nil {
			log.Fatal(err)
		}
		r := bufio.NewReader(nc)
		line, _ := r.ReadString('\n')
		fmt.Fprintf(nc, "the goroutine got %q, ", line)
		rest, _ := r.Peek(r.Buffered())
		l.Post(func() {
			c, err := channel.Adopt(l, nc, h)
			if err != nil {
				log.Fatal(err)
			}
			c.Unread(rest)
		})
	}()
	release := l.Hold() // there is no Conn yet
	defer release()
	run(l)
	fmt.Println(<-answer)
	// Output:
	// the goroutine got "who\n", the loop got "the rest"
}

// The loop looks at the first byte, and leaves what takes long to a goroutine,
// which reads the connection from its beginning.
func ExampleConn_Detach() {
	l := newLoop()
	defer l.Close()
	work := func(nc net.Conn) {
		defer nc.Close()
		request, err := io.ReadAll(nc)
		if err != nil {
			log.Print(err)
		}
		fmt.Fprintf(nc, "the goroutine got %q", request)
	}
	h := &channel.Handler{
		Read: func(c *channel.Conn, p []byte) {
			if p[0] != 'L' {
				c.WriteString("the loop's answer")
				return
			}
			c.WriteString("wait: ") // sent before the connection goes
			c.Unread(p)
			c.Detach(func(d channel.Detached) {
				nc, err := d.Conn()
				if err != nil {
					log.Print(err)
					return
				}
				go work(nc)
			})
		},
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return h })
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		fmt.Println(ask(ln.Addr(), "short"))
		fmt.Println(ask(ln.Addr(), "Long"))
		l.Stop()
	}()
	run(l)
	// Output:
	// the loop's answer
	// wait: the goroutine got "Long"
}

// A socket that another program has opened for this one. systemd passes it as
// descriptor 3: net.FileListener(os.NewFile(3, "systemd")).
func ExampleListenConfig_Adopt() {
	l := newLoop()
	defer l.Close()
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	addr := nl.Addr()

	lc := channel.ListenConfig{MaxConns: 100}
	ln, err := lc.Adopt(l, nl, func(*channel.Conn) *channel.Handler {
		return &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }}
	})
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		fmt.Println(ask(addr, "hello"))
		l.Post(func() { ln.Close() })
	}()
	run(l) // until the Listener and the last Conn have closed
	// Output:
	// hello
}
