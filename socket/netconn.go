package socket

import (
	"net"
	"sync"
	"time"
)

// NetConn returns the Socket as a [net.Conn], for code that wants one: a bufio.Scanner,
// crypto/tls, net/http. Its deadlines hold in place of the Socket's timeout and mode.
// Closing it closes the Socket. It has CloseRead and CloseWrite too. Concurrent Writes
// don't mix. The addresses are those of now.
func (s *Socket) NetConn() net.Conn {
	c := &conn{s: s, local: netUnknown{s}, remote: netUnknown{s}}
	if a, err := s.GetSockName(); err == nil && a != nil {
		c.local = NetAddr(a, s.typ)
	}
	if a, err := s.GetPeerName(); err == nil && a != nil {
		c.remote = NetAddr(a, s.typ)
	}
	return c
}

type conn struct {
	s             *Socket
	local, remote net.Addr

	writing sync.Mutex

	readDeadline, writeDeadline time.Time // under the Socket's lock
}

func (c *conn) Read(p []byte) (int, error) {
	read := call{s: c.s, op: "read", name: "recv", conn: c}
	return read.recv(p, 0)
}

func (c *conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	write := call{s: c.s, op: "write", name: "send", conn: c}
	return write.sendAll(p, 0)
}

func (c *conn) Close() error         { return c.s.Close() }
func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) CloseRead() error  { return c.s.Shutdown(shutRD) }
func (c *conn) CloseWrite() error { return c.s.Shutdown(shutWR) }

func (c *conn) SetDeadline(t time.Time) error      { return c.setDeadlines(&t, &t) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.setDeadlines(&t, nil) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(nil, &t) }

func (c *conn) setDeadlines(read, write *time.Time) error {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open {
		return s.fail("set", "", -1, net.ErrClosed)
	}
	if read != nil {
		c.readDeadline = *read
	}
	if write != nil {
		c.writeDeadline = *write
	}
	s.poke()
	return nil
}

// netUnknown is the address of an end that has none.
type netUnknown struct{ s *Socket }

func (u netUnknown) Network() string { return network(u.s.family, u.s.typ) }
func (u netUnknown) String() string  { return "" }
