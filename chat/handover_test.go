//go:build unix

package chat_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
)

// SetHandler in a callback: frames that have been read already go to the new
// one, in one piece or in many.
func TestSetHandlerInMessage(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		urgent := func(*chat.Conn, byte) {}
		for _, tt := range []struct {
			name          string
			first, second chat.Handler
			want          []string
		}{
			{"plain", chat.Handler{}, chat.Handler{}, []string{`message "a"`, `message "bc"`, `message ""`, `message "de"`}},
			{"urgent", chat.Handler{}, chat.Handler{Urgent: urgent}, []string{`message "a"`, `message "bc"`, `message ""`, `message "de"`}},
			{"not urgent", chat.Handler{Urgent: urgent}, chat.Handler{}, []string{`message "a"`, `message "bc"`, `message ""`, `message "de"`}},
			{"to Collect", chat.Handler{}, chat.Handler{Collect: collect}, []string{`message "a"`, `collect "bc"`, "end", "end", `collect "d"`, `collect "e"`, "end"}},
			{"to Collect, urgent", chat.Handler{}, chat.Handler{Collect: collect, Urgent: urgent},
				[]string{`message "a"`, `collect "bc"`, "end", "end", `collect "d"`, `collect "e"`, "end"}},
			{"from Collect", chat.Handler{Collect: collect, Urgent: urgent}, chat.Handler{},
				[]string{`collect "a"`, "end", `message "bc"`, `message ""`, `message "de"`}},
		} {
			var second *chat.Handler
			first := tt.first
			first.Message = func(c *chat.Conn, _ []byte) { c.SetHandler(second) }
			_, rec, p := r.open(first)
			second = rec.watch(tt.second)
			p.says("a\nbc\n\nd")
			p.says("e\n")
			rec.want(tt.want...)
		}
	})
}

// Handlers that take turns, each with another idea of urgent bytes, as often as
// there are frames.
func TestSetHandlerEachFrame(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var a, b *chat.Handler
		n := 0
		ha := chat.Handler{Message: func(c *chat.Conn, _ []byte) { n++; c.SetHandler(b) }}
		hb := chat.Handler{Message: func(c *chat.Conn, _ []byte) { n++; c.SetHandler(a) }, Urgent: func(*chat.Conn, byte) {}}
		_, rec, p := r.open(ha)
		a, b = rec.watch(ha), rec.watch(hb)
		p.says(strings.Repeat("x\n", 5000))
		if n != 5000 {
			t.Errorf("%d messages of 5000", n)
		}
	})
}

// In the middle of a frame: the one that had its beginning in pieces does not
// give them back.
func TestSetHandlerInFrame(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, term := range []chat.Terminator{chat.Line, chat.LengthPrefix(1, bigEndian)} {
			begin, end := "ab", "cd\n"
			if term != chat.Line {
				begin, end = "\x04ab", "cd"
			}
			c, rec, p := r.open(chat.Handler{Collect: collect})
			c.SetTerminator(term)
			p.says(begin)
			c.SetHandler(rec.watch(chat.Handler{}))
			p.says(end + begin)
			rec.want(`collect "ab"`, `message "cd"`)
			c.SetHandler(rec.watch(chat.Handler{Collect: collect}))
			r.settle()
			p.says(end)
			if got := strings.Join(rec.log, " "); got != `collect "ab" collect "cd" end` && got != `collect "abcd" end` {
				t.Errorf("%v: %s", term, got)
			}
			rec.log = nil
		}
	})
}

// What Collect has had counts: for the limit, and as long as its frame goes on.
func TestSetHandlerInFrameLimit(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for rest, want := range map[string]string{"de\n": "too long", "d\n": `message "d"`, "d\n12345\n": "message \"d\"\ntoo long"} {
			c, rec, p := r.open(chat.Handler{Collect: collect})
			c.SetTerminator(chat.Line.Limit(4))
			p.says("abc")
			c.SetHandler(rec.watch(chat.Handler{TooLong: nothing}))
			p.says(rest + "abcd\n")
			p.closeWrite()
			r.settle()
			rec.want(`collect "abc"`, want, `message "abcd"`, "close nil")
		}
	})
}

