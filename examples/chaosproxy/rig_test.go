//go:build unix

package main

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/systest"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// rig is a client, a proxy and a server on one loop, whose clock jumps to the next
// deadline when nothing else is to be done: what takes hours takes none.
type rig struct {
	*testing.T
	l              *loop.Loop
	proxy          *proxy
	client, server *peer
	listener       *channel.Listener // the server's
}

// peer is one of the two sides, and what it has seen.
type peer struct {
	*channel.Conn
	got    []byte
	sizes  []int           // of each read
	times  []time.Duration // of each read
	eof    bool
	closed bool
	err    error
}

func newRig(t *testing.T, f faults) *rig {
	t.Helper()
	if f.after == 0 {
		f.after = 1
	}
	if err := f.check(); err != nil {
		t.Fatal(err)
	}
	made, err := core.On(loop.Config{}, systest.New(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{T: t, l: made.(*loop.Loop), client: new(peer), server: new(peer)}
	t.Cleanup(func() {
		if n := r.l.Stats().Panics; n > 0 {
			t.Errorf("%d callbacks panicked", n)
		}
		r.l.Close()
	})
	r.listener = r.listen(func(c *channel.Conn) *channel.Handler {
		r.server.Conn = c
		return r.server.handler()
	})
	addr := r.listener.Addr()
	r.proxy = &proxy{faults: f, network: addr.Network(), address: addr.String()}
	return r
}

func (r *rig) listen(accept func(*channel.Conn) *channel.Handler) *channel.Listener {
	r.Helper()
	ln, err := channel.Listen(r.l, "tcp", "127.0.0.1:0", accept)
	if err != nil {
		r.Fatal(err)
	}
	return ln
}

// connect has the client come to the proxy; its server is there when it returns.
func (r *rig) connect() {
	r.Helper()
	ln := r.listen(r.proxy.accept)
	r.client.Conn = channel.Dial(r.l, "tcp", ln.Addr().String(), r.client.handler())
	r.until(func() bool { return r.server.Conn != nil || r.client.closed })
	ln.Close()
}

func (p *peer) handler() *channel.Handler {
	return &channel.Handler{
		Read: func(c *channel.Conn, b []byte) {
			p.got = append(p.got, b...)
			p.sizes = append(p.sizes, len(b))
			p.times = append(p.times, c.Loop().Now())
		},
		EOF:   func(*channel.Conn) { p.eof = true },
		Close: func(_ *channel.Conn, err error) { p.closed, p.err = true, err },
	}
}

// until turns the loop until done, or until a day has passed.
func (r *rig) until(done func() bool) {
	r.Helper()
	for began := r.l.Now(); !done(); {
		if r.l.Now()-began > 24*time.Hour {
			r.Fatalf("in vain: the client has %d bytes, EOF %v, closed %v (%v); the server %d, %v, %v (%v)",
				len(r.client.got), r.client.eof, r.client.closed, r.client.err,
				len(r.server.got), r.server.eof, r.server.closed, r.server.err)
		}
		if err := r.l.Poll(time.Minute); err != nil {
			r.Fatal(err)
		}
	}
}

// pass lets d pass.
func (r *rig) pass(d time.Duration) {
	end := r.l.Now() + d
	r.l.After(d, func() {})
	r.until(func() bool { return r.l.Now() >= end })
}

// text is n bytes that no one guesses.
func text(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// whole wants all that was sent, then its end.
func (r *rig) whole(p *peer, name string, want []byte) {
	r.Helper()
	r.until(func() bool { return p.eof || p.closed })
	if !p.eof || !bytes.Equal(p.got, want) {
		r.Errorf("the %s: %d of %d bytes, or others; EOF %v, %v", name, len(p.got), len(want), p.eof, p.err)
	}
}
