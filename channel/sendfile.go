package channel

import (
	"io"
	"os"
	"syscall"
)

// fileMin is from how many bytes on sendfile beats a read and a send
// (docs/design.md has the measurement).
const fileMin = 32 << 10

// fileSender has the kernel send a producer that is a regular file (sendfile(2)):
// its bytes need not come here. It keeps no position but the file's own, so that
// the file's Read can go on for it after any call.
type fileSender struct {
	c     *Conn
	file  *os.File
	raw   syscall.RawConn   // of file: its Control keeps a Close away while it runs
	limit *io.LimitedReader // around file, or nil
	send  func(fd uintptr)  // one for all calls
	rest  int64             // what file had to give, less what was sent; it may have changed

	// Of the call under way: what to send, then what was sent.
	n     int
	errno syscall.Errno
}

// fileSender returns nil for what is better read and sent: all that is not a
// regular file, and files with little to give.
func (c *Conn) fileSender(r io.Reader) *fileSender {
	limit, _ := r.(*io.LimitedReader)
	if limit != nil {
		if r = limit.R; limit.N < fileMin {
			return nil
		}
	}
	file, _ := r.(*os.File)
	if file == nil || c.is(isFile) {
		return nil
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil
	}
	fs := &fileSender{c: c, file: file, raw: raw, limit: limit}
	raw.Control(func(fd uintptr) { fs.rest, _ = c.e.Sys.FileRest(int(fd)) })
	if fs.rest < fileMin {
		return nil
	}
	fs.send = func(fd uintptr) { fs.n, fs.errno = c.sendFile(int(fd), fs.n) }
	return fs
}

// pushFile makes one call for the producer whose turn it is, and tells whether
// something may follow now. Like ask it goes by 64 KiB: with more at a time, a file
// of 256 KiB or 1 MiB took twice as long.
func (c *Conn) pushFile(budget *int) bool {
	s := &c.rest[0]
	fs := s.file
	asked := pullSize
	if fs.limit != nil {
		asked = int(min(pullSize, fs.limit.N))
	}
	if asked <= 0 {
		c.popSegment()
		return true
	}
	fs.n = asked
	c.e.Enter((*source)(c), "producer") // pages that have to come from the disk take their time
	err := fs.raw.Control(fs.send)
	c.e.Leave()
	switch {
	case err != nil:
		s.file = nil // closed, which Read says better
	case fs.errno == 0 && fs.n == 0:
		c.popSegment() // as at Read's io.EOF
	case fs.errno == 0:
		*budget -= max(fs.n, pullCost)
		if fs.limit != nil {
			fs.limit.N -= int64(fs.n)
		}
		c.sent(fs.n)
		if fs.rest -= int64(fs.n); fs.n < asked && fs.rest > 0 {
			c.state |= full // else it is the file's end, which the next call will tell
			return false
		}
	default:
		return c.fileFailed(s)
	}
	return true
}

// fileFailed tells whether something may follow nevertheless.
func (c *Conn) fileFailed(s *segment) bool {
	switch errno := s.file.errno; errno {
	case syscall.EINTR:
	case syscall.EAGAIN:
		c.state |= full
		return false
	case syscall.ENOBUFS, syscall.ENOMEM:
		c.state |= full
		c.backOff()
		return false
	case syscall.EPIPE, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.ETIMEDOUT, syscall.ENOTCONN,
		syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH:
		c.writeFailed(errno)
		return false
	case syscall.EIO:
		*s = segment{err: &os.PathError{Op: "sendfile", Path: s.file.file.Name(), Err: errno}}
	default:
		// This socket or this file cannot be sent so (EINVAL, EOPNOTSUPP and more),
		// or it is an error of one of the two, and Read and Send tell of which.
		s.file = nil
	}
	return true
}
