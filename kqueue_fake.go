//go:build linux && kqfake

package asyncore

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A kqueue in user space, in the place of kqueue_sys.go: so that the backend
// runs where there is no kernel with a kqueue. It is for tests, needs the tag
// kqfake, and is in no other build. Its rules are those measured on the real
// kernels, and kqueue_fake_test.go compares it with what they said, line by
// line. This file has the kqueue: changes, scans, waits. What a descriptor has
// to report, by poll(2), stands in kqueue_fake_note.go.
//
// What it cannot know: a change and its reverse between two scans, which
// matter to EV_CLEAR; the errno of a reset, which asking for would take away;
// and that a number was closed and opened again for the very same file.

type kevent struct {
	Ident  uint64
	Filter int16
	Flags  uint16
	Fflags uint32
	Data   int64
	Udata  uint64
}

// The numbers are FreeBSD's, and EVFILT_EXCEPT's is Darwin's.
const (
	evfiltRead   = -1
	evfiltWrite  = -2
	evfiltUser   = -11
	evfiltExcept = -15

	evAdd      = 0x1
	evDelete   = 0x2
	evEnable   = 0x4
	evDisable  = 0x8
	evOneshot  = 0x10
	evClear    = 0x20
	evReceipt  = 0x40
	evDispatch = 0x80
	evError    = 0x4000
	evEOF      = 0x8000

	noteLowat   = 0x1
	noteOOB     = 0x2
	noteTrigger = 0x1000000
)

// fakeKernel is what one kernel does otherwise than another.
type fakeKernel struct {
	user     bool // EVFILT_USER, EV_RECEIPT, EV_DISPATCH
	except   bool // EVFILT_EXCEPT
	echoAdd  bool // EV_ADD comes back in events
	keepData bool // udata is set by EV_ADD only, not by every change
	headers  bool // the data of datagrams counts their senders' addresses

	tick        time.Duration // waits are rounded up to it
	readerGone  unix.Errno    // for watching a pipe that has lost its reader
	dropsWriter bool          // reporting that such a pipe is writable deletes the filter
	fileWrite   unix.Errno    // for watching a regular file for writing
	device      unix.Errno    // for watching /dev/null; 0: it is ready always
}

// FreeBSD 12.2 and NetBSD 7.99 were measured. Darwin was not: it stands here
// for the systems with EVFILT_EXCEPT, and is else FreeBSD.
var fakeKernels = map[string]*fakeKernel{
	"freebsd": {user: true, readerGone: unix.EPIPE, dropsWriter: true, device: unix.ENODEV},
	"netbsd": {
		echoAdd: true, keepData: true, headers: true,
		tick: 10 * time.Millisecond, readerGone: unix.EBADF, fileWrite: unix.EINVAL,
	},
	"darwin": {user: true, except: true, readerGone: unix.EPIPE, device: unix.ENODEV},
}

// fakeChosen is the kernel that the backend meets.
var fakeChosen = chooseFake()

func chooseFake() *fakeKernel {
	name := os.Getenv("ASYNCORE_KQFAKE")
	if name == "" {
		name = "freebsd"
	}
	k := fakeKernels[name]
	if k == nil {
		panic(fmt.Sprintf("ASYNCORE_KQFAKE: there is no fake of %q", name))
	}
	return k
}

func init() {
	if fakeChosen.except {
		kqFilters = append(kqFilters, kqFilter{Urgent, evfiltExcept, noteOOB})
	}
}

// kqWaker is either of the two that real systems have one of.
type kqWaker interface {
	wake() error
	woken(ev *kevent) bool
	close()
}

func openKqWaker(kq int) (kqWaker, error) {
	if fakeChosen.user {
		return openUserWaker(kq)
	}
	return openPipeWaker(kq)
}

func kqOpen() (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	kq, err := fakeChosen.open()
	if err == nil {
		unix.CloseOnExec(kq)
	}
	return kq, err
}

func kqSet(k *kevent, ident, filter, flags int) {
	k.Ident, k.Filter, k.Flags = uint64(ident), int16(filter), uint16(flags)
}

// fakeKqueue is one kqueue. Its descriptor is a real one, an epoll, readable
// while the kqueue has something to report or at least has to look: so it can
// be polled, and nests. It holds two others, the epoll of the watched
// descriptors and an eventfd for what no epoll can tell.
type fakeKqueue struct {
	kernel *fakeKernel
	fd     int
	closed atomic.Bool

	mu      sync.Mutex
	watched int      // the inner epoll, replaced when a file is stuck in it
	armed   []uint32 // by descriptor: what watched has it for
	bell    int      // the eventfd
	rung    bool
	notes   []knote // in the order of EV_ADD
	next    int     // where the next scan begins
	polls   []unix.PollFd
}

var fakes = struct {
	sync.Mutex
	byNumber map[int]*fakeKqueue
}{byNumber: map[int]*fakeKqueue{}}

