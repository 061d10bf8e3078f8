//go:build unix

package loop_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func TestNew(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		if got := open(t, loop.Config{Poller: poller}).Poller(); got != poller {
			t.Errorf("Poller = %q", got)
		}
		t.Setenv("ASYNCORE_POLLER", poller)
		if got := open(t, loop.Config{}).Poller(); got != poller {
			t.Errorf("Poller by ASYNCORE_POLLER = %q", got)
		}
	})
	if l, err := loop.New(loop.Config{Poller: "nonsense"}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("New on no such poller = %v, %v", l, err)
	}
	for name, c := range map[string]loop.Config{"MaxPosts": {MaxPosts: -1}, "Workers": {Workers: -1}} {
		if l, err := loop.New(c); l != nil || err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New with a negative %s = %v, %v, want an error that names it", name, l, err)
		}
	}
}

// A function that is nil is reported where it is given, not in the turn that
// would call it.
func TestNilFunctions(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	work, done := func() error { return nil }, func(error) {}
	for name, call := range map[string]func(){
		"After":   func() { l.After(0, nil) },
		"Every":   func() { l.Every(ms, nil) },
		"Post":    func() { l.Post(nil) },
		"Signal":  func() { l.Signal(nil, syscall.SIGUSR2) },
		"Offload": func() { l.Offload(nil, done) },
		"done":    func() { l.Offload(work, nil) },
	} {
		func() {
			defer func() {
				if v := recover(); !strings.Contains(fmt.Sprint(v), "function is nil") {
					t.Errorf("%s: panicked with %v", name, v)
				}
			}()
			call()
		}()
	}
	run(t, l) // and nothing was set
}

// Run returns when nothing is left, however the last of it went.
func TestRunReturns(t *testing.T) {
	for name, begin := range map[string]func(*testing.T, *loop.Loop){
		"nothing":      func(*testing.T, *loop.Loop) {},
		"After":        func(_ *testing.T, l *loop.Loop) { l.After(ms, func() {}) },
		"Every":        func(_ *testing.T, l *loop.Loop) { l.Every(time.Hour, func() {}) },
		"Signal":       func(_ *testing.T, l *loop.Loop) { l.Signal(func(os.Signal) {}, syscall.SIGUSR2) },
		"Post":         func(t *testing.T, l *loop.Loop) { post(t, l, func() {}) },
		"Post in Post": func(t *testing.T, l *loop.Loop) { post(t, l, func() { post(t, l, func() {}) }) },
		"Hold":         func(t *testing.T, l *loop.Loop) { post(t, l, l.Hold()) },
		"Hold elsewhere": func(t *testing.T, l *loop.Loop) {
			release := l.Hold()
			go func() { release(); release() }()
		},
		"Holds": func(t *testing.T, l *loop.Loop) {
			a, b := l.Hold(), l.Hold()
			a()
			a() // counts once
			go b()
		},
		"Watch": func(t *testing.T, l *loop.Loop) {
			var w *loop.Watch
			w = watch(t, l, ready(t).r, readable, func(interest) { w.Stop(); w.Stop() })
		},
		"resting Watch": func(t *testing.T, l *loop.Loop) {
			w := watch(t, l, ready(t).r, readable, func(interest) { t.Error("called") })
			w.Set(0)
			l.After(ms, w.Stop)
		},
		"refused Watch": func(t *testing.T, l *loop.Loop) {
			if _, err := l.Watch(-1, readable, func(interest) {}); err == nil {
				t.Error("descriptor -1 is accepted")
			}
		},
		"Offload": func(t *testing.T, l *loop.Loop) {
			l.Offload(func() error { return nil }, func(error) {})
		},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, poller string) {
				l := open(t, loop.Config{Poller: poller})
				for range 2 {
					begin(t, l)
					run(t, l)
				}
			})
		})
	}
}

func TestStopBeforeRun(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	defer l.Hold()()
	calls := 0
	post(t, l, func() { calls++ })
	l.Stop()
	l.Stop()
	run(t, l)
	if calls != 0 || l.Stats().Turns != 0 {
		t.Errorf("%d posts run in %d turns: a Stop before Run makes it return at once", calls, l.Stats().Turns)
	}
	// It counts for one Run only, and what waited still waits.
	l.After(0, l.Stop)
	run(t, l)
	if calls != 1 {
		t.Errorf("the post ran %d times in the second Run", calls)
	}
}

