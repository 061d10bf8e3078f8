package sim

import (
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

const (
	pipeRoom   = 65536
	pipeAtomic = 4096 // PIPE_BUF: written as a whole or not at all
)

// pipe is what its two ends have in common.
type pipe struct {
	data   buffer
	reader *pipeEnd // nil when closed
	writer *pipeEnd
}

// pipeEnd is one of them.
type pipeEnd struct {
	*pipe
	f *file
}

// PipeFDs returns the ends of a pipe.
func (p *Process) PipeFDs() (r, w int, e syscall.Errno) {
	shared := &pipe{}
	shared.reader, shared.writer = &pipeEnd{pipe: shared}, &pipeEnd{pipe: shared}
	r, w, e = p.openTwo(shared.reader, shared.writer)
	if e == 0 {
		shared.reader.f, shared.writer.f = p.table.get(r), p.table.get(w)
	}
	return r, w, e
}

// Pending is how many bytes a pipe or a stream holds.
func (p *Process) Pending(fd int) (int, syscall.Errno) {
	f := p.table.get(fd)
	if f == nil {
		return 0, syscall.EBADF
	}
	switch o := f.object.(type) {
	case *pipeEnd:
		return o.data.len(), 0
	case *tcp:
		return o.in.len(), 0
	case *unixStream:
		return o.in.len(), 0
	}
	return 0, syscall.ENOTTY
}

func (e *pipeEnd) mode() sys.Mode { return sys.Mode{Read: e == e.reader, Write: e == e.writer} }

func (e *pipeEnd) ready() (b bits) {
	switch {
	case e == e.reader:
		if e.data.len() > 0 {
			b |= in
		}
		if e.writer == nil {
			b |= hup | peerShut | peerGone
		}
	default:
		if pipeRoom-e.data.len() >= pipeAtomic {
			b |= out
		}
		if e.reader == nil {
			b |= fault | peerShut | peerGone | broken
		}
	}
	return b
}

func (e *pipeEnd) released() {
	other := e.reader
	if e == e.reader {
		e.reader = nil
		other = e.writer
	} else {
		e.writer = nil
	}
	if other != nil && other.f != nil {
		other.f.touch()
	}
}

func (e *pipeEnd) read(p []byte) (int, syscall.Errno) {
	switch {
	case e != e.reader:
		return 0, syscall.EBADF
	case len(p) == 0:
		return 0, 0
	case e.data.len() > 0:
		n := e.data.read(p)
		if e.writer != nil {
			e.writer.f.touch()
		}
		return n, 0
	case e.writer == nil:
		return 0, 0
	}
	return 0, syscall.EAGAIN
}

func (e *pipeEnd) write(p []byte) (int, syscall.Errno) {
	if e != e.writer {
		return 0, syscall.EBADF
	}
	room := pipeRoom - e.data.len()
	switch {
	case len(p) == 0:
		return 0, 0
	case e.reader == nil:
		return 0, syscall.EPIPE
	case room == 0, room < len(p) && len(p) <= pipeAtomic:
		return 0, syscall.EAGAIN
	}
	n := min(room, len(p))
	e.data.write(p[:n])
	e.reader.f.touch()
	return n, 0
}
