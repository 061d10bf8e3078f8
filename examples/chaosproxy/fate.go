package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// faults are what the flags ask for, for all connections.
type faults struct {
	latency, jitter  time.Duration
	slice, bandwidth int

	reset, halfClose, blackHole float64 // probabilities; one connection has one of these at most
	after                       int64

	seed uint64
}

func (f *faults) check() error {
	switch {
	case f.latency < 0 || f.jitter < 0 || f.slice < 0 || f.bandwidth < 0:
		return errors.New("chaosproxy: -latency, -jitter, -slice and -bandwidth cannot be negative")
	case f.after < 1:
		return errors.New("chaosproxy: -after must be positive")
	case !(f.reset >= 0 && f.halfClose >= 0 && f.blackHole >= 0 && f.reset+f.halfClose+f.blackHole <= 1):
		return errors.New("chaosproxy: the probabilities must be from 0 to 1 together")
	}
	return nil
}

// The directions of a connection, and its ends, each the source of one.
const (
	fromClient = iota
	fromServer
)

type mishap int

const (
	none mishap = iota
	reset
	halfClose
	blackHole
)

// fate is what befalls a connection, and where: behind so many bytes of a direction.
type fate struct {
	mishap mishap
	way    int
	at     int64
}

// draw gives the n-th connection its fate, and the source of its jitter for each
// direction. They depend on nothing else, be it the time or what passes.
func (f *faults) draw(n uint64) (fate, [2]*rand.Rand) {
	rng := rand.New(rand.NewPCG(f.seed, n))
	p, way, at := rng.Float64(), rng.IntN(2), rng.Int64N(f.after)
	var jitter [2]*rand.Rand
	for i := range jitter {
		jitter[i] = rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))
	}
	m := none
	switch {
	case p < f.reset:
		m = reset
	case p < f.reset+f.halfClose:
		m = halfClose
	case p < f.reset+f.halfClose+f.blackHole:
		m = blackHole
	}
	return fate{m, way, at}, jitter
}

func (f fate) String() string {
	if f.mishap == none {
		return "nothing"
	}
	return fmt.Sprintf("a %s behind %d bytes from the %s",
		[]string{reset: "reset", halfClose: "half-close", blackHole: "black hole"}[f.mishap], f.at,
		[]string{fromClient: "client", fromServer: "server"}[f.way])
}