// The turn in which Stop is called is finished.
func TestStopInCallback(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		var did []string
		a, b := ready(t), ready(t)
		stop := func(interest) { did = append(did, "watch"); l.Stop() }
		watch(t, l, a.r, readable, stop)
		watch(t, l, b.r, readable, stop)
		l.After(0, func() { did = append(did, "timer"); l.Stop() })
		post(t, l, func() { did = append(did, "post"); l.Stop() })
		run(t, l)
		if diff := gocmp.Diff([]string{"watch", "watch", "timer", "post"}, did); diff != "" {
			t.Errorf("did (-want +got):\n%s", diff)
		}
		if turns := l.Stats().Turns; turns != 1 {
			t.Errorf("%d turns, want 1", turns)
		}
	})
}

func TestStopFromElsewhere(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		defer l.Hold()()
		for i := range 100 {
			go func() {
				if i%2 == 0 {
					time.Sleep(100 * time.Microsecond) // asleep by then, perhaps
				}
				l.Stop()
			}()
			run(t, l)
		}
	})
}

func TestContext(t *testing.T) {
	cause := errors.New("enough")
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		defer l.Hold()()

		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		if err := l.Run(ctx); err != cause {
			t.Errorf("cancelled before: Run = %v", err)
		}
		if turns := l.Stats().Turns; turns != 0 {
			t.Errorf("cancelled before: %d turns", turns)
		}

		ctx, cancel = context.WithCancelCause(context.Background())
		post(t, l, func() { cancel(cause) })
		if err := l.Run(ctx); err != cause {
			t.Errorf("cancelled in a callback: Run = %v", err)
		}

		for range 20 {
			ctx, cancel = context.WithCancelCause(context.Background())
			go func() {
				time.Sleep(100 * time.Microsecond)
				cancel(cause)
			}()
			if err := l.Run(ctx); err != cause {
				t.Errorf("cancelled elsewhere: Run = %v", err)
			}
		}

		deadline, done := context.WithTimeout(context.Background(), ms)
		defer done()
		if err := l.Run(deadline); err != context.DeadlineExceeded {
			t.Errorf("timed out: Run = %v", err)
		}

		// The loop lives on.
		l.After(0, l.Stop)
		run(t, l)
	})
}

func TestReentrant(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		nested := func(where string) {
			if err := l.Run(context.Background()); err != loop.ErrReentrant {
				t.Errorf("Run in a %s = %v", where, err)
			}
			if err := l.Poll(0); err != loop.ErrReentrant {
				t.Errorf("Poll in a %s = %v", where, err)
			}
		}
		var w *loop.Watch
		w = watch(t, l, ready(t).r, readable, func(interest) { nested("watch"); w.Stop() })
		l.After(0, func() { nested("timer") })
		post(t, l, func() { nested("post") })
		post(t, l, func() {
			done := make(chan bool)
			go func() { nested("goroutine meanwhile"); close(done) }()
			<-done
		})
		run(t, l)
		post(t, l, func() { nested("post, in Poll") })
		poll(t, l, 0)
		poll(t, l, 0)
	})
}

func TestPoll(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	fired := 0
	l.After(5*ms, func() { fired++ })

	poll(t, l, 0)
	poll(t, l, 4*ms)
	if fired != 0 || l.Now() != 4*ms {
		t.Fatalf("fired %d times until %v", fired, l.Now())
	}
	poll(t, l, time.Hour)
	if fired != 1 || l.Now() != 5*ms {
		t.Errorf("a Poll that waited for a timer has fired it %d times, at %v", fired, l.Now())
	}
	l.After(5*ms, func() { fired++ })
	poll(t, l, -1)
	if fired != 2 || l.Now() != 10*ms {
		t.Errorf("Poll(-1): fired %d times, at %v", fired, l.Now())
	}
	poll(t, l, 7*ms)
	if l.Now() != 17*ms {
		t.Errorf("Poll without anything to do waited until %v, want 17ms", l.Now())
	}
}

