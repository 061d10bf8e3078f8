//go:build unix

package chat_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
)

// expires wants the Conn to close with ErrFrameTimeout when d has passed, and
// not before.
func (rec *record) expires(d time.Duration) {
	rec.r.Helper()
	rec.r.pass(d - 1)
	rec.want()
	rec.r.pass(1)
	rec.want("close frame timeout")
	var timeout net.Error
	if !errors.Is(rec.err, os.ErrDeadlineExceeded) || !errors.As(rec.err, &timeout) || !timeout.Timeout() {
		rec.r.Errorf("%v is no timeout", rec.err)
	}
	rec.r.unarmed()
}

// unarmed wants no timer to be left.
func (r *rig) unarmed() {
	r.Helper()
	if at, armed := r.l.NextDeadline(); armed {
		r.Errorf("a timer is left, for %v", at-r.l.Now())
	}
}

const (
	second = time.Second
	limit  = 10 * second
)

// One byte now and then does not help: the time counts from the frame's first.
func TestFrameTimeout(t *testing.T) {
	for _, tt := range []struct {
		name  string
		term  chat.Terminator
		bytes string
	}{
		{"line", chat.Line, "abcdefghij"},
		{"delimiter", chat.Delim("\r\n.\r\n"), "a\r\n.\r.\r\n."},
		{"count", chat.Count(100), "abcdefghij"},
		{"prefix", chat.LengthPrefix(8, bigEndian), "\x00\x00\x00\x00\x00\x00\x00"},
		{"prefixed", chat.LengthPrefix(1, bigEndian), "\xffabcdefgh"},
		{"varint", chat.VarintPrefix, "\x80\x80\x80\x80\x80\x80"},
		{"thrown away", chat.Line.Limit(2), "abcdefghij"},
		{"count thrown away", chat.Count(100).Limit(2), "abcdefghij"},
	} {
		for name, h := range map[string]chat.Handler{"": {}, "collect": {Collect: collect}} {
			t.Run(tt.name+name, func(t *testing.T) {
				eachBackend(t, func(t *testing.T, r *rig) {
					h.TooLong = nothing
					c, rec, p := r.open(h)
					c.SetTerminator(tt.term)
					r.settle()
					c.SetFrameTimeout(limit)
					passed := time.Duration(0)
					if tt.term != chat.Count(100).Limit(2) { // which has begun by being too long
						r.pass(time.Hour)
					}
					for _, b := range []byte(tt.bytes) {
						if passed < limit-second {
							p.says(string([]byte{b}))
							r.pass(second)
							passed += second
						}
					}
					if rec.closed {
						t.Fatalf("closed before its time: %q", rec.log)
					}
					rec.log = nil
					rec.expires(limit - passed)
				})
			})
		}
	}
}

// A peer that begins no frame is not timed, however many it has sent before.
func TestFrameTimeoutIdle(t *testing.T) {
	for _, h := range []chat.Handler{{}, {Collect: collect}} {
		for _, tt := range []struct {
			term chat.Terminator
			sent string
		}{
			{chat.Line, "a\r\n\n"}, {chat.Count(3), "abcdef"}, {chat.LengthPrefix(1, bigEndian), "\x01a\x00"}, {chat.VarintPrefix, "\x01a\x00"},
			{chat.Stream, "abc"}, {chat.Delim("aa"), "aaaa"}, {chat.Line.Limit(2), "too long\n"}, {chat.Line.Limit(2).Truncate(), "cut off\n"},
			{chat.Count(3).Limit(2), "123"}, {chat.Count(3).Limit(2).Truncate(), "123"},
		} {
			eachBackend(t, func(t *testing.T, r *rig) {
				if tt.term == chat.Count(3).Limit(2) {
					return // the next one is too long before its first byte
				}
				h.TooLong = nothing
				c, rec, p := r.open(h)
				c.SetTerminator(tt.term)
				c.SetFrameTimeout(limit)
				r.pass(time.Hour)
				p.says(tt.sent)
				r.pass(time.Hour)
				r.pass(time.Hour)
				if rec.closed {
					t.Errorf("%v: %q", tt.term, rec.log)
				}
				r.unarmed()
			})
		}
	}
}

// Each frame has its own time, and one that is complete at the last moment is
// in time.
func TestFrameTimeoutJustInTime(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{})
		c.SetFrameTimeout(limit)
		for range 5 {
			p.says("a")
			r.pass(limit - 1)
			p.send("\nb")
			r.pass(1) // the end comes in the same turn as the timeout
			rec.want(`message "a"`)
			r.pass(limit - 1)
			p.says("\n")
			rec.want(`message "b"`)
		}
		p.says("c")
		rec.expires(limit)
	})
}

// Many frames, the next one always begun: that is no slow peer.
func TestFrameTimeoutMany(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{})
		c.SetFrameTimeout(limit)
		p.says("a")
		for range 100 {
			r.pass(second)
			p.says("\na")
		}
		if len(rec.log) != 100 {
			t.Errorf("%d frames of 100: %.99q", len(rec.log), rec.log)
		}
		rec.log = nil
		rec.expires(limit)
	})
}

