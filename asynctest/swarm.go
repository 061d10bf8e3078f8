package asynctest

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
)

// swarm is what may happen in a world by itself. Each world draws which kinds of
// it there are, and how often in 10,000 occasions: where all of it is always
// there, one kind hides what another would show.
type swarm struct {
	shortRead, shortWrite int
	interrupt, nothing    int // EINTR, EAGAIN
	segments, slowReader  int
	late                  int
	shortage, abort, kill int
	partition             int

	noise        sim.Noise
	reuse        bool
	small, delay bool
}

var (
	rates     = []int{0, 1, 100, 2500}
	killRates = []int{0, 1, 20, 200}
)

func (s *swarm) draw(w *World) {
	if w.c.Faults == None {
		return
	}
	rate := func(class string, rates []int) int { return rates[w.tape.Choose(class, 0, len(rates))] }
	s.shortRead = rate("short reads", rates)
	s.shortWrite = rate("short writes", rates)
	s.interrupt = rate("interruptions", rates)
	s.nothing = rate("readiness for nothing", rates)
	s.segments = rate("segments", rates)
	s.slowReader = rate("slow readers", rates)
	s.late = rate("late wake-ups", rates)
	s.noise = sim.Noise{
		Shuffle:    rate("shuffled events", rates),
		Spurious:   rate("spurious events", rates),
		SmallBatch: rate("small batches", rates),
		Merge:      rate("merged events", rates),
	}
	s.reuse = w.tape.Choose("descriptors used again at once", 0, 2) == 1
	s.small = w.tape.Choose("small buffers", 0, 2) == 1
	s.delay = w.tape.Choose("latency", 0, 2) == 1
	if w.c.Faults == Swarm {
		s.shortage = rate("shortages", rates)
		s.abort = rate("aborted connections", killRates)
		s.kill = rate("lost connections", killRates)
		s.partition = rate("partitions", killRates)
	}
}

// rooms are the sizes of socket buffers; 0 is the kernel's own.
var rooms = []int{0, 64 << 10, 4 << 10, 1500, 256, 16, 1}

// buffers gives a process the buffers of its sockets.
func (s *swarm) buffers(w *World, p *sim.Process, id int) {
	if !s.small {
		return
	}
	send, recv := rooms[w.tape.Choose("send buffer", id, len(rooms))], rooms[w.tape.Choose("receive buffer", id, len(rooms))]
	const usual = 208 << 10
	if send == 0 {
		send = usual
	}
	if recv == 0 {
		recv = usual
	}
	p.BufferSizes(send, recv)
	if send != usual || recv != usual {
		who := "loop"
		if id > 0 {
			who = fmt.Sprintf("peer %d", id)
		}
		w.note(who, "has buffers of %d bytes to send and %d to receive", send, recv)
	}
}

// link gives a peer's network its latency.
func (s *swarm) link(w *World, p *Peer) {
	if s.delay {
		p.link.Latency = time.Duration(w.tape.Choose("latency ms", p.id, 100)) * time.Millisecond
		p.link.Jitter = time.Duration(w.tape.Choose("jitter ms", p.id, 50)) * time.Millisecond
		p.note("is %v away, %v more or less", p.link.Latency, p.link.Jitter)
	}
}

// quiet has the pollers report what is so and nothing else: after turns that came
// to nothing, to see whether that goes on.
func (s *swarm) quiet(w *World, on bool) {
	if on {
		w.k.SetNoise(sim.Noise{})
	} else {
		w.k.SetNoise(s.noise)
	}
}

// wake is when a wait for a timer really ends.
func (s *swarm) wake(w *World, at int64, timeout time.Duration) int64 {
	if timeout > 0 && s.late > 0 && w.tape.Chance("late", 0, s.late) {
		at += int64(w.tape.Choose("late µs", 0, 2000)) * int64(time.Microsecond)
	}
	return at
}

// sip is how much a peer receives at once.
func (s *swarm) sip(w *World, id, n int) int {
	if s.slowReader > 0 && w.tape.Chance("sip", id, s.slowReader) {
		return 1 + w.tape.Choose("sip size", id, min(n, 1000))
	}
	return n
}

// segment is how much a peer sends at once.
func (s *swarm) segment(w *World, id, n int) int {
	if n > 0 && s.segments > 0 && w.tape.Chance("split", id, s.segments) {
		return 1 + w.tape.Choose("split size", id, n)
	}
	return n
}

// cut may break a peer's network for a while.
func (s *swarm) cut(w *World, p *Peer) {
	if s.partition == 0 || p.link == nil || w.calm || !w.tape.Chance("partition", p.id, s.partition) {
		return
	}
	d := time.Duration(1+w.tape.Choose("partition ms", p.id, 5000)) * time.Millisecond
	p.note("partition for %v", d)
	p.shaky = true
	p.link.Partition(true)
	w.k.At(w.k.Now()+int64(d), func() { p.link.Partition(false) })
}

// inject is what happens to a call of the loop's.
func (s *swarm) inject(w *World, c faultsys.Call, fd int) (errno syscall.Errno, limit int) {
	id := w.sys.id(fd)
	switch c {
	case faultsys.Recv, faultsys.Send, faultsys.Accept:
	default:
		return 0, -1
	}
	chance := func(site string, rate int) bool { return rate > 0 && w.tape.Chance(site, id, rate) }
	one := func(site string, of []syscall.Errno) syscall.Errno { return of[w.tape.Choose(site, id, len(of))] }
	switch {
	case chance("interrupt "+string(c), s.interrupt):
		return syscall.EINTR, -1
	case chance("nothing "+string(c), s.nothing):
		return syscall.EAGAIN, -1
	case chance("shortage "+string(c), s.shortage):
		return one("shortage of", short(c)), -1
	case c == faultsys.Accept && chance("abort", s.abort):
		return one("aborted by", aborting), -1
	case c != faultsys.Accept && chance("kill "+string(c), s.kill):
		return one("killed by", killing), -1
	}
	switch {
	case c == faultsys.Recv && chance("short recv", s.shortRead):
		return 0, 1 + w.tape.Choose("recv size", id, 100)
	case c == faultsys.Send && chance("short send", s.shortWrite):
		return 0, 1 + w.tape.Choose("send size", id, 100)
	}
	return 0, -1
}

// What calls fail with, by the fault model: Legal has them by call.
var (
	memory   = []syscall.Errno{syscall.ENOBUFS, syscall.ENOMEM}
	nothing  = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM}
	killing  = without(faultsys.Legal(faultsys.Recv), syscall.EINTR, syscall.EAGAIN, syscall.ENOBUFS, syscall.ENOMEM)
	aborting = without(faultsys.Legal(faultsys.Accept), append(queued, syscall.EINVAL)...)
)

func short(c faultsys.Call) []syscall.Errno {
	if c == faultsys.Accept {
		return nothing
	}
	return memory
}

func without(list []syscall.Errno, out ...syscall.Errno) []syscall.Errno {
	return slices.DeleteFunc(slices.Clone(list), func(e syscall.Errno) bool { return slices.Contains(out, e) })
}
