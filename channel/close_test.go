//go:build unix

package channel_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// Close sends all that is queued, to a reader as slow as it likes.
func TestCloseFlushes(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, c := r.pair("tcp4", echo)
		all := noise(5 << 20)
		r.do(func() {
			c.Write(all)
			r.close(c)
			if err := c.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the second Close: %v", err)
			}
		})
		time.Sleep(50 * time.Millisecond)
		r.do(func() {
			if len(r.closed) > 0 {
				t.Error("Close came while output was queued")
			}
		})
		wantAll(t, nc, all)
		r.wantEnd(nil)
	})
}

// After Close nothing is read, and nothing is taken for output.
func TestAfterClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for name, how := range map[string]func(*channel.Conn){"Close": r.close, "Abort": r.abort} {
			reads := 0
			nc, c := r.pair("unix", &channel.Handler{
				Read: func(c *channel.Conn, p []byte) {
					reads++
					if reads > 1 {
						t.Error("Read after ", name)
					}
					how(c)
				},
				EOF:   func(*channel.Conn) { t.Error("EOF after ", name) },
				Write: func(*channel.Conn) { t.Error("Write after ", name) },
			})
			r.do(func() {
				c.SetWater(0, 1, -1)
				stuff(t, c)
				c.WriteString("queued")
				c.SetWater(0, -1, -1)
			})
			send(t, nc, "input")
			r.until("input", func() bool { return reads == 1 })
			r.do(func() {
				for what, err := range map[string]error{
					"Close":       c.Close(),
					"Write":       second(c.Write([]byte("x"))),
					"WriteString": second(c.WriteString("x")),
					"SendFrom":    c.SendFrom(strings.NewReader("x")),
					"CloseWrite":  c.CloseWrite(),
				} {
					if !errors.Is(err, net.ErrClosed) {
						t.Errorf("%s after %s: %v", what, name, err)
					}
				}
			})
			nc.Write([]byte("more input"))
			got, err := io.ReadAll(nc)
			// Input that nobody read makes the kernel reset the connection, but
			// Close waits for the peer.
			if err != nil && (name == "Close" || !errors.Is(err, syscall.ECONNRESET)) {
				t.Error(err)
			}
			nc.Close()
			if flushed := bytes.HasSuffix(got, []byte("queued")); flushed != (name == "Close") {
				t.Errorf("%s: what was queued was sent: %v", name, flushed)
			}
			if e := r.end(); !is(e.err, map[string]error{"Close": nil, "Abort": net.ErrClosed}[name]) {
				t.Errorf("%s: Close(%v)", name, e.err)
			}
			r.quiet()
		}
	})
}

// Abort drops what is queued, also what Close was flushing.
func TestAbortAfterClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		_, c := r.pair("unix", echo)
		r.do(func() {
			c.Write(make([]byte, 1<<20))
			r.close(c)
		})
		r.quiet()
		r.do(func() {
			c.Abort()
			c.Abort()
			if got := r.l.Stats().Buffered; got != 0 {
				t.Errorf("%d bytes still queued", got)
			}
		})
		r.wantEnd(net.ErrClosed)
		r.quiet()
	})
}

func TestCloseWhileConnecting(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		ln := r.serve("tcp4", echo)
		for _, how := range []func(*channel.Conn){r.close, r.abort} {
			r.do(func() {
				c := r.dial(channel.Dialer{}, "tcp", ln.String(), &channel.Handler{
					Connect: func(*channel.Conn) { t.Error("Connect after Close") },
				})
				c.WriteString("never sent")
				how(c)
				if err := c.Close(); !errors.Is(err, net.ErrClosed) {
					t.Errorf("the second Close: %v", err)
				}
			})
			for { // the server may have accepted it
				if e := r.end(); is(e.err, net.ErrClosed) {
					break
				}
			}
		}
	})
}

