package sim

import (
	"fmt"
	"math"
	"os"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
)

// Wait reports what is ready. If there is nothing, and there is a timeout, it
// runs one event after the other until there is.
func (q *Poller) Wait(dst []asyncore.Event, timeout time.Duration) (int, error) {
	k := q.p.k
	deadline := int64(math.MaxInt64)
	if timeout >= 0 && int64(timeout) < deadline-k.now {
		deadline = k.now + int64(timeout)
	}
	dst = q.smaller(dst)
	for first := true; ; first = false {
		if q.closed.Load() {
			return 0, os.NewSyscallError(q.call, syscall.EBADF)
		}
		n := q.gather(dst)
		if n > 0 || first {
			n = q.disturb(dst, n)
		}
		if q.woken.Swap(false) || n > 0 || timeout == 0 {
			q.traceEvents(dst[:n])
			return n, nil
		}
		at, ok := k.Next()
		switch {
		case timeout > 0 && (!ok || at > deadline):
			k.Advance(deadline)
			return 0, nil
		case !ok:
			return 0, fmt.Errorf("%s waits for ever: %w", q.p.name, ErrDeadlock)
		}
		k.step()
	}
}

// gather fills dst with what is ready.
func (q *Poller) gather(dst []asyncore.Event) (n int) {
	if q.scans {
		return q.scan(dst)
	}
	list, i := q.listed, 0
	q.again = q.again[:0]
	for ; i < len(list) && n < len(dst); i++ {
		w := list[i]
		if w.gone {
			continue
		}
		if ready := q.look(w); ready != 0 {
			dst[n] = asyncore.Event{Token: w.token, Ready: ready}
			n++
			w.giveUp()
		} else if !w.nested() {
			w.listed = false
			continue
		}
		q.again = append(q.again, w)
	}
	// Those that there was no room for come first the next time.
	q.listed = append(append(list[:0], list[i:]...), q.again...)
	return n
}

// scan looks at all, beginning after the last one that was reported.
func (q *Poller) scan(dst []asyncore.Event) (n int) {
	for range q.watches {
		if n == len(dst) {
			break
		}
		if q.next++; q.next >= len(q.watches) {
			q.next = 0
		}
		w := q.watches[q.next]
		if ready := q.look(w); ready != 0 {
			dst[n] = asyncore.Event{Token: w.token, Ready: ready}
			n++
		}
	}
	return n
}

// look tells what to report of a registration now.
func (q *Poller) look(w *watch) asyncore.Interest {
	f := w.file
	if q.scans {
		if f = q.p.table.get(w.fd); f == nil {
			return asyncore.Fault // not open
		}
	}
	switch {
	case f == nil:
		return 0
	case w.always:
		return w.want & (asyncore.Readable | asyncore.Writable)
	}
	return q.events(f.object.ready(), w.want)
}

// nested tells whether another poller is watched. Its Wake tells nobody, so it is
// looked at each time.
func (w *watch) nested() bool {
	if w.file == nil {
		return false
	}
	_, ok := w.file.object.(*pollerFile)
	return ok
}

func (q *Poller) traceEvents(events []asyncore.Event) {
	if q.p.k.trace == nil {
		return
	}
	for _, ev := range events {
		q.p.k.trace("%v %s: event %#x %v", time.Duration(q.p.k.now), q.p.name, ev.Token, ev.Ready)
	}
}
