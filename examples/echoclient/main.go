// Echoclient sends its standard input to a server and prints what comes back:
// a small nc, with standard input and output as channels of the same loop as
// the socket. It ends when the server has closed its side.
//
//	echo hello | go run ./examples/echoclient -addr 127.0.0.1:7007
package main

import (
	"cmp"
	"context"
	"flag"
	"os"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/example"
	"github.com/seed-20e08ac4/asyncore/loop"
)

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

	network, address := example.Network(addr)
	conn = channel.Dial(l, network, address, &channel.Handler{
		Close: func(_ *channel.Conn, err error) {
			failed = cmp.Or(failed, err)
			out.Close()
		},
	})
	in, err = channel.Open(l, os.Stdin, &channel.Handler{
		Close: func(_ *channel.Conn, err error) {
			if err != nil {
				failed = cmp.Or(failed, err)
				conn.Abort()
			}
		},
	})
	if err != nil {
		return err
	}
	out, err = channel.Open(l, os.Stdout, &channel.Handler{
		Close: func(_ *channel.Conn, err error) { failed = cmp.Or(failed, err) },
	})
	if err != nil {
		return err
	}
	// A person who reads page by page is no peer that has stalled.
	conn.SetWriteTimeout(-1)
	out.SetWriteTimeout(-1)
	out.Pause() // a terminal, or a file made by a shell, could be read too
	in.PipeTo(conn)
	conn.PipeTo(out)
	if err := l.Run(context.Background()); err != nil {
		return err
	}
	return failed
}
