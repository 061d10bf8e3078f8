//go:build linux

package sim_test

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// Two hosts with a link between them answer as one does over loopback, once what
// is on its way has arrived.
func TestParityFar(t *testing.T) {
	playSlow(t)
	near := regexp.MustCompile(`unix|tcp6|udp6|\[::|0\.0\.0\.0`) // what there is on one host alone
	for _, s := range slices.Concat(connectScripts, streamScripts, endScripts, resetScripts, fullScripts, udpScripts, urgentScripts) {
		for _, network := range []string{"tcp", "udp"} {
			if s.on != "" && !slices.Contains(strings.Fields(s.on), network) || s.on == "" && network == "udp" {
				continue
			}
			text := strings.ReplaceAll(s.text, "NET", network)
			if near.MatchString(text) || s.skip == "far" {
				continue
			}
			t.Run(strings.TrimSuffix(s.name+" "+network, " "), func(t *testing.T) {
				want := playReal(t, "epoll", text)
				got := playFar(t, text)
				if diff := cmp.Diff(want, got); diff != "" && playAgain(t, "epoll", text, got, slices.Clone) != "" {
					t.Errorf("the kernel says -, the simulated ones +:\n%s", diff)
				}
			})
		}
	}
}

func playFar(t *testing.T, text string) []string {
	const latency = time.Millisecond
	k := sim.New(tape.Replay(nil))
	var places []*place
	var processes []*sim.Process
	for _, ip := range []string{"192.0.2.1", "192.0.2.2"} {
		at := netip.MustParseAddr(ip)
		p := k.Process(sim.ProcessConfig{Name: ip, IP: at, Poller: "epoll"})
		processes = append(processes, p)
		places = append(places, &place{machine: p, ip: at})
	}
	k.Link(processes[0], processes[1]).Latency = latency
	return playOn(t, places, func() { k.Advance(k.Now() + int64(20*latency)) }, "epoll", text)
}
