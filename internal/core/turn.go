package core

import (
	"errors"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/seed-20e08ac4/asyncore"
)

// errGoexit is every channel's reason when a callback has ended the loop's
// goroutine with runtime.Goexit, as testing.T.FailNow does.
var errGoexit = errors.New("loop: a callback ended the loop's goroutine")

// batch is how many events one wait may return at first. It grows with the
// registrations: a descriptor whose event found no room would look idle, and
// its timeout would fire although the kernel holds its data.
const batch = 1024

// turn is the state of the turn under way. A phase works through a list by
// e.turn.cursor, so that after a panic the turn goes on with the next item:
// one recover serves the whole turn.
type turn struct {
	events []asyncore.Event
	n      int // events of this turn

	phases  []phase
	phase   int
	entered bool // the phase has taken its list
	cursor  int

	// What the phases took at their start: what comes meanwhile is for the
	// next turn.
	again  []uint64
	dirty  []Source
	due    []Source
	posted []func()
	armed  uint64 // timers that are armed later wait for the next turn

	// The callback that runs.
	src   Source
	hook  string
	began int64
}

type phase struct {
	take func(*Engine)
	work func(*Engine)
}

func nothing(*Engine) {}

// The order is part of the contract: what the kernel already holds comes
// before an idle timeout, and what was written in a turn goes out in it.
var turning = []phase{
	{take: (*Engine).takeAgain, work: (*Engine).dispatch},
	{take: nothing, work: (*Engine).dispatchAgain},
	{take: nothing, work: (*Engine).expire},
	{take: func(e *Engine) { e.turn.posted = e.posts.take(e.turn.posted) }, work: (*Engine).runPosts},
	{take: (*Engine).takeDirty, work: (*Engine).flush},
	{take: (*Engine).takeDue, work: (*Engine).finish},
	{take: (*Engine).takeDirty, work: (*Engine).flush},
	{take: nothing, work: (*Engine).applyChanged},
}

// closing is the last turn: posts that were accepted, then every source. A closed
// loop takes no new ones.
var closing = []phase{
	{take: func(e *Engine) { e.turn.posted = e.posts.take(e.turn.posted) }, work: (*Engine).runPosts},
	{take: (*Engine).failAll, work: nothing},
	{take: (*Engine).takeDue, work: (*Engine).finish},
}

// Resume reads the clock: time has passed since the last turn.
func (e *Engine) Resume() { e.clock = e.Sys.Now() }

// Turn runs one turn, waiting for at most limit; negative: for ever.
func (e *Engine) Turn(limit time.Duration) error {
	n, err := e.wait(limit)
	if err != nil {
		return err
	}
	e.now = e.Sys.Now()
	e.turn.n = n
	e.Turns++
	e.Events += uint64(n)
	e.inTurn = true
	e.run(turning)
	e.inTurn = false
	e.clock = e.Sys.Now()
	e.LongestTurn = max(e.LongestTurn, time.Duration(e.clock-e.now))
	// From here to the end of the next wait, a post must wake us.
	e.posts.asleep.Store(true)
	return nil
}

func (e *Engine) wait(limit time.Duration) (int, error) {
	if len(e.turn.events) < len(e.slots) {
		e.turn.events = make([]asyncore.Event, 2*len(e.slots))
	}
	timeout := limit
	if e.pending() {
		timeout = 0
	} else if at, ok := e.timers.next(); ok {
		if left := time.Duration(max(at-e.clock, 0)); timeout < 0 || left < timeout {
			timeout = left
		}
	}
	if e.Spin > 0 && timeout != 0 {
		n, left, err := e.spin(timeout)
		if left == 0 {
			e.posts.asleep.Store(false)
			return n, err
		}
		timeout = left
	}
	n, err := e.poller.Wait(e.turn.events, timeout)
	e.posts.asleep.Store(false)
	return n, err
}

