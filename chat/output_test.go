//go:build unix

package chat_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
)

// What is pushed goes out in the order of pushing, whatever pushes it.
func TestPushOrder(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		_, _, p := r.open(chat.Handler{Message: func(c *chat.Conn, msg []byte) {
			c.Push([]byte("1 "), msg, nil, []byte(" 2 "))
			c.PushProducer(iotest.OneByteReader(strings.NewReader("3 ")))
			c.WriteString("4 ")
			c.PushProducer(strings.NewReader(""))
			c.PushProducer(chat.DotStuff(strings.NewReader(".\n")))
			c.PushProducer(chat.Chunked(strings.NewReader("5")))
			fmt.Fprintf(c, "%d ", 6)
			if n, err := c.Write(nil); n != 0 || err != nil {
				t.Errorf("Write(nil) = %d, %v", n, err)
			}
			if err := c.Push(); err != nil {
				t.Error(err)
			}
			for i := range msg {
				msg[i] = '!' // Push has copied it
			}
			c.Close()
		}})
		p.says("msg\n")
		got, eof := p.hears()
		_, after, _ := strings.Cut(string(got), "1 msg 2 3 4 ..\r\n.\r\n")
		if !strings.HasSuffix(after, "1\r\n5\r\n0\r\n\r\n6 ") || !eof {
			t.Errorf("the peer read %q, end %v", got, eof)
		}
	})
}

func TestPushAfterClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for name, end := range map[string]func(*chat.Conn){
			"Close": func(c *chat.Conn) { c.Close() },
			"Abort": func(c *chat.Conn) { c.Abort() },
			"Fail":  func(c *chat.Conn) { c.Fail(errUser) },
		} {
			_, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) {
				c.WriteString("before")
				end(c)
				for what, err := range map[string]error{
					"Push":         c.Push([]byte("after")),
					"Push nothing": c.Push(),
					"PushProducer": c.PushProducer(strings.NewReader("after")),
					"Close":        c.Close(),
				} {
					if !errors.Is(err, net.ErrClosed) {
						t.Errorf("%s after %s: %v", what, name, err)
					}
				}
				if n, err := c.WriteString("after"); n != 0 || !errors.Is(err, net.ErrClosed) {
					t.Errorf("WriteString after %s: %d, %v", name, n, err)
				}
			}})
			p.says("a\n")
			want := "before"
			if name == "Abort" {
				want = ""
			}
			if got, _ := p.recv(); string(got) != want || !rec.closed {
				t.Errorf("%s: the peer read %q; closed %v", name, got, rec.closed)
			}
		}
	})
}

// A frame that passes the hard limit is not sent in part.
func TestPushAllOrNothing(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{})
		c.Channel().SetWater(10, 100, 1000)
		r.l.Post(func() {
			for i, tt := range []struct {
				parts []int
				ok    bool
			}{{[]int{50, 50}, true}, {[]int{1}, true}, {[]int{899}, true}, {[]int{0, 0}, true}, {[]int{1, 1}, false}, {[]int{1}, false}} {
				var parts [][]byte
				for _, n := range tt.parts {
					parts = append(parts, make([]byte, n))
				}
				if err := c.Push(parts...); (err == nil) != tt.ok {
					t.Errorf("push %d: %v", i, err)
				}
			}
		})
		r.settle()
		rec.want("close output limit")
		if got, _ := p.recv(); len(got) > 0 {
			t.Errorf("the peer read %d bytes", len(got))
		}
	})
}

// parts is a producer by hand: what it gives next, and how that ends.
type parts struct {
	next []any // string, error, or nil for nothing now
	asks int
}

func (s *parts) Read(p []byte) (int, error) {
	if s.asks++; len(s.next) == 0 {
		return 0, io.EOF
	}
	next := s.next[0]
	s.next = s.next[1:]
	switch next := next.(type) {
	case string:
		return copy(p, next), nil
	case error:
		return 0, next
	}
	return 0, nil
}

// A producer that has nothing to give is not asked again before Unpark, and
// what is pushed behind it waits.
func TestProducerParks(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{})
		src := &parts{next: []any{"one ", nil, nil, "two ", nil, "three "}}
		c.PushProducer(src)
		c.WriteString("after")
		hear := func(want string) {
			t.Helper()
			if got, _ := p.hears(); string(got) != want {
				t.Errorf("the peer read %q, want %q", got, want)
			}
		}
		hear("one ")
		asks := src.asks
		r.pass(second)
		if src.asks != asks {
			t.Error("asked again before Unpark")
		}
		c.Unpark()
		hear("")
		c.Unpark()
		c.Unpark()
		hear("two ")
		c.Close() // asks once more, and waits
		hear("three after")
		rec.want("close nil")
	})
}

