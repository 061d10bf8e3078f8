//go:build unix

package asyncore_test

import (
	"errors"
	"fmt"
	"log"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
)

// Watch the reading end of a pipe until its writer has gone.
func ExampleOpen() {
	p, err := asyncore.Open("") // the best that this system has
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		log.Fatal(err)
	}
	r, w := pipe[0], pipe[1]
	if err := p.Add(r, 42, asyncore.Readable); err != nil {
		log.Fatal(err)
	}

	var events [16]asyncore.Event
	n, _ := p.Wait(events[:], 0)
	fmt.Println(n, "events: nothing was written")

	unix.Write(w, []byte("hello"))
	unix.Close(w)

	buf := make([]byte, 64)
	for open := true; open; {
		n, err := p.Wait(events[:], time.Second)
		if err != nil {
			log.Fatal(err)
		}
		for _, ev := range events[:n] {
			// Whatever ev.Ready says, what read says counts.
			n, _ := unix.Read(r, buf)
			fmt.Printf("token %d: read %q\n", ev.Token, buf[:n])
			if n == 0 {
				p.Remove(r) // first Remove, then close
				unix.Close(r)
				open = false
			}
		}
	}
	// Output:
	// 0 events: nothing was written
	// token 42: read "hello"
	// token 42: read ""
}

// What one goroutine has for another goes over a Go channel; Wake makes the
// other one look.
func ExamplePoller_Wake() {
	p, err := asyncore.Open("")
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	mail := make(chan string, 1)
	go func() {
		mail <- "hello"
		p.Wake() // after, never before
	}()

	var events [16]asyncore.Event
	for len(mail) == 0 {
		if _, err := p.Wait(events[:], -1); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(<-mail)
	// Output: hello
}

func ExampleInterest() {
	fmt.Println(asyncore.Readable | asyncore.HangUp)
	// Output: readable|hang-up
}

func ExampleFDLimitError() {
	p, err := asyncore.Open("select")
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	err = p.Add(1<<20, 1, asyncore.Readable)
	if limit, ok := errors.AsType[*asyncore.FDLimitError](err); ok {
		fmt.Println(limit.FD, "is too large:", limit.FD >= limit.Limit)
	}
	// Output: 1048576 is too large: true
}