// spin polls without sleeping: waking a core takes longer than many an answer
// does to arrive. It returns what is left of the timeout to sleep for, 0 if
// there is something to do or all of it has passed.
func (e *Engine) spin(timeout time.Duration) (n int, left time.Duration, err error) {
	span := e.Spin
	if timeout > 0 {
		span = min(span, timeout)
	}
	for end := e.clock + int64(span); ; {
		n, err = e.poller.Wait(e.turn.events, 0)
		if n != 0 || err != nil || e.posts.waiting.Load() || e.posts.woken.Swap(false) {
			return n, 0, err
		}
		if now := e.Sys.Now(); now >= end {
			if timeout > 0 {
				timeout = max(timeout-time.Duration(now-e.clock), 0)
			}
			return 0, timeout, nil
		}
	}
}

// run takes the phases in order and goes on after each panic.
func (e *Engine) run(phases []phase) {
	t := &e.turn
	t.phases, t.phase, t.entered = phases, 0, false
	t.armed = e.timers.seq
	for !e.contained() {
	}
}

func (e *Engine) contained() (done bool) {
	defer func() {
		if !done {
			e.unwound(recover())
		}
	}()
	t := &e.turn
	for ; t.phase < len(t.phases); t.phase++ {
		if !t.entered {
			t.entered, t.cursor = true, 0
			t.phases[t.phase].take(e)
		}
		t.phases[t.phase].work(e)
		t.entered = false
	}
	return true
}

// unwound is called when a callback did not return: it panicked with v, or
// ended its goroutine (v is nil), as a failing test does.
func (e *Engine) unwound(v any) {
	src, hook := e.turn.src, e.turn.hook
	e.turn.src = nil
	if v == nil {
		// The goroutine is on its way out: close all while it still runs.
		if e.closed {
			for !e.contained() {
			}
			return
		}
		e.abandon()
		e.Close(errGoexit)
		return
	}
	if e.CrashOnPanic {
		e.abandon()
		panic(v)
	}
	e.Panics++
	stack := debug.Stack()
	err := e.PanicError(v, stack)
	who := "post or timer"
	if src != nil {
		who = src.Describe()
		src.Fail(err)
	}
	e.Log(slog.LevelError, "callback panicked", slog.String("in", who), slog.String("hook", hook),
		slog.Any("panic", v), slog.String("stack", string(stack)))
}

// abandon ends the turn where it stands. What it has taken and not served waits
// again, as if it had not.
func (e *Engine) abandon() {
	t := &e.turn
	e.posts.putBack(slices.DeleteFunc(t.posted, func(fn func()) bool { return fn == nil }))
	t.posted = nil
	served := func(src Source) bool { return src == nil }
	e.due = append(slices.DeleteFunc(t.due, served), e.due...)
	t.due = nil
	e.dirty = append(slices.DeleteFunc(t.dirty, served), e.dirty...)
	t.dirty = nil
	for _, token := range t.again {
		if s := e.lookup(token); s != nil && s.again == e.mark(0) {
			s.again = 0
			e.Again(token)
		}
	}
	t.again = nil
	e.inTurn = false
	e.posts.asleep.Store(true) // as at the end of a turn
}

// Enter tells that a callback of src begins; src is nil for a timer's or a
// post's. A panic before Leave is src's.
func (e *Engine) Enter(src Source, hook string) {
	e.turn.src, e.turn.hook = src, hook
	if e.Slow > 0 {
		e.turn.began = e.Sys.Now()
	}
}

// Leave tells that the callback has returned.
func (e *Engine) Leave() {
	if e.Slow > 0 {
		e.slow()
	}
	e.turn.src = nil
}

func (e *Engine) slow() {
	took := time.Duration(e.Sys.Now() - e.turn.began)
	e.LongestCallback = max(e.LongestCallback, took)
	if took < e.Slow {
		return
	}
	who := "loop"
	if e.turn.src != nil {
		who = e.turn.src.Describe()
	}
	e.Log(slog.LevelWarn, "slow callback", slog.String("in", who), slog.String("hook", e.turn.hook),
		slog.Duration("took", took))
}

