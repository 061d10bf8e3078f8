package asynctest

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// Config says in how many worlds [Run] plays a scenario, and in what kind. The
// zero value of each field is its default.
type Config struct {
	// Seeds is how many worlds there are, each with choices of its own. 0: 100.
	// The environment variables SIM_SEEDS, SIM_SEED and SIM_TIME go before.
	Seeds int

	// Faults is what may happen in them besides what the scenario asks for.
	Faults Faults

	// Poller is the kind of poller that the loop has: "epoll", "kqueue", "poll"
	// or "select". Empty: each seed has one of them.
	Poller string

	// Loop is the loop's configuration, of which Poller and Debug are not used:
	// the one is Config.Poller, the other is always on.
	Loop loop.Config

	// Hosts are the names that can be looked up.
	Hosts map[string][]netip.Addr

	// Timeout is for how long, by the world's clock, nothing may move while
	// [Peer.Expect] or [Peer.ExpectClosed] waits. 0: 10 minutes.
	Timeout time.Duration

	// Tape, where it is not nil, makes the choices of the one world that is
	// played: give it what a fuzz test is given.
	Tape []byte
}

// Faults is a set of things that may happen in a world.
type Faults uint8

const (
	// None: each world is the same one, in which nothing is in the way.
	None Faults = iota
	// Benign: what may happen to any connection and must not change a byte of it.
	// Segments of any size, short reads and writes, EINTR, readiness without
	// cause, events in any order, small buffers, latency, late wake-ups.
	Benign
	// Swarm: shortages of memory and descriptors too, links that break for a
	// while, and errors that end connections.
	Swarm
)

const (
	defaultSeeds   = 100
	defaultTimeout = 10 * time.Minute
)

// check tells what is wrong with it.
func (c Config) check() error {
	switch {
	case c.Seeds < 0:
		return fmt.Errorf("Config.Seeds is %d", c.Seeds)
	case c.Faults > Swarm:
		return fmt.Errorf("Config.Faults is %d", c.Faults)
	case c.Poller != "" && !slices.Contains(flavours, c.Poller):
		return fmt.Errorf("Config.Poller is %q, and none of %q", c.Poller, flavours)
	case c.Timeout < 0:
		return fmt.Errorf("Config.Timeout is %v", c.Timeout)
	}
	return nil
}

func (c Config) withDefaults() Config {
	if c.Seeds == 0 {
		c.Seeds = defaultSeeds
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return c
}
