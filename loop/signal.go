package loop

import (
	"os"
	"os/signal"
	"sync/atomic"
)

// Signal calls fn on the loop for each of sigs that the process receives, until
// stop is called or the loop is closed. As in the kernel, signals of one kind
// that arrive before fn has run count as one; none is lost altogether. It
// starts a goroutine for each kind, and does not keep Run running.
//
// While it is in force, sigs do not have their default effect; stop gives it
// back, unless others of the process have asked for the signal.
func (l *Loop) Signal(fn func(os.Signal), sigs ...os.Signal) (stop func()) {
	l.e.Check()
	notNil(fn != nil, "Signal")
	if l.e.IsClosed() {
		return func() {}
	}
	var stops []func()
	for _, sig := range sigs {
		stops = append(stops, l.signal(fn, sig))
	}
	return func() {
		l.e.Check()
		for _, stop := range stops {
			stop()
		}
	}
}

func (l *Loop) signal(fn func(os.Signal), sig os.Signal) (stop func()) {
	// One place for one kind: what finds it taken is the same news.
	arrived := make(chan os.Signal, 1)
	done := make(chan struct{})
	var stopped, waiting atomic.Bool
	signal.Notify(arrived, sig)
	deliver := func() {
		waiting.Store(false)
		if !stopped.Load() {
			fn(sig)
		}
	}
	go func() {
		for {
			select {
			case <-arrived:
				if waiting.CompareAndSwap(false, true) {
					l.e.PostAlways(deliver)
				}
			case <-done:
				return
			}
		}
	}()
	stop = func() {
		if stopped.CompareAndSwap(false, true) {
			signal.Stop(arrived)
			close(done)
			delete(l.signals, done)
		}
	}
	if l.signals == nil {
		l.signals = signals{}
	}
	l.signals[done] = stop
	return stop
}

// signals are the functions that end what Signal began.
type signals map[chan struct{}]func()

func (s signals) close() {
	for _, stop := range s {
		stop()
	}
}
