//go:build unix

package channel_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func TestPauseInCallback(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var got []string
		h := &channel.Handler{
			Read: func(c *channel.Conn, p []byte) {
				got = append(got, string(p))
				c.Pause()
				c.WriteString("paused") // output works meanwhile
			},
			EOF: func(c *channel.Conn) { got = append(got, "EOF") },
		}
		nc, c := r.pair("tcp4", h)
		want := func(want ...string) {
			t.Helper()
			r.quiet()
			r.do(func() {
				if !slices.Equal(got, want) {
					t.Fatalf("got %q, want %q", got, want)
				}
			})
		}
		for range 2 { // paused twice is paused
			r.do(func() { c.Pause() })
		}
		send(t, nc, "one")
		want()
		r.do(func() { c.Resume() })
		wantRead(t, nc, "paused")
		send(t, nc, "two")
		halfClose(t, nc)
		want("one")
		r.do(func() {
			c.Resume()
			c.Pause()
		})
		want("one")
		r.do(func() { c.Resume() })
		wantRead(t, nc, "paused")
		want("one", "two") // and no EOF: paused again
		r.do(func() {
			c.Resume()
			c.Resume()
		})
		r.until("EOF", func() bool { return len(got) == 3 })
		r.do(func() { r.close(c) })
		r.wantEnd(nil)
	})
}

// A pause takes effect within a turn: also for input that is on its way to
// another Conn's callback.
func TestPauseOther(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var conns []*channel.Conn
		reads := 0
		h := &channel.Handler{Read: func(c *channel.Conn, p []byte) {
			reads++
			for _, o := range conns {
				o.Pause()
			}
		}}
		var clients []net.Conn
		for range 4 {
			nc, c := r.pair("unix", h)
			conns, clients = append(conns, c), append(clients, nc)
		}
		hold := make(chan struct{})
		go r.l.Post(func() { <-hold })
		for _, nc := range clients {
			send(t, nc, "x")
		}
		close(hold)
		r.until("one is read", func() bool { return reads > 0 })
		r.quiet()
		r.do(func() {
			if reads != 1 {
				t.Errorf("%d Reads, want 1: it paused the others", reads)
			}
		})
	})
}

// lines returns a Handler that takes input line by line, as n lines, gives
// the rest back and calls done with them.
func lines(n int, done func(c *channel.Conn, lines []string, rest []byte)) *channel.Handler {
	return &channel.Handler{Read: func(c *channel.Conn, p []byte) {
		var got []string
		rest := p
		for len(got) < n {
			line, more, ok := bytes.Cut(rest, []byte("\n"))
			if !ok {
				c.Unread(p)
				return
			}
			got, rest = append(got, string(line)), more
		}
		done(c, got, rest)
	}}
}

// Bytes given back go to the Handler that is set in the same Read, before or
// after, at once.
func TestSwitchInMidStream(t *testing.T) {
	for _, unreadFirst := range []bool{true, false} {
		t.Run(fmt.Sprintf("unread first %v", unreadFirst), func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				body := r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) {
					fmt.Fprintf(c, "body %q", p)
				}})
				nc, _ := r.pair("unix", lines(2, func(c *channel.Conn, lines []string, rest []byte) {
					if unreadFirst {
						c.Unread(rest)
					}
					c.SetHandler(body)
					if !unreadFirst {
						c.Unread(rest)
					}
					fmt.Fprintf(c, "%q ", lines)
				}))
				send(t, nc, "one\ntwo\nthree\n")
				wantRead(t, nc, `["one" "two"] body "three\n"`)
				send(t, nc, "four")
				wantRead(t, nc, `body "four"`)
			})
		})
	}
}

// Without a new Handler, bytes given back come again in front of the next
// input, in one slice.
func TestUnreadWaits(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var inputs []string
		nc, c := r.pair("unix", &channel.Handler{Read: func(c *channel.Conn, p []byte) {
			inputs = append(inputs, string(p))
			if _, rest, ok := bytes.Cut(p, []byte(".")); ok {
				c.Unread(rest)
				c.WriteString("got")
			} else {
				c.Unread(p)
			}
		}})
		for i, s := range []string{"a", "bc", "d.", "e", ".f"} {
			send(t, nc, s)
			r.until("input", func() bool { return len(inputs) == i+1 })
		}
		r.do(func() {
			if want := []string{"a", "abc", "abcd.", "e", "e." + "f"}; !slices.Equal(inputs, want) {
				t.Errorf("inputs %q, want %q", inputs, want)
			}
			if got := r.l.Stats().Buffered; got != 1 {
				t.Errorf("%d bytes count as buffered, want 1: what is unread", got)
			}
		})
		wantRead(t, nc, "gotgot")

		// Resume gives it again, for a handler that waited for something else.
		r.do(func() {
			c.Pause()
			c.Resume()
		})
		r.until("input", func() bool { return len(inputs) == 6 })
		send(t, nc, "g.")
		r.until("input", func() bool { return len(inputs) == 7 })
		r.do(func() {
			if inputs[5] != "f" || inputs[6] != "fg." {
				t.Errorf("after a pause: %q", inputs[5:])
			}
		})
		// At EOF nobody can complete it.
		wantRead(t, nc, "got")
		send(t, nc, "h")
		nc.Close()
		r.wantEnd(nil)
	})
}

