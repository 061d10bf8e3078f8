package faultsys

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// glance is how long a wait lasts whose events a Mangle function may want to
// add to.
const glance = time.Millisecond

func (f *Sys) OpenPoller(name string) (sys.Poller, error) {
	if errno, _ := f.fault(OpenPoller, -1); errno != 0 {
		return nil, fmt.Errorf("open poller %q: %w", name, errno)
	}
	p, err := f.System.OpenPoller(name)
	if err != nil {
		return nil, err
	}
	f.pollers++
	return &poller{Poller: p, f: f, want: map[int]asyncore.Interest{}}, nil
}

// Mangle has change replace each batch of events before the loop sees it; nil
// ends that. The events are level-triggered: what is dropped comes again.
func (f *Sys) Mangle(change func([]asyncore.Event) []asyncore.Event) { f.mangle = change }

// Token is the token under which a descriptor was last given to the poller.
func (f *Sys) Token(fd int) uint64 { return f.tokens[fd] }

type poller struct {
	sys.Poller
	f     *Sys
	want  map[int]asyncore.Interest // of the descriptors it has
	woken atomic.Bool
}

func (p *poller) fail(c Call, fd int) error {
	if errno, _ := p.f.use(c, fd); errno != 0 {
		return os.NewSyscallError(string(c), errno)
	}
	return nil
}

func (p *poller) Add(fd int, token uint64, want asyncore.Interest) error {
	if err := p.fail(Add, fd); err != nil {
		return err
	}
	p.f.tokens[fd] = token
	err := p.Poller.Add(fd, token, want)
	if err == nil {
		p.want[fd] = want
	}
	return err
}

func (p *poller) Modify(fd int, token uint64, want asyncore.Interest) error {
	if err := p.fail(Modify, fd); err != nil {
		return err
	}
	p.f.tokens[fd] = token
	err := p.Poller.Modify(fd, token, want)
	if err == nil {
		p.want[fd] = want
	}
	return err
}

func (p *poller) Remove(fd int) error {
	if err := p.fail(Remove, fd); err != nil {
		return err
	}
	delete(p.want, fd)
	return p.Poller.Remove(fd)
}

func (p *poller) Wait(dst []asyncore.Event, timeout time.Duration) (int, error) {
	if err := p.fail(Wait, -1); err != nil {
		return 0, err
	}
	dead := p.deadOnes()
	first := timeout
	switch {
	case len(dead) > 0:
		first = 0
	case p.f.manual && timeout > 0:
		first = 0
	case p.f.mangle != nil && timeout != 0:
		first = glance
	}
	n, err := p.Poller.Wait(dst, first)
	if err == nil {
		n = p.report(dead, dst, n)
	}
	if p.f.mangle != nil && err == nil {
		n = copy(dst, p.f.mangle(dst[:n:n]))
	}
	if n == 0 && err == nil && p.f.manual && timeout > 0 && !p.woken.Load() {
		p.f.Advance(timeout)
	}
	p.woken.Store(false)
	return n, err
}

// deadOnes lists the descriptors watched that Inject has killed, in ascending order.
func (p *poller) deadOnes() []int {
	if len(p.f.dead) == 0 {
		return nil // and nothing allocated: there are tests that count
	}
	fds := slices.Sorted(maps.Keys(p.f.dead))
	return slices.DeleteFunc(fds, func(fd int) bool { return p.want[fd] == 0 })
}

// report adds dead descriptors to a batch of n events: the kernel below does not
// know that they are. They are ready for everything, until they are closed.
func (p *poller) report(dead []int, dst []asyncore.Event, n int) int {
	for _, fd := range dead {
		token := p.f.tokens[fd]
		i := slices.IndexFunc(dst[:n], func(ev asyncore.Event) bool { return ev.Token == token })
		if i < 0 {
			if n == len(dst) {
				break
			}
			i = n
			dst[i] = asyncore.Event{Token: token}
			n++
		}
		dst[i].Ready |= p.want[fd]&(asyncore.Readable|asyncore.Writable) | asyncore.HangUp
	}
	return n
}

func (p *poller) Wake() error {
	p.woken.Store(true)
	return p.Poller.Wake()
}

func (p *poller) Close() error {
	p.f.pollers--
	return p.Poller.Close()
}
