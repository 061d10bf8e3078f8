package socket

import (
	"cmp"
	"iter"
	"net"
	"os"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
)

// SelectorKey is one registration with a [Selector].
type SelectorKey struct {
	File   Descriptor // what was registered
	FD     uintptr    // its descriptor then
	Events asyncore.Interest
	Data   any // the caller's own
	// Ready is what of Events there is, in what Select returns; otherwise none.
	Ready asyncore.Interest

	token uint64
	at    int // where it is in Select's result, and 1; 0 is nowhere
}

// Selector watches many descriptors, each registered once: Python's
// selectors.DefaultSelector, on the best [asyncore.Poller] of the system. It belongs
// to one goroutine at a time, and doesn't own what it watches: Unregister before
// closing.
type Selector struct {
	poller *asyncore.Poller
	keys   map[uintptr]*SelectorKey // by descriptor
	tokens map[uint64]*SelectorKey
	last   uint64
	events []asyncore.Event
}

// NewSelector returns a Selector with nothing registered. It holds descriptors until
// Close. The environment variable ASYNCORE_POLLER can name another poller.
func NewSelector() (*Selector, error) {
	p, err := asyncore.Open("")
	if err != nil {
		return nil, err
	}
	return &Selector{poller: p, keys: map[uintptr]*SelectorKey{}, tokens: map[uint64]*SelectorKey{}}, nil
}

// Register watches f for events: asyncore.Readable, Writable and Urgent. Data comes
// back with them. A descriptor that is registered already is EEXIST, a closed one
// [net.ErrClosed].
func (s *Selector) Register(f Descriptor, events asyncore.Interest, data any) error {
	fd := f.Fd()
	switch {
	case s.poller == nil || fd == ^uintptr(0):
		return selectorError("register", net.ErrClosed)
	case s.keys[fd] != nil:
		return selectorError("register", os.NewSyscallError("selector", syscall.EEXIST))
	}
	if err := s.poller.Add(int(fd), s.last, events); err != nil {
		return selectorError("register", err)
	}
	k := &SelectorKey{File: f, FD: fd, Events: events, Data: data, token: s.last}
	s.keys[fd], s.tokens[k.token] = k, k
	s.last++
	return nil
}

// Modify replaces the events and the data of a registration; ENOENT where there is
// none.
func (s *Selector) Modify(f Descriptor, events asyncore.Interest, data any) error {
	k, err := s.find("modify", f)
	if err != nil {
		return err
	}
	if events != k.Events {
		if err := s.poller.Modify(int(k.FD), k.token, events); err != nil {
			return selectorError("modify", err)
		}
	}
	k.Events, k.Data = events, data
	return nil
}

// Unregister ends a registration, also that of a Descriptor which was closed before;
// ENOENT where there is none.
func (s *Selector) Unregister(f Descriptor) error {
	k, err := s.find("unregister", f)
	if err != nil {
		return err
	}
	delete(s.keys, k.FD)
	delete(s.tokens, k.token)
	if err := s.poller.Remove(int(k.FD)); err != nil && f.Fd() == k.FD {
		return selectorError("unregister", err)
	}
	return nil
}

// Get returns the registration of f.
func (s *Selector) Get(f Descriptor) (SelectorKey, bool) {
	k, err := s.find("get", f)
	if err != nil {
		return SelectorKey{}, false
	}
	return *k, true
}

// All ranges over the registrations, in the order in which they were made. It shows
// those of its beginning, whatever is registered meanwhile: Python's get_map.
func (s *Selector) All() iter.Seq[SelectorKey] {
	return func(yield func(SelectorKey) bool) {
		all := make([]SelectorKey, 0, len(s.keys))
		for _, k := range s.keys {
			all = append(all, *k)
		}
		slices.SortFunc(all, func(a, b SelectorKey) int { return cmp.Compare(a.token, b.token) })
		for _, k := range all {
			if !yield(k) {
				return
			}
		}
	}
}

// Select waits until something is ready and returns it, in no order. A timeout of 0
// only looks, [NoTimeout] waits for as long as it takes; any other negative one is an
// error, while Python takes it for 0. When it passes, the result is empty. Hang-ups
// and errors count as whatever was asked for: the read or write tells of them.
func (s *Selector) Select(timeout time.Duration) ([]SelectorKey, error) {
	switch {
	case s.poller == nil:
		return nil, selectorError("select", net.ErrClosed)
	case timeout < 0 && timeout != NoTimeout:
		return nil, selectorError("select", errNegativeTimeout)
	}
	if n := 3 * max(len(s.keys), 1); len(s.events) < n { // kqueue tells of each direction by itself
		s.events = make([]asyncore.Event, n)
	}
	n, err := s.poller.Wait(s.events, timeout)
	if err != nil {
		return nil, selectorError("select", err)
	}
	ready := make([]SelectorKey, 0, n)
	for _, e := range s.events[:n] {
		k := s.tokens[e.Token]
		if k == nil {
			continue
		}
		bits := e.Ready & k.Events
		if e.Ready&(asyncore.HangUp|asyncore.Fault) != 0 {
			bits = k.Events
		}
		if bits == 0 {
			continue
		}
		if k.at == 0 {
			ready = append(ready, *k)
			k.at = len(ready)
		}
		ready[k.at-1].Ready |= bits
	}
	for _, key := range ready {
		s.tokens[key.token].at = 0
	}
	return ready, nil
}

// Close releases the Selector's own descriptors, and forgets all registrations. A
// second Close returns [net.ErrClosed].
func (s *Selector) Close() error {
	if s.poller == nil {
		return selectorError("close", net.ErrClosed)
	}
	p := s.poller
	*s = Selector{}
	return p.Close()
}

// find looks for the registration by descriptor, and where that is closed by what
// was registered.
func (s *Selector) find(op string, f Descriptor) (*SelectorKey, error) {
	if s.poller == nil {
		return nil, selectorError(op, net.ErrClosed)
	}
	if k := s.keys[f.Fd()]; k != nil {
		return k, nil
	}
	for _, k := range s.keys {
		if reflect.ValueOf(k.File).Comparable() && k.File == f {
			return k, nil
		}
	}
	return nil, selectorError(op, os.NewSyscallError("selector", syscall.ENOENT))
}

func selectorError(op string, err error) error {
	return &net.OpError{Op: "selector " + op, Err: err}
}
