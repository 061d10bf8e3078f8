//go:build darwin || dragonfly || freebsd || netbsd || openbsd || (linux && kqfake)

package asyncore

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func init() { openers["kqueue"] = openKqueue }

type kqueue struct {
	kq     int
	waker  kqWaker
	always alwaysReady
	nested bool    // somebody has asked for the descriptor
	regs   []kqReg // by descriptor
	events []kevent
	batch  uint64 // counts the waits
}

// kqReg is one descriptor's registration. The token stays here and not in the
// kernel: udata has 32 bits on some systems, and every change on FreeBSD
// overwrites it.
type kqReg struct {
	token uint64
	batch uint64 // the wait that last reported the descriptor,
	slot  int32  // and where in its dst
	want  Interest
}

// kqFilters are the kernel's words for our directions: a registration of its
// own for each.
var kqFilters = []kqFilter{
	{Readable, evfiltRead, 0},
	{Writable, evfiltWrite, 0},
}

type kqFilter struct {
	dir    Interest
	filter int
	fflags uint32 // what the filter is asked for, and must answer
}

func openKqueue() (backend, error) {
	kq, err := kqOpen()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	w, err := openKqWaker(kq)
	if err != nil {
		kqClose(kq)
		return nil, err
	}
	return &kqueue{kq: kq, waker: w}, nil
}

// reg returns fd's registration, nil if there is none.
func (p *kqueue) reg(fd int) *kqReg {
	if fd < 0 || fd >= len(p.regs) || p.regs[fd].want == 0 {
		return nil
	}
	return &p.regs[fd]
}

func (p *kqueue) add(fd int, token uint64, want Interest) error {
	if p.reg(fd) != nil {
		return os.NewSyscallError("kevent", unix.EEXIST)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if fd >= len(p.regs) {
		p.regs = append(p.regs, make([]kqReg, fd+1-len(p.regs))...)
	}
	// Not asked: the kernels do take a regular file, and then FreeBSD reports
	// nothing at its end, while NetBSD takes it for reading only.
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		p.giveUp(fd, token, want)
		return nil
	}
	return p.set(fd, token, want)
}

func (p *kqueue) modify(fd int, token uint64, want Interest) error {
	if p.reg(fd) == nil {
		return os.NewSyscallError("kevent", unix.ENOENT)
	}
	if p.always.index(fd) >= 0 {
		p.giveUp(fd, token, want)
		return nil
	}
	return p.set(fd, token, want)
}

func (p *kqueue) remove(fd int) error {
	r := p.reg(fd)
	if r == nil {
		return os.NewSyscallError("kevent", unix.ENOENT)
	}
	want := r.want
	*r = kqReg{}
	if p.always.remove(fd) {
		return nil
	}
	return p.change(fd, want, 0)
}

func (p *kqueue) set(fd int, token uint64, want Interest) error {
	r := &p.regs[fd]
	err := p.change(fd, r.want, want)
	if p.refused(fd, err) {
		p.giveUp(fd, token, want)
		return nil
	}
	if err == nil {
		r.token, r.want = token, want
	}
	return err
}

// giveUp leaves fd to alwaysReady.
func (p *kqueue) giveUp(fd int, token uint64, want Interest) {
	r := &p.regs[fd]
	if p.always.index(fd) < 0 {
		p.change(fd, r.want, 0)
	}
	p.always.set(fd, token, want)
	r.token, r.want = token, want
	p.showAlways()
}

