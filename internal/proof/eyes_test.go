package proof

import (
	"slices"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

const (
	readable = asyncore.Readable
	writable = asyncore.Writable
)

// watchedSys is the loop's system, seen from the loop: what its calls give,
// injected faults included.
type watchedSys struct {
	sys.System
	w *world
}

// of is what is known of a descriptor.
func (s *watchedSys) of(fd int) *descriptor {
	d := s.w.fds[fd]
	if d == nil {
		d = &descriptor{fd: fd}
		s.w.fds[fd] = d
	}
	return d
}

// note keeps what a call has given.
func (s *watchedSys) note(fd int, e syscall.Errno) *descriptor {
	d := s.of(fd)
	if e != 0 {
		s.w.errnos[e] = true
		if !d.saw(e) {
			d.errnos = append(d.errnos, e)
		}
	}
	return d
}

func isShort(e syscall.Errno) bool { return e == syscall.ENOBUFS || e == syscall.ENOMEM }

// input notes a call that reads.
func (s *watchedSys) input(fd int, e syscall.Errno) {
	d := s.note(fd, e)
	d.shortIn = isShort(e)
	d.touched, d.due = s.w.l.Stats().Turns, 0
	d.readSince = d.broke
}

// output notes a call that writes.
func (s *watchedSys) output(fd int, e syscall.Errno) { s.note(fd, e).shortOut = isShort(e) }

func (s *watchedSys) Recv(fd int, p []byte) (int, syscall.Errno) {
	n, e := s.System.Recv(fd, p)
	s.input(fd, e)
	probeRecv(n, len(p), e)
	d := s.of(fd)
	if e == syscall.EAGAIN {
		d.nothing = s.w.l.Stats().Turns
	}
	d.inputOver = d.inputOver || e == 0 && n == 0 || e != 0 && !passes(e)
	s.moves(d, n)
	d.bytes.take(s.w, n, mostRead, "bytes of one descriptor")
	return n, e
}

func (s *watchedSys) Send(fd int, p []byte) (int, syscall.Errno) {
	n, e := s.System.Send(fd, p)
	s.output(fd, e)
	probeSend(n, len(p), e)
	d := s.of(fd)
	d.broke = d.broke || e != 0 && !passes(e)
	s.moves(d, n)
	return n, e
}

func (s *watchedSys) Accept(fd int, from *sys.Addr) (int, syscall.Errno) {
	n, e := s.System.Accept(fd, from)
	s.input(fd, e)
	probeAccept(e)
	if e == 0 {
		s.w.accepts++
		s.of(fd).conns.take(s.w, 1, mostAccepted, "connections of one listener")
		s.w.arrivals = append(s.w.arrivals, s.w.Now())
		s.begins(n)
	}
	return n, e
}

// begins notes a new descriptor.
func (s *watchedSys) begins(fd int) {
	hitIf(59, s.w.used[fd])
	s.w.used[fd] = true
	s.w.fds[fd] = &descriptor{fd: fd}
}

func (s *watchedSys) RecvUrgent(fd int) (byte, syscall.Errno) {
	b, e := s.System.RecvUrgent(fd)
	s.note(fd, e)
	return b, e
}

func (s *watchedSys) RecvPackets(fd int, ps []sys.Packet, sequenced bool) (int, syscall.Errno) {
	n, e := s.System.RecvPackets(fd, ps, sequenced)
	s.input(fd, e)
	probePackets(ps[:max(n, 0)], e)
	s.w.fetched += max(n, 0)
	return n, e
}

func (s *watchedSys) SendPackets(fd int, ps []sys.Packet) (int, syscall.Errno) {
	n, e := s.System.SendPackets(fd, ps)
	s.output(fd, e)
	if e != 0 {
		hitPacketError(e)
	}
	return n, e
}

func (s *watchedSys) PacketError(fd int) syscall.Errno {
	e := s.System.PacketError(fd)
	s.note(fd, e)
	if e != 0 {
		hitPacketError(e)
	}
	return e
}

func (s *watchedSys) Socket(f sys.Family) (int, syscall.Errno) {
	fd, e := s.System.Socket(f)
	s.made(fd, e)
	return fd, e
}

func (s *watchedSys) PacketSocket(f sys.Family, k sys.Kind) (int, syscall.Errno) {
	fd, e := s.System.PacketSocket(f, k)
	s.made(fd, e)
	return fd, e
}

func (s *watchedSys) made(fd int, e syscall.Errno) {
	if e != 0 {
		s.w.errnos[e] = true
		if e == syscall.EMFILE || e == syscall.ENFILE {
			hit(106)
		}
		return
	}
	s.begins(fd)
}

func (s *watchedSys) Connect(fd int, to sys.Addr) syscall.Errno {
	if slices.ContainsFunc(s.w.host.Watched(), func(x sim.Watch) bool { return x.FD == fd }) {
		s.w.Errorf("descriptor %d is watched before it connects", fd)
	}
	hit(40)
	e := s.System.Connect(fd, to)
	s.note(fd, e)
	probeConnect(to, e)
	return e
}

func (s *watchedSys) SockError(fd int) (pending, errno syscall.Errno) {
	pending, errno = s.System.SockError(fd)
	s.note(fd, pending)
	s.note(fd, errno)
	if pending != 0 {
		hit(25)
	}
	return pending, errno
}

func (s *watchedSys) PeerAddr(fd int) (sys.Addr, syscall.Errno) {
	a, e := s.System.PeerAddr(fd)
	s.note(fd, e)
	if e == syscall.ENOTCONN {
		hit(51)
	}
	return a, e
}

func (s *watchedSys) LocalAddr(fd int) (sys.Addr, syscall.Errno) {
	a, e := s.System.LocalAddr(fd)
	s.note(fd, e)
	return a, e
}

func (s *watchedSys) SetOption(fd int, o sys.Option, value int) syscall.Errno {
	e := s.System.SetOption(fd, o, value)
	s.note(fd, e)
	if e != 0 {
		hit(52)
	}
	return e
}

func (s *watchedSys) Bind(fd int, a sys.Addr) syscall.Errno {
	e := s.System.Bind(fd, a)
	s.note(fd, e)
	probeBind(e)
	return e
}

func (s *watchedSys) Listen(fd, backlog int) syscall.Errno {
	e := s.System.Listen(fd, backlog)
	s.note(fd, e)
	return e
}

func (s *watchedSys) ShutdownWrite(fd int) syscall.Errno {
	e := s.System.ShutdownWrite(fd)
	s.note(fd, e)
	return e
}

func (s *watchedSys) Close(fd int) syscall.Errno {
	e := s.System.Close(fd)
	if e == syscall.EBADF {
		s.w.Errorf("descriptor %d was closed, and it was not open", fd)
	}
	delete(s.w.fds, fd)
	if e == syscall.EINTR || e == syscall.EIO {
		hit(4)
	}
	return e
}

// passes tells whether an error does not end anything.
func passes(e syscall.Errno) bool {
	return isShort(e) || e == syscall.EAGAIN || e == syscall.EINTR
}

// moves notes that n bytes have come or gone.
func (s *watchedSys) moves(d *descriptor, n int) {
	if n > 0 {
		d.moved = s.w.Now()
	}
}

// What one descriptor may have of a turn.
const (
	mostRead     = 512 << 10 // bytes: a read more than is meant
	mostAccepted = 20
	mostFrames   = 600
)

// allowance is what a descriptor has had of one thing in a turn.
type allowance struct {
	turn uint64
	had  int
}

// take counts n more, which must leave time for others.
func (a *allowance) take(w *world, n, most int, what string) {
	if now := w.l.Stats().Turns; a.turn != now {
		a.turn, a.had = now, 0
	}
	if a.had += max(n, 0); a.had > most {
		w.Errorf("there were %d %s in one turn, and %d are enough", a.had, what, most)
	}
}

// reported tells whether this turn began with a descriptor reported readable.
func (w *world) reported(fd int) bool {
	return slices.ContainsFunc(w.ready, func(r asyncReady) bool { return r.fd == fd })
}

// watchedPoller is the loop's poller, below the faults. It is asked once a turn.
type watchedPoller struct {
	sys.Poller
	w *world
}

func (p *watchedPoller) Wait(dst []asyncore.Event, timeout time.Duration) (int, error) {
	w := p.w
	w.e.Disown() // there is one goroutine, and asking which takes most of the time
	w.endOfTurn()
	hitIf(43, w.l.Stats().StaleEvents > 0)
	n, err := p.Poller.Wait(dst, timeout)
	if n == 0 {
		return n, err
	}
	watched := w.host.Watched()
	for _, ev := range dst[:n] {
		for _, x := range watched {
			if x.Token != ev.Token {
				continue
			}
			probeEvent(ev.Ready, x.Want)
			if ev.Ready&readable != 0 && x.Want&readable != 0 {
				w.ready = append(w.ready, asyncReady{x.FD, x.Token})
			}
		}
	}
	return n, err
}
