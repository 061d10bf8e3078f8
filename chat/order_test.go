//go:build unix

package chat_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-20e08ac4/asyncore/chat"
)

// One connection that sees every callback, in the promised order, and no
// segmentation that changes it.
func TestOrder(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, size := range []int{1, 2, 3, 5, 8, 100} {
			_, rec, p := r.open(chat.Handler{TooLong: nothing, EOF: func(c *chat.Conn) { c.Close() }, Message: func(c *chat.Conn, msg []byte) {
				switch string(msg) {
				case "data":
					c.SetTerminator(chat.Delim("\r\n.\r\n"))
				case "count":
					c.SetTerminator(chat.Count(3))
				default:
					c.SetTerminator(chat.Line.Limit(6))
				}
			}})
			rest := "a\r\n\nb\rc\ndata\r\na\r\n.\r.\r\n.\r\ncount\n\r\n\ntoo long\n\x00\xff\n"
			for len(rest) > 0 {
				n := min(size, len(rest))
				p.send(rest[:n])
				r.turn()
				rest = rest[n:]
			}
			p.closeWrite()
			r.settle()
			rec.want(`message "a"`, `message ""`, `message "b\rc"`, `message "data"`, `message "a\r\n.\r."`, `message "count"`,
				`message "\r\n\n"`, `too long`, `message "\x00\xff"`, `eof ""`, `close nil`)
		}
	})
}

// How far one frame has been looked through says nothing of the next.
func TestScannedOnce(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{})
		c.SetTerminator(chat.Delim("\r\n"))
		p.says("0123456789")
		p.says("\r\na\nb\r\nc\r\n")
		rec.want(`message "0123456789"`, `message "a\nb"`, `message "c"`)
	})
}

// A Conn does with random scripts what the naive splitter does, in segments of
// random sizes, with Collect and without.
func TestScripts(t *testing.T) {
	r := newRig(t, loopConfig)
	rng := rand.New(rand.NewPCG(7, 8))
	scripts := 3000
	if debugging || chat.RaceDetector {
		scripts /= 10
	}
	for range scripts {
		s, terms := chat.Script(rng)
		var got []string
		part := ""
		next := func(c *chat.Conn, what string) {
			got = append(got, what)
			if len(got) < len(terms) {
				c.SetTerminator(terms[len(got)])
			}
			if rng.IntN(4) == 0 {
				c.Pause()
			}
		}
		h := &chat.Handler{
			Message: func(c *chat.Conn, msg []byte) {
				if c.Terminator() == chat.Stream {
					return
				}
				text := part + string(msg)
				part = ""
				next(c, strings.TrimSuffix(fmt.Sprintf("message %q", text), ` ""`))
			},
			TooLong: func(c *chat.Conn) {
				part = ""
				next(c, "too long")
			},
			Close: func(_ *chat.Conn, err error) {
				switch {
				case strings.Contains(err.Error(), "overflows"):
					got = append(got, "malformed")
				case strings.Contains(err.Error(), "for ever"):
					got = append(got, "for ever")
				}
			},
		}
		collects := rng.IntN(2) == 0
		if collects {
			h.Collect = func(c *chat.Conn, data []byte) { part += string(data) }
		}
		conn, p := r.raw(discard)
		c := chat.Attach(conn, h)
		c.SetTerminator(terms[0])
		r.turn()
		for rest := s; rest != ""; {
			n := min(1+rng.IntN(1+rng.IntN(20)), len(rest))
			p.sendSome(rest[:n])
			rest = rest[n:]
			r.turn()
			c.Resume()
		}
		for range 1000 {
			c.Resume()
			before := len(got)
			r.turn()
			c.Resume()
			if r.turn(); len(got) == before {
				break
			}
		}
		want := chat.Naive(s, terms)
		if n := len(want); n > 0 && want[n-1] == "for ever" { // after how many is the Conn's affair
			want, got = want[:min(n, 200)], got[:min(len(got), 200)]
		}
		c.Abort()
		p.close()
		r.turn()
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%q by %v, Collect %v: (-naive +got)\n%s", s, terms, collects, diff)
		}
	}
}

var errUser = errors.New("the user's")

// Close, Abort, Fail or a panic in each callback: what has been read already
// is not delivered any more, and Close comes once, with the reason.
func TestEndInCallback(t *testing.T) {
	ends := []struct {
		name, want string
		end        func(c *chat.Conn)
	}{
		{"Close", "close nil", func(c *chat.Conn) { c.Close() }},
		{"Abort", "close closed", func(c *chat.Conn) { c.Abort() }},
		{"Fail", "close the user's", func(c *chat.Conn) { c.Fail(errUser) }},
		{"Fail twice", "close the user's", func(c *chat.Conn) { c.Fail(errUser); c.Fail(errors.New("another")) }},
		{"Close of the channel", "close nil", func(c *chat.Conn) { c.Channel().Close() }},
		{"panic", "close panic: the user's", func(*chat.Conn) { panic("the user's") }},
	}
	for _, hook := range []string{"connect", "message", "end", "collect", "too long", "urgent", "write", "eof"} {
		for _, e := range ends {
			t.Run(hook+"/"+e.name, func(t *testing.T) {
				eachBackend(t, func(t *testing.T, r *rig) {
					panics := uint64(0)
					if e.name == "panic" {
						panics = 1
					}
					r.panics = panics
					done := false
					at := func(name string) func(c *chat.Conn) {
						return func(c *chat.Conn) {
							if name == hook {
								done = true
								e.end(c)
							}
						}
					}
					h := chat.Handler{
						Connect: at("connect"), TooLong: at("too long"), EOF: at("eof"), Write: at("write"),
						Urgent: func(c *chat.Conn, _ byte) { at("urgent")(c) },
						Message: func(c *chat.Conn, msg []byte) {
							at("message")(c)
							at("end")(c)
							if hook == "write" {
								c.Push(make([]byte, 700<<10)) // taken whole, since nothing is queued
								c.Pause()
							}
						},
					}
					if hook == "collect" || hook == "end" {
						h.Collect = func(c *chat.Conn, _ []byte) { at("collect")(c) }
					}
					pair := r.pair
					if hook == "urgent" {
						pair = func(h chat.Handler) (*chat.Conn, *record, *peer) { return r.accepted(h, nil) }
					}
					c, rec, p := pair(h)
					c.SetTerminator(chat.Line.Limit(10))
					rec.over = func() bool { return done }
					r.settle()
					if hook == "urgent" {
						r.panics = 0
						p.urge(rec)
						r.panics = panics
					}
					if !done {
						p.send("one\ntwo\n" + strings.Repeat("x", 30) + "\nthree\n")
					}
					r.settle()
					if hook == "write" {
						p.hears()
					}
					if hook == "eof" {
						p.closeWrite()
						r.settle()
					}
					p.close()
					r.settle()
					if !done {
						t.Fatalf("no such callback, only %q", rec.log)
					}
					if got := rec.log[len(rec.log)-1]; !rec.closed || got != e.want && hook != "write" {
						t.Errorf("at the end %q, want %q", got, e.want)
					}
				})
			})
		}
	}
}

