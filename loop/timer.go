package loop

import (
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/core"
)

// Timer is a function that the loop calls once (After) or again and again
// (Every). Its methods belong to the loop's goroutine.
type Timer struct {
	core   core.Timer
	l      *Loop
	fn     func()
	at     int64         // the deadline last set
	period time.Duration // 0: After
	kept   bool          // keeps Run running
	repeat bool          // in its own callback: to be armed again when that returns
}

// After calls fn once when d has passed since [Loop.Now], never earlier, and in
// the next turn if d is not positive. Timers run in the order of their
// deadlines, equal ones in the order in which they were set.
func (l *Loop) After(d time.Duration, fn func()) *Timer {
	notNil(fn != nil, "After")
	t := &Timer{l: l, fn: fn}
	t.Reset(d)
	return t
}

// Every calls fn each time that d has passed, counted from the previous
// deadline: it does not drift. Deadlines that a busy loop has missed are
// skipped, not made up for. d must be positive. An Every does not keep Run
// running, and is cancelled if fn panics.
func (l *Loop) Every(d time.Duration, fn func()) *Timer {
	notNil(fn != nil, "Every")
	if d <= 0 {
		panic("loop: Every: interval is not positive")
	}
	t := &Timer{l: l, fn: fn, period: d}
	t.Reset(d)
	return t
}

// Stop cancels t: its function is not called afterwards. It tells whether
// there was a call to cancel.
func (t *Timer) Stop() bool {
	t.l.e.Check()
	was := t.core.Armed() || t.repeat
	t.repeat = false
	t.l.e.Disarm(&t.core)
	t.keep(false)
	return was
}

// Reset sets t to run d from now in place of what it was set to, and an Every
// to go on from there. It tells whether there was a call to replace.
func (t *Timer) Reset(d time.Duration) bool {
	t.l.e.Check()
	was := t.core.Armed() || t.repeat
	t.repeat = false
	t.arm(core.Later(t.l.e.Now(), max(d, 0)))
	return was
}

func (t *Timer) arm(at int64) {
	if t.l.e.IsClosed() {
		return
	}
	t.at = at
	t.l.e.Arm(&t.core, (*expirer)(t), at)
	t.keep(t.period == 0)
}

// keep makes Run wait for t, or no longer.
func (t *Timer) keep(on bool) {
	if on == t.kept {
		return
	}
	t.kept = on
	if on {
		t.l.e.Keep()
	} else {
		t.l.e.Unkeep()
	}
}

// expirer is the Timer as the engine sees it.
type expirer Timer

func (x *expirer) Expire() {
	t := (*Timer)(x)
	t.keep(false)
	returned := false
	if t.period > 0 {
		t.repeat = true
		defer func() { t.next(returned) }()
	}
	t.l.e.Enter(nil, "timer")
	t.fn()
	t.l.e.Leave()
	returned = true
}

// next arms an Every again when its function has ended.
func (t *Timer) next(returned bool) {
	repeat := t.repeat
	t.repeat = false
	switch {
	case !returned:
		t.l.e.Disarm(&t.core) // a panic cancels, also what fn has Reset
	case repeat: // neither stopped nor reset by fn itself
		at := t.at
		if now := t.l.e.Now(); now > at {
			at += (now - at) / int64(t.period) * int64(t.period) // the last one missed
		}
		t.arm(core.Later(at, t.period))
	}
}
