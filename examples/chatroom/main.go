// Chatroom is a room to talk in with telnet or nc: each line goes to all others.
//
//	go run ./examples/chatroom
//	nc 127.0.0.1 7008
//
// The first line is one's name. Then /who lists the members, /msg NAME TEXT is for
// one of them, /nick NAME takes another name, /quit leaves, and everything else is
// said to all.
//
// A line has at most 1,000 bytes. Whoever sends more than 20 lines a second is
// listened to more slowly, and after half a minute of it no more. Whoever does not
// read is dropped when 256 KiB wait for him; the others do not notice. What a
// terminal could take for a command of its own is shown escaped. There are at most
// 500 members, 20 from one address.
package main

import (
	"flag"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/example"
)

func main() {
	server := example.Server{Addr: "127.0.0.1:7008", MaxConns: 500}
	server.Flags()
	r := newRoom()
	flag.IntVar(&r.guests.Most, "per-host", r.guests.Most, "most members from one address (0: any number)")
	flag.IntVar(&r.rate, "rate", r.rate, "lines a second that a member may send (0: any number)")
	example.Main(func() error {
		r.idle = server.Idle
		return server.Run(chat.Accept(r.accept))
	})
}