// The time does not count against a peer that is not listened to.
func TestFrameTimeoutPaused(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{})
		c.SetFrameTimeout(limit)
		p.says("a")
		c.Pause()
		r.pass(time.Hour)
		p.says("b")
		r.pass(time.Hour)
		c.Resume()
		r.settle()
		r.pass(limit - 1)
		p.says("c\nd")
		rec.want(`message "abc"`)
		rec.expires(limit)
	})
}

// A frame that waits, whole or in part, behind one that has paused the Conn.
func TestFrameTimeoutBuffered(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) { c.Pause() }})
		c.SetFrameTimeout(limit)
		p.says("a\nb\nc")
		for _, want := range []string{`message "a"`, `message "b"`} {
			rec.want(want)
			r.pass(time.Hour)
			c.Resume()
			r.settle()
		}
		r.pass(limit - 1)
		rec.want()
		r.pass(limit)
		rec.want("close frame timeout")
	})
}

// One that is complete and only waits for Resume is not late, if that comes at the
// same time as the timeout.
func TestFrameTimeoutResumed(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) { c.Pause() }})
		c.SetFrameTimeout(limit)
		r.l.After(limit, c.Resume)
		p.says("a\nb\nc")
		r.pass(limit)
		rec.want(`message "a"`, `message "b"`)
	})
}

// A Collect that pauses with each piece, until that is on the disk perhaps, does
// not let a slow peer go on for ever.
func TestFrameTimeoutCollectPauses(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{Collect: func(c *chat.Conn, p []byte) { c.Pause() }})
		c.SetFrameTimeout(limit)
		for range 20 {
			if rec.closed {
				break
			}
			p.says("a")
			r.pass(second)
			c.Resume()
			r.pass(second)
		}
		if !rec.closed || !errors.Is(rec.err, chat.ErrFrameTimeout) {
			t.Errorf("after 40 s: closed %v, %v", rec.closed, rec.err)
		}

		// And where nothing more comes, it is noticed.
		c, rec, p = r.open(chat.Handler{Collect: func(c *chat.Conn, p []byte) { c.Pause() }})
		c.SetFrameTimeout(limit)
		p.says("a")
		c.Resume()
		r.settle()
		rec.want(`collect "a"`)
		rec.expires(limit)
	})
}

// With another terminator there may be no frame any more, or another one.
func TestFrameTimeoutSetTerminator(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{Collect: collect})
		c.SetFrameTimeout(limit)
		for _, term := range []chat.Terminator{chat.Line, chat.Stream, chat.Count(3), chat.VarintPrefix} {
			c.SetTerminator(chat.Line)
			p.says("a")
			rec.want(`collect "a"`)
			c.SetTerminator(term)
			r.settle()
			r.pass(time.Hour)
			rec.want() // what has been given to Collect is no part of a frame
		}

		c, rec, p = r.open(chat.Handler{})
		c.SetFrameTimeout(limit)
		c.SetTerminator(chat.Delim("never"))
		p.says("line\nab")
		r.pass(limit / 2)
		c.SetTerminator(chat.Line)
		r.settle()
		rec.want(`message "line"`)
		c.SetTerminator(chat.Count(3)) // "ab" is a part of that too
		rec.expires(limit)
	})
}

// Off, shorter and longer.
func TestFrameTimeoutSet(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{})
		c.SetFrameTimeout(limit)
		p.says("a")
		for _, off := range []time.Duration{0, -1} {
			c.SetFrameTimeout(off)
			r.unarmed()
			r.pass(time.Hour)
			rec.want()
			c.SetFrameTimeout(limit)
		}
		r.pass(limit - 1)
		c.SetFrameTimeout(2 * limit) // the frame is as old as it is, or as young as can be
		r.pass(limit - 1)
		rec.want()
		r.pass(limit + 1)
		rec.want("close frame timeout")
	})
}

func TestFrameTimeoutSetInMessage(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		d := limit
		_, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) {
			c.SetFrameTimeout(d)
			d += limit
		}})
		p.says("a\nb\nc\nd")
		rec.want(`message "a"`, `message "b"`, `message "c"`)
		rec.expires(3 * limit)
	})
}

