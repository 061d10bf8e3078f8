package core

import (
	"math"
	"time"
)

// Timer is one deadline, to be embedded in what it belongs to.
type Timer struct {
	pos int32 // its place in the heap, plus one; 0: not armed
}

// Expirer is what a Timer belongs to. Expire runs once per arming, in the
// turn's timer phase, when the timer is no longer armed.
type Expirer interface{ Expire() }

// Later is at+d, or the end of time if that comes first.
func Later(at int64, d time.Duration) int64 { return at + min(int64(d), math.MaxInt64-at) }

// Armed tells whether the timer is going to expire.
func (t *Timer) Armed() bool { return t.pos != 0 }

// Arm sets t to expire for owner at a time of the engine's clock, in place of
// an earlier one. Timers expire in the order of their deadlines, equal ones in
// the order in which they were armed; one that is armed while timers expire
// waits for the next turn, however early its deadline.
func (e *Engine) Arm(t *Timer, owner Expirer, at int64) {
	e.timers.arm(t, owner, at)
}

// ArmBy is Arm, unless t expires at or before that time already: for deadlines
// that move forward all the time, and are looked at when the timer expires.
func (e *Engine) ArmBy(t *Timer, owner Expirer, at int64) {
	if t.pos == 0 || at < e.timers.nodes[t.pos-1].at {
		e.Arm(t, owner, at)
	}
}

// Disarm stops t; it does not expire afterwards.
func (e *Engine) Disarm(t *Timer) { e.timers.disarm(t) }

// heap is a 4-ary heap of the armed timers, earliest first. The keys lie in
// the nodes: comparing does not touch the timers.
type heap struct {
	nodes []node
	seq   uint64
}

type node struct {
	at    int64
	seq   uint64
	t     *Timer
	owner Expirer
}

func (a node) before(b node) bool {
	return a.at < b.at || a.at == b.at && a.seq < b.seq
}

func (h *heap) arm(t *Timer, owner Expirer, at int64) {
	h.seq++
	n := node{at: at, seq: h.seq, t: t, owner: owner}
	if t.pos == 0 {
		h.nodes = append(h.nodes, n)
		h.up(len(h.nodes)-1, n)
		return
	}
	h.fix(int(t.pos)-1, n)
}

func (h *heap) disarm(t *Timer) {
	if t.pos == 0 {
		return
	}
	i := int(t.pos) - 1
	t.pos = 0
	last := len(h.nodes) - 1
	n := h.nodes[last]
	h.nodes[last] = node{}
	h.nodes = h.nodes[:last]
	if i < last {
		h.fix(i, n)
	}
}

// due takes the earliest timer that is due at now and returns its owner, unless
// it was armed after the one numbered armed: those before it in time have all
// been taken.
func (h *heap) due(now int64, armed uint64) Expirer {
	if len(h.nodes) == 0 || h.nodes[0].at > now || h.nodes[0].seq > armed {
		return nil
	}
	n := h.nodes[0]
	h.disarm(n.t)
	return n.owner
}

func (h *heap) next() (at int64, ok bool) {
	if len(h.nodes) == 0 {
		return 0, false
	}
	return h.nodes[0].at, true
}

func (h *heap) clear() {
	for _, n := range h.nodes {
		n.t.pos = 0
	}
	h.nodes = nil
}

// fix puts n, which belongs somewhere above or below i, in its place.
func (h *heap) fix(i int, n node) {
	if i > 0 && n.before(h.nodes[(i-1)/4]) {
		h.up(i, n)
	} else {
		h.down(i, n)
	}
}

func (h *heap) up(i int, n node) {
	for i > 0 {
		parent := (i - 1) / 4
		if !n.before(h.nodes[parent]) {
			break
		}
		h.put(i, h.nodes[parent])
		i = parent
	}
	h.put(i, n)
}

func (h *heap) down(i int, n node) {
	for {
		first := 4*i + 1
		if first >= len(h.nodes) {
			break
		}
		child := first
		for c := first + 1; c < min(first+4, len(h.nodes)); c++ {
			if h.nodes[c].before(h.nodes[child]) {
				child = c
			}
		}
		if !h.nodes[child].before(n) {
			break
		}
		h.put(i, h.nodes[child])
		i = child
	}
	h.put(i, n)
}

func (h *heap) put(i int, n node) {
	h.nodes[i] = n
	n.t.pos = int32(i + 1)
}
