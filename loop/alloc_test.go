//go:build unix

package loop_test

import (
	"os"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// raceDetector is set by a file that only a build with -race has.
var raceDetector bool

// allocates fails if f does so, once it is warm.
func allocates(t *testing.T, what string, f func()) {
	t.Helper()
	if n := testing.AllocsPerRun(1000, f); n != 0 {
		t.Errorf("%s: %v allocations", what, n)
	}
}

// What happens in each turn costs no memory.
func TestAllocations(t *testing.T) {
	if raceDetector || os.Getenv("ASYNCORE_DEBUG") != "" {
		t.Skip("the race detector and debug mode allocate")
	}
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller, SlowCallback: time.Hour})
		events := 0
		turn := func() { l.Poll(0) }
		allocates(t, "a turn with nothing to do", turn)

		w := watch(t, l, ready(t).r, readable, func(interest) { events++ })
		allocates(t, "a turn with a ready Watch", turn)
		if events < 1000 {
			t.Fatalf("%d events", events)
		}
		want := [2]interest{readable, readable | writable}
		i := 0
		allocates(t, "a change of interest", func() {
			w.Set(want[i&1])
			i++
			l.Poll(0)
		})
		w.Stop()

		a := l.After(time.Hour, func() {})
		for i := range 1000 {
			l.After(time.Hour+time.Duration(i), func() {})
		}
		allocates(t, "a timer's Reset", func() {
			i++
			a.Reset(time.Hour + time.Duration(i*7919%1000))
		})
		allocates(t, "a timer's Stop and Reset", func() {
			a.Stop()
			a.Reset(time.Hour)
		})
		b := l.After(0, func() {})
		allocates(t, "a timer that fires", func() {
			b.Reset(0)
			l.Poll(0)
		})
		fired := 0
		e := l.Every(1, func() { fired++ })
		allocates(t, "an Every that fires", turn)
		e.Stop()
		if fired < 1000 {
			t.Fatalf("an Every has fired %d times", fired)
		}

		fn := func() {}
		allocates(t, "a post", func() {
			l.Post(fn)
			l.Poll(0)
		})
		inside := func() { l.Post(fn) }
		allocates(t, "a post in a post", func() {
			l.Post(inside)
			l.Poll(0)
			l.Poll(0)
		})
		allocates(t, "a wake-up", func() {
			l.Wake()
			l.Poll(0)
		})
	})
}
