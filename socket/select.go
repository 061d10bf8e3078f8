package socket

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// Descriptor is what Select and Selector watch: a *Socket, an *os.File, a loop or
// anything else that has a descriptor.
type Descriptor interface{ Fd() uintptr }

// Select waits until something in r can be read, something in w written, or something
// in x has out-of-band data, and returns what that is, in the order given: Python's
// select.select, over poll(2), with no limit on the descriptors' numbers. A listener
// can be read when there is a connection to accept, a socket being connected can be
// written when that is over. The end of a stream and an error can be read. What is
// given twice is returned twice.
//
// A timeout of 0 only looks, [NoTimeout] waits for as long as it takes; any other
// negative one is an error. When it passes, all three results are empty, and that is
// no error. What is closed is [net.ErrClosed], or EBADF; what another goroutine closes
// while Select waits is not told, so don't.
//
// The elements may be of one type, or of several in slices of [Descriptor].
func Select[T Descriptor](r, w, x []T, timeout time.Duration) (canRead, canWrite, urgent []T, err error) {
	fail := func(err error) ([]T, []T, []T, error) { return nil, nil, nil, &net.OpError{Op: "select", Err: err} }
	if timeout < 0 && timeout != NoTimeout {
		return fail(errNegativeTimeout)
	}
	entries := make([]pollEntry, 0, len(r)+len(w)+len(x))
	for _, set := range [...]struct {
		of   []T
		want int16
	}{{r, pollIn}, {w, pollOut}, {x, pollPri}} {
		for _, d := range set.of {
			fd := d.Fd()
			if fd == ^uintptr(0) {
				return fail(net.ErrClosed)
			}
			entries = append(entries, pollEntry{fd: fd, want: set.want})
		}
	}
	if err := selectPoll(entries, timeout); err != nil {
		if _, ok := errors.AsType[syscall.Errno](err); ok {
			err = os.NewSyscallError("poll", err)
		}
		return fail(err)
	}
	pick := func(of []T, entries []pollEntry) (ready []T) {
		for i, d := range of {
			if entries[i].ready {
				ready = append(ready, d)
			}
		}
		return ready
	}
	return pick(r, entries), pick(w, entries[len(r):]), pick(x, entries[len(r)+len(w):]), nil
}

// pollEntry is one descriptor in one of Select's sets.
type pollEntry struct {
	fd    uintptr
	want  int16 // pollIn, pollOut or pollPri
	ready bool
}
