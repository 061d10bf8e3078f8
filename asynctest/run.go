package asynctest

import (
	"fmt"
	"os"
	"runtime/debug"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// Run plays a scenario in as many worlds as c says, each with choices of its own,
// and fails t with the first world that fails: because the scenario says so by
// [World.Errorf] or [Peer.Expect], because a callback panics, or because something
// is broken that holds for every loop.
//
// The scenario is called many times, on the test's goroutine, and must make all
// that it needs anew, from the world: what it takes from elsewhere, be it the
// time, makes a world that cannot be played again. A failing one is played again
// and again to find out what it takes for it to fail. The report has what is left of
// it: a timeline, and a command that replays it. Its choices, the tape, are saved
// in testdata/sim, and played first whenever the test runs.
//
// The environment says more: SIM_SEED plays that seed only, SIM_SEEDS so many,
// SIM_TIME (as in 30s) as many as that takes, SIM_TAPE a tape; SIM_SHRINK is for how
// long a failure is made smaller, 20s by default; SIM_TRACE=1 prints
// the timeline of each, and SIM_CHECK_DETERMINISM is how many of 100 seeds are played
// twice, to compare, 5 by default.
//
// A world that takes more than a minute is failed: its scenario does not end.
func Run(t testing.TB, c Config, scenario func(*World)) {
	t.Helper()
	newRunner(t, c, scenario).run()
}

const (
	// shrinkTries and shrinkTime bound the search for a smaller failure.
	shrinkTries = 3000
	shrinkTime  = 20 * time.Second
)

// runner plays a scenario.
type runner struct {
	t        testing.TB
	c        Config
	scenario func(*World)
	sweep    bool // EveryFault
	settings
	err error  // of the settings
	dir string // of the saved tapes

	how string // replays what is played now
}

// outcome is what has become of one world.
type outcome struct {
	failure  *failure
	draws    []tape.Draw
	count    int // of draws
	calls    []call
	timeline timeline
	how      string
}

func newRunner(t testing.TB, c Config, scenario func(*World)) *runner {
	r := &runner{t: t, c: c.withDefaults(), scenario: scenario, dir: tapeDir(t.Name())}
	r.settings, r.err = readSettings(os.Getenv)
	return r
}

func (r *runner) run() {
	r.t.Helper()
	switch {
	case r.err != nil:
		r.t.Errorf("asynctest: %v", r.err)
	case r.c.check() != nil:
		r.t.Errorf("asynctest: %v", r.c.check())
	case r.tape != "":
		r.replay(r.tape)
	case r.c.Tape != nil:
		if o := r.play(tape.Bytes(r.c.Tape), r.trace); o.failure != nil {
			r.report(r.again(o.draws, o), "")
		}
	case !r.regress():
	case r.sweep:
		if o := r.sweepAll(); o != nil {
			r.settle(o)
		}
	default:
		r.seedAll()
	}
}

// regress replays the saved tapes, and tells whether all is well.
func (r *runner) regress() bool {
	r.t.Helper()
	for _, path := range savedTapes(r.dir) {
		if !r.replay(path) {
			return false
		}
	}
	return true
}

// replay plays a saved tape, and tells whether that went well.
func (r *runner) replay(path string) bool {
	r.t.Helper()
	draws, err := loadTape(path)
	if err != nil {
		r.t.Errorf("asynctest: %v", err)
		return false
	}
	r.how = "SIM_TAPE=" + path
	o := r.play(tape.Replay(draws), r.trace)
	if o.failure != nil {
		r.report(r.again(draws, o), path)
	}
	return o.failure == nil
}

// seedAll plays one world for each seed.
func (r *runner) seedAll() {
	r.t.Helper()
	began := time.Now()
	seeds := r.seeds
	if seeds < 0 {
		seeds = r.c.Seeds
	}
	played := 0
	for seed := r.first; ; seed++ {
		if r.span > 0 && time.Since(began) >= r.span || r.span == 0 && played >= seeds {
			break
		}
		o, ok := r.seed(seed)
		if !ok {
			return
		}
		if played++; o.count == 0 {
			break // nothing was left to choice: all seeds are this one
		}
	}
	if r.seeds > 1 || r.span > 0 {
		took := time.Since(began)
		r.t.Logf("%d seeds in %v: %.0f seeds/s", played, took.Round(time.Millisecond), float64(played)/took.Seconds())
	}
}

// seed plays the world of a seed, and tells whether it went well.
func (r *runner) seed(seed uint64) (o *outcome, ok bool) {
	r.t.Helper()
	r.how = fmt.Sprintf("SIM_SEED=%d", seed)
	twice := seed%100 < uint64(r.twice)
	before := r.t.Failed()
	o = r.play(tape.Random(seed), r.trace || twice)
	switch {
	case o.failure != nil:
		r.settle(o)
		return o, false
	case r.t.Failed() && !before:
		r.t.Logf("asynctest: the scenario has failed the test, not its World (by World.Errorf); again: %s", r.command(r.how))
		return o, false
	case !twice:
		return o, true
	}
	other := r.play(tape.Random(seed), true)
	if o.timeline.hash() != other.timeline.hash() {
		at, one, two := differ(&o.timeline, &other.timeline)
		r.t.Errorf("seed %d is not the same twice, from line %d of its timeline on:\n%s\n%s\nagain: %s",
			seed, at, one, two, r.command(r.how))
		return o, false
	}
	return o, true
}

// play plays one world.
func (r *runner) play(t *tape.Tape, trace bool) *outcome {
	r.t.Helper()
	w := newWorld(r.c, t, trace, r.sweep)
	r.scene(w)
	w.finish()
	if r.trace {
		r.t.Logf("%s\n%s", r.how, w.timeline.tail(len(w.timeline.lines)))
	}
	return &outcome{w.failure, t.Drawn(), t.Count(), w.calls, w.timeline, r.how}
}

// scene calls the scenario, which may end in several ways.
func (r *runner) scene(w *World) {
	r.t.Helper()
	returned := false
	defer func() {
		r.t.Helper()
		v := recover()
		switch {
		case returned:
		case v == nil: // the test's own FailNow, or Goexit
			r.t.Logf("asynctest: the scenario has ended the test, not its World (by World.Fatalf); again: %s", r.command(r.how))
			w.finish()
		case v != any(stop{}):
			w.fail("panic", "the scenario panicked: %v\n%s", v, frames(string(debug.Stack())))
		}
	}()
	if w.failure == nil {
		r.scenario(w)
	}
	returned = true
}

// settle makes a failure as small as it gets, saves it, and reports it.
func (r *runner) settle(o *outcome) {
	r.t.Helper()
	deadline := time.Now().Add(r.shrink)
	kind := o.failure.kind
	draws := o.draws
	if kind != endless { // of which each takes too long
		draws = tape.Shrink(draws, func(t *tape.Tape) bool {
			if time.Now().After(deadline) {
				return false
			}
			p := r.play(t, false)
			return p.failure != nil && p.failure.kind == kind
		}, shrinkTries)
	}
	last := r.again(draws, o)
	path := ""
	if len(draws) == 0 {
		last.how = "" // it fails anyway
	} else if saved, err := saveTape(r.dir, draws); err != nil {
		r.t.Logf("asynctest: %v", err)
	} else {
		path = saved
	}
	r.report(last, path)
}

// again plays the world that failed once more, for its timeline.
func (r *runner) again(draws []tape.Draw, was *outcome) *outcome {
	o := r.play(tape.Replay(draws), true)
	o.how = was.how
	if o.failure == nil {
		o.failure = &failure{text: was.failure.text + "\n(played again it did not fail: the scenario depends on something outside its World)",
			where: was.failure.where}
	}
	return o
}
