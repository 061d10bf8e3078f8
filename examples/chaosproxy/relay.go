package main

import (
	"log"
	"math/rand/v2"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// highWater is how much output may wait for an end that does not read.
const highWater = 64 << 10

// proxy is what all connections share.
type proxy struct {
	faults
	network, address string // of the server
	idle             time.Duration
	log              *log.Logger // nil: nothing is logged
	count            uint64      // connections so far
}

// relay is one connection: an end for the client and one for the server, and the two
// directions between them.
type relay struct {
	fate fate
	ends [2]*channel.Conn
	ways [2]way
}

func (p *proxy) accept(c *channel.Conn) *channel.Handler {
	p.count++
	r := new(relay)
	var jitter [2]*rand.Rand
	r.fate, jitter = p.draw(p.count)
	if p.log != nil {
		p.log.Printf("connection %d: %s", p.count, r.fate)
	}
	server := r.handler(fromServer)
	server.Connect = func(*channel.Conn) { r.ways[r.fate.way].pump() } // which may end here
	r.ends[fromClient] = c
	r.ends[fromServer] = channel.Dial(c.Loop(), p.network, p.address, server)
	for i, end := range r.ends {
		end.SetIdleTimeout(p.idle)
		// Both ends may talk at once, so that neither waits for the other to read.
		end.SetWater(highWater/4, -highWater, -1)
		r.ways[i] = way{faults: &p.faults, relay: r, from: end, to: r.ends[1-i], rng: jitter[i], limit: -1}
	}
	if r.fate.mishap != none {
		r.ways[r.fate.way].limit = r.fate.at
	}
	return r.handler(fromClient)
}

func (r *relay) handler(end int) *channel.Handler {
	in, out := &r.ways[end], &r.ways[1-end]
	return &channel.Handler{
		Read:  func(_ *channel.Conn, p []byte) { in.arrived(p) },
		EOF:   func(*channel.Conn) { in.ended(ordinary) },
		Write: func(*channel.Conn) { out.room() },
		Close: func(_ *channel.Conn, err error) {
			out.stop()
			if err != nil { // else both directions are over
				in.ended(abrupt)
			}
		},
	}
}

// strike has the fate come to pass.
func (r *relay) strike() {
	w := &r.ways[r.fate.way]
	if r.fate.mishap == halfClose {
		w.stop()
		w.to.CloseWrite()
		return
	}
	for i, end := range r.ends {
		r.ways[i].stop()
		if r.fate.mishap == reset {
			end.Reset()
		} else {
			end.Pause()
		}
	}
}
