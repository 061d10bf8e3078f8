// Package systest gives tests a system with a clock that they set. Descriptors
// are the kernel's own; only the waiting is not done: a wait that would sleep
// until its timeout moves the clock by that much instead, so that a test of
// hours takes none, and each deadline is met to the nanosecond.
package systest

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// System is the real system under a manual clock, for one loop.
type System struct {
	sys.System
	Poller *Poller // the one opened last

	now atomic.Int64
}

// New returns a System whose clock stands at start.
func New(start time.Duration) *System {
	s := &System{System: sys.Real()}
	s.now.Store(int64(start))
	return s
}

// Now is the manual clock.
func (s *System) Now() int64 { return s.now.Load() }

// Advance moves the clock on, from any goroutine.
func (s *System) Advance(d time.Duration) { s.now.Add(int64(d)) }

// OpenPoller wraps a real poller.
func (s *System) OpenPoller(name string) (sys.Poller, error) {
	p, err := s.System.OpenPoller(name)
	if err != nil {
		return nil, err
	}
	s.Poller = &Poller{Poller: p, s: s}
	return s.Poller, nil
}

// Poller keeps a record of what the loop asks of it. What a test sets, it sets
// before the loop runs or on the loop's goroutine.
type Poller struct {
	sys.Poller
	s *System

	Waits  []time.Duration // the timeouts asked for
	Calls  []string        // of Add, Modify and Remove
	Closed int

	// OnWait, if set, is called at the beginning of each wait.
	OnWait func(timeout time.Duration)
	// Fail, if set, is what Wait returns.
	Fail error
	// WakeFails, if set, is what Wake returns when it has done its work.
	WakeFails error
	// Forged events are reported by the next wait, before the kernel's.
	Forged []asyncore.Event

	woken atomic.Bool
}

// Wait reports what is ready. Where nothing is, and nobody has called Wake, it
// moves the clock by timeout; for a negative one it does sleep.
func (p *Poller) Wait(dst []asyncore.Event, timeout time.Duration) (int, error) {
	p.Waits = append(p.Waits, timeout)
	if p.OnWait != nil {
		p.OnWait(timeout)
	}
	if p.Fail != nil {
		return 0, p.Fail
	}
	forged := copy(dst, p.Forged)
	p.Forged = p.Forged[:0]
	n, err := p.Poller.Wait(dst[forged:], 0)
	n += forged
	// Asked afterwards: the wait may have swallowed a wake-up that came just
	// before it.
	woken := p.woken.Swap(false)
	switch {
	case n > 0 || err != nil || woken || timeout == 0:
		return n, err
	case timeout > 0:
		p.s.Advance(timeout)
		return 0, nil
	default:
		return p.Poller.Wait(dst, timeout)
	}
}

func (p *Poller) Wake() error {
	p.woken.Store(true)
	if err := p.Poller.Wake(); err != nil {
		return err
	}
	return p.WakeFails
}

func (p *Poller) Add(fd int, token uint64, want asyncore.Interest) error {
	p.Calls = append(p.Calls, fmt.Sprintf("add %d %v", fd, want))
	return p.Poller.Add(fd, token, want)
}

func (p *Poller) Modify(fd int, token uint64, want asyncore.Interest) error {
	p.Calls = append(p.Calls, fmt.Sprintf("modify %d %v", fd, want))
	return p.Poller.Modify(fd, token, want)
}

func (p *Poller) Remove(fd int) error {
	p.Calls = append(p.Calls, fmt.Sprintf("remove %d", fd))
	return p.Poller.Remove(fd)
}

func (p *Poller) Close() error {
	p.Closed++
	return p.Poller.Close()
}
