//go:build unix

package core_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/systest"
)

const (
	readable = asyncore.Readable
	writable = asyncore.Writable
	urgent   = asyncore.Urgent
)

var errEnd = errors.New("the end")

// fixture is an engine under a manual clock, with a diary of what it calls.
type fixture struct {
	*core.Engine
	t      *testing.T
	system *systest.System
	did    []string
}

func newFixture(t *testing.T, poller string) *fixture {
	t.Helper()
	f := &fixture{t: t, system: systest.New(0)}
	e, err := core.New(f.system, core.Options{
		Poller:     poller,
		Logger:     slog.New(slog.DiscardHandler),
		MaxPosts:   100,
		PanicError: func(v any, _ []byte) error { return fmt.Errorf("panic: %v", v) },
		Closed:     errEnd,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Engine = e
	t.Cleanup(func() { e.Close(errEnd) })
	return f
}

// each runs f for every backend of this system.
func each(t *testing.T, f func(t *testing.T, f *fixture)) {
	t.Helper()
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) { f(t, newFixture(t, name)) })
	}
}

func (f *fixture) note(format string, args ...any) {
	f.did = append(f.did, fmt.Sprintf(format, args...))
}

// turn runs one turn that does not wait.
func (f *fixture) turn() {
	f.t.Helper()
	if err := f.Turn(0); err != nil {
		f.t.Fatal(err)
	}
}

// expect compares the diary, and begins a new one.
func (f *fixture) expect(want ...string) {
	f.t.Helper()
	if diff := cmp.Diff(want, f.did); diff != "" {
		f.t.Errorf("did (-want +got):\n%s", diff)
	}
	f.did = nil
}

// expectCalls does the same with what the poller was asked.
func (f *fixture) expectCalls(want ...string) {
	f.t.Helper()
	if diff := cmp.Diff(want, f.system.Poller.Calls); diff != "" {
		f.t.Errorf("calls of the poller (-want +got):\n%s", diff)
	}
	f.system.Poller.Calls = nil
}

// source behaves as a channel does: Fail makes its close due, once, and Finish
// gives its place back.
type source struct {
	f     *fixture
	name  string
	token uint64
	ended bool

	ready, flush, finish func()
}

func (f *fixture) source(name string, fd int) *source {
	s := &source{f: f, name: name}
	s.token = f.Register(s, fd)
	return s
}

func (s *source) call(hook string, fn func(), what string) {
	s.f.Enter(s, hook)
	s.f.note("%s %s", what, s.name)
	if fn != nil {
		fn()
	}
	s.f.Leave()
}

func (s *source) Ready(ready asyncore.Interest) {
	s.call("ready", s.ready, fmt.Sprintf("ready(%v)", ready))
}
func (s *source) Flush() { s.call("flush", s.flush, "flush") }
func (s *source) Finish() {
	s.f.Unregister(s.token)
	s.call("finish", s.finish, "finish")
}
func (s *source) Describe() string { return s.name }

func (s *source) Fail(err error) {
	if !s.ended {
		s.ended = true
		s.f.note("fail %s: %v", s.name, err)
		s.f.Due(s)
	}
}

// expirer is a timer's owner.
type expirer func()

func (fn expirer) Expire() { fn() }

func pipe(t *testing.T) (r, w int) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
		t.Cleanup(func() { unix.Close(fd) })
	}
	return fds[0], fds[1]
}

// full returns the reading end of a pipe with something in it.
func full(t *testing.T) int {
	t.Helper()
	r, w := pipe(t)
	if _, err := unix.Write(w, []byte("x")); err != nil {
		t.Fatal(err)
	}
	return r
}