// Release in a callback: the raw Handler gets exactly what has not been framed.
func TestReleaseInMessage(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, rest := range []string{"", "x", "raw\nbytes\r\n"} {
			for _, collects := range []bool{false, true} {
				got := ""
				h := chat.Handler{Message: func(c *chat.Conn, _ []byte) {
					c.Release().SetHandler(&channel.Handler{Read: func(_ *channel.Conn, p []byte) {
						if len(p) == 0 {
							t.Error("Read of nothing")
						}
						got += string(p)
					}})
				}}
				want := `message "upgrade"`
				if collects {
					h.Collect = collect
					want = "collect \"upgrade\"\nend"
				}
				_, rec, p := r.open(h)
				p.says("upgrade\r\n" + rest)
				rec.want(want)
				if got != rest {
					t.Errorf("the raw handler got %q, want %q", got, rest)
				}
				p.says("more\n")
				if got != rest+"more\n" {
					t.Errorf("the raw handler got %q, want %q", got, rest+"more\n")
				}
				rec.closed = true // nobody tells it
			}
		}
	})
}

// Release and nothing else throws away.
func TestReleaseOnly(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) { c.Release() }})
		conn := c.Channel()
		p.says("a\nb\n")
		p.says("c\n")
		rec.want(`message "a"`)
		rec.closed = true
		if n := conn.BytesRead(); n != 6 || len(conn.Tail()) > 0 {
			t.Errorf("%d bytes read, tail %q", n, conn.Tail())
		}
	})
}

// A raw Handler is not asked to read nothing because of what was wanted before.
func TestReleaseRedelivers(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, before := range []func(*chat.Conn, *peer){
			func(c *chat.Conn, _ *peer) { c.SetTerminator(chat.Count(0)) },
			func(c *chat.Conn, p *peer) { c.Pause(); c.SetTerminator(chat.Count(0)); c.Resume() },
			func(c *chat.Conn, p *peer) {
				p.send(strings.Repeat("\n", 256)) // as many as a turn gives
				r.turn()
			},
		} {
			c, rec, p := r.open(chat.Handler{})
			before(c, p)
			rec.closed = true
			c.Release().SetHandler(&channel.Handler{Read: func(_ *channel.Conn, p []byte) { t.Errorf("Read of %q", p) }})
			r.settle()
		}
	})
}

// Release outside of callbacks, with the beginning of a frame.
func TestReleaseOutside(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{})
		c.SetFrameTimeout(time.Second)
		p.says("part")
		got := ""
		c.Release().SetHandler(&channel.Handler{
			Read:  func(_ *channel.Conn, p []byte) { got += string(p) },
			Close: func(*channel.Conn, error) { got += ", closed" },
		})
		rec.closed = true
		r.pass(time.Hour)
		if got != "part" {
			t.Errorf("the raw handler got %q", got)
		}
		if _, armed := r.l.NextDeadline(); armed {
			t.Error("a timer is left")
		}
	})
}

// Release and Attach: another framing, with a place of its own.
func TestReattach(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		second := r.record()
		_, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) {
			c2 := chat.Attach(c.Release(), second.watch(chat.Handler{}))
			c2.SetTerminator(chat.Count(2))
			second.c, second.began = c2, true
		}})
		p.says("a\nbcde\n")
		rec.want(`message "a"`)
		rec.closed = true
		second.want(`message "bc"`, `message "de"`)
		p.closeWrite()
		r.settle()
		second.want("close unexpected EOF")
	})
}

