package sim

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// ErrDeadlock is what Wait returns when it would wait for ever.
var ErrDeadlock = errors.New("nothing is ready, and nothing is left that will happen")

// selectLimit is Linux's FD_SETSIZE.
const selectLimit = 1024

// Poller is a poller of any flavour.
//
// epoll watches files and keeps a list of those that may be ready; so does
// kqueue. poll and select watch numbers, and look at all of them each time.
type Poller struct {
	p      *Process
	name   string
	call   string // what its errors name
	events flavour
	scans  bool // poll and select
	kqueue bool

	fds    []int // its own descriptors
	nested *file // of the one that can be watched, nil if there is none
	closed atomic.Bool
	woken  atomic.Bool

	watches []*watch // in no order
	byFD    []*watch // the last one of each number
	listed  []*watch // may be ready, not to poll and select
	again   []*watch // scratch of gather
	next    int      // where poll and select begin to look
}

var _ sys.Poller = (*Poller)(nil)

// watch is one registration.
type watch struct {
	poller *Poller
	fd     int
	file   *file // nil to poll and select, and to kqueue after close
	token  uint64
	want   asyncore.Interest
	index  int // in watches
	listed bool
	always bool // ready for all
	gone   bool // removed, though it may still be listed
}

// Watch is a descriptor that a poller watches.
type Watch struct {
	FD    int
	Token uint64
	Want  asyncore.Interest
}

// Watched returns what the pollers of the process watch, sorted by descriptor.
func (p *Process) Watched() []Watch {
	var all []Watch
	for _, q := range p.pollers {
		for _, w := range q.watches {
			all = append(all, Watch{w.fd, w.token, w.want})
		}
	}
	slices.SortStableFunc(all, func(a, b Watch) int { return a.FD - b.FD })
	return all
}

// OpenPoller opens a poller of the named flavour.
func (p *Process) OpenPoller(name string) (sys.Poller, error) {
	if name == "" {
		name = p.poller
	}
	if name == "" {
		name = "epoll"
	}
	q := &Poller{p: p, name: name, call: name, events: flavours[name]}
	own := []string{"eventfd"}
	switch name {
	case "epoll":
		q.call = "epoll_ctl"
		own = []string{"epoll_create1", "eventfd"}
	case "kqueue":
		q.call, q.kqueue = "kevent", true
		own = []string{"kqueue"}
	case "poll", "select":
		q.scans = true
	default:
		return nil, fmt.Errorf("open poller %q: %w", name, errors.ErrUnsupported)
	}
	for i, call := range own {
		fd, e := p.open(nothing{})
		if e != 0 {
			q.closeOwn()
			return nil, fmt.Errorf("open poller %q: %w", name, os.NewSyscallError(call, e))
		}
		q.fds = append(q.fds, fd)
		if i == 0 && !q.scans {
			q.nested = p.table.get(fd)
			q.nested.object = (*pollerFile)(q)
		}
	}
	if q.scans && name == "select" && q.fds[0] >= selectLimit {
		defer q.closeOwn()
		return nil, fmt.Errorf("open poller %q: %w", name, &asyncore.FDLimitError{FD: q.fds[0], Limit: selectLimit})
	}
	p.pollers = append(p.pollers, q)
	return q, nil
}

// nothing is a descriptor that is only there.
type nothing struct{}

func (nothing) ready() bits    { return 0 }
func (nothing) released()      {}
func (nothing) mode() sys.Mode { return sys.Mode{Read: true, Write: true} }

// pollerFile is a poller's own descriptor, for other pollers.
type pollerFile Poller

func (f *pollerFile) released()      {}
func (f *pollerFile) mode() sys.Mode { return sys.Mode{Read: true, Write: true} }

func (f *pollerFile) ready() bits {
	q := (*Poller)(f)
	if q.woken.Load() {
		return in
	}
	for _, w := range q.listed {
		if !w.gone && q.look(w) != 0 {
			return in
		}
	}
	return 0
}

func (q *Poller) closeOwn() {
	for _, fd := range q.fds {
		q.p.close(fd)
	}
	q.fds = nil
}

// Name is the flavour.
func (q *Poller) Name() string { return q.name }

// FD is the descriptor that is readable while Wait has something to report, -1
// if the flavour has none.
func (q *Poller) FD() int {
	if q.scans || q.closed.Load() {
		return -1
	}
	return q.fds[0]
}

// Wake ends a Wait, or the next one. It may be called from any goroutine.
func (q *Poller) Wake() error {
	if q.closed.Load() {
		return net.ErrClosed
	}
	q.woken.Store(true)
	return nil
}

// Close gives the poller's own descriptors back.
func (q *Poller) Close() error {
	if q.closed.Swap(true) {
		return net.ErrClosed
	}
	for len(q.watches) > 0 {
		q.forget(q.watches[len(q.watches)-1])
	}
	q.p.pollers = slices.DeleteFunc(q.p.pollers, func(r *Poller) bool { return r == q })
	q.closeOwn()
	return nil
}
