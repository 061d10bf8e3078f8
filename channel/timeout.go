package channel

import (
	"errors"
	"math"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/core"
)

const (
	connectTimeout = 10 * time.Second
	writeTimeout   = 60 * time.Second
	lingerTimeout  = 30 * time.Second

	// firstQuestion is how old a connection must be without a word to count as
	// idle while the loop drains.
	firstQuestion = time.Second

	// shortage is the first wait for memory of the kernel's (ENOBUFS, ENOMEM),
	// or for room in a Unix listener's queue; it doubles up to a second.
	shortage    = 5 * time.Millisecond
	shortageMax = time.Second
)

var errLingered = errors.New("channel: lingered long enough")

// SetIdleTimeout closes the Conn with ErrIdle when no byte has moved in either
// direction for d, counted from now. 0, the default, or a negative d: never.
func (c *Conn) SetIdleTimeout(d time.Duration) {
	c.e.Check()
	c.idle = d
	c.active = c.e.Now()
	c.rearm()
}

// SetWriteTimeout closes the Conn with ErrStalled when output has waited for d
// and the peer has taken none of it. 0: the default of 60 s; negative: never.
func (c *Conn) SetWriteTimeout(d time.Duration) {
	c.e.Check()
	if d == 0 {
		d = writeTimeout
	}
	c.stall = d
	c.rearm()
}

// deadlines returns the earliest of the Conn's deadlines after now, and what one
// that has passed means.
func (c *Conn) deadlines(now int64) (next int64, over error) {
	next = math.MaxInt64
	check := func(at int64, err error) {
		if at > now {
			next = min(next, at)
		} else if over == nil {
			over = err
		}
	}
	if c.is(connecting) && c.limit != 0 {
		check(c.limit, errDialTimeout)
	}
	switch {
	case c.is(lingering):
		check(c.limit, errLingered)
	case c.is(draining):
		check(max(c.limit, core.Later(c.progress, lingerTimeout)), ErrStalled)
	}
	if c.idle > 0 && !c.is(connecting|lingering) {
		check(core.Later(c.active, c.idle), ErrIdle)
	}
	if c.stall > 0 && c.waiting() && !c.is(connecting) {
		check(core.Later(c.progress, c.stall), ErrStalled)
	}
	if c.stall > 0 && c.is(broken) { // and paused, or it would have ended
		check(core.Later(c.progress, c.stall), c.reason)
	}
	return next, over
}

// rearm sees to it that the timer expires no later than the next deadline.
// Deadlines that move forward leave it alone: it finds out when it expires.
func (c *Conn) rearm() {
	if c.is(ended | finished) {
		return
	}
	next, _ := c.deadlines(math.MinInt64)
	if c.retry != 0 {
		next = min(next, c.retry)
	}
	if next != math.MaxInt64 {
		c.e.ArmBy(&c.timer, (*source)(c), next)
	}
}

func (s *source) Expire() {
	c := (*Conn)(s)
	if c.is(ended | finished) {
		return
	}
	now := c.e.Now()
	_, over := c.deadlines(now)
	if (over == ErrStalled || over == ErrIdle) && c.is(full) && c.waiting() && (!c.is(isFile) || c.nonblocking()) {
		// Linux tells of room when a third of the buffer is free, and a slow reader
		// may need longer than this for that. A write knows.
		c.state &^= full
		c.flush()
		c.watch()
		if c.is(ended | finished) {
			return
		}
		_, over = c.deadlines(now)
	}
	switch {
	case over == errDialTimeout:
		c.dial.timedOut()
	case over == errLingered:
		c.end(nil) // all was flushed, and the peer had its time
	case over != nil:
		c.end(over)
	case c.retry != 0 && c.retry <= now:
		c.retry = 0
		c.e.Again(c.token)
		c.watch()
	}
	c.rearm()
}

// backOff takes the Conn out of the poller, where it would spin, for as long as
// the kernel's shortage is expected to last.
func (c *Conn) backOff() {
	wait := longer(time.Duration(c.backoff) * time.Millisecond)
	c.backoff = int32(wait / time.Millisecond)
	c.retry = core.Later(c.e.Now(), wait)
	c.rearm()
}

// longer is the wait for a shortage that has outlasted one of d.
func longer(d time.Duration) time.Duration { return min(max(2*d, shortage), shortageMax) }