// In each callback its own Conn may be closed, and another one.
func TestCloseInCallbacks(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, hook := range []string{"connect", "read", "write", "eof", "close"} {
			for name, how := range map[string]func(*channel.Conn){"Close": r.close, "Abort": r.abort} {
				other, o := r.pair("unix", echo)
				did := false
				act := func(in string, c *channel.Conn) {
					if in != hook || did {
						return
					}
					did = true
					how(o)
					if hook != "close" {
						how(c)
					}
				}
				nc, _ := r.pair("unix", &channel.Handler{
					Connect: func(c *channel.Conn) {
						c.SetWater(0, 1, -1)
						c.WriteString("xy")
						act("connect", c)
					},
					Read:  func(c *channel.Conn, p []byte) { act("read", c) },
					Write: func(c *channel.Conn) { act("write", c) },
					EOF: func(c *channel.Conn) {
						act("eof", c)
						if !did {
							r.close(c)
						}
					},
					Close: func(c *channel.Conn, err error) { act("close", c) },
				})
				nc.Write([]byte("input"))
				nc.(*net.UnixConn).CloseWrite()
				for range 2 {
					if e := r.end(); e.err != nil && !errors.Is(e.err, net.ErrClosed) {
						t.Errorf("%s in %s: Close(%v)", name, hook, e.err)
					}
				}
				wantAll(t, other, nil)
			}
		}
	})
}

// All Conns closed and Stop called in one callback: Run returns, and each is
// told once.
func TestCloseAllAndStop(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		h := &channel.Handler{Read: func(*channel.Conn, []byte) {
			for c := range channel.Conns(r.l) {
				r.close(c)
			}
			r.l.Stop()
		}}
		ln := r.serve("unix", h)
		var last net.Conn
		for range 10 {
			last = connect(t, ln)
		}
		send(t, last, "x")
		select {
		case err := <-r.ran:
			if err != nil {
				t.Error(err)
			}
			r.ran = nil
		case <-time.After(patience):
			t.Fatal("Run does not return")
		}
		// Those that were not accepted yet never will be.
		var ids []uint64
		for len(r.closed) > 0 {
			e := <-r.closed
			if e.err != nil {
				t.Errorf("Close(%v)", e.err)
			}
			ids = append(ids, e.c.ID())
		}
		slices.Sort(ids)
		if len(ids) == 0 || len(slices.Compact(ids)) != len(ids) || ids[len(ids)-1] != uint64(len(ids)) {
			t.Errorf("told were %v, want each once", ids)
		}
	})
}

func TestLoopClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var stopped []error
		ln := r.listen(channel.ListenConfig{Closed: func(_ *channel.Listener, err error) { stopped = append(stopped, err) }},
			"unix", address(t, "unix"), func(*channel.Conn) *channel.Handler { return echo })
		const n = 7
		for range n {
			connect(t, ln.Addr())
		}
		var conns []*channel.Conn
		r.until("all are accepted", func() bool {
			conns = conns[:0]
			for c := range channel.Conns(r.l) {
				conns = append(conns, c)
			}
			return len(conns) == n
		})
		r.do(func() {
			conns[0].Write(make([]byte, 1<<20)) // is dropped
			conns[1].Pause()
			conns[2].Write(make([]byte, 1<<20))
			r.close(conns[2]) // was flushing
			r.abort(conns[3]) // keeps its own reason
			r.dial(channel.Dialer{}, "tcp", "127.0.0.1:1", &channel.Handler{
				// Nothing new comes to life any more.
				Close: func(*channel.Conn, error) {
					_, err := channel.Listen(r.l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return echo })
					if !errors.Is(err, loop.ErrClosed) {
						t.Errorf("Listen: %v", err)
					}
					channel.Dial(r.l, "tcp", "127.0.0.1:1", &channel.Handler{
						Connect: func(*channel.Conn) { t.Error("Connect") },
						Close:   func(*channel.Conn, error) { t.Error("Close from a loop that is closed") },
					})
				},
			})
			r.l.Close()
			if len(stopped) > 0 || len(r.closed) > 0 {
				t.Error("callbacks inside loop.Close in a callback")
			}
		})
		if err := receive(t, r.ran, "Run does not return"); err != nil {
			t.Error(err)
		}
		r.ran = nil
		for range n + 1 {
			e := r.end()
			switch {
			case e.c == conns[3]:
				if !errors.Is(e.err, net.ErrClosed) {
					t.Errorf("aborted: Close(%v)", e.err)
				}
			case !errors.Is(e.err, loop.ErrClosed) && !strings.Contains(e.err.Error(), "refused"):
				t.Errorf("%v: Close(%v)", e.c, e.err)
			}
		}
		if len(stopped) != 1 || !errors.Is(stopped[0], loop.ErrClosed) {
			t.Errorf("listener: %v", stopped)
		}
		for range channel.Conns(r.l) {
			t.Error("Conns are left")
		}
	})
}

