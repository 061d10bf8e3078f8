//go:build unix

package loop_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// A panic ends what it belongs to and nothing else; the turn goes on.
func TestPanic(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		var log journal
		l := open(t, loop.Config{Poller: poller, Logger: log.logger()})
		var did []string
		pipes := []*pipe{ready(t), ready(t), ready(t)}
		for _, p := range pipes {
			var w *loop.Watch
			w = watch(t, l, p.r, readable, func(interest) {
				did = append(did, "watch")
				if len(did) == 2 {
					panicInWatch()
				}
				w.Stop()
			})
		}
		for i := range 3 {
			l.After(0, func() {
				did = append(did, "timer")
				if i == 1 {
					panic("in a timer")
				}
			})
		}
		for i := range 3 {
			post(t, l, func() {
				did = append(did, "post")
				if i < 2 {
					panic("in a post")
				}
			})
		}
		run(t, l)
		want := []string{"watch", "watch", "watch", "timer", "timer", "timer", "post", "post", "post"}
		if diff := gocmp.Diff(want, did); diff != "" {
			t.Errorf("did (-want +got):\n%s", diff)
		}
		if s := l.Stats(); s.Panics != 4 || s.Turns != 1 {
			t.Errorf("%d panics in %d turns, want 4 in 1", s.Panics, s.Turns)
		}
		for _, want := range []string{
			"callback panicked", "panicInWatch", "in a watch", "in a timer", "in a post",
			"hook=watch", "hook=timer", "hook=post", "watch of descriptor", "panic_test.go",
		} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log.String())
			}
		}
		// The poller has forgotten the descriptor of the one that panicked.
		for _, p := range pipes {
			watch(t, l, p.r, readable, func(interest) {})
		}
	})
}

//go:noinline
func panicInWatch() { panic("in a watch") }

// Whatever is thrown is caught, also what recover used to miss.
func TestPanicValues(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	for _, v := range []any{"text", io.ErrUnexpectedEOF, 7, nil} {
		post(t, l, func() { panic(v) })
	}
	var array []int
	post(t, l, func() { array[len(l.Poller())] = 1 })
	var fn func()
	post(t, l, func() { fn() })
	run(t, l)
	if n := l.Stats().Panics; n != 6 {
		t.Errorf("Stats.Panics = %d, want 6", n)
	}
}

func TestPanicError(t *testing.T) {
	err := error(&loop.PanicError{Value: io.ErrUnexpectedEOF})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("an error that was thrown is not found")
	}
	if got := err.Error(); got != "callback panicked: unexpected EOF" {
		t.Errorf("Error = %q", got)
	}
	if errors.Unwrap(&loop.PanicError{Value: "text"}) != nil {
		t.Error("Unwrap of what is no error")
	}
}

// hostile is a logger that panics.
type hostile struct{ slog.Handler }

func (hostile) Handle(context.Context, slog.Record) error { panic("in the logger") }

func TestPanicInLogger(t *testing.T) {
	l, _ := manual(t, loop.Config{Logger: slog.New(hostile{slog.NewTextHandler(io.Discard, nil)})})
	did := 0
	for range 3 {
		post(t, l, func() { did++; panic("in a post") })
	}
	w := watch(t, l, ready(t).r, readable, func(interest) { did++; panic("in a watch") })
	run(t, l)
	w.Stop()
	if did != 4 {
		t.Errorf("%d callbacks ran, want 4", did)
	}
	if n := l.Stats().Panics; n < 4 {
		t.Errorf("Stats.Panics = %d", n)
	}
}

// For those who want the crash. Whoever catches it all the same finds a loop
// that is in order, and that has lost nothing but the callback.
func TestCrashOnPanic(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller, CrashOnPanic: true})
		crash := func() (v any) {
			defer func() { v = recover() }()
			l.Poll(0)
			return nil
		}
		var did []string
		note := func(s string) func() { return func() { did = append(did, s) } }

		post(t, l, note("first"))
		post(t, l, func() { panic("in a post") })
		post(t, l, note("second"))
		if v := crash(); v != "in a post" {
			t.Errorf("recovered %v", v)
		}
		post(t, l, note("third"))
		l.After(0, func() { panic("in a timer") })
		l.After(0, note("timer"))
		if v := crash(); v != "in a timer" {
			t.Errorf("recovered %v", v)
		}
		w := watch(t, l, ready(t).r, readable, func(interest) { panic("in a watch") })
		if v := crash(); v != "in a watch" {
			t.Errorf("recovered %v", v)
		}
		w.Stop()
		run(t, l)
		if diff := gocmp.Diff([]string{"first", "timer", "second", "third"}, did); diff != "" {
			t.Errorf("did (-want +got):\n%s", diff)
		}
		l.Close()
		closed(t, l)
	})
}

// A callback that ends its goroutine, as a failing test does, closes the loop:
// what was posted runs, what is open ends, nothing stays behind.
func TestGoexit(t *testing.T) {
	for _, where := range []string{"post", "timer", "watch", "post in Close"} {
		t.Run(where, func(t *testing.T) {
			var log journal
			l, s := manual(t, loop.Config{Logger: log.logger()})
			var did []string
			note := func(s string) func() { return func() { did = append(did, s) } }
			w := watch(t, l, ready(t).r, readable, func(interest) {
				if where == "watch" {
					runtime.Goexit()
				}
			})
			l.Signal(func(os.Signal) {}, syscall.SIGUSR2)
			if where == "timer" {
				l.After(0, runtime.Goexit)
			}
			post(t, l, note("first"))
			if where == "post" || where == "post in Close" {
				post(t, l, runtime.Goexit)
			}
			post(t, l, note("second"))
			post(t, l, func() { l.Post(note("posted by a post")) })

			done := make(chan bool)
			go func() {
				defer close(done)
				if where == "post in Close" {
					l.Close()
				} else {
					l.Run(context.Background())
				}
				t.Error("the callback has not ended its goroutine")
			}()
			<-done

			want := []string{"first", "second"}
			if diff := gocmp.Diff(want, did); diff != "" {
				t.Errorf("posts that ran (-want +got):\n%s", diff)
			}
			if n := l.Stats().Panics; n != 0 {
				t.Errorf("Stats.Panics = %d; the log:\n%s", n, log.String())
			}
			if !strings.Contains(log.String(), "watch ended") {
				t.Error("the watch has not ended")
			}
			if s.Poller.Closed != 1 {
				t.Errorf("the poller was closed %d times", s.Poller.Closed)
			}
			w.Stop()
			closed(t, l)
			for signalGoroutines() > 0 {
				time.Sleep(ms)
			}
		})
	}
}

// signalGoroutines counts those that Signal has started.
func signalGoroutines() int {
	var stacks strings.Builder
	pprof.Lookup("goroutine").WriteTo(&stacks, 2)
	return strings.Count(stacks.String(), "loop.(*Loop).signal.func")
}