// The whole order of a turn.
func TestTurn(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		fd := full(t)
		s := f.source("s", fd)
		s.ready = func() {
			if len(f.did) == 1 {
				f.Want(s.token, writable)
				f.Again(s.token)
				f.Post(func() { f.note("post of ready") })
			}
		}
		s.flush = func() {
			if !slices.Contains(f.did, "finish s") {
				f.Dirty(s) // for the flush after the closes
			}
		}
		f.Want(s.token, readable)
		if err := f.Apply(s.token); err != nil {
			t.Fatal(err)
		}
		f.Again(s.token)
		f.Dirty(s)
		f.Due(s)
		f.Post(func() { f.note("post") })
		var timer core.Timer
		f.Arm(&timer, expirer(func() { f.note("timer") }), 0)
		f.system.Poller.Calls = nil
		f.turn()
		f.expect(
			"ready(readable) s", // the one asked for before the turn too
			"timer",
			"post",
			"post of ready",
			"flush s",
			"finish s",
			"flush s",
		)
		f.expectCalls(fmt.Sprintf("remove %d", fd)) // no change of interest for what has ended
		f.turn()
		f.expect()
	})
}

// What comes during a phase waits for the next turn.
func TestTurnTakesAtStart(t *testing.T) {
	f := newFixture(t, "")
	s := f.source("s", -1)
	s.ready = func() { f.Again(s.token) }
	s.finish = func() {
		if s.token = f.Register(s, -1); f.Turns == 1 {
			f.Due(s)
		}
	}
	f.Again(s.token)
	f.Due(s)
	f.turn()
	f.expect("ready(none) s", "finish s")
	f.turn()
	f.expect("finish s") // and the other was for the registration before
	f.turn()
	f.expect()
}

// A source that always wants more has its share of each turn once, with events
// and without.
func TestAgainOnceATurn(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		s := f.source("s", full(t))
		s.ready = func() {
			f.Again(s.token)
			f.Again(s.token)
		}
		f.Want(s.token, readable)
		if err := f.Apply(s.token); err != nil {
			t.Fatal(err)
		}
		f.Again(s.token)
		for range 3 {
			f.turn()
			f.expect("ready(readable) s")
		}
		f.Want(s.token, 0)
		for range 2 {
			f.turn()
			f.expect("ready(none) s")
		}
	})
}

// Interest reaches the poller at the end of the turn, once, and only if it is
// another one by then.
func TestWant(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			t.Cleanup(func() { unix.Close(fd) })
		}
		fd := fds[0]
		s := f.source("s", fd)
		f.Want(s.token, readable)
		f.Want(s.token, readable|writable)
		f.Want(s.token, readable)
		f.expectCalls()
		f.turn()
		f.expectCalls(fmt.Sprintf("add %d readable", fd))

		f.Want(s.token, readable|writable)
		f.Want(s.token, readable)
		f.turn()
		f.expectCalls() // back to what it was

		f.Want(s.token, writable)
		f.turn()
		f.expectCalls(fmt.Sprintf("modify %d writable", fd))
		f.turn()
		f.expect("ready(writable) s")
		f.Want(s.token, 0)
		if got := f.Wanted(s.token); got != 0 {
			t.Errorf("Wanted = %v", got)
		}
		f.turn() // its event is there, but nobody wants it any more
		f.expect()
		f.expectCalls(fmt.Sprintf("remove %d", fd))

		f.Want(s.token, readable)
		if err := f.Apply(s.token); err != nil {
			t.Fatal(err)
		}
		f.expectCalls(fmt.Sprintf("add %d readable", fd))
		if at, ok := f.NextDeadline(); ok {
			t.Errorf("NextDeadline = %v: nothing is pending after Apply", at)
		}
		f.Unregister(s.token)
		f.expectCalls(fmt.Sprintf("remove %d", fd))
		f.Unregister(s.token)
		f.turn()
		f.expectCalls()
		if err := f.Apply(s.token); err != nil {
			t.Errorf("Apply of what has ended: %v", err)
		}
	})
}

// A change that waits for the end of the turn is not another registration's,
// though it gets the place.
func TestWantReuse(t *testing.T) {
	f := newFixture(t, "")
	a := f.source("a", full(t))
	f.Want(a.token, readable)
	f.Unregister(a.token)
	fd := full(t)
	b := f.source("b", fd)
	f.turn()
	f.expectCalls()
	f.Want(b.token, readable)
	f.turn()
	f.expectCalls(fmt.Sprintf("add %d readable", fd))

	// The same in one turn.
	f.Want(b.token, 0)
	f.Unregister(b.token)
	f.system.Poller.Calls = nil
	fd = full(t)
	c := f.source("c", fd)
	f.Want(c.token, readable)
	f.turn()
	f.expectCalls(fmt.Sprintf("add %d readable", fd))
	f.turn()
	f.expect("ready(readable) c")
}

