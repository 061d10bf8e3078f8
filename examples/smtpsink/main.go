// Smtpsink takes mail for everybody (RFC 5321) and sends none on: each message
// becomes a file of a Maildir, for tests of programs that send mail.
//
//	go run ./examples/smtpsink -dir /tmp/mail
//	printf 'Subject: hello\n\nhow are you?\n' >/tmp/message.eml
//	curl --crlf smtp://127.0.0.1:2525 --mail-from a@example.com --mail-rcpt b@example.com -T /tmp/message.eml
//	swaks --server 127.0.0.1 --port 2525 --to b@example.com
//
// It answers 250 when the message is on the disk, under its final name, and both
// the file and its folder have been synced. All of that happens away from the
// loop; meanwhile the client that waits for it is not read from, and the others
// notice nothing.
//
// It has SIZE, 8BITMIME, PIPELINING and ENHANCEDSTATUSCODES, and neither
// STARTTLS nor AUTH. Line ends are CRLF. A bare CR or LF in a message, with which
// SMTP smuggling begins, closes the connection, and so does what a client sends
// before it may.
//
// Its limits: 10 MiB a message, 100 recipients, 2,048 bytes a line of text, an
// hour a message, a minute a line, 5 minutes between them, 20 mistakes, 100
// commands that lead nowhere, 20 connections from one address and 1,000 in all.
// A message in progress holds at most 128 KiB of memory, however long it is.
package main

import (
	"flag"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/example"
)

func main() {
	server := example.Server{Addr: "127.0.0.1:2525", Idle: 5 * time.Minute, MaxConns: 1000}
	server.Flags()
	dir := flag.String("dir", "", "Maildir, the `directory` to deliver into, made if need be (required)")
	k := newSink()
	flag.Int64Var(&k.maxSize, "size", k.maxSize, "most `bytes` of a message")
	flag.IntVar(&k.maxRcpts, "rcpts", k.maxRcpts, "most recipients of a message")
	flag.IntVar(&k.guests.Most, "per-host", k.guests.Most, "most connections of one client at once (0: no limit)")
	example.Main(func() (err error) {
		if k.mail, err = openMaildir(*dir); err != nil {
			return err
		}
		server.LastWord = k.goodbye
		return server.Run(chat.Accept(k.accept))
	})
}