func TestReleaseThenPipe(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		other, far := r.raw(discard)
		_, rec, near := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) {
			c.WriteString("200 established\n")
			channel.Pipe(c.Release(), other)
		}})
		near.says("CONNECT\nhello\nthere")
		rec.want(`message "CONNECT"`)
		rec.closed = true
		far.send("and back")
		if got, _ := far.hears(); string(got) != "hello\nthere" {
			t.Errorf("the far end read %q", got)
		}
		near.closeWrite()
		if got, _ := near.hears(); string(got) != "200 established\nand back" {
			t.Errorf("the near end read %q", got)
		}
		if _, eof := far.hears(); !eof {
			t.Error("the end has not gone through")
		}
	})
}

func TestReleaseThenDetach(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var gone channel.Detached
		_, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) {
			c.WriteString("bye\n")
			if err := c.Release().Detach(func(d channel.Detached) { gone = d }); err != nil {
				t.Error(err)
			}
		}})
		p.says("detach\nhello\nthere")
		rec.closed = true
		if got, _ := p.hears(); string(got) != "bye\n" {
			t.Errorf("the peer read %q", got)
		}
		nc, err := gone.Conn()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		p.closeWrite()
		if got, err := io.ReadAll(nc); string(got) != "hello\nthere" || err != nil {
			t.Errorf("the new owner read %q, %v", got, err)
		}
	})
}

// Attach takes what the Conn has given back, and what it gives back afterwards
// in the same Read.
func TestAttachUnread(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		conn, _ := r.raw(discard)
		conn.Unread([]byte("a\nb\nc"))
		rec := r.record()
		rec.c = chat.Attach(conn, rec.watch(chat.Handler{}))
		r.settle()
		rec.want("connect", `message "a"`, `message "b"`)

		for _, first := range []bool{true, false} {
			conn, p := r.raw(&channel.Handler{Read: func(c *channel.Conn, p []byte) {
				if first {
					c.Unread(p[1:])
				}
				rec = r.record()
				rec.began = true
				rec.c = chat.Attach(c, rec.watch(chat.Handler{}))
				rec.c.SetTerminator(chat.Count(2))
				if !first {
					c.Unread(p[1:])
				}
			}})
			p.says("!abcde")
			rec.want(`message "ab"`, `message "cd"`)
			if string(conn.Tail()) != "e" {
				t.Errorf("Tail is %q", conn.Tail())
			}
		}
	})
}

// A dial that fails tells Close, and nothing else.
func TestAttachDial(t *testing.T) {
	r := newRig(t, loopConfig)
	rec := r.record()
	conn := channel.Dial(r.l, "unix", "/nonexistent/socket", discard)
	rec.c = chat.Attach(conn, rec.watch(chat.Handler{EOF: nothing, Collect: collect}))
	rec.c.SetTerminator(chat.Count(0))
	rec.c.SetFrameTimeout(time.Second)
	r.settle()
	if len(rec.log) != 1 || !rec.closed {
		t.Errorf("callbacks %q", rec.log)
	}
}

// accept may do all this before there is a connection to speak of, or refuse.
func TestAccept(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.accepted(chat.Handler{}, func(c *chat.Conn) {
			c.SetTerminator(chat.Count(2))
			c.SetFrameTimeout(time.Minute)
			c.WriteString("220 ready\n")
			c.Channel().SetIdleTimeout(time.Hour)
		})
		p.says("abc")
		rec.want("connect", `message "ab"`)
		if got, _ := p.hears(); string(got) != "220 ready\n" {
			t.Errorf("the peer read %q", got)
		}
		if c.RemoteAddr() == nil || c.ID() == 0 || !strings.HasPrefix(c.String(), "conn ") {
			t.Errorf("%v, %v, ID %d", c, c.RemoteAddr(), c.ID())
		}
		r.pass(time.Minute)
		rec.want("close frame timeout")

		closes := 0
		_, rec, p = r.accepted(chat.Handler{Close: func(*chat.Conn, error) { closes++ }}, func(c *chat.Conn) {
			c.WriteString("421 no\n")
			c.Close()
		})
		rec.want("close nil")
		if got, eof := p.hears(); string(got) != "421 no\n" || !eof || closes != 1 {
			t.Errorf("the peer read %q, end %v; %d closes", got, eof, closes)
		}
	})
}

