package asynctest

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/leaktest"
)

func sprint(v any) string { return fmt.Sprint(v) }

// What is due at the very time to which a world advances has happened then.
func TestPipeExactDeadline(t *testing.T) {
	Pipe(t, func(c *channel.Conn) *channel.Handler {
		c.SetIdleTimeout(time.Minute)
		return &channel.Handler{}
	}).Advance(time.Minute).ExpectClosed(channel.ErrIdle)
}

func TestPipe(t *testing.T) {
	idle := func(c *channel.Conn) *channel.Handler {
		c.SetIdleTimeout(time.Minute)
		return echo
	}
	refuse := func(*channel.Conn) *channel.Handler { return nil }
	for _, test := range []struct {
		name   string
		accept func(*channel.Conn) *channel.Handler
		do     func(p *PipeConn)
		want   string // "": passes
	}{
		{"echo", idle, func(p *PipeConn) { p.Feed("a").Expect("a").Feed("b").Feed("c").Expect("bc") }, ""},
		{"end", idle, func(p *PipeConn) { p.Feed("a").HalfClose().Expect("a").ExpectClosed(nil) }, ""},
		{"idle", idle, func(p *PipeConn) { p.Advance(time.Hour).ExpectClosed(channel.ErrIdle) }, ""},
		{"waits for idle", idle, func(p *PipeConn) { p.ExpectClosed(os.ErrDeadlineExceeded) }, ""},
		{"wrong text", idle, func(p *PipeConn) { p.Feed("a").Expect("b") }, `expected "b", received "a"`},
		{"wrong reason", idle, func(p *PipeConn) { p.Advance(time.Hour).ExpectClosed(nil) }, "closed with channel: idle timeout, expected <nil>"},
		{"open", with(echo), func(p *PipeConn) { p.ExpectClosed(nil) }, "expected the connection to be closed"},
		{"refused", refuse, func(p *PipeConn) { p.ExpectClosed(nil) }, "refused"},
		{"panic at the end", with(&channel.Handler{Close: func(*channel.Conn, error) { panic("oops") }}),
			func(p *PipeConn) { p.Feed("x") }, "oops"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := inTest(t, func(t testing.TB) { test.do(Pipe(t, test.accept)) })
			if test.want == "" {
				mustPass(t, f)
			} else {
				mustFail(t, f, test.want)
			}
		})
	}
}

func TestSegmentations(t *testing.T) {
	checked := []string{}
	f := inTest(t, func(t testing.TB) {
		Segmentations(t, with(echo), "one two", func(out string) { checked = append(checked, out) })
		Segmentations(t, with(echo), "a text that is too long to be split in all ways", func(out string) { checked = append(checked, out) })
		Segmentations(t, with(echo), "", nil)
	})
	mustPass(t, f)
	if diff := cmp.Diff([]string{"one two", "a text that is too long to be split in all ways"}, checked); diff != "" {
		t.Error(diff)
	}
	f = inTest(t, func(t testing.TB) { Segmentations(t, with(naive), "hello\r\n", nil) })
	mustFail(t, f, `depends on how the input is cut`)
	f = inTest(t, func(t testing.TB) {
		Segmentations(t, with(naive), "a text that is too long to be split in all ways\r\n", nil)
	})
	mustFail(t, f, `depends on how the input is cut`)
	panics := &channel.Handler{Read: func(_ *channel.Conn, p []byte) {
		if len(p) == 1 {
			panic("one byte")
		}
	}}
	f = inTest(t, func(t testing.TB) { Segmentations(t, with(panics), "hello", nil) })
	mustFail(t, f, `one byte`)
}

func TestSplits(t *testing.T) {
	var all [][]int
	for cuts := range splits(4) {
		all = append(all, cuts)
	}
	if diff := cmp.Diff([][]int{nil, {1}, {2}, {1, 2}, {3}, {1, 3}, {2, 3}, {1, 2, 3}}, all); diff != "" {
		t.Error(diff)
	}
	for _, n := range []int{13, 100, 5000} {
		count := 0
		for cuts := range splits(n) {
			count++
			if !slices.IsSorted(cuts) || len(cuts) != len(slices.Compact(slices.Clone(cuts))) ||
				len(cuts) > 0 && (cuts[0] < 1 || cuts[len(cuts)-1] >= n) {
				t.Fatalf("%d bytes cut at %v", n, cuts)
			}
		}
		if count > 2*cutLimit+randomSplits+1 {
			t.Errorf("%d bytes cut in %d ways", n, count)
		}
	}
}

func TestEveryFault(t *testing.T) {
	scenario := func(h *channel.Handler) func(*World) {
		return func(w *World) {
			ln := w.Serve("tcp", ":7", with(h))
			p := w.Dial(ln).Send("hello").Expect("hello")
			q := w.Dial(ln).Send("again").Expect("again")
			p.HalfClose().ExpectClosed()
			q.Send("more").Expect("more").Close()
			w.Quiesce()
		}
	}
	mustPass(t, inTest(t, func(t testing.TB) { EveryFault(t, scenario(echo)) }))

	trusting := *echo
	trusting.Close = func(_ *channel.Conn, err error) {
		if oe, ok := err.(*net.OpError); ok {
			panic(oe)
		}
	}
	f := inTest(t, func(t testing.TB) { EveryFault(t, scenario(&trusting)) })
	mustFail(t, f, "a callback panicked")
	mustFail(t, f, "fault at call ")
	if saved := savedTapes(tapeDir("TestFake")); len(saved) != 1 {
		t.Errorf("saved %q", saved)
	}

	// One connection's end is the others'.
	var all []*channel.Conn
	jealous := *echo
	jealous.Connect = func(c *channel.Conn) { all = append(all, c) }
	jealous.Close = func(_ *channel.Conn, err error) {
		for _, c := range all {
			if err != nil {
				c.Abort()
			}
		}
	}
	f = inTest(t, func(t testing.TB) {
		EveryFault(t, func(w *World) { all = nil; scenario(&jealous)(w) })
	})
	mustFail(t, f, "peer")
}

func TestLeaks(t *testing.T) {
	mustPass(t, inTest(t, func(t testing.TB) { Leaks(t) }))
	stop := make(chan bool)
	f := inTest(t, func(t testing.TB) {
		Leaks(t)
		go func() { <-stop }()
	})
	close(stop)
	mustFail(t, f, "goroutines left: 1")
	if len(leaktest.Open()) == 0 {
		return
	}
	var file *os.File
	f = inTest(t, func(t testing.TB) {
		Leaks(t)
		file, _ = os.Open(os.DevNull)
	})
	file.Close()
	mustFail(t, f, "descriptors left open")
}

// What the scenario asks for is not the loop's spinning.
func TestQuiesceOften(t *testing.T) {
	Run(t, Config{}, func(w *World) {
		w.Serve("tcp", ":7", func(*channel.Conn) *channel.Handler { return &channel.Handler{} })
		for range 30 {
			w.Quiesce()
		}
	})
	closes := &channel.Handler{Read: func(c *channel.Conn, _ []byte) { c.Close() }}
	Segmentations(t, func(*channel.Conn) *channel.Handler { return closes }, strings.Repeat("x", 40), nil)
}
