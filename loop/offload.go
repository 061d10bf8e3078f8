package loop

import (
	"errors"
	"runtime/debug"
	"sync"
)

// Offload runs work on a goroutine, where it may block, and then done on the
// loop with the error that work returned; a panic of work arrives there as a
// [*PanicError]. At most Config.Workers run at once, the others wait in order;
// the error is ErrFull where Config.MaxPosts wait, or ErrClosed. An Offload
// keeps Run running until done has run. After Close, done is not called; work
// that has begun goes on, so give it a context of its own if it should not.
func (l *Loop) Offload(work func() error, done func(error)) error {
	l.e.Check()
	notNil(work != nil && done != nil, "Offload")
	if l.e.IsClosed() {
		return ErrClosed
	}
	err := l.pool.add(func() {
		result := errGoexit
		defer func() {
			if v := recover(); v != nil {
				result = &PanicError{Value: v, Stack: debug.Stack()}
			}
			l.e.PostAlways(func() {
				l.e.Unkeep()
				done(result)
			})
		}()
		result = work()
	})
	if err == nil {
		l.e.Keep()
	}
	return err
}

var errGoexit = errors.New("loop: work ended its goroutine")

// pool runs jobs on goroutines, at most so many at once. It keeps none that
// has nothing to do.
type pool struct {
	mu      sync.Mutex
	queue   []func()
	running int
	most    int // running
	room    int // in queue
	closed  bool
	start   func(func()) // as go does
}

func (p *pool) init(most, room int, start func(func())) { p.most, p.room, p.start = most, room, start }

func (p *pool) add(job func()) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return ErrClosed
	case p.running < p.most:
		p.running++
		p.start(func() { p.run(job) })
	case len(p.queue) >= p.room:
		return ErrFull
	default:
		p.queue = append(p.queue, job)
	}
	return nil
}

func (p *pool) run(job func()) {
	defer p.next()
	job()
}

func (p *pool) next() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		p.running--
		return
	}
	job := p.queue[0]
	p.queue[0] = nil
	p.queue = p.queue[1:]
	p.start(func() { p.run(job) })
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.queue = nil
}
