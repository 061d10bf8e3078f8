//go:build unix

package asyncore

import (
	"errors"
	"syscall"
	"time"
)

// countdown is what is left of a timeout, for a wait that a signal has
// interrupted (EINTR). The clock is read only if there is something to count.
type countdown struct {
	timeout  time.Duration
	deadline time.Time
}

func count(timeout time.Duration) countdown {
	if timeout <= 0 {
		return countdown{timeout: timeout}
	}
	return countdown{timeout: timeout, deadline: time.Now().Add(timeout)}
}

func (c countdown) left() time.Duration {
	if c.timeout <= 0 {
		return c.timeout
	}
	return max(time.Until(c.deadline), 0)
}

// ceil converts timeout to whole units, rounded up: rounded down, a wait for
// the last fraction of a unit would spin. Negative is forever, -1.
func ceil(timeout, unit time.Duration, most int64) int64 {
	if timeout < 0 {
		return -1
	}
	n := int64(timeout / unit)
	if timeout%unit != 0 {
		n++
	}
	return min(n, most)
}

// alwaysReady holds the registrations of descriptors that the kernel refuses
// to poll. There are few, if any: searches are linear.
type alwaysReady struct {
	regs []struct {
		fd int
		Event
	}
	next int  // whose turn it is when dst has no room for all
	skip bool // the turn is the kernel's, where there is room for one event
}

func (a *alwaysReady) index(fd int) int {
	for i := range a.regs {
		if a.regs[i].fd == fd {
			return i
		}
	}
	return -1
}

func (a *alwaysReady) set(fd int, token uint64, want Interest) {
	i := a.index(fd)
	if i < 0 {
		i = len(a.regs)
		a.regs = append(a.regs, struct {
			fd int
			Event
		}{fd: fd})
	}
	a.regs[i].Event = Event{Token: token, Ready: want & (Readable | Writable)}
}

func (a *alwaysReady) remove(fd int) bool {
	i := a.index(fd)
	if i < 0 {
		return false
	}
	a.regs = append(a.regs[:i], a.regs[i+1:]...)
	return true
}

// fill reports at most half of what dst has room for, and every other time
// nothing where there is room for one, so that neither kind of descriptor
// starves the other.
func (a *alwaysReady) fill(dst []Event) int {
	room := len(dst) / 2
	if a.skip = !a.skip; len(dst) == 1 && !a.skip {
		room = 1
	}
	n := 0
	for range a.regs {
		if n == room {
			break
		}
		a.next = (a.next + 1) % len(a.regs)
		if ev := a.regs[a.next].Event; ev.Ready != 0 {
			dst[n] = ev
			n++
		}
	}
	return n
}

// any tells whether fill would report something, so that wait must not block.
func (a *alwaysReady) any() bool {
	for i := range a.regs {
		if a.regs[i].Ready != 0 {
			return true
		}
	}
	return false
}

func isErrno(err error, errno syscall.Errno) bool {
	e, ok := errors.AsType[syscall.Errno](err)
	return ok && e == errno
}