// Outside Run, Close calls the callbacks itself.
func TestLoopCloseOutsideRun(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		_, c := r.pair("unix", echo)
		r.stop()
		if err := r.l.Close(); err != nil {
			t.Error(err)
		}
		if len(r.closed) != 1 {
			t.Fatalf("%d Closes", len(r.closed))
		}
		if e := <-r.closed; e.c != c || !errors.Is(e.err, loop.ErrClosed) {
			t.Errorf("Close(%v)", e.err)
		}
	})
}

// The default answer to EOF is to flush, then close.
func TestDefaultEOF(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, c := r.pair("tcp4", &channel.Handler{
			Read: func(c *channel.Conn, p []byte) {},
		})
		all := noise(5 << 20)
		r.do(func() {
			c.SetWater(0, -1, -1) // is read from all the same
			c.Write(all)
		})
		halfClose(t, nc)
		r.quiet()
		wantAll(t, nc, all)
		r.wantEnd(nil)
	})
}

// With EOF set, the Conn stays open for output, and spins for nothing.
func TestReplyAfterEOF(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var request []byte
		eofs := 0
		nc, c := r.pair("tcp4", &channel.Handler{
			Read: func(c *channel.Conn, p []byte) { request = append(request, p...) },
			EOF: func(c *channel.Conn) {
				eofs++
				c.Write(request)
			},
		})
		send(t, nc, "request")
		halfClose(t, nc)
		wantRead(t, nc, "request")
		var turns uint64
		r.do(func() { turns = r.l.Stats().Turns })
		r.quiet()
		r.do(func() {
			if n := r.l.Stats().Turns - turns; n > 50 {
				t.Errorf("%d turns after EOF", n)
			}
			c.WriteString(", and later")
			c.CloseWrite() // both directions are over
		})
		wantAll(t, nc, []byte(", and later"))
		r.wantEnd(nil)
		r.do(func() {
			if eofs != 1 {
				t.Errorf("%d times EOF", eofs)
			}
		})
	})
}

func TestCloseWrite(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for name, eof := range map[string]func(*channel.Conn){"nil EOF": nil, "EOF": func(*channel.Conn) {}} {
			var got []byte
			nc, c := r.pair("tcp4", &channel.Handler{
				Read: func(c *channel.Conn, p []byte) { got = append(got, p...) },
				EOF:  eof,
			})
			all := noise(3 << 20)
			r.do(func() {
				c.Write(all)
				c.SendFrom(strings.NewReader("last"))
				if err := c.CloseWrite(); err != nil {
					t.Error(err)
				}
				for what, err := range map[string]error{
					"Write":      second(c.Write([]byte("x"))),
					"SendFrom":   c.SendFrom(strings.NewReader("x")),
					"CloseWrite": c.CloseWrite(),
				} {
					if !errors.Is(err, net.ErrClosed) {
						t.Errorf("%s after CloseWrite: %v", what, err)
					}
				}
			})
			wantAll(t, nc, append(all, "last"...))
			send(t, nc, "still read")
			r.until("input", func() bool { return string(got) == "still read" })
			if len(r.closed) > 0 {
				t.Error("closed with one direction open")
			}
			halfClose(t, nc)
			if e := r.end(); e.err != nil {
				t.Errorf("%s: Close(%v)", name, e.err)
			}
		}
	})
}

// The peer's EOF is told though our own went first; then both are over.
func TestEOFAfterCloseWrite(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		eofs := 0
		nc, c := r.pair("tcp4", &channel.Handler{EOF: func(*channel.Conn) { eofs++ }})
		r.do(func() { c.CloseWrite() })
		wantAll(t, nc, nil)
		nc.Close()
		r.wantEnd(nil)
		if eofs != 1 {
			t.Errorf("EOF was called %d times", eofs)
		}
	})
}

