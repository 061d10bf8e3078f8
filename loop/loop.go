package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// ErrClosed is returned by a loop that has been closed, and is the reason
// with which its channels were.
var ErrClosed = errors.New("loop: closed")

// ErrFull is returned by Post and Offload where Config.MaxPosts functions
// already wait.
var ErrFull = core.ErrFull

// ErrReentrant is returned by Run and Poll inside a callback, or while
// another goroutine is in one of them.
var ErrReentrant = errors.New("loop: already running")

// Config holds a loop's settings; the zero value of each is its default.
type Config struct {
	// Poller is the backend, as for [asyncore.Open]: "epoll", "kqueue",
	// "poll" or "select". Empty: ASYNCORE_POLLER, else the best one.
	Poller string

	// Logger gets what nobody else is told: panics, accept failures, slow
	// callbacks. Nil: discarded.
	Logger *slog.Logger

	// Debug checks each call for its goroutine, and overwrites inbound bytes
	// after the callback that they were for. It costs some microseconds a
	// call. The environment variable ASYNCORE_DEBUG, not empty, sets it for
	// every loop.
	Debug bool

	// CrashOnPanic lets a callback's panic end the process.
	CrashOnPanic bool

	// SlowCallback is the time from which a callback is logged as slow, with
	// its channel and its hook. 0: callbacks are not timed.
	SlowCallback time.Duration

	// Spin is how long to poll without sleeping before each sleep. A few tens
	// of microseconds make an exchange with one fast peer four times as fast,
	// for up to a whole core while traffic is sporadic. 0: none.
	Spin time.Duration

	// MaxPosts bounds the functions that wait to run: posted ones, and those
	// given to Offload. 0: 1,048,576.
	MaxPosts int

	// MaxBuffered bounds the bytes that all channels of the loop together
	// have queued, or kept of their input by Unread; above it the channel with
	// the most is closed. 0: 256 MiB; negative: no bound.
	MaxBuffered int64

	// Workers is how many goroutines Offload may use, which channel's lookups of
	// names do too, two for each name. 0: 4.
	Workers int
}

// Loop is one reactor. Make it with New.
type Loop struct {
	e       *core.Engine
	epoch   int64
	running atomic.Bool // a goroutine is in Run or Poll
	stop    atomic.Bool
	closing bool // Close was called in a callback
	pool    pool
	signals signals
}

// New returns a loop. It fails where the poller cannot be opened; on systems
// without one with an error that wraps [errors.ErrUnsupported].
func New(c Config) (*Loop, error) { return newOn(c, sys.Real()) }

func newOn(c Config, s sys.System) (*Loop, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.MaxPosts < 0 || c.Workers < 0 {
		return nil, errors.New("loop: Config: MaxPosts and Workers must not be negative")
	}
	if os.Getenv("ASYNCORE_DEBUG") != "" {
		c.Debug = true
	}
	c.MaxPosts = or(c.MaxPosts, 1<<20)
	e, err := core.New(s, core.Options{
		Poller:       c.Poller,
		Logger:       c.Logger,
		Debug:        c.Debug,
		CrashOnPanic: c.CrashOnPanic,
		Slow:         c.SlowCallback,
		Spin:         c.Spin,
		MaxPosts:     c.MaxPosts,
		MaxBuffered:  or(c.MaxBuffered, 256<<20),
		PanicError:   func(v any, stack []byte) error { return &PanicError{Value: v, Stack: stack} },
		Closed:       ErrClosed,
	})
	if err != nil {
		return nil, err
	}
	l := &Loop{e: e, epoch: s.Now()}
	l.pool.init(or(c.Workers, 4), c.MaxPosts, s.Go)
	return l, nil
}

func or[T int | int64](v, instead T) T {
	if v == 0 {
		return instead
	}
	return v
}

func init() {
	core.Of = func(l any) *core.Engine { return l.(*Loop).e }
	core.On = func(c any, s sys.System) (any, error) { return newOn(c.(Config), s) }
}

