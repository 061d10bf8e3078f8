//go:build unix

package chat_test

import (
	"errors"
	"io"
	"testing"

	"github.com/seed-20e08ac4/asyncore/chat"
)

// The end of the stream at the end of a frame is an ordinary one, within a frame
// it is io.ErrUnexpectedEOF; what there is of that is in Tail.
func TestEOF(t *testing.T) {
	for _, tt := range []struct {
		name  string
		term  chat.Terminator
		sent  string
		tail  string
		short bool // of what a frame needs
	}{
		{"nothing sent", chat.Line, "", "", false},
		{"at a line's end", chat.Line, "a\r\n", "", false},
		{"in a line", chat.Line, "a\nbc", "bc", true},
		{"between CR and LF", chat.Line, "a\r", "a\r", true},
		{"in a delimiter", chat.Delim("\r\n.\r\n"), "a\r\n.\r", "a\r\n.\r", true},
		{"an empty count", chat.Count(3), "abc", "", false},
		{"in a count", chat.Count(3), "abcde", "de", true},
		{"in a prefix", chat.LengthPrefix(2, bigEndian), "\x00\x01a\x00", "\x00", true},
		{"after a prefix", chat.LengthPrefix(2, bigEndian), "\x00\x01", "\x00\x01", true},
		{"in a prefixed frame", chat.LengthPrefix(2, bigEndian), "\x00\x02a", "\x00\x02a", true},
		{"after a prefix of 0", chat.LengthPrefix(2, bigEndian), "\x00\x00", "", false},
		{"in a varint", chat.VarintPrefix, "\x80", "\x80", true},
		{"a stream", chat.Stream, "abc", "", false},
		{"thrown away in part", chat.Line.Limit(3), "too long", "", true},
		{"thrown away", chat.Line.Limit(3), "too long\n", "", false},
		{"cut in part", chat.Line.Limit(3).Truncate(), "too long", "", true},
		{"cut", chat.Line.Limit(3).Truncate(), "too long\n", "", false},
		{"a count thrown away in part", chat.Count(5).Limit(3), "1234", "", true},
		{"a prefixed frame cut in part", chat.LengthPrefix(1, bigEndian).Limit(2).Truncate(), "\x04123", "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				want := error(nil)
				if tt.short {
					want = io.ErrUnexpectedEOF
				}
				// byDefault, by a Handler's EOF, and the same with Collect, which has had
				// the bytes that Tail would show.
				for _, h := range []chat.Handler{
					{}, {Collect: collect}, {EOF: func(c *chat.Conn) { c.Close() }},
					{Collect: collect, EOF: func(c *chat.Conn) { c.Channel().Close() }},
				} {
					h.TooLong = nothing
					h.Close = func(c *chat.Conn, err error) {
						if !errors.Is(err, want) || (err == nil) != (want == nil) {
							t.Errorf("Close(%v), want %v", err, want)
						}
						if h.Collect == nil && string(c.Tail()) != tt.tail {
							t.Errorf("in Close, Tail is %q, want %q", c.Tail(), tt.tail)
						}
					}
					if eof := h.EOF; eof != nil {
						h.EOF = func(c *chat.Conn) {
							if h.Collect == nil && string(c.Tail()) != tt.tail {
								t.Errorf("in EOF, Tail is %q, want %q", c.Tail(), tt.tail)
							}
							eof(c)
						}
					}
					c, rec, p := r.pair(h)
					c.SetTerminator(tt.term)
					r.settle()
					p.send(tt.sent)
					p.closeWrite()
					r.settle()
					if !rec.closed {
						t.Errorf("not closed: %q", rec.log)
					}
				}
			})
		})
	}
}

// What the answer to EOF says goes out; the user's reason stands.
func TestEOFAnswer(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		_, rec, p := r.open(chat.Handler{EOF: func(c *chat.Conn) {
			c.WriteString("bye\n")
			c.Fail(errUser)
		}})
		p.says("a")
		p.closeWrite()
		got, eof := p.hears()
		if string(got) != "bye\n" || !eof {
			t.Errorf("the peer read %q, end %v", got, eof)
		}
		rec.want(`eof "a"`, "close the user's")
	})
}

// After EOF there is no frame any more, whatever is done.
func TestNothingAfterEOF(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{EOF: func(c *chat.Conn) { c.SetTerminator(chat.Stream) }})
		p.says("a")
		p.closeWrite()
		r.settle()
		rec.want(`eof "a"`)
		c.SetTerminator(chat.Count(0))
		c.Pause()
		c.Resume()
		c.SetHandler(rec.watch(chat.Handler{Urgent: func(*chat.Conn, byte) {}}))
		r.settle()
		rec.want()
		if err := c.Push([]byte("later\n")); err != nil {
			t.Error(err)
		}
		if got, _ := p.hears(); string(got) != "later\n" {
			t.Errorf("the peer read %q", got)
		}
		c.Close()
		r.settle()
		rec.want("close unexpected EOF")
	})
}

// Frames that wait come before the end behind them.
func TestEOFWaits(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) { c.Pause() }})
		p.send("a\nb\nc")
		p.close()
		for _, want := range []string{`message "a"`, `message "b"`} {
			r.settle()
			rec.want(want)
			c.Resume()
		}
		r.settle()
		rec.want("close unexpected EOF")
	})
}

// What follows a frame that is too long does not say that this one has ended.
func TestEOFThrownAwayBeforeAStream(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		c, rec, p := r.open(chat.Handler{TooLong: func(c *chat.Conn) { c.SetTerminator(chat.Stream) }})
		c.SetTerminator(chat.Line.Limit(3))
		p.says("too long")
		p.closeWrite()
		r.settle()
		rec.want("too long", "close unexpected EOF")
	})
}
