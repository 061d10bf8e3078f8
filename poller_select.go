//go:build unix

package asyncore

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func init() { openers["select"] = openSelect }

// sel is select(2), for systems and lessons that want it: three sets of
// bits, walked from end to end in each wait, that cannot hold descriptors of
// FD_SETSIZE and above.
type sel struct {
	waker *waker
	r, w  unix.FdSet
	x     unix.FdSet // exceptional: out-of-band data
	regs  [unix.FD_SETSIZE]struct {
		token uint64
		want  Interest
	}
	high int // no descriptor registered is above it
	next int // where the next wait begins to look for events
}

func openSelect() (backend, error) {
	w, err := openWaker()
	if err != nil {
		return nil, err
	}
	p := &sel{waker: w}
	if w.r >= unix.FD_SETSIZE {
		w.close()
		return nil, &FDLimitError{FD: w.r, Limit: unix.FD_SETSIZE}
	}
	p.set(w.r, wakeToken, Readable)
	return p, nil
}

func (p *sel) registered(fd int) bool {
	return fd >= 0 && fd < unix.FD_SETSIZE && p.regs[fd].want != 0
}

func (p *sel) set(fd int, token uint64, want Interest) {
	p.regs[fd].token, p.regs[fd].want = token, want
	p.high = max(p.high, fd)
	setBit(&p.r, fd, want&Readable != 0)
	setBit(&p.w, fd, want&Writable != 0)
	setBit(&p.x, fd, want&Urgent != 0)
}

func setBit(set *unix.FdSet, fd int, on bool) {
	if on {
		set.Set(fd)
	} else {
		set.Clear(fd)
	}
}

func (p *sel) add(fd int, token uint64, want Interest) error {
	if fd >= unix.FD_SETSIZE {
		return &FDLimitError{FD: fd, Limit: unix.FD_SETSIZE}
	}
	if p.registered(fd) {
		return os.NewSyscallError("select", unix.EEXIST)
	}
	// select(2) would fail as a whole for a descriptor that is not open.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return os.NewSyscallError("select", err)
	}
	p.set(fd, token, want)
	return nil
}

func (p *sel) modify(fd int, token uint64, want Interest) error {
	if !p.registered(fd) {
		return os.NewSyscallError("select", unix.ENOENT)
	}
	p.set(fd, token, want)
	return nil
}

func (p *sel) remove(fd int) error {
	if !p.registered(fd) {
		return os.NewSyscallError("select", unix.ENOENT)
	}
	p.set(fd, 0, 0)
	for p.high > 0 && p.regs[p.high].want == 0 {
		p.high--
	}
	return nil
}

func (p *sel) wait(dst []Event, timeout time.Duration) (int, error) {
	var closed unix.FdSet
	r, w, x, err := p.sel(timeout, &closed)
	if isErrno(err, unix.EBADF) {
		// Somebody has closed a descriptor outside, and select has failed for
		// all: find it, report it, and ask for the others alone.
		p.findClosed(&closed)
		r, w, x, err = p.sel(0, &closed)
	}
	if err != nil {
		return 0, err
	}
	n := 0
	for range p.high + 1 {
		if n == len(dst) {
			break
		}
		if p.next++; p.next > p.high {
			p.next = 0
		}
		fd := p.next
		// By our own registrations: NetBSD leaves the bits of descriptors
		// above its table set.
		want := p.regs[fd].want
		var ready Interest
		if want&Readable != 0 && r.IsSet(fd) {
			ready |= Readable
		}
		if want&Writable != 0 && w.IsSet(fd) {
			ready |= Writable
		}
		if want&Urgent != 0 && x.IsSet(fd) {
			ready |= Urgent
		}
		if want != 0 && closed.IsSet(fd) {
			ready = Fault
		}
		switch {
		case ready == 0:
		case fd == p.waker.r:
			p.waker.drain()
		default:
			dst[n] = Event{Token: p.regs[fd].token, Ready: ready}
			n++
		}
	}
	return n, nil
}

// findClosed collects the descriptors that are registered and not open.
func (p *sel) findClosed(closed *unix.FdSet) {
	for fd := range p.high + 1 {
		if p.regs[fd].want == 0 {
			continue
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == unix.EBADF {
			closed.Set(fd)
		}
	}
}

// sel calls select for all that is registered but what is closed.
func (p *sel) sel(timeout time.Duration, closed *unix.FdSet) (r, w, x unix.FdSet, err error) {
	timer := count(timeout)
	for {
		r, w, x = p.r, p.w, p.x
		for i, bits := range closed.Bits {
			r.Bits[i] &^= bits
			w.Bits[i] &^= bits
			x.Bits[i] &^= bits
		}
		var tv *unix.Timeval // nil: for ever
		// More than 100,000,000 s is an error on some systems.
		if us := ceil(timer.left(), time.Microsecond, 1e8*1e6); us >= 0 {
			tv = new(unix.NsecToTimeval(us * 1000))
		}
		_, err = unix.Select(p.high+1, &r, &w, &x, tv)
		if err != unix.EINTR {
			return r, w, x, os.NewSyscallError("select", err)
		}
	}
}

func (p *sel) wake() error { return p.waker.wake() }

func (p *sel) fd() int { return -1 }

func (p *sel) close() error {
	p.waker.close()
	return nil
}
