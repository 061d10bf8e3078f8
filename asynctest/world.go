package asynctest

import (
	"fmt"
	"log/slog"
	"net/netip"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// World is a simulated kernel with one loop in it, which runs the code under
// test, and the peers that talk to it. Its clock jumps from one event to the
// next, so that hours take no time, and nothing happens in it by itself: what a
// scenario asks for is done while it is in one of Advance, Quiesce, [Peer.Expect]
// and [Peer.ExpectClosed]. None of them may be called in a callback.
//
// The loop's host has the address 10.0.0.1, and each peer one of its own.
type World struct {
	c    Config
	tape *tape.Tape
	k    *sim.Kernel
	host *sim.Process
	sys  *system       // between the loop and host
	f    *faultsys.Sys // and between the loop and that
	l    *loop.Loop
	e    *core.Engine // of l

	peers    []*Peer
	connects int    // that peers have begun
	room     []byte // what peers receive into
	timeline timeline
	swarm    swarm
	faults   []*fault
	sweep    bool // EveryFault
	calm     bool // nothing is to be injected
	faulted  bool // a fault may have changed what the scenario sees
	global   bool // one that cannot be put down to a single peer

	calls     []call // what EveryFault had to choose
	lives     []*life
	depth     int    // callbacks under way
	callbacks int    // that have begun since it was last asked
	panics    uint64 // of the loop's
	panicked  string // what the last one said
	mayPanic  bool   // they do not fail the world

	began      time.Time // by the clock on the wall
	goroutines int       // that there were then

	started int64
	epoch   int64 // of the loop's clock
	driver
	failure  *failure
	told     bool // and it has been reported
	cleanups []func()
}

// hostIP is the address of the loop's host.
var hostIP = netip.AddrFrom4([4]byte{10, 0, 0, 1})

// failure is why a world has failed. While it is made smaller, the kind must
// stay the same.
type failure struct {
	kind, text string
	where      string // in the scenario; "" if nowhere
}

func (f *failure) String() string {
	if f.where == "" {
		return f.text
	}
	return f.where + ": " + f.text
}

// stop is what Fatalf panics with.
type stop struct{}

// newWorld makes a world whose choices are t's.
func newWorld(c Config, t *tape.Tape, trace, sweep bool) *World {
	w := &World{c: c.withDefaults(), tape: t, k: sim.New(t), room: make([]byte, 16<<10), sweep: sweep, calm: true}
	w.began, w.goroutines = time.Now(), runtime.NumGoroutine()
	w.k.Hosts = w.c.Hosts
	w.timeline.on = trace
	w.started = w.k.Now()
	if trace {
		w.k.Trace(w.traced)
	}
	w.swarm.draw(w)
	w.host = w.k.Process(sim.ProcessConfig{Name: "loop", IP: hostIP, Poller: w.flavour(), ReuseLast: w.swarm.reuse})
	w.swarm.buffers(w, w.host, 0)
	w.sys = newSystem(w, w.host)
	w.f = faultsys.New(reporter{w}, w.sys)
	w.f.Inject(w.inject)
	config := w.c.Loop
	config.Poller, config.Debug = "", true
	config.Logger = slog.New(&logger{w: w, next: config.Logger})
	l, err := core.On(config, w.f)
	if err != nil {
		w.fail("loop", "making a loop: %v", err)
		return w
	}
	w.l = l.(*loop.Loop)
	w.e = core.Of(w.l)
	w.epoch = w.k.Now()
	w.calm = false
	return w
}

// traced takes the kernel's lines: when, who, and what. What peers do they note
// themselves.
func (w *World) traced(format string, args ...any) {
	_, line, _ := strings.Cut(fmt.Sprintf(format, args...), " ")
	who, what, found := strings.Cut(line, ": ")
	socket, arrived := strings.CutPrefix(who, "bytes of connection ")
	switch {
	case arrived:
		w.note("network", "%s bytes of socket %s arrive", what, socket)
	case strings.HasPrefix(what, "event "): // the poller has it, with its descriptor
	case !found:
		w.note("kernel", "%s", line)
	case !strings.HasPrefix(who, "peer "):
		w.note(who, "%s", what)
	}
}

var flavours = []string{"epoll", "kqueue", "poll", "select"}

func (w *World) flavour() string {
	switch {
	case w.c.Poller != "":
		return w.c.Poller
	case w.c.Faults == None:
		return flavours[0]
	}
	return flavours[w.tape.Choose("poller", 0, len(flavours))]
}

// Loop is the loop under test, an ordinary one: give it to the code that makes
// listeners, dials and sets timers.
func (w *World) Loop() *loop.Loop { return w.l }

// Now is the time since the world began.
func (w *World) Now() time.Duration { return time.Duration(w.k.Now() - w.started) }

// Choose gives the scenario a choice of its own: a number from 0 to n-1, which
// each seed draws anew and a replay repeats. 0 is to be the plainest.
func (w *World) Choose(n int) int { return w.tape.Choose("scenario", 0, n) }

// Errorf fails the world, and goes on. It takes the place of the test's own
// Errorf: the scenario is then played again, to find out how little it takes.
func (w *World) Errorf(format string, args ...any) { w.fail(format, format, args...) }

// Fatalf is Errorf and ends the scenario. It may be called in a callback.
func (w *World) Fatalf(format string, args ...any) {
	w.fail(format, format, args...)
	panic(stop{})
}

// Logf writes a line into the timeline.
func (w *World) Logf(format string, args ...any) { w.note("scenario", format, args...) }

// fail keeps the first failure; what follows may be its doing.
func (w *World) fail(kind, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	line, _, _ := strings.Cut(text, "\n")
	w.note("FAIL", "%s", line)
	if w.failure == nil {
		w.failure = &failure{kind: kind, text: text, where: caller()}
	}
}

// hint is what may be behind a failure, besides the code under test.
func (w *World) hint() string {
	var hit []string
	for _, p := range w.peers {
		if p.Faulted() {
			hit = append(hit, p.String())
		}
	}
	more := runtime.NumGoroutine() - w.goroutines
	switch {
	case len(hit) > 0:
		return fmt.Sprintf(" (a fault has hit %s before: see World.Faulted)", strings.Join(hit, ", "))
	case more == 1:
		return " (there is a goroutine more than when the world began, which does not wait for it)"
	case more > 1:
		return fmt.Sprintf(" (there are %d goroutines more than when the world began, which does not wait for them)", more)
	}
	return ""
}

// check ends a scenario that has failed.
func (w *World) check() {
	if w.failure != nil {
		panic(stop{})
	}
}

// caller is the line of the scenario that is under way.
func caller() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	for {
		f, more := frames.Next()
		if f.Function != "" && (!ours(f.Function) && !standard(f.File) || strings.HasSuffix(f.File, "_test.go")) {
			return fmt.Sprintf("%s:%d", path.Base(f.File), f.Line)
		}
		if !more {
			return ""
		}
	}
}

