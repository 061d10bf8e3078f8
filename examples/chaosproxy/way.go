package main

import (
	"bytes"
	"math/rand/v2"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const (
	// No more is read in a direction while so many bytes, or arrivals, are on their
	// way in it.
	mostBytes    = 64 << 10
	mostArrivals = 256

	// largest is the largest piece that is passed on.
	largest = 16 << 10
)

// arrival is what one read has given, or the end behind all of it, and when it is to
// be passed on.
type arrival struct {
	due   time.Duration
	bytes []byte
	end   ending
}

type ending int

const (
	ordinary ending = 1 + iota // the source has sent all
	abrupt                     // it is gone
)

// way is one direction of a relay.
type way struct {
	*faults
	relay *relay
	rng   *rand.Rand // of its jitter

	from, to *channel.Conn
	queue    []arrival
	held     int           // bytes in it
	free     time.Duration // when bandwidth allows the next piece
	limit    int64         // bytes until the relay's fate strikes; negative: never

	timer   *loop.Timer
	waiting bool // for timer
	full    bool // to has to send some of its output first
	paused  bool // from
	over    bool // what comes is thrown away
}

func (w *way) arrived(p []byte) {
	if !w.over {
		w.enqueue(arrival{bytes: bytes.Clone(p)})
	}
}

func (w *way) ended(how ending) {
	if !w.over {
		w.enqueue(arrival{end: how})
	}
}

// enqueue puts a behind what came before it, which it does not overtake.
func (w *way) enqueue(a arrival) {
	late := w.latency
	if w.jitter > 0 {
		late += time.Duration(w.rng.Int64N(int64(w.jitter) + 1))
	}
	a.due = w.from.Loop().Now() + late
	w.queue = append(w.queue, a)
	w.held += len(a.bytes)
	w.pump()
	w.hold()
}

// hold stops reading while too much is on its way, down to a half of that.
func (w *way) hold() {
	switch {
	case w.held > mostBytes || len(w.queue) > mostArrivals:
		w.paused = true
		w.from.Pause()
	case w.paused && w.held <= mostBytes/2 && len(w.queue) <= mostArrivals/2:
		w.paused = false
		w.from.Resume()
	}
}

// pump passes on what may be passed on now, and sets the timer for the rest.
func (w *way) pump() {
	for !w.over && !w.waiting {
		if w.limit == 0 {
			w.relay.strike()
			return
		}
		if w.full || len(w.queue) == 0 {
			return
		}
		head := &w.queue[0]
		if wait := max(head.due, w.free) - w.from.Loop().Now(); wait > 0 {
			w.wait(wait)
			return
		}
		if head.end != 0 {
			w.finish(head.end)
			return
		}
		w.pass(head)
	}
}

// pass passes a piece on.
func (w *way) pass(head *arrival) {
	n := w.piece(len(head.bytes))
	w.to.Write(head.bytes[:n])
	w.full = w.to.Buffered() > highWater
	w.held -= n
	if head.bytes = head.bytes[n:]; len(head.bytes) == 0 {
		w.queue[0] = arrival{}
		w.queue = w.queue[1:]
	}
	if w.limit > 0 {
		w.limit -= int64(n)
	}
	if w.bandwidth > 0 {
		w.free = max(w.free, w.from.Loop().Now()) + time.Duration(n)*time.Second/time.Duration(w.bandwidth)
	}
	// What a turn writes goes out at its end, and in one piece.
	if w.slice > 0 || w.limit == 0 || len(w.queue) > 0 && w.queue[0].end != 0 {
		w.wait(0)
	}
}

// piece tells how many of n bytes may go out in one piece: what bandwidth allows in 20
// ms, not more than -slice, and no byte behind the point where fate strikes.
func (w *way) piece(n int) int {
	n = min(n, largest)
	if w.slice > 0 {
		n = min(n, w.slice)
	}
	if w.bandwidth > 0 {
		n = min(n, max(w.bandwidth/50, 1))
	}
	if w.limit > 0 {
		n = int(min(int64(n), w.limit))
	}
	return n
}

// finish passes the end on.
func (w *way) finish(how ending) {
	w.stop()
	if how == abrupt {
		w.to.Reset()
	} else {
		w.to.CloseWrite()
	}
}

func (w *way) wait(d time.Duration) {
	w.waiting = true
	if w.timer == nil {
		w.timer = w.from.Loop().After(d, w.woken)
	} else {
		w.timer.Reset(d)
	}
}

func (w *way) woken() {
	w.waiting = false
	w.pump()
	w.hold()
}

// room is called when to has sent most of its output.
func (w *way) room() {
	w.full = false
	w.pump()
	w.hold()
}

// stop ends the direction: what was on its way is gone, and from is read so that it
// does not wait.
func (w *way) stop() {
	w.over, w.limit = true, -1
	w.queue, w.held = nil, 0
	if w.timer != nil {
		w.timer.Stop()
	}
	if w.paused {
		w.paused = false
		w.from.Resume()
	}
}
