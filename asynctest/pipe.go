package asynctest

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// PipeConn is one connection to code under test, in a world in which nothing goes
// wrong. Its methods fail the test where it goes otherwise than they say.
type PipeConn struct {
	t testing.TB
	w *World
	p *Peer
}

// Pipe makes a connection that accept gives its Handler, as channel.Listen does,
// and is the peer at its other end. When the test ends the connection is closed,
// and nothing may be left of it.
func Pipe(t testing.TB, accept func(*channel.Conn) *channel.Handler) *PipeConn {
	t.Helper()
	pc := &PipeConn{t: t, w: newWorld(Config{}, tape.Replay(nil), true, false)}
	t.Cleanup(func() {
		t.Helper()
		pc.w.finish()
		if f := pc.w.failure; f != nil && !pc.told() {
			t.Errorf("%s\n\n%s", f.text, pc.w.timeline.tail(tailLines))
		}
	})
	pc.run(func() {
		pc.p = pc.w.Dial(pc.w.Serve("tcp", ":1", accept))
		pc.w.Quiesce()
	})
	return pc
}

// told tells whether the failure has been reported, and remembers it for the next
// time.
func (pc *PipeConn) told() bool {
	was := pc.w.told
	pc.w.told = true
	return was
}

// run does something that may fail.
func (pc *PipeConn) run(f func()) *PipeConn {
	pc.t.Helper()
	func() {
		defer func() {
			if v := recover(); v != nil && v != any(stop{}) {
				panic(v)
			}
		}()
		f()
	}()
	if pc.w.failure != nil {
		pc.told()
		pc.t.Fatalf("%s\n\n%s", pc.w.failure.text, pc.w.timeline.tail(tailLines))
	}
	return pc
}

// Feed sends text, in one piece, and waits until nothing happens any more.
func (pc *PipeConn) Feed(text string) *PipeConn {
	pc.t.Helper()
	return pc.run(func() { pc.p.Send(text); pc.w.Quiesce() })
}

// Expect waits for text, which must be what is sent next.
func (pc *PipeConn) Expect(text string) *PipeConn {
	pc.t.Helper()
	return pc.run(func() { pc.p.Expect(text) })
}

// Advance lets d pass.
func (pc *PipeConn) Advance(d time.Duration) *PipeConn {
	pc.t.Helper()
	return pc.run(func() { pc.w.Advance(d) })
}

// HalfClose ends what is fed: the handler has its EOF.
func (pc *PipeConn) HalfClose() *PipeConn {
	pc.t.Helper()
	return pc.run(func() { pc.p.HalfClose(); pc.w.Quiesce() })
}

// ExpectClosed waits until the connection has been closed with a reason in which
// errors.Is finds want, nil for none, and has sent nothing else.
func (pc *PipeConn) ExpectClosed(want error) *PipeConn {
	pc.t.Helper()
	return pc.run(func() {
		pc.p.ExpectClosed()
		pc.p.Close() // for who waits for that
		pc.w.Quiesce()
		switch lf := pc.p.life; {
		case lf == nil:
			pc.w.Fatalf("the connection was refused")
		case !lf.closed && lf.replaced():
			// Another Handler knows.
		case !lf.closed:
			pc.w.Fatalf("the connection is half-closed, not closed")
		case !errors.Is(lf.err, want):
			pc.w.Fatalf("the connection was closed with %v, expected %v", lf.err, want)
		}
	})
}
