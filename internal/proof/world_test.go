package proof

import (
	"errors"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// world is an asynctest.World that is also seen from below.
type world struct {
	*asynctest.World
	l    *loop.Loop
	e    *core.Engine
	host host

	fds      map[int]*descriptor // open ones
	used     map[int]bool        // numbers that were given out
	errnos   map[syscall.Errno]bool
	accepts  int  // that gave a connection
	welcomed int  // calls of accept functions
	fetched  int  // packets that were received
	packets  bool // there are PacketConns, whose bytes count too
	faults   asynctest.Faults
	arrivals []time.Duration // of connections
	local    bool            // peers are on the loop's host

	sessions []*session
	peers    []*asynctest.Peer
	leaves   map[*asynctest.Peer]bool   // those that do not read to the end
	sends    map[*asynctest.Peer]string // what some send
	depth    int
	current  *session // whose callback runs
	closing  bool     // the scenario is over
	halted   bool     // somebody has closed the loop
	panics   uint64   // that were meant

	apart uint64 // not 0: a seed, of which each Conn draws by itself
	rand  *rand.Rand

	turns uint64
	ready []asyncReady
}

// asyncReady is a descriptor that was reported readable in this turn.
type asyncReady struct {
	fd    int
	token uint64
}

// host is what is asked of the loop's own process.
type host interface {
	FDs() []int
	Watched() []sim.Watch
	SetFDLimit(n int)
	BufferSizes(send, recv int)
}

// descriptor is what has become of one descriptor of the loop's.
type descriptor struct {
	fd       int
	errnos   []syscall.Errno // that its calls have given
	shortIn  bool            // the last one that reads has failed for lack of memory
	shortOut bool            // the last one that writes
	touched  uint64          // the turn in which it was last read from
	broke    bool            // a write has failed for good
	// since then it was read from; and its input has come to an end
	readSince, inputOver bool
	moved                time.Duration // when a byte has
	nothing              uint64        // the turn in which it had last nothing to read
	bytes, conns, frames allowance
	due                  int // turns in which it was ready and not read from
}

func (d *descriptor) saw(e syscall.Errno) bool { return slices.Contains(d.errnos, e) }

// scenario makes of a function of ours one for asynctest.
func scenario(play func(w *world), faults asynctest.Faults) func(*asynctest.World) {
	return func(w *asynctest.World) {
		played.Add(1)
		o := look(w)
		o.faults = faults
		play(o)
		o.end()
	}
}

// look puts eyes below the loop: between it and its system, and between the faults
// and the poller.
func look(w *asynctest.World) *world {
	o := &world{
		World:  w,
		l:      w.Loop(),
		e:      core.Of(w.Loop()),
		fds:    map[int]*descriptor{},
		used:   map[int]bool{},
		errnos: map[syscall.Errno]bool{},
		leaves: map[*asynctest.Peer]bool{},
		sends:  map[*asynctest.Peer]string{},
	}
	f := o.e.Sys.(*faultsys.Sys)
	o.host = f.System.(host)
	o.e.Sys = &watchedSys{System: f, w: o}
	below := reflect.ValueOf(o.e.Poller()).Elem().FieldByName("Poller")
	below.Set(reflect.ValueOf(&watchedPoller{Poller: below.Interface().(sys.Poller), w: o}))
	o.e.Debug = w.Choose(4) == 3 // it overwrites input, and is slow
	return o
}

// Choose is the World's, but where each Conn has choices of its own.
func (w *world) Choose(n int) int {
	if w.apart == 0 {
		return w.World.Choose(n)
	}
	r := w.rand
	if s := w.current; s != nil && s.peer != nil {
		if s.own == nil {
			i := slices.Index(w.peers, s.peer)
			s.own = rand.New(rand.NewPCG(w.apart, uint64(i)+1))
		}
		r = s.own
	}
	return r.IntN(max(n, 1))
}

// dial makes a peer.
func (w *world) dial(to interface{ Addr() net.Addr }) *asynctest.Peer {
	p := w.Dial(to)
	w.peers = append(w.peers, p)
	return p
}

// serve listens. Where a fault is in the way it returns nil, and nothing can
// be shown.
func (w *world) serve(network, address string, accept func(s *session) *channel.Handler) *channel.Listener {
	return w.listen(&channel.ListenConfig{}, network, address, accept)
}

func (w *world) listen(lc *channel.ListenConfig, network, address string, accept func(s *session) *channel.Handler) *channel.Listener {
	ln, err := lc.Listen(w.l, network, address, w.accept(accept))
	if err != nil {
		if !w.Faulted() {
			w.Fatalf("listen: %v", err)
		}
		return nil
	}
	return ln
}

// accept wraps an accept function.
func (w *world) accept(accept func(s *session) *channel.Handler) func(*channel.Conn) *channel.Handler {
	return w.Watch(func(c *channel.Conn) *channel.Handler {
		w.welcomed++
		s := w.session(c)
		s.connected = true // as far as the Conn is concerned
		s.accepted = true
		if ip, ok := c.RemoteAddr().(*net.TCPAddr); ok {
			if at := ip.IP.To4(); at != nil && at[0] == 10 && at[1] == 1 {
				s.peer = w.peers[int(at[2])<<8|int(at[3])-1]
			}
		}
		if h := s.accepting(accept); h != nil {
			return s.watch(h)
		}
		return nil
	})
}

// pass lets d pass.
func (w *world) pass(d time.Duration) { w.Advance(d) }

// rest runs the world until nothing happens, short waits of the loop's included.
func (w *world) rest() {
	w.Quiesce()
	w.pass(5 * time.Second)
	w.Quiesce()
}

// end closes the loop, after which nothing may be left.
func (w *world) end() {
	w.rest()
	w.checkPeers()
	for _, s := range w.sessions {
		if s.refused && s.accepted && s.d != nil && w.fds[s.d.fd] == s.d && !w.Faulted() {
			w.Errorf("%v: it was refused, and is not closed", s)
		}
	}
	if w.accepts != w.welcomed {
		w.Errorf("%d connections were accepted, %d were given to an accept function", w.accepts, w.welcomed)
	}
	w.closing = true
	began := w.Now()
	w.l.Close()
	if took := w.Now() - began; took != 0 {
		w.Errorf("closing the loop took %v", took)
	}
	for _, s := range w.sessions {
		if !s.closed {
			w.Errorf("%v: the loop is closed, and Close has not come", s)
		}
	}
}

// endOfTurn looks at what must be so after each turn: the loop is about to wait.
func (w *world) endOfTurn() {
	if w.l.Stats().Turns == w.turns || w.halted {
		return
	}
	w.turns = w.l.Stats().Turns
	watched := w.host.Watched()
	w.checkFair(watched)
	interest := func(fd int) (want int) {
		i, ok := slices.BinarySearchFunc(watched, fd, func(x sim.Watch, fd int) int { return x.FD - fd })
		if !ok {
			return 0
		}
		return int(watched[i].Want)
	}
	if at, ok := w.e.NextDeadline(); ok && at <= w.e.Now() {
		return // something is to be done first: the scenario's own calls
	}
	for _, x := range watched {
		if want := w.e.Wanted(x.Token); want != x.Want {
			w.Errorf("descriptor %d is watched for %v, and %v is wanted", x.FD, x.Want, want)
		}
	}
	sum := int64(0)
	for _, s := range w.sessions {
		if s.closed || s.away {
			continue
		}
		sum += int64(s.c.Buffered() + len(s.c.Tail()))
		s.checkTurn(interest)
	}
	if got := w.l.Stats().Buffered; got < sum || got > sum && !w.packets && !w.strangers() {
		w.Errorf("the loop counts %d bytes as buffered, its Conns %d", got, sum)
	}
}

// strangers tells whether there are Conns that are no session's.
func (w *world) strangers() bool {
	n := 0
	for range channel.Conns(w.l) {
		n++
	}
	for _, s := range w.sessions {
		if !s.closed {
			n--
		}
	}
	return n > 0
}

// patienceTurns is in how many turns in a row a descriptor may be reported
// readable and not be read from.
const patienceTurns = 3

// checkFair wants what was reported readable to have been read from, unless
// that is not wanted any more.
func (w *world) checkFair(watched []sim.Watch) {
	for _, r := range w.ready {
		d := w.fds[r.fd]
		if d == nil {
			continue
		}
		i := slices.IndexFunc(watched, func(x sim.Watch) bool { return x.Token == r.token })
		if d.touched == w.turns || i < 0 || watched[i].Want&readable == 0 {
			d.due = 0
			continue
		}
		if d.due++; d.due > patienceTurns && !w.yields(r.fd) {
			w.Errorf("descriptor %d was ready for %d turns and not read from", r.fd, d.due)
		}
	}
	w.ready = w.ready[:0]
}

// yields tells whether a descriptor's handler takes its time by itself.
func (w *world) yields(fd int) bool {
	for _, s := range w.sessions {
		if !s.closed && s.d != nil && s.d.fd == fd {
			return s.framed
		}
	}
	return false
}

// checkPeers compares what peers have received with what was written to them.
func (w *world) checkPeers() {
	for _, s := range w.sessions {
		p := s.peer
		if p == nil || s.piped {
			continue
		}
		got, out := p.Received(), s.out()
		if len(got) > len(out) || string(got) != string(out[:len(got)]) {
			at := 0
			for at < min(len(got), len(out)) && got[at] == out[at] {
				at++
			}
			w.Errorf("%v: %v has received %d bytes, of %d written; they differ at %d", s, p, len(got), len(out), at)
		}
		if s.closed && s.err == nil && s.may&byClose != 0 && !s.gone && !p.Faulted() && len(got) != len(out) && !w.leaves[p] && broken(p) == 0 {
			w.Errorf("%v: closed with nil, and %v has %d bytes of %d", s, p, len(got), len(out))
		}
		if s.closed && s.err == nil && !s.gone && s.producers > 0 && !p.Faulted() && !w.leaves[p] && broken(p) == 0 {
			w.Errorf("%v: closed with nil, and %d producers were not at their end", s, s.producers)
		}
	}
}

// broken is the error with which a connection has ended for its peer, 0 if none. A
// peer has no method that tells.
func broken(p *asynctest.Peer) syscall.Errno {
	return syscall.Errno(reflect.ValueOf(p).Elem().FieldByName("errno").Uint())
}

// opErr wants an error to have the form of package net's.
func opErr(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}
