//go:build unix

package chat_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
)

// Pause stops frames that have been read already, at once, and Resume has them
// go on without a byte from the peer.
func TestPauseInMessage(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) { c.Pause() }})
		p.says("a\nb\nc\npart")
		rec.want(`message "a"`)
		r.l.After(time.Minute, c.Resume)
		r.pass(time.Minute - 1)
		rec.want()
		r.pass(1)
		rec.want(`message "b"`)
		c.Resume()
		c.Pause()
		c.Resume()
		rec.want() // not inside the call
		r.settle()
		rec.want(`message "c"`)
		c.Resume()
		r.settle()
		rec.want()
		if got := string(c.Tail()); got != "part" {
			t.Errorf("Tail is %q", got)
		}
		p.says("\n")
		rec.want(`message "part"`)
	})
}

func TestPauseAndResumeInMessage(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		_, rec, p := r.open(chat.Handler{
			Connect: func(c *chat.Conn) { c.Pause(); c.Resume() },
			Message: func(c *chat.Conn, _ []byte) { c.Pause(); c.Resume() },
		})
		p.says("a\nb\nc")
		rec.want(`message "a"`, `message "b"`)
		p.says("\n")
		rec.want(`message "c"`)
	})
}

func TestPauseInCollect(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{Collect: func(c *chat.Conn, _ []byte) { c.Pause() }})
		p.says("ab\n\nc")
		rec.want(`collect "ab"`)
		p.says("d")
		rec.want()
		c.Resume()
		r.settle()
		rec.want("end", "end", `collect "c"`)
		c.Resume()
		r.settle()
		rec.want(`collect "d"`)
	})
}

// The beginning of a delimiter that is held back stays one.
func TestPauseInDelimiter(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{Collect: func(c *chat.Conn, _ []byte) { c.Pause() }})
		c.SetTerminator(chat.Delim("\r\n.\r\n"))
		p.says("a\r\n.")
		p.says("\r\nb\r\n")
		rec.want(`collect "a"`)
		for _, want := range []string{"end\ncollect \"b\"", `collect "\r\nc"`} {
			c.Resume()
			r.settle()
			rec.want(want)
			p.says("c")
		}
	})
}

func TestPauseInTooLong(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{TooLong: func(c *chat.Conn) { c.Pause() }})
		c.SetTerminator(chat.Line.Limit(3))
		p.says("abcdefgh\nok\n")
		rec.want("too long")
		c.Resume()
		r.settle()
		rec.want(`message "ok"`)
	})
}

// A Conn that was paused before there was anything to deliver.
func TestPauseFirst(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.accepted(chat.Handler{}, func(c *chat.Conn) { c.Pause() })
		p.says("a\nb\n")
		p.closeWrite()
		r.settle()
		rec.want("connect")
		c.Resume()
		r.settle()
		rec.want(`message "a"`, `message "b"`, "close nil")
	})
}

// Output above high water stops frames; they go on when the peer reads.
func TestHighWater(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		const size = 700 << 10
		_, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, msg []byte) {
			if err := c.Push(make([]byte, size)); err != nil {
				t.Error(err)
			}
		}})
		p.says("a\nb\nc\n")
		rec.want(`message "a"`)
		got, _ := p.hears()
		rec.want("write", `message "b"`, "write", `message "c"`, "write")
		if len(got) != 3*size {
			t.Errorf("the peer read %d bytes, want %d", len(got), 3*size)
		}
	})
}

// 100,000 requests in one go, each with an answer, to a peer that reads none of
// them: what is queued stays near the mark, and nothing is lost.
func TestPipelining(t *testing.T) {
	r := newRig(t, loopConfig)
	most, answers, requests := 0, 0, 100_000
	if debugging || chat.RaceDetector {
		requests /= 10
	}
	c, _, p := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) {
		c.WriteString(strings.Repeat("y", 99) + "\n")
		most = max(most, c.Channel().Buffered())
		answers++
	}})
	rest := strings.Repeat("request\n", requests)
	got := 0
	for tries := 0; (rest != "" || got < requests*100) && tries < 1e5; tries++ {
		if n := p.sendSome(rest); n > 0 {
			rest = rest[n:]
			r.turn()
			continue
		}
		r.settle()
		more, _ := p.recv()
		got += len(more)
	}
	if answers != requests || got != requests*100 {
		t.Errorf("%d answers of %d, %d bytes", answers, requests, got)
	}
	if most > 65<<10 {
		t.Errorf("%d bytes were queued", most)
	}
	c.Abort()
}