// Unread may be called more than once: what was given back last comes first.
func TestUnreadTwice(t *testing.T) {
	r := newRig(t, loop.Config{})
	next := r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }})
	nc, _ := r.pair("unix", &channel.Handler{Read: func(c *channel.Conn, p []byte) {
		c.Unread(p[4:])
		c.Unread(nil)
		c.Unread(p[2:4])
		c.SetHandler(next)
	}})
	send(t, nc, "012345")
	wantRead(t, nc, "2345")
}

// A Handler set outside Read gets what waits, too, and a pause holds it back.
func TestSwitchLater(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		first := &channel.Handler{Read: func(c *channel.Conn, p []byte) {
			c.Unread(p)
		}}
		reads := 0
		next := r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) {
			reads++
			c.Write(p)
		}})
		nc, c := r.pair("unix", first)
		send(t, nc, "early")
		r.until("input", func() bool { return c.BytesRead() == 5 })
		r.do(func() {
			c.SetHandler(next)
			if reads > 0 {
				t.Error("Read inside SetHandler")
			}
		})
		wantRead(t, nc, "early")

		r.do(func() { c.SetHandler(r.check(first)) })
		send(t, nc, "late")
		r.until("input", func() bool { return c.BytesRead() == 9 })
		r.do(func() {
			c.Pause()
			c.SetHandler(next)
		})
		r.quiet()
		r.do(func() {
			if reads != 1 {
				t.Error("Read while paused")
			}
			c.Resume()
		})
		wantRead(t, nc, "late")
	})
}

// Paused in the Read that switches: the new Handler gets the rest on Resume.
func TestSwitchAndPause(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		reads := 0
		next := r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) {
			reads++
			c.Write(p)
		}})
		nc, c := r.pair("unix", lines(1, func(c *channel.Conn, _ []string, rest []byte) {
			c.Unread(rest)
			c.SetHandler(next)
			c.Pause()
			c.WriteString("ready ")
		}))
		send(t, nc, "line\nrest")
		wantRead(t, nc, "ready ")
		send(t, nc, " and more")
		r.quiet()
		r.do(func() {
			if reads != 0 {
				t.Error("Read while paused")
			}
			c.Resume()
		})
		wantRead(t, nc, "rest and more")
		halfClose(t, nc)
		r.wantEnd(nil)
	})
}

// Output above high water holds the rest back as it holds back the kernel's
// input; when the output has gone, the new Handler gets it without new input.
func TestSwitchAboveHighWater(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		next := r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }})
		nc, c := r.pair("unix", lines(1, func(c *channel.Conn, _ []string, rest []byte) {
			c.Unread(rest)
			c.SetHandler(next)
			c.WriteString("a long answer, ")
		}))
		r.do(func() { c.SetWater(0, 4, -1) })
		send(t, nc, "line\nrest")
		wantRead(t, nc, "a long answer, rest")

		// The same from outside Read, and by new marks.
		r.do(func() {
			c.SetHandler(r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Unread(p) }}))
		})
		send(t, nc, "later")
		r.until("input", func() bool { return c.BytesRead() == 14 })
		r.do(func() {
			c.WriteString("output, ")
			c.SetHandler(next)
			c.SetWater(0, 100, -1)
		})
		wantRead(t, nc, "output, later")
	})
}

// A Handler that takes over may hand on what it does not want, any number of
// times.
func TestSwitchChain(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		chain := 300
		var take func(n int) *channel.Handler
		take = func(n int) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) {
				if want := byte(n); p[0] != want {
					t.Errorf("handler %d got %#x first", n, p[0])
				}
				if n%2 == 0 {
					c.Unread(p[1:])
				}
				c.SetHandler(r.check(take(n + 1)))
				if n%2 != 0 {
					c.Unread(p[1:])
				}
				if n == chain {
					c.WriteString("end")
				}
			}}
		}
		nc, _ := r.pair("unix", take(0))
		all := make([]byte, chain+1)
		for i := range all {
			all[i] = byte(i)
		}
		send(t, nc, string(all))
		wantRead(t, nc, "end")
		send(t, nc, string([]byte{byte(chain + 1&0xff)}))
		halfClose(t, nc)
		r.wantEnd(nil)
	})
}

