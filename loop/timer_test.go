//go:build unix

package loop_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/loop"
)

const year = 365 * 24 * time.Hour

// Timers run in the order of their deadlines, equal ones in the order in which
// they were set, each exactly at its time.
func TestTimerOrder(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		l, _ := manual(t, loop.Config{})
		type firing struct {
			ID int
			At time.Duration
		}
		var want, got []firing
		timers := make([]*loop.Timer, 500)
		set := func(id int, d time.Duration) { want = append(want, firing{id, max(d, 0)}) }
		unset := func(id int) {
			want = slices.DeleteFunc(want, func(f firing) bool { return f.ID == id })
		}
		for id := range timers {
			d := time.Duration(rnd.IntN(60)-10) * ms
			timers[id] = l.After(d, func() { got = append(got, firing{id, l.Now()}) })
			set(id, d)
		}
		for range 200 {
			id := rnd.IntN(len(timers))
			if rnd.IntN(2) == 0 {
				timers[id].Stop()
				unset(id)
				continue
			}
			d := time.Duration(rnd.IntN(60)-10) * ms
			timers[id].Reset(d)
			unset(id)
			set(id, d)
		}
		slices.SortStableFunc(want, func(a, b firing) int { return cmp.Compare(a.At, b.At) })
		run(t, l)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: timers fired (-want +got):\n%s", seed, diff)
		}
	}
}

