// Httpd serves the files of a directory by HTTP/1.1, from one goroutine and the
// few that open files for it, so that a slow disk stops nobody else.
//
//	go run ./examples/httpd -dir docs
//	curl -i http://127.0.0.1:8080/
//	curl -r 0-99 http://127.0.0.1:8080/design.md
//
// For a load of more than 20 connections from one machine, as of wrk, there is
// -per-host 0.
//
// It answers as net/http's FileServer does, except that it has entity tags, that
// a request for several ranges gets the whole file, that a file without a known
// extension is application/octet-stream and never guessed at, and that other
// methods than GET, HEAD and OPTIONS are 405. Symbolic links are followed inside
// the directory only. What is ambiguous about where a request ends is 400, and
// the end of the connection: see request.go and body.go.
//
// Its limits: 8 KiB for a line, 32 KiB and 100 fields for a header, which has
// 10 s from its first byte, 1 MiB and 30 s for a body, which is thrown away,
// 60 s of silence, 1,000 requests and one open file for each connection, and 20
// connections for each client (-per-host).
package main

import (
	"flag"
	"log"
	"os"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/example"
)

func main() {
	server := example.Server{Addr: "127.0.0.1:8080", Idle: time.Minute}
	server.Flags()
	dir := flag.String("dir", ".", "`directory` to serve")
	logged := flag.Bool("log", false, "log every answer")
	perHost := flag.Int("per-host", 20, "most connections of one client at once (0: no limit)")
	inline := flag.Bool("inline", false, "open files on the loop: faster, as long as the disk is")
	example.Main(func() error {
		root, err := os.OpenRoot(*dir)
		if err != nil {
			return err
		}
		defer root.Close()
		s := newSite(root)
		s.inline = *inline
		s.idle = server.Idle
		s.guests.Most = *perHost
		if *logged {
			s.log = log.New(os.Stderr, "", log.LstdFlags)
		}
		return server.Run(chat.Accept(s.accept))
	})
}
