//go:build unix

package chat_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
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

// faulty is a rig on a system that fails where it is told to.
func faulty(t *testing.T, backend string) (*rig, *faultsys.Sys) {
	f := faultsys.New(t, sys.Real())
	r := &rig{TB: t}
	l, err := core.On(loop.Config{Poller: backend}, f)
	if err != nil {
		t.Fatal(err)
	}
	r.l = l.(*loop.Loop)
	t.Cleanup(r.close)
	return r, f
}

// What the kernel does to reads makes no difference to the frames.
func TestShortReads(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for n := 1; n <= 9; n++ {
			r, f := faulty(t, r.l.Poller())
			c, rec, p := r.accepted(chat.Handler{TooLong: nothing, Message: func(c *chat.Conn, msg []byte) {
				if string(msg) == "three" {
					c.SetTerminator(chat.Delim("\r\n.\r\n"))
				}
			}}, nil)
			rec.want("connect")
			c.SetTerminator(chat.Line.Limit(5))
			f.Limit(faultsys.Recv, n)
			f.Fail(faultsys.Recv, syscall.EINTR, faultsys.Times(2), faultsys.After(1))
			f.Fail(faultsys.Recv, syscall.EAGAIN, faultsys.Times(2), faultsys.After(3))
			p.says("one\r\ntoo long\r\n\nthree\n\r\n.\r\r\n.\r\nx")
			p.closeWrite()
			r.settle()
			rec.want(`message "one"`, "too long", `message ""`, `message "three"`, `message "\r\n.\r"`, "close unexpected EOF")
		}
	})
}

// A peer that has said much and gone: all that it said comes first, in several
// turns, though no answer gets through.
func TestLastWords(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, answers := range []bool{false, true} {
			n := 0
			_, rec, p := r.open(chat.Handler{
				Message: func(c *chat.Conn, _ []byte) {
					if n++; answers {
						c.WriteString("+OK\r\n")
					}
				},
				Close: func(_ *chat.Conn, err error) {
					if (err != nil) != answers || answers && !errors.Is(err, syscall.EPIPE) {
						t.Errorf("answers %v: Close(%v)", answers, err)
					}
				},
			})
			p.send(strings.Repeat("line\n", 3000))
			p.close()
			r.settle()
			if n != 3000 || !rec.closed {
				t.Errorf("answers %v: %d lines of 3000, closed %v", answers, n, rec.closed)
			}
		}
	})
}

// A reset in mid-frame is no end of the stream, but an error of its own.
func TestReset(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		r, f := faulty(t, r.l.Poller())
		_, rec, p := r.accepted(chat.Handler{EOF: nothing}, nil)
		p.says("a\nb")
		f.Fail(faultsys.Recv, syscall.ECONNRESET)
		p.says("c")
		if !rec.closed || !errors.Is(rec.err, syscall.ECONNRESET) {
			t.Errorf("closed %v, %v: %q", rec.closed, rec.err, rec.log)
		}
	})
}

// A callback may end other Conns, of which frames wait: they get Close and no
// more.
func TestEndOthers(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, end := range []func(*chat.Conn){func(c *chat.Conn) { c.Close() }, (*chat.Conn).Abort, func(c *chat.Conn) { c.Fail(errUser) }} {
			var all []*chat.Conn
			var recs []*record
			var peers []*peer
			ended := false
			for range 5 {
				c, rec, p := r.open(chat.Handler{Message: func(*chat.Conn, []byte) {
					ended = true
					for _, c := range all {
						end(c)
					}
				}})
				rec.over = func() bool { return ended }
				all, recs, peers = append(all, c), append(recs, rec), append(peers, p)
			}
			for _, p := range peers {
				p.send("a\nb\nc")
			}
			r.settle()
			for _, p := range peers {
				p.close() // Close waits for that where input has not been read
			}
			r.settle()
			messages := 0
			for _, rec := range recs {
				messages += len(rec.log) - 1
				if !rec.closed {
					t.Errorf("not closed: %q", rec.log)
				}
			}
			if messages != 1 {
				t.Errorf("%d messages, want 1", messages)
			}
		}
	})
}