// standard tells whether a file is the standard library's.
func standard(file string) bool {
	var pc [1]uintptr
	f, _ := runtime.CallersFrames(pc[:runtime.Callers(0, pc[:])]).Next() // runtime.Callers itself
	src, found := strings.CutSuffix(f.File, "runtime/extern.go")
	return found && src != "" && strings.HasPrefix(file, src)
}

// module begins the names of all functions of the library's.
const module = "github.com/seed-20e08ac4/asyncore/"

// ours tells whether a function belongs to what lies between a scenario and the
// place where it fails.
func ours(function string) bool {
	name, inside := strings.CutPrefix(function, module)
	if !inside {
		return strings.HasPrefix(function, "runtime.")
	}
	for _, p := range []string{"asynctest.", "internal/", "loop.", "channel.", "chat."} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

func (w *World) note(who, format string, args ...any) {
	if w.timeline.on {
		w.timeline.add(w.k.Now()-w.started, w.turns, who, format, args...)
	}
}

// finish ends the world: the loop closes, and nothing may be left of it.
func (w *World) finish() {
	w.calm = true
	w.faults = nil
	if w.failure != nil {
		w.timeline.on = false // what comes now is of no interest
	}
	if w.l != nil {
		w.l.Close()
		if w.failure == nil {
			w.checkEnd()
		}
	}
	for _, p := range w.peers {
		p.discard()
	}
	for _, f := range w.cleanups {
		f()
	}
}

// reporter takes what faultsys has to report.
type reporter struct{ w *World }

func (r reporter) Helper() {}
func (r reporter) Errorf(format string, args ...any) {
	r.w.fail(format, format, args...)
}
func (r reporter) Cleanup(f func()) { r.w.cleanups = append(r.w.cleanups, f) }
