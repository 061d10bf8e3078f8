package proof

import (
	"time"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// clockwork is a program of timers, posts and offloads, and what is known of them.
type clockwork struct {
	w       *world
	seq     int
	pending []*alarm
	acts    int
	hook    string // that runs
	firing  *alarm // whose

	posted, ran     int
	offloaded, done int
}

// alarm is one timer.
type alarm struct {
	t     *loop.Timer
	at    time.Duration
	seq   int
	turn  uint64 // in which it was set
	every time.Duration
	live  bool
}

// timers plays a program of them.
func timers(w *world) {
	w.MayPanic()
	k := &clockwork{w: w, acts: 5 + w.Choose(60)}
	for range 1 + w.Choose(20) {
		k.act()
	}
	for range 1 + w.Choose(5) {
		w.pass([]time.Duration{time.Second, 0, time.Millisecond, 10 * time.Second}[w.Choose(4)])
		if w.Choose(2) == 1 {
			k.act()
		}
	}
	k.acts = 0
	w.pass(100 * time.Millisecond)
	for _, a := range k.pending {
		if a.live && a.at+late < w.l.Now() {
			w.Errorf("timer %d was due at %v, it is %v, and it has not run", a.seq, a.at, w.l.Now())
		}
	}
	if k.ran != k.posted {
		w.Errorf("%d functions were posted, %d have run", k.posted, k.ran)
	}
	if k.done != k.offloaded {
		w.Errorf("%d functions were offloaded, %d are done", k.offloaded, k.done)
	}
	for _, a := range k.pending {
		if a.live && a.every > 0 {
			a.t.Stop()
			a.live = false
		}
	}
}

// late is by how much a wake-up may be.
const late = 3 * time.Millisecond

// prompt wants what was ready at a time to be run then, which only sleep is in the
// way of.
func (k *clockwork) prompt(what string, since time.Duration) {
	if waited := k.w.Now() - since; waited > late {
		k.w.Errorf("%s has waited for %v", what, waited)
	}
}

// durations of timers: many are equal.
var durations = []time.Duration{time.Millisecond, 0, -1, 1, time.Millisecond, 10 * time.Millisecond, 999_999, time.Second, time.Hour, 1 << 62}

func (k *clockwork) act() {
	w := k.w
	if k.acts == 0 {
		return
	}
	k.acts--
	switch w.Choose(9) {
	case 0, 1:
		k.after(durations[w.Choose(len(durations))])
	case 2:
		k.every(time.Duration(5000+w.Choose(3_000_000)) * time.Microsecond)
	case 3:
		if a := k.some(); a != nil {
			if was := a.t.Stop(); was != a.live {
				w.Errorf("timer %d: Stop is %v, and it was pending: %v", a.seq, was, a.live)
			}
			a.live = false
			hit(112)
		}
	case 4:
		if a := k.some(); a != nil {
			d := durations[w.Choose(len(durations))]
			if was := a.t.Reset(d); was != a.live {
				w.Errorf("timer %d: Reset is %v, and it was pending: %v", a.seq, was, a.live)
			}
			k.arm(a, d)
		}
	case 5, 6:
		n := k.posted
		turn := w.l.Stats().Turns
		inPost := k.hook == "post"
		since := w.Now()
		if w.l.Post(func() {
			k.inside("post")
			defer k.leave()
			k.prompt("a post", since)
			if k.ran != n {
				w.Errorf("post %d has run after %d others", n, k.ran)
			}
			if inPost && w.l.Stats().Turns == turn {
				w.Errorf("post %d has run in the turn in which a post posted it", n)
			}
			k.ran++
			k.act()
		}) == nil {
			k.posted++
			hit(115)
		}
	case 7:
		worked := false
		var since time.Duration
		if w.l.Offload(func() error { worked, since = true, w.Now(); return errOurs }, func(err error) {
			k.inside("offload")
			defer k.leave()
			k.prompt("an offload that is done", since)
			if !worked || err != errOurs {
				w.Errorf("an offload is done: %v, %v", worked, err)
			}
			k.done++
			k.act()
		}) == nil {
			k.offloaded++
		}
	case 8:
		if k.hook != "" && w.Choose(3) == 2 {
			hit(61)
			if k.firing != nil { // an Every is over
				k.firing.live = false
			}
			w.panics++
			panic("in a " + k.hook)
		}
	}
}

func (k *clockwork) some() *alarm {
	if len(k.pending) == 0 {
		return nil
	}
	return k.pending[k.w.Choose(len(k.pending))]
}

// arm notes when a timer is to run.
func (k *clockwork) arm(a *alarm, d time.Duration) {
	k.seq++
	now := k.w.l.Now()
	at := now + max(d, 0)
	if at < now {
		at = 1<<63 - 1
	}
	a.at, a.seq, a.live = at, k.seq, true
	a.turn = k.w.l.Stats().Turns
	if !k.w.e.InTurn() {
		a.turn-- // the next turn is not the one in which it was set
	}
}

func (k *clockwork) after(d time.Duration) {
	a := &alarm{}
	a.t = k.w.l.After(d, func() { k.fire(a) })
	k.arm(a, d)
	k.pending = append(k.pending, a)
}

func (k *clockwork) every(d time.Duration) {
	a := &alarm{every: d}
	a.t = k.w.l.Every(d, func() { k.fire(a) })
	k.arm(a, d)
	k.pending = append(k.pending, a)
}

func (k *clockwork) inside(hook string) {
	if k.w.depth++; k.w.depth > 1 {
		k.w.Errorf("a %s inside a %s", hook, k.hook)
	}
	k.hook = hook
}

func (k *clockwork) leave() {
	k.w.depth--
	k.hook, k.firing = "", nil
}

// fire is a timer's function.
func (k *clockwork) fire(a *alarm) {
	w := k.w
	k.inside("timer")
	k.firing = a
	defer k.leave()
	now, turn := w.l.Now(), w.l.Stats().Turns
	hitIf(113, a.at%time.Millisecond != 0)
	hitIf(114, now > a.at)
	switch {
	case !a.live:
		w.Errorf("timer %d has run, and was stopped or had run", a.seq)
	case now < a.at:
		w.Errorf("timer %d has run at %v, and was set to %v", a.seq, now, a.at)
	case a.turn == turn:
		w.Errorf("timer %d has run in the turn in which it was set", a.seq)
	}
	for _, o := range k.pending {
		if o != a && o.live && o.turn < turn && (o.at < a.at || o.at == a.at && o.seq < a.seq) {
			w.Errorf("timer %d of %v has run before timer %d of %v", a.seq, a.at, o.seq, o.at)
		}
	}
	if a.every > 0 {
		k.seq++
		a.seq, a.turn = k.seq, turn
		a.at += a.every
		for a.at <= now { // what was missed is not made up for
			a.at += a.every
		}
	} else {
		a.live = false
	}
	k.act()
}