// What is done in Close reaches nobody, and leaves nothing behind.
func TestCallsInClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		h := chat.Handler{Close: func(c *chat.Conn, err error) {
			c.SetTerminator(chat.Count(0))
			c.SetTerminator(chat.Line)
			c.SetHandler(&chat.Handler{Message: func(*chat.Conn, []byte) {}, Urgent: func(*chat.Conn, byte) {}})
			c.Pause()
			c.Resume()
			c.Unpark()
			if c.Push([]byte("x")) == nil || c.PushProducer(strings.NewReader("x")) == nil || c.Close() == nil {
				t.Error("Push, PushProducer or Close goes on in Close")
			}
			c.Abort()
			c.Fail(errUser)
			if string(c.Tail()) != "a" {
				t.Errorf("Tail is %q", c.Tail())
			}
		}}
		c, rec, p := r.open(h)
		p.says("a")
		c.Abort()
		r.settle()
		rec.want("close closed")
	})
}

// One Handler serves many Conns.
func TestSharedHandler(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var log []string
		h := &chat.Handler{Message: func(c *chat.Conn, msg []byte) {
			log = append(log, c.String()+string(msg))
			c.Push(msg, []byte("\n"))
		}}
		var peers []*peer
		for range 20 {
			conn, p := r.raw(discard)
			chat.Attach(conn, h)
			peers = append(peers, p)
		}
		for i, p := range peers {
			p.send(strings.Repeat("x", i) + "\n" + strings.Repeat("y", i))
		}
		r.settle()
		for i, p := range peers {
			p.says("\n")
			if got, _ := p.recv(); string(got) != strings.Repeat("x", i)+"\n"+strings.Repeat("y", i)+"\n" {
				t.Errorf("Conn %d: %q", i, got)
			}
		}
		if len(log) != 40 {
			t.Errorf("%d messages, want 40", len(log))
		}
	})
}

func TestMisuse(t *testing.T) {
	r := newRig(t, loopConfig)
	conn, _ := r.raw(discard)
	ok := &chat.Handler{Message: func(*chat.Conn, []byte) {}}
	c := chat.Attach(conn, ok)
	for what, f := range map[string]func(){
		"Attach twice":        func() { chat.Attach(conn, ok) },
		"Attach nil":          func() { chat.Attach(conn, nil) },
		"no Message":          func() { chat.Attach(conn, &chat.Handler{Collect: collect}) },
		"SetHandler(nil)":     func() { c.SetHandler(nil) },
		"SetHandler":          func() { c.SetHandler(new(chat.Handler)) },
		"zero Terminator":     func() { c.SetTerminator(chat.Terminator{}) },
		"Limit, no kind":      func() { c.SetTerminator(chat.Terminator{}.Limit(1).Truncate()) },
		"Delim of nothing":    func() { chat.Delim("") },
		"Delim of 65":         func() { chat.Delim(strings.Repeat("x", 65)) },
		"Count(-1)":           func() { chat.Count(-1) },
		"LengthPrefix(3)":     func() { chat.LengthPrefix(3, bigEndian) },
		"LengthPrefix(0)":     func() { chat.LengthPrefix(0, bigEndian) },
		"LengthPrefix(-1)":    func() { chat.LengthPrefix(-1, bigEndian) },
		"Limit(0)":            func() { chat.Line.Limit(0) },
		"Limit(-1)":           func() { chat.Count(1).Limit(-1) },
		"Limit below Delim":   func() { chat.Delim("abc").Limit(2) },
		"Fail(nil)":           func() { c.Fail(nil) },
		"PushProducer(nil)":   func() { c.PushProducer(nil) },
		"Attach after Attach": func() { chat.Attach(c.Channel(), ok) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", what)
				}
			}()
			f()
		}()
	}
	if c.Terminator() != chat.Line {
		t.Errorf("Terminator() = %v, want Line", c.Terminator())
	}
	c.SetTerminator(chat.Count(5))
	if c.Terminator() != chat.Count(5) || c.Terminator() == chat.Count(5).Truncate() {
		t.Errorf("Terminator() = %v, want Count(5)", c.Terminator())
	}
	chat.Delim(strings.Repeat("x", 64))
	chat.Delim("abc").Limit(3)
}
