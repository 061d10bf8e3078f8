package proof

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// why is a set of reasons for which a Conn may close.
type why uint

const (
	byClose why = 1 << iota
	byAbort
	byPanic
	byIdle
	byStall
	byLimit
	byHalt // the loop was closed
	byName // a dial's lookup
)

// session is a Conn's ledger.
type session struct {
	w    *world
	c    *channel.Conn
	d    *descriptor     // nil: a dial's
	peer *asynctest.Peer // at the other end, where it is known

	pieces              []*piece // of output, in order
	wrote               int      // that Write has taken
	producers           int      // that are not at their end
	high, hard, largest int      // marks of SetWater, and the largest Write
	unbound             bool     // no hard limit
	lowest              int      // of the high marks
	unchoked            bool     // one of them was negative: it does not stop input
	produced            bool     // a producer was queued
	risen               bool     // output, above the lowest high mark
	idle                time.Duration
	may                 why
	failed              error // given to Fail, or by a producer
	gone                bool  // the peer is to go without having read everything

	accepted, connected, refused bool
	eof, closed                  bool
	framed, paused, away, piped  bool
	panicked, giveBack           bool
	aborted                      bool // nothing but Close may come
	leaving                      bool // it was told to close, or to end its output
	err                          error
	endedIn                      uint64 // the turn
	endedAt                      time.Duration
	hooks                        []string   // that were called; Reads in a row are one
	own                          *rand.Rand // choices of its own: see TestFlavours
}

// session opens the ledger of a Conn.
func (w *world) session(c *channel.Conn) *session {
	s := &session{w: w, c: c}
	if rc, err := c.SyscallConn(); err == nil {
		rc.Control(func(fd uintptr) { s.d = w.fds[int(fd)] })
	}
	w.sessions = append(w.sessions, s)
	return s
}

// connect dials, and opens a ledger. h is made with it.
func (w *world) connect(d *channel.Dialer, network, address string, handler func(s *session) *channel.Handler) *session {
	s := &session{w: w}
	h := s.watch(handler(s))
	s.c = d.Dial(w.l, network, address, h)
	if w.e.IsClosed() {
		s.closed, s.refused = true, true // nothing is called any more
	}
	w.sessions = append(w.sessions, s)
	return s
}

func (s *session) String() string { return fmt.Sprintf("conn %d", s.c.ID()) }

// enter and leave surround each callback.
func (s *session) enter(hook string) {
	w := s.w
	if w.depth++; w.depth > 1 {
		w.Errorf("%v: %s inside a callback of %v", s, hook, w.current)
	}
	w.current = s
	s.log(hook)
	switch {
	case hook == "accept":
	case s.closed:
		w.Errorf("%v: %s after Close", s, hook)
	case s.aborted && hook != "close":
		w.Errorf("%v: %s after Abort", s, hook)
	case s.eof && hook == "read":
		w.Errorf("%v: read after EOF", s)
	case !s.connected && hook != "close":
		w.Errorf("%v: %s before Connect", s, hook)
	case (hook == "read" || hook == "eof") && !s.c.Reading():
		if hook == "read" || s.paused { // EOF is told as the one is read
			w.Errorf("%v: %s while no input is wanted", s, hook)
		}
	}
}

// accepting calls an accept function.
func (s *session) accepting(accept func(s *session) *channel.Handler) *channel.Handler {
	s.enter("accept")
	var h *channel.Handler
	defer func() {
		s.leave()
		if h == nil { // or it has panicked
			s.refused, s.closed = true, true
		}
	}()
	h = accept(s)
	return h
}

func (s *session) log(hook string) {
	if hook == "urgent" && s.w.apart != 0 {
		return // not every poller tells
	}
	if last := len(s.hooks) - 1; hook != "read" || last < 0 || s.hooks[last] != "read" {
		s.hooks = append(s.hooks, hook)
	}
}

// leave also runs where the callback panics.
func (s *session) leave() {
	s.w.depth--
	s.w.current = nil
}