// However many messages come in one piece, each may be for another Handler.
func TestSwitchEveryByte(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		all := noise(200_000)
		if os.Getenv("ASYNCORE_DEBUG") != "" {
			all = all[:20_000] // each call costs a look at the stack then
		}
		taken, wrong := 0, 0
		var handlers [2]*channel.Handler
		for i := range handlers {
			handlers[i] = r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) {
				if taken%2 != i || p[0] != all[taken] {
					wrong++
				}
				taken++
				c.SetHandler(handlers[1-i])
				c.Unread(p[1:])
			}})
		}
		nc, c := r.pair("unix", &channel.Handler{})
		r.do(func() { c.SetHandler(handlers[0]) })
		if _, err := nc.Write(all); err != nil {
			t.Fatal(err)
		}
		r.until("all is taken", func() bool { return taken == len(all) })
		r.do(func() {
			if wrong > 0 {
				t.Errorf("%d bytes of %d came out of order", wrong, len(all))
			}
			if got := r.l.Stats().Buffered; got != 0 {
				t.Errorf("%d bytes still count as buffered", got)
			}
		})
	})
}

// Two Handlers that hand everything to each other waste their own time only:
// the turn ends, and others are served.
func TestSwitchWithoutEnd(t *testing.T) {
	for _, unreadFirst := range []bool{true, false} {
		t.Run(fmt.Sprintf("unread first %v", unreadFirst), func(t *testing.T) {
			underClock(t, func(t *testing.T, k *clock) {
				swaps := 0
				var handlers [2]*channel.Handler
				for i := range handlers {
					handlers[i] = &channel.Handler{Read: func(c *channel.Conn, p []byte) {
						swaps++
						if unreadFirst {
							c.Unread(p)
						}
						c.SetHandler(handlers[1-i])
						if !unreadFirst {
							c.Unread(p)
						}
					}}
				}
				k.c.SetHandler(handlers[0])
				send(t, k.nc, "hot potato")
				k.pass(0)
				before := swaps
				k.pass(0)
				if before == 0 || swaps == before {
					t.Errorf("%d swaps, then %d: it goes on in each turn", before, swaps-before)
				}

				other := connect(t, k.nc.RemoteAddr())
				k.pass(0)
				k.c.SetHandler(echo)
				send(t, other, "me, too")
				k.pass(0)
				wantRead(t, other, "me, too")
			})
		})
	}
}

// Going from Handler to Handler costs no memory.
func TestSwitchDoesNotAllocate(t *testing.T) {
	if os.Getenv("ASYNCORE_DEBUG") != "" {
		t.Skip("debug mode allocates")
	}
	underClock(t, func(t *testing.T, k *clock) {
		taken := 0
		var handlers [2]*channel.Handler
		for i := range handlers {
			handlers[i] = &channel.Handler{Read: func(c *channel.Conn, p []byte) {
				taken++
				c.SetHandler(handlers[1-i])
				c.Unread(p[1:])
			}}
		}
		k.c.SetHandler(handlers[0])
		message := make([]byte, 500)
		trip := func() {
			k.nc.Write(message)
			k.l.Poll(0)
		}
		trip()
		if n := testing.AllocsPerRun(100, trip); n > 2 {
			t.Errorf("%v allocations in %d swaps", n, len(message))
		}
		if want := 102 * len(message); taken != want {
			t.Errorf("%d bytes were taken, want %d", taken, want)
		}
	})
}

// A protocol that takes one request at a time gives the others back, pauses
// until it has answered, and is given them again by Resume.
func TestResumeDeliversUnread(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		const requests = "12345"
		var got string
		nc, c := r.pair("unix", &channel.Handler{Read: func(c *channel.Conn, p []byte) {
			got += string(p[:1])
			c.Unread(p[1:])
			c.Pause()
		}})
		send(t, nc, requests)
		for i := range requests {
			r.until("a request", func() bool { return len(got) == i+1 })
			r.quiet()
			r.do(func() {
				if got != requests[:i+1] {
					t.Errorf("got %q before the answer to %q", got, requests[:i+1])
				}
				c.Write([]byte{'a' + byte(i)})
				c.Resume()
			})
		}
		wantRead(t, nc, "abcde")
	})
}

