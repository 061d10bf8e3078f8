package asynctest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// called tells whether callbacks have run since it was last asked.
func (w *World) called() bool {
	n := w.callbacks
	w.callbacks = 0
	return n > 0
}

// begin is enter for the callback of an established Conn, which comes after
// Connect and before Close.
func (lf *life) begin(format string, args ...any) {
	w := lf.w
	lf.enter(format, args...)
	name := hook(format)
	switch {
	case lf.closed:
		w.fail("after close", "conn %d: %s after Close", lf.c.ID(), name)
	case name == "connect" && lf.opened:
		w.fail("connect twice", "conn %d: Connect came twice", lf.c.ID())
	case name == "connect":
		lf.opened = true
	case name != "close" && !lf.opened:
		w.fail("before connect", "conn %d: %s before Connect", lf.c.ID(), name)
	case name == "eof" && lf.eof:
		w.fail("eof twice", "conn %d: EOF came twice", lf.c.ID())
	case name == "read" && lf.eof:
		w.fail("read after eof", "conn %d: Read after EOF", lf.c.ID())
	case name == "read" && !lf.c.Reading():
		w.fail("unwanted", "conn %d: Read while no input is wanted", lf.c.ID())
	}
}

// enter tells that a callback begins.
func (lf *life) enter(format string, args ...any) {
	w := lf.w
	w.callbacks++
	if w.timeline.on {
		w.note(fmt.Sprintf("conn %d", lf.c.ID()), format, args...)
	}
	if w.depth++; w.depth > 1 {
		w.fail("nested", "conn %d: %s inside another callback", lf.c.ID(), hook(format))
	}
}

func (lf *life) leave() { lf.w.depth-- }

// hook is a callback's name, as a line of the timeline begins.
func hook(format string) string {
	for i := range format {
		if format[i] == ' ' {
			return format[:i]
		}
	}
	return format
}

// input compares what has come since the last Read with what the peer has sent.
// What comes once more, because it was given back, is the handler's own affair.
func (lf *life) input(p []byte) {
	total := lf.c.BytesRead()
	fresh := total - lf.read
	lf.read = total
	if lf.peer == nil || fresh > uint64(len(p)) {
		return // given away in between
	}
	sent := lf.peer.sent
	if total > uint64(len(sent)) {
		lf.w.fail("bytes in", "conn %d has read %d bytes, and %v sent %d", lf.c.ID(), total, lf.peer, len(sent))
		return
	}
	if want, got := sent[total-fresh:total], p[uint64(len(p))-fresh:]; !bytes.Equal(want, got) {
		lf.w.fail("bytes in", "conn %d: Read got %s at byte %d, and %v sent %s",
			lf.c.ID(), excerpt(got), total-fresh, lf.peer, excerpt(want))
	}
}

// ended looks at what has come when EOF is said to have.
func (lf *life) ended() {
	lf.eof = true
	if p := lf.peer; p != nil && !lf.excused() && lf.c.BytesRead() != uint64(len(p.sent)) {
		lf.w.fail("early eof", "conn %d: EOF after %d bytes, and %v sent %d", lf.c.ID(), lf.c.BytesRead(), p, len(p.sent))
	}
}

func (lf *life) excused() bool { return lf.w.global || lf.peer != nil && lf.peer.Faulted() }

// checkTurn looks at what must be so after each turn.
func (w *World) checkTurn() {
	w.checkPanics()
	if w.depth != 0 {
		w.fail("depth", "%d callbacks have not returned", w.depth)
		w.depth = 0
	}
	buffered := int64(0)
	for c := range channel.Conns(w.l) {
		buffered += int64(c.Buffered() + len(c.Tail()))
	}
	stats := w.l.Stats()
	if stats.Buffered < buffered {
		w.fail("buffered", "the loop counts %d bytes as buffered, and its Conns have %d", stats.Buffered, buffered)
	}
	w.checkPoller()
}

func (w *World) checkPanics() {
	if n := w.l.Stats().Panics; n > w.panics {
		w.panics = n
		if !w.mayPanic {
			w.fail("panic", "a callback panicked: %s", w.panicked)
		}
	}
}

// MayPanic has the world not fail where a callback panics, for a scenario that is
// about what comes of it.
func (w *World) MayPanic() { w.mayPanic = true }

// checkPoller looks for descriptors that the poller watches and nobody has.
func (w *World) checkPoller() {
	for _, x := range w.host.Watched() {
		if !w.e.Has(x.FD) {
			w.fail("watched", "the poller watches descriptor %d for %v, and nobody has it", x.FD, x.Want)
		}
	}
}

// checkRest looks at what must be so while nothing happens.
func (w *World) checkRest() {
	if w.failure != nil {
		return
	}
	for _, fd := range w.f.Open() {
		if !w.e.Has(fd) {
			w.fail("descriptor", "descriptor %d is open, and nobody has it", fd)
		}
	}
	open := slices.Collect(channel.Conns(w.l))
	for _, lf := range w.lives {
		if !lf.closed && !slices.Contains(open, lf.c) && !lf.replaced() {
			w.fail("no close", "conn %d is gone without Close", lf.c.ID())
		}
	}
	w.check()
}

// checkEnd looks at what must be so when the loop has closed.
func (w *World) checkEnd() {
	w.checkPanics()
	for _, lf := range w.lives {
		if !lf.closed && !lf.replaced() {
			w.fail("no close", "conn %d: the loop is closed, and Close was never called", lf.c.ID())
		}
	}
	for c := range channel.Conns(w.l) {
		w.fail("conn left", "the loop is closed, and %v is left", c)
	}
	if n := w.l.Stats().Buffered; n != 0 {
		w.fail("buffered", "the loop is closed, and counts %d bytes as buffered", n)
	}
}