// A parked producer that never goes on ends by the linger timeout.
func TestProducerParksForEver(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, _ := r.open(chat.Handler{})
		c.PushProducer(&parts{next: []any{"one ", nil, nil, nil, nil}})
		r.settle()
		c.Close()
		r.pass(30*second - 1)
		rec.want()
		r.pass(1)
		if !errors.Is(rec.err, channel.ErrStalled) {
			t.Errorf("Close(%v)", rec.err)
		}
	})
}

func TestProducerFails(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, wrap := range []func(io.Reader) io.Reader{
			func(r io.Reader) io.Reader { return r }, chat.DotStuff, chat.Chunked,
		} {
			c, rec, p := r.open(chat.Handler{})
			c.PushProducer(wrap(&parts{next: []any{"one\r\n", errUser}}))
			c.WriteString("after")
			var got string
			func() {
				defer func() { recover() }()
				more, _ := p.hears()
				got = string(more)
			}()
			rec.want("close the user's")
			if strings.Contains(got, "after") || strings.Contains(got, "0\r\n\r\n") || strings.Contains(got, "\r\n.\r\n") {
				t.Errorf("the peer read %q, as if that were all", got)
			}
		}
	})
}

// A producer that breaks io.Reader's contract costs its own Conn, and sends
// nothing of the memory behind it.
func TestProducerLies(t *testing.T) {
	for _, extra := range []int{1, 1 << 20, -1 << 20} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"plain": func(r io.Reader) io.Reader { return r }, "DotStuff": chat.DotStuff, "Chunked": chat.Chunked,
		} {
			t.Run(fmt.Sprint(name, extra), func(t *testing.T) {
				r := newRig(t, loopConfig)
				c, rec, p := r.open(chat.Handler{})
				c.PushProducer(wrap(readerFn(func(p []byte) (int, error) { return len(p) + extra, nil })))
				c.Close()
				for range 100 {
					if rec.closed {
						break
					}
					r.turn()
					p.recv()
				}
				if !rec.closed || rec.err == nil {
					t.Errorf("closed %v, %v", rec.closed, rec.err)
				}
			})
		}
	}
}

// A producer is asked when the peer has taken what came before, not earlier.
func TestProducerPaced(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, _, p := r.open(chat.Handler{})
		given := 0
		c.PushProducer(readerFn(func(p []byte) (int, error) {
			if given >= 8<<20 {
				return 0, io.EOF
			}
			given += len(p)
			return len(p), nil
		}))
		r.settle()
		before := given
		if before > 2<<20 {
			t.Errorf("the peer has read nothing, and %d bytes were asked for", before)
		}
		got, _ := p.hears()
		if len(got) != given || given < 8<<20 {
			t.Errorf("the peer read %d of %d bytes", len(got), given)
		}
	})
}

// Input goes on while a producer sends, and its answers come behind it.
func TestProducerAndInput(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, msg []byte) { c.Push([]byte("re: "), msg) }})
		c.PushProducer(&parts{next: []any{"body ", nil, "end "}})
		r.settle()
		p.says("question\n")
		rec.want(`message "question"`)
		got, _ := p.hears()
		c.Unpark()
		more, _ := p.hears()
		if diff := cmp.Diff("body end re: question", string(got)+string(more)); diff != "" {
			t.Error(diff)
		}
	})
}

// Lines of all lengths, in pieces of all sizes, come one by one and go back as they
// came. They have much in them that could be taken for their end.
func TestEchoLines(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, end := range []string{"\n", "\r\n", "\r\r\n", "ab\x00"} {
		for _, longest := range []int{1, 8, 60, 70, 300} {
			var b []byte
			for range 500 {
				for range rng.IntN(longest) {
					b = append(b, "\n\r\v\x8aab\x00\x01\x80xyz"[rng.IntN(12)])
				}
				b = append(b, end...)
			}
			stream := string(b)
			want := strings.SplitAfter(stream, end)
			want = want[:len(want)-1]
			r := newRig(t, loopConfig)
			var got []string
			c, _, p := r.open(chat.Handler{Message: func(c *chat.Conn, line []byte) {
				if cap(line) != len(line) {
					t.Errorf("a line has room for %d bytes behind it", cap(line)-len(line))
				}
				got = append(got, string(line)+end)
				c.Push(line, []byte(end))
			}})
			c.SetTerminator(chat.Delim(end))
			var echo []byte
			for rest := stream; rest != ""; {
				n := p.sendSome(rest[:min(len(rest), 1+rng.IntN(4000))])
				rest = rest[n:]
				r.turn()
				some, _ := p.recv()
				echo = append(echo, some...)
			}
			some, _ := p.hears()
			if echo = append(echo, some...); string(echo) != stream || !slices.Equal(got, want) {
				t.Errorf("%q, up to %d bytes: %d lines, want %d; %d bytes back, want %d",
					end, longest, len(got), len(want), len(echo), len(stream))
			}
		}
	}
}
