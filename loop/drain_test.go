//go:build unix

package loop_test

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// Run returns when nothing is left, and when the grace is over in any case.
func TestDrain(t *testing.T) {
	const grace = 10 * time.Second
	for _, c := range []struct {
		name   string
		set    func(t *testing.T, l *loop.Loop)
		after  time.Duration // when Run returns
		closed bool          // because the grace was over
	}{
		{"nothing", func(*testing.T, *loop.Loop) {}, 0, false},
		{"a post", func(t *testing.T, l *loop.Loop) { post(t, l, func() {}) }, 0, false},
		{"an Every", func(_ *testing.T, l *loop.Loop) { l.Every(time.Second, func() {}) }, 0, false},
		{"a timer in time", func(_ *testing.T, l *loop.Loop) { l.After(time.Second, func() {}) }, time.Second, false},
		{"a timer for later", func(_ *testing.T, l *loop.Loop) { l.After(time.Hour, func() {}) }, grace, true},
		{"a hold", func(_ *testing.T, l *loop.Loop) { l.Hold() }, grace, true},
		{"a hold that is released", func(_ *testing.T, l *loop.Loop) {
			release := l.Hold()
			l.Every(time.Second, release)
		}, time.Second, false},
		{"a watch", func(t *testing.T, l *loop.Loop) { watch(t, l, newPipe(t).r, readable, func(interest) {}) }, grace, true},
		{"drained before, for longer", func(_ *testing.T, l *loop.Loop) {
			l.Hold()
			l.Drain(time.Hour)
		}, grace, true},
		{"drained before, for less", func(_ *testing.T, l *loop.Loop) {
			l.Hold()
			l.Drain(time.Second)
		}, time.Second, true},
	} {
		for name, drain := range map[string]func(l *loop.Loop){
			"outside":    func(l *loop.Loop) { l.Drain(grace) },
			"in a post":  func(l *loop.Loop) { post(t, l, func() { l.Drain(grace) }) },
			"in a timer": func(l *loop.Loop) { l.After(0, func() { l.Drain(grace) }) },
		} {
			t.Run(c.name+", "+name, func(t *testing.T) {
				l, _ := manual(t, loop.Config{})
				c.set(t, l)
				drain(l)
				began := l.Now()
				run(t, l)
				err := l.Post(func() {})
				if got := errors.Is(err, loop.ErrClosed); got != c.closed {
					t.Errorf("the loop is closed: %v, want %v", got, c.closed)
				}
				if got := l.Now() - began; got != c.after {
					t.Errorf("Run returned after %v, want %v", got, c.after)
				}
			})
		}
	}
}

// Without a grace it is Close, which in a callback waits for the turn's end.
func TestDrainWithoutGrace(t *testing.T) {
	for _, grace := range []time.Duration{0, -time.Second} {
		l, _ := manual(t, loop.Config{})
		l.Hold()
		l.Drain(grace)
		if err := l.Post(func() {}); !errors.Is(err, loop.ErrClosed) {
			t.Errorf("Post after Drain(%v): %v", grace, err)
		}
		l.Drain(grace) // changes nothing
		l.Drain(time.Second)

		l, _ = manual(t, loop.Config{})
		l.Hold()
		post(t, l, func() {
			l.Drain(grace)
			if err := l.Post(func() {}); err != nil {
				t.Errorf("Post in the callback: %v", err)
			}
		})
		run(t, l)
		if err := l.Post(func() {}); !errors.Is(err, loop.ErrClosed) {
			t.Errorf("Post after Drain(%v) in a callback: %v", grace, err)
		}
	}
}

// A program that polls has the same end.
func TestDrainAndPoll(t *testing.T) {
	l, s := manual(t, loop.Config{})
	l.Hold()
	l.Drain(time.Second)
	s.Advance(time.Second - 1)
	poll(t, l, 0)
	s.Advance(1)
	poll(t, l, 0)
	if err := l.Poll(0); !errors.Is(err, loop.ErrClosed) {
		t.Errorf("Poll after the grace: %v", err)
	}
}

func TestDraining(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	if l.Draining() {
		t.Error("before Drain")
	}
	l.Hold()
	l.Drain(time.Second)
	if !l.Draining() {
		t.Error("not after Drain")
	}
}