// The same on the real clock, where a wait that is too short shows.
func TestPollReal(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		for range 10 {
			fired := false
			l.After(700*time.Microsecond, func() { fired = true })
			poll(t, l, time.Hour)
			if !fired {
				t.Error("a Poll that waited for a timer has not fired it")
			}
			begun := time.Now()
			poll(t, l, 300*time.Microsecond)
			if took := time.Since(begun); took < 300*time.Microsecond {
				t.Errorf("Poll(300µs) waited for %v", took)
			}
		}
	})
}

// Poll runs one turn, and a Stop is for Run.
func TestPollOneTurn(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	var again func()
	again = func() { l.Post(again) }
	again()
	l.Stop()
	for i := range uint64(5) {
		poll(t, l, time.Hour)
		if turns := l.Stats().Turns; turns != i+1 {
			t.Fatalf("%d turns after %d calls of Poll", turns, i+1)
		}
	}
	run(t, l)
	if turns := l.Stats().Turns; turns != 5 {
		t.Errorf("Run after Stop and Poll took %d turns, want none", turns-5)
	}
}

func TestWake(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		for range 50 {
			go l.Wake()
			poll(t, l, -1)
		}
		l.Wake()
		l.Wake()
		poll(t, l, -1) // before
	})
}

// Close in a callback waits for the end of the turn, and Run then returns nil.
func TestCloseInCallback(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		var did []string
		note := func(s string) { did = append(did, s) }
		watch(t, l, ready(t).r, readable, func(interest) {
			note("watch")
			if err := l.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
		})
		l.After(0, func() {
			note("timer")
			l.Close()
			post(t, l, func() { note("posted after Close") })
			l.After(0, func() { t.Error("a timer fired after Close") })
		})
		post(t, l, func() {
			note("post")
			post(t, l, func() {
				note("last post")
				if err := l.Post(func() {}); err != loop.ErrClosed {
					t.Errorf("Post while the loop closes = %v", err)
				}
				l.Close()
			})
		})
		run(t, l)
		want := []string{"watch", "timer", "post", "posted after Close", "last post"}
		if diff := gocmp.Diff(want, did); diff != "" {
			t.Errorf("did (-want +got):\n%s", diff)
		}
		closed(t, l)
	})
}

// The same in Poll.
func TestCloseInPoll(t *testing.T) {
	l, s := manual(t, loop.Config{})
	post(t, l, func() { l.Close() })
	poll(t, l, 0)
	closed(t, l)
	if s.Poller.Closed != 1 {
		t.Errorf("the poller was closed %d times", s.Poller.Closed)
	}
}

func TestClose(t *testing.T) {
	l, s := manual(t, loop.Config{})
	var did []int
	for i := range 5 {
		post(t, l, func() {
			did = append(did, i)
			if err := l.Post(func() { t.Error("a post during Close ran") }); err != loop.ErrClosed {
				t.Errorf("Post during Close = %v", err)
			}
			l.After(0, func() { t.Error("a timer that was set during Close fired") })
			l.Close()
			if err := l.Poll(0); err != loop.ErrClosed && err != loop.ErrReentrant {
				t.Errorf("Poll during Close = %v", err)
			}
		})
	}
	after := l.After(0, func() { t.Error("a timer fired in Close") })
	every := l.Every(ms, func() { t.Error("a timer fired in Close") })
	w := watch(t, l, ready(t).r, readable, func(interest) { t.Error("a watch was called in Close") })
	w.Set(0)
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
	}
	if diff := gocmp.Diff([]int{0, 1, 2, 3, 4}, did); diff != "" {
		t.Errorf("posts that ran in Close (-want +got):\n%s", diff)
	}
	if s.Poller.Closed != 1 {
		t.Errorf("the poller was closed %d times", s.Poller.Closed)
	}
	closed(t, l)

	// What is left of it is harmless.
	if after.Stop() || after.Reset(0) || every.Stop() || every.Reset(ms) {
		t.Error("a timer of a closed loop claims to be armed")
	}
	w.Set(writable)
	w.Stop()
	l.Stop()
	l.Wake()
	l.Hold()()
	l.Now()
	l.Stats()
	if at, ok := l.NextDeadline(); ok {
		t.Errorf("NextDeadline of a closed loop = %v", at)
	}
}

