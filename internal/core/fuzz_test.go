package core

import (
	"cmp"
	"encoding/binary"
	"slices"
	"testing"
)

// FuzzTimers arms, disarms and takes timers as the input says, and compares
// with a sorted list.
func FuzzTimers(f *testing.F) {
	f.Add([]byte{0, 1, 9, 0, 2, 9, 0, 3, 5, 2, 0, 7, 1, 1, 0, 2, 0, 255})
	f.Fuzz(func(t *testing.T, ops []byte) {
		type armed struct {
			id  int
			at  int64
			seq uint64
		}
		var h heap
		var timers [32]alarm
		var model []armed
		for ; len(ops) >= 3; ops = ops[3:] {
			id := int(ops[1]) % len(timers)
			at := int64(int16(binary.LittleEndian.Uint16(ops[1:])))
			forget := func(a armed) bool { return a.id == id }
			switch ops[0] % 3 {
			case 0:
				h.set(&timers[id], at)
				model = append(slices.DeleteFunc(model, forget), armed{id, at, h.seq})
			case 1:
				h.disarm(&timers[id].Timer)
				model = slices.DeleteFunc(model, forget)
			case 2:
				slices.SortFunc(model, func(a, b armed) int {
					return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
				})
				got := h.due(at, h.seq)
				if len(model) == 0 || model[0].at > at {
					if got != nil {
						t.Fatalf("due(%d) gives a timer, the earliest is not due", at)
					}
					continue
				}
				if got != &timers[model[0].id] {
					t.Fatalf("due(%d) does not give the earliest timer", at)
				}
				model = model[1:]
			}
			if len(h.nodes) != len(model) {
				t.Fatalf("%d timers armed, want %d", len(h.nodes), len(model))
			}
			for i, n := range h.nodes {
				if int(n.t.pos) != i+1 {
					t.Fatalf("the timer at %d believes it is at %d", i, n.t.pos-1)
				}
			}
		}
	})
}