// Run runs turns until nothing is left to wait for: no Conn, Listener, Watch,
// After, Offload, post or Hold. An Every or a Signal alone does not keep it.
// It returns nil then and after Stop, [context.Cause] when ctx is cancelled,
// and the poller's error if that fails, with every channel closed for it. The
// loop can be run again, except after Close and after such an error.
func (l *Loop) Run(ctx context.Context) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	defer context.AfterFunc(ctx, func() { l.e.Wake() })()
	l.e.Resume()
	for {
		switch {
		case l.stop.Load():
			l.stop.Store(false)
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !l.e.Alive():
			return nil
		}
		if done, err := l.turn(-1); done {
			return err
		}
		l.e.Yield()
	}
}

// Poll runs one turn, waiting for at most timeout: 0 does not wait, a negative
// one waits for ever. It is asyncore's loop(count=1), for programs that have a
// main loop of their own; see also FD and NextDeadline.
func (l *Loop) Poll(timeout time.Duration) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.leave()
	l.e.Resume()
	_, err := l.turn(timeout)
	return err
}

func (l *Loop) enter() error {
	if !l.running.CompareAndSwap(false, true) {
		return ErrReentrant
	}
	if l.e.IsClosed() {
		l.running.Store(false)
		return ErrClosed
	}
	l.e.Own()
	return nil
}

func (l *Loop) leave() {
	if l.e.IsClosed() {
		l.shut(ErrClosed) // the rest of it, if a callback has ended the goroutine
	}
	l.e.Disown()
	l.running.Store(false)
}

func (l *Loop) turn(limit time.Duration) (done bool, err error) {
	if err := l.e.Turn(limit); err != nil {
		l.shut(err)
		return true, err
	}
	if l.closing {
		l.shut(ErrClosed)
	}
	return l.e.IsClosed(), nil
}

// Stop makes Run return when the turn under way has ended; called before Run,
// at once. It may be called from any goroutine, any number of times. Channels
// stay open: see Close.
func (l *Loop) Stop() {
	l.stop.Store(true)
	l.e.Wake()
}

// Close runs what has been posted and then closes every channel, listener and
// watch with ErrClosed as the reason: the Close callbacks run inside this
// call. Queued output is dropped. Called in a callback it takes effect when
// the turn ends, and Run returns nil. Closing twice is harmless.
func (l *Loop) Close() error {
	l.e.Check()
	if l.e.InTurn() {
		l.closing = true
		return nil
	}
	l.shut(ErrClosed)
	return nil
}

func (l *Loop) shut(reason error) {
	defer func() { // also if a callback ends the goroutine
		l.pool.close()
		l.signals.close()
	}()
	l.e.Close(reason)
}

// Drain brings the loop to an end in good order. It closes every Listener, and
// half-closes each Conn on which nothing is under way (CloseWrite), so that its
// peer sees the end and closes too: at once, or as soon as an answer has gone
// out; what was dialled or opened only when no other Conn is left, since answers
// may need it. Run returns when nothing is left to wait for, and after grace in
// any case, with what is left closed as by Close. A grace of 0 or less is Close;
// a second Drain can bring the end nearer. Connections in a Listener's backlog
// are reset: where another process goes on, give it the Listener by Detach first.
//
// Something is under way on a Conn while output waits, while it keeps input by
// Unread, while it is paused, or where input has come since it was last written
// to, be it that the kernel still holds it; on one that was dialled, the other way
// round; and for a second where a peer has connected and not said a word yet.
// Those that channel.Pipe has coupled are left to end by themselves: only their
// peers know whether they have said all. For a last word to each peer, write it to
// all of channel.Conns first.
func (l *Loop) Drain(grace time.Duration) {
	l.e.Check()
	if grace <= 0 || l.e.IsClosed() {
		l.Close()
		return
	}
	l.e.Drain()
	// An Every does not keep Run.
	l.Every(drainPeriod, l.e.Drain)
	l.Every(grace, func() { l.Close() })
}