// CloseWrite before the connection stands, and Close after CloseWrite.
func TestCloseWriteEarly(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var got []byte
		ln := r.serve("tcp4", &channel.Handler{
			Read: func(c *channel.Conn, p []byte) { got = append(got, p...) },
			EOF:  func(c *channel.Conn) { c.Write(got); r.close(c) },
		})
		var reply []byte
		r.do(func() {
			c := r.dial(channel.Dialer{}, "tcp", ln.String(), &channel.Handler{
				Read: func(c *channel.Conn, p []byte) { reply = append(reply, p...) },
			})
			c.WriteString("question")
			if err := c.CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		r.wantEnd(nil)
		r.wantEnd(nil)
		r.do(func() {
			if string(reply) != "question" {
				t.Errorf("reply %q", reply)
			}
		})

		nc, c := r.pair("unix", echo)
		r.do(func() {
			c.WriteString("bye")
			c.CloseWrite()
			r.close(c)
		})
		wantAll(t, nc, []byte("bye"))
		r.wantEnd(nil)
	})
}

// A Conn that is closed while its peer still sends: what was flushed arrives.
func TestCloseWithUnreadInput(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		all := noise(2 << 20)
		nc, _ := r.pair("tcp4", &channel.Handler{
			Read: func(c *channel.Conn, p []byte) {
				c.Write(all)
				r.close(c)
			},
		})
		if _, err := nc.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // for the answer to lie in the kernel's buffers
		wantAll(t, nc, all)
		nc.Close()
		r.wantEnd(nil)
	})
}

// Fail flushes, and its error is the reason whatever follows.
func TestFail(t *testing.T) {
	wrong := errors.New("wrong")
	tests := []struct {
		name string
		fail func(c *channel.Conn)
		got  string
		err  error // the client's
	}{
		{"Fail", func(c *channel.Conn) { c.Fail(wrong) }, "you are wrong", nil},
		{"Close, Fail", func(c *channel.Conn) { c.Close(); c.Fail(wrong) }, "you are wrong", nil},
		{"twice", func(c *channel.Conn) { c.Fail(wrong); c.Fail(io.ErrNoProgress) }, "you are wrong", nil},
		{"Fail, Reset", func(c *channel.Conn) { c.Fail(wrong); c.Reset() }, "", syscall.ECONNRESET},
		{"Fail, Abort", func(c *channel.Conn) { c.Fail(wrong); c.Abort() }, "", syscall.ECONNRESET},
	}
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, test := range tests {
			nc, c := r.pair("tcp4", &channel.Handler{})
			r.do(func() {
				c.WriteString("you are wrong")
				r.shut(c, test.fail)
			})
			got, err := io.ReadAll(nc)
			if string(got) != test.got || !errors.Is(err, test.err) {
				t.Errorf("%s: the client read %q, %v", test.name, got, err)
			}
			nc.Close()
			r.wantEnd(wrong)
		}
	})
}

// A peer must not take a part for the whole: where output is dropped, it sees a
// reset, and where all has been sent, an end.
func TestDroppedOutputResets(t *testing.T) {
	tests := []struct {
		name string
		end  func(t *testing.T, c *channel.Conn)
		want error
	}{
		{"Abort", func(t *testing.T, c *channel.Conn) { stuff(t, c); c.WriteString("more"); c.Abort() }, net.ErrClosed},
		{"limit", func(t *testing.T, c *channel.Conn) {
			stuff(t, c)
			for err := error(nil); err == nil; {
				_, err = c.Write(make([]byte, 100<<10))
			}
		}, channel.ErrOutputLimit},
		{"producer fails", func(_ *testing.T, c *channel.Conn) {
			c.WriteString("a part")
			c.SendFrom(iotest.ErrReader(io.ErrNoProgress))
		}, io.ErrNoProgress},
	}
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, test := range tests {
			nc, c := r.pair("tcp4", &channel.Handler{})
			r.do(func() { r.shut(c, func(c *channel.Conn) { test.end(t, c) }) })
			r.wantEnd(test.want)
			if _, err := io.Copy(io.Discard, nc); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%s: the client's last read: %v", test.name, err)
			}
			nc.Close()
		}
	})
}
