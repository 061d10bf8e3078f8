package core

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// alarm is a Timer that is its own owner.
type alarm struct{ Timer }

func (*alarm) Expire() {}

func (h *heap) set(a *alarm, at int64) { h.arm(&a.Timer, a, at) }

// The heap against a sorted list, with its invariants checked as it goes.
func TestHeap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var h heap
	timers := make([]alarm, 300)
	type entry struct {
		At, Seq int64
		Timer   int
	}
	var model []entry
	remove := func(i int) {
		model = slices.DeleteFunc(model, func(e entry) bool { return e.Timer == i })
	}
	number := map[Expirer]int{}
	for i := range timers {
		number[&timers[i]] = i
	}
	seq := int64(0)
	for op := range 50_000 {
		i := rnd.IntN(len(timers))
		switch k := rnd.IntN(10); {
		case k < 6:
			at := int64(rnd.IntN(100)) // so that many are equal
			h.set(&timers[i], at)
			seq++
			remove(i)
			model = append(model, entry{at, seq, i})
		case k < 8:
			h.disarm(&timers[i].Timer)
			remove(i)
		default:
			now := int64(rnd.IntN(60))
			slices.SortFunc(model, func(a, b entry) int {
				return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Seq, b.Seq))
			})
			var want, got []int
			for len(model) > 0 && model[0].At <= now {
				want = append(want, model[0].Timer)
				model = model[1:]
			}
			for d := h.due(now, h.seq); d != nil; d = h.due(now, h.seq) {
				if d.(*alarm).Armed() {
					t.Fatalf("timer %d is due and still armed", number[d])
				}
				got = append(got, number[d])
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Fatalf("op %d: due at %d (-want +got):\n%s", op, now, diff)
			}
		}
		if len(h.nodes) != len(model) {
			t.Fatalf("op %d: %d nodes, want %d", op, len(h.nodes), len(model))
		}
		for j, n := range h.nodes {
			if int(n.t.pos) != j+1 {
				t.Fatalf("op %d: the timer at %d believes that it is at %d", op, j, n.t.pos-1)
			}
			if j > 0 && n.before(h.nodes[(j-1)/4]) {
				t.Fatalf("op %d: node %d is before its parent", op, j)
			}
		}
		if at, ok := h.next(); ok != (len(model) > 0) {
			t.Fatalf("op %d: next = %d, %v", op, at, ok)
		}
	}
	h.clear()
	for i := range timers {
		if timers[i].Armed() {
			t.Errorf("timer %d is armed after clear", i)
		}
		h.disarm(&timers[i].Timer) // harmless
	}
}

// A timer that was armed after the turn had begun stays for the next one.
func TestHeapArmedLater(t *testing.T) {
	var h heap
	var a, b alarm
	h.set(&a, 5)
	armed := h.seq
	h.set(&b, 5)
	if h.due(5, armed) != &a || h.due(5, armed) != nil || h.due(5, h.seq) != &b {
		t.Error("due does not keep to what was armed in time")
	}
	// Arming again makes it a new one.
	h.set(&a, 5)
	armed = h.seq
	h.set(&a, 4)
	if h.due(9, armed) != nil {
		t.Error("a timer that was armed again is due as if it had not been")
	}
}

func TestGoroutine(t *testing.T) {
	for stack, want := range map[string]int64{
		"goroutine 7 [running]:\nmain.main()":     7,
		"goroutine 12345678901 [chan receive]:\n": 12345678901,
		"goroutine":              -1,
		"goroutine x [running]:": -1,
		"":                       -1,
	} {
		if got := goroutine([]byte(stack)); got != want {
			t.Errorf("goroutine(%q) = %d, want %d", stack, got, want)
		}
	}
}

func TestBuffers(t *testing.T) {
	var b buffers
	for n := 1; n <= 2<<classMax; n += 1 + n/3 {
		buf := b.GetBuffer(n)
		if len(buf) != 0 || cap(buf) < n {
			t.Fatalf("GetBuffer(%d) has length %d and room for %d", n, len(buf), cap(buf))
		}
		if cap(buf) > max(2*n, 1<<classMin) {
			t.Errorf("GetBuffer(%d) has room for %d", n, cap(buf))
		}
	}
	for _, n := range []int{1, 1 << classMin, 1<<classMin + 1, 1 << classMax} {
		buf := append(b.GetBuffer(n), 'x')
		b.PutBuffer(buf)
		if again := b.GetBuffer(n); len(again) != 0 || &again[:1][0] != &buf[0] {
			t.Errorf("GetBuffer(%d) does not return the buffer that was given back last", n)
		}
	}
	if b.kept != 0 {
		t.Errorf("kept = %d after all was taken", b.kept)
	}
}

// What is given back is kept within bounds, and only if it is one of ours.
func TestBuffersKept(t *testing.T) {
	var b buffers
	for _, size := range []int{0, 1, 1<<classMin - 1, 1<<classMin + 1, 2 << classMax} {
		b.PutBuffer(make([]byte, 0, size))
	}
	b.PutBuffer(nil)
	if b.kept != 0 {
		t.Errorf("kept = %d of odd buffers", b.kept)
	}
	for range 100 {
		b.PutBuffer(make([]byte, 1<<classMax))
	}
	if b.kept != keepBytes {
		t.Errorf("kept = %d, want %d", b.kept, keepBytes)
	}
	n := 0
	for b.kept > 0 {
		b.GetBuffer(1 << classMax)
		n++
	}
	if n != keepBytes>>classMax {
		t.Errorf("%d buffers were kept, want %d", n, keepBytes>>classMax)
	}
}

func TestReadBuffer(t *testing.T) {
	var b buffers
	first := b.ReadBuffer()
	if len(first) != readSize || &b.ReadBuffer()[0] != &first[0] {
		t.Error("ReadBuffer is not one buffer")
	}
	b.FilledRead()
	if n := len(b.ReadBuffer()); n != readSizeMax {
		t.Errorf("after a full read the buffer is of %d bytes, want %d", n, readSizeMax)
	}
	first = b.ReadBuffer()
	b.FilledRead()
	if &b.ReadBuffer()[0] != &first[0] {
		t.Error("the largest buffer was replaced")
	}
}
