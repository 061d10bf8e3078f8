//go:build unix

package asyncore_test

import (
	"fmt"
	"math"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
)

// No test here asserts that something was fast: on a busy machine nothing is.

func TestTimeout(t *testing.T) {
	timeouts := []time.Duration{
		0, 1, time.Microsecond, 100 * time.Microsecond, 999999 * time.Nanosecond,
		time.Millisecond, time.Millisecond + 1, 1500 * time.Microsecond, 50 * time.Millisecond,
	}
	each(t, func(t *testing.T, p *asyncore.Poller) {
		fd, _ := unixStream(t)
		add(t, p, fd.fd, 1, readable) // never ready
		for _, timeout := range timeouts {
			t.Run(timeout.String(), func(t *testing.T) {
				for range 2 {
					start := time.Now()
					said := wait(t, p, timeout)
					elapsed := time.Since(start)
					if len(said) > 0 {
						t.Errorf("events: %v", said)
					}
					if elapsed < timeout {
						t.Errorf("returned after %v", elapsed)
					}
				}
			})
		}
	})
}

// An event that is there is reported whatever the timeout, however long.
func TestReadyWhateverTheTimeout(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		fd, _ := unixStream(t)
		add(t, p, fd.fd, 1, writable)
		for _, timeout := range []time.Duration{
			0, 1, time.Second, 24 * time.Hour, 1 << 31 * time.Millisecond, math.MaxInt64, -1, -time.Hour, math.MinInt64,
		} {
			if said := wait(t, p, timeout); said[1] != writable {
				t.Errorf("Wait(%v): %v", timeout, said)
			}
		}
	})
}

// A negative timeout and one of centuries end by an event that comes later.
func TestEventEndsWait(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		watchdog(t, p)
		fd, peer := unixStream(t)
		add(t, p, fd.fd, 1, readable)
		for _, timeout := range []time.Duration{-1, math.MinInt64, math.MaxInt64} {
			timer := time.AfterFunc(time.Millisecond, func() { peer.write("x") })
			said := wait(t, p, timeout)
			if said[1] != readable {
				t.Errorf("Wait(%v): %v", timeout, said)
			}
			timer.Stop()
			fd.drain()
		}
	})
}

// A blocked Wait leaves the processor to other goroutines, also the only one.
func TestWaitLetsOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	each(t, func(t *testing.T, p *asyncore.Poller) {
		for range 3 {
			go p.Wake()
			wait(t, p, -1)
		}
	})
}

// Go's scheduler sends signals all the time; a Wait that they cut short would
// fire timers early, and one that begins again from the start would be late
// without end.
func TestSignals(t *testing.T) {
	received := make(chan os.Signal, 1024)
	signal.Notify(received, unix.SIGUSR1, unix.SIGURG)
	defer signal.Stop(received)

	// A signal for the process goes to any thread of it, one for the thread
	// to the one that waits.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := threadKiller()
	kill := func(sig unix.Signal) {
		if err := unix.Kill(unix.Getpid(), sig); err != nil {
			t.Errorf("kill: %v", err)
		}
		if err := thread(sig); err != nil {
			t.Errorf("tgkill: %v", err)
		}
	}
	// storm sends signals until stop is closed; false if that took an eternity.
	storm := func(stop <-chan struct{}) bool {
		for range 2000 {
			time.Sleep(2 * time.Millisecond)
			kill(unix.SIGUSR1)
			kill(unix.SIGURG)
			select {
			case <-stop:
				return true
			default:
			}
		}
		return false
	}

	// Not by each, which would run the subtests on threads of their own.
	for _, name := range asyncore.Backends() {
		p := open(t, name)
		fd, _ := unixStream(t)
		add(t, p, fd.fd, 1, readable) // never ready

		const timeout = 100 * time.Millisecond
		stop, stormed := make(chan struct{}), make(chan bool)
		start := time.Now()
		go func() { stormed <- storm(stop) }()
		said := wait(t, p, timeout)
		if elapsed := time.Since(start); len(said) > 0 || elapsed < timeout {
			t.Errorf("%s: Wait(%v) returned after %v with %v", name, timeout, elapsed, said)
		}
		close(stop)
		if !<-stormed {
			t.Errorf("%s: Wait(%v) lasted as long as there were signals", name, timeout)
		}

		for _, timeout := range []time.Duration{-1, time.Hour} {
			var over atomic.Bool
			stop := make(chan struct{})
			time.AfterFunc(10*time.Millisecond, func() { close(stop) })
			go func() { storm(stop); over.Store(true); p.Wake() }()
			if wait(t, p, timeout); !over.Load() {
				t.Errorf("%s: Wait(%v) ended by a signal", name, timeout)
				wait(t, p, patience) // for the Wake of this round
			}
		}
	}
	if len(received) == 0 {
		t.Error("no signal was received: the test has shown nothing")
	}
}

