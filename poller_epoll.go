//go:build linux

package asyncore

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() { openers["epoll"] = openEpoll }

type epoll struct {
	ep     int
	waker  *waker
	always alwaysReady
	events []unix.EpollEvent
	nested bool // somebody has asked for the descriptor
}

func openEpoll() (backend, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	w, err := openWaker()
	if err != nil {
		unix.Close(ep)
		return nil, err
	}
	p := &epoll{ep: ep, waker: w}
	// The only edge-triggered registration: each write to the waker is one
	// edge, so that nobody has to read it.
	ev := epollEvent(wakeToken, 0)
	ev.Events = unix.EPOLLIN | unix.EPOLLET
	if err := p.ctl(unix.EPOLL_CTL_ADD, w.r, &ev); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// epollEvent puts the token into the 64 bits that the kernel gives back.
func epollEvent(token uint64, want Interest) unix.EpollEvent {
	var bits uint32
	if want&Readable != 0 {
		bits |= unix.EPOLLIN
	}
	if want&Writable != 0 {
		bits |= unix.EPOLLOUT
	}
	if want&Urgent != 0 {
		bits |= unix.EPOLLPRI
	}
	return unix.EpollEvent{Events: bits, Fd: int32(uint32(token)), Pad: int32(uint32(token >> 32))}
}

func (p *epoll) add(fd int, token uint64, want Interest) error {
	if p.always.index(fd) >= 0 {
		return os.NewSyscallError("epoll_ctl", unix.EEXIST)
	}
	ev := epollEvent(token, want)
	err := p.ctl(unix.EPOLL_CTL_ADD, fd, &ev)
	if isErrno(err, unix.EPERM) { // no poll method: a regular file, /dev/null
		p.always.set(fd, token, want)
		p.showAlways()
		return nil
	}
	return err
}

func (p *epoll) modify(fd int, token uint64, want Interest) error {
	if p.always.index(fd) >= 0 {
		p.always.set(fd, token, want)
		p.showAlways()
		return nil
	}
	ev := epollEvent(token, want)
	return p.ctl(unix.EPOLL_CTL_MOD, fd, &ev)
}

func (p *epoll) remove(fd int) error {
	if p.always.remove(fd) {
		return nil
	}
	return p.ctl(unix.EPOLL_CTL_DEL, fd, new(unix.EpollEvent))
}

// ctl never blocks, so it hides from Go's scheduler: seen as a system call,
// it would cost a hand-over of the P now and then.
func (p *epoll) ctl(op, fd int, ev *unix.EpollEvent) error {
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.ep), uintptr(op), uintptr(fd),
		uintptr(unsafe.Pointer(ev)), 0, 0)
	if errno == unix.EPERM && op != unix.EPOLL_CTL_ADD {
		errno = unix.ENOENT // a file, and alwaysReady does not have it
	}
	if errno != 0 {
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

func (p *epoll) wait(dst []Event, timeout time.Duration) (int, error) {
	n := 0
	if p.always.any() {
		if n = p.always.fill(dst); n > 0 && n == len(dst) {
			return n, nil
		}
		timeout = 0
	}
	room := max(len(dst)-n, 1) // with none, epoll_pwait would fail
	if len(p.events) < room {
		p.events = make([]unix.EpollEvent, room)
	}
	got, err := p.epollWait(p.events[:room], timeout)
	for i := range p.events[:got] {
		ev := &p.events[i]
		token := uint64(uint32(ev.Fd)) | uint64(uint32(ev.Pad))<<32
		if token == wakeToken {
			p.waker.answered()
			continue
		}
		if n == len(dst) {
			break // level-triggered: it comes again
		}
		dst[n] = Event{Token: token, Ready: epollReady(ev.Events)}
		n++
	}
	p.showAlways()
	return n, err
}

func epollReady(bits uint32) (ready Interest) {
	if bits&unix.EPOLLIN != 0 {
		ready |= Readable
	}
	if bits&unix.EPOLLOUT != 0 {
		ready |= Writable
	}
	if bits&unix.EPOLLPRI != 0 {
		ready |= Urgent
	}
	if bits&unix.EPOLLHUP != 0 {
		ready |= HangUp
	}
	if bits&unix.EPOLLERR != 0 {
		ready |= Fault
	}
	return ready
}

func (p *epoll) epollWait(events []unix.EpollEvent, timeout time.Duration) (int, error) {
	timer := count(timeout)
	for {
		ms := ceil(timer.left(), time.Millisecond, 1<<31-1)
		// A wait that may sleep must be seen by Go's scheduler, or every other
		// goroutine of this P would sleep with it. One that cannot must not be.
		call := syscall.Syscall6
		if ms == 0 {
			call = syscall.RawSyscall6
		}
		n, _, errno := call(unix.SYS_EPOLL_PWAIT, uintptr(p.ep), uintptr(unsafe.Pointer(&events[0])),
			uintptr(len(events)), uintptr(ms), 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, os.NewSyscallError("epoll_pwait", errno)
		}
	}
}

func (p *epoll) wake() error { return p.waker.wake() }

func (p *epoll) fd() int {
	p.nested = true
	p.showAlways()
	return p.ep
}

// showAlways keeps the epoll descriptor readable for a poller that watches it,
// while there are descriptors of which the kernel knows nothing.
func (p *epoll) showAlways() {
	if p.nested && p.always.any() {
		p.wake()
	}
}

func (p *epoll) close() error {
	ep := p.ep
	p.ep = -1 // the number may soon be a stranger's
	p.waker.close()
	return os.NewSyscallError("close", unix.Close(ep))
}