// A registration that changes hands is nothing to the poller, and events go to
// the new source.
func TestTransfer(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		fd := full(t)
		from, to := f.source("from", fd), f.source("to", -1)
		f.Want(from.token, readable)
		f.turn()
		f.Unregister(to.token)
		f.Transfer(from.token, to)
		to.token = from.token
		f.Want(to.token, readable)
		f.turn()
		f.expectCalls(fmt.Sprintf("add %d readable", fd))
		f.expect("ready(readable) to")
		f.Unregister(to.token)
		if f.Alive() {
			t.Error("a registration is left")
		}
	})
}

// A descriptor that was closed and opened again behind the engine's back: its
// next change of interest registers it anew.
func TestModifyForgotten(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		r, _ := pipe(t)
		s := f.source("s", r)
		f.Want(s.token, readable)
		f.turn()
		other := full(t)
		if err := unix.Close(r); err != nil {
			t.Fatal(err)
		}
		if fd, err := unix.FcntlInt(uintptr(other), unix.F_DUPFD_CLOEXEC, r); err != nil || fd != r {
			t.Skipf("number %d was taken by somebody else: %d, %v", r, fd, err)
		}
		f.Want(s.token, readable|urgent)
		f.turn()
		f.turn()
		if !slices.Contains(f.did, "ready(readable) s") {
			t.Errorf("did %q", f.did)
		}
	})
}

// What the poller refuses at the end of a turn fails its source.
func TestWantRefused(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		s, other := f.source("s", 999), f.source("other", full(t))
		f.Want(s.token, readable)
		f.Want(other.token, readable)
		f.turn()
		if !s.ended || other.ended {
			t.Fatalf("did %q", f.did)
		}
		f.did = nil
		f.turn()
		f.expect("ready(readable) other", "finish s")
	})
}

// The generation tells registrations apart that have the same place.
func TestTokens(t *testing.T) {
	f := newFixture(t, "")
	seen := map[uint64]bool{}
	var kept []*source
	for i := range 1000 {
		s := f.source("s", -1)
		if seen[s.token] {
			t.Fatalf("token %#x was given twice", s.token)
		}
		seen[s.token] = true
		if i%10 == 0 {
			kept = append(kept, s)
		} else {
			f.Unregister(s.token)
		}
	}
	for _, s := range kept {
		f.Unregister(s.token)
		f.Unregister(s.token) // and not the place's next owner
	}
	if f.Alive() {
		t.Error("registrations are left")
	}
}

// An event of a registration that has ended reaches nobody, and is counted.
func TestStaleEvents(t *testing.T) {
	f := newFixture(t, "")
	a := f.source("a", full(t))
	old := a.token
	f.Unregister(old)
	b := f.source("b", full(t))
	if uint32(b.token) != uint32(old) {
		t.Fatalf("tokens %#x and %#x: the place was not reused", old, b.token)
	}
	f.Want(b.token, readable)
	f.turn()
	f.system.Poller.Forged = []asyncore.Event{{Token: old, Ready: readable}, {Token: old, Ready: readable | writable}}
	f.turn()
	f.expect("ready(readable) b")
	if f.Stale != 2 || f.Events != 3 {
		t.Errorf("%d stale events of %d, want 2 of 3", f.Stale, f.Events)
	}
}