// watch wraps a handler. What it does not have, it does not have either.
func (s *session) watch(h *channel.Handler) *channel.Handler {
	o := *h
	o.Connect = func(c *channel.Conn) {
		if s.connected && !s.accepted {
			s.w.Errorf("%v: Connect twice", s)
		}
		s.connected = true
		s.enter("connect")
		defer s.leave()
		if h.Connect != nil {
			h.Connect(c)
		}
	}
	if h.Read != nil {
		o.Read = func(c *channel.Conn, p []byte) {
			s.enter("read")
			defer s.leave()
			hitIf(73, s.w.e.Debug)
			h.Read(c, p)
		}
	}
	if h.Write != nil {
		o.Write = func(c *channel.Conn) {
			s.enter("write")
			defer s.leave()
			if s.hard > 0 && !s.risen && !s.produced && !s.broke() {
				s.w.Errorf("%v: Write, and output has not risen since the last one", s)
			}
			s.risen = false
			h.Write(c)
		}
	}
	if h.Urgent != nil {
		o.Urgent = func(c *channel.Conn, b byte) {
			s.enter("urgent")
			defer s.leave()
			h.Urgent(c, b)
		}
	}
	if h.EOF != nil {
		o.EOF = func(c *channel.Conn) {
			s.enter("eof")
			defer s.leave()
			if s.eof {
				s.w.Errorf("%v: EOF twice", s)
			}
			s.eof = true
			h.EOF(c)
		}
	} else {
		s.may |= byClose // by the default
	}
	o.Close = func(c *channel.Conn, err error) {
		s.enter("close")
		defer s.leave()
		s.ended(err)
		if h.Close != nil {
			h.Close(c, err)
		}
	}
	return &o
}

// ended looks at a Conn's reason.
func (s *session) ended(err error) {
	s.closed, s.err, s.endedIn, s.endedAt = true, err, s.w.l.Stats().Turns, s.w.Now()
	hitIf(32, err != nil && strings.Contains(err.Error(), "poller"))
	hitIf(105, errors.Is(err, channel.ErrIdle))
	hitIf(70, errors.Is(err, channel.ErrStalled))
	hitIf(101, err == nil && s.eof && s.may&byClose != 0)
	if n := s.c.Buffered(); n != 0 {
		s.w.Errorf("%v: closed with %d bytes in its books", s, n)
	}
	s.checkEnd(err)
	if !s.due(err) {
		s.w.Errorf("%v: closed with %v (%T), for which there was no reason (%b)", s, err, err, s.may)
	}
}

// broke tells whether the kernel has refused output for good.
func (s *session) broke() bool { return s.d != nil && s.d.broke }

// checkEnd wants input to go before what ends a Conn.
func (s *session) checkEnd(err error) {
	w, d := s.w, s.d
	if d == nil || s.piped || s.framed || s.aborted {
		return
	}
	_, isErrno := errors.AsType[syscall.Errno](err)
	switch {
	case errors.Is(err, channel.ErrIdle):
		if still := w.Now() - d.moved; s.idle > 0 && still < s.idle {
			w.Errorf("%v: idle for %v, and a byte has moved %v ago", s, s.idle, still)
		}
		if w.reported(d.fd) && d.touched != w.l.Stats().Turns && !s.paused {
			w.Errorf("%v: idle, and it was reported readable in this turn", s)
		}
	case isErrno && d.broke && !d.readSince && !d.inputOver && !s.leaving && !s.paused && s.failed == nil && !s.panicked && !w.Faulted():
		w.Errorf("%v: closed with %v of a write, and its input was not looked at", s, err)
	}
}

// due tells whether there was a reason for the reason.
func (s *session) due(err error) bool {
	if s.failed != nil && errors.Is(err, s.failed) {
		return true
	}
	if _, ok := errors.AsType[*loop.PanicError](err); ok {
		return s.may&byPanic != 0
	}
	if errors.Is(err, syscall.EAGAIN) {
		return false // it is no error, and would be taken for a timeout
	}
	errno, isErrno := errors.AsType[syscall.Errno](err)
	switch {
	case err == nil:
		return s.may&byClose != 0
	case err == net.ErrClosed:
		return s.may&byAbort != 0 || s.may&byClose != 0 && !s.connected
	case errors.Is(err, loop.ErrClosed):
		return s.w.closing || s.w.halted
	case errors.Is(err, channel.ErrIdle):
		return s.may&byIdle != 0
	case errors.Is(err, channel.ErrStalled):
		return s.may&(byStall|byClose) != 0
	case errors.Is(err, channel.ErrOutputLimit):
		return s.may&byLimit != 0
	case errors.Is(err, io.ErrUnexpectedEOF):
		return s.framed
	case isErrno && s.d != nil:
		return opErr(err) && (s.d.saw(errno) || s.w.Faulted())
	case isErrno:
		return opErr(err) && (s.w.errnos[errno] || errno == syscall.ECONNREFUSED || s.w.Faulted())
	case !s.connected:
		return opErr(err) && s.may&byName != 0 // a dial's own
	}
	return false
}

