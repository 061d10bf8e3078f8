//go:build linux

package sim_test

import (
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// What the simulated kernel does, Linux does too: each script runs on both,
// with each poller, and what they answer must be the same, line by line. With
// the tag kqfake the emulated kqueue is one of the pollers.
//
// What goes from one host to another is compared in parity_far_test.go.
//
// parity_script_test.go has the language of the scripts, parity_verbs_test.go
// its words, and the other files have the scripts, by subject. With -v the
// kernel's answers are printed.

// machine is a kernel as one process sees it, with the calls that System lacks
// and scripts need.
type machine interface {
	sys.System
	Pair(network string) (a, b int, e syscall.Errno)
	PipeFDs() (r, w int, e syscall.Errno)
	Shutdown(fd int, read, write bool) syscall.Errno
	SendUrgent(fd int, b byte) syscall.Errno
	Reset(fd int) syscall.Errno
	BufferSizes(send, recv int)
	FDs() []int
	SetFDLimit(n int)
}

var _ machine = (*sim.Process)(nil)

// script is a sequence of calls. It runs once for each network of on, whose
// name takes the place of NET in its lines.
type script struct {
	name string
	on   string
	skip string // pollers with which it has no sense; "far": on two hosts
	slow bool   // the kernel takes its time over TCP
	text string
}

var scripts = slices.Concat(
	openScripts, connectScripts, streamScripts, endScripts, resetScripts, fullScripts,
	addrScripts, unixScripts, udpScripts, packetScripts, pipeScripts,
	pollerScripts, descriptorScripts, urgentScripts,
)

func TestParity(t *testing.T) {
	playSlow(t)
	defer clear(answers)
	for _, poller := range asyncore.Backends() {
		t.Run(poller, func(t *testing.T) {
			if chosen := os.Getenv("ASYNCORE_POLLER"); chosen != "" && chosen != poller {
				t.Skip("ASYNCORE_POLLER is another one")
			}
			if poller == "kqueue" && os.Getenv("ASYNCORE_KQFAKE") == "darwin" {
				t.Skip("the simulated kqueue has no filter for urgent data")
			}
			for _, s := range scripts {
				if !slices.Contains(strings.Fields(s.skip), poller) {
					s.compare(t, poller)
				}
			}
		})
	}
}

func (s *script) compare(t *testing.T, poller string) {
	networks := strings.Fields(s.on)
	if len(networks) == 0 {
		networks = []string{""}
	}
	for _, network := range networks {
		t.Run(strings.TrimSuffix(s.name+" "+network, " "), func(t *testing.T) {
			text := strings.ReplaceAll(s.text, "NET", network)
			want := playReal(t, poller, text)
			if testing.Verbose() {
				t.Log("\n" + strings.Join(want, "\n"))
			}
			process := sim.New(tape.Replay(nil)).Process(sim.ProcessConfig{Name: "parity", Poller: poller})
			got := play(t, process, poller, text)
			if diff := cmp.Diff(want, got); diff != "" && playAgain(t, poller, text, got, slices.Clone) != "" {
				t.Errorf("the kernel says -, the simulated one +:\n%s", diff)
			}
			if left := process.FDs(); len(left) > 0 {
				t.Errorf("descriptors left open: %v", left)
			}
		})
	}
}

// answers are what the kernel has said, by poller and script.
var answers = map[[2]string][]string{}

// playReal plays a script on the kernel, unless that has been done.
func playReal(t *testing.T, poller, text string) []string {
	t.Helper()
	key := [2]string{poller, text}
	if answers[key] == nil {
		answers[key] = play(t, &real{System: sys.Real()}, poller, text)
	}
	return answers[key]
}

// pauses are made behind each line when a script is played again. What goes over
// loopback has mostly arrived when the call returns, but on a machine that is busy
// it comes a little later.
var pauses = []time.Duration{0, time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond}

// playAgain gives the kernel more time for a script, and tells how its answer differs
// from got at last, in what plain leaves of a log.
func playAgain(t *testing.T, poller, text string, got []string, plain func([]string) []string) (diff string) {
	t.Helper()
	for _, pause := range pauses {
		at := &place{machine: &real{System: sys.Real()}, ip: loopback, late: 20 * pause}
		want := playOn(t, []*place{at}, func() { time.Sleep(pause) }, poller, text)
		if diff = cmp.Diff(plain(want), plain(got)); diff == "" {
			break
		}
	}
	return diff
}

// playSlow plays the slow scripts all at once, unless that has been done: they wait
// for the kernel's timers. They must not make use of a descriptor that they have
// closed, nor of what belongs to the whole process.
func playSlow(t *testing.T) {
	t.Helper()
	if len(answers) > 0 {
		return
	}
	var lock sync.Mutex
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, poller := range asyncore.Backends() {
		for _, s := range scripts {
			if !s.slow {
				continue
			}
			text := strings.ReplaceAll(s.text, "NET", "tcp")
			wg.Go(func() {
				log := play(t, &real{System: sys.Real()}, poller, text)
				lock.Lock()
				defer lock.Unlock()
				answers[[2]string{poller, text}] = log
			})
		}
	}
}

// The names tell what is covered, so each is there once.
func TestScriptNames(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scripts {
		if seen[s.name] {
			t.Errorf("two scripts are called %q", s.name)
		}
		seen[s.name] = true
	}
}
