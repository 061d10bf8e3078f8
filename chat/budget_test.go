//go:build unix

package chat_test

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// A peer that sends empty lines has a few hundred of them in a turn, however many
// wait and however many more it sends: another Conn's line is not behind them all.
func TestTurnBudget(t *testing.T) {
	for name, more := range map[string]string{"16 KiB": "", "and more": strings.Repeat("\n", 8<<10)} {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				flood, answered, sent := 0, 0, 16<<10
				_, _, busy := r.open(chat.Handler{Message: func(*chat.Conn, []byte) { flood++ }})
				_, _, other := r.open(chat.Handler{Message: func(c *chat.Conn, _ []byte) { answered++ }})
				busy.send(strings.Repeat("\n", sent))
				most, waited := 0, 0
				for turns := 1; turns <= 100; turns++ {
					sent += busy.sendSome(more)
					other.send("x\n")
					before := flood
					r.turn()
					most, waited = max(most, flood-before), max(waited, turns-answered)
				}
				if flood < min(sent, 100*256) || most > 2*256 || waited > 1 {
					t.Errorf("%d lines of %d; up to %d in a turn; the other waited for %d turns", flood, sent, most, waited)
				}
			})
		})
	}
}

// So do small frames with Collect, and with a length in front.
func TestTurnBudgetKinds(t *testing.T) {
	for _, tt := range []struct {
		term chat.Terminator
		text string
	}{
		{chat.Delim("\r\n"), "\r\n"}, {chat.Count(1), "x"}, {chat.LengthPrefix(1, bigEndian), "\x00"}, {chat.VarintPrefix, "\x01x"},
		{chat.Line.Limit(1), "xxx\n"}, {chat.Line.Limit(1).Truncate(), "xxx\n"},
	} {
		for _, h := range []chat.Handler{{}, {Collect: collect}} {
			r := newRig(t, loopConfig)
			h.TooLong = nothing
			c, rec, p := r.open(h)
			c.SetTerminator(tt.term)
			r.settle()
			rec.want()
			p.send(strings.Repeat(tt.text, 5000))
			most, ends := 0, 0
			for turns := 0; turns < 1000 && ends < 5000; turns++ {
				rec.log = rec.log[:0]
				r.turn()
				for _, e := range rec.log {
					if !strings.HasPrefix(e, "collect") {
						ends++
					}
				}
				most = max(most, len(rec.log))
			}
			r.settle()
			if ends != 5000 || most > 2*256 {
				t.Errorf("%v: %d frames, up to %d callbacks in a turn", tt.term, ends, most)
			}
			rec.log = nil
		}
	}
}

// What a Conn keeps of a frame counts as the loop's: above its bound the one
// with the most is closed.
func TestMaxBuffered(t *testing.T) {
	r := newRig(t, loop.Config{MaxBuffered: 100 << 10})
	_, small, p1 := r.open(chat.Handler{})
	c, large, p2 := r.open(chat.Handler{})
	c.SetTerminator(chat.Count(1 << 20))
	p1.says(strings.Repeat("x", 4<<10))
	for range 30 {
		if large.closed {
			break
		}
		p2.says(strings.Repeat("x", 4<<10))
	}
	large.want("close output limit")
	small.want()
	p1.says("\n")
	small.want(`message 4096×"x"`)
}

// A line without an end costs its limit and no more.
func TestEndlessLine(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		_, rec, p := r.open(chat.Handler{})
		for range 10 {
			if !rec.closed {
				p.says(strings.Repeat("x", 1000))
			}
		}
		rec.want("close too long")
		if n := r.l.Stats().Buffered; n != 0 {
			t.Errorf("%d bytes are kept", n)
		}

		_, rec, p = r.open(chat.Handler{TooLong: func(c *chat.Conn) { c.WriteString("500 line too long\n") }})
		for range 1000 {
			p.says(strings.Repeat("x", 1000))
			if n := r.l.Stats().Buffered; n > 9<<10 {
				t.Fatalf("%d bytes are kept", n)
			}
		}
		rec.want("too long")
		p.says("\nok\n")
		rec.want(`message "ok"`)
		if got, _ := p.recv(); string(got) != "500 line too long\n" {
			t.Errorf("the peer read %q", got)
		}
	})
}

