// Chat echoes lines with this library.
//
//	chat PORT     0: a free one; prints the address when it listens
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func main() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	crlf := []byte("\r\n")
	echo := &chat.Handler{
		Message: func(c *chat.Conn, line []byte) { c.Push(line, crlf) },
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:"+os.Args[1], chat.Accept(func(c *chat.Conn) *chat.Handler {
		c.SetTerminator(chat.Delim("\r\n"))
		return echo
	}))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ln.Addr())
	log.Fatal(l.Run(context.Background()))
}
