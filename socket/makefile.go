package socket

import (
	"bufio"
	"errors"
	"net"
)

// File reads and writes a Socket through buffers, with all that package bufio's
// Reader and Writer can do: Python's makefile. What is written is sent by Flush or
// Close, or when the buffer is full.
//
// It goes by the Socket's timeout. A read that times out spoils the File for reading,
// as in Python: a part of what was asked for may have been handed out with the error,
// and a second try would not begin where the first did. In a non-blocking Socket a
// read that finds nothing is ErrWouldBlock, and can be repeated. A write that fails, by
// these too, spoils the File for writing, as it does every bufio.Writer.
//
// One goroutine may read while another writes, flushes and closes.
type File struct {
	bufio.ReadWriter
	s      *Socket
	closed bool // under the Socket's lock
}

// fileBuffer is Python's io.DEFAULT_BUFFER_SIZE.
const fileBuffer = 8192

var errSpoiled = errors.New("cannot read from timed out object")

// Makefile returns a File on the Socket. The descriptor stays open until both it and
// the Socket are closed, in either order. A Socket can have several Files, which have
// separate buffers.
func (s *Socket) Makefile() (*File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return nil, s.fail("makefile", "", -1, net.ErrClosed)
	}
	s.files++
	f := &File{s: s}
	f.Reader = bufio.NewReaderSize(&fileReader{f: f}, fileBuffer)
	f.Writer = bufio.NewWriterSize(fileWriter{f}, fileBuffer)
	return f, nil
}

// Close flushes, and ends the use of the Socket, also where flushing fails; the error
// then is that. A second Close returns [net.ErrClosed].
func (f *File) Close() error {
	s := f.s
	s.mu.Lock()
	closed := f.closed
	s.mu.Unlock()
	var flushed error
	if !closed {
		flushed = f.Flush()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.closed {
		return s.fail("close", "", -1, net.ErrClosed)
	}
	f.closed = true
	s.poke()
	s.files--
	if s.open || s.detached {
		return flushed
	}
	return errors.Join(flushed, s.closeUnused())
}

type fileReader struct {
	f       *File
	spoiled bool
}

func (r *fileReader) Read(p []byte) (int, error) {
	c := call{s: r.f.s, op: "read", name: "recv", file: r.f}
	if r.spoiled {
		return 0, c.s.fail(c.op, c.name, -1, errSpoiled)
	}
	n, err := c.recv(p, 0)
	if errors.Is(err, errTimedOut) {
		r.spoiled = true
	}
	return n, err
}

type fileWriter struct{ f *File }

func (w fileWriter) Write(p []byte) (int, error) {
	c := call{s: w.f.s, op: "write", name: "send", file: w.f}
	return c.sendAll(p, 0)
}