// HangUp and Fault stand for the directions that are wanted.
func TestHints(t *testing.T) {
	hup, fault := asyncore.HangUp, asyncore.Fault
	for _, test := range []struct {
		want, event asyncore.Interest
		did         string // "": nothing
	}{
		{readable, readable, "readable"},
		{readable, writable, ""},
		{readable, hup, "readable"},
		{readable, fault, "readable"},
		{readable | writable, readable, "readable"},
		{readable | writable, hup, "readable|writable"},
		{readable | urgent, hup | fault, "readable"},
		{readable | urgent, hup | urgent, "readable|urgent"},
		{urgent, hup, "urgent"},
		{urgent, readable, ""},
		{0, hup | fault | readable, ""},
	} {
		f := newFixture(t, "")
		s := f.source("s", full(t))
		f.Want(s.token, test.want)
		f.system.Poller.Forged = []asyncore.Event{{Token: s.token, Ready: test.event}}
		f.turn()
		var want []string
		if test.did != "" {
			want = []string{"ready(" + test.did + ") s"}
		}
		if !slices.Equal(f.did, want) {
			t.Errorf("wants %v, event %v: did %q, want %q", test.want, test.event, f.did, want)
		}
	}
}

// A panic in any hook ends its source, and the phase goes on with the next.
func TestPanicInHook(t *testing.T) {
	for _, hook := range []string{"event", "again", "flush", "finish"} {
		t.Run(hook, func(t *testing.T) {
			f := newFixture(t, "")
			var all []*source
			for _, name := range []string{"a", "b", "c"} {
				s := f.source(name, full(t))
				all = append(all, s)
				oops := func() {
					if name == "b" {
						panic("oops")
					}
				}
				switch hook {
				case "event":
					s.ready = oops
					f.Want(s.token, readable)
					f.system.Poller.Forged = append(f.system.Poller.Forged, asyncore.Event{Token: s.token, Ready: readable})
				case "again":
					s.ready = oops
					f.Again(s.token)
				case "flush":
					s.flush = oops
					f.Dirty(s)
				case "finish":
					s.finish = oops
					s.ended = true
					f.Due(s)
				}
			}
			f.turn()
			switch hook {
			case "event":
				f.expect("ready(readable) a", "ready(readable) b", "fail b: panic: oops", "ready(readable) c", "finish b")
			case "again":
				f.expect("ready(none) a", "ready(none) b", "fail b: panic: oops", "ready(none) c", "finish b")
			case "flush":
				f.expect("flush a", "flush b", "fail b: panic: oops", "flush c", "finish b")
			case "finish":
				f.expect("finish a", "finish b", "finish c")
			}
			if f.Panics != 1 {
				t.Errorf("Panics = %d", f.Panics)
			}
			f.did = nil
			for _, s := range all {
				f.Unregister(s.token)
			}
			f.turn()
			f.expect()
		})
	}
}

// Where a panic is the caller's to handle, what the turn has not come to waits
// for the next one; nothing is done twice.
func TestCrash(t *testing.T) {
	for _, where := range []string{"again", "timer", "post", "flush", "finish"} {
		t.Run(where, func(t *testing.T) {
			f := newFixture(t, "")
			f.CrashOnPanic = true
			oops := func(here, name string) func() {
				return func() {
					if here == where && name == "b" {
						panic("oops")
					}
				}
			}
			var want []string
			var timers [3]core.Timer
			for i, name := range []string{"a", "b", "c"} {
				s := f.source(name, -1)
				s.ready = oops("again", name)
				s.flush = oops("flush", name)
				s.finish = oops("finish", name)
				f.Again(s.token)
				f.Arm(&timers[i], expirer(func() { f.note("timer %s", name); oops("timer", name)() }), 0)
				f.Post(func() { f.note("post %s", name); oops("post", name)() })
				f.Dirty(s)
				f.Due(s)
				for _, what := range []string{"ready(none)", "timer", "post", "flush", "finish"} {
					want = append(want, what+" "+name)
				}
			}
			func() {
				defer func() {
					if v := recover(); v != "oops" {
						t.Errorf("recovered %v", v)
					}
				}()
				f.Turn(0)
			}()
			if f.InTurn() {
				t.Error("the turn goes on")
			}
			f.turn()
			slices.Sort(want)
			slices.Sort(f.did)
			f.expect(want...)
		})
	}
}

