// Echoclient sends its standard input to a server and prints what comes back:
// a small nc, with standard input and output as channels of the same loop as
// the socket. It ends when the server has closed its side.
//
//	echo hello | go run ./examples/echoclient -addr 127.0.0.1:7007
package main

import (
	"context"
	"errors"
	"flag"
	"net"
	"os"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/example"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// highWater is the mark above which a Conn owes a call of Handler.Write.
const highWater = 64 << 10

func main() {
	addr := flag.String("addr", "127.0.0.1:7007", "`address` to connect to: HOST:PORT, unix:PATH or unix:@NAME")
	example.Main(func() error { return run(*addr) })
}

func run(addr string) error {
	l, err := loop.New(loop.Config{})
	if err != nil {
		return err
	}
	defer l.Close()

	var in, out, conn *channel.Conn
	var failed error

	// A source rests while what it feeds has too much queued.
	feed := func(from, to *channel.Conn, p []byte) {
		to.Write(p)
		if to.Buffered() > highWater {
			from.Pause()
		}
	}
	network, address := example.Network(addr)
	conn = channel.Dial(l, network, address, &channel.Handler{
		Connect: func(*channel.Conn) { in.Resume() },
		Read:    func(_ *channel.Conn, p []byte) { feed(conn, out, p) },
		Write:   func(*channel.Conn) { in.Resume() },
		Close: func(_ *channel.Conn, err error) {
			if failed == nil {
				failed = err
			}
			in.Abort()
			out.Close()
		},
	})
	// An echo talks while it is talked to: if its input stopped for its output,
	// both ends would wait for each other.
	conn.SetWater(highWater/4, -highWater, 1<<20)
	in, err = channel.Open(l, os.Stdin, &channel.Handler{
		Read: func(_ *channel.Conn, p []byte) { feed(in, conn, p) },
		EOF:  func(*channel.Conn) { conn.CloseWrite() },
		Close: func(_ *channel.Conn, err error) {
			if err != nil && !errors.Is(err, net.ErrClosed) {
				failed = err
				conn.Abort()
			}
		},
	})
	if err != nil {
		return err
	}
	in.Pause() // until connected
	out, err = channel.Open(l, os.Stdout, &channel.Handler{
		Write: func(*channel.Conn) { conn.Resume() },
		Close: func(*channel.Conn, error) { conn.Abort() }, // nobody reads any more
	})
	if err != nil {
		return err
	}
	out.Pause() // a terminal, or a file made by a shell, could be read too
	if err := l.Run(context.Background()); err != nil {
		return err
	}
	return failed
}
