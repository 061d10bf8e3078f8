//go:build unix && !aix

package asyncore

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func init() { openers["poll"] = openPoll }

// poll hands the whole list of descriptors to the kernel in each wait: O(n),
// but with no limit on their numbers.
type poll struct {
	waker *waker
	fds   []unix.PollFd // fds[0] is the waker's
	token []uint64      // in the order of fds
	index map[int]int   // descriptor to its place in fds
	next  int           // where the next wait begins to look for events
}

func openPoll() (backend, error) {
	w, err := openWaker()
	if err != nil {
		return nil, err
	}
	return &poll{
		waker: w,
		fds:   []unix.PollFd{{Fd: int32(w.r), Events: unix.POLLIN}},
		token: []uint64{wakeToken},
		index: map[int]int{w.r: 0},
	}, nil
}

func (p *poll) add(fd int, token uint64, want Interest) error {
	if _, ok := p.index[fd]; ok {
		return os.NewSyscallError("poll", unix.EEXIST)
	}
	// poll(2) itself would skip a negative number and report a closed one in
	// each wait.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
		return os.NewSyscallError("poll", err)
	}
	p.index[fd] = len(p.fds)
	p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: pollBits(want)})
	p.token = append(p.token, token)
	return nil
}

func (p *poll) modify(fd int, token uint64, want Interest) error {
	i, ok := p.index[fd]
	if !ok {
		return os.NewSyscallError("poll", unix.ENOENT)
	}
	p.fds[i].Events = pollBits(want)
	p.token[i] = token
	return nil
}

// remove moves the last descriptor into the gap.
func (p *poll) remove(fd int) error {
	i, ok := p.index[fd]
	if !ok {
		return os.NewSyscallError("poll", unix.ENOENT)
	}
	last := len(p.fds) - 1
	p.fds[i], p.token[i] = p.fds[last], p.token[last]
	p.index[int(p.fds[i].Fd)] = i
	p.fds, p.token = p.fds[:last], p.token[:last]
	delete(p.index, fd)
	return nil
}

func (p *poll) wait(dst []Event, timeout time.Duration) (int, error) {
	ready, err := p.poll(timeout)
	if err != nil {
		return 0, err
	}
	if p.fds[0].Revents != 0 {
		p.waker.drain()
		ready--
	}
	n := 0
	for range len(p.fds) - 1 {
		if ready <= 0 || n == len(dst) {
			break
		}
		if p.next++; p.next >= len(p.fds) {
			p.next = 1
		}
		if bits := p.fds[p.next].Revents; bits != 0 {
			dst[n] = Event{Token: p.token[p.next], Ready: pollReady(bits)}
			n++
			ready--
		}
	}
	return n, nil
}

func pollBits(want Interest) (bits int16) {
	if want&Readable != 0 {
		bits |= unix.POLLIN
	}
	if want&Writable != 0 {
		bits |= unix.POLLOUT
	}
	if want&Urgent != 0 {
		bits |= unix.POLLPRI
	}
	return bits
}

func pollReady(bits int16) (ready Interest) {
	if bits&unix.POLLIN != 0 {
		ready |= Readable
	}
	if bits&unix.POLLOUT != 0 {
		ready |= Writable
	}
	if bits&unix.POLLPRI != 0 {
		ready |= Urgent
	}
	if bits&unix.POLLHUP != 0 {
		ready |= HangUp
	}
	if bits&(unix.POLLERR|unix.POLLNVAL) != 0 {
		ready |= Fault
	}
	return ready
}

func (p *poll) poll(timeout time.Duration) (int, error) {
	timer := count(timeout)
	for {
		n, err := unix.Poll(p.fds, int(ceil(timer.left(), time.Millisecond, 1<<31-1)))
		switch err {
		case nil:
			return n, nil
		case unix.EINTR:
		default:
			return 0, os.NewSyscallError("poll", err)
		}
	}
}

func (p *poll) wake() error { return p.waker.wake() }

func (p *poll) fd() int { return -1 }

func (p *poll) close() error {
	p.waker.close()
	return nil
}
