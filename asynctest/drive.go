package asynctest

import (
	"errors"
	"math"
	"time"

	"github.com/seed-20e08ac4/asyncore/loop"
)

const (
	// maxIdle is how many turns in a row may come to nothing.
	maxIdle = 20
	// maxBusy is how many turns may come at one time of the clock without a byte
	// or a descriptor that moves.
	maxBusy = 10_000
	// checkOwner is how many turns there are to one in which it is checked that the
	// loop is used by its own goroutine only. To know who that is costs more than all
	// else together.
	checkOwner = 16
	// maxTurns is how many turns a world may have.
	maxTurns = 5_000_000
	// checkTime is how many turns there are to one in which is looked at maxTime.
	checkTime = 1024
	// patience is how long Quiesce waits for what is under way and does not move.
	patience = 10 * time.Second
	// endless is the kind of failure of a world that has too much of either.
	endless = "endless"
)

// maxTime is how long a world may take, by the clock on the wall.
var maxTime = time.Minute

// driver runs a world: turns of the loop, steps of the peers and events of the
// kernel, for as long as a call of the scenario's wants it to.
type driver struct {
	driving bool
	until   func() bool                    // the call has what it wants
	rest    func(next int64, ok bool) bool // nothing is left at this time: that is enough
	limit   int64                          // when it ends in any case
	over    bool                           // rest was
	dead    bool                           // nothing will ever happen again

	turns    uint64
	moved    uint64 // bytes and descriptors, as a count of calls
	movedAt  int64  // when that was last seen to grow
	acted    uint64 // of moved, what was seen then
	idle     int    // turns in a row that came to nothing
	busy     int    // turns at this time in which nothing moved
	lastTime int64
}

// drive runs the world until until, or rest, is true, and not beyond limit. It
// tells whether until is.
func (w *World) drive(limit int64, until func() bool, rest func(next int64, ok bool) bool) bool {
	w.check()
	if w.driving {
		w.Fatalf("asynctest: the world was to be run in a callback")
	}
	if until == nil {
		until = never
	}
	w.driving, w.limit, w.until, w.rest, w.over, w.dead = true, limit, until, rest, false, false
	defer func() { w.driving = false }()
	w.idle, w.busy = 0, 0 // a turn that comes to nothing has its cause in having been asked for
	for !until() && !w.over && !w.dead && (w.k.Now() < limit || w.stirs()) {
		w.turn()
		w.check()
	}
	return until()
}

func never() bool { return false }

// stirs tells whether anything can happen without time passing.
func (w *World) stirs() bool {
	if at, ok := w.k.Next(); ok && at <= w.k.Now() {
		return true
	}
	at, ok := w.deadline()
	return ok && at <= w.k.Now()
}

// turn runs one turn of the loop; where that is closed, it waits as a turn would.
func (w *World) turn() {
	before := w.l.Stats()
	w.e.Debug = w.turns%checkOwner == 0
	err := w.l.Poll(-1)
	w.e.Debug = true
	w.turns++
	switch {
	case errors.Is(err, loop.ErrClosed):
		w.await(math.MaxInt64, func() bool { return false })
		return
	case err != nil:
		w.fail("poll", "the loop failed: %v", err)
		return
	}
	w.checkTurn()
	after := w.l.Stats()
	w.spin(after.Posts != before.Posts || after.Timers != before.Timers || after.BytesRead != before.BytesRead ||
		after.BytesWritten != before.BytesWritten || w.called())
}

// spin watches over turns that come to nothing while the clock stands still.
func (w *World) spin(work bool) {
	now := w.k.Now()
	moved := w.moved != w.acted
	if moved || now != w.lastTime {
		w.idle, w.busy, w.lastTime = 0, 0, now
	}
	if moved {
		w.acted, w.movedAt = w.moved, now
	}
	w.busy++
	w.idle++
	if work {
		w.idle = 0
	}
	switch {
	case w.failure != nil:
	case w.idle > maxIdle:
		w.fail("spin", "the loop spins: %d turns at %v came to nothing", w.idle, w.Now())
	case w.busy > maxBusy:
		w.fail("busy", "the loop does not come to rest: %d turns at %v without a byte that moves", w.busy, w.Now())
	case w.turns > maxTurns:
		w.fail(endless, "the world does not end: %d turns", w.turns)
	case w.turns%checkTime == 0 && time.Since(w.began) > maxTime:
		w.fail(endless, "the world does not end: %d turns in %v, by the clock on the wall", w.turns, maxTime)
	}
}

// await is the loop's wait. It returns when ready is true, at the time end, or
// when the call under way has what it wants.
func (w *World) await(end int64, ready func() bool) {
	for {
		acted := w.step()
		if acted {
			w.movedAt = w.k.Now()
			w.k.Advance(w.movedAt) // what that brings about at once
		}
		if ready() || w.k.Now() >= end || w.until() || w.failure != nil {
			return
		}
		if acted {
			continue
		}
		next, ok := w.k.Next()
		if !ok || next > end {
			next = end
		}
		switch {
		case w.rest != nil && w.rest(next, ok):
			w.over = true
			return
		case min(next, w.limit) == math.MaxInt64:
			w.dead = true
			return
		case next > w.limit && w.k.Now() >= w.limit:
			return
		default:
			w.k.Advance(min(next, w.limit))
		}
	}
}

// step has each peer do what it can do now, and tells whether one could.
func (w *World) step() (acted bool) {
	for _, p := range w.peers {
		if p.step() {
			acted = true
		}
	}
	return acted
}

// deadline is when the loop has something to do by itself.
func (w *World) deadline() (at int64, ok bool) {
	d, ok := w.l.NextDeadline()
	return w.epoch + int64(d), ok
}

// Advance lets d pass.
func (w *World) Advance(d time.Duration) {
	w.note("scenario", "Advance(%v)", d)
	w.drive(w.k.Now()+int64(d), nil, nil)
}

// Quiesce runs the world until nothing happens any more: what peers have to do is
// done, and no byte or end is on its way. It does not wait for timers, except while
// somebody waits for something that only a timer can bring, and then for no
// longer than nothing moves for 10 seconds.
func (w *World) Quiesce() {
	w.note("scenario", "Quiesce()")
	w.movedAt = w.k.Now()
	w.drive(math.MaxInt64, nil, func(next int64, event bool) bool {
		return !event && !w.wanting() || w.still(next, patience)
	})
	w.checkRest()
}

// still tells whether at the time next nothing has moved for longer than d.
func (w *World) still(next int64, d time.Duration) bool { return next-w.movedAt > int64(d) }

// wanting tells whether anybody waits for something.
func (w *World) wanting() bool {
	for _, p := range w.peers {
		if p.wanting() {
			return true
		}
	}
	return false
}
