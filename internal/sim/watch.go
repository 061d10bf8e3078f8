package sim

import (
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/seed-20e08ac4/asyncore"
)

// Add begins to watch a descriptor.
func (q *Poller) Add(fd int, token uint64, want asyncore.Interest) error {
	if err := checkAsked("add", token, want); err != nil {
		return err
	}
	if q.name == "select" && fd >= selectLimit {
		return &asyncore.FDLimitError{FD: fd, Limit: selectLimit}
	}
	return q.fail("add", fd, q.add(fd, token, want))
}

// Modify replaces the token and the interest of a descriptor.
func (q *Poller) Modify(fd int, token uint64, want asyncore.Interest) error {
	if err := checkAsked("modify", token, want); err != nil {
		return err
	}
	return q.fail("modify", fd, q.modify(fd, token, want))
}

// Remove ends it.
func (q *Poller) Remove(fd int) error { return q.fail("remove", fd, q.remove(fd)) }

func (q *Poller) fail(op string, fd int, e syscall.Errno) error {
	q.p.called(op, fd, 0, e)
	if e != 0 {
		return os.NewSyscallError(q.call, e)
	}
	return nil
}

// checkAsked refuses what asyncore.Poller refuses.
func checkAsked(op string, token uint64, want asyncore.Interest) error {
	const askable = asyncore.Readable | asyncore.Writable | asyncore.Urgent
	if want&askable == 0 || want&^askable != 0 {
		return fmt.Errorf("poller %s: cannot watch for %v", op, want)
	}
	if token == ^uint64(0) {
		return fmt.Errorf("poller %s: token %#x is reserved", op, token)
	}
	return nil
}

// of returns the registration of a number, nil if there is none. To epoll it is
// one only while the number stands for the file that was added.
func (q *Poller) of(fd int) *watch {
	if fd < 0 || fd >= len(q.byFD) {
		return nil
	}
	w := q.byFD[fd]
	if w != nil && !q.scans && !q.kqueue && w.file != q.p.table.get(fd) {
		return nil
	}
	return w
}

// check returns the file of a number that can be watched.
func (q *Poller) check(fd int) (*file, syscall.Errno) {
	f := q.p.table.get(fd)
	switch {
	case f == nil || q.closed.Load():
		return nil, syscall.EBADF
	case f == q.nested:
		return nil, syscall.EINVAL
	}
	return f, 0
}

func (q *Poller) add(fd int, token uint64, want asyncore.Interest) syscall.Errno {
	if q.of(fd) != nil {
		return syscall.EEXIST
	}
	f, e := q.check(fd)
	if e != 0 {
		return e
	}
	w := &watch{poller: q, fd: fd, token: token, want: want, index: len(q.watches)}
	for fd >= len(q.byFD) {
		q.byFD = append(q.byFD, nil)
	}
	q.byFD[fd] = w
	q.watches = append(q.watches, w)
	q.attach(w, f)
	return 0
}

func (q *Poller) modify(fd int, token uint64, want asyncore.Interest) syscall.Errno {
	w := q.of(fd)
	if w == nil && (q.scans || q.kqueue) {
		return syscall.ENOENT
	}
	if !q.scans {
		f, e := q.check(fd)
		switch {
		case e != 0:
			return e
		case w == nil:
			return syscall.ENOENT
		}
		q.attach(w, f)
	}
	w.token, w.want = token, want
	return 0
}

func (q *Poller) remove(fd int) syscall.Errno {
	w := q.of(fd)
	if w == nil && !q.scans && !q.kqueue {
		if _, e := q.check(fd); e != 0 {
			return e
		}
	}
	if w == nil {
		return syscall.ENOENT
	}
	q.forget(w)
	return 0
}

// attach ties a registration to the file that it is told of by.
func (q *Poller) attach(w *watch, f *file) {
	if q.scans {
		return
	}
	if w.file != f {
		q.detach(w)
		w.file = f
		f.watches = append(f.watches, w)
		w.always = false
	}
	w.giveUp()
	q.list(w)
}

// giveUp has a pipe without a reader be ready for all, always: a BSD does not watch
// it, or ends to do so when it has said so once.
func (w *watch) giveUp() {
	w.always = w.always || w.poller.kqueue && w.file.object.ready()&broken != 0
}

func (q *Poller) detach(w *watch) {
	if w.file == nil {
		return
	}
	i := slices.Index(w.file.watches, w)
	w.file.watches = slices.Delete(w.file.watches, i, i+1)
	w.file = nil
}

// forget ends a registration.
func (q *Poller) forget(w *watch) {
	q.detach(w)
	w.gone = true
	if q.byFD[w.fd] == w {
		q.byFD[w.fd] = nil
	}
	last := len(q.watches) - 1
	q.watches[w.index] = q.watches[last]
	q.watches[w.index].index = w.index
	q.watches[last] = nil
	q.watches = q.watches[:last]
}

// fileClosed is called for each registration of a file when a descriptor of it
// is closed, the last one or another. epoll keeps it as long as the file lives.
// kqueue has known the descriptor, and the backend its number.
func (w *watch) fileClosed(fd int, last bool) {
	switch {
	case w.poller.kqueue && w.fd == fd:
		w.poller.detach(w)
	case last:
		w.poller.forget(w)
	}
}

// list notes that a registration may be ready.
func (q *Poller) list(w *watch) {
	if !w.listed {
		w.listed = true
		q.listed = append(q.listed, w)
	}
}