// An answer may be there at once: what a Read gives back comes again also where
// reading has resumed before that Read returned, whichever came first.
func TestResumeInRead(t *testing.T) {
	resumes := map[string]func(*channel.Conn){
		"Resume": func(c *channel.Conn) { c.Pause(); c.Resume() },
		"new marks": func(c *channel.Conn) {
			c.SetWater(1, 2, -1)
			c.WriteString("answer")
			c.SetWater(0, 100, -1)
		},
		"sent early": func(c *channel.Conn) {
			c.SetWater(1, 2, -1)
			c.WriteString("answer")
			c.Write(make([]byte, 65<<10))
		},
	}
	orders := map[string]func(c *channel.Conn, rest []byte, resume func(*channel.Conn)){
		"unread first": func(c *channel.Conn, rest []byte, resume func(*channel.Conn)) {
			c.Unread(rest)
			resume(c)
		},
		"unread last": func(c *channel.Conn, rest []byte, resume func(*channel.Conn)) {
			resume(c)
			c.Unread(rest)
		},
		"in pieces": func(c *channel.Conn, rest []byte, resume func(*channel.Conn)) {
			c.Unread(rest[1:])
			c.Unread(rest[:1])
			resume(c)
		},
	}
	for how, resume := range resumes {
		for order, unread := range orders {
			faultEach(t, how+"/"+order, func(t *testing.T, w *faultWorld) {
				var got []string
				_, p := w.accept(channel.Handler{Read: func(c *channel.Conn, p []byte) {
					got = append(got, string(p))
					if len(p) > 1 {
						unread(c, p[1:], resume)
					}
				}})
				p.send([]byte("123"))
				w.until("all three requests", func() bool {
					p.recv()
					return slices.Equal(got, []string{"123", "23", "3"})
				})
			})
		}
	}
	// Where nothing has been taken, the same again would be a busy loop.
	faultEach(t, "all unread", func(t *testing.T, w *faultWorld) {
		var got []string
		_, p := w.accept(channel.Handler{Read: func(c *channel.Conn, p []byte) {
			got = append(got, string(p))
			c.Pause()
			c.Unread(p)
			c.Resume()
		}})
		p.send([]byte("half "))
		w.calm()
		p.send([]byte("a line"))
		w.calm()
		if want := []string{"half ", "half a line"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// A Conn that was just accepted hands on what it is given, as any other does.
func TestSwitchInConnect(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		next := r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }})
		nc, _ := r.pair("unix", &channel.Handler{Connect: func(c *channel.Conn) {
			c.Unread([]byte("first"))
			c.SetHandler(next)
		}})
		wantRead(t, nc, "first")
	})
}

// Tail is the beginning of a message that the peer never ended.
func TestTail(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for what, how := range map[string]func(*channel.Conn){"Close": r.close, "Abort": r.abort} {
			var atEOF, atClose string
			nc, c := r.pair("unix", &channel.Handler{
				Read: func(c *channel.Conn, p []byte) { c.Unread(p) },
				EOF: func(c *channel.Conn) {
					atEOF = string(c.Tail())
					how(c)
				},
				Close: func(c *channel.Conn, err error) { atClose = string(c.Tail()) },
			})
			send(t, nc, "ha")
			r.until("input", func() bool { return c.BytesRead() == 2 })
			send(t, nc, "lf")
			halfClose(t, nc)
			r.end()
			r.do(func() {
				if atEOF != "half" || atClose != "half" {
					t.Errorf("%s: Tail was %q in EOF and %q in Close, want what is unread", what, atEOF, atClose)
				}
				if len(c.Tail()) > 0 {
					t.Errorf("%s: Tail after the end is %q", what, c.Tail())
				}
			})
		}
	})
}