// Drain waits for the frame under way, and for those that wait for their turn.
func TestDrain(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		n := 0
		_, half, p1 := r.accepted(chat.Handler{Message: func(c *chat.Conn, msg []byte) { c.Push(msg, []byte(" done\n")) }}, nil)
		_, many, p2 := r.accepted(chat.Handler{Message: func(c *chat.Conn, _ []byte) { n++; c.WriteString(".") }}, nil)
		half.log, many.log = nil, nil
		p1.says("ques")
		p2.send(strings.Repeat("\n", 2000))
		r.turn()
		r.l.Drain(time.Minute)
		r.settle()
		if half.closed || n != 2000 {
			t.Errorf("after Drain: closed %v, %d of 2000 lines", half.closed, n)
		}
		p1.says("tion\n")
		if got, eof := p1.hears(); string(got) != "question done\n" || !eof {
			t.Errorf("the peer read %q, end %v", got, eof)
		}
		if got, eof := p2.hears(); len(got) != 2000 || !eof {
			t.Errorf("the other peer read %d bytes, end %v", len(got), eof)
		}
		p1.close()
		p2.close()
		r.settle()
		if !half.closed || !many.closed {
			t.Errorf("not closed: %q, %d", half.log, len(many.log))
		}
	})
}

// A handler may do to msg what it likes: what comes behind it is not touched.
func TestMessageIsTheHandlers(t *testing.T) {
	r := newRig(t, loopConfig)
	got := ""
	spoil := func(_ *chat.Conn, p []byte) {
		got += string(p) + "|"
		p = append(p, "XXXX"...)
		for i := range p {
			p[i] = 'X'
		}
	}
	for _, h := range []chat.Handler{{Message: spoil}, {Collect: spoil}} {
		for _, term := range []chat.Terminator{chat.Count(2), chat.Line, chat.LengthPrefix(1, bigEndian), chat.Stream} {
			got = ""
			c, rec, p := r.open(h)
			c.SetTerminator(term)
			r.settle()
			p.says("\x02ab\n\x03cd\nef")
			p.says("gh\n\nxx")
			if strings.Contains(got, "X") {
				t.Errorf("%v: %q", term, got)
			}
			rec.log = nil
		}
	}
}

// Debug mode shows who keeps a message.
func TestDebugPoisons(t *testing.T) {
	r := newRig(t, loop.Config{Debug: true})
	var kept [][]byte
	keep := func(_ *chat.Conn, p []byte) { kept = append(kept, p) }
	_, _, p := r.open(chat.Handler{Message: keep})
	p.says("message\nanother\npart")
	p.says(" of one\n")
	for _, m := range kept {
		if strings.ContainsAny(string(m), "mesagnothrpf") {
			t.Errorf("kept %q", m)
		}
	}
	if len(kept) != 3 {
		t.Errorf("%d messages", len(kept))
	}
}

// Many clients at once, over TCP, against a loop that runs by itself.
func TestManyClients(t *testing.T) {
	l, err := loop.New(loop.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	open := 0
	h := &chat.Handler{
		Connect: func(*chat.Conn) { open++ },
		Message: func(c *chat.Conn, msg []byte) { c.Push([]byte("<"), msg, []byte(">\n")) },
		Close:   func(*chat.Conn, error) { open-- },
	}
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", chat.Accept(func(c *chat.Conn) *chat.Handler {
		c.SetFrameTimeout(time.Minute)
		return h
	}))
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- l.Run(t.Context()) }()
	var clients sync.WaitGroup
	for i := range 20 {
		clients.Go(func() {
			nc, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(20 * time.Second))
			var want strings.Builder
			for k := range 100 {
				line := strings.Repeat("x", (k*i)%50)
				fmt.Fprint(nc, line[:len(line)/2])
				fmt.Fprint(nc, line[len(line)/2:]+"\r\n")
				want.WriteString("<" + line + ">\n")
			}
			nc.(*net.TCPConn).CloseWrite()
			var got strings.Builder
			buf := make([]byte, 4096)
			for {
				n, err := nc.Read(buf)
				got.Write(buf[:n])
				if err != nil {
					break
				}
			}
			if got.String() != want.String() {
				t.Errorf("client %d read %d bytes, want %d", i, got.Len(), want.Len())
			}
		})
	}
	clients.Wait()
	l.Post(func() { ln.Close() })
	select {
	case err := <-ran:
		if err != nil || open != 0 {
			t.Errorf("Run: %v; %d Conns are open", err, open)
		}
	case <-time.After(20 * time.Second):
		t.Error("Run does not return")
		l.Stop()
	}
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