// A hundred thousand random calls, inside callbacks and outside, against a
// model that knows the rules and nothing else.
func TestTimerModel(t *testing.T) {
	ops := 100_000
	if testing.Short() {
		ops /= 10
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	l, s := manual(t, loop.Config{})

	type entry struct {
		id  int
		at  time.Duration
		seq int
	}
	var (
		live   []entry
		timers []*loop.Timer
		seq    int
		armed  int // seq at the beginning of the turn
		fired  int
	)
	find := func(id int) int {
		return slices.IndexFunc(live, func(e entry) bool { return e.id == id })
	}
	forget := func(id int) bool {
		i := find(id)
		if i < 0 {
			return false
		}
		live = slices.Delete(live, i, i+1)
		return true
	}
	// next is the timer that the rules let fire now, or -1.
	next := func() int {
		best, now := -1, l.Now()
		for i, e := range live {
			if e.at > now || e.seq > armed {
				continue
			}
			if best < 0 || e.at < live[best].at || e.at == live[best].at && e.seq < live[best].seq {
				best = i
			}
		}
		if best < 0 {
			return -1
		}
		return live[best].id
	}
	set := func(id int, d time.Duration) {
		seq++
		live = append(live, entry{id, l.Now() + max(d, 0), seq})
	}
	delay := func() time.Duration { return time.Duration(rnd.IntN(2000)-100) * time.Microsecond }

	var op func(inside bool)
	op = func(inside bool) {
		ops--
		switch k := rnd.IntN(10); {
		case k < 4 && len(live) < 200 || len(timers) == 0:
			id := len(timers)
			timers = append(timers, nil)
			d := delay()
			set(id, d)
			timers[id] = l.After(d, func() {
				if want := next(); want != id {
					t.Fatalf("timer %d fired, want %d", id, want)
				}
				forget(id)
				fired++
				for range rnd.IntN(3) {
					op(true)
				}
			})
		case k < 6:
			id := rnd.IntN(len(timers))
			if got, want := timers[id].Stop(), forget(id); got != want {
				t.Fatalf("Stop of timer %d = %v, want %v", id, got, want)
			}
		case k < 8:
			id := rnd.IntN(len(timers))
			d := delay()
			want := forget(id)
			set(id, d)
			if got := timers[id].Reset(d); got != want {
				t.Fatalf("Reset of timer %d = %v, want %v", id, got, want)
			}
		case inside:
			s.Advance(time.Duration(rnd.IntN(300)) * time.Microsecond) // a slow callback
		default:
			if rnd.IntN(2) == 0 {
				s.Advance(time.Duration(rnd.IntN(500)) * time.Microsecond)
			}
			armed = seq
			before := l.Now()
			poll(t, l, time.Duration(rnd.IntN(200))*time.Microsecond)
			for _, e := range live {
				if e.at <= before && e.seq <= armed {
					t.Fatalf("timer %d was due and has not fired", e.id)
				}
			}
		}
	}
	for ops > 0 {
		op(false)
	}
	if fired < 1000 {
		t.Fatalf("only %d timers have fired: the test tests nothing", fired)
	}
	if got := l.Stats().Timers; got != uint64(fired) {
		t.Errorf("Stats.Timers = %d, want %d", got, fired)
	}
}

// What is due at once runs in the next turn, and a timer that a timer sets
// waits a turn, however early its deadline.
func TestTimerNextTurn(t *testing.T) {
	for _, d := range []time.Duration{0, -1, -time.Hour, math.MinInt64} {
		l, _ := manual(t, loop.Config{})
		var turns []uint64
		var again func()
		again = func() {
			turns = append(turns, l.Stats().Turns)
			if len(turns) < 4 {
				l.After(d, again)
			}
		}
		l.After(d, again)
		run(t, l)
		if diff := gocmp.Diff([]uint64{1, 2, 3, 4}, turns); diff != "" {
			t.Errorf("After(%v): fired in turns (-want +got):\n%s", d, diff)
		}
		if l.Now() != 0 {
			t.Errorf("After(%v): the loop has waited for %v", d, l.Now())
		}
	}
}

// The same with timers that are set, or moved, by an event and by a post of
// the turn.
func TestTimerSetInTurn(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	p := ready(t)
	var fired []string
	at := func(name string) func() {
		turn := l.Stats().Turns
		return func() {
			if now := l.Stats().Turns; now != turn+1 {
				t.Errorf("timer set by the %s in turn %d fired in turn %d", name, turn, now)
			}
			fired = append(fired, name)
		}
	}
	var w *loop.Watch
	w = watch(t, l, p.r, readable, func(interest) {
		w.Stop()
		l.After(0, at("watch"))
	})
	l.After(0, func() { l.After(0, at("timer")) })
	post(t, l, func() { l.After(0, at("post")) })
	run(t, l)
	if diff := gocmp.Diff([]string{"watch", "timer", "post"}, fired); diff != "" {
		t.Errorf("fired (-want +got):\n%s", diff)
	}
}

// A deadline counts from the turn's clock inside a turn and from the present
// outside.
func TestTimerClock(t *testing.T) {
	l, s := manual(t, loop.Config{})
	var fired []time.Duration
	note := func() { fired = append(fired, l.Now()) }

	poll(t, l, 0)
	s.Advance(5 * ms) // the application at work between two Polls
	if l.Now() != 5*ms {
		t.Errorf("Now between turns = %v, want 5ms", l.Now())
	}
	l.After(10*ms, note)
	post(t, l, func() {
		s.Advance(3 * ms) // a slow callback
		if l.Now() != 5*ms {
			t.Errorf("Now moves inside a turn: %v, want 5ms", l.Now())
		}
		l.After(11*ms, note)
	})
	run(t, l)
	if diff := gocmp.Diff([]time.Duration{15 * ms, 16 * ms}, fired); diff != "" {
		t.Errorf("fired at (-want +got):\n%s", diff)
	}
}

// After a long sleep of the machine each timer that is late runs once, in
// order.
func TestTimerLate(t *testing.T) {
	l, s := manual(t, loop.Config{})
	var fired []int
	for i := range 10 {
		l.After(time.Duration(10-i)*ms, func() { fired = append(fired, 10-i) })
	}
	every := 0
	l.Every(ms, func() { every++ })
	s.Advance(time.Hour)
	poll(t, l, 0)
	if diff := gocmp.Diff([]int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, fired); diff != "" {
		t.Errorf("fired (-want +got):\n%s", diff)
	}
	if every != 1 {
		t.Errorf("Every fired %d times, want once", every)
	}
}

func TestTimerStop(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	never := func() { t.Error("a stopped timer fired") }

	a := l.After(ms, never)
	if !a.Stop() {
		t.Error("Stop of an armed timer = false")
	}
	if a.Stop() {
		t.Error("second Stop = true")
	}
	run(t, l) // and it does not keep Run

	// By another timer of the same turn, whether due at the same time or not.
	b, c := (*loop.Timer)(nil), (*loop.Timer)(nil)
	l.After(ms, func() {
		if !b.Stop() || !c.Stop() {
			t.Error("Stop of a due timer = false")
		}
	})
	b = l.After(ms, never)
	c = l.After(2*ms, never)
	// In its own callback there is nothing left to stop.
	var d *loop.Timer
	d = l.After(ms, func() {
		if d.Stop() {
			t.Error("Stop in the timer's own callback = true")
		}
	})
	run(t, l)
	if d.Stop() {
		t.Error("Stop of a timer that has fired = true")
	}

	// By an event and by a post of the turn in which it is due.
	p := ready(t)
	e := l.After(0, never)
	var w *loop.Watch
	w = watch(t, l, p.r, readable, func(interest) { w.Stop(); e.Stop() })
	run(t, l)
}

func TestTimerReset(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	var fired []time.Duration
	note := func() { fired = append(fired, l.Now()) }

	a := l.After(5*ms, note)
	if !a.Reset(20 * ms) {
		t.Error("Reset of an armed timer = false")
	}
	l.After(10*ms, func() { a.Reset(-1) }) // due now, but not in this turn
	run(t, l)
	if a.Reset(3 * ms) {
		t.Error("Reset of a timer that has fired = true")
	}
	run(t, l)

	var b *loop.Timer
	left := 3
	b = l.After(ms, func() {
		note()
		if left--; left > 0 && b.Reset(ms) {
			t.Error("Reset in the timer's own callback = true")
		}
	})
	run(t, l)
	if diff := gocmp.Diff([]time.Duration{10 * ms, 13 * ms, 14 * ms, 15 * ms, 16 * ms}, fired); diff != "" {
		t.Errorf("fired at (-want +got):\n%s", diff)
	}

	// Stopped after a Reset in its own callback.
	var c *loop.Timer
	calls := 0
	c = l.After(0, func() {
		calls++
		c.Reset(0)
		if !c.Stop() {
			t.Error("Stop after Reset in the timer's own callback = false")
		}
	})
	run(t, l)
	if calls != 1 {
		t.Errorf("called %d times, want once", calls)
	}
}

// Every counts from the previous deadline: callbacks that take their time do
// not make it drift, and what it misses it skips.
func TestEvery(t *testing.T) {
	l, s := manual(t, loop.Config{})
	takes := []time.Duration{3 * ms, 35 * ms, 0, 5 * ms, 10 * ms, 29 * ms, 0, 0}
	var fired []time.Duration
	var e *loop.Timer
	e = l.Every(10*ms, func() {
		fired = append(fired, l.Now())
		s.Advance(takes[0])
		if takes = takes[1:]; len(takes) == 0 {
			e.Stop()
			l.Stop()
		}
	})
	defer l.Hold()()
	run(t, l)
	want := []time.Duration{
		10 * ms,
		20 * ms, // until 55: 30, 40 and 50 are missed
		55 * ms, // late, once for all of them
		60 * ms,
		70 * ms, // until 80 exactly
		80 * ms, // until 109
		109 * ms,
		110 * ms,
	}
	if diff := gocmp.Diff(want, fired); diff != "" {
		t.Errorf("fired at (-want +got):\n%s", diff)
	}
}

func TestEveryStopInside(t *testing.T) {
	l, s := manual(t, loop.Config{})
	calls := 0
	var e *loop.Timer
	e = l.Every(ms, func() {
		if calls++; calls == 3 {
			if !e.Stop() {
				t.Error("Stop in an Every's own callback = false: there was a next call to cancel")
			}
			if e.Stop() {
				t.Error("second Stop = true")
			}
		}
	})
	for range 10 {
		s.Advance(ms)
		poll(t, l, 0)
	}
	if calls != 3 {
		t.Errorf("called %d times, want 3", calls)
	}
	if _, ok := l.NextDeadline(); ok {
		t.Error("a stopped Every has a deadline")
	}

	// Started anew it is what it was.
	if e.Reset(5 * ms) {
		t.Error("Reset of a stopped Every = true")
	}
	calls = 10
	for range 3 {
		poll(t, l, time.Hour)
	}
	if calls != 13 {
		t.Errorf("called %d times after Reset, want 3", calls-10)
	}
}

func TestEveryResetInside(t *testing.T) {
	l, s := manual(t, loop.Config{})
	var fired []time.Duration
	var e *loop.Timer
	e = l.Every(10*ms, func() {
		fired = append(fired, l.Now())
		s.Advance(4 * ms)
		if len(fired) == 2 && !e.Reset(3*ms) {
			t.Error("Reset in an Every's own callback = false")
		}
	})
	for range 4 {
		poll(t, l, time.Hour)
	}
	// Reset counts from the turn's clock, and the Every goes on from there.
	if diff := gocmp.Diff([]time.Duration{10 * ms, 20 * ms, 24 * ms, 33 * ms}, fired); diff != "" {
		t.Errorf("fired at (-want +got):\n%s", diff)
	}
}

func TestEveryPanic(t *testing.T) {
	for _, reset := range []bool{false, true} {
		l, s := manual(t, loop.Config{})
		calls := 0
		var e *loop.Timer
		e = l.Every(ms, func() {
			calls++
			if reset {
				e.Reset(ms)
			}
			panic("oops")
		})
		for range 5 {
			s.Advance(ms)
			poll(t, l, 0)
		}
		if calls != 1 {
			t.Errorf("reset %v: called %d times, want once: a panic cancels an Every", reset, calls)
		}
		if e.Stop() {
			t.Errorf("reset %v: Stop of an Every that its panic cancelled = true", reset)
		}
		if got := l.Stats().Panics; got != 1 {
			t.Errorf("reset %v: Stats.Panics = %d, want 1", reset, got)
		}
	}
}

func TestEveryInterval(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	for _, d := range []time.Duration{0, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Every(%v) did not panic", d)
				}
			}()
			l.Every(d, func() {})
		}()
	}
}

