package proof

import (
	"flag"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
)

// family is a kind of scenario, whose shape is drawn.
type family struct {
	name string
	play func(w *world)
}

var families = []family{
	{"echo", echoes},
	{"relay", relay},
	{"chat", chats},
	{"producer", producers},
	{"mob", mobs},
	{"listener", listeners},
	{"dial", dials},
	{"packet", packets},
	{"timer", timers},
	{"watch", watches},
	{"fair", fairness},
	{"hoard", hoards},
}

var kinds = []struct {
	name   string
	faults asynctest.Faults
}{
	{"benign", asynctest.Benign},
	{"swarm", asynctest.Swarm},
}

// quickSeeds is how many worlds of each family and kind a run has that was not
// asked for more.
const quickSeeds = 12

// TestSim plays each family from random seeds. SIM_SEEDS says in how many worlds in
// all, and SIM_CANARY has one of the families be a server that is wrong.
func TestSim(t *testing.T) {
	began, before := time.Now(), played.Load()
	t.Cleanup(func() {
		took := time.Since(began)
		n := played.Load() - before
		t.Logf("%d worlds in %v: %.0f a second", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
	})
	all := families
	if os.Getenv("SIM_CANARY") != "" {
		all = append(slices.Clone(all), canary)
	}
	for _, f := range all {
		for _, k := range kinds {
			t.Run(f.name+"/"+k.name, func(t *testing.T) {
				oneOf(t)
				asynctest.Run(t, asynctest.Config{Seeds: quickSeeds, Faults: k.faults, Timeout: time.Hour}, scenario(f.play, k.faults))
			})
		}
	}
}

// failed tells that one of the tests that run beside each other has.
var failed atomic.Bool

// oneOf has a test run beside others, unless one of them has failed and -failfast
// says that this is enough: package testing asks only before they begin.
func oneOf(t *testing.T) {
	t.Parallel()
	if f := flag.Lookup("test.failfast"); failed.Load() && f != nil && f.Value.String() == "true" {
		t.Skip("another one has failed")
	}
	t.Cleanup(func() {
		if t.Failed() {
			failed.Store(true)
		}
	})
}