// closed checks that l refuses whatever is asked of it.
func closed(t *testing.T, l *loop.Loop) {
	t.Helper()
	_, watchErr := l.Watch(0, readable, func(interest) {})
	for name, err := range map[string]error{
		"Run":     l.Run(context.Background()),
		"Poll":    l.Poll(0),
		"Post":    l.Post(func() { t.Error("a post ran after Close") }),
		"Offload": l.Offload(func() error { t.Error("work ran after Close"); return nil }, func(error) {}),
		"Watch":   watchErr,
	} {
		if err != loop.ErrClosed {
			t.Errorf("%s after Close = %v", name, err)
		}
	}
	l.After(0, func() { t.Error("a timer fired after Close") })
	l.Every(1, func() { t.Error("a timer fired after Close") })
	l.Signal(func(os.Signal) { t.Error("a signal was delivered after Close") }, syscall.SIGWINCH)()
}

// A wait that fails ends the loop with the poller's error.
func TestPollerFails(t *testing.T) {
	for _, inPoll := range []bool{false, true} {
		var log journal
		l, s := manual(t, loop.Config{Logger: log.logger()})
		failure := os.NewSyscallError("wait", syscall.EBADF)
		p := newPipe(t)
		watch(t, l, p.r, readable, func(interest) { t.Error("called") })
		l.After(ms, func() { s.Poller.Fail = failure })
		l.Every(5*ms, func() { t.Error("fired") })
		l.After(5*ms, func() { t.Error("fired") })
		var err error
		if inPoll {
			poll(t, l, -1)
			err = l.Poll(-1)
		} else {
			err = l.Run(context.Background())
		}
		if err != failure {
			t.Errorf("err = %v, want the poller's", err)
		}
		if !strings.Contains(log.String(), failure.Error()) {
			t.Errorf("the watch has not been told why it ended; the log:\n%s", log.String())
		}
		if s.Poller.Closed != 1 {
			t.Errorf("the poller was closed %d times", s.Poller.Closed)
		}
		closed(t, l)
	}
}

// NextDeadline is true whenever user code runs.
func TestNextDeadline(t *testing.T) {
	l, s := manual(t, loop.Config{})
	next := func() time.Duration {
		at, ok := l.NextDeadline()
		if !ok {
			return -1
		}
		return at
	}
	check := func(what string, want time.Duration) {
		t.Helper()
		if got := next(); got != want {
			t.Errorf("NextDeadline %s = %v, want %v", what, got, want)
		}
	}
	check("of an idle loop", -1)
	release := l.Hold()
	check("with a Hold", -1)
	release()
	w := watch(t, l, newPipe(t).r, readable, func(interest) {})
	check("with a Watch", -1)
	e := l.Every(20*ms, func() {})
	check("with an Every", 20*ms)
	a := l.After(10*ms, func() {})
	check("with an After", 10*ms)
	s.Advance(3 * ms)
	post(t, l, func() {
		check("in a post", 10*ms)
		post(t, l, func() {})
		check("in a post that posts", 3*ms)
	})
	check("with a post", 3*ms)
	poll(t, l, 0)
	check("with a post of a post", 3*ms)
	poll(t, l, 0)
	check("after that", 10*ms)
	w.Set(writable)
	check("with a change of interest", 3*ms)
	poll(t, l, 0)
	a.Stop()
	check("without the After", 20*ms)
	s.Advance(30 * ms)
	check("of a timer that is late", 20*ms)
	e.Stop()
	check("in the end", -1)
}

