package asyncore

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// What every backend keeps, and the loop above relies on:
//
//   - Level-triggered. A descriptor is reported by each Wait for as long as
//     it is ready in a direction that was asked for, and never for one that
//     was not; in one event, where there is room for all.
//   - Events are plain data. The token given to Add or Modify comes back
//     unchanged; a backend neither interprets it nor keeps a Go pointer.
//     After Remove no later Wait reports the descriptor, but events that a
//     Wait has already returned stay in the caller's hands: whoever closes
//     descriptors between two events of a batch must recognise stale tokens.
//   - HangUp and Fault are hints, reported whether asked for or not, at least
//     once, and possibly in place of Readable and Writable. They mean "make
//     the call that you have interest in, it will not block", never "the
//     connection is over": bytes sent before a FIN or RST are still there.
//   - Spurious events are allowed: a read after Readable may give EAGAIN.
//   - A descriptor that the kernel will not poll (a regular file, /dev/null)
//     is ready for all it asks, always.
//   - Wait blocks for at most its timeout, rounded up to the backend's
//     resolution and never down; a signal does not shorten it.
//   - wake makes the running or else the next wait return. Any number of
//     calls before that return count as one; none is lost.
//   - Only wake may be called from several goroutines. It never blocks.
type backend interface {
	add(fd int, token uint64, want Interest) error
	modify(fd int, token uint64, want Interest) error
	remove(fd int) error
	wait(dst []Event, timeout time.Duration) (int, error)
	wake() error
	fd() int
	close() error
}

// openers holds the backends that this system offers; each backend's file
// adds its own.
var openers = map[string]func() (backend, error){}

// preference lists every backend from best to worst: the first two cost
// nothing per idle descriptor, poll has no limit, select has one.
var preference = []string{"epoll", "kqueue", "poll", "select"}

// Interest is a set of directions: what a descriptor is watched for, and in
// an [Event] what it is ready for.
type Interest uint8

const (
	// Readable: read, recv or accept will not block.
	Readable Interest = 1 << iota
	// Writable: write will not block, or connect has finished.
	Writable
	// Urgent: out-of-band data has arrived (POLLPRI, select's third set).
	// FreeBSD's and NetBSD's kqueue cannot tell, and never report it.
	Urgent
	// HangUp is a hint, only ever reported: the peer is gone, wholly or in
	// part (POLLHUP, EV_EOF). Unread data may remain.
	HangUp
	// Fault is a hint, only ever reported: the descriptor has an error to
	// give, or is not open (POLLERR, POLLNVAL, EV_ERROR).
	Fault

	askable = Readable | Writable | Urgent
)

// String names the bits, as in "readable|writable"; "none" if there are none.
func (i Interest) String() string {
	names := [...]string{"readable", "writable", "urgent", "hang-up", "fault"}
	var set []string
	for bit, name := range names {
		if i&(1<<bit) != 0 {
			set = append(set, name)
		}
	}
	if len(set) == 0 {
		return "none"
	}
	return strings.Join(set, "|")
}

// Event says that the descriptor registered under Token is ready.
type Event struct {
	Token uint64
	Ready Interest
}

// FDLimitError is returned by Add where the backend cannot hold so large a
// descriptor number: select(2) takes those below FD_SETSIZE only (1,024
// almost everywhere, 256 on NetBSD).
type FDLimitError struct {
	FD    int // the descriptor refused
	Limit int // the first number that is too large
}

func (e *FDLimitError) Error() string {
	return fmt.Sprintf("select: descriptor %d is not below the limit of %d", e.FD, e.Limit)
}

// Poller tells which of many descriptors are ready. It is the layer that
// Python's select module is: no callbacks, no buffers, no ownership of the
// descriptors, which their owner removes before closing them.
//
// All methods belong to one goroutine at a time, except Wake.
type Poller struct {
	backend
	name   string
	closed bool
}

// Open returns a new Poller on the named backend, one of [Backends]. The
// empty name stands for the environment variable ASYNCORE_POLLER, and where
// that is empty too for the best backend of this system. A backend that the
// system lacks is an error that wraps [errors.ErrUnsupported].
func Open(name string) (*Poller, error) {
	if name == "" {
		name = os.Getenv("ASYNCORE_POLLER")
	}
	offered := Backends()
	if name == "" && len(offered) > 0 {
		name = offered[0]
	}
	open, ok := openers[name]
	if !ok {
		return nil, fmt.Errorf("open poller %q: %w here, offered: %q", name, errors.ErrUnsupported, offered)
	}
	b, err := open()
	if err != nil {
		return nil, fmt.Errorf("open poller %q: %w", name, err)
	}
	return &Poller{backend: b, name: name}, nil
}

// Backends names the backends of this system, best first: of "epoll",
// "kqueue", "poll" and "select" those that it has.
func Backends() []string {
	var offered []string
	for _, name := range preference {
		if openers[name] != nil {
			offered = append(offered, name)
		}
	}
	return offered
}

// Name returns the backend's name.
func (p *Poller) Name() string { return p.name }

// Add starts watching fd for want, which must have at least one of Readable,
// Writable and Urgent and no hint. Events carry token, any number but the
// largest uint64. A descriptor is added once: a second Add without Remove is
// EEXIST.
func (p *Poller) Add(fd int, token uint64, want Interest) error {
	if err := checkAsked("add", token, want); err != nil {
		return err
	}
	return p.add(fd, token, want)
}

// Modify replaces the token and the interest of a descriptor that was added;
// ENOENT if it was not.
func (p *Poller) Modify(fd int, token uint64, want Interest) error {
	if err := checkAsked("modify", token, want); err != nil {
		return err
	}
	return p.modify(fd, token, want)
}

// wakeToken marks a backend's own wake-up among the kernel's events.
const wakeToken = ^uint64(0)

func checkAsked(op string, token uint64, want Interest) error {
	if want&askable == 0 || want&^askable != 0 {
		return fmt.Errorf("poller %s: cannot watch for %v", op, want)
	}
	if token == wakeToken {
		return fmt.Errorf("poller %s: token %#x is reserved", op, token)
	}
	return nil
}

// Remove stops watching fd; ENOENT if it was not watched. Call it before
// closing fd: the kernel forgets a closed descriptor by itself only where no
// duplicate of it lives on.
func (p *Poller) Remove(fd int) error { return p.remove(fd) }

// Wait fills dst with events and returns their number. It blocks until there
// is one, Wake is called, or timeout has passed: 0 returns at once, a negative
// timeout never passes. It returns 0 and nil for a wake-up and for a timeout.
// Events that find no room in dst are reported by a later Wait; no descriptor
// is starved.
func (p *Poller) Wait(dst []Event, timeout time.Duration) (int, error) {
	return p.wait(dst, timeout)
}

// Wake makes a blocked Wait return, or the next one if none is blocked. It
// may be called from any goroutine, never blocks, and costs a system call
// only where no earlier Wake is still unanswered. After Close it returns
// [net.ErrClosed].
func (p *Poller) Wake() error { return p.wake() }

// FD returns a descriptor that is readable while Wait would have something to
// report, for watching this Poller with another one; -1 where the backend has
// none (poll, select).
func (p *Poller) FD() int { return p.fd() }

// Close releases the Poller's own descriptors. It must not be called while
// Wait blocks: Wake first. A second Close returns [net.ErrClosed].
func (p *Poller) Close() error {
	if p.closed {
		return net.ErrClosed
	}
	p.closed = true
	return p.close()
}
