package proof

import (
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// relay accepts, dials out, and couples the two. What is dialled answers each byte
// with itself, or does not exist.
func relay(w *world) {
	backends := []struct{ network, address string }{
		{"tcp", "127.0.0.1:9"}, {"tcp", "10.0.0.1:9"}, {"unix", "/run/backend"}, {"tcp", "localhost:9"},
	}
	at := backends[w.Choose(len(backends))]
	missing := w.Choose(8) == 7
	late := w.Choose(4) == 3 // the relay dials only when something has come
	backend := w.serve(at.network, at.address, func(s *session) *channel.Handler {
		s.c.SetWriteTimeout(-1)
		s.may |= byClose
		return &channel.Handler{
			Read: func(c *channel.Conn, p []byte) { s.write(p) },
			EOF:  func(c *channel.Conn) { s.close() },
		}
	})
	if backend == nil {
		return
	}
	if missing {
		backend.Close()
	}
	couple := func(front *session) {
		back := w.connect(&channel.Dialer{}, at.network, at.address, func(s *session) *channel.Handler {
			s.may |= byClose | byAbort
			return &channel.Handler{}
		})
		back.c.SetWriteTimeout(-1)
		back.piped, front.piped = true, true
		channel.Pipe(front.c, back.c)
	}
	w.local = false
	ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
		s.c.SetWriteTimeout(-1)
		s.may |= byClose | byAbort
		h := &channel.Handler{}
		if late {
			h.Read = func(c *channel.Conn, p []byte) {
				c.Unread(p)
				couple(s)
			}
		} else {
			h.Connect = func(*channel.Conn) { couple(s) }
		}
		return h
	})
	if ln == nil {
		return
	}
	var clients []*client
	for range 1 + w.Choose(4) {
		kinds := kindsOfClient
		if missing {
			kinds--
		}
		c := w.client(ln, kinds)
		if missing {
			c.all, c.end = false, false
		}
		clients = append(clients, c)
	}
	w.rest()
	for _, c := range clients {
		if !w.Faulted() {
			c.check(w)
		}
	}
	if w.Choose(2) == 1 {
		w.pass(time.Minute)
	}
}
