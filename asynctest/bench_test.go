package asynctest

import (
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// BenchmarkWorld is a small scenario: one peer, one message, its echo, the end.
func BenchmarkWorld(b *testing.B) {
	for _, faults := range []Faults{None, Benign, Swarm} {
		b.Run([]string{"none", "benign", "swarm"}[faults], func(b *testing.B) {
			seed := uint64(0)
			for b.Loop() {
				seed++
				r := &runner{t: b, c: Config{Faults: faults}.withDefaults(), scenario: func(w *World) {
					ln := w.Serve("tcp", ":7", with(echo))
					w.Dial(ln).Send("hello\r\n").Expect("hello\r\n").HalfClose().ExpectClosed()
				}}
				if o := r.play(tape.Random(seed), false); o.failure != nil {
					b.Fatal(o.failure)
				}
			}
		})
	}
}
