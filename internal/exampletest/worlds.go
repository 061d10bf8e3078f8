package exampletest

import (
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
)

// Worlds plays a scenario in simulated worlds, so many in which nothing breaks and
// so many in which everything may; a tenth of them in short mode.
func Worlds(t *testing.T, seeds int, scenario func(w *asynctest.World)) {
	t.Helper()
	if testing.Short() {
		seeds = max(seeds/10, 1)
	}
	for _, kind := range []struct {
		name   string
		faults asynctest.Faults
	}{{"benign", asynctest.Benign}, {"swarm", asynctest.Swarm}} {
		t.Run(kind.name, func(t *testing.T) {
			t.Helper()
			asynctest.Run(t, asynctest.Config{Seeds: seeds, Faults: kind.faults}, scenario)
		})
	}
}

// Until lets time pass in a world until something is so, twelve hours at most.
func Until(w *asynctest.World, so func() bool) {
	for range 12 * 3600 {
		if so() {
			return
		}
		w.Advance(time.Second)
	}
	w.Fatalf("after %v it is not so", w.Now())
}
