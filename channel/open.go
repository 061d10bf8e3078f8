package channel

import (
	"os"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// Open makes a Conn of a file that is open already: a pipe, a terminal, a
// device, os.Stdin or os.Stdout (file_dispatcher). It works on a duplicate, so
// f stays the caller's and may be closed. Regular files are always ready, and
// their reads and writes may wait for the disk.
//
// The descriptor is made non-blocking, which everybody who shares it sees; if
// it was blocking, that is restored when the Conn closes. A file open for
// reading only ends at its EOF as any Conn does; one open for writing only has
// no input, and ends when a write fails (EPIPE) or it is closed. One that is
// open for both, as a terminal is whatever its name, is read unless paused. On
// Linux the master of a terminal whose last user has gone ends with EIO.
//
// Connect is called from the loop, later, as for a dial.
func Open(l *loop.Loop, f *os.File, h *Handler) (*Conn, error) {
	hb := hubOf(l)
	hb.e.Check()
	fail := func(err error) (*Conn, error) { return nil, &os.PathError{Op: "open", Path: f.Name(), Err: err} }
	if h == nil {
		panic("channel: Open: handler is nil")
	}
	if hb.e.IsClosed() {
		return fail(loop.ErrClosed)
	}
	// Not f.Fd(): it would make the caller's file blocking.
	raw, err := f.SyscallConn()
	if err != nil {
		return fail(err)
	}
	fd, errno := -1, syscall.EBADF
	if err := raw.Control(func(p uintptr) { fd, errno = hb.e.Sys.Dup(int(p)) }); err != nil {
		return fail(err)
	}
	if errno != 0 {
		return fail(os.NewSyscallError("fcntl", errno))
	}
	mode, errno := hb.e.Sys.Mode(fd)
	if errno == 0 && !mode.Nonblock {
		errno = hb.e.Sys.SetNonblock(fd, true)
	}
	if errno != 0 {
		hb.e.CloseFD(fd)
		return fail(os.NewSyscallError("fcntl", errno))
	}
	c := hb.newConn(fd, h)
	c.state |= isFile | opening
	if !mode.Nonblock {
		c.state |= wasBlocking
	}
	if !mode.Read {
		c.state |= noRead
	}
	if !mode.Write {
		c.state |= noWrite
	}
	c.e.Again(c.token)
	return c, nil
}

// restoreBlocking undoes what Open did to the open file. Other Conns may have
// the same one (a terminal's input and output), which nothing tells but that it
// has become blocking for them too: then it is for the last of them to do.
func (c *Conn) restoreBlocking() {
	s := c.e.Sys
	s.SetNonblock(int(c.fd), false)
	for o := c.first; o != nil; o = o.next {
		if !o.is(isFile) {
			continue
		}
		if mode, errno := s.Mode(int(o.fd)); errno == 0 && !mode.Nonblock {
			s.SetNonblock(int(o.fd), true)
			o.state |= wasBlocking
		}
	}
}
