package asynctest

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// fakeTB is a test that may fail without failing ours.
type fakeTB struct {
	testing.TB
	name     string
	errors   []string
	logs     []string
	cleanups []func()
}

func (f *fakeTB) Helper()          {}
func (f *fakeTB) Name() string     { return f.name }
func (f *fakeTB) Failed() bool     { return len(f.errors) > 0 }
func (f *fakeTB) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }
func (f *fakeTB) Errorf(format string, args ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, args...))
}
func (f *fakeTB) Logf(format string, args ...any) {
	f.logs = append(f.logs, fmt.Sprintf(format, args...))
}
func (f *fakeTB) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// test runs f as a test that ends, and returns what it was failed with.
func (f *fakeTB) test(run func(t testing.TB)) []string {
	done := make(chan bool)
	go func() {
		defer close(done)
		defer func() {
			for _, c := range f.cleanups {
				c()
			}
		}()
		run(f)
	}()
	<-done
	return f.errors
}

// inTest runs f in a test of its own whose tapes are saved in a directory of its
// own.
func inTest(t *testing.T, run func(t testing.TB)) *fakeTB {
	t.Helper()
	t.Chdir(t.TempDir())
	f := &fakeTB{name: "TestFake"}
	f.test(run)
	return f
}

// mustFail wants one failure that has text in it.
func mustFail(t *testing.T, f *fakeTB, text string) {
	t.Helper()
	if len(f.errors) != 1 || !strings.Contains(f.errors[0], text) {
		t.Fatalf("want one failure with %q, have %d:\n%s", text, len(f.errors), strings.Join(f.errors, "\n---\n"))
	}
}

func mustPass(t *testing.T, f *fakeTB) {
	t.Helper()
	if len(f.errors) != 0 {
		t.Fatalf("want no failure, have\n%s", strings.Join(f.errors, "\n---\n"))
	}
}

// with is an accept function that gives every Conn h.
func with(h *channel.Handler) func(*channel.Conn) *channel.Handler {
	return func(*channel.Conn) *channel.Handler { return h }
}

var echo = &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }}

// naive takes what one Read brings for a line.
var naive = &channel.Handler{
	Read: func(c *channel.Conn, p []byte) { fmt.Fprintf(c, "%d\r\n", len(bytes.TrimSpace(p))) },
}
