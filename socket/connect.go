package socket

import (
	"errors"
	"net"
	"syscall"
)

// Bind gives the Socket its own address, bind(2). The address must be of the
// Socket's family.
func (s *Socket) Bind(a Addr) error {
	err := s.quick("bind", "bind", func(fd int) error {
		if err := s.check(a); err != nil {
			return err
		}
		return sysBind(fd, a)
	})
	if e, ok := err.(*net.OpError); ok {
		e.Source, e.Addr = nil, a
	}
	return err
}

// Listen makes the Socket a listener, with room for about backlog connections that
// wait for Accept (the system has a limit of its own, SOMAXCONN); a negative one is
// taken for 0. One that isn't bound is bound to a free port of all interfaces.
func (s *Socket) Listen(backlog int) error {
	return s.quick("listen", "listen", func(fd int) error { return sysListen(fd, max(backlog, 0)) })
}

const maxAborted = 100

// Accept returns the next connection and the address of its other end. The new Socket
// is blocking, whatever the listener's mode. EMFILE and its kin are errors that pass:
// the connection stays in the queue.
func (s *Socket) Accept() (*Socket, Addr, error) {
	var (
		nfd  int
		from Addr
	)
	c := call{s: s, op: "accept", name: "accept"}
	err := c.do(pollIn, func(fd int) (err error) {
		nfd, from, err = sysAccept(fd)
		// It was gone before we came. The BSDs answer so to a listener's shutdown too.
		for tries := 0; err == syscall.ECONNABORTED && tries < maxAborted; tries++ {
			nfd, from, err = sysAccept(fd)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return wrap(nfd, s.family, s.typ, s.proto, NoTimeout), from, nil
}

// Connect connects the Socket to an address, connect(2). A non-blocking one answers
// EINPROGRESS; when it has become writable, the option SO_ERROR tells what came of
// it. After a timeout the connection is still being made: close the Socket.
func (s *Socket) Connect(a Addr) error {
	c := call{s: s, op: "connect", name: "connect"}
	err := c.begin()
	if err == nil {
		defer c.end()
		err = c.connect(a)
	}
	if err != nil {
		return withAddress(s.fail("connect", "connect", -1, err), nil, a)
	}
	return nil
}

// ConnectEx is Connect with the errno as its result, 0 for success: Python's
// connect_ex. A timeout is EAGAIN as it is there, a closed Socket EBADF, an address of
// another family EAFNOSUPPORT.
func (s *Socket) ConnectEx(a Addr) syscall.Errno {
	c := call{s: s}
	err := c.begin()
	if err == nil {
		defer c.end()
		err = c.connect(a)
	}
	switch err {
	case nil:
		return 0
	case errTimedOut, ErrWouldBlock:
		return syscall.EAGAIN
	case net.ErrClosed:
		return syscall.EBADF
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return syscall.EINVAL
}

func (c *call) connect(a Addr) error {
	if err := c.s.check(a); err != nil {
		return err
	}
	err := sysConnect(c.fd, a)
	for err == syscall.EAGAIN { // a Unix listener's queue is full: nothing tells when it isn't
		c.vain = maxVain
		if err := c.wait(0); err != nil {
			return err
		}
		err = sysConnect(c.fd, a)
	}
	blocking := c.s.Timeout() == NoTimeout
	switch {
	case err == syscall.EINPROGRESS, err == syscall.EINTR:
	case err == syscall.EALREADY && blocking: // as where the descriptor itself is blocking
	default:
		return err
	}
	for {
		switch err := c.wait(pollOut); err {
		case nil:
		case ErrWouldBlock:
			return syscall.EINPROGRESS
		default:
			return err
		}
		if connectTwice && blocking && c.s.isTCP() {
			// Linux has the next connect tell what came of the one in progress, and
			// only the one after that begin anew, or answer EISCONN. A blocking
			// Socket must not show that.
			switch err := sysConnect(c.fd, a); err {
			case syscall.EALREADY, syscall.EINPROGRESS, syscall.EINTR:
				continue
			case syscall.EISCONN:
				return nil
			default:
				return err
			}
		}
		if e, err := sysGetInt(c.fd, solSocket, soError); err != nil || e != 0 {
			if err == nil {
				err = syscall.Errno(e)
			}
			return err
		}
		if _, err := sysPeerAddr(c.fd); err == nil {
			return nil
		}
		if c.vain >= maxVain { // someone else has read SO_ERROR
			return syscall.ECONNABORTED
		}
	}
}

func (s *Socket) isTCP() bool {
	return network(s.family, s.typ) == "tcp" && (s.proto == 0 || s.proto == ipprotoTCP)
}

// Shutdown ends one direction or both, shutdown(2): SHUT_RD, SHUT_WR or SHUT_RDWR.
// After SHUT_WR the peer reads an end of stream, and can still send.
func (s *Socket) Shutdown(how int) error {
	err := s.quick("shutdown", "shutdown", func(fd int) error { return sysShutdown(fd, how) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poke() // not every system's poll tells of a shutdown
	return err
}

// check refuses an address of another family than the Socket's.
func (s *Socket) check(a Addr) error {
	if a == nil {
		return errNoAddress
	}
	if a.Family() != s.family {
		return errFamily
	}
	return nil
}

// withAddress puts addresses into an error.
func withAddress(err error, source, addr Addr) error {
	if e, ok := err.(*net.OpError); ok {
		if source != nil {
			e.Source = source
		}
		if addr != nil {
			e.Addr = addr
		}
	}
	return err
}