// change adds and deletes filters until fd has those of to where it had those
// of from. If one cannot be added, the others are as before. Those that stay
// are added too: if the number was closed and opened again behind our back,
// they went with it, and nothing else would tell.
func (p *kqueue) change(fd int, from, to Interest) error {
	var added Interest
	for _, f := range kqFilters {
		if f.dir&to == 0 {
			continue
		}
		// Added again, a disabled filter would stay disabled.
		err := kqChange(p.kq, fd, f.filter, evAdd|evEnable, f.fflags)
		if f.dir == Urgent && p.refused(fd, err) {
			continue // no socket, so it never has any
		}
		if err != nil {
			p.change(fd, added, 0)
			return err
		}
		added |= f.dir &^ from
	}
	for _, f := range kqFilters {
		if f.dir&from&^to == 0 {
			continue
		}
		err := kqChange(p.kq, fd, f.filter, evDelete, 0)
		if isErrno(err, unix.EBADF) || isErrno(err, unix.ENOENT) {
			continue // closed, and perhaps opened again: the filter went with it
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// kqChange makes one change in a call of its own. In a list, a change that
// fails would keep those after it from being made; with room for events, the
// call would fetch some.
func kqChange(kq, ident, filter, flags int, fflags uint32) error {
	var changes [1]kevent
	kqSet(&changes[0], ident, filter, flags)
	changes[0].Fflags = fflags
	for {
		_, err := kqCall(kq, changes[:], nil, nil)
		if err != unix.EINTR {
			return os.NewSyscallError("kevent", err)
		}
	}
}

// refused tells whether err, had in adding a filter, says that the kernel does
// not poll such a descriptor: most often a device. A pipe whose reader is gone
// cannot be watched for writing either; the write will not block, and will
// tell.
func (p *kqueue) refused(fd int, err error) bool {
	switch {
	case isErrno(err, unix.ENODEV), isErrno(err, unix.EINVAL), isErrno(err, unix.EOPNOTSUPP),
		isErrno(err, unix.EPIPE):
		return true
	case isErrno(err, unix.EBADF): // of an open one: such a pipe, on NetBSD
		_, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == nil && p.kq >= 0
	}
	return false
}

func (p *kqueue) wait(dst []Event, timeout time.Duration) (int, error) {
	n := 0
	if p.always.any() {
		if n = p.always.fill(dst); n > 0 && n == len(dst) {
			return n, nil
		}
		timeout = 0
	}
	room := max(len(dst)-n, 1) // with none, kevent would not wait
	if len(p.events) < room {
		p.events = make([]kevent, room)
	}
	got, err := p.kevent(p.events[:room], timeout)
	p.batch++
	for i := range p.events[:got] {
		ev := &p.events[i]
		if p.waker.woken(ev) {
			continue
		}
		fd := int(ev.Ident)
		r := p.reg(fd)
		if r == nil {
			continue
		}
		ready := kqueueReady(ev)
		if int(ev.Filter) == evfiltRead && r.want&Writable != 0 {
			// To a reader EV_EOF may be half of the end, which must not stand
			// for Writable. The whole of it the writer's filter tells.
			ready &^= HangUp
		}
		if ready == 0 {
			continue
		}
		if int(ev.Flags)&evOneshot != 0 {
			// Not our doing: FreeBSD drops the filter of a pipe that has lost
			// its reader when it reports it.
			p.giveUp(fd, r.token, r.want)
		}
		if r.batch != p.batch {
			if n == len(dst) {
				continue // level-triggered: it comes again
			}
			dst[n] = Event{Token: r.token}
			r.batch, r.slot = p.batch, int32(n)
			n++
		}
		dst[r.slot].Ready |= ready // each filter has an event of its own
	}
	p.showAlways()
	return n, err
}

func kqueueReady(ev *kevent) (ready Interest) {
	flags := int(ev.Flags)
	if flags&evEOF != 0 {
		ready |= HangUp
	}
	if flags&evError != 0 {
		ready |= Fault
	}
	for _, f := range kqFilters {
		if int(ev.Filter) != f.filter {
			continue
		}
		// Darwin reports ordinary data here too, and with EV_EOF fflags is
		// an errno.
		if f.fflags == 0 || flags&evEOF == 0 && ev.Fflags&f.fflags != 0 {
			ready |= f.dir
		}
	}
	return ready
}

// kqueueLongest is a timeout that every kernel takes; what is much longer is
// EINVAL to some.
const kqueueLongest = 1e6 * time.Second

func (p *kqueue) kevent(events []kevent, timeout time.Duration) (int, error) {
	timer := count(timeout)
	for {
		var ts *unix.Timespec // nil: for ever
		if d := timer.left(); d >= 0 {
			ts = new(unix.NsecToTimespec(int64(min(d, kqueueLongest))))
		}
		n, err := kqCall(p.kq, nil, events, ts)
		switch err {
		case nil:
			return n, nil
		case unix.EINTR, unix.ETIMEDOUT: // the latter on Darwin, see go.dev/issue/59679
		default:
			return 0, os.NewSyscallError("kevent", err)
		}
	}
}

func (p *kqueue) wake() error { return p.waker.wake() }

func (p *kqueue) fd() int {
	p.nested = true
	p.showAlways()
	return p.kq
}

// showAlways keeps the kqueue readable for a poller that watches it, while
// there are descriptors of which the kernel knows nothing.
func (p *kqueue) showAlways() {
	if p.nested && p.always.any() {
		p.wake()
	}
}

func (p *kqueue) close() error {
	p.waker.close()
	err := kqClose(p.kq)
	p.kq = -1 // its number may soon be another's
	return os.NewSyscallError("close", err)
}