// checkTurn looks at what must be so of a Conn after each turn.
func (s *session) checkTurn(interest func(fd int) int) {
	w, c := s.w, s.c
	queued := c.Buffered()
	hitIf(92, s.hard > 0 && queued > s.high && !c.Reading())
	if queued > s.bound() {
		w.Errorf("%v: %d bytes are queued, above the limit of %d", s, queued, s.bound())
	}
	if s.hard > 0 && !s.unchoked && queued > s.high && c.Reading() {
		w.Errorf("%v: %d bytes are queued, above the high mark of %d, and it is read from", s, queued, s.high)
	}
	if !s.accepted || s.d == nil || s.producers > 0 || s.d.shortIn || s.d.shortOut || w.Faulted() {
		return
	}
	if w.fds[s.d.fd] != s.d {
		w.Errorf("%v: it is open, and its descriptor %d is not its own", s, s.d.fd)
		return
	}
	want := interest(s.d.fd)
	if waits := want&int(writable) != 0; waits != (queued > 0) {
		w.Errorf("%v: %d bytes are queued, and its descriptor is watched for %b", s, queued, want)
	}
	reads := want&int(readable) != 0
	if c.Reading() && !reads {
		w.Errorf("%v: input is wanted, and its descriptor is watched for %b", s, want)
	}
	if s.hard > 0 && queued == 0 && !c.Reading() && !s.paused && !s.d.inputOver && !s.broke() && !s.leaving && !s.aborted && s.failed == nil {
		w.Errorf("%v: nothing is queued, and it is not read from", s)
	}
	if s.paused && reads && s.may&(byClose|byAbort) == 0 && s.failed == nil {
		w.Errorf("%v: paused, and its descriptor is watched for %b", s, want)
	}
}

// write writes, and notes what was taken.
func (s *session) write(p []byte) error {
	before := s.c.Buffered()
	_, err := s.c.Write(p)
	s.risen = s.risen || s.c.Buffered() > s.lowest
	if err == nil {
		if s.hard > 0 && !s.unbound && len(p) > 0 && before > s.high && before+len(p) > s.hard {
			s.w.Errorf("%v: %d bytes were taken on top of %d, beyond the limit of %d", s, len(p), before, s.hard)
		}
		s.wrote += len(p)
		last := len(s.pieces) - 1
		if last < 0 || s.pieces[last].src != nil {
			s.pieces = append(s.pieces, &piece{})
			last++
		}
		s.pieces[last].b = append(s.pieces[last].b, p...)
	}
	return err
}

// piece is output that was written in one go, or that a producer has given so far.
type piece struct {
	b   []byte
	src *source
}

// out is all output, in order.
func (s *session) out() []byte {
	if len(s.pieces) == 1 {
		return s.pieces[0].b
	}
	var all []byte
	for _, p := range s.pieces {
		all = append(all, p.b...)
	}
	return all
}

// sendFrom queues a producer.
func (s *session) sendFrom(r *source) {
	if s.c.SendFrom(r) == nil {
		s.produced = true
		r.to = &piece{src: r}
		s.pieces = append(s.pieces, r.to)
		s.producers++
	}
}

func (s *session) close() error {
	s.may |= byClose
	s.leaving = true
	return s.c.Close()
}

func (s *session) abort() {
	s.may |= byAbort
	s.gone, s.aborted = true, true
	s.c.Abort()
}

func (s *session) reset() {
	s.may |= byAbort
	s.gone, s.aborted = true, true
	s.c.Reset()
}

func (s *session) fail(err error) {
	s.failed = err
	s.c.Fail(err)
}

func (s *session) pause() {
	s.paused = true
	s.c.Pause()
}

func (s *session) resume() {
	s.paused = false
	s.c.Resume()
}

// shutWrite ends output, after which the peer's end is the Conn's.
func (s *session) shutWrite() {
	s.may |= byClose
	s.leaving = true
	s.c.CloseWrite()
}
