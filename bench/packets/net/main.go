// Net echoes UDP packets as one writes it with package net: a goroutine that reads
// one and sends it back.
//
//	net PORT     0: a free one; prints the address when it listens
package main

import (
	"fmt"
	"log"
	"net"
	"os"
)

func main() {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	c := pc.(*net.UDPConn)
	fmt.Println(c.LocalAddr())
	buf := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err == nil {
			_, err = c.WriteToUDPAddrPort(buf[:n], from)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}