// A frame without a byte needs no input, and a Count above its limit neither:
// they come when they are wanted, also where nothing else is there to deliver.
func TestNothingNeeded(t *testing.T) {
	for _, tt := range []struct {
		name string
		term chat.Terminator
		want string
	}{
		{"empty", chat.Count(0), `message ""`},
		{"too long", chat.Count(1000).Limit(10), `too long`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// how hinders the frame, and then lets it come.
			for name, how := range map[string]func(r *rig, c *chat.Conn, rec *record, p *peer){
				"outside": func(r *rig, c *chat.Conn, rec *record, p *peer) { c.SetTerminator(tt.term) },
				"in a timer": func(r *rig, c *chat.Conn, rec *record, p *peer) {
					r.l.After(time.Second, func() { c.SetTerminator(tt.term) })
					r.pass(time.Second)
				},
				"in Message": func(r *rig, c *chat.Conn, rec *record, p *peer) {
					p.says("set\n")
				},
				"while paused": func(r *rig, c *chat.Conn, rec *record, p *peer) {
					c.Pause()
					c.SetTerminator(tt.term)
					r.settle()
					rec.want()
					c.Resume()
				},
				"paused in Message": func(r *rig, c *chat.Conn, rec *record, p *peer) {
					p.says("set and pause\n")
					rec.want(`message "set and pause"`)
					c.Resume()
				},
				"above high water": func(r *rig, c *chat.Conn, rec *record, p *peer) {
					p.says("set and push\n")
					rec.want(`message "set and push"`)
					p.hears()
				},
			} {
				t.Run(name, func(t *testing.T) {
					eachBackend(t, func(t *testing.T, r *rig) {
						c, rec, p := r.open(chat.Handler{
							Message: func(c *chat.Conn, msg []byte) {
								if c.SetTerminator(chat.Line); strings.HasPrefix(string(msg), "set") {
									c.SetTerminator(tt.term)
								}
								if strings.HasSuffix(string(msg), "pause") {
									c.Pause()
								}
								if strings.HasSuffix(string(msg), "push") {
									c.Push(make([]byte, 700<<10))
								}
							},
							TooLong: func(c *chat.Conn) { c.SetTerminator(chat.Line) },
						})
						how(r, c, rec, p)
						r.settle()
						if n := len(rec.log); n == 0 || rec.log[n-1] != tt.want {
							t.Errorf("the last of %q is not %q", rec.log, tt.want)
						}
					})
				})
			}
		})
	}
}

// So they do before the Conn is established: Connect comes first.
func TestNothingNeededAtFirst(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		h := chat.Handler{Message: func(c *chat.Conn, _ []byte) { c.SetTerminator(chat.Line) }}
		_, rec, _ := r.accepted(h, func(c *chat.Conn) { c.SetTerminator(chat.Count(0)) })
		rec.want("connect", `message ""`)

		c, rec, _ := r.pair(h)
		c.SetTerminator(chat.Count(0))
		r.settle()
		rec.want("connect", `message ""`)

		h.Connect = func(c *chat.Conn) { c.SetTerminator(chat.Count(0)) }
		_, rec, _ = r.pair(h)
		r.settle()
		rec.want("connect", `message ""`)

		h.Connect = func(c *chat.Conn) { c.SetTerminator(chat.Count(0)); c.Pause() }
		c, rec, _ = r.pair(h)
		r.settle()
		rec.want("connect")
		c.Resume()
		r.settle()
		rec.want(`message ""`)
	})
}