// A length that no memory holds is not made room for.
func TestHugeLength(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, sent := range []string{"\x7f\xff\xff\xff\xff\xff\xff\xff", "\x40\x00\x00\x00\x00\x00\x00\x00", "\xff\xff\xff\xff\xff\xff\xff\xff", "\x00\x00\x00\x00\x00\x10\x00\x01"} {
			c, rec, p := r.open(chat.Handler{})
			c.SetTerminator(chat.LengthPrefix(8, bigEndian))
			p.says(sent)
			rec.want("close too long")

			c, rec, p = r.open(chat.Handler{})
			c.SetTerminator(chat.LengthPrefix(8, bigEndian).Limit(math.MaxInt))
			p.says("\x00\x00\x00\x00\x70\x00\x00\x00" + strings.Repeat("x", 1000))
			rec.want()
			c.Abort()
			r.settle()
			rec.want("close closed")
		}
	})
}

// A frame of 1 MiB that comes in small pieces is put together with a bounded
// number of copies: what is allocated is a few times its size.
func TestGathering(t *testing.T) {
	if debugging {
		t.Skip("debug mode allocates")
	}
	r := newRig(t, loopConfig)
	var got int
	c, _, p := r.open(chat.Handler{Message: func(_ *chat.Conn, msg []byte) { got += len(msg) }})
	c.SetTerminator(chat.Delim("\r\n").Limit(1 << 20))
	piece := strings.Repeat("x", 1<<10)
	for round := range 2 { // the first warms the loop's buffers up
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 1 << 10 {
			p.sendSome(piece)
			r.turn()
		}
		p.says("\r\n")
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; round > 0 && n > 16<<20 {
			t.Errorf("%d bytes allocated for a frame of 1 MiB", n)
		}
	}
	if got != 2<<20 {
		t.Errorf("frames of %d bytes in all", got)
	}
}

// Nothing is allocated for a line.
func TestAllocs(t *testing.T) {
	if chat.RaceDetector || debugging {
		t.Skip("the race detector and debug mode allocate")
	}
	for _, tt := range []struct {
		name, text string
		term       chat.Terminator
		h          chat.Handler
	}{
		{"line", "PING 12345\r\n", chat.Line, chat.Handler{}},
		{"delimiter", "PING 12345\r\n", chat.Delim("\r\n"), chat.Handler{}},
		{"collect", "PING 12345\r\n", chat.Line, chat.Handler{Collect: collect}},
		{"prefix", "\x03abc", chat.LengthPrefix(1, bigEndian), chat.Handler{}},
		{"varint", "\x03abc", chat.VarintPrefix, chat.Handler{Collect: collect}},
	} {
		r := newRig(t, loopConfig)
		conn, p := r.raw(discard)
		lines := 0
		tt.h.Message = func(c *chat.Conn, msg []byte) {
			lines++
			c.Write(msg)
			c.WriteString("+OK\r\n")
		}
		c := chat.Attach(conn, &tt.h)
		c.SetTerminator(tt.term)
		c.SetFrameTimeout(limit)
		batch, whole := []byte(strings.Repeat(tt.text, 100)), true
		for _, split := range []bool{false, true} {
			n := testing.AllocsPerRun(20, func() {
				at := len(batch)
				if split {
					at -= 3 // the rest comes with the next turn
				}
				whole = p.write(batch[:at]) && whole
				r.turn()
				whole = p.write(batch[at:]) && whole
				r.turn()
				p.read()
			})
			if n > 0 || !whole {
				t.Errorf("%s, split %v: %v allocations for 100 frames; all sent: %v", tt.name, split, n, whole)
			}
		}
		if lines != 2*21*100 {
			t.Errorf("%s: %d frames", tt.name, lines)
		}
	}
}

// Who asks for a read in every turn gets it in some.
func TestRedeliverComes(t *testing.T) {
	r := newRig(t, loopConfig)
	reads := 0
	b, _ := r.raw(&channel.Handler{Read: func(*channel.Conn, []byte) { reads++ }})
	r.settle()
	busy := 0
	a, p := r.raw(&channel.Handler{})
	a.SetHandler(&channel.Handler{Read: func(*channel.Conn, []byte) { busy++; b.Redeliver() }})
	r.settle()
	for range 1000 {
		p.send("x")
		r.turn()
	}
	if reads < 100 {
		t.Errorf("in 1000 turns, Redeliver was asked for in %d, and Read called %d times", busy, reads)
	}
}

// As many empty frames are too many with Collect as without.
func TestEmptyFrames(t *testing.T) {
	for _, withCollect := range []bool{false, true} {
		r := newRig(t, loopConfig)
		n := 0
		h := chat.Handler{Message: func(c *chat.Conn, _ []byte) {
			if n++; n == 200 {
				c.SetTerminator(chat.Line)
			}
		}}
		if withCollect {
			h.Collect = collect
		}
		conn, p := r.raw(discard)
		chat.Attach(conn, &h).SetTerminator(chat.Count(0))
		r.settle()
		if n != 200 {
			t.Errorf("collect %v: %d empty frames", withCollect, n)
		}
		_ = p
	}
}
