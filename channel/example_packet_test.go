//go:build unix && !darwin

// Without macOS, which has no sequenced packets.

package channel_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// A UDP server that answers each packet, and a client that asks again until it has
// its answer: packets may get lost.
func ExampleListenPacket() {
	l := newLoop()
	defer l.Close()
	server, err := channel.ListenPacket(l, "udp", "127.0.0.1:0", &channel.PacketHandler{
		Packet: func(c *channel.PacketConn, p []byte, from channel.PacketAddr, truncated bool) {
			if truncated {
				return // longer than any question is
			}
			c.WriteTo(bytes.ToUpper(p), from) // copied: p is the loop's
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	client, err := channel.DialPacket(l, "udp", server.LocalAddr().String(), &channel.PacketHandler{
		Packet: func(c *channel.PacketConn, p []byte, _ channel.PacketAddr, _ bool) {
			fmt.Printf("%s\n", p)
			c.Close()
		},
		Close: func(*channel.PacketConn, error) { server.Close() },
	})
	if err != nil {
		log.Fatal(err)
	}
	ask := func() { client.Write([]byte("what time is it?")) }
	ask()
	again := l.Every(time.Second, ask)
	defer again.Stop()
	run(l) // until both have closed
	// Output: WHAT TIME IS IT?
}

// What becomes of a packet that nobody is there for: an error, and the PacketConn
// lives on.
func ExamplePacketHandler() {
	l := newLoop()
	defer l.Close()
	gone, err := channel.ListenPacket(l, "udp", "127.0.0.1:0", &channel.PacketHandler{})
	if err != nil {
		log.Fatal(err)
	}
	gone.Abort()
	l.Poll(0)
	c, err := channel.DialPacket(l, "udp", gone.LocalAddr().String(), &channel.PacketHandler{
		Error: func(c *channel.PacketConn, err error) {
			fmt.Println("refused:", errors.Is(err, syscall.ECONNREFUSED))
			c.Close()
		},
		Close: func(_ *channel.PacketConn, err error) { fmt.Println("closed:", err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	c.Write([]byte("anybody there?"))
	run(l)
	// Output:
	// refused: true
	// closed: <nil>
}

// Sequenced packets: a connection on which what was written together is read
// together.
func ExampleListenConfig_ListenSeqPacket() {
	l := newLoop()
	defer l.Close()
	dir, err := os.MkdirTemp("", "seq")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "socket")
	served := &channel.PacketHandler{
		Packet: func(_ *channel.PacketConn, p []byte, _ channel.PacketAddr, _ bool) { fmt.Printf("%q\n", p) },
		Close:  func(_ *channel.PacketConn, err error) { fmt.Println("the peer has ended:", err) },
	}
	lc := channel.ListenConfig{MaxConns: 10}
	ln, err := lc.ListenSeqPacket(l, "unixpacket", path, func(*channel.PacketConn) *channel.PacketHandler { return served })
	if err != nil {
		log.Fatal(err)
	}
	client, err := channel.DialPacket(l, "unixpacket", path, &channel.PacketHandler{
		Close: func(*channel.PacketConn, error) { ln.Close() },
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"one", "two", "three"} {
		client.Write([]byte(text))
	}
	client.Close() // when all that has gone out
	run(l)
	// Output:
	// "one"
	// "two"
	// "three"
	// the peer has ended: <nil>
}
