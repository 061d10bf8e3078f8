package core

import (
	"errors"
	"slices"
	"syscall"

	"github.com/seed-20e08ac4/asyncore"
)

// Source is what a registration dispatches to: a Conn, a Listener, a Watch. One
// that has a method Drain() is told by it to come to its end, without a call of
// the user's.
type Source interface {
	// Ready is called with the directions that the descriptor is ready for,
	// of those that it wants; with none after [Engine.Again].
	Ready(asyncore.Interest)
	// Flush writes queued output, after [Engine.Dirty].
	Flush()
	// Finish delivers the close, after [Engine.Due].
	Finish()
	// Fail tells that the source is to close with err: the poller refuses its
	// descriptor, its callback has panicked, or the loop closes. It may come
	// more than once, and must not call the user.
	Fail(err error)
	// Describe names the source in logs.
	Describe() string
}

// slot is one registration. Its index and generation together are the token
// that the poller carries, so that an event of a registration that has ended
// is recognised when its slot, or its descriptor's number, has a new owner.
type slot struct {
	src     Source
	fd      int32
	gen     uint32
	want    asyncore.Interest // what the source asks for
	have    asyncore.Interest // what the poller knows; 0: not registered there
	changed bool              // is in Engine.changed
	again   uint32            // the turn of which Ready(0) is a part, as a mark; 0: none
}

// Register gives src a slot for fd, with no interest, and returns its token.
func (e *Engine) Register(src Source, fd int) uint64 {
	var i uint32
	if n := len(e.free); n > 0 {
		i, e.free = e.free[n-1], e.free[:n-1]
	} else {
		i = uint32(len(e.slots))
		e.slots = append(e.slots, slot{})
	}
	s := &e.slots[i]
	s.src, s.fd, s.again = src, int32(fd), 0
	s.gen++
	e.refs++
	return uint64(s.gen)<<32 | uint64(i)
}

// Transfer gives a registration to another source, as it is: descriptor,
// interest, and what the poller knows.
func (e *Engine) Transfer(token uint64, to Source) { e.slots[uint32(token)].src = to }

// Has tells whether fd is registered. It looks at every slot.
func (e *Engine) Has(fd int) bool {
	return slices.ContainsFunc(e.slots, func(s slot) bool { return s.src != nil && s.fd == int32(fd) })
}

// Unregister ends a registration. Its descriptor leaves the poller at once,
// since it is about to be closed: a duplicate would keep the kernel's
// registration alive otherwise.
func (e *Engine) Unregister(token uint64) {
	s := e.lookup(token)
	if s == nil {
		return
	}
	if s.have != 0 {
		e.unwatch(s)
	}
	*s = slot{gen: s.gen + 1, changed: s.changed}
	e.free = append(e.free, uint32(token))
	e.refs--
}

// unwatch takes a registration's descriptor out of the poller. Where somebody
// has closed it (ENOENT, EBADF) that is done, unless a duplicate keeps the
// kernel's registration alive: then its events will tell.
func (e *Engine) unwatch(s *slot) {
	if err := e.poller.Remove(int(s.fd)); err != nil {
		e.orphans = true
	}
	s.have = 0
}

// lookup returns the registration of token, or nil if it has ended.
func (e *Engine) lookup(token uint64) *slot {
	s := &e.slots[uint32(token)]
	if s.gen != uint32(token>>32) || s.src == nil {
		return nil
	}
	return s
}

// Want sets a registration's interest. The poller learns of it when the turn
// ends, and only if it is then really another one.
func (e *Engine) Want(token uint64, want asyncore.Interest) {
	s := &e.slots[uint32(token)]
	s.want = want
	if want != s.have && !s.changed {
		s.changed = true
		e.changed = append(e.changed, uint32(token))
	}
}

// Wanted returns a registration's interest.
func (e *Engine) Wanted(token uint64) asyncore.Interest { return e.slots[uint32(token)].want }

// Apply tells the poller of a registration's interest now.
func (e *Engine) Apply(token uint64) error {
	s := e.lookup(token)
	if s == nil {
		return nil
	}
	if last := len(e.changed) - 1; last >= 0 && e.changed[last] == uint32(token) {
		// The Want just before; nothing of it is left for a turn to do.
		e.changed = e.changed[:last]
		s.changed = false
	}
	return e.apply(s, token)
}

func (e *Engine) apply(s *slot, token uint64) (err error) {
	switch {
	case s.want == s.have:
		return nil
	case s.want == 0:
		e.unwatch(s)
	case s.have == 0:
		err = e.poller.Add(int(s.fd), token, s.want)
	default:
		err = e.poller.Modify(int(s.fd), token, s.want)
		if errors.Is(err, syscall.ENOENT) {
			// The number was closed and opened again behind our back, or the
			// kernel dropped a kqueue filter of its own accord.
			err = e.poller.Add(int(s.fd), token, s.want)
		}
	}
	if err != nil {
		if s.have != 0 {
			e.unwatch(s) // the source is to close: its old interest must not outlive it
		}
		return err
	}
	s.have = s.want
	return nil
}

// Again asks for a Ready in the next turn, with no direction unless there is an
// event too. However often it is asked for, there is one: a source has its share
// of a turn once.
func (e *Engine) Again(token uint64) {
	if s := e.lookup(token); s != nil && s.again != e.mark(0) && s.again != e.mark(1) {
		s.again = e.mark(1)
		e.again = append(e.again, token)
	}
}

// mark stands for a turn, counted from this one, in a slot. It is never 0.
func (e *Engine) mark(ahead uint64) uint32 { return uint32(e.Turns+ahead)<<1 | 1 }

// Dirty asks for a Flush in the coming flush phase. The caller sees to it
// that it asks once.
func (e *Engine) Dirty(src Source) { e.dirty = append(e.dirty, src) }

// Due asks for a Finish in the coming close phase, once.
func (e *Engine) Due(src Source) { e.due = append(e.due, src) }

// Starved asks for a Ready(0) when this loop next closes a descriptor.
func (e *Engine) Starved(token uint64) {
	if !slices.Contains(e.starved, token) {
		e.starved = append(e.starved, token)
	}
}

// CloseFD closes a descriptor, once, whatever the kernel says: after EINTR or
// EIO the number is free, and a second close would hit a stranger's.
func (e *Engine) CloseFD(fd int) {
	e.Sys.Close(fd)
	for _, token := range e.starved {
		e.Again(token)
	}
	e.starved = e.starved[:0]
}
