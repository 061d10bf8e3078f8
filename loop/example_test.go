//go:build unix

package loop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// A loop that ticks three times. An Every does not keep Run running, since
// what merely repeats has never done its work; the Hold does.
func Example() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	defer l.Hold()()

	n := 0
	l.Every(time.Millisecond, func() {
		n++
		fmt.Println("tick", n)
		if n == 3 {
			l.Stop()
		}
	})
	if err := l.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// tick 1
	// tick 2
	// tick 3
}

// Run returns by itself when nothing is left to wait for: here, no After.
func ExampleLoop_After() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	l.After(time.Millisecond, func() {
		fmt.Println("first")
		l.After(time.Millisecond, func() { fmt.Println("second") })
		l.After(0, func() { fmt.Println("as soon as possible: in the next turn") })
	})
	fmt.Println(l.Run(context.Background()))
	// Output:
	// first
	// as soon as possible: in the next turn
	// second
	// <nil>
}

// Stop ends an Every, also in its own callback.
func ExampleLoop_Every() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	release := l.Hold()
	n := 0
	var blink *loop.Timer
	blink = l.Every(time.Millisecond, func() {
		if n++; n == 5 {
			blink.Stop()
			release()
		}
	})
	l.Run(context.Background())
	fmt.Println(n, "times")
	// Output: 5 times
}

// A watchdog: whoever shows a sign of life moves the deadline.
func ExampleTimer_Reset() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	var signs *loop.Timer
	watchdog := l.After(50*time.Millisecond, func() {
		fmt.Println("no sign of life")
		signs.Stop()
	})
	left := 3
	signs = l.Every(time.Millisecond, func() {
		if left--; left >= 0 {
			fmt.Println("alive, in time:", watchdog.Reset(50*time.Millisecond))
		}
	})
	l.Run(context.Background())
	// Output:
	// alive, in time: true
	// alive, in time: true
	// alive, in time: true
	// no sign of life
}

// Other goroutines reach the loop by Post; what they post runs on the loop's
// goroutine, so that total needs no lock. A Hold for each keeps the loop
// waiting for them.
func ExampleLoop_Post() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	total := 0
	for g := range 4 {
		release := l.Hold()
		go func() {
			defer release()
			for i := range 10 {
				if err := l.Post(func() { total += g * i }); err != nil {
					log.Print(err) // closed, or full: it will not run
				}
			}
		}()
	}
	l.Run(context.Background())
	fmt.Println(total)
	// Output: 270
}

// Signals arrive on the loop, between other callbacks.
func ExampleLoop_Signal() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	defer l.Hold()()

	l.Signal(func(sig os.Signal) {
		fmt.Println(sig)
		l.Stop()
	}, syscall.SIGHUP, syscall.SIGTERM)

	l.After(0, func() { syscall.Kill(os.Getpid(), syscall.SIGHUP) }) // an operator
	l.Run(context.Background())
	// Output: hangup
}

// What blocks runs elsewhere, and its result comes back to the loop.
func ExampleLoop_Offload() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	var size int64
	stat := func() error {
		info, err := os.Stat("example_test.go") // a disk may be slow
		if err == nil {
			size = info.Size()
		}
		return err
	}
	l.Offload(stat, func(err error) {
		fmt.Println("known:", size > 0, err)
	})
	l.Offload(func() error { panic("oops") }, func(err error) {
		_, panicked := errors.AsType[*loop.PanicError](err)
		fmt.Println("panicked:", panicked)
	})
	l.Run(context.Background())
	// Unordered output:
	// known: true <nil>
	// panicked: true
}

// Watch is for a descriptor that needs a callback and nothing else. It stays
// the caller's, who stops the Watch before closing it.
func ExampleLoop_Watch() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		log.Fatal(err)
	}
	r, w := pipe[0], pipe[1]

	var watch *loop.Watch
	buf := make([]byte, 64)
	watch, err = l.Watch(r, asyncore.Readable, func(ready asyncore.Interest) {
		n, _ := unix.Read(r, buf) // does not block: it is ready
		fmt.Printf("%v: %q\n", ready, buf[:n])
		if n == 0 {
			watch.Stop()
			unix.Close(r)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	l.After(0, func() { unix.Write(w, []byte("hello")) })
	l.After(time.Millisecond, func() { unix.Close(w) })
	fmt.Println(l.Run(context.Background())) // nothing is left
	// Output:
	// readable: "hello"
	// readable: ""
	// <nil>
}

// Poll runs one turn, for a program with a main loop of its own.
func ExampleLoop_Poll() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	l.Post(func() { fmt.Println("posted") })
	for frame := range 3 {
		fmt.Println("frame", frame)
		if err := l.Poll(0); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// frame 0
	// posted
	// frame 1
	// frame 2
}

// A loop inside another poller, be it ours or that of a graphical toolkit:
// wait for FD, for no longer than until NextDeadline, and then call Poll(0).
func ExampleLoop_FD() {
	best := asyncore.Backends()[0] // poll and select have no descriptor
	inner, err := loop.New(loop.Config{Poller: best})
	if err != nil {
		log.Fatal(err)
	}
	defer inner.Close()

	outer, err := asyncore.Open("")
	if err != nil {
		log.Fatal(err)
	}
	defer outer.Close()
	if err := outer.Add(inner.FD(), 1, asyncore.Readable); err != nil {
		log.Fatal(err)
	}

	left := 2
	inner.After(2*time.Millisecond, func() {
		fmt.Println("a timer")
		left--
	})
	go inner.Post(func() {
		fmt.Println("a post")
		left--
	})

	var events [16]asyncore.Event
	for left > 0 {
		timeout := time.Duration(-1) // for ever
		if at, ok := inner.NextDeadline(); ok {
			timeout = max(at-inner.Now(), 0)
		}
		if _, err := outer.Wait(events[:], timeout); err != nil {
			log.Fatal(err)
		}
		if err := inner.Poll(0); err != nil {
			log.Fatal(err)
		}
	}
	// Unordered output:
	// a timer
	// a post
}

// A server ends in good order: the question that is under way is answered, and
// the client sees the end behind it.
func ExampleLoop_Drain() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	h := &channel.Handler{Read: func(c *channel.Conn, question []byte) {
		l.Drain(time.Second)                  // as a Signal's function would, for SIGTERM
		l.After(10*time.Millisecond, func() { // the answer takes a while
			c.WriteString("42")
		})
	}}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return h })
	if err != nil {
		log.Fatal(err)
	}
	answer := make(chan string, 1)
	go func() {
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			log.Fatal(err)
		}
		defer nc.Close()
		io.WriteString(nc, "question")
		p, err := io.ReadAll(nc) // to the end
		answer <- fmt.Sprintf("%s %v", p, err)
	}()
	fmt.Println(l.Run(context.Background())) // nothing is left
	fmt.Println(<-answer)
	// Output:
	// <nil>
	// 42 <nil>
}