// An application may have a main loop of its own, and this loop in it: it
// waits for FD, no longer than NextDeadline, and then calls Poll(0).
func TestNested(t *testing.T) {
	for _, inner := range []string{"epoll", "kqueue"} {
		if !slices.Contains(asyncore.Backends(), inner) {
			continue
		}
		each(t, func(t *testing.T, outer string) {
			out := open(t, loop.Config{Poller: outer})
			in := open(t, loop.Config{Poller: inner})
			if in.FD() < 0 {
				t.Fatalf("%s has no descriptor", inner)
			}

			var timer *loop.Timer
			turn := func() {
				poll(t, in, 0)
				timer.Stop()
				if at, ok := in.NextDeadline(); ok {
					timer.Reset(at - in.Now())
				}
			}
			timer = out.After(time.Hour, turn)
			watch(t, out, in.FD(), readable, func(interest) { turn() })

			var did []string
			p := newPipe(t)
			steps := map[string]func(){
				"watch": func() { p.write("x") },
				"timer": func() {
					in.After(2*ms, func() { did = append(did, "timer"); out.Stop() })
					turn() // deadlines that are set outside a turn of its own
				},
				"post":  func() { in.Post(func() { did = append(did, "post"); out.Stop() }) },
				"posts": func() { in.Post(func() { in.Post(func() { did = append(did, "posts"); out.Stop() }) }) },
				"elsewhere": func() {
					go func() {
						time.Sleep(ms)
						in.Post(func() { did = append(did, "elsewhere"); out.Stop() })
					}()
				},
			}
			watch(t, in, p.r, readable, func(interest) {
				p.drain()
				did = append(did, "watch")
				out.Stop()
			})
			names := []string{"watch", "timer", "post", "posts", "elsewhere"}
			for range 3 {
				did = nil
				for _, name := range names {
					steps[name]()
					run(t, out)
				}
				if diff := gocmp.Diff(names, did); diff != "" {
					t.Fatalf("did (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// Where there is one processor, the loop lets others have it.
func TestOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l, _ := manual(t, loop.Config{})
	const steps = 1000
	var progress atomic.Int64
	go func() {
		for range steps {
			progress.Add(1)
			runtime.Gosched()
		}
	}()
	var busy func()
	busy = func() {
		if progress.Load() < steps {
			post(t, l, busy)
		}
	}
	busy()
	run(t, l)
	if turns := l.Stats().Turns; turns > 100*steps {
		t.Errorf("%d turns while another goroutine made %d steps", turns, steps)
	}
}

// And what they take of it does not make the timers late.
func TestOneProcessorTimer(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l, s := manual(t, loop.Config{})
	var fired time.Duration
	post(t, l, func() {
		l.After(10*ms, func() { fired = l.Now() })
		go s.Advance(4 * ms) // runs while the loop yields
	})
	run(t, l)
	if fired != 10*ms {
		t.Errorf("a timer of 10ms fired at %v", fired)
	}
}

// A loop that spins before it sleeps notices all the same.
func TestSpin(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller, Spin: time.Hour}) // it never sleeps
		defer l.Hold()()
		soon := func(f func()) {
			go func() {
				time.Sleep(200 * time.Microsecond)
				f()
			}()
		}
		for range 5 {
			soon(l.Stop)
			run(t, l)
			soon(func() { l.Post(l.Stop) })
			run(t, l)
			soon(func() { l.Wake() })
			poll(t, l, -1)
			ctx, cancel := context.WithCancel(context.Background())
			soon(cancel)
			if err := l.Run(ctx); err != context.Canceled {
				t.Errorf("Run = %v", err)
			}
			p := newPipe(t)
			w := watch(t, l, p.r, readable, func(interest) { p.drain(); l.Stop() })
			soon(func() { p.write("x") })
			run(t, l)
			w.Stop()
			begun := time.Now()
			l.After(ms, func() {
				if took := time.Since(begun); took < ms {
					t.Errorf("a timer of 1ms fired after %v", took)
				}
				l.Stop()
			})
			run(t, l)
			release := l.Hold()
			soon(release)
			soon(l.Stop)
			run(t, l)
		}
	})
}

// Timers are exact, however spinning and sleeping share the wait; so is the
// limit of a Poll.
func TestSpinTimer(t *testing.T) {
	for _, spin := range []time.Duration{ms, 9 * ms, 10 * ms, 11 * ms, 14 * ms, 15 * ms, 16 * ms} {
		l, s := manual(t, loop.Config{Spin: spin})
		s.Poller.OnWait = func(timeout time.Duration) {
			if timeout == 0 {
				s.Advance(ms) // what a round of spinning takes
			}
		}
		var fired time.Duration
		l.After(15*ms, func() { fired = l.Now() })
		run(t, l)
		if fired != 15*ms {
			t.Errorf("Spin %v: a timer of 15ms fired at %v", spin, fired)
		}
		if turns := l.Stats().Turns; turns != 1 {
			t.Errorf("Spin %v: one timer took %d turns", spin, turns)
		}
		poll(t, l, 15*ms)
		if l.Now() != 30*ms {
			t.Errorf("Spin %v: Poll(15ms) waited for %v", spin, l.Now()-15*ms)
		}
	}
}
