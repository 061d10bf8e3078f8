package proof

import (
	"net/netip"
	"slices"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// post is a socket that sends to itself, with a loop.Watch.
type post struct {
	fd      int
	at      sys.Addr
	w       *loop.Watch
	want    asyncore.Interest
	live    bool
	changed uint64 // the turn in which want was set: that counts from its end on
}

// crowd is many descriptors that are ready in one batch, whose callbacks end, rest
// and replace each other.
type crowd struct {
	w     *world
	posts []*post
	ln    *channel.Listener
	ports uint16
	acts  int
}

// knock makes a socket readable.
func (k *crowd) knock(p *post) {
	k.w.e.Sys.SendPackets(p.fd, []sys.Packet{{Buf: []byte("x"), Addr: p.at}})
}

// watches plays a crowd beside a listener.
func watches(w *world) {
	k := &crowd{w: w, ports: 4000, acts: 3 + w.Choose(20)}
	k.ln = w.serve("tcp", ":7", echoing)
	for range 2 + w.Choose(6) {
		k.open()
	}
	for range 1 + w.Choose(5) {
		w.l.After(time.Duration(w.Choose(20))*time.Millisecond, func() {
			for _, p := range k.posts {
				if w.Choose(4) != 3 {
					k.knock(p)
				}
			}
		})
	}
	if k.ln != nil {
		for range w.Choose(4) {
			w.client(k.ln, kindsOfClient-1)
		}
	}
	w.rest()
	k.acts = 0
	for _, p := range slices.Clone(k.posts) {
		k.end(p)
	}
}

// open makes a socket, and watches it. Descriptors that were closed are given out
// again.
func (k *crowd) open() {
	s := k.w.e.Sys
	fd, e := s.PacketSocket(sys.Inet, sys.Datagram)
	if e != 0 {
		return
	}
	k.ports++
	p := &post{fd: fd, want: readable, live: true}
	p.at = sys.Addr{Family: sys.Inet, Inet: netip.AddrPortFrom(loop4, k.ports)}
	if e := s.Bind(fd, p.at); e != 0 {
		s.Close(fd)
		return
	}
	var err error
	p.w, err = k.w.l.Watch(fd, p.want, func(ready asyncore.Interest) { k.ready(p, ready) })
	if err != nil {
		s.Close(fd)
		return
	}
	p.changed = k.w.l.Stats().Turns
	k.posts = append(k.posts, p)
}

// end stops a Watch and closes its descriptor.
func (k *crowd) end(p *post) {
	if !p.live {
		return
	}
	p.live = false
	p.w.Stop()
	k.w.e.Sys.Close(p.fd)
	k.posts = slices.DeleteFunc(k.posts, func(o *post) bool { return o == p })
}

// ready is a Watch's callback.
func (k *crowd) ready(p *post, ready asyncore.Interest) {
	w := k.w
	if w.depth++; w.depth > 1 {
		w.Errorf("a Watch inside a callback")
	}
	defer func() { w.depth-- }()
	switch {
	case !p.live:
		w.Errorf("descriptor %d: a Watch was called that was stopped", p.fd)
	case ready&p.want == 0:
		w.Errorf("descriptor %d: a Watch for %v was told %v", p.fd, p.want, ready)
	case p.changed == w.l.Stats().Turns:
		w.Errorf("descriptor %d: a Watch was called in the turn in which it began", p.fd)
	}
	if ready&readable != 0 {
		w.e.Sys.RecvPackets(p.fd, []sys.Packet{{Buf: make([]byte, 1)}}, false)
	}
	if ready&writable != 0 && p.want == readable|writable {
		k.set(p, readable)
	}
	for range 1 + w.Choose(3) {
		k.act()
	}
}

func (k *crowd) set(p *post, want asyncore.Interest) {
	p.want = want
	p.w.Set(want)
}

// act does something to one of them.
func (k *crowd) act() {
	w := k.w
	if k.acts == 0 || len(k.posts) == 0 {
		return
	}
	k.acts--
	p := k.posts[w.Choose(len(k.posts))]
	switch w.Choose(7) {
	case 0:
		k.end(p)
	case 1:
		k.end(p)
		k.open()
	case 2:
		k.set(p, 0)
		w.l.After(time.Millisecond, func() {
			if p.live {
				k.set(p, readable)
			}
		})
	case 3:
		k.set(p, readable|writable)
	case 4:
		k.knock(p)
	case 5:
		if k.ln != nil && w.Choose(3) == 2 {
			k.ln.Close()
		}
	case 6:
		if k.ln != nil {
			w.connect(&channel.Dialer{}, "tcp", "127.0.0.1:7", func(s *session) *channel.Handler {
				s.may |= byClose
				return &channel.Handler{Connect: func(*channel.Conn) { s.close() }}
			})
		}
	}
}
