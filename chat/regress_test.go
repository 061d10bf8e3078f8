//go:build unix

package chat_test

import (
	"bytes"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

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

// Who asks for a read in every turn gets it in some.
func TestAgainStarves(t *testing.T) {
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

// A Conn whose output has failed is read to its end, however slowly.
func TestBrokenSlowReader(t *testing.T) {
	r := newRig(t, loopConfig)
	var got []string
	var c *chat.Conn
	var err error
	closedAt := time.Duration(0)
	conn, p := r.raw(discard)
	began := r.l.Now()
	c = chat.Attach(conn, &chat.Handler{Message: func(c *chat.Conn, m []byte) {
		got = append(got, string(m))
		c.Pause()
		r.l.After(10*time.Second, c.Resume)
	}, Close: func(_ *chat.Conn, e error) { err = e; closedAt = r.l.Now() - began }})
	r.settle()
	for i := range 10 {
		p.send(fmt.Sprintln("line", i))
	}
	unix.Shutdown(p.fd, unix.SHUT_RD)
	c.Push([]byte("answer"))
	r.settle()
	for range 20 {
		r.pass(10 * time.Second)
	}
	if len(got) != 10 {
		t.Errorf("%d of 10 lines, which had all been read before the Conn closed after %v with %v", len(got), closedAt, err)
	}
}

// Of several parts none goes out behind one that has failed.
func TestWritevAfterFailure(t *testing.T) {
	f := faultsys.New(t, sys.Real())
	x, err := core.On(loop.Config{}, f)
	if err != nil {
		t.Fatal(err)
	}
	l := x.(*loop.Loop)
	defer l.Close()
	fds, _ := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	f.Give(fds[0])
	var reason error
	c, err := channel.AdoptFD(l, fds[0], &channel.Handler{Close: func(_ *channel.Conn, err error) { reason = err }})
	if err != nil {
		t.Fatal(err)
	}
	l.Poll(0)
	f.Fail(faultsys.Send, syscall.ECONNRESET, faultsys.Times(1))
	a, b := bytes.Repeat([]byte("a"), 16<<10), bytes.Repeat([]byte("b"), 16<<10)
	before := f.Count(faultsys.Send)
	werr := c.Writev(a, b)
	sends := f.Count(faultsys.Send) - before
	for range 5 {
		l.Poll(0)
	}
	buf := make([]byte, 64<<10)
	unix.SetNonblock(fds[1], true)
	n, _ := unix.Read(fds[1], buf)
	if n > 0 {
		t.Errorf("first part failed (%d sends, error %v, close %v), and the peer has got %d bytes: %.1q", sends, werr, reason, n, buf[:n])
	}
	unix.Close(fds[1])
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
