//go:build unix

package loop_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// One turn of an otherwise idle loop, with one descriptor that is ready.
func BenchmarkTurn(b *testing.B) {
	for _, name := range asyncore.Backends() {
		b.Run(name, func(b *testing.B) {
			l := open(b, loop.Config{Poller: name})
			watch(b, l, ready(b).r, readable, func(interest) {})
			b.ReportAllocs()
			for b.Loop() {
				l.Poll(0)
			}
		})
	}
}

// live returns a loop with so many timers, none of which expires.
func live(b *testing.B, n int) (l *loop.Loop, timers []*loop.Timer) {
	l = open(b, loop.Config{})
	timers = make([]*loop.Timer, n)
	for i := range timers {
		timers[i] = l.After(time.Hour+time.Duration(i*7919%n)*time.Microsecond, func() {})
	}
	b.ReportAllocs()
	return l, timers
}

// A deadline that moves forward, as a connection's does.
func BenchmarkTimerReset(b *testing.B) {
	const n = 10_000
	_, timers := live(b, n)
	i := 0
	for b.Loop() {
		timers[i%n].Reset(time.Hour + time.Duration(i*7919%n)*time.Microsecond)
		i++
	}
}

// A timeout that is set and, as nearly all of them, not needed.
func BenchmarkTimerInsertCancel(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			l, _ := live(b, n)
			t := l.After(0, func() {})
			t.Stop()
			i := 0
			for b.Loop() {
				t.Reset(time.Hour + time.Duration(i*7919%n)*time.Microsecond)
				t.Stop()
				i++
			}
		})
	}
}

// A post from the loop itself, and the turn that runs it.
func BenchmarkPost(b *testing.B) {
	l := open(b, loop.Config{})
	var again func()
	again = func() { l.Post(again) }
	l.Post(again)
	b.ReportAllocs()
	for b.Loop() {
		l.Poll(0)
	}
}

// Posts from another goroutine to a busy loop: what the poster pays, with the
// loop on another core.
func BenchmarkPostOther(b *testing.B) {
	l := open(b, loop.Config{MaxPosts: 1 << 30})
	busy := true
	var again func()
	again = func() {
		if busy {
			l.Post(again)
		}
	}
	again()
	done := make(chan error)
	go func() { done <- l.Run(context.Background()) }()
	fn := func() {}
	b.ReportAllocs()
	for b.Loop() {
		l.Post(fn)
	}
	l.Post(func() { busy = false })
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
