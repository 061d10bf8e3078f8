package asynctest

import (
	"syscall"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// EveryFault plays a scenario once as it is, and then again for each system call
// that the loop made in it and each errno with which a kernel may answer that
// call: failed once, and failed from there on. Nothing may break by it. What the
// scenario expects of a peer whose connection the fault has ended does not count;
// what else may have changed it can ask [World.Faulted].
//
// The environment variable SIM_TAPE replays one of them.
func EveryFault(t testing.TB, scenario func(*World)) {
	t.Helper()
	r := newRunner(t, Config{Seeds: 1, Poller: flavours[0]}, scenario)
	r.sweep = true
	r.run()
}

// atCall is the choice of what happens to a call: its id is the call's number.
const atCall = "fault at call"

// call is a call that can fail: its number, and in how many ways, with that in
// which it does not.
type call struct{ number, choices int }

// swept is what EveryFault has chosen for a call.
func (w *World) swept(c faultsys.Call) (errno syscall.Errno, lasts bool) {
	legal := faultsys.Legal(c)
	if len(legal) == 0 {
		return 0, false
	}
	var lasting []syscall.Errno
	for _, e := range legal {
		if faultsys.Lasts(c, e) {
			lasting = append(lasting, e)
		}
	}
	n := 1 + len(legal) + len(lasting)
	number := w.f.Calls()
	w.calls = append(w.calls, call{number, n})
	v := w.tape.Choose(atCall, number, n)
	switch {
	case v == 0:
		return 0, false
	case v <= len(legal):
		return legal[v-1], false
	}
	errno = lasting[v-1-len(legal)]
	w.faults = append(w.faults, &fault{call: c, errno: errno, times: -1})
	return errno, true
}

// sweepAll plays the world of each fault, and returns the first failure.
func (r *runner) sweepAll() *outcome {
	clean := r.play(tape.Replay(nil), false)
	if clean.failure != nil {
		return clean
	}
	for _, c := range clean.calls {
		for v := 1; v < c.choices; v++ {
			draws := []tape.Draw{{Site: atCall, ID: c.number, N: c.choices, V: v}}
			if o := r.play(tape.Replay(draws), false); o.failure != nil {
				return o
			}
		}
	}
	return nil
}
