//go:build unix

package loop_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// Level-triggered: called in each turn until there is nothing left to read,
// and only for what was asked for.
func TestWatch(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		p := newPair(t)
		var got []interest
		watch(t, l, p.r, readable, func(ready interest) { got = append(got, ready) })
		poll(t, l, 0)
		if len(got) > 0 {
			t.Errorf("called with %v, but there is nothing to read", got)
		}
		p.write("x")
		for range 3 {
			poll(t, l, 0)
		}
		if diff := gocmp.Diff([]interest{readable, readable, readable}, got); diff != "" {
			t.Errorf("called (-want +got):\n%s", diff)
		}
		p.drain()
		poll(t, l, 0)
		if len(got) != 3 {
			t.Error("called after all was read")
		}
		// A pair that is readable and writable, watched for both: one call.
		p.write("x")
		both := newPair(t)
		both.write("x")
		got = nil
		watch(t, l, both.r, readable|writable, func(ready interest) { got = append(got, ready) })
		p.drain()
		poll(t, l, 0)
		if diff := gocmp.Diff([]interest{readable | writable}, got); diff != "" {
			t.Errorf("called (-want +got):\n%s", diff)
		}
	})
}

// The end of a stream is something to read.
func TestWatchHangUp(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		p, q := newPipe(t), newPipe(t)
		calls := map[string]interest{}
		watch(t, l, p.r, readable, func(ready interest) { calls["reading end"] = ready })
		watch(t, l, q.w, writable, func(ready interest) { calls["writing end"] = ready })
		p.closeWrite()
		q.closeRead()
		poll(t, l, 0)
		want := map[string]interest{"reading end": readable, "writing end": writable}
		if diff := gocmp.Diff(want, calls); diff != "" {
			t.Errorf("called (-want +got):\n%s", diff)
		}
	})
}

// Who asks for urgent data only is told of a hang-up too: the kernel reports
// it in each wait, and the loop would spin without anybody knowing.
func TestWatchUrgentHangUp(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		p := newPair(t)
		calls := 0
		watch(t, l, p.r, urgent, func(ready interest) {
			calls++
			if ready != urgent {
				t.Errorf("called with %v", ready)
			}
		})
		p.closeWrite()
		poll(t, l, 0)
		if events := l.Stats().Events; events != uint64(calls) {
			t.Errorf("%d events, %d calls", events, calls)
		}
	})
}

// A file is always ready, on every backend.
func TestWatchFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var w *loop.Watch
		calls := 0
		w = watch(t, l, int(f.Fd()), readable, func(ready interest) {
			if ready != readable {
				t.Errorf("called with %v", ready)
			}
			if calls++; calls == 5 {
				w.Stop()
			}
		})
		run(t, l)
		if calls != 5 {
			t.Errorf("called %d times, want 5", calls)
		}
	})
}

func TestWatchSet(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		p := newPair(t)
		p.write("x")
		var got []interest
		var w *loop.Watch
		next := []interest{writable, readable | writable, 0}
		w = watch(t, l, p.r, readable, func(ready interest) {
			got = append(got, ready)
			if len(next) > 0 {
				w.Set(next[0])
				next = next[1:]
			}
		})
		for range 6 {
			poll(t, l, 0)
		}
		if diff := gocmp.Diff([]interest{readable, writable, readable | writable}, got); diff != "" {
			t.Errorf("called (-want +got):\n%s", diff)
		}
		// At rest, a hang-up does not spin either.
		p.closeWrite()
		events := l.Stats().Events
		for range 3 {
			poll(t, l, 0)
		}
		if n := l.Stats().Events - events; n != 0 {
			t.Errorf("%d events of a Watch at rest", n)
		}
		got = nil
		w.Set(readable)
		poll(t, l, 0)
		poll(t, l, 0)
		if !slices.Contains(got, readable) {
			t.Error("not called after Set")
		}
		w.Stop()
		w.Set(readable) // harmless
		run(t, l)
	})
}

// What a callback takes back is not delivered to the others of its batch.
func TestWatchSetOther(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		var ws [2]*loop.Watch
		var called []int
		for i := range ws {
			ws[i] = watch(t, l, ready(t).r, readable, func(interest) {
				called = append(called, i)
				ws[1-i].Set(0)
			})
		}
		poll(t, l, 0)
		if len(called) != 1 {
			t.Errorf("called: %v, want one of them", called)
		}
		poll(t, l, 0)
		if len(called) != 2 || called[0] != called[1] {
			t.Errorf("called: %v, want the same one again", called)
		}
	})
}

func TestWatchStopOther(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		ws := make([]*loop.Watch, 5)
		calls := 0
		for i := range ws {
			ws[i] = watch(t, l, ready(t).r, readable, func(interest) {
				calls++
				for _, w := range ws {
					w.Stop()
				}
			})
		}
		run(t, l)
		if s := l.Stats(); calls != 1 || s.StaleEvents != 4 || s.Events != 5 {
			t.Errorf("%d calls, %d events, %d of them stale; want 1, 5, 4", calls, s.Events, s.StaleEvents)
		}
	})
}