// drainPeriod is how often it is looked again whether a channel has become idle
// by time alone.
const drainPeriod = time.Second

// Draining tells whether Drain has been called: a protocol that can say so in its
// answers, as HTTP with "Connection: close", will want to.
func (l *Loop) Draining() bool {
	l.e.Check()
	return l.e.Draining
}

// Wake ends the wait under way, or the next one: a turn happens. It may be
// called from any goroutine. The error is ErrClosed.
func (l *Loop) Wake() error {
	err := l.e.Wake()
	if errors.Is(err, net.ErrClosed) {
		return ErrClosed
	}
	return err
}

// Post runs fn on the loop's goroutine, when the loop next comes to its posts,
// and in the order of posting; what a post posts waits for the next turn. It
// may be called from any goroutine, callbacks included, and never blocks: the
// error is ErrClosed or ErrFull, and fn then does not run. It is Twisted's
// callFromThread and asyncio's call_soon_threadsafe; asyncore had nothing like
// it.
func (l *Loop) Post(fn func()) error {
	notNil(fn != nil, "Post")
	return l.e.Post(fn)
}

// notNil reports a programmer's mistake where it is made, not in the turn that
// would call the function.
func notNil(ok bool, method string) {
	if !ok {
		panic("loop: " + method + ": function is nil")
	}
}

// Hold keeps Run from returning for lack of work until release is called,
// which any goroutine may do, once or more often. It is for a loop that only
// waits for posts.
func (l *Loop) Hold() (release func()) {
	l.e.Check()
	return l.e.Hold()
}

// Now is the loop's clock: monotonic time since New. In a callback it stands
// still at the beginning of the turn, so that all callbacks of a turn agree.
func (l *Loop) Now() time.Duration {
	l.e.Check()
	return time.Duration(l.e.Now() - l.epoch)
}

// FD returns a descriptor that is readable while the poller has something to
// report, for nesting this loop in another one; -1 where the backend has none.
// Whoever waits for it must also wait for no longer than NextDeadline. It is
// another one after a record in the log says that the loop has started with a
// new poller.
func (l *Loop) FD() int { return l.e.Poller().FD() }

// NextDeadline is the time of Now's clock at which Poll has something to do
// even without an event: now while anything is pending, else the next timer's.
// ok is false if there is none.
func (l *Loop) NextDeadline() (at time.Duration, ok bool) {
	l.e.Check()
	ns, ok := l.e.NextDeadline()
	if !ok {
		return 0, false
	}
	return time.Duration(ns - l.epoch), true
}

// Poller names the backend in use.
func (l *Loop) Poller() string { return l.e.Poller().Name() }

// Stats are counters of a loop since New.
type Stats struct {
	Turns       uint64 // passes of the loop
	Events      uint64 // readiness events from the poller
	StaleEvents uint64 // of those, dropped: their registration had ended
	Posts       uint64 // posted functions run
	Timers      uint64 // timers expired, the channels' own included
	Panics      uint64 // callbacks that panicked

	BytesRead    uint64 // by all channels, ever
	BytesWritten uint64
	Buffered     int64 // queued, and kept by Unread, now, by all channels

	LongestTurn     time.Duration // without the wait
	LongestCallback time.Duration // 0 unless Config.SlowCallback is set
}

// Stats returns the loop's counters.
func (l *Loop) Stats() Stats {
	l.e.Check()
	c := &l.e.Counters
	return Stats{
		Turns: c.Turns, Events: c.Events, StaleEvents: c.Stale,
		Posts: c.Posts, Timers: c.Timers, Panics: c.Panics,
		BytesRead: c.BytesIn, BytesWritten: c.BytesOut, Buffered: l.e.Buffered,
		LongestTurn: c.LongestTurn, LongestCallback: c.LongestCallback,
	}
}

// PanicError is the reason of a channel that was closed because a callback of
// its panicked.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine, at the panic
}

func (e *PanicError) Error() string { return fmt.Sprintf("callback panicked: %v", e.Value) }

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
