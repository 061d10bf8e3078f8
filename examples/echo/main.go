// Echo sends back what it receives (RFC 862), to any number of clients from
// one goroutine.
//
//	go run ./examples/echo
//	nc 127.0.0.1 7007
package main

import (
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/example"
)

var echo = &channel.Handler{
	Read: func(c *channel.Conn, p []byte) { c.Write(p) },
}

func main() {
	server := example.Server{Addr: "127.0.0.1:7007"}
	server.Flags()
	example.Main(func() error {
		return server.Run(func(*channel.Conn) *channel.Handler { return echo })
	})
}
