package main

import (
	"math"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// limits are those of the flags.
type limits struct {
	value   int   // bytes of an argument
	args    int   // of a command
	command int   // bytes of a command
	held    int   // bytes of all incomplete commands that are not small, and of subscriptions
	memory  int64 // bytes of the keyspace
}

var defaults = limits{value: 1 << 20, args: 1 << 16, command: 4 << 20, held: 64 << 20, memory: 256 << 20}

const (
	// frameTimeout is how long a line or an argument may take to come.
	frameTimeout = 60 * time.Second
	// commandTimeout is how long the arguments may take behind their number.
	commandTimeout = 60 * time.Second
	// expirePeriod is how often what is over is looked for, while any key has an
	// end; expireBudget is how many keys are removed in a turn.
	expirePeriod = 100 * time.Millisecond
	expireBudget = 1000
	// largeReply is the size from which a reply's memory is given back.
	largeReply = 1 << 20
)

// server is what the sessions share.
type server struct {
	limits limits
	keys   keyspace
	topics map[string][]*session // who has subscribed
	out    reply                 // of the command under way
	held   int                   // bytes of incomplete commands and of subscriptions

	loop     *loop.Loop
	began    time.Time
	epoch    int64       // the loop's time 0, in ms since 1970
	sweep    *loop.Timer // runs while any key has an end
	sweeping bool

	clients   int
	accepted  int64
	processed int64 // commands
}

func newServer(lim limits) *server {
	s := &server{limits: lim, topics: map[string][]*session{}}
	s.keys.now = s.now
	return s
}

func (s *server) accept(c *chat.Conn) *chat.Handler {
	if s.loop == nil {
		s.start(c.Channel().Loop())
	}
	s.clients++
	s.accepted++
	ss := &session{server: s, conn: c, request: request{limits: &s.limits, held: &s.held, block: -1}}
	c.SetTerminator(line)
	c.SetFrameTimeout(frameTimeout)
	return &chat.Handler{Message: ss.message, Close: ss.closed}
}

func (s *server) start(l *loop.Loop) {
	s.loop = l
	s.began = time.Now()
	s.epoch = s.began.UnixMilli() - l.Now().Milliseconds()
}

// now is the loop's time, which no change of the system's clock disturbs.
func (s *server) now() int64 { return s.epoch + s.loop.Now().Milliseconds() }

// deadline is the time, in ms since 1970, that is so many seconds or milliseconds
// from now, or since 1970 if absolute. It fails where that is no time.
func (s *server) deadline(n int64, milli, absolute bool) (until int64, ok bool) {
	if !milli {
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			return 0, false
		}
		n *= 1000
	}
	if absolute {
		return n, true
	}
	now := s.keys.now()
	return n + now, n <= math.MaxInt64-now
}

// expireAt has e be over at that time; 0: never.
func (s *server) expireAt(e *entry, until int64) {
	s.keys.expireAt(e, until)
	if until != 0 {
		s.watch()
	}
}

// watch sees to it that keys with an end are removed when it has come.
func (s *server) watch() {
	switch {
	case s.sweeping:
		return
	case s.sweep == nil:
		s.sweep = s.loop.Every(expirePeriod, s.expire)
	default:
		s.sweep.Reset(expirePeriod)
	}
	s.sweeping = true
}

func (s *server) expire() {
	switch {
	case s.keys.expire(expireBudget):
		s.sweep.Reset(0) // the others have their turn first
	case len(s.keys.timed) == 0:
		s.sweep.Stop()
		s.sweeping = false
	}
}
