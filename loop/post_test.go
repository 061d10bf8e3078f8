//go:build unix

package loop_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/loop"
)

func TestPostOrder(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	var did []int
	for i := range 100 {
		post(t, l, func() { did = append(did, i) })
	}
	run(t, l)
	for i, got := range did {
		if i != got {
			t.Fatalf("posts ran in the order %v", did)
		}
	}
	if len(did) != 100 || l.Stats().Posts != 100 {
		t.Errorf("%d posts ran, Stats.Posts = %d, want 100", len(did), l.Stats().Posts)
	}
}

// A post of a post waits for the next turn, so that timers and events get
// theirs.
func TestPostInPost(t *testing.T) {
	l, _ := manual(t, loop.Config{})
	var turns []uint64
	var again func()
	again = func() {
		turns = append(turns, l.Stats().Turns)
		if len(turns) < 4 {
			post(t, l, again)
		}
	}
	again()
	run(t, l)
	if diff := gocmp.Diff([]uint64{0, 1, 2, 3}, turns); diff != "" {
		t.Errorf("ran in turns (-want +got):\n%s", diff)
	}
}

// Each post runs exactly once, in the order of its poster, on the loop.
func TestPostMany(t *testing.T) {
	posters, posts := 64, 10_000
	if testing.Short() {
		posts /= 10
	}
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		next := make([]int, posters) // unguarded: the race detector watches
		release := l.Hold()
		var wg sync.WaitGroup
		for g := range posters {
			wg.Go(func() {
				for i := range posts {
					if err := l.Post(func() {
						if next[g] != i {
							t.Errorf("poster %d: post %d ran in the place of %d", g, i, next[g])
						}
						next[g] = i + 1
					}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		go func() { wg.Wait(); release() }()
		run(t, l)
		for g, n := range next {
			if n != posts {
				t.Errorf("poster %d: %d posts ran, want %d", g, n, posts)
			}
		}
		if n := l.Stats().Posts; n != uint64(posters*posts) {
			t.Errorf("Stats.Posts = %d, want %d", n, posters*posts)
		}
		posts = min(posts, 1000) // for the other backends, whose wake-up alone is new
	})
}

// One post at a time, at a loop that falls asleep in between: none is lost.
func TestPostWakes(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		release := l.Hold()
		go func() {
			defer release()
			ran := make(chan bool)
			for i := range 3000 {
				if i%300 == 0 {
					time.Sleep(200 * time.Microsecond)
				}
				l.Post(func() { ran <- true })
				<-ran
			}
		}()
		run(t, l)
	})
}

// The same at the moment when the loop is about to sleep.
func TestPostBeforeSleep(t *testing.T) {
	l, s := manual(t, loop.Config{})
	release := l.Hold()
	left := 100
	s.Poller.OnWait = func(timeout time.Duration) {
		if timeout >= 0 {
			return
		}
		done := make(chan bool)
		go func() {
			l.Post(func() {
				if left--; left == 0 {
					release()
				}
			})
			close(done)
		}()
		<-done
	}
	run(t, l)
}

func TestPostFull(t *testing.T) {
	l, _ := manual(t, loop.Config{MaxPosts: 3})
	ran := 0
	fn := func() { ran++ }
	for i := range 5 {
		want := error(nil)
		if i >= 3 {
			want = loop.ErrFull
		}
		if err := l.Post(fn); err != want {
			t.Errorf("post %d: %v, want %v", i, err, want)
		}
	}
	run(t, l)
	if ran != 3 {
		t.Errorf("%d posts ran, want 3", ran)
	}
	// There is room again, in a post as well.
	post(t, l, func() {
		for range 3 {
			post(t, l, fn)
		}
		if err := l.Post(fn); err != loop.ErrFull {
			t.Errorf("Post = %v", err)
		}
	})
	run(t, l)
	if ran != 6 {
		t.Errorf("%d posts ran, want 6", ran)
	}
}

// Stop and posts at the same time: each post runs once, in this Run or in the
// next.
func TestStopWhilePosting(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		l := open(t, loop.Config{Poller: poller})
		ran, posted := 0, 0
		for range 500 {
			release := l.Hold()
			done := make(chan int)
			go func() {
				n := 0
				for range 20 {
					if l.Post(func() { ran++ }) == nil {
						n++
					}
				}
				done <- n
			}()
			go l.Stop()
			run(t, l)
			posted += <-done
			release()
		}
		l.After(0, func() {}) // or a Stop that is still pending hides the rest
		run(t, l)
		run(t, l)
		if ran != posted {
			t.Errorf("%d posts ran of %d", ran, posted)
		}
	})
}

// Close and posts at the same time: a post that was accepted runs once, one
// that was refused does not.
func TestCloseWhilePosting(t *testing.T) {
	each(t, func(t *testing.T, poller string) {
		for range 200 {
			l := open(t, loop.Config{Poller: poller})
			l.Hold()
			var ran, posted atomic.Int64
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for {
						switch err := l.Post(func() { ran.Add(1) }); err {
						case nil:
							posted.Add(1)
						case loop.ErrClosed:
							return
						default:
							t.Errorf("Post = %v", err)
							return
						}
					}
				})
			}
			l.Post(func() { l.Close() })
			run(t, l)
			wg.Wait()
			if ran.Load() != posted.Load() {
				t.Fatalf("%d posts ran of %d", ran.Load(), posted.Load())
			}
		}
	})
}

// A post whose wake-up fails has been accepted, so there is no error: one
// would mean that it will not run.
func TestPostWakeFails(t *testing.T) {
	l, s := manual(t, loop.Config{})
	s.Poller.WakeFails = errors.New("no wake-up")
	ran := false
	err := l.Post(func() { ran = true })
	run(t, l)
	if (err == nil) != ran {
		t.Errorf("Post = %v, and the function ran: %v", err, ran)
	}
}
