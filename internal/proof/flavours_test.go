package proof

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/asynctest"
)

var flavours = []string{"epoll", "kqueue", "poll", "select"}

// tale is what one Conn has seen, and its peer.
type tale struct {
	Hooks    []string
	Err      string
	Read     uint64
	Received string // a hash
}

// tales has those of a world's Conns, by peer.
func (w *world) tales() map[string]tale {
	all := map[string]tale{}
	for _, s := range w.sessions {
		if s.peer == nil {
			continue
		}
		h := fnv.New64a()
		h.Write(s.peer.Received())
		all[s.peer.String()] = tale{s.hooks, fmt.Sprint(s.err), s.c.BytesRead(), fmt.Sprintf("%d bytes %x", len(s.peer.Received()), h.Sum64())}
	}
	return all
}

// TestFlavours plays the same worlds on all pollers. Each Conn draws by itself:
// in which order the events of a batch come is a poller's own affair.
func TestFlavours(t *testing.T) {
	for _, f := range families {
		switch f.name {
		case "echo", "relay", "chat", "producer":
		default:
			continue // there one Conn has to do with another
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20) {
				var first map[string]tale
				for _, flavour := range flavours {
					var got map[string]tale
					c := asynctest.Config{Poller: flavour, Timeout: time.Hour, Tape: []byte{}}
					asynctest.Run(t, c, func(aw *asynctest.World) {
						played.Add(1)
						w := look(aw)
						w.e.Debug = false
						w.apart, w.rand = seed+1, rand.New(rand.NewPCG(seed+1, 0))
						f.play(w)
						w.end()
						got = w.tales()
					})
					if first == nil {
						first = got
					}
					if diff := cmp.Diff(first, got); diff != "" {
						t.Errorf("seed %d: %s and %s (+):\n%s", seed, flavours[0], flavour, diff)
					}
					if t.Failed() {
						return
					}
				}
			}
		})
	}
}

// TestDeterminism plays worlds twice.
func TestDeterminism(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(10) {
				bytes := make([]byte, 3000)
				r := rand.New(rand.NewPCG(seed, 1))
				for i := range bytes {
					bytes[i] = byte(r.Uint32())
				}
				var digests [2]string
				for i := range digests {
					asynctest.Run(t, asynctest.Config{Faults: asynctest.Swarm, Timeout: time.Hour, Tape: bytes}, func(aw *asynctest.World) {
						played.Add(1)
						w := look(aw)
						w.faults = asynctest.Swarm
						f.play(w)
						w.end()
						stats := w.l.Stats()
						digests[i] = fmt.Sprintf("%v %+v", w.Now(), stats)
						for _, s := range w.sessions {
							digests[i] += fmt.Sprintf("\n%v %v %v %x", s, s.hooks, s.err, s.out())
						}
						for _, p := range w.peers {
							digests[i] += fmt.Sprintf("\n%v %x", p, p.Received())
						}
					})
				}
				if digests[0] != digests[1] {
					t.Errorf("seed %d is not the same twice:\n%s", seed, cmp.Diff(digests[0], digests[1]))
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}
