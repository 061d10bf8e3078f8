package faultsys

import (
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// Inject has decide asked about each call that can fail, as far as Legal knows,
// and that no fault of Fail or Limit hits; nil ends that. The call fails with
// errno; where that is 0 and limit is above 0, it moves at most limit bytes or
// packets. An errno that is in Legal has the consequences that it has in a kernel:
// what fails because the connection is lost fails from then on, and the
// descriptor stays ready until it is closed. What its descriptor cannot have
// met does not happen: nobody is aborted in an empty queue.
func (f *Sys) Inject(decide func(c Call, fd int) (errno syscall.Errno, limit int)) { f.decide = decide }

// OnCall has told be called of each call that can fail, before it is made, with
// its number, from 1; nil ends that. fd is -1 where there is none.
func (f *Sys) OnCall(told func(n int, c Call, fd int)) { f.onCall = told }

// Calls is how many calls that can fail, those with an errno in Legal, have been
// made; asked by OnCall's or Inject's function, the number of the one that is
// about to be made.
func (f *Sys) Calls() int { return f.calls }

// number counts a call that can fail.
func (f *Sys) number(c Call, fd int) {
	if len(faults[c]) == 0 {
		return
	}
	f.calls++
	if f.onCall != nil {
		f.onCall(f.calls, c, fd)
	}
}

// injected returns what Inject's function wants, and sees to its consequences.
func (f *Sys) injected(c Call, fd int) (errno syscall.Errno, limit int) {
	if f.decide == nil || len(faults[c]) == 0 {
		return 0, -1
	}
	errno, limit = f.decide(c, fd)
	if errno == 0 {
		if limit <= 0 {
			limit = -1
		}
		return 0, limit
	}
	switch fateOf(c, errno) {
	case aborted:
		if e := f.dropNext(fd); e != 0 {
			return e, -1
		}
	case killed:
		f.kill(c, fd)
	case ofPacket:
		if !f.datagram(fd) {
			return 0, -1
		}
	}
	return errno, -1
}

// datagram tells whether fd is a socket of datagrams.
func (f *Sys) datagram(fd int) bool {
	kind, errno := f.System.Kind(fd)
	return errno == 0 && kind == sys.Datagram
}

// dropNext takes the next connection out of a listener's queue and resets it.
// There must be one for the kernel to tell that it is gone.
func (f *Sys) dropNext(fd int) syscall.Errno {
	var from sys.Addr
	next, errno := f.System.Accept(fd, &from)
	if errno == 0 {
		f.System.SetOption(next, sys.Linger, 0)
		f.System.Close(next)
	}
	return errno
}

// death is a connection, or a listener, that lives on in the kernel below and
// nowhere else.
type death struct {
	pending syscall.Errno // is told once
	cut     bool          // the input that the kernel below has never arrived
}

// kill ends the connection of a descriptor. The call tells of it; one that was
// not asked for the connection's error leaves that pending.
func (f *Sys) kill(c Call, fd int) {
	if f.datagram(fd) {
		return
	}
	d := &death{cut: c == Recv || c == RecvPackets}
	if c == PeerAddr || c == ShutdownWrite {
		d.pending = syscall.ECONNRESET
	}
	f.dead[fd] = d
	f.System.SetOption(fd, sys.Linger, 0) // the peer finds out too, at the latest by our close
}

// take returns the pending error.
func (d *death) take() syscall.Errno {
	errno := d.pending
	d.pending = 0
	return errno
}

// output is what sending gives.
func (d *death) output() syscall.Errno {
	if errno := d.take(); errno != 0 {
		return errno
	}
	return syscall.EPIPE
}

// input is what receiving gives where the kernel below has given n: what had
// arrived is still there, behind it the error, if nobody has been told, and then
// the end.
func (d *death) input(n int) (int, syscall.Errno) {
	if n > 0 {
		return n, 0
	}
	return 0, d.take()
}