func TestTimerKeepsRun(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	l.Every(ms, func() { t.Error("an Every has kept Run running") })
	run(t, l)

	fired := false
	a := l.After(10*time.Hour, func() { fired = true })
	a.Reset(ms / 2)
	run(t, l)
	if !fired {
		t.Error("Run did not wait for an After")
	}

	b := l.After(ms, func() { t.Error("fired") })
	l.After(0, func() { b.Stop() })
	run(t, l)
}

// Delays that do not fit are cut to the end of time, on every backend.
func TestTimerFarFuture(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		never := func() { t.Error("fired") }
		l.After(math.MaxInt64, never)
		l.After(math.MaxInt64-1, never)
		l.After(100*year, never).Reset(math.MaxInt64)
		l.Every(math.MaxInt64, never)
		poll(t, l, ms)
		at, ok := l.NextDeadline()
		if !ok || at < 291*year {
			t.Errorf("NextDeadline = %v, %v", at, ok)
		}
		go l.Stop()
		run(t, l) // waits for as long as the backend can
	})
}

// An Every whose next deadline lies beyond the end of time does not wrap
// around into the past.
func TestEveryFarFuture(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	calls := 0
	l.Every(200*year, func() { calls++ })
	poll(t, l, -1)
	for range 10 {
		poll(t, l, 0)
	}
	if calls != 1 || l.Now() != 200*year {
		t.Errorf("called %d times until %v, want once in 200 years", calls, l.Now())
	}
}

// No timer is early by the real clock, whatever the backend's resolution.
func TestTimerNeverEarly(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		rnd := rand.New(rand.NewPCG(3, 3))
		for range 200 {
			d := time.Duration(rnd.IntN(int(30 * ms)))
			begun := time.Now()
			l.After(d, func() {
				if took := time.Since(begun); took < d {
					t.Errorf("timer of %v fired after %v", d, took)
				}
			})
		}
		run(t, l)
	})
}

// A wait for a fraction of the backend's resolution is rounded up: it must not
// become a series of waits for nothing.
func TestTimerNoSpin(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		l.After(1500*time.Microsecond, func() {})
		run(t, l)
		if turns := l.Stats().Turns; turns > 3 {
			t.Errorf("one timer took %d turns", turns)
		}
	})
}
