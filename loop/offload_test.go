//go:build unix

package loop_test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/loop"
)

func offload(t *testing.T, l *loop.Loop, work func() error, done func(error)) {
	t.Helper()
	if err := l.Offload(work, done); err != nil {
		t.Fatalf("Offload: %v", err)
	}
}

// What work returns, or throws, or fails to return, arrives on the loop.
func TestOffload(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller, Debug: true})
		thrown := errors.New("thrown")
		got := map[string]error{}
		for name, work := range map[string]func() error{
			"nil":     func() error { return nil },
			"error":   func() error { return io.ErrUnexpectedEOF },
			"panic":   func() error { panic(thrown) },
			"nothing": func() error { panic(nil) },
			"goexit":  func() error { runtime.Goexit(); return nil },
		} {
			offload(t, l, work, func(err error) {
				l.Stats() // panics off the loop
				got[name] = err
			})
		}
		run(t, l)
		if len(got) != 5 {
			t.Fatalf("%d results of 5: %v", len(got), got)
		}
		if got["nil"] != nil || got["error"] != io.ErrUnexpectedEOF {
			t.Errorf("results: %v, %v", got["nil"], got["error"])
		}
		p, ok := errors.AsType[*loop.PanicError](got["panic"])
		if !ok || p.Value != thrown || !errors.Is(p, thrown) || !strings.Contains(string(p.Stack), "offload_test.go") {
			t.Errorf("a panic arrived as %#v", got["panic"])
		}
		if _, ok := errors.AsType[*loop.PanicError](got["nothing"]); !ok {
			t.Errorf("panic(nil) arrived as %v", got["nothing"])
		}
		if got["goexit"] == nil {
			t.Error("Goexit arrived as success")
		}
		if n := l.Stats().Panics; n != 0 {
			t.Errorf("Stats.Panics = %d: work is no callback", n)
		}
	})
}

// No more run at once than Config.Workers, and as many as that.
func TestOffloadWorkers(t *testing.T) {
	for _, workers := range []int{1, 3, 0} {
		l := open(t, loop.Config{Workers: workers})
		most := workers
		if workers == 0 {
			most = 4
		}
		var now, peak atomic.Int64
		full := make(chan bool)
		for range 5 * most {
			offload(t, l, func() error {
				defer now.Add(-1)
				n := now.Add(1)
				for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
				}
				if n == int64(most) {
					select {
					case <-full:
					default:
						close(full)
					}
				}
				<-full // until they have all been seen at once
				return nil
			}, func(error) {})
		}
		run(t, l)
		if p := peak.Load(); p != int64(most) {
			t.Errorf("Workers %d: %d ran at once, want %d", workers, p, most)
		}
	}
}

// Work begins in the order of the calls, and one worker's results arrive in it,
// whatever becomes of the work.
func TestOffloadOrder(t *testing.T) {
	l := open(t, loop.Config{Workers: 1})
	var began, ended, want []int
	for i := range 100 {
		want = append(want, i)
		offload(t, l, func() error {
			began = append(began, i)
			switch i % 10 {
			case 3:
				panic(i)
			case 7:
				runtime.Goexit()
			}
			return nil
		}, func(error) { ended = append(ended, i) })
	}
	run(t, l)
	if diff := gocmp.Diff(want, began); diff != "" {
		t.Errorf("began (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(want, ended); diff != "" {
		t.Errorf("ended (-want +got):\n%s", diff)
	}
}

// The goroutines go when there is nothing to do, and come again.
func TestOffloadInDone(t *testing.T) {
	l := open(t, loop.Config{})
	left := 50
	var next func(error)
	next = func(error) {
		if left--; left > 0 {
			offload(t, l, func() error { return nil }, next)
		}
	}
	offload(t, l, func() error { return nil }, next)
	run(t, l)
	if left != 0 {
		t.Errorf("Run has returned with %d to go", left)
	}
}

func TestOffloadFull(t *testing.T) {
	l := open(t, loop.Config{Workers: 2, MaxPosts: 3})
	release := make(chan bool)
	done := 0
	work := func() error { <-release; return nil }
	for i := range 7 {
		want := error(nil)
		if i >= 5 { // two run, three wait
			want = loop.ErrFull
		}
		if err := l.Offload(work, func(error) { done++ }); err != want {
			t.Errorf("Offload %d: %v, want %v", i, err, want)
		}
	}
	// Results arrive also where the posts are full.
	for range 3 {
		post(t, l, func() {})
	}
	close(release)
	run(t, l)
	if done != 5 {
		t.Errorf("%d results, want 5", done)
	}
}

// After Close no result arrives, and what waits does not begin.
func TestOffloadClose(t *testing.T) {
	l := open(t, loop.Config{Workers: 1})
	release := make(chan bool)
	var wg sync.WaitGroup
	wg.Add(1)
	offload(t, l, func() error { defer wg.Done(); <-release; return nil }, func(error) { t.Error("done after Close") })
	offload(t, l, func() error { t.Error("begun after Close"); return nil }, func(error) { t.Error("done after Close") })
	post(t, l, func() { l.Close() })
	run(t, l)
	close(release)
	wg.Wait()
	closed(t, l)
}

// A done that panics does not keep Run.
func TestOffloadDonePanics(t *testing.T) {
	l := open(t, loop.Config{})
	offload(t, l, func() error { return nil }, func(error) { panic("in done") })
	run(t, l)
	if n := l.Stats().Panics; n != 1 {
		t.Errorf("Stats.Panics = %d, want 1", n)
	}
}
