package asynctest

import (
	"slices"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
)

// fault is one that a scenario has asked for.
type fault struct {
	call  faultsys.Call // empty: whichever may fail so
	errno syscall.Errno
	until int64 // 0: no end
	times int   // left; negative: no end
}

// FaultOption says for how long a fault lasts: [For], [Times].
type FaultOption struct {
	span  time.Duration
	times int
}

// For ends a fault after d.
func For(d time.Duration) FaultOption { return FaultOption{span: d} }

// Times ends a fault after n calls that it has hit.
func Times(n int) FaultOption { return FaultOption{times: n} }

// Fault has the loop's system calls fail with errno from now on, all those that
// may fail so: EMFILE is accept's and socket's, ECONNRESET ends connections.
// Without For or Times it lasts.
func (w *World) Fault(errno syscall.Errno, opts ...FaultOption) {
	w.check()
	f := &fault{errno: errno, times: -1}
	for _, o := range opts {
		if o.span > 0 {
			f.until = w.k.Now() + int64(o.span)
		}
		if o.times > 0 {
			f.times = o.times
		}
	}
	w.note("scenario", "Fault(%v)", errno)
	w.faults = append(w.faults, f)
}

// Faulted tells whether a fault has occurred that may have changed what a peer
// sees: one that has ended a connection, or that lasts. A scenario in which one
// connection shows in others, as in a chat room or through a relay, has it all
// happen, by [World.Quiesce], asks, and is strict where the answer is no; those that
// were hit themselves are known to [Peer.Expect].
func (w *World) Faulted() bool { return w.faulted }

// inject decides what happens to a call of the loop's.
func (w *World) inject(c faultsys.Call, fd int) (errno syscall.Errno, limit int) {
	delete(w.sys.unread, fd)
	if w.calm {
		return 0, -1
	}
	errno, lasts := w.asked(c)
	if errno == 0 && w.sweep {
		errno, lasts = w.swept(c)
	}
	if errno == 0 && w.c.Faults != None {
		errno, limit = w.swarm.inject(w, c, fd)
	}
	if errno != 0 {
		w.hit(c, fd, errno, lasts)
	}
	return errno, limit
}

// asked is what the scenario has asked for; lasts tells that there is no end to it.
func (w *World) asked(c faultsys.Call) (errno syscall.Errno, lasts bool) {
	now := w.k.Now()
	w.faults = slices.DeleteFunc(w.faults, func(f *fault) bool {
		return f.times == 0 || f.until != 0 && f.until <= now
	})
	for _, f := range w.faults {
		if f.call != "" && f.call != c || f.call == "" && !slices.Contains(faultsys.Legal(c), f.errno) {
			continue
		}
		if f.times > 0 {
			f.times--
		}
		return f.errno, f.times < 0 && f.until == 0
	}
	return 0, false
}

// hit tells of a fault, and whom it concerns.
func (w *World) hit(c faultsys.Call, fd int, errno syscall.Errno, lasts bool) {
	w.note("fault", "%s(%d) = %v", c, fd, errno)
	drops := c == faultsys.Accept && !slices.Contains(queued, errno)
	w.sys.dropping = drops && errno != syscall.EINVAL
	switch {
	case !lasts && w.sys.dropping:
		// whose it was is seen when it is dropped
	case lasts || !harmless(c, errno):
		w.harm(w.sys.owner[fd])
	}
}

// harm tells that a fault has hit what a peer sees, or nobody knows which.
func (w *World) harm(p *Peer) {
	w.faulted = true
	if p == nil {
		w.global = true
	} else {
		p.faulted = true
	}
}

// queued are the errors of accept after which the connection is still there.
var queued = []syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS,
	syscall.ENOMEM, syscall.EPERM}

// harmless tells whether nobody sees an error but by the time that it takes.
func harmless(c faultsys.Call, errno syscall.Errno) bool {
	switch c {
	case faultsys.Recv, faultsys.Send:
		return slices.Contains([]syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.ENOBUFS, syscall.ENOMEM}, errno)
	case faultsys.Accept:
		return slices.Contains(queued, errno)
	case faultsys.Close, faultsys.RecvUrgent, faultsys.Remove:
		return true
	case faultsys.Connect: // EAGAIN: there is no port left
		return errno == syscall.EINTR
	case faultsys.Read, faultsys.Write, faultsys.SendFile, faultsys.RecvPackets:
		return errno == syscall.EINTR || errno == syscall.EAGAIN
	}
	return false
}
