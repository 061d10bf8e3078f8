//go:build unix

package channel_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func newLoop() *loop.Loop {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	return l
}

// run runs l until nothing is left to do.
func run(l *loop.Loop) {
	if err := l.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// ask is a client of package net: it sends a question, and its EOF, and
// returns all of the answer.
func ask(to net.Addr, question string) string {
	nc, err := net.Dial(to.Network(), to.String())
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	io.WriteString(nc, question)
	nc.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(nc)
	if err != nil {
		log.Fatal(err)
	}
	return string(answer)
}

// An echo server, and a client in another goroutine.
func Example() {
	l := newLoop()
	defer l.Close()
	echo := &channel.Handler{
		Read: func(c *channel.Conn, p []byte) { c.Write(p) },
		Close: func(c *channel.Conn, err error) {
			fmt.Println("closed:", err)
			l.Stop()
		},
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return echo })
	if err != nil {
		log.Fatal(err)
	}
	answer := make(chan string)
	go func() { answer <- ask(ln.Addr(), "hello") }()
	run(l) // until Stop
	fmt.Println(<-answer)
	// Output:
	// closed: <nil>
	// hello
}

// Server and client on one loop. Every failure of a dial arrives in Close.
func ExampleDial() {
	l := newLoop()
	defer l.Close()
	greet := &channel.Handler{
		Connect: func(c *channel.Conn) {
			c.WriteString("welcome")
			c.Close() // when that is sent
		},
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return greet })
	if err != nil {
		log.Fatal(err)
	}
	channel.Dial(l, "tcp", ln.Addr().String(), &channel.Handler{
		Connect: func(c *channel.Conn) { fmt.Println("connected") },
		Read:    func(c *channel.Conn, p []byte) { fmt.Printf("%s\n", p) },
		Close: func(c *channel.Conn, err error) {
			fmt.Println("closed:", err)
			ln.Close()
		},
	})
	channel.Dial(l, "tcp", "127.0.0.1:http", &channel.Handler{
		Close: func(c *channel.Conn, err error) { fmt.Println(err) },
	})
	run(l) // until the last Conn and the Listener have closed
	// Output:
	// dial tcp 127.0.0.1:http: address 127.0.0.1:http: port is not a number from 0 to 65535
	// connected
	// welcome
	// closed: <nil>
}

// A table in place of the name server. The answer has the IPv6 address that is
// tried first, where nobody listens, and the one that is taken.
func ExampleDialer() {
	l := newLoop()
	defer l.Close()
	ln, err := channel.Listen(l, "tcp4", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return &channel.Handler{} })
	if err != nil {
		log.Fatal(err)
	}
	hosts := map[string]string{"ip6 db.test": "::1", "ip4 db.test": "127.0.0.1"}
	d := channel.Dialer{
		Timeout: time.Second,
		Lookup: func(_ context.Context, network, host string) ([]netip.Addr, error) {
			ip, err := netip.ParseAddr(hosts[network+" "+host])
			return []netip.Addr{ip}, err
		},
	}
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	d.Dial(l, "tcp", "db.test:"+port, &channel.Handler{
		Connect: func(c *channel.Conn) {
			fmt.Println(c.RemoteAddr().String() == ln.Addr().String())
			c.Close()
		},
		Close: func(_ *channel.Conn, err error) {
			fmt.Println("closed:", err)
			ln.Close()
		},
	})
	run(l)
	// Output:
	// true
	// closed: <nil>
}

// A long answer is not made in memory: whoever reads slowly makes its producer
// slow.
func ExampleConn_SendFrom() {
	l := newLoop()
	defer l.Close()
	h := &channel.Handler{
		Connect: func(c *channel.Conn) {
			c.WriteString("<")
			c.SendFrom(strings.NewReader("any io.Reader: a file, a template's output"))
			c.SendFrom(io.LimitReader(zeros{}, 3))
			c.WriteString(">")
			c.Close() // when all of that is sent
		},
		Close: func(*channel.Conn, error) { l.Stop() },
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return h })
	if err != nil {
		log.Fatal(err)
	}
	answer := make(chan string)
	go func() { answer <- ask(ln.Addr(), "") }()
	run(l)
	fmt.Println(<-answer)
	// Output:
	// <any io.Reader: a file, a template's output000>
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

// A protocol that begins with a line and goes on with something else: the
// Handler of the line gives back what is not its own, and puts the other
// Handler in place, which gets it at once.
func ExampleConn_Unread() {
	l := newLoop()
	defer l.Close()
	body := &channel.Handler{
		Read:  func(c *channel.Conn, p []byte) { fmt.Fprintf(c, "body %q", p) },
		Close: func(*channel.Conn, error) { l.Stop() },
	}
	header := &channel.Handler{
		Read: func(c *channel.Conn, p []byte) {
			line, rest, ok := bytes.Cut(p, []byte("\r\n"))
			if !ok {
				c.Unread(p) // comes again, with more
				return
			}
			fmt.Fprintf(c, "header %q, ", line)
			c.Unread(rest)
			c.SetHandler(body)
		},
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return header })
	if err != nil {
		log.Fatal(err)
	}
	answer := make(chan string)
	go func() { answer <- ask(ln.Addr(), "HELLO\r\nand the rest") }()
	run(l)
	fmt.Println(<-answer)
	// Output:
	// header "HELLO", body "and the rest"
}