func (k *fakeKernel) open() (int, error) {
	q := &fakeKqueue{kernel: k, fd: -1, watched: -1, bell: -1}
	var err error
	if q.fd, err = unix.EpollCreate1(0); err != nil {
		return -1, err
	}
	if q.bell, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		if err = epollSet(q.fd, unix.EPOLL_CTL_ADD, q.bell, unix.EPOLLIN); err == nil {
			err = q.renew()
		}
	}
	if err != nil {
		q.close()
		return -1, err
	}
	fakes.Lock()
	defer fakes.Unlock()
	fakes.byNumber[q.fd] = q
	return q.fd, nil
}

func kqClose(kq int) error {
	fakes.Lock()
	q := fakes.byNumber[kq]
	delete(fakes.byNumber, kq)
	fakes.Unlock()
	if q == nil {
		return unix.EBADF
	}
	return q.close()
}

func (q *fakeKqueue) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed.Store(true)
	unix.Close(q.watched)
	unix.Close(q.bell)
	return unix.Close(q.fd)
}

func epollSet(ep, op, fd int, bits uint32) error {
	ev := unix.EpollEvent{Events: bits, Fd: int32(fd)}
	return unix.EpollCtl(ep, op, fd, &ev)
}

// kqCall is kevent(2).
func kqCall(kq int, changes, events []kevent, timeout *unix.Timespec) (int, error) {
	fakes.Lock()
	q := fakes.byNumber[kq]
	fakes.Unlock()
	if q == nil {
		return -1, unix.EBADF
	}
	if n, err := q.change(changes, events); n != 0 || len(events) == 0 {
		return n, err
	}
	longest := time.Duration(-1)
	if timeout != nil {
		if timeout.Sec < 0 || timeout.Nsec < 0 || timeout.Nsec >= 1e9 {
			return -1, unix.EINVAL
		}
		longest = time.Duration(timeout.Nano())
		if tick := q.kernel.tick; tick > 0 && longest > 0 {
			longest = (longest + tick - 1) / tick * tick
		}
	}
	return q.wait(events, longest)
}

// change makes the changes one by one. With room for events an error is one
// of them, and the changes after it are made; without, it ends the call.
func (q *fakeKqueue) change(changes, events []kevent) (n int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		errno := q.apply(c)
		if receipt := q.kernel.user && c.Flags&evReceipt != 0; errno == 0 && !receipt {
			continue
		}
		if n == len(events) {
			if errno != 0 {
				return -1, errno
			}
			return n, nil
		}
		events[n] = *c
		events[n].Flags, events[n].Data = evError, int64(errno)
		n++
	}
	return n, nil
}

func (q *fakeKqueue) apply(c *kevent) unix.Errno {
	filter, fd, flags := int(c.Filter), int(c.Ident), int(c.Flags)
	var file fakeFile
	switch {
	case filter == evfiltUser && q.kernel.user:
	case filter == evfiltRead, filter == evfiltWrite, filter == evfiltExcept && q.kernel.except:
		var errno unix.Errno
		if file, errno = identify(fd); errno != 0 {
			q.forget(fd, file)
			return errno
		}
		q.forget(fd, file)
	default:
		return unix.EINVAL
	}

	i := slices.IndexFunc(q.notes, func(k knote) bool { return k.fd == fd && k.filter == filter })
	isNew := i < 0
	switch {
	case isNew && flags&evAdd == 0:
		return unix.ENOENT
	case flags&evDelete != 0:
		q.delete(i)
		q.arm(fd)
		return 0
	case isNew:
		k := knote{fd: fd, filter: filter, file: file, fflags: c.Fflags, lowat: c.Data}
		if errno := k.attach(q.kernel, q.watched); errno != 0 {
			return errno
		}
		k.flags = flags & (evOneshot | evClear | evReceipt | evDispatch)
		if q.kernel.echoAdd {
			k.flags = flags & (evAdd | evOneshot | evClear)
		}
		i = len(q.notes)
		q.notes = append(q.notes, k)
	}

	k := &q.notes[i]
	if flags&evAdd != 0 || !q.kernel.keepData {
		k.udata = c.Udata
	}
	switch {
	case isNew:
	case filter == evfiltUser:
		k.triggered = k.triggered || c.Fflags&noteTrigger != 0
	case flags&evAdd != 0:
		k.fflags, k.lowat = c.Fflags, c.Data
		k.last = status{} // an EV_CLEAR event comes again
	}
	if flags&evDisable != 0 {
		k.disabled = true
	} else if flags&evEnable != 0 {
		k.disabled = false // EV_ADD alone does not do it
	}
	// Whoever waits has to look again.
	k.want = k.interest()
	q.arm(fd)
	if !k.disabled && (k.triggered || !k.polled && filter != evfiltUser) {
		q.ring(true)
	}
	return 0
}

// delete takes out a note without disturbing the order of the others.
func (q *fakeKqueue) delete(i int) {
	q.notes = slices.Delete(q.notes, i, i+1)
	if i < q.next {
		q.next--
	}
}

// forget drops the notes of a number that is no longer file's, as close(2)
// does in a kernel at once. Nobody can tell that here it is done later: before
// the number is next looked at.
func (q *fakeKqueue) forget(fd int, file fakeFile) {
	stale := false
	for i := len(q.notes) - 1; i >= 0; i-- {
		if k := &q.notes[i]; k.filter != evfiltUser && k.fd == fd && k.file != file {
			q.delete(i)
			stale = true
		}
	}
	if stale && q.armed[fd] != 0 {
		// A duplicate may keep the file in the epoll, where its number gives
		// no hold on it any more.
		q.armed[fd] = 0
		q.renew()
	}
}

