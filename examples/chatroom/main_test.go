//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
	"github.com/seed-20e08ac4/asyncore/internal/transcript"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func TestMain(m *testing.M) { exampletest.Main(m, ".") }

func TestTranscripts(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		transcript.Run(t, "testdata/*.txt", transcript.Fresh(func(t *testing.T) net.Addr {
			_, addr := exampletest.Serve(t, loop.Config{Poller: poller}, "tcp", chat.Accept(newRoom().accept))
			return addr
		}))
	})
}

// person is a member as seen from outside.
type person struct {
	net.Conn
	*bufio.Scanner
}

// enter makes a person a member by that name.
func enter(t *testing.T, addr net.Addr, name string) person {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	p := person{c, bufio.NewScanner(c)}
	p.say(t, name)
	p.hear(t, "* "+name+" has come in")
	return p
}

func (p person) say(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(p, line+"\r\n"); err != nil {
		t.Error(err)
	}
}

// hear passes over what is said until it is that line.
func (p person) hear(t *testing.T, line string) {
	t.Helper()
	for p.Scan() {
		if p.Text() == line {
			return
		}
	}
	t.Errorf("%q has not come: %v", line, p.Err())
}

// members asks the loop how many there are.
func members(t *testing.T, l *loop.Loop, r *room) int {
	t.Helper()
	n := make(chan int)
	if err := l.Post(func() { n <- len(r.members) }); err != nil {
		t.Fatal(err)
	}
	return <-n
}

// TestThousands: all of 2,000 members hear each of 20 long lines, in order.
func TestThousands(t *testing.T) {
	const lines = 20
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		n := 2000
		if poller != "epoll" && poller != "kqueue" {
			n = 400 // select: descriptors below 1,024, both ends of each
		}
		r := newRoom()
		r.guests.Most, r.rate = 0, 0
		l, addr := exampletest.Serve(t, loop.Config{Poller: poller}, "tcp", chat.Accept(r.accept))
		people := make([]person, n)
		for i := range people {
			c, err := net.Dial(addr.Network(), addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(60 * time.Second))
			people[i] = person{c, bufio.NewScanner(c)}
			people[i].say(t, fmt.Sprintf("p%d", i))
		}
		for members(t, l, r) < n {
			time.Sleep(time.Millisecond)
		}
		heard := make(chan error)
		for i, p := range people {
			go func() { heard <- hearAll(p, i != 0, lines) }()
		}
		for i := range lines {
			people[0].say(t, shout(i))
		}
		people[0].say(t, "/quit")
		for range people {
			if err := <-heard; err != nil {
				t.Error(err)
			}
		}
	})
}

func shout(i int) string { return fmt.Sprintf("%d %s", i, strings.Repeat("!", 500)) }

// hearAll wants p0's lines in their order, and after them that p0 has left.
func hearAll(p person, others bool, lines int) error {
	next := 0
	for p.Scan() {
		line, said := strings.CutPrefix(p.Text(), "p0: ")
		switch {
		case said && line != shout(next):
			return fmt.Errorf("heard %.20q, want line %d", line, next)
		case said:
			next++
		case p.Text() == "* p0 has left" || p.Text() == "* Bye":
			if others && next != lines {
				return fmt.Errorf("heard %d lines of %d", next, lines)
			}
			return nil
		}
	}
	return fmt.Errorf("after %d lines: %v", next, p.Err())
}

// TestSilentReader: a member who does not read is dropped alone.
func TestSilentReader(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		r := newRoom()
		r.rate = 0
		_, addr := exampletest.Serve(t, loop.Config{Poller: poller}, "tcp", chat.Accept(r.accept))
		ann, bob := enter(t, addr, "ann"), enter(t, addr, "bob")
		enter(t, addr, "deaf") // and is not read again
		done := make(chan bool)
		go func() {
			bob.hear(t, "* deaf has left")
			bob.hear(t, "ann: still here?")
			done <- true
		}()
		go func() {
			ann.hear(t, "* deaf has left")
			ann.say(t, "still here?")
			done <- true
		}()
		// As much as the kernels hold, and what the room allows.
		for range 20000 {
			select {
			case <-done:
				<-done
				return
			default:
				ann.say(t, strings.Repeat("x", 900))
			}
		}
		<-done
		<-done
	})
}

// TestFlood: who sends too fast is read more slowly, and nothing is lost.
func TestFlood(t *testing.T) {
	r := newRoom()
	r.rate = 100
	_, addr := exampletest.Serve(t, loop.Config{}, "tcp", chat.Accept(r.accept))
	ann, bob := enter(t, addr, "ann"), enter(t, addr, "bob")
	const lines = 250 // 200 may come at once
	began := time.Now()
	var all strings.Builder
	for i := range lines {
		fmt.Fprintf(&all, "%d\n", i)
	}
	ann.say(t, all.String())
	for i := range lines {
		bob.hear(t, fmt.Sprintf("ann: %d", i))
	}
	if took := time.Since(began); took < 400*time.Millisecond {
		t.Errorf("%d lines have come within %v", lines, took)
	}
}

// TestPerHost: one address cannot fill the room.
func TestPerHost(t *testing.T) {
	r := newRoom()
	r.guests.Most = 2
	_, addr := exampletest.Serve(t, loop.Config{}, "tcp", chat.Accept(r.accept))
	ann := enter(t, addr, "ann")
	bob := enter(t, addr, "bob")
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("a third one is let in")
	}
	bob.Close()
	ann.hear(t, "* bob has left")
	enter(t, addr, "carl")
}

// Names that are the same to EqualFold and not to ToLower leave nothing behind.
func TestNamesOfWhoHasLeft(t *testing.T) {
	r := newRoom()
	r.rate = 0
	l, addr := exampletest.Serve(t, loop.Config{}, "tcp", chat.Accept(r.accept))
	p := enter(t, addr, "sssss")
	old := "sssss"
	for i := 1; i < 32; i++ {
		var name strings.Builder
		for b := range 5 {
			if i>>b&1 == 1 {
				name.WriteString("ſ") // U+017F: EqualFold says it is s, ToLower leaves it as it is
			} else {
				name.WriteString("s")
			}
		}
		p.say(t, "/nick "+name.String())
		p.hear(t, fmt.Sprintf("* %s is now %s", old, name.String()))
		old = name.String()
	}
	p.Close()
	for members(t, l, r) > 0 {
		time.Sleep(time.Millisecond)
	}
	n := make(chan int)
	l.Post(func() { n <- len(r.names) })
	if got := <-n; got != 0 {
		t.Errorf("the room is empty and has %d names", got)
	}
}

// A list that is longer than what may wait comes whole.
func TestWhoInAFullRoom(t *testing.T) {
	r := newRoom()
	l, addr := exampletest.Serve(t, loop.Config{}, "unix", chat.Accept(r.accept))
	p := enter(t, addr, "me")
	done := make(chan bool)
	l.Post(func() {
		for i := range 9999 {
			r.members = append(r.members, &member{name: fmt.Sprintf("%s%04d", strings.Repeat("漢", 16), i), c: r.members[0].c})
		}
		close(done)
	})
	<-done
	p.say(t, "/who")
	n := 0
	for p.Scan() {
		if n++; n == 10000 {
			return
		}
	}
	t.Errorf("%d of 10000 names, then %v", n, p.Err())
}