// A Conn that feeds another one rests while that has too much queued, so that
// a fast sender and a slow receiver need a bounded amount of memory.
func ExampleConn_SetWater() {
	l := newLoop()
	defer l.Close()
	inR, inW, _ := os.Pipe()
	outR, outW, _ := os.Pipe()
	defer inR.Close()
	defer outR.Close()
	go func() {
		inW.Write(make([]byte, 1e6))
		inW.Close()
	}()
	received := make(chan int64)
	go func() {
		n, _ := io.Copy(io.Discard, outR)
		received <- n
	}()

	const low, high = 8 << 10, 32 << 10
	most := 0
	var from, to *channel.Conn
	to, err := channel.Open(l, outW, &channel.Handler{
		Write: func(*channel.Conn) { from.Resume() }, // fallen to low
	})
	if err != nil {
		log.Fatal(err)
	}
	to.SetWater(low, high, -1) // no hard limit: from is what is stopped
	from, err = channel.Open(l, inR, &channel.Handler{
		Read: func(_ *channel.Conn, p []byte) {
			to.Write(p)
			if to.Buffered() > high {
				from.Pause()
			}
			most = max(most, to.Buffered())
		},
		EOF: func(*channel.Conn) {
			from.Close()
			to.Close()
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	outW.Close() // the Conn has a duplicate
	run(l)
	fmt.Println(<-received, "bytes; never more than 1 MiB queued:", most < 1<<20)
	// Output:
	// 1000000 bytes; never more than 1 MiB queued: true
}

// A pipe, as it would be to a program that the loop has started.
func ExampleOpen() {
	l := newLoop()
	defer l.Close()
	r, w, err := os.Pipe()
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		io.WriteString(w, "from the other side")
		w.Close()
	}()
	_, err = channel.Open(l, r, &channel.Handler{
		Read:  func(c *channel.Conn, p []byte) { fmt.Printf("%s\n", p) },
		Close: func(c *channel.Conn, err error) { fmt.Println("closed:", err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	r.Close() // the Conn has a duplicate
	run(l)
	// Output:
	// from the other side
	// closed: <nil>
}

// Everybody but one hears a message: a loop's Conns take the place of
// asyncore's socket_map.
func ExampleConns() {
	l := newLoop()
	defer l.Close()
	for i := range 3 {
		r, w, err := os.Pipe()
		if err != nil {
			log.Fatal(err)
		}
		defer w.Close()
		_, err = channel.Open(l, r, &channel.Handler{
			Close: func(c *channel.Conn, err error) { fmt.Println(c, "closed:", err) },
		})
		if err != nil {
			log.Fatal(err)
		}
		if r.Close(); i == 2 {
			l.Post(func() {
				for c := range channel.Conns(l) {
					if c.ID() != 2 {
						c.Close() // also while iterating
					}
				}
				l.After(0, func() {
					for c := range channel.Conns(l) {
						c.Abort()
					}
				})
			})
		}
	}
	run(l)
	// Output:
	// conn 1 file closed: <nil>
	// conn 3 file closed: <nil>
	// conn 2 file closed: use of closed network connection
}

// Two servers share a port, and each socket gets an option that ListenConfig
// has no field for.
func ExampleListenConfig() {
	l := newLoop()
	defer l.Close()
	lc := channel.ListenConfig{
		MaxConns:  100, // further ones wait in the backlog
		ReusePort: true,
		Control: func(network, address string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) {
				failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 64<<10)
			})
			if err != nil {
				return err
			}
			return failed
		},
		Closed: func(ln *channel.Listener, err error) { fmt.Println("listener closed:", err) },
	}
	accept := func(*channel.Conn) *channel.Handler { return nil } // refuses everybody
	first, err := lc.Listen(l, "tcp", "127.0.0.1:0", accept)
	if err != nil {
		log.Fatal(err)
	}
	second, err := lc.Listen(l, "tcp", first.Addr().String(), accept)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("one address:", first.Addr().String() == second.Addr().String())
	first.Close()
	second.Close()
	run(l)
	// Output:
	// one address: true
	// listener closed: <nil>
	// listener closed: <nil>
}

// A forwarder: what a client sends goes to a server, and what that answers back,
// with the end of each.
func ExamplePipe() {
	l := newLoop()
	defer l.Close()
	loud := &channel.Handler{
		Read: func(c *channel.Conn, p []byte) { c.Write(bytes.ToUpper(p)) },
	}
	server, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return loud })
	if err != nil {
		log.Fatal(err)
	}
	forward := &channel.Handler{
		Connect: func(client *channel.Conn) {
			// While this is being dialled, what the client sends waits for it.
			channel.Pipe(client, channel.Dial(l, "tcp", server.Addr().String(), &channel.Handler{}))
		},
		Close: func(client *channel.Conn, err error) {
			fmt.Println(client.BytesRead(), "bytes there,", client.BytesWritten(), "back,", err)
			l.Stop()
		},
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return forward })
	if err != nil {
		log.Fatal(err)
	}
	answer := make(chan string)
	go func() { answer <- ask(ln.Addr(), "hello") }()
	run(l) // until Stop
	fmt.Println(<-answer)
	// Output:
	// 5 bytes there, 5 back, <nil>
	// HELLO
}

// Clients may connect while the server is not ready to serve them.
func ExampleListener_Pause() {
	l := newLoop()
	defer l.Close()
	greet := &channel.Handler{
		Connect: func(c *channel.Conn) {
			fmt.Println("accepted")
			c.WriteString("welcome")
			c.Close()
		},
		Close: func(*channel.Conn, error) { l.Stop() },
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return greet })
	if err != nil {
		log.Fatal(err)
	}
	ln.Pause()
	answer := make(chan string)
	go func() { answer <- ask(ln.Addr(), "") }() // waits in the backlog
	l.After(10*time.Millisecond, func() {
		fmt.Println("the cache is warm")
		ln.Resume()
	})
	run(l) // until Stop
	fmt.Println(<-answer)
	// Output:
	// the cache is warm
	// accepted
	// welcome
}