func (e *Engine) dispatch() {
	t := &e.turn
	for t.cursor < t.n {
		ev := t.events[t.cursor]
		t.cursor++
		s := e.lookup(ev.Token)
		if s == nil {
			e.Stale++
			e.renew = e.orphans
			continue
		}
		// By the interest of now: a callback before us may have changed it.
		ready := ev.Ready & s.want
		if ev.Ready&(asyncore.HangUp|asyncore.Fault) != 0 {
			// Hints, which stand for either direction: the call will tell. Who
			// waits for urgent data only hears of it too, or it would spin.
			ready |= s.want & (asyncore.Readable | asyncore.Writable)
			if ready == 0 {
				ready = s.want
			}
		}
		if ready != 0 {
			if s.again == e.mark(0) {
				s.again = 0 // this is it
			}
			s.src.Ready(ready)
		}
	}
}

func (e *Engine) takeAgain() { e.turn.again, e.again = e.again, e.turn.again[:0] }

func (e *Engine) dispatchAgain() {
	t := &e.turn
	for t.cursor < len(t.again) {
		token := t.again[t.cursor]
		t.cursor++
		if s := e.lookup(token); s != nil && s.again == e.mark(0) {
			s.again = 0
			s.src.Ready(0)
		}
	}
	t.again = t.again[:0]
}

func (e *Engine) expire() {
	for {
		owner := e.timers.due(e.now, e.turn.armed)
		if owner == nil {
			return
		}
		e.Timers++
		owner.Expire()
	}
}

func (e *Engine) runPosts() {
	t := &e.turn
	for t.cursor < len(t.posted) {
		fn := t.posted[t.cursor]
		t.posted[t.cursor] = nil
		t.cursor++
		e.Posts++
		e.Enter(nil, "post")
		fn()
		e.Leave()
	}
	t.posted = t.posted[:0]
}

func (e *Engine) takeDirty() { e.turn.dirty, e.dirty = e.dirty, e.turn.dirty[:0] }

func (e *Engine) flush() { e.each(e.turn.dirty, Source.Flush) }

func (e *Engine) takeDue() { e.turn.due, e.due = e.due, e.turn.due[:0] }

func (e *Engine) finish() { e.each(e.turn.due, Source.Finish) }

func (e *Engine) each(list []Source, do func(Source)) {
	t := &e.turn
	for t.cursor < len(list) {
		src := list[t.cursor]
		list[t.cursor] = nil
		t.cursor++
		do(src)
	}
}

func (e *Engine) applyChanged() {
	t := &e.turn
	for t.cursor < len(e.changed) {
		i := e.changed[t.cursor]
		t.cursor++
		s := &e.slots[i]
		s.changed = false
		if s.src == nil {
			continue
		}
		if err := e.apply(s, uint64(s.gen)<<32|uint64(i)); err != nil {
			s.src.Fail(err)
		}
	}
	e.changed = e.changed[:0]
	if e.renew {
		e.renewPoller()
	}
}

// renewPoller replaces the poller. The kernel's registration of a descriptor that
// somebody else has closed lives as long as a duplicate, in a child process
// perhaps, and cannot be ended by any number: its events would keep the loop
// busy for ever.
func (e *Engine) renewPoller() {
	e.orphans, e.renew = false, false
	p, err := e.Sys.OpenPoller(e.poller.Name())
	if err != nil {
		e.orphans = true // until the next such event
		return
	}
	e.Log(slog.LevelWarn, "a descriptor was closed by others and is still reported: starting with a new poller")
	e.swap.Lock()
	old := e.poller
	e.poller = p
	e.swap.Unlock()
	old.Close()
	for i := range e.slots {
		s := &e.slots[i]
		if s.src == nil || s.have == 0 {
			continue
		}
		if err := p.Add(int(s.fd), uint64(s.gen)<<32|uint64(i), s.have); err != nil {
			s.have = 0
			s.src.Fail(err)
		}
	}
	p.Wake() // for whoever has just woken the old one
}

// Yield lets other goroutines run where there is one P for all of them.
func (e *Engine) Yield() {
	if e.owner.alone {
		runtime.Gosched()
		e.Resume()
	}
}
