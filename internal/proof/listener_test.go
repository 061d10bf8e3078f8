package proof

import (
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
)

// shortages are what a listener may run into.
var shortages = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}

// listeners is a server that runs out of descriptors for a while, or has limits of
// its own, and refuses some.
func listeners(w *world) {
	lc := &channel.ListenConfig{
		MaxConns: []int{0, -1, 1, 2, 3}[w.Choose(5)],
		Backlog:  []int{0, 1, 2, 128}[w.Choose(4)],
	}
	refuses := w.Choose(4) == 3
	places := places[:2]
	if w.Choose(3) == 2 && lc.MaxConns <= 0 { // a peer would ask a full queue for ever
		places = []struct{ network, address string }{{"unix", "/run/server"}, {"unix", "@server"}}
		// Peers of a Unix socket are told apart by the order in which they come, which is
		// that of their making unless a queue is full.
		lc.Backlog = 0
	}
	at := places[w.Choose(len(places))]
	open := 0
	ln := w.listen(lc, at.network, at.address, func(s *session) *channel.Handler {
		if refuses && w.Choose(3) == 2 {
			return nil
		}
		if open++; lc.MaxConns > 0 && open > lc.MaxConns {
			w.Errorf("%d connections are open, and %d may be", open, lc.MaxConns)
		}
		s.c.SetWriteTimeout(-1)
		return &channel.Handler{
			Read:  func(c *channel.Conn, p []byte) { s.write(p) },
			Close: func(*channel.Conn, error) { open-- },
		}
	})
	if ln == nil {
		return
	}
	if at.network == "tcp" && w.Choose(4) == 3 { // two of them cannot be; on a Unix path it would knock
		open := len(w.host.FDs())
		_, err := channel.Listen(w.l, at.network, at.address, func(*channel.Conn) *channel.Handler { return nil })
		if !errors.Is(err, syscall.EADDRINUSE) && !w.Faulted() {
			w.Errorf("a second listener: %v", err)
		}
		if now := len(w.host.FDs()); now != open {
			w.Errorf("%d descriptors were open before a listener failed, and %d after", open, now)
		}
	}
	first := w.dial(ln).Send("first")
	strict := w.faults == asynctest.Benign && lc.MaxConns <= 0 && !refuses
	if strict {
		first.Expect("first")
	}
	began := w.Now()
	span := time.Duration(w.Choose(4000)) * time.Millisecond
	switch w.Choose(4) {
	case 1, 2:
		w.Fault(shortages[w.Choose(len(shortages))], asynctest.For(span))
	case 3: // the real limit
		w.host.SetFDLimit(len(w.host.FDs()) + w.Choose(3))
		hit(106)
	default:
		span = 0
	}
	var clients []*client
	for range 1 + w.Choose(6) {
		clients = append(clients, w.client(ln, kindsOfClient-1))
	}
	if strict { // who is in is served meanwhile
		first.Send("still").Expect("still")
	}
	if left := span - (w.Now() - began); left > 0 {
		w.pass(left)
	}
	w.host.SetFDLimit(-1)
	over := began + span
	w.rest()
	const latency = time.Second                                       // of the network, more than it ever has
	if strict && span > 0 && (lc.Backlog == 0 || lc.Backlog == 128) { // who is not in a queue comes when he likes
		i := slices.IndexFunc(w.arrivals, func(at time.Duration) bool { return at > over })
		if i >= 0 && w.arrivals[i] > over+time.Second+latency {
			w.Errorf("accepting went on %v after the shortage was over", w.arrivals[i]-over)
		}
	}
	for range 20 { // those that wait for others to go
		w.pass(time.Minute)
	}
	for _, c := range clients {
		if strict {
			c.check(w)
		}
	}
	first.HalfClose()
	w.rest()
	for range 5 {
		w.pass(time.Minute)
	}
	if waiting := w.waiting(); open == 0 && waiting > 0 && lc.MaxConns > 0 && lc.Backlog%128 == 0 && w.faults == asynctest.Benign && !w.Faulted() {
		w.Errorf("nobody is connected, and %d wait to be accepted", waiting)
	}
	w.rest()
	if w.Choose(2) == 1 {
		ln.Close()
		hit(56)
	}
}

// waiting is how many peers that mean to stay have not been accepted.
func (w *world) waiting() (n int) {
	for _, p := range w.peers {
		came := slices.ContainsFunc(w.sessions, func(s *session) bool { return s.peer == p })
		if !came && !w.leaves[p] && !p.Faulted() {
			n++
		}
	}
	return n
}
