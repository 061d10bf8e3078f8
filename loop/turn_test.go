//go:build unix

package loop_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// Events, timers, posts: in this order in each turn.
func TestPhases(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		var did []string
		note := func(s string) func() { return func() { did = append(did, s) } }
		post(t, l, note("post"))
		l.After(0, func() {
			note("timer")()
			post(t, l, note("post of the timer"))
		})
		var w *loop.Watch
		w = watch(t, l, ready(t).r, readable, func(interest) {
			note("watch")()
			post(t, l, note("post of the watch"))
			w.Stop()
		})
		poll(t, l, time.Hour)
		// Posts are taken when their phase begins, in the order of posting.
		want := []string{"watch", "timer", "post", "post of the watch", "post of the timer"}
		if diff := gocmp.Diff(want, did); diff != "" {
			t.Errorf("did (-want +got):\n%s", diff)
		}
	})
}

// Neither a post that posts nor a descriptor that is always ready nor a timer
// that sets itself keeps the others from their turn.
func TestFairness(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		var posts, timers, events int
		var again func()
		again = func() { posts++; l.Post(again) }
		l.Post(again)
		var a *loop.Timer
		a = l.After(0, func() { timers++; a.Reset(0) })
		watch(t, l, ready(t).r, readable, func(interest) { events++ })
		for range 10 {
			poll(t, l, time.Hour)
		}
		a.Stop()
		if posts != 10 || timers != 10 || events != 10 {
			t.Errorf("in 10 turns: %d posts, %d timers, %d events", posts, timers, events)
		}
	})
}

func TestStats(t *testing.T) {
	l, s := manual(t, loop.Config{})
	p := ready(t)
	watch(t, l, p.r, readable, func(interest) { p.drain(); s.Advance(7 * ms) })
	for range 3 {
		post(t, l, func() { s.Advance(ms) })
	}
	post(t, l, func() { panic("oops") })
	l.After(0, func() {})
	l.After(ms, func() {})
	e := l.Every(2*ms, func() {})
	for range 3 {
		poll(t, l, time.Hour)
	}
	e.Stop()
	want := loop.Stats{Turns: 3, Events: 1, Posts: 4, Timers: 2 + 2, Panics: 1, LongestTurn: 10 * ms}
	if diff := gocmp.Diff(want, l.Stats()); diff != "" {
		t.Errorf("Stats (-want +got):\n%s", diff)
	}
}

// Callbacks that take too long are logged, with what they belong to.
func TestSlowCallback(t *testing.T) {
	var log journal
	l, s := manual(t, loop.Config{Logger: log.logger(), SlowCallback: 100 * ms})
	takes := func(d time.Duration) func() { return func() { s.Advance(d) } }
	p := ready(t)

	post(t, l, takes(99*ms))
	l.After(0, takes(99*ms))
	w := watch(t, l, p.r, readable, func(interest) { p.drain(); s.Advance(99 * ms) })
	run99 := func() { poll(t, l, 0); poll(t, l, 0) }
	run99()
	if log.String() != "" {
		t.Errorf("the log, after callbacks of 99ms:\n%s", log.String())
	}
	if got := l.Stats().LongestCallback; got != 99*ms {
		t.Errorf("LongestCallback = %v, want 99ms", got)
	}
	w.Stop()

	post(t, l, takes(100*ms))
	l.After(0, takes(101*ms))
	p.write("x")
	w = watch(t, l, p.r, readable, func(interest) { w.Stop(); s.Advance(time.Second) })
	poll(t, l, 0)
	want := fmt.Sprintf("level=WARN msg=\"slow callback\" in=\"watch of descriptor %d\" hook=watch took=1s\n", p.r) +
		"level=WARN msg=\"slow callback\" in=loop hook=timer took=101ms\n" +
		"level=WARN msg=\"slow callback\" in=loop hook=post took=100ms\n"
	if diff := gocmp.Diff(want, log.String()); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	if got := l.Stats().LongestCallback; got != time.Second {
		t.Errorf("LongestCallback = %v, want 1s", got)
	}
}

// In debug mode a call from another goroutine panics, and names both places.
func TestDebug(t *testing.T) {
	l := open(t, loop.Config{Debug: true})
	w := watch(t, l, newPipe(t).r, readable, func(interest) {})
	a := l.After(time.Hour, func() {})
	stop := l.Signal(func(os.Signal) {})
	misuse := map[string]func(){
		"After":         func() { l.After(0, func() {}) },
		"Close":         func() { l.Close() },
		"Every":         func() { l.Every(time.Hour, func() {}) },
		"Hold":          func() { l.Hold() },
		"NextDeadline":  func() { l.NextDeadline() },
		"Now":           func() { l.Now() },
		"Offload":       func() { l.Offload(func() error { return nil }, func(error) {}) },
		"Signal":        func() { l.Signal(func(os.Signal) {}) },
		"Signal's stop": stop,
		"Stats":         func() { l.Stats() },
		"Timer.Reset":   func() { a.Reset(0) },
		"Timer.Stop":    func() { a.Stop() },
		"Watch":         func() { l.Watch(0, readable, func(interest) {}) },
		"Watch.Set":     func() { w.Set(0) },
		"Watch.Stop":    func() { w.Stop() },
	}
	release := l.Hold()
	runsTheLoop(t, l, func() {
		done := make(chan bool)
		go func() {
			defer close(done)
			for name, call := range misuse {
				v := usesTheLoop(call)
				for _, want := range []string{"goroutine", "Post", "runsTheLoop", "usesTheLoop"} {
					if !strings.Contains(fmt.Sprint(v), want) {
						t.Errorf("%s off the loop: panicked with %.60v..., which lacks %q", name, v, want)
						break
					}
				}
			}
			// These may be called from everywhere.
			if v := usesTheLoop(func() {
				l.Post(func() {})
				l.Wake()
				l.Stop()
				release()
			}); v != nil {
				t.Errorf("panicked: %v", v)
			}
		}()
		<-done
		// And all of it on the loop.
		if v := usesTheLoop(func() {
			l.After(0, func() {})
			l.Every(time.Hour, func() {})
			l.NextDeadline()
			l.Hold()()
			l.Now()
			l.Stats()
		}); v != nil {
			t.Errorf("panicked: %v", v)
		}
	})
	// Nobody runs it now, so it belongs to whoever comes.
	done := make(chan bool)
	go func() {
		defer close(done)
		a.Stop()
		w.Stop()
		run(t, l)
		l.Close()
	}()
	<-done
}

// The names of these two are looked for in the message.
//
//go:noinline
func runsTheLoop(t *testing.T, l *loop.Loop, fn func()) {
	post(t, l, fn)
	if err := l.Run(context.Background()); err != nil {
		t.Error(err)
	}
}

//go:noinline
func usesTheLoop(call func()) (v any) {
	defer func() { v = recover() }()
	call()
	return nil
}
