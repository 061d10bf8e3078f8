package socket

import (
	"net"
	"syscall"
	"time"
)

// call is one call on a Socket, from its beginning to its end.
type call struct {
	s      *Socket
	op     string // for the error's text
	name   string // of the system call
	conn   *conn  // whose deadlines hold in place of the Socket's timeout, or nil
	file   *File  // through which the call is made, or nil
	write  bool
	nowait bool // never waits, whatever the mode

	fd    int
	began time.Time // set by the first wait
	vain  int       // waits that ended in readiness and yet brought EAGAIN
}

const (
	// A descriptor that poll says is ready while the call says it is not is left
	// alone for a while, after some tries: sendto to a Unix datagram socket with a
	// full queue and connect to a full Unix listener have nothing to wait for.
	maxVain  = 8
	vainRest = 10 * time.Millisecond
	// How often a wait looks up that could have no waker, for want of descriptors.
	noWakerRest = 20 * time.Millisecond
)

// begin takes the use of the descriptor, which end gives back.
func (c *call) begin() error {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.usable() {
		return net.ErrClosed
	}
	s.calls++
	c.fd = s.fd
	return nil
}

func (c *call) end() {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls--; s.calls == 0 {
		s.idle.Broadcast()
	}
}

func (c *call) usable() bool {
	if c.file != nil {
		return !c.file.closed && !c.s.detached
	}
	return c.s.open
}

// do makes a call by try, again and again until it gives something else than EAGAIN.
func (c *call) do(ready int16, try func(fd int) error) error {
	if err := c.begin(); err != nil {
		return c.s.fail(c.op, c.name, -1, err)
	}
	defer c.end()
	for {
		err := c.expired()
		if err == nil {
			err = try(c.fd)
		}
		if err == syscall.EAGAIN {
			if err = c.wait(ready); err == nil {
				continue
			}
		}
		switch err {
		case nil:
			return nil
		case ErrWouldBlock: // needs to be cheap
			return c.s.fail(c.op, c.name, -1, err)
		}
		return c.s.fail(c.op, c.name, c.fd, err)
	}
}

// quick makes a call that doesn't wait.
func (s *Socket) quick(op, name string, try func(fd int) error) error {
	c := call{s: s, op: op, name: name}
	if err := c.begin(); err != nil {
		return s.fail(op, name, -1, err)
	}
	defer c.end()
	if err := try(c.fd); err != nil {
		return s.fail(op, name, c.fd, err)
	}
	return nil
}

// expired tells that a net.Conn's deadline is over, which ends even what would not
// have to wait.
func (c *call) expired() error {
	if c.conn == nil {
		return nil
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	_, err := c.left()
	return err
}

// left returns how long the call may wait from now on; NoTimeout is for ever.
func (c *call) left() (time.Duration, error) {
	s := c.s
	if c.conn != nil {
		deadline := c.conn.readDeadline
		if c.write {
			deadline = c.conn.writeDeadline
		}
		if deadline.IsZero() {
			return NoTimeout, nil
		}
		return positive(time.Until(deadline))
	}
	if s.timeout == 0 || c.nowait {
		return 0, ErrWouldBlock
	}
	if c.began.IsZero() {
		c.began = time.Now()
	}
	if s.timeout == NoTimeout {
		return NoTimeout, nil
	}
	return positive(s.timeout - time.Since(c.began))
}

func positive(left time.Duration) (time.Duration, error) {
	if left <= 0 {
		return 0, errTimedOut
	}
	return left, nil
}

// wait returns nil when the call is worth another try, else why it must end.
func (c *call) wait(ready int16) error {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if !c.usable() {
			return net.ErrClosed
		}
		left, err := c.left()
		if err != nil {
			return err
		}
		fd := c.fd
		if c.vain >= maxVain {
			fd, left = -1, sooner(left, vainRest)
		}
		w := s.joinWaker()
		if w == nil {
			left = sooner(left, noWakerRest)
		}
		s.mu.Unlock()
		isReady, isWoken, err := sysPoll(fd, w, ready, left)
		s.mu.Lock()
		s.leaveWaker(w)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return err
		case fd < 0 && !isWoken:
			c.vain = 0
			return nil
		case isReady:
			c.vain++
			return nil
		case isWoken && c.usable():
			return nil
		}
	}
}

func sooner(left, d time.Duration) time.Duration {
	if left == NoTimeout || left > d {
		return d
	}
	return left
}

// waker is a descriptor that is polled beside the Socket's own, and becomes readable
// when those who wait must look up. It is used up by that: the next wait takes a new
// one, and the last of those woken closes the old.
type waker struct {
	r, w  int // the same for an eventfd
	users int
}

// joinWaker returns the Socket's waker, or nil where none can be had.
func (s *Socket) joinWaker() *waker {
	if s.waker == nil {
		r, w, err := sysWaker()
		if err != nil {
			return nil
		}
		s.waker = &waker{r: r, w: w}
	}
	s.waker.users++
	return s.waker
}

func (s *Socket) leaveWaker(w *waker) {
	if w == nil {
		return
	}
	if w.users--; w.users == 0 && w != s.waker {
		w.close()
	}
}

// poke has those who wait look up.
func (s *Socket) poke() {
	if w := s.waker; w != nil && w.users > 0 {
		s.waker = nil
		sysWake(w.w)
	}
}

func (w *waker) close() {
	sysClose(w.r)
	if w.w != w.r {
		sysClose(w.w)
	}
}
