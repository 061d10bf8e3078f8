//go:build unix

package loop_test

import (
	"os"
	"os/signal"
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// catch keeps sig from ending the test's process where the loop does not ask
// for it, and tells what arrives.
func catch(t *testing.T, sig os.Signal) chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, sig)
	t.Cleanup(func() { signal.Stop(c) })
	return c
}

func kill(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), sig); err != nil {
		t.Fatal(err)
	}
}

func TestSignal(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller, Debug: true})
		defer l.Hold()()
		var got []os.Signal
		stop := l.Signal(func(sig os.Signal) {
			l.Stats() // panics off the loop
			got = append(got, sig)
			l.Stop()
		}, syscall.SIGUSR1, syscall.SIGUSR2)
		for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGUSR1} {
			kill(t, sig)
			run(t, l)
		}
		want := []os.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGUSR1}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("got (-want +got):\n%s", diff)
		}

		// Stopped: the signal goes elsewhere.
		elsewhere := catch(t, syscall.SIGUSR1)
		stop()
		stop()
		kill(t, syscall.SIGUSR1)
		<-elsewhere
		for range 3 {
			poll(t, l, ms)
		}
		if len(got) != 3 {
			t.Errorf("got %v after stop", got[3:])
		}
	})
}

// Stopped when the signal has arrived but its turn has not come.
func TestSignalStopLate(t *testing.T) {
	l := open(t, loop.Config{})
	elsewhere := catch(t, syscall.SIGUSR1)
	stop := l.Signal(func(os.Signal) { t.Error("called after stop") }, syscall.SIGUSR1)
	kill(t, syscall.SIGUSR1)
	<-elsewhere
	for {
		if _, pending := l.NextDeadline(); pending {
			break
		}
		time.Sleep(ms)
	}
	stop()
	run(t, l)
}

func TestSignalStopInside(t *testing.T) {
	l := open(t, loop.Config{})
	elsewhere := catch(t, syscall.SIGUSR1)
	release := l.Hold()
	calls := 0
	var stop func()
	stop = l.Signal(func(os.Signal) { calls++; stop(); release() }, syscall.SIGUSR1)
	kill(t, syscall.SIGUSR1)
	run(t, l)
	<-elsewhere
	kill(t, syscall.SIGUSR1)
	<-elsewhere
	poll(t, l, ms)
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
}

// A storm is coalesced as in the kernel: no more calls than signals, and the
// last of them is not lost.
func TestSignalStorm(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		defer l.Hold()()
		const storms, size = 100, 100
		calls := 0
		var over atomic.Bool
		l.Signal(func(os.Signal) {
			calls++
			if over.Swap(false) {
				l.Stop()
			}
		}, syscall.SIGUSR1)
		for range storms {
			go func() {
				for i := range size {
					if i == size-1 {
						over.Store(true)
					}
					kill(t, syscall.SIGUSR1)
				}
			}()
			run(t, l) // hangs if the last one is lost
		}
		if calls < storms || calls > storms*size {
			t.Errorf("%d calls for %d storms of %d signals", calls, storms, size)
		}
	})
}

// Signals that come while the loop is busy count as one.
func TestSignalCoalesced(t *testing.T) {
	l := open(t, loop.Config{})
	elsewhere := catch(t, syscall.SIGUSR1)
	release := l.Hold()
	calls := 0
	l.Signal(func(os.Signal) { calls++ }, syscall.SIGUSR1)
	pending := func() bool { _, ok := l.NextDeadline(); return ok }
	kill(t, syscall.SIGUSR1)
	for !pending() {
		time.Sleep(ms)
	}
	<-elsewhere
	for range 20 {
		kill(t, syscall.SIGUSR1)
		<-elsewhere // it has been handed out, if perhaps not to the loop yet
	}
	time.Sleep(ms)
	poll(t, l, 0)
	if calls != 1 {
		// One of the twenty may still have been under way.
		poll(t, l, 0)
		if calls > 2 {
			t.Errorf("%d calls for signals that came while one waited", calls)
		}
	}
	release()
}

// Two that ask for the same signal both get it, until each stops.
func TestSignalShared(t *testing.T) {
	a, b := open(t, loop.Config{}), open(t, loop.Config{})
	defer a.Hold()()
	defer b.Hold()()
	var got []string
	stop := a.Signal(func(os.Signal) { got = append(got, "a"); a.Stop() }, syscall.SIGUSR2)
	b.Signal(func(os.Signal) { got = append(got, "b"); b.Stop() }, syscall.SIGUSR2)
	kill(t, syscall.SIGUSR2)
	run(t, a)
	run(t, b)
	stop()
	kill(t, syscall.SIGUSR2)
	run(t, b)
	if !slices.Equal(got, []string{"a", "b", "b"}) {
		t.Errorf("got %v", got)
	}
}

// A signal's goroutine ends with the registration, and with the loop.
func TestSignalGoroutines(t *testing.T) {
	l := open(t, loop.Config{})
	gone := func() {
		for signalGoroutines() > 0 {
			time.Sleep(ms)
		}
	}
	gone()
	for range 3 {
		l.Signal(func(os.Signal) {}, syscall.SIGUSR1, syscall.SIGUSR2)()
	}
	gone()
	l.Signal(func(os.Signal) {}, syscall.SIGUSR1)
	l.Close()
	gone()
	l.Signal(func(os.Signal) {}, syscall.SIGUSR1)
	gone()
}

// A registration that was stopped leaves nothing behind in the loop.
func TestSignalForgotten(t *testing.T) {
	l := open(t, loop.Config{})
	heap := func() uint64 {
		for signalGoroutines() > 0 {
			time.Sleep(ms)
		}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const times = 3000
	before := heap()
	for range times {
		l.Signal(func(os.Signal) {}, syscall.SIGUSR1)()
		runtime.Gosched() // or the goroutines that are to end pile up
	}
	if grown := int64(heap()) - int64(before); grown > times*50 {
		t.Errorf("the heap has grown by %d bytes for each Signal that was stopped", grown/times)
	}
	runtime.KeepAlive(l)
}

func TestSignalNone(t *testing.T) {
	l := open(t, loop.Config{})
	stop := l.Signal(func(os.Signal) { t.Error("called, though no signal was asked for") })
	poll(t, l, 0)
	stop()
}
