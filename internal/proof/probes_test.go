package proof

import (
	"sync/atomic"
	"syscall"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// played is how many worlds have been played.
var played atomic.Int64

// hits counts, by the number in the fault model, how often a situation has
// occurred.
var hits [137]atomic.Int64

func hit(id int) { hits[id].Add(1) }

func hitIf(id int, is bool) {
	if is {
		hit(id)
	}
}

func probeRecv(n, room int, e syscall.Errno) {
	switch e {
	case 0:
		hitIf(8, n > 0 && n < room)
		hitIf(11, n == 0)
		hitIf(38, n == room)
	case syscall.EINTR:
		hit(1)
	case syscall.EAGAIN:
		hit(5)
	case syscall.ECONNRESET:
		hit(12)
	case syscall.ENOBUFS, syscall.ENOMEM:
		hit(17)
	default:
		hit(15)
	}
}

func probeSend(n, size int, e syscall.Errno) {
	switch e {
	case 0:
		hitIf(9, n < size)
	case syscall.EINTR:
		hit(1)
	case syscall.EAGAIN:
		hit(6)
	case syscall.EPIPE:
		hit(13)
	case syscall.ENOBUFS, syscall.ENOMEM:
		hit(16)
	default:
		hit(15)
	}
}

func probeAccept(e syscall.Errno) {
	switch e {
	case 0:
	case syscall.EINTR:
		hit(1)
	case syscall.EAGAIN:
		hit(7)
	case syscall.EMFILE, syscall.ENFILE:
		hit(18)
		hit(106)
	case syscall.ENOBUFS, syscall.ENOMEM:
		hit(19)
	case syscall.EPERM:
		hit(21)
	case syscall.EINVAL, syscall.EBADF:
		hit(22)
	default:
		hit(20)
	}
}

func probeConnect(to sys.Addr, e syscall.Errno) {
	switch e {
	case 0:
		hit(26)
	case syscall.EINTR:
		hit(3)
	case syscall.EAGAIN:
		hitIf(27, to.Family == sys.Unix)
	case syscall.EINPROGRESS:
	case syscall.ECONNREFUSED:
		hit(26)
	case syscall.EADDRNOTAVAIL, syscall.ENOENT, syscall.EACCES, syscall.EAFNOSUPPORT:
		hit(28)
	}
}

func probeBind(e syscall.Errno) {
	switch e {
	case syscall.EADDRINUSE:
		hit(31)
		hit(28)
	case syscall.EADDRNOTAVAIL, syscall.EACCES:
		hit(28)
	}
}

func probePackets(ps []sys.Packet, e syscall.Errno) {
	for _, p := range ps {
		hitIf(50, p.Size == 0 || p.Truncated)
	}
	if e != 0 && e != syscall.EAGAIN && e != syscall.EINTR {
		hitPacketError(e)
	}
}

func hitPacketError(syscall.Errno) { hit(50) }

// probeEvent looks at what the poller says.
func probeEvent(ready, want asyncore.Interest) {
	const hints = asyncore.HangUp | asyncore.Fault
	hitIf(37, ready&hints != 0)
	hitIf(39, ready&asyncore.Fault != 0)
	hitIf(41, ready&asyncore.Urgent != 0)
}