// Frames without a byte for ever would keep the loop busy: the Conn closes.
func TestForEver(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, h := range []chat.Handler{{}, {Collect: collect}} {
			c, rec, p := r.open(h)
			p.says("a")
			c.SetTerminator(chat.Count(0))
			r.settle()
			if got := rec.log[len(rec.log)-1]; got != "close chat: frames without a byte follow each other for ever" {
				t.Errorf("at the end %q", got)
			}
			if n := len(rec.log); n > 2000 {
				t.Errorf("%d callbacks", n)
			}
		}
	})
}

// A terminator that is set while a frame is under way, by a timer: what has been
// read is framed anew, without input.
func TestSetTerminatorOutside(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{
			Message: func(c *chat.Conn, msg []byte) { c.SetTerminator(chat.Delim("never")) },
			TooLong: func(c *chat.Conn) { c.SetTerminator(chat.Delim("never")) },
		})
		c.SetTerminator(chat.Delim("never"))
		for _, tt := range []struct {
			term chat.Terminator
			want string
		}{
			{chat.Line, `message "line"`}, {chat.Count(4), `message "four"`}, {chat.Delim("--"), `message "dashes"`},
			{chat.LengthPrefix(1, bigEndian), `message "p"`}, {chat.VarintPrefix, `message "vv"`}, {chat.Count(0), `message ""`},
			{chat.Line.Limit(2), `too long`}, {chat.Line.Limit(2).Truncate(), `message "cu"`}, {chat.Stream, `message "stream"`},
		} {
			if tt.want == `message "line"` {
				p.says("line\r\nfourdashes--\x01p\x02vvtoo long\ncut\nstream")
			}
			rec.want()
			c.SetTerminator(tt.term)
			rec.want()
			r.settle()
			rec.want(tt.want)
		}
	})
}

// In the middle of a frame: of one that is cut at its limit too, nothing is
// thrown away then, since it has not been found too long yet.
func TestSetTerminatorInFrame(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, term := range []chat.Terminator{
			chat.Line, chat.Count(5), chat.Count(5).Limit(2).Truncate(), chat.LengthPrefix(1, bigEndian), chat.VarintPrefix,
			chat.LengthPrefix(1, bigEndian).Limit(2).Truncate(), chat.Line.Limit(2).Truncate(),
		} {
			c, rec, p := r.open(chat.Handler{Collect: func(*chat.Conn, []byte) {}})
			c.SetTerminator(term)
			r.settle()
			if s := term.String(); s[0] != 'L' && s[0] != 'V' || s == "Line" {
				p.says("a")
			} else {
				p.says("\x05a")
			}
			rec.want(`collect "a"`)
			c.SetTerminator(chat.Line)
			r.settle()
			p.says("bcd\nef\n")
			rec.want(`collect "bcd"`, "end", `collect "ef"`, "end")
		}
	})
}

// A Collect that pauses at a frame's last byte still has its Message come.
func TestCollectPauses(t *testing.T) {
	for _, c := range []struct {
		term chat.Terminator
		in   string
	}{{chat.Count(5), "hello"}, {chat.LengthPrefix(1, bigEndian), "\x05hello"}, {chat.Delim("\r\n"), "hello\r\n"}} {
		for _, eof := range []bool{false, true} {
			t.Run(fmt.Sprint(c.term, " eof ", eof), func(t *testing.T) {
				r := newRig(t, loopConfig)
				h := chat.Handler{Collect: func(c *chat.Conn, _ []byte) { c.Pause() }}
				cc, rec, p := r.open(h)
				cc.SetTerminator(c.term)
				p.says(c.in)
				rec.want(`collect "hello"`)
				if eof {
					p.closeWrite()
				}
				cc.Resume()
				r.settle()
				if eof {
					rec.want("end", "close nil")
				} else {
					rec.want("end")
				}
			})
		}
	}
}

// The same where Collect's answer passes high water.
func TestCollectChokes(t *testing.T) {
	r := newRig(t, loopConfig)
	big := bytes.Repeat([]byte("x"), 1<<20)
	h := chat.Handler{Collect: func(c *chat.Conn, _ []byte) { c.Push(big) }}
	cc, rec, p := r.open(h)
	cc.SetTerminator(chat.Count(5))
	p.says("hello")
	p.hears()
	rec.want(`collect "hello"`, "write", "end")
}
