package sim

import "github.com/seed-20e08ac4/asyncore"

// Noise is what the pollers may do to a batch of events, beside what is so:
// each is how often, in 10,000. The zero value leaves all as it is.
type Noise struct {
	Shuffle    int // the events in another order
	Spurious   int // an event for a descriptor that is not ready
	SmallBatch int // fewer events than there are, the others later
	Merge      int // HangUp and Fault in place of Readable and Writable
}

// SetNoise sets what the pollers do from now on.
func (k *Kernel) SetNoise(n Noise) { k.noise = n }

// smaller is the room for events that a Wait makes use of.
func (q *Poller) smaller(dst []asyncore.Event) []asyncore.Event {
	k := q.p.k
	most := min(len(dst), len(q.watches))
	if k.noise.SmallBatch == 0 || most < 2 || !k.tape.Chance("small batch", q.p.id, k.noise.SmallBatch) {
		return dst
	}
	return dst[:most-k.tape.Choose("batch", q.p.id, most)]
}

// disturb does to a batch of n events what else the noise says.
func (q *Poller) disturb(dst []asyncore.Event, n int) int {
	k := q.p.k
	t, id := k.tape, q.p.id
	if k.noise.Spurious > 0 && n < len(dst) && len(q.watches) > 0 && t.Chance("spurious", id, k.noise.Spurious) {
		n = q.addSpurious(dst, n)
	}
	for i := range n {
		const hints, asked = asyncore.HangUp | asyncore.Fault, asyncore.Readable | asyncore.Writable
		ev := &dst[i]
		if k.noise.Merge > 0 && ev.Ready&hints != 0 && ev.Ready&asked != 0 && t.Chance("merge", id, k.noise.Merge) {
			ev.Ready &^= asked
		}
	}
	if k.noise.Shuffle > 0 && n > 1 && t.Chance("shuffle", id, k.noise.Shuffle) {
		for i := n - 1; i > 0; i-- {
			j := i - t.Choose("order", id, i+1)
			dst[i], dst[j] = dst[j], dst[i]
		}
	}
	return n
}

// addSpurious has some descriptor be ready for what it is watched for, unless
// it has an event already.
func (q *Poller) addSpurious(dst []asyncore.Event, n int) int {
	w := q.watches[q.p.k.tape.Choose("spurious event", q.p.id, len(q.watches))]
	for _, ev := range dst[:n] {
		if ev.Token == w.token {
			return n
		}
	}
	ready := w.want & (asyncore.Readable | asyncore.Writable)
	if ready == 0 {
		return n
	}
	dst[n] = asyncore.Event{Token: w.token, Ready: ready}
	return n + 1
}
