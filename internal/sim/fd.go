package sim

import (
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// object is what a descriptor stands for.
type object interface {
	ready() bits
	// released tells that the last descriptor was closed.
	released()
	mode() sys.Mode
}

// file is an open file description, which duplicates share.
type file struct {
	p        *Process
	object   object
	socket   socket // the same, nil if it is none
	refs     int    // descriptors
	nonblock bool
	watches  []*watch
}

// touch has the pollers look at the file again.
func (f *file) touch() {
	for _, w := range f.watches {
		w.poller.list(w)
	}
}

// table has the descriptors of a process, from 0 on: nothing stands for standard
// input and output, so that a number that was never set is soon a wrong one.
type table struct {
	files []*file // by number, nil where none is open
	low   int     // none below it is free
	last  int     // closed last, -1 if it was given out again
	limit int
	reuse bool // give out last first
}

// next is the number that is given out next, -1 if there is none.
func (t *table) next() int {
	if t.reuse && t.last >= 0 && t.last < t.limit {
		return t.last
	}
	for ; t.low < len(t.files); t.low++ {
		if t.files[t.low] == nil {
			break
		}
	}
	if t.low >= t.limit {
		return -1
	}
	return t.low
}

func (t *table) put(f *file) (int, syscall.Errno) {
	fd := t.next()
	if fd < 0 {
		return -1, syscall.EMFILE
	}
	for fd >= len(t.files) {
		t.files = append(t.files, nil)
	}
	t.files[fd] = f
	f.refs++
	if fd == t.last {
		t.last = -1
	}
	return fd, 0
}

func (t *table) get(fd int) *file {
	if fd < 0 || fd >= len(t.files) {
		return nil
	}
	return t.files[fd]
}

func (t *table) remove(fd int) {
	t.files[fd] = nil
	t.last, t.low = fd, min(t.low, fd)
}

// FDs returns the descriptors that are open, in ascending order.
func (p *Process) FDs() []int {
	var fds []int
	for fd, f := range p.table.files {
		if f != nil {
			fds = append(fds, fd)
		}
	}
	return fds
}

// fdLimit is the usual RLIMIT_NOFILE.
const fdLimit = 1024

// SetFDLimit sets the first descriptor number that is too large; negative is
// the usual one. Descriptors that are open stay.
func (p *Process) SetFDLimit(n int) {
	if n < 0 {
		n = fdLimit
	}
	p.table.limit = n
}

// open gives o a descriptor.
func (p *Process) open(o object) (int, syscall.Errno) {
	f := &file{p: p, object: o, nonblock: true}
	if s, ok := o.(socket); ok {
		f.socket = s
		s.self().file = f
	}
	return p.table.put(f)
}

// openTwo gives each of two objects a descriptor, or neither.
func (p *Process) openTwo(a, b object) (int, int, syscall.Errno) {
	x, e := p.open(a)
	if e != 0 {
		return -1, -1, e
	}
	y, e := p.open(b)
	if e != 0 {
		p.close(x)
		return -1, -1, e
	}
	return x, y, 0
}

// socket is the socket that a descriptor stands for.
func (p *Process) socket(fd int) (socket, syscall.Errno) {
	f := p.table.get(fd)
	switch {
	case f == nil:
		return nil, syscall.EBADF
	case f.socket == nil:
		return nil, syscall.ENOTSOCK
	}
	return f.socket, 0
}

// Close gives a descriptor back.
func (p *Process) Close(fd int) syscall.Errno {
	e := p.close(fd)
	p.called("close", fd, 0, e)
	return e
}

func (p *Process) close(fd int) syscall.Errno {
	f := p.table.get(fd)
	if f == nil {
		return syscall.EBADF
	}
	p.table.remove(fd)
	for i := len(f.watches) - 1; i >= 0; i-- {
		f.watches[i].fileClosed(fd, f.refs == 1)
	}
	if f.refs--; f.refs == 0 {
		if f.socket != nil {
			f.socket.self().file = nil
		}
		f.object.released()
	}
	return 0
}

// Dup returns another descriptor of the same file.
func (p *Process) Dup(fd int) (int, syscall.Errno) {
	n, e := -1, syscall.EBADF
	if f := p.table.get(fd); f != nil {
		n, e = p.table.put(f)
	}
	p.called("dup", fd, n, e)
	return n, e
}

// Mode tells how a descriptor was opened.
func (p *Process) Mode(fd int) (sys.Mode, syscall.Errno) {
	f := p.table.get(fd)
	if f == nil {
		return sys.Mode{Read: true}, syscall.EBADF
	}
	m := f.object.mode()
	m.Nonblock = f.nonblock
	return m, 0
}

// Kind tells what a descriptor stands for.
func (p *Process) Kind(fd int) (sys.Kind, syscall.Errno) {
	f := p.table.get(fd)
	switch {
	case f == nil:
		return sys.File, syscall.EBADF
	case f.socket == nil:
		return sys.File, 0
	}
	return f.socket.kind(), 0
}

// SetNonblock sets the mode of a descriptor and its duplicates. No call of
// this kernel blocks in either.
func (p *Process) SetNonblock(fd int, on bool) syscall.Errno {
	f := p.table.get(fd)
	if f == nil {
		return syscall.EBADF
	}
	f.nonblock = on
	return 0
}