// The Handler that accept returns takes the place of one that it has set, as
// channel.Listen has it.
func TestAcceptSetsHandler(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		never := &chat.Handler{Message: func(*chat.Conn, []byte) { t.Error("the replaced handler is called") }}
		_, rec, p := r.accepted(chat.Handler{}, func(c *chat.Conn) { c.SetHandler(never) })
		p.says("a\n")
		rec.want("connect", `message "a"`)
	})
}

func TestAcceptRefuses(t *testing.T) {
	r := newRig(t, loopConfig)
	ln, err := channel.Listen(r.l, "tcp", "127.0.0.1:0", chat.Accept(func(c *chat.Conn) *chat.Handler {
		c.WriteString("dropped")
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	p := r.connect(ln)
	for range 1000 {
		if n := r.l.Stats().Events; n > 0 {
			break
		}
		r.turn()
		time.Sleep(time.Millisecond)
	}
	r.settle()
	for range channel.Conns(r.l) {
		t.Error("a Conn is left")
	}
	buf := make([]byte, 10)
	if n, _ := unix.Read(p.fd, buf); n > 0 {
		t.Errorf("the peer read %q", buf[:n])
	}
}

// An out-of-band byte is Urgent's, or ignored.
func TestUrgent(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.accepted(chat.Handler{Urgent: func(*chat.Conn, byte) {}}, nil)
		p.says("a")
		p.urge(rec)
		p.says("b\n")
		rec.want("connect", `urgent '!'`, `message "ab"`)
		c.SetHandler(rec.watch(chat.Handler{}))
		unix.Sendto(p.fd, []byte("!"), unix.MSG_OOB, nil)
		p.says("c\n")
		rec.want(`message "c"`)
		c.SetHandler(rec.watch(chat.Handler{Urgent: func(*chat.Conn, byte) {}}))
		r.settle()
		rec.log = nil
		p.urge(rec)
		if len(rec.log) != 1 || rec.log[0] != `urgent '!'` {
			t.Errorf("callbacks %q", rec.log)
		}
	})
}

// After Release no frame goes to the old handler, however the one before it came.
func TestReleaseThenPlain(t *testing.T) {
	for _, parts := range [][]string{{"hello\nworld\nmore\n"}, {"hel", "lo\nworld\nmore\n"}} {
		r := newRig(t, loopConfig)
		var old, next []string
		h := chat.Handler{Message: func(c *chat.Conn, m []byte) {
			old = append(old, string(m))
			if len(old) == 1 {
				c.Release().SetHandler(&channel.Handler{Read: func(_ *channel.Conn, p []byte) { next = append(next, string(p)) }})
			}
		}}
		conn, p := r.raw(discard)
		chat.Attach(conn, &h)
		r.settle()
		for _, s := range parts {
			p.says(s)
		}
		if len(old) != 1 || strings.Join(next, "") != "world\nmore\n" {
			t.Errorf("%q: old handler got %q, new one %q", parts, old, next)
		}
	}
}

// The same from Late.
func TestReleaseInLate(t *testing.T) {
	r := newRig(t, loopConfig)
	var old, next []string
	conn, p := r.raw(discard)
	c := chat.Attach(conn, &chat.Handler{
		Message: func(c *chat.Conn, m []byte) { old = append(old, string(m)) },
		Late: func(c *chat.Conn) {
			c.Release().SetHandler(&channel.Handler{Read: func(_ *channel.Conn, p []byte) { next = append(next, string(p)) }})
		}})
	c.SetTerminator(chat.Delim("\r\n"))
	c.SetFrameTimeout(time.Second)
	r.settle()
	p.says("abc\n")
	r.pass(2 * time.Second)
	if len(old) != 0 || strings.Join(next, "") != "abc\n" {
		t.Errorf("old handler got %q, new one %q", old, next)
	}
}
