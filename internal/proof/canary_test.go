package proof

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
)

// canary is a server that takes what one Read brings for a line. Where no world finds
// it wrong, none would find anything.
var canary = family{"canary", func(w *world) {
	ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
		return &channel.Handler{Read: func(c *channel.Conn, p []byte) {
			s.write(fmt.Appendf(nil, "%d\n", len(bytes.TrimSpace(p))))
		}}
	})
	w.dial(ln).Send("hello, world\r\n").Expect("12\n")
}}

// failing is a test that may fail without failing ours.
type failing struct {
	testing.TB
	errors []string
}

func (f *failing) Helper()             {}
func (f *failing) Failed() bool        { return len(f.errors) > 0 }
func (f *failing) Logf(string, ...any) {}
func (f *failing) Errorf(format string, a ...any) {
	f.errors = append(f.errors, fmt.Sprintf(format, a...))
}

// TestCanary wants failures to be seen: in the canary, and by each kind of check.
func TestCanary(t *testing.T) {
	t.Chdir(t.TempDir()) // for its tapes
	for _, k := range kinds {
		f := &failing{TB: t}
		asynctest.Run(f, asynctest.Config{Seeds: 500, Faults: k.faults}, scenario(canary.play, k.faults))
		if len(f.errors) != 1 || !strings.Contains(f.errors[0], `expected "12\n"`) {
			t.Errorf("%s: the canary lives: %q", k.name, f.errors)
		}
	}
	for _, test := range []struct {
		name string
		want string
		play func(w *world)
	}{
		{"queued beyond the limit", "above the limit", func(w *world) {
			ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
				s.c.SetWater(0, 1, 1<<20)
				s.mark([3]int{0, 1, 10})
				return &channel.Handler{Connect: func(c *channel.Conn) { c.Write(make([]byte, 500_000)) }}
			})
			w.dial(ln).StopReading()
		}},
		{"output that was not written", "has received 1 bytes, of 0", func(w *world) {
			ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
				return &channel.Handler{Connect: func(c *channel.Conn) { c.Write([]byte("x")) }}
			})
			w.dial(ln)
		}},
		{"a reason that nobody gave", "for which there was no reason", func(w *world) {
			ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
				return &channel.Handler{Connect: func(c *channel.Conn) { c.Abort() }}
			})
			w.dial(ln)
		}},
		{"paused and read", "its descriptor is watched", func(w *world) {
			ln := w.serve("tcp", ":7", func(s *session) *channel.Handler {
				return &channel.Handler{
					Connect: func(*channel.Conn) { s.paused = true },
					EOF:     func(*channel.Conn) {},
				}
			})
			w.dial(ln)
		}},
		{"a late close", "Close has not come", func(w *world) {
			w.serve("tcp", ":7", echoing)
			w.sessions = append(w.sessions, &session{w: w, c: channel.Dial(w.l, "tcp", ":7", &channel.Handler{}), away: true})
			w.pass(time.Second)
		}},
		{"an accepted connection that is lost", "were given to an accept function", func(w *world) {
			w.accepts++
		}},
	} {
		f := &failing{TB: t}
		asynctest.Run(f, asynctest.Config{Seeds: 1}, scenario(test.play, asynctest.None))
		if len(f.errors) != 1 || !strings.Contains(f.errors[0], test.want) {
			t.Errorf("%s: %.300q", test.name, f.errors)
		}
	}
}