// The event of a registration that has ended reaches nobody, though its
// descriptor's number, and its place in the loop, have a new owner within the
// batch.
func TestWatchReuse(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		pipes := [2]*pipe{ready(t), ready(t)}
		var ws [2]*loop.Watch
		spare := newPipe(t)
		calls := 0
		for i := range ws {
			ws[i] = watch(t, l, pipes[i].r, readable, func(interest) {
				if calls++; calls > 1 {
					t.Fatal("the event of a Watch that was stopped was delivered")
				}
				pipes[i].drain()
				// The other one, whose event is in the same batch.
				ws[1-i].Stop()
				n := pipes[1-i].r
				pipes[1-i].closeRead()
				fd, err := unix.FcntlInt(uintptr(spare.r), unix.F_DUPFD_CLOEXEC, n)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { unix.Close(fd) })
				if fd != n {
					t.Skipf("number %d was taken by somebody else", n)
				}
				watch(t, l, fd, readable, func(interest) {
					t.Error("the event reached the descriptor's new owner")
				})
			})
		}
		poll(t, l, 0)
		if calls != 1 {
			t.Errorf("%d calls, want 1", calls)
		}
		if s := l.Stats(); s.StaleEvents != 1 {
			t.Errorf("Stats.StaleEvents = %d, want 1", s.StaleEvents)
		}
	})
}

// A Watch that is made in a callback gets its first event in the next turn.
func TestWatchInCallback(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		var turns []uint64
		left := 4
		var more func(interest)
		add := func() {
			var w *loop.Watch
			w = watch(t, l, ready(t).r, readable, func(ready interest) {
				w.Stop()
				more(ready)
			})
		}
		more = func(interest) {
			turns = append(turns, l.Stats().Turns)
			if left--; left > 0 {
				add()
			}
		}
		add()
		run(t, l)
		if diff := gocmp.Diff([]uint64{1, 2, 3, 4}, turns); diff != "" {
			t.Errorf("called in turns (-want +got):\n%s", diff)
		}
	})
}

func TestWatchRefused(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		never := func(interest) { t.Error("called") }
		p := ready(t)
		for _, test := range []struct {
			name string
			fd   int
			want interest
			fn   func(interest)
			err  error // nil: any
		}{
			{"negative", -1, readable, never, syscall.EBADF},
			{"not open", 999, readable, never, syscall.EBADF},
			{"no function", p.r, readable, nil, nil},
			{"a hint", p.r, readable | asyncore.HangUp, never, nil},
		} {
			w, err := l.Watch(test.fd, test.want, test.fn)
			if w != nil || err == nil || test.err != nil && !errors.Is(err, test.err) {
				t.Errorf("%s: Watch = %v, %v; want %v", test.name, w, err, test.err)
			}
			if test.err != nil && err != nil && !strings.Contains(err.Error(), fmt.Sprint(test.fd)) {
				t.Errorf("%s: %q does not name the descriptor", test.name, err)
			}
		}
		// Twice: the first one stands.
		calls := 0
		w := watch(t, l, p.r, readable, func(interest) { calls++ })
		if _, err := l.Watch(p.r, readable, never); !errors.Is(err, syscall.EEXIST) {
			t.Errorf("second Watch of a descriptor: %v", err)
		}
		poll(t, l, 0)
		if calls != 1 {
			t.Errorf("%d calls of the first Watch, want 1", calls)
		}
		w.Stop()
		run(t, l)
	})
}

func TestWatchLimit(t *testing.T) {
	if !slices.Contains(asyncore.Backends(), "select") {
		t.Skip("no select here")
	}
	l := open(t, loop.Config{Poller: "select"})
	_, err := l.Watch(1<<20, readable, func(interest) {})
	if limit, ok := errors.AsType[*asyncore.FDLimitError](err); !ok || limit.FD != 1<<20 {
		t.Errorf("Watch of a large number: %v", err)
	}
}

// An interest that the poller refuses ends the Watch, which is logged, and the
// poller has forgotten the descriptor: its events would go on for ever.
func TestWatchSetRefused(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		var log journal
		l := open(t, loop.Config{Poller: poller, Logger: log.logger()})
		p := ready(t)
		w := watch(t, l, p.r, readable, func(interest) {})
		w.Set(readable | asyncore.HangUp)
		poll(t, l, 0)
		if !strings.Contains(log.String(), "watch ended") {
			t.Errorf("the log says nothing: %q", log.String())
		}
		poll(t, l, 0)
		if n := l.Stats().StaleEvents; n > 0 {
			t.Errorf("%d stale events", n)
		}
		calls := 0
		watch(t, l, p.r, readable, func(interest) { calls++ })
		poll(t, l, 0)
		if calls != 1 {
			t.Errorf("%d calls of a new Watch, want 1", calls)
		}
	})
}
