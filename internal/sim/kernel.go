// Package sim is a kernel in memory: descriptors, sockets, pipes and pollers
// under a virtual clock, for loops that run without a system. Whatever it is
// free to choose, it chooses by a tape, so that a run can be repeated.
//
// It does what Linux does, as far as the parity tests go, and knows the words of
// four pollers: epoll, kqueue, poll and select. It has no regular files, no child
// processes, no multicast and no directories, and it sends nothing to see whether
// a peer is still there.
package sim

import (
	"net/netip"

	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// Kernel is a world of processes, of one goroutine.
type Kernel struct {
	// Hosts is what Lookup knows.
	Hosts map[string][]netip.Addr

	tape   *tape.Tape
	now    int64
	events events
	noise  Noise
	trace  func(format string, args ...any)

	processes []*Process
	hosts     map[netip.Addr]*host
	links     map[route]*Link
	sockets   int // made so far
	spare     [][]byte
}

// New returns a kernel without processes whose choices are t's. Its clock
// stands at 0.
func New(t *tape.Tape) *Kernel {
	return &Kernel{
		Hosts: map[string][]netip.Addr{},
		tape:  t,
		hosts: map[netip.Addr]*host{},
		links: map[route]*Link{},
	}
}

// Now is the virtual time, in nanoseconds.
func (k *Kernel) Now() int64 { return k.now }

// At has fn run when the clock reaches at; now, if that has passed. Events of
// the same time run in the order of their At.
func (k *Kernel) At(at int64, fn func()) { k.events.push(max(at, k.now), fn) }

// Next is when the next event is.
func (k *Kernel) Next() (at int64, ok bool) {
	if len(k.events.heap) == 0 {
		return 0, false
	}
	return k.events.heap[0].at, true
}

// Advance runs the events up to and at the time to, in order, those too that
// they add, and sets the clock.
func (k *Kernel) Advance(to int64) {
	for {
		at, ok := k.Next()
		if !ok || at > to {
			break
		}
		k.step()
	}
	k.now = max(k.now, to)
}

// step runs the next event.
func (k *Kernel) step() {
	e := k.events.pop()
	k.now = max(k.now, e.at)
	e.fn()
}
