//go:build unix

package asyncore_test

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
)

func wake(t testing.TB, p *asyncore.Poller) {
	t.Helper()
	if err := p.Wake(); err != nil {
		t.Fatalf("Wake: %v", err)
	}
}

func TestWakeBeforeWait(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		watchdog(t, p)
		for range 3 {
			wake(t, p)
			if said := forever(t, p); len(said) > 0 {
				t.Errorf("a wake-up is no event: %v", said)
			}
		}
	})
}

func TestWakeDuringWait(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		watchdog(t, p)
		for range 3 {
			time.AfterFunc(2*time.Millisecond, func() { p.Wake() })
			forever(t, p)
		}
	})
}

// Many Wakes are one: after the Wait that they end, nothing is left of them
// but at most one more return with nothing.
func TestWakesCountAsOne(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		watchdog(t, p)
		for round := range 2 {
			for range 1000 {
				wake(t, p)
			}
			forever(t, p)
			const timeout = 20 * time.Millisecond
			early := 0
			for range 3 {
				start := time.Now()
				if wait(t, p, timeout); time.Since(start) < timeout {
					early++
				}
			}
			if early > 1 {
				t.Errorf("round %d: %d Waits of %v ended early without a Wake", round, early, timeout)
			}
		}
	})
}

// A Wake keeps no event back, and events keep no Wake back: not if dst is
// full of them before the wake-up is seen.
func TestWakeBesideEvents(t *testing.T) {
	for _, room := range []int{1, 2, 64} {
		t.Run(fmt.Sprintf("room for %d", room), func(t *testing.T) {
			each(t, func(t *testing.T, p *asyncore.Poller) {
				const n = 5
				var fds [n]*end
				for i := range fds {
					fds[i], _ = unixStream(t)
					add(t, p, fds[i].fd, uint64(i), writable)
				}
				seen := map[uint64]bool{}
				for range 4 * n {
					wake(t, p)
					waitN(t, p, room, quiet).tell(seen)
				}
				if len(seen) != n {
					t.Errorf("seen %v of %d descriptors", seen, n)
				}
				// Whatever became of those Wakes, the next one is not lost.
				for _, fd := range fds {
					remove(t, p, fd.fd)
				}
				watchdog(t, p)
				wait(t, p, 0)
				wait(t, p, 0)
				wake(t, p)
				forever(t, p)
			})
		})
	}
}

// The one thing that a loop's Post relies on: what was written before Wake is
// seen after the Wait that it ends. The rounds are many because a lost Wake
// shows only if no later one covers it up.
func TestWakeStorm(t *testing.T) {
	tests := []struct{ posters, burst, rounds int }{
		{1, 1, 3000},
		{2, 1, 1500},
		{64, 200, 25},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d posters, bursts of %d", tt.posters, tt.burst), func(t *testing.T) {
			each(t, func(t *testing.T, p *asyncore.Poller) {
				watchdog(t, p)
				var posted atomic.Int64
				var posters sync.WaitGroup
				defer posters.Wait()
				target := int64(0)
				for range tt.rounds {
					target += int64(tt.posters * tt.burst)
					for range tt.posters {
						posters.Go(func() {
							for range tt.burst {
								posted.Add(1)
								if err := p.Wake(); err != nil {
									t.Errorf("Wake: %v", err)
								}
							}
						})
					}
					for posted.Load() < target {
						forever(t, p)
					}
				}
			})
		})
	}
}

func TestWakeAfterClose(t *testing.T) {
	states := map[string]func(p *asyncore.Poller){
		"fresh":         func(*asyncore.Poller) {},
		"woken":         func(p *asyncore.Poller) { p.Wake() },
		"woken, waited": func(p *asyncore.Poller) { p.Wake(); p.Wait(make([]asyncore.Event, 1), 0) },
	}
	for name, enter := range states {
		t.Run(name, func(t *testing.T) {
			for _, name := range asyncore.Backends() {
				p, err := asyncore.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				enter(p)
				if err := p.Close(); err != nil {
					t.Errorf("%s: Close: %v", name, err)
				}
				for range 2 {
					if err := p.Wake(); !errors.Is(err, net.ErrClosed) {
						t.Errorf("%s: Wake after Close: %v, want net.ErrClosed", name, err)
					}
				}
			}
		})
	}
}

// Wake may run while Close does. It must say so then, and must not write into
// a stranger that has taken the number of the descriptor it used.
func TestWakeDuringClose(t *testing.T) {
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				p, err := asyncore.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				var wakers sync.WaitGroup
				var running atomic.Int32
				const n = 8
				for range n {
					wakers.Go(func() {
						running.Add(1)
						for {
							if err := p.Wake(); errors.Is(err, net.ErrClosed) {
								return
							} else if err != nil {
								t.Errorf("Wake: %v", err)
								return
							}
							runtime.Gosched()
						}
					})
				}
				for running.Load() < n {
					p.Wait(make([]asyncore.Event, 1), 0)
				}
				if err := p.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				var strangers []*end
				for range 3 {
					a, b := unixStream(t)
					strangers = append(strangers, a, b)
				}
				wakers.Wait()
				for _, s := range strangers {
					if n, err := unix.Read(s.fd, make([]byte, 16)); err != unix.EAGAIN {
						t.Errorf("a stranger got %d bytes, %v", n, err)
					}
				}
				for _, s := range strangers {
					s.close()
				}
			}
		})
	}
}
