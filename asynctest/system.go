package asynctest

import (
	"errors"
	"math"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// system stands between the loop and its simulated kernel. It counts what moves,
// knows whose descriptors are whose, and has the loop's waits run the world.
type system struct {
	*sim.Process
	w        *World
	owner    map[int]*Peer // of accepted descriptors
	unread   map[int]int   // how often a descriptor was reported readable and not touched
	dropping bool          // the next Accept is of a connection that a fault ends
}

func newSystem(w *World, p *sim.Process) *system {
	return &system{Process: p, w: w, owner: map[int]*Peer{}, unread: map[int]int{}}
}

// did counts a call that moved something.
func (s *system) did(e syscall.Errno) {
	if e == 0 {
		s.w.moved++
	}
}

func (s *system) Recv(fd int, p []byte) (int, syscall.Errno) {
	delete(s.unread, fd)
	n, e := s.Process.Recv(fd, p)
	s.did(e)
	return n, e
}

func (s *system) Send(fd int, p []byte) (int, syscall.Errno) {
	n, e := s.Process.Send(fd, p)
	s.did(e)
	return n, e
}

func (s *system) Accept(fd int, from *sys.Addr) (int, syscall.Errno) {
	delete(s.unread, fd)
	n, e := s.Process.Accept(fd, from)
	s.did(e)
	if e == 0 {
		s.owner[n] = s.w.whose(fd, *from)
		if s.dropping {
			s.w.harm(s.owner[n])
		}
	}
	s.dropping = false
	return n, e
}

func (s *system) RecvPackets(fd int, ps []sys.Packet, sequenced bool) (int, syscall.Errno) {
	delete(s.unread, fd)
	n, e := s.Process.RecvPackets(fd, ps, sequenced)
	s.did(e)
	return n, e
}

func (s *system) SendPackets(fd int, ps []sys.Packet) (int, syscall.Errno) {
	n, e := s.Process.SendPackets(fd, ps)
	s.did(e)
	return n, e
}

func (s *system) Read(fd int, p []byte) (int, syscall.Errno) {
	delete(s.unread, fd)
	n, e := s.Process.Read(fd, p)
	s.did(e)
	return n, e
}

func (s *system) Write(fd int, p []byte) (int, syscall.Errno) {
	n, e := s.Process.Write(fd, p)
	s.did(e)
	return n, e
}

func (s *system) SendFile(fd, file, n int) (int, syscall.Errno) {
	n, e := s.Process.SendFile(fd, file, n)
	s.did(e)
	return n, e
}

func (s *system) Connect(fd int, to sys.Addr) syscall.Errno {
	e := s.Process.Connect(fd, to)
	s.did(e)
	return e
}

func (s *system) Close(fd int) syscall.Errno {
	delete(s.owner, fd)
	delete(s.unread, fd)
	s.w.moved++
	return s.Process.Close(fd)
}

// What comes from the operating system is refused, with a failure: its numbers
// mean something else here, or nothing.

func (s *system) Dup(fd int) (int, syscall.Errno) {
	s.refuse(fd)
	return -1, syscall.EOPNOTSUPP
}

func (s *system) Kind(fd int) (sys.Kind, syscall.Errno) {
	if s.foreign(fd) {
		return 0, syscall.EOPNOTSUPP
	}
	return s.Process.Kind(fd)
}

func (s *system) Pipe(bool) (int, *os.File, syscall.Errno) {
	s.w.fail("process", "a simulated loop cannot have child processes")
	return -1, nil, syscall.EOPNOTSUPP
}

// foreign tells whether a descriptor is none of the simulated kernel's.
func (s *system) foreign(fd int) bool {
	if slices.Contains(s.w.f.Open(), fd) {
		return false
	}
	s.refuse(fd)
	return true
}

func (s *system) refuse(fd int) {
	s.w.fail("foreign", "descriptor %d is the operating system's, and a simulated loop has only descriptors of its own", fd)
}

// id numbers the connections for the tape: a descriptor's number depends on too
// much.
func (s *system) id(fd int) int {
	if p := s.owner[fd]; p != nil {
		return p.id
	}
	return 0
}

func (s *system) OpenPoller(name string) (sys.Poller, error) {
	p, err := s.Process.OpenPoller(name)
	if err != nil {
		return nil, err
	}
	return &poller{Poller: p, s: s, fds: map[uint64]int{}}, nil
}

// poller has the loop's waits run the world.
type poller struct {
	sys.Poller
	s     *system
	fds   map[uint64]int // by token
	woken atomic.Bool
}

func (p *poller) Add(fd int, token uint64, want asyncore.Interest) error {
	if p.s.foreign(fd) {
		return syscall.EOPNOTSUPP
	}
	err := p.Poller.Add(fd, token, want)
	if err == nil {
		p.fds[token] = fd
	}
	return err
}

func (p *poller) Modify(fd int, token uint64, want asyncore.Interest) error {
	err := p.Poller.Modify(fd, token, want)
	if err == nil {
		p.fds[token] = fd
	}
	return err
}

func (p *poller) Wake() error {
	p.woken.Store(true)
	return p.Poller.Wake()
}

func (p *poller) Wait(dst []asyncore.Event, timeout time.Duration) (n int, err error) {
	w := p.s.w
	w.e.Debug = true // see checkOwner
	if !w.driving {
		w.fail("run", "the scenario has run the loop: that is the world's, in Advance, Quiesce, Expect and ExpectClosed")
		return 0, errDriven
	}
	end := int64(math.MaxInt64)
	if timeout >= 0 {
		end = w.swarm.wake(w, w.k.Now()+int64(timeout), timeout)
	}
	w.swarm.quiet(w, w.idle > 0)
	w.await(end, func() bool {
		n, err = p.Poller.Wait(dst, 0)
		return n > 0 || err != nil || p.woken.Load()
	})
	p.woken.Store(false)
	p.note(dst[:n])
	p.fair(dst[:n])
	return n, err
}

// note puts events into the timeline.
func (p *poller) note(events []asyncore.Event) {
	w := p.s.w
	if !w.timeline.on {
		return
	}
	for _, ev := range events {
		if fd, ok := p.fds[ev.Token]; ok {
			w.note("loop", "event(%d) = %v", fd, ev.Ready)
		}
	}
}

var errDriven = errors.New("asynctest: the loop is run by its World")

// unfair is how often in a row a descriptor may be reported readable without
// being read from.
const unfair = 1000

// fair watches over what is reported and not looked at.
func (p *poller) fair(events []asyncore.Event) {
	for _, ev := range events {
		if ev.Ready&asyncore.Readable == 0 {
			continue
		}
		fd, ok := p.fds[ev.Token]
		if !ok {
			continue
		}
		if p.s.unread[fd]++; p.s.unread[fd] > unfair {
			p.s.w.fail("unfair", "descriptor %d was reported readable %d times and never read", fd, unfair)
		}
	}
}