// renew replaces the inner epoll, under the same number: the one that was just
// closed is its owner's to see free. If there is no descriptor for a new one,
// the old one stays, and at worst makes us look in vain.
func (q *fakeKqueue) renew() error {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	for fd, bits := range q.armed {
		if bits != 0 {
			epollSet(ep, unix.EPOLL_CTL_ADD, fd, bits)
		}
	}
	if q.watched < 0 {
		q.watched = ep
	} else {
		err = unix.Dup3(ep, q.watched, unix.O_CLOEXEC)
		unix.Close(ep)
		if err != nil {
			return err
		}
	}
	return epollSet(q.fd, unix.EPOLL_CTL_ADD, q.watched, unix.EPOLLIN)
}

// arm gives the inner epoll what fd's notes want together.
func (q *fakeKqueue) arm(fd int) {
	var want uint32
	for i := range q.notes {
		if k := &q.notes[i]; k.fd == fd {
			want |= k.want
		}
	}
	if want != 0 && fd >= len(q.armed) {
		q.armed = append(q.armed, make([]uint32, fd+1-len(q.armed))...)
	}
	if fd >= len(q.armed) || want == q.armed[fd] {
		return
	}
	op := unix.EPOLL_CTL_MOD
	switch {
	case want == 0:
		op = unix.EPOLL_CTL_DEL
	case q.armed[fd] == 0:
		op = unix.EPOLL_CTL_ADD
	}
	epollSet(q.watched, op, fd, want) // fails if fd was closed, which forget will find
	q.armed[fd] = want
}

// ring makes the bell readable, or silent again.
func (q *fakeKqueue) ring(on bool) {
	if on == q.rung {
		return
	}
	q.rung = on
	var counter [8]byte
	if on {
		counter[0], counter[7] = 1, 1 // any number, in any byte order
		unix.Write(q.bell, counter[:])
	} else {
		unix.Read(q.bell, counter[:])
	}
}

// wait scans and sleeps in turns. A signal ends it, as it does kevent(2); that
// the kqueue is closed meanwhile does not.
func (q *fakeKqueue) wait(events []kevent, longest time.Duration) (int, error) {
	timer := count(longest)
	for {
		n, restless := q.scan(events)
		left := timer.left()
		if n > 0 || left == 0 {
			return n, nil
		}
		if q.closed.Load() {
			return -1, unix.EBADF
		}
		ms := int(ceil(left, time.Millisecond, 1<<31-1))
		if restless {
			ms = 1
		}
		fds := [1]unix.PollFd{{Fd: int32(q.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds[:], ms); err != nil {
			return -1, err
		}
	}
}

// scan fills events with what is ready, beginning after the last one that was
// reported. It is restless if some note's change would not make the kqueue's
// descriptor readable.
func (q *fakeKqueue) scan(events []kevent) (n int, restless bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed.Load() {
		return 0, false
	}
	q.poll()
	ring, start := false, q.next
	for i := range q.notes {
		at := (start + i) % len(q.notes)
		k := &q.notes[at]
		if k.disabled {
			continue
		}
		now := k.look(q.polls[at].Revents)
		ready := k.due(now)
		if ready && n < len(events) {
			events[n] = k.report(q.kernel, now)
			n++
			q.next = at + 1
			ready = k.due(now)
		}
		var want uint32
		switch {
		case !k.polled:
			ring = ring || ready
			restless = restless || !ready && k.filter != evfiltUser
		case !ready && k.noise(q.polls[at].Revents):
			restless = true // poll(2) says ready, the rules say no
		default:
			want = k.interest()
		}
		if want != k.want {
			k.want = want
			q.arm(k.fd)
		}
	}
	for i := len(q.notes) - 1; i >= 0; i-- {
		if k := &q.notes[i]; k.gone {
			fd := k.fd
			q.delete(i)
			q.arm(fd)
		}
	}
	q.ring(ring)
	return n, restless
}

// poll asks for the state of all descriptors, in the order of notes.
func (q *fakeKqueue) poll() {
	for i := len(q.notes) - 1; i >= 0; i-- {
		if i >= len(q.notes) || q.notes[i].filter == evfiltUser {
			continue
		}
		file, _ := identify(q.notes[i].fd)
		q.forget(q.notes[i].fd, file)
	}
	q.polls = q.polls[:0]
	for i := range q.notes {
		k := &q.notes[i]
		fd := int32(k.fd)
		if !k.polled {
			fd = -1 // skipped
		}
		q.polls = append(q.polls, unix.PollFd{Fd: fd, Events: k.bits()})
	}
	// In parts, since a call takes no more than RLIMIT_NOFILE.
	for part := range slices.Chunk(q.polls, 256) {
		for {
			if _, err := unix.Poll(part, 0); err != unix.EINTR {
				break
			}
		}
	}
}
