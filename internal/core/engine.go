// Package core is the engine under a loop.Loop: registrations, the turn, the
// timers, the queue of posts and the buffers that all channels of a loop
// share. Package loop wraps it for users; channel reaches it through [Of].
//
// Everything here belongs to the loop's goroutine, except where it says
// otherwise.
package core

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// Options is what a loop.Config sets.
type Options struct {
	Poller       string
	Logger       *slog.Logger
	Debug        bool
	CrashOnPanic bool
	Slow         time.Duration // report callbacks that take so long; 0: none
	Spin         time.Duration // poll for so long before sleeping
	MaxPosts     int
	MaxBuffered  int64

	// PanicError makes the error that a channel closes with after a panic.
	PanicError func(value any, stack []byte) error
	// Closed is what Post gives after Close.
	Closed error
}

// Counters are the engine's statistics.
type Counters struct {
	Turns, Events, Stale, Timers, Posts, Panics uint64
	BytesIn, BytesOut                           uint64
	LongestTurn, LongestCallback                time.Duration
}

// Engine is one reactor.
type Engine struct {
	Sys sys.System
	Options
	Counters

	poller sys.Poller
	swap   sync.Mutex // keeps a Wake away from a poller that is being replaced
	slots  []slot
	free   []uint32 // indexes of unused slots

	// orphans is true from when a descriptor turned out to have been closed by
	// somebody else; renew when the poller still reports such a one.
	orphans, renew bool

	// What the next turn has to do, besides what the poller reports.
	changed []uint32 // slots whose interest differs from the poller's
	again   []uint64 // tokens of sources that have work without I/O
	dirty   []Source // output to flush
	due     []Source // closes to deliver

	timers heap
	posts  posts

	now    int64 // the clock of this turn
	clock  int64 // the clock when the last turn ended
	inTurn bool
	closed bool
	reason error // why closed
	refs   int   // what keeps Run running

	// Draining is true from Drain on.
	Draining bool

	holds atomic.Int64 // the same, from other goroutines

	turn  turn
	owner owner

	starved []uint64 // listeners that wait for a descriptor to be closed

	buffers

	// Hub is what package channel keeps for each loop; nil if nothing.
	Hub Hub
}

// Of returns the engine of a *loop.Loop, and On makes a *loop.Loop on a
// system of the caller's with a loop.Config. Package loop sets both: this is
// how channel and the test kits reach the engine while nothing exported there
// names it.
var (
	Of func(loop any) *Engine
	On func(config any, s sys.System) (loop any, err error)
)

// Layer ties a channel.Conn to what wraps it: Owner is a *chat.Conn. LayerOf,
// which package channel sets, gives the place for it in a *channel.Conn.
type Layer struct{ Owner any }

var LayerOf func(conn any) **Layer

// New returns an engine on s.
func New(s sys.System, o Options) (*Engine, error) {
	p, err := s.OpenPoller(o.Poller)
	if err != nil {
		return nil, err
	}
	e := &Engine{Sys: s, Options: o, poller: p}
	e.posts.init(o.MaxPosts)
	e.turn.events = make([]asyncore.Event, batch)
	e.clock = s.Now()
	return e, nil
}

// Now is the time of this turn; between turns, the time.
func (e *Engine) Now() int64 {
	if e.inTurn {
		return e.now
	}
	return e.Sys.Now()
}

// Poller gives the poller for its name and descriptor.
func (e *Engine) Poller() sys.Poller { return e.poller }

// IsClosed tells whether Close has begun.
func (e *Engine) IsClosed() bool { return e.closed }

// InTurn tells whether a callback may be running.
func (e *Engine) InTurn() bool { return e.inTurn }

// Keep and Unkeep count what keeps Run from returning.
func (e *Engine) Keep()   { e.refs++ }
func (e *Engine) Unkeep() { e.refs-- }

// Hold keeps Run from returning until release is called, once, from any
// goroutine.
func (e *Engine) Hold() (release func()) {
	e.holds.Add(1)
	var once atomic.Bool
	return func() {
		if once.CompareAndSwap(false, true) && e.holds.Add(-1) == 0 {
			e.Wake()
		}
	}
}

// Alive tells whether Run has anything left to wait for.
func (e *Engine) Alive() bool {
	return e.refs > 0 || e.holds.Load() > 0 || e.pending()
}

// Wake ends the wait, from any goroutine.
func (e *Engine) Wake() error {
	e.posts.woken.Store(true)
	e.swap.Lock()
	defer e.swap.Unlock()
	return e.poller.Wake()
}

// NextDeadline is when the next turn has something to do without an event:
// now while anything is pending; ok is false if never.
func (e *Engine) NextDeadline() (at int64, ok bool) {
	if e.closed {
		return 0, false
	}
	if e.pending() {
		return e.Now(), true
	}
	return e.timers.next()
}

func (e *Engine) pending() bool {
	return len(e.again) > 0 || len(e.dirty) > 0 || len(e.due) > 0 || len(e.changed) > 0 ||
		e.posts.waiting.Load()
}

// Close closes every source with reason, then the poller. What was posted
// before runs first.
func (e *Engine) Close(reason error) {
	if e.closed {
		return
	}
	e.closed = true
	e.reason = reason
	e.posts.close()
	e.inTurn, e.now = true, e.Sys.Now()
	defer func() { // also if a callback ends the goroutine
		e.inTurn = false
		e.timers.clear()
		e.poller.Close()
	}()
	e.run(closing)
}

// Drain asks every source that can be drained to come to its end.
func (e *Engine) Drain() {
	e.Draining = true
	for i := range e.slots {
		if d, ok := e.slots[i].src.(interface{ Drain() }); ok {
			d.Drain()
		}
	}
}

// Hub is told to fail its sources before the engine fails all others: it knows
// the order in which they were made.
type Hub interface{ FailAll(err error) }

func (e *Engine) failAll() {
	if e.Hub != nil {
		e.Hub.FailAll(e.reason)
	}
	for i := range e.slots {
		if src := e.slots[i].src; src != nil {
			src.Fail(e.reason)
		}
	}
}

// Log writes a record; a logger that panics is counted and otherwise ignored.
func (e *Engine) Log(level slog.Level, msg string, attrs ...slog.Attr) {
	defer func() {
		if v := recover(); v != nil {
			e.Panics++
		}
	}()
	e.Logger.LogAttrs(context.Background(), level, msg, attrs...)
}