// Tails that do not fit beside new input in the read buffer.
func TestBigTail(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		all := noise(700 << 10)
		last := 0
		var whole []byte
		nc, c := r.pair("unix", &channel.Handler{
			Read: func(c *channel.Conn, p []byte) {
				if len(p) <= last || !bytes.Equal(p[:last], all[:last]) {
					t.Errorf("%d bytes after %d, or other ones", len(p), last)
				}
				if last = len(p); last < len(all) {
					c.Unread(p)
					return
				}
				whole = bytes.Clone(p)
				c.WriteString("ok")
			},
		})
		if _, err := nc.Write(all); err != nil {
			t.Fatal(err)
		}
		wantRead(t, nc, "ok")
		r.do(func() {
			if !bytes.Equal(whole, all) {
				t.Error("not what was sent")
			}
			if got := r.l.Stats().Buffered; got != 0 {
				t.Errorf("%d bytes still count as buffered", got)
			}
		})
		// Given back as a whole, it goes to the next one as a whole.
		r.do(func() {
			last = 0
			c.SetHandler(r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) {
				c.Unread(p)
				if len(p) < 300<<10 {
					return
				}
				c.SetHandler(r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) {
					if !bytes.Equal(p, all[last:last+len(p)]) {
						t.Error("another tail than was sent")
					}
					if last += len(p); last == len(all) {
						c.WriteString("ok")
					}
				}}))
			}}))
		})
		if _, err := nc.Write(all); err != nil {
			t.Fatal(err)
		}
		wantRead(t, nc, "ok")
	})
}

// Unread after Close, and Close after Unread: nothing is delivered any more.
func TestUnreadAndClose(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		none := r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) { t.Errorf("Read %q", p) }})
		for _, how := range []func(*channel.Conn){r.close, r.abort} {
			for _, first := range []bool{true, false} {
				nc, _ := r.pair("unix", &channel.Handler{Read: func(c *channel.Conn, p []byte) {
					c.SetHandler(none)
					if first {
						how(c)
					}
					c.Unread(p)
					if !first {
						how(c)
					}
				}})
				send(t, nc, "x")
				wantAll(t, nc, nil)
				r.end()
			}
		}
	})
}

// A nil Read throws input away; a nil EOF still sees the end.
func TestNilHooks(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, c := r.pair("unix", &channel.Handler{})
		if _, err := nc.Write(noise(500 << 10)); err != nil {
			t.Fatal(err)
		}
		r.until("all is read", func() bool { return c.BytesRead() == 500<<10 })
		nc.Close()
		r.wantEnd(nil)
	})
}

func TestUrgent(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		var got []byte
		var urgent []byte
		read := func(c *channel.Conn, p []byte) { got = append(got, p...) }
		oob := func(nc net.Conn, b byte) {
			raw, _ := nc.(*net.TCPConn).SyscallConn()
			raw.Control(func(fd uintptr) {
				if err := unix.Send(int(fd), []byte{b}, unix.MSG_OOB); err != nil {
					t.Error(err)
				}
			})
		}
		// Nobody wants it: no callback, no spin.
		nc, _ := r.pair("tcp4", &channel.Handler{Read: read})
		oob(nc, '!')
		send(t, nc, "after")
		r.until("input", func() bool { return string(got) == "after" })
		var turns uint64
		r.do(func() { turns = r.l.Stats().Turns })
		r.quiet()
		r.do(func() {
			if n := r.l.Stats().Turns - turns; n > 50 {
				t.Errorf("%d turns for an urgent byte that nobody wants", n)
			}
		})

		got = nil
		nc, c := r.pair("tcp4", &channel.Handler{
			Read:   read,
			Urgent: func(c *channel.Conn, b byte) { urgent = append(urgent, b) },
		})
		oob(nc, '!')
		if tellsUrgent(t, r.l.Poller()) {
			r.until("urgent", func() bool { return string(urgent) == "!" })
		} else {
			r.quiet()
		}
		send(t, nc, "after")
		r.until("input", func() bool { return string(got) == "after" })
		r.quiet()
		r.do(func() {
			if len(urgent) > 1 {
				t.Errorf("urgent bytes %q", urgent)
			}
			r.abort(c)
		})
		r.wantEnd(net.ErrClosed)
	})
}

// A message that comes in small pieces is not copied for each of them.
func TestUnreadGrows(t *testing.T) {
	size := 4 << 20
	eachBackend(t, func(t *testing.T, r *rig) {
		want, sum := noise(size), sha256.New()
		var before, after runtime.MemStats
		done := make(chan struct{})
		nc, _ := r.pair("unix", &channel.Handler{Read: func(c *channel.Conn, p []byte) {
			if len(p) < size {
				c.Unread(p)
				return
			}
			sum.Write(p)
			close(done)
		}})
		runtime.ReadMemStats(&before)
		for piece := range slices.Chunk(want, 1<<10) {
			if _, err := nc.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		receive(t, done, "the whole message")
		runtime.ReadMemStats(&after)
		if w := sha256.Sum256(want); !bytes.Equal(sum.Sum(nil), w[:]) {
			t.Error("another message came")
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(16*size) {
			t.Errorf("%d bytes allocated for a message of %d", got, size)
		}
		nc.Close()
		r.wantEnd(nil)
	})
}
