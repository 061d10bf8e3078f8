package core

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
)

// ErrFull is returned by Post where too many functions wait already.
var ErrFull = errors.New("loop: too many posts waiting")

// posts is the queue of functions from other goroutines: all that the engine
// shares with them.
type posts struct {
	// waiting is true while the queue is not empty. asleep is true from the
	// end of a turn until the next wait is over: only then does a post have
	// to wake the loop. Whoever posts sets waiting and then looks at asleep,
	// the loop sets asleep and then looks at waiting, so one sees the other.
	waiting, asleep atomic.Bool
	// woken is the wake-up itself, for a loop that spins and would see
	// nothing of one that its poller has swallowed.
	woken atomic.Bool

	mu     sync.Mutex
	queue  []func()
	most   int
	closed bool
}

func (p *posts) init(most int) {
	p.most = most
	p.asleep.Store(true)
}

// Post queues fn for the loop's goroutine, from any goroutine.
func (e *Engine) Post(fn func()) error { return e.post(fn, e.posts.most) }

// PostAlways is Post without the limit, for what was admitted before.
func (e *Engine) PostAlways(fn func()) error { return e.post(fn, math.MaxInt) }

func (e *Engine) post(fn func(), most int) error {
	p := &e.posts
	p.mu.Lock()
	switch {
	case p.closed:
		p.mu.Unlock()
		return e.Options.Closed
	case len(p.queue) >= most:
		p.mu.Unlock()
		return ErrFull
	}
	p.queue = append(p.queue, fn)
	if !p.waiting.Load() {
		p.waiting.Store(true)
	}
	p.mu.Unlock()
	if p.asleep.Load() && p.asleep.CompareAndSwap(true, false) {
		// Not an error of the post, which is accepted and will run: a loop
		// that is closed meanwhile runs it and then refuses to be woken.
		e.Wake()
	}
	return nil
}

// take swaps the queue for an empty one.
func (p *posts) take(empty []func()) []func() {
	if !p.waiting.Load() {
		return empty
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.queue
	p.queue = empty
	p.waiting.Store(false)
	return taken
}

// putBack returns what take gave and nobody has run.
func (p *posts) putBack(taken []func()) {
	if len(taken) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(taken, p.queue...)
	p.waiting.Store(true)
}

func (p *posts) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
}