// No room is no reason to panic, or to say more than there is room for.
func TestWaitWithoutRoom(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		defer func() {
			if e := recover(); e != nil {
				t.Errorf("panic: %v", e)
			}
		}()
		fd, _ := unixStream(t)
		for _, dst := range [][]asyncore.Event{nil, {}} {
			if n, err := p.Wait(dst, 0); n != 0 || err != nil {
				t.Errorf("nothing ready: %d, %v", n, err)
			}
		}
		add(t, p, fd.fd, 1, writable)
		if n, err := p.Wait(nil, 0); n != 0 || err != nil {
			t.Errorf("one ready: %d, %v", n, err)
		}
		expect(t, p, 1, writable, writable, 0)
	})
}

// A Poller nests in another one: its own descriptor is readable while Wait
// would have something to report.
func TestNesting(t *testing.T) {
	const inside = 1 // the token of the inner Poller in the outer one
	for _, name := range asyncore.Backends() {
		t.Run(fmt.Sprintf("outer %s", name), func(t *testing.T) {
			each(t, func(t *testing.T, inner *asyncore.Poller) {
				if inner.FD() < 0 {
					if name := inner.Name(); name != "poll" && name != "select" {
						t.Errorf("%s has no descriptor", name)
					}
					t.Skip("no descriptor to watch")
				}
				outer := open(t, name)
				watchdog(t, outer)
				add(t, outer, inner.FD(), inside, readable)
				expectNone(t, outer)

				t.Run("descriptor", func(t *testing.T) {
					fd, peer := unixStream(t)
					other, _ := unixStream(t)
					add(t, inner, fd.fd, 7, readable)
					add(t, inner, other.fd, 8, readable)
					expectNone(t, outer)
					peer.write("x")
					expect(t, outer, inside, readable, readable, 0)
					expect(t, inner, 7, readable, readable, 0)
					expect(t, outer, inside, readable, readable, 0) // not yet read
					fd.expectRead("x")
					wait(t, inner, 0)
					expectNone(t, outer)
					remove(t, inner, fd.fd)
					remove(t, inner, other.fd)
				})
				t.Run("wake", func(t *testing.T) {
					for range 3 {
						inner.Wake()
						expect(t, outer, inside, readable, readable, 0)
						wait(t, inner, 0)
						expectNone(t, outer)
					}
					go inner.Wake()
					if said := forever(t, outer); said[inside] != readable {
						t.Errorf("outer Wait: %v", said)
					}
					wait(t, inner, 0)
				})
				t.Run("no room for all", func(t *testing.T) {
					var fds [3]*end
					for i := range fds {
						fds[i], _ = unixStream(t)
						add(t, inner, fds[i].fd, uint64(i), writable)
					}
					waitN(t, inner, 1, 0)
					expect(t, outer, inside, readable, readable, 0)
					for _, fd := range fds {
						remove(t, inner, fd.fd)
					}
					wait(t, inner, 0)
					expectNone(t, outer)
				})
				t.Run("file", func(t *testing.T) {
					file := regular(t)
					add(t, inner, file.fd, 7, readable)
					for range 2 {
						expect(t, outer, inside, readable, readable, 0)
						expect(t, inner, 7, readable, readable, 0)
					}
					remove(t, inner, file.fd)
					wait(t, inner, 0)
					expectNone(t, outer)
				})
			})
		})
	}
}

func TestNoDescriptorToNest(t *testing.T) {
	for _, name := range []string{"poll", "select"} {
		if fd := open(t, name).FD(); fd != -1 {
			t.Errorf("%s: FD() = %d, want -1", name, fd)
		}
	}
}

// A loop calls these all day long: none may leave work for the collector.
func TestNothingAllocates(t *testing.T) {
	if raceEnabled() {
		t.Skip("the race detector makes system calls allocate")
	}
	events := make([]asyncore.Event, 64)
	calls := []struct {
		name string
		call func(p *asyncore.Poller, fd int)
	}{
		{"Wait(0)", func(p *asyncore.Poller, _ int) { p.Wait(events, 0) }},
		{"Wait(1h)", func(p *asyncore.Poller, _ int) { p.Wait(events, time.Hour) }},
		{"Wait(-1)", func(p *asyncore.Poller, _ int) { p.Wait(events, -1) }},
		{"Wake and Wait", func(p *asyncore.Poller, _ int) { p.Wake(); p.Wait(events, -1) }},
		{"Modify", func(p *asyncore.Poller, fd int) { p.Modify(fd, 2, readable|writable); p.Modify(fd, 2, writable) }},
		{"Remove and Add", func(p *asyncore.Poller, fd int) { p.Remove(fd); p.Add(fd, 3, writable) }},
	}
	each(t, func(t *testing.T, p *asyncore.Poller) {
		fd, _ := unixStream(t)
		add(t, p, fd.fd, 1, writable)
		wait(t, p, 0)
		for _, c := range calls {
			if n := testing.AllocsPerRun(100, func() { c.call(p, fd.fd) }); n > 0 {
				t.Errorf("%s: %v allocations", c.name, n)
			}
		}
	})
}
