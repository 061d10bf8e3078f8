//go:build linux

package sim_test

import (
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// Scripts made at random are compared as those that were written are; see
// parity_generate_test.go for what is in them. SIM_SEEDS is how many there are,
// SIM_SEED the first.
func TestParityRandom(t *testing.T) {
	seeds, first := envInt("SIM_SEEDS", 200), envInt("SIM_SEED", 0)
	for seed := first; seed < first+seeds; seed++ {
		script := generate(uint64(seed))
		for _, poller := range []string{"epoll", "poll", "select"} {
			chosen := os.Getenv("ASYNCORE_POLLER")
			if !slices.Contains(asyncore.Backends(), poller) || chosen != "" && chosen != poller {
				continue
			}
			if diff := difference(t, poller, script); diff != "" {
				shortest := shrink(script, func(lines []string) bool { return difference(t, poller, lines) != "" })
				t.Errorf("seed %d, %s:\n\t%s\nthe kernel says -, the simulated one +:\n%s",
					seed, poller, strings.Join(shortest, "\n\t"), difference(t, poller, shortest))
				break
			}
		}
		if t.Failed() && os.Getenv("SIM_ALL") == "" {
			return
		}
	}
}

func envInt(name string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return def
}

// difference plays a script on both kernels. It is empty if the real one has
// once answered as the simulated one does.
func difference(t *testing.T, poller string, lines []string) string {
	t.Helper()
	text := strings.Join(lines, "\n")
	process := sim.New(tape.Replay(nil)).Process(sim.ProcessConfig{Name: "parity", Poller: poller})
	got := play(t, process, poller, text)
	if left := process.FDs(); len(left) > 0 {
		t.Errorf("descriptors left open: %v", left)
	}
	return playAgain(t, poller, text, got, withoutSizes)
}

var (
	ofSent  = regexp.MustCompile(`all of it,|\d+ of \d+,`)
	ofBlock = regexp.MustCompile(`(send|write) .*\*300000  → \d+$`)
)

// withoutSizes takes what a kernel holds out of a log: how many bytes were taken of
// those that fill sent, and of a block that is larger than any buffer.
func withoutSizes(log []string) []string {
	log = slices.Clone(log)
	gram := strings.Contains(strings.Join(log, "\n"), "unixgram")
	for i, line := range log {
		// Linux has changed which of two reasons a datagram socket tells first.
		if to, ok := strings.CutSuffix(line, "→ ENOTCONN"); ok && gram && (strings.HasPrefix(to, "send") || strings.HasPrefix(to, "fill")) {
			log[i] = to + "→ EPIPE"
		}
		log[i] = ofSent.ReplaceAllString(log[i], "some,")
		if ofBlock.MatchString(line) {
			log[i] = line[:strings.LastIndexByte(line, ' ')] + " some"
		}
	}
	return log
}

// shrink drops lines as long as a script fails.
func shrink(lines []string, fails func([]string) bool) []string {
	for size := len(lines) / 2; size > 0; {
		dropped := false
		for i := 0; i+size <= len(lines); {
			less := slices.Delete(slices.Clone(lines), i, i+size)
			if playable(less) && fails(less) {
				lines, dropped = less, true
			} else {
				i++
			}
		}
		if size = min(size, len(lines)); !dropped || size > 1 {
			size /= 2
		}
	}
	return lines
}

// playable tells whether each name that stands for an address has got one.
func playable(lines []string) bool {
	var have []string
	for _, line := range lines {
		words := strings.Fields(line)
		if i := slices.Index(words, "="); i >= 0 {
			if slices.Contains([]string{"bound", "listener", "stream"}, words[i+1]) {
				have = append(have, words[:i]...)
			}
			continue
		}
		switch words[0] {
		case "connect", "sendto":
			if to := words[1+1]; len(to) == 1 && !slices.Contains(have, to) {
				return false
			}
		}
	}
	return true
}
