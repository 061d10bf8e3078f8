package asynctest_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
)

// t stands for the *testing.T that a test function is given. It prints the first
// line of what a test would be failed with.
var t testing.TB = &printer{name: "TestExample"}

type printer struct {
	testing.TB
	name   string
	failed bool
}

// place is where in a file the scenario was.
var place = regexp.MustCompile(`^\w+\.go:\d+: `)

func (p *printer) Helper()             {}
func (p *printer) Name() string        { return p.name }
func (p *printer) Failed() bool        { return p.failed }
func (p *printer) Cleanup(func())      {}
func (p *printer) Logf(string, ...any) {}
func (p *printer) Errorf(f string, a ...any) {
	p.failed = true
	line, _, _ := strings.Cut(fmt.Sprintf(f, a...), "\n")
	fmt.Println(place.ReplaceAllString(line, ""))
}

// A server of lines that answers each with its length, and says so when nobody
// has sent one for a minute.
func lengths(c *chat.Conn) *chat.Handler {
	c.SetFrameTimeout(time.Minute)
	return &chat.Handler{
		Message: func(c *chat.Conn, line []byte) { fmt.Fprintf(c, "%d\r\n", len(line)) },
	}
}

// One connection, step by step.
func ExamplePipe() {
	p := asynctest.Pipe(t, chat.Accept(lengths))
	p.Feed("hello\r\nbye").Expect("5\r\n")
	p.Feed("\r\n").Expect("3\r\n")
	p.Feed("and then").Advance(2 * time.Minute)
	p.ExpectClosed(os.ErrDeadlineExceeded)
	fmt.Println("as it should be")
	// Output: as it should be
}

// However the input is cut, the output is the same.
func ExampleSegmentations() {
	asynctest.Segmentations(t, chat.Accept(lengths), "one\r\ntwo two\r\n\r\n", func(output string) {
		fmt.Printf("%q\n", output)
	})
	// Output: "3\r\n7\r\n0\r\n"
}

// A handler that takes what one Read brings for a line. On a developer's machine
// it works.
func ExampleSegmentations_naive() {
	naive := &channel.Handler{
		Read: func(c *channel.Conn, p []byte) { fmt.Fprintf(c, "%d\r\n", len(bytes.TrimSpace(p))) },
	}
	accept := func(*channel.Conn) *channel.Handler { return naive }
	asynctest.Segmentations(t, accept, "hello\r\n", nil)
	// Output: the output depends on how the input is cut
}

// The same, found in worlds in which segments have any size.
func ExampleRun() {
	defer inTemp()()
	naive := &channel.Handler{
		Read: func(c *channel.Conn, p []byte) { fmt.Fprintf(c, "%d\r\n", len(bytes.TrimSpace(p))) },
	}
	asynctest.Run(t, asynctest.Config{Faults: asynctest.Benign}, func(w *asynctest.World) {
		ln := w.Serve("tcp", ":7", func(*channel.Conn) *channel.Handler { return naive })
		w.Dial(ln).Send("hello\r\n").Expect("5\r\n")
	})
	// Output: peer 1: expected "5\r\n", received "1\r\n"
}

// inTemp has failing examples save their tapes elsewhere than in testdata.
func inTemp() (back func()) {
	was, _ := os.Getwd()
	dir, err := os.MkdirTemp("", "asynctest")
	if err != nil {
		panic(err)
	}
	os.Chdir(dir)
	return func() {
		os.Chdir(was)
		os.RemoveAll(dir)
	}
}

// A process without descriptors left goes on serving those it has, and takes new
// ones when there are descriptors again.
func ExampleWorld_Fault() {
	asynctest.Run(t, asynctest.Config{}, func(w *asynctest.World) {
		ln := w.Serve("tcp", ":7", chat.Accept(lengths))
		first := w.Dial(ln).Send("hello\r\n").Expect("5\r\n")
		w.Fault(syscall.EMFILE, asynctest.For(2*time.Second))
		second := w.Dial(ln).Send("anybody?\r\n")
		first.Send("still there?\r\n").Expect("12\r\n")
		second.Expect("8\r\n")
		if w.Now() < 2*time.Second {
			w.Errorf("accepted at %v, without a descriptor", w.Now())
		}
	})
	fmt.Println("served")
	// Output: served
}

// Each system call fails once in each way in which it can, and nothing leaks.
func ExampleEveryFault() {
	asynctest.EveryFault(t, func(w *asynctest.World) {
		ln := w.Serve("tcp", ":7", chat.Accept(lengths))
		p := w.Dial(ln).Send("hello\r\n").Expect("5\r\n")
		p.HalfClose().ExpectClosed()
	})
	fmt.Println("nothing broke")
	// Output: nothing broke
}