// Between a turn that has ended so and the next wait, a post wakes the poller.
func TestCrashThenPost(t *testing.T) {
	each(t, func(t *testing.T, f *fixture) {
		f.CrashOnPanic = true
		f.Post(func() { panic("oops") })
		func() {
			defer func() { recover() }()
			f.Turn(0)
		}()
		fd := f.Poller().FD()
		if fd < 0 {
			t.Skip("this poller has no descriptor to look at")
		}
		f.Post(func() { f.note("post") })
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 0); n != 1 {
			t.Errorf("the poller's descriptor is not readable: %d, %v", n, err)
		}
		f.turn()
		f.expect("post")
	})
}

// A callback that ends its goroutine closes every source, also those whose
// closes were due in the same phase; so does one that does it while the engine
// closes.
func TestGoexitInHook(t *testing.T) {
	for _, hook := range []string{"ready", "flush", "finish", "close"} {
		t.Run(hook, func(t *testing.T) {
			f := newFixture(t, "")
			var all []*source
			for _, name := range []string{"a", "b", "c", "d"} {
				s := f.source(name, -1)
				all = append(all, s)
				exit := func() {
					if name == "b" {
						runtime.Goexit()
					}
				}
				switch hook {
				case "ready":
					s.ready = exit
					f.Again(s.token)
				case "flush":
					s.flush = exit
					f.Dirty(s)
				case "finish":
					s.finish = exit
					if name != "d" { // which is not on its way out yet
						s.ended = true
						f.Due(s)
					}
				case "close":
					s.finish = exit
				}
			}
			done := make(chan bool)
			go func() {
				defer close(done)
				if hook == "close" {
					f.Close(errEnd)
				} else {
					f.Turn(0)
				}
				t.Error("the callback has not ended its goroutine")
			}()
			<-done
			for _, s := range all {
				n := 0
				for _, did := range f.did {
					if did == "finish "+s.name {
						n++
					}
				}
				if n != 1 {
					t.Errorf("%s was finished %d times: %q", s.name, n, f.did)
				}
			}
			if !f.IsClosed() || f.InTurn() || f.system.Poller.Closed != 1 || f.Panics != 0 {
				t.Errorf("closed %v, in a turn %v, poller closed %d times, %d panics",
					f.IsClosed(), f.InTurn(), f.system.Poller.Closed, f.Panics)
			}
		})
	}
}

// Close tells each source why, and delivers the closes, in the order of their
// places. A closed engine takes no new sources: its users see to that.
func TestClose(t *testing.T) {
	f := newFixture(t, "")
	a, b := f.source("a", full(t)), f.source("b", full(t))
	f.Want(a.token, readable)
	f.turn()
	b.ended = true // by itself, and its close is due
	f.Due(b)
	f.Post(func() { f.note("post") })
	f.Again(a.token)
	f.Dirty(a)
	var timer core.Timer
	f.Arm(&timer, expirer(func() { f.note("timer") }), 0)
	f.Close(io.ErrUnexpectedEOF)
	f.Close(errEnd)
	f.expect(
		"post",
		"fail a: unexpected EOF",
		"finish b",
		"finish a",
	)
	if timer.Armed() || f.system.Poller.Closed != 1 {
		t.Errorf("timer armed %v, poller closed %d times", timer.Armed(), f.system.Poller.Closed)
	}
	if err := f.Post(func() {}); err != errEnd {
		t.Errorf("Post = %v", err)
	}
	if err := f.PostAlways(func() {}); err != errEnd {
		t.Errorf("PostAlways = %v", err)
	}
}

