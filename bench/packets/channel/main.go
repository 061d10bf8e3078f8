// Channel echoes UDP packets with this library.
//
//	channel PORT     0: a free one; prints the address when it listens
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func main() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	c, err := channel.ListenPacket(l, "udp4", "127.0.0.1:"+os.Args[1], &channel.PacketHandler{
		Packet: func(c *channel.PacketConn, p []byte, from channel.PacketAddr, _ bool) {
			if err := c.WriteTo(p, from); err != nil {
				log.Fatal(err)
			}
		},
		Error: func(_ *channel.PacketConn, err error) { log.Fatal(err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.LocalAddr())
	log.Fatal(l.Run(context.Background()))
}