// No Conn leaves a timer behind, however it ends, and Run returns.
func TestFrameTimeoutNothingLeft(t *testing.T) {
	for name, end := range map[string]func(c *chat.Conn, p *peer){
		"Close": func(c *chat.Conn, _ *peer) { c.Close() },
		"Abort": func(c *chat.Conn, _ *peer) { c.Abort() },
		"Fail":  func(c *chat.Conn, _ *peer) { c.Fail(errUser) },
		"EOF":   func(_ *chat.Conn, p *peer) { p.closeWrite() },
		"reset": func(_ *chat.Conn, p *peer) { p.close() },
		"too long": func(c *chat.Conn, p *peer) {
			c.SetTerminator(chat.Line.Limit(1))
			p.send("aaa")
		},
		"set in Close": func(c *chat.Conn, p *peer) { p.says("reset me in Close"); c.Abort() },
	} {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				c, rec, p := r.open(chat.Handler{
					EOF: func(c *chat.Conn) { c.SetFrameTimeout(limit); c.Close() },
					Close: func(c *chat.Conn, _ error) {
						c.SetFrameTimeout(0)
						if strings.HasSuffix(name, "Close") {
							c.SetFrameTimeout(limit)
						}
					},
				})
				c.SetFrameTimeout(limit)
				p.says("a")
				end(c, p)
				r.settle()
				if !rec.closed {
					t.Fatal("not closed")
				}
				r.unarmed()
				r.turning = true
				if err := r.l.Run(context.Background()); err != nil {
					t.Error(err)
				}
				r.turning = false
				if r.l.Now() > 2*time.Hour {
					t.Errorf("Run returned at %v", r.l.Now())
				}
			})
		})
	}
}

// Late is told of each time that is over, has the frame go on, and may have the
// last word.
func TestLate(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		late := 0
		c, rec, p := r.open(chat.Handler{Late: func(c *chat.Conn) {
			if late++; late == 3 {
				c.WriteString("too slow\n")
				c.Fail(chat.ErrFrameTimeout)
			}
		}})
		c.SetFrameTimeout(limit)
		p.says("a")
		for range 2 {
			r.pass(limit - 1)
			rec.want()
			r.pass(1)
			rec.want("late")
		}
		p.says("b\n")
		rec.want(`message "ab"`)
		r.pass(time.Hour)
		rec.want()
		p.says("c")
		r.pass(limit)
		rec.want("late", "close frame timeout")
		if got, _ := p.hears(); string(got) != "too slow\n" {
			t.Errorf("the last word is %q", got)
		}
		r.unarmed()
	})
}

// A panic in it is the Conn's.
func TestLatePanics(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		r.panics = 1
		c, rec, p := r.open(chat.Handler{Late: func(*chat.Conn) { panic("oh") }})
		c.SetFrameTimeout(limit)
		p.says("a")
		r.pass(limit)
		rec.want("late", "close panic: oh")
	})
}

// A time that is over as the frame goes on under another Handler, which pauses, is
// not the last: the frame has another.
func TestFrameTimeoutGoesOn(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{})
		c.SetFrameTimeout(limit)
		p.says("abc")
		r.sys.Advance(limit)
		r.turn() // it is over
		c.SetHandler(rec.watch(chat.Handler{Collect: func(c *chat.Conn, _ []byte) { c.Pause() }}))
		r.settle()
		rec.want(`collect "abc"`)
		c.Resume()
		r.settle()
		rec.expires(limit)
	})
}

// Late is not lost where SetHandler comes between the expiry and the next turn.
func TestLateLost(t *testing.T) {
	r := newRig(t, loopConfig)
	late := 0
	h := chat.Handler{Message: func(*chat.Conn, []byte) {}, Collect: collect, Late: func(*chat.Conn) { late++ }}
	u := h
	u.Urgent = func(*chat.Conn, byte) {}
	conn, p := r.raw(discard)
	c := chat.Attach(conn, &h)
	c.SetFrameTimeout(time.Second)
	r.settle()
	p.says("abc")
	r.sys.Advance(2 * time.Second)
	r.turn() // expires
	c.SetHandler(&u)
	r.settle()
	for range 10 {
		r.pass(2 * time.Second)
	}
	if late == 0 {
		t.Errorf("Late never came")
	}
	c.Abort()
}

// Late does not come where the frame has ended after all, under another terminator.
func TestLateSpurious(t *testing.T) {
	r := newRig(t, loopConfig)
	cc, rec, p := r.open(chat.Handler{Late: nothing})
	cc.SetTerminator(chat.Delim("\r\n"))
	cc.SetFrameTimeout(time.Second)
	p.says("abc\n")
	r.sys.Advance(2 * time.Second)
	r.turn()
	cc.SetTerminator(chat.Line)
	r.settle()
	rec.want(`message "abc"`)
}

// Late is the handler's of the moment at which it comes.
func TestLateBecomesNil(t *testing.T) {
	r := newRig(t, loopConfig)
	closed := false
	h := chat.Handler{Message: collect, Collect: collect, Late: nothing, Close: func(*chat.Conn, error) { closed = true }}
	n := h
	n.Late = nil
	conn, p := r.raw(discard)
	c := chat.Attach(conn, &h)
	c.SetFrameTimeout(time.Second)
	r.settle()
	p.says("abc")
	r.sys.Advance(1500 * time.Millisecond)
	r.turn()
	c.SetHandler(&n)
	r.settle()
	if !closed {
		t.Error("neither Late nor ErrFrameTimeout")
	}
	r.turning = true
}