func TestArmBy(t *testing.T) {
	f := newFixture(t, "")
	var timer core.Timer
	at := func() int64 {
		at, ok := f.NextDeadline()
		if !ok {
			return -1
		}
		return at
	}
	nothing := expirer(func() { f.note("timer") })
	for _, step := range []struct{ by, want int64 }{{50, 50}, {60, 50}, {50, 50}, {40, 40}, {70, 40}} {
		f.ArmBy(&timer, nothing, step.by)
		if at() != step.want {
			t.Errorf("ArmBy %d: expires at %d, want %d", step.by, at(), step.want)
		}
	}
	f.Arm(&timer, nothing, 70)
	if at() != 70 {
		t.Errorf("Arm 70: expires at %d", at())
	}
	f.Disarm(&timer)
	f.Disarm(&timer)
	if timer.Armed() || at() != -1 {
		t.Errorf("after Disarm: armed %v, expires at %d", timer.Armed(), at())
	}
	f.ArmBy(&timer, nothing, 80)
	for timer.Armed() {
		if err := f.Turn(time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	f.expect("timer")
	if f.Now() != 80 || f.Timers != 1 {
		t.Errorf("%d timers have expired, at %d", f.Timers, f.Now())
	}
}

// The wait ends at the next deadline, at the limit, or at once if anything is
// pending.
func TestTimeouts(t *testing.T) {
	f := newFixture(t, "")
	s := f.source("s", -1)
	var timer core.Timer
	asked := func(limit time.Duration) time.Duration {
		t.Helper()
		f.Resume()
		f.system.Poller.Waits = nil
		if err := f.Turn(limit); err != nil {
			t.Fatal(err)
		}
		return f.system.Poller.Waits[0]
	}
	check := func(what string, got, want time.Duration) {
		t.Helper()
		if got != want {
			t.Errorf("%s: waited for %v, want %v", what, got, want)
		}
	}
	check("limit", asked(5), 5)
	arm := func() { f.Arm(&timer, expirer(func() {}), f.Now()+100) }
	arm()
	check("limit before a timer", asked(40), 40)
	check("timer without a limit", asked(-1), 60)
	arm()
	check("timer before the limit", asked(500), 100)
	arm()
	f.system.Advance(200)
	check("timer that is late", asked(-1), 0)
	f.Again(s.token)
	check("again", asked(-1), 0)
	f.Dirty(s)
	check("dirty", asked(-1), 0)
	f.Post(func() {})
	check("post", asked(-1), 0)
	f.Due(s)
	check("due", asked(-1), 0)
	check("none of these", asked(7), 7)
	if err := f.Wake(); err != nil {
		t.Fatal(err)
	}
	if before := f.Now(); asked(time.Hour) != time.Hour || f.Now() != before {
		t.Error("a wake-up has not ended the wait")
	}
}

// A source that waits for a descriptor to be closed hears of each.
func TestStarved(t *testing.T) {
	f := newFixture(t, "")
	a, b := f.source("a", -1), f.source("b", -1)
	f.Starved(a.token)
	f.Starved(b.token)
	f.Starved(a.token)
	f.turn()
	f.expect()
	fd, err := unix.Dup(full(t))
	if err != nil {
		t.Fatal(err)
	}
	f.CloseFD(fd)
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != syscall.EBADF {
		t.Errorf("the descriptor is still open: %v", err)
	}
	f.turn()
	f.expect("ready(none) a", "ready(none) b")
	f.CloseFD(-1)
	f.turn()
	f.expect()
}

// However many descriptors are ready, each is served in every turn: one whose
// event waited for the next would look idle.
func TestManyEvents(t *testing.T) {
	f := newFixture(t, "")
	const n = 2500
	fd := full(t)
	counts := make([]int, n)
	for i := range n {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Skipf("%d descriptors: %v", i, err)
		}
		t.Cleanup(func() { unix.Close(dup) })
		s := f.source("", dup)
		s.ready = func() { counts[i]++ }
		f.Want(s.token, readable)
		if err := f.Apply(s.token); err != nil {
			t.Skipf("%d descriptors: %v", i, err)
		}
	}
	const turns = 3
	for range turns {
		f.turn()
	}
	for i, c := range counts {
		if c != turns {
			t.Fatalf("descriptor %d was served %d times in %d turns", i, c, turns)
		}
	}
}

// Options that are errors.
func TestNewFails(t *testing.T) {
	if e, err := core.New(systest.New(0), core.Options{Poller: "nonsense"}); e != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("New = %v, %v", e, err)
	}
}
