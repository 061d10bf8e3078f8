//go:build unix

package channel_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// Where a Conn can be detached from, it goes with what it has not used: the head
// was read from its peer, the body has not been.
func TestDetachFrom(t *testing.T) {
	type detach = func(c *channel.Conn)
	tests := []struct {
		name string
		// handler detaches at its place. head and body are sent together.
		handler func(r *rig, now detach) *channel.Handler
		later   func(r *rig, c *channel.Conn, now detach)
		want    string // Unread, and then the kernel's
	}{
		{name: "Read", want: "HEADBODY", handler: func(r *rig, now detach) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Unread(p); now(c) }}
		}},
		{name: "Read, unread afterwards", want: "HEADBODY", handler: func(r *rig, now detach) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) { now(c); c.Unread(p) }}
		}},
		{name: "Read, the rest", want: "BODY", handler: func(r *rig, now detach) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) {
				if len(p) < 4 {
					c.Unread(p)
					return
				}
				now(c)
				c.Unread(p[4:])
			}}
		}},
		{name: "Read, in pieces", want: "HEADBODY", handler: func(r *rig, now detach) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) {
				c.Unread(p[2:])
				c.Unread(p[:2])
				now(c)
			}}
		}},
		{name: "Read, another handler set", want: "HEADBODY", handler: func(r *rig, now detach) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) {
				c.Unread(p)
				c.SetHandler(r.check(&channel.Handler{Read: func(*channel.Conn, []byte) { r.Error("Read after Detach") }}))
				now(c)
			}}
		}},
		{name: "Connect", want: "HEADBODY", handler: func(r *rig, now detach) *channel.Handler {
			return &channel.Handler{Connect: now}
		}},
		{name: "paused", want: "HEADBODY", handler: func(r *rig, now detach) *channel.Handler {
			return &channel.Handler{Connect: func(c *channel.Conn) { c.Pause() }}
		}, later: func(r *rig, c *channel.Conn, now detach) { now(c) }},
		{name: "Post", want: "HEADBODY", handler: func(r *rig, now detach) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Unread(p) }}
		}, later: func(r *rig, c *channel.Conn, now detach) { now(c) }},
		{name: "timer", want: "HEADBODY", handler: func(r *rig, now detach) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Unread(p); c.Pause() }}
		}, later: func(r *rig, c *channel.Conn, now detach) {
			r.l.After(0, func() { r.user(func() { now(c) }) })
		}},
		{name: "another Conn's Read", want: "HEADBODY", handler: func(r *rig, now detach) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Unread(p) }}
		}, later: func(r *rig, c *channel.Conn, now detach) {
			pr, pw := pipe(r)
			o, err := channel.Open(r.l, pr, &channel.Handler{Read: func(*channel.Conn, []byte) { r.user(func() { now(c) }) }})
			if err != nil {
				r.Fatal(err)
			}
			mustWrite(r, pw, "x")
			r.Cleanup(func() { r.stop(); o.Abort() })
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			eachNetwork(t, func(t *testing.T, r *rig, network string) {
				taken := make(chan channel.Detached, 2)
				now := func(c *channel.Conn) {
					r.shut(c, func(c *channel.Conn) {
						if err := c.Detach(r.taker(c, func(d channel.Detached) { taken <- d })); err != nil {
							t.Errorf("Detach: %v", err)
						}
						if err := c.Detach(func(channel.Detached) { t.Error("the second take") }); !errors.Is(err, net.ErrClosed) {
							t.Errorf("a second Detach: %v", err)
						}
						if _, err := c.WriteString("x"); !errors.Is(err, net.ErrClosed) {
							t.Errorf("Write after Detach: %v", err)
						}
					})
				}
				nc, peer := pairOf(t, network)
				mustWrite(t, peer, "HEADBODY")
				c := r.adopt(nc, "", test.handler(r, now))
				if test.later != nil {
					r.until("Connect", func() bool { return r.life(c).saw("connect") })
					r.do(func() { test.later(r, c, now) })
				}
				d := r.taken(taken)
				send(t, peer, "TAIL")
				wantRead(t, r.conn(d), test.want+"TAIL")
				r.do(func() {
					if c.LocalAddr() != nil {
						t.Error("a detached Conn has an address")
					}
					if c.RemoteAddr() == nil || !strings.Contains(c.String(), network) {
						t.Errorf("it has forgotten its peer: %v", c)
					}
					if _, err := c.SyscallConn(); !errors.Is(err, net.ErrClosed) {
						t.Errorf("SyscallConn: %v", err)
					}
					if err := c.Detach(func(channel.Detached) {}); !errors.Is(err, net.ErrClosed) {
						t.Errorf("Detach when detached: %v", err)
					}
					if err := c.Close(); !errors.Is(err, net.ErrClosed) {
						t.Errorf("Close when detached: %v", err)
					}
					c.Abort()
					c.Reset()
					c.Pause()
					c.Resume()
				})
			})
		})
	}
}

// In the function that accepts, where there is no Handler yet.
func TestDetachInAccept(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		var taken <-chan channel.Detached
		ln := r.listen(channel.ListenConfig{}, network, address(t, network), func(c *channel.Conn) *channel.Handler {
			c.WriteString("hello ")
			taken = r.detach(c)
			return echo
		})
		peer := connect(t, ln.Addr())
		r.wantEnd(nil)
		nc := r.conn(receive(t, taken, "not taken"))
		mustWrite(t, nc, "world")
		wantRead(t, peer, "hello world")

		// A nil Handler refuses, also a Conn that was to be detached.
		ln = r.listen(channel.ListenConfig{}, network, address(t, network), func(c *channel.Conn) *channel.Handler {
			c.Detach(func(channel.Detached) { t.Error("a refused Conn was taken") })
			return nil
		})
		wantAll(t, connect(t, ln.Addr()), nil)
	})
}

// At the peer's EOF there is still an output to give away.
func TestDetachInEOF(t *testing.T) {
	for _, closeWrite := range []string{"", "before", "in EOF"} {
		t.Run("CloseWrite "+closeWrite, func(t *testing.T) {
			eachNetwork(t, func(t *testing.T, r *rig, network string) {
				nc, peer := pairOf(t, network)
				var taken <-chan channel.Detached
				c := r.adopt(nc, "", &channel.Handler{
					Connect: func(c *channel.Conn) {
						if closeWrite == "before" {
							c.CloseWrite()
						}
					},
					Read: func(c *channel.Conn, p []byte) { c.Unread(p) },
					EOF: func(c *channel.Conn) {
						if closeWrite == "in EOF" {
							c.CloseWrite()
						}
						taken = r.detach(c)
					},
				})
				mustWrite(t, peer, "half a message")
				halfClose(t, peer)
				r.wantEnd(nil)
				r.do(func() {
					if len(taken) == 0 {
						t.Errorf("%v was closed, and not given away", c)
					}
				})
				nc = r.conn(receive(t, taken, "not taken"))
				wantAll(t, nc, []byte("half a message"))
				if closeWrite == "" {
					mustWrite(t, nc, "answer")
					nc.Close()
					wantAll(t, peer, []byte("answer"))
				} else {
					wantAll(t, peer, nil)
				}
			})
		})
	}
}

// A pipe has one direction: at its EOF, or with CloseWrite, it would close.
func TestDetachPipes(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		pr, pw := blockingPipe(t)
		var taken <-chan channel.Detached
		r.adoptFD(release(t, pr), &channel.Handler{EOF: func(c *channel.Conn) { taken = r.detach(c) }})
		pw.Close()
		r.wantEnd(nil)
		f := receive(t, taken, "not taken at EOF").File()
		wantAll(t, f, nil)
		if nonblocking(t, f) {
			t.Error("it was blocking")
		}
		f.Close()

		pr, pw = pipe(t)
		pr.SetDeadline(time.Now().Add(patience))
		c := r.adoptFD(release(t, pw), &channel.Handler{})
		all := noise(1 << 20)
		r.do(func() {
			c.SendFrom(bytes.NewReader(all))
			taken = r.detach(c)
		})
		got := make([]byte, len(all))
		if _, err := io.ReadFull(pr, got); err != nil || !bytes.Equal(got, all) {
			t.Errorf("read %v, or something else", err)
		}
		f = r.taken(taken).File()
		if !nonblocking(t, f) {
			t.Error("it was not blocking")
		}
		mustWrite(t, f, "and more")
		f.Close()
		wantAll(t, pr, []byte("and more"))

		// What Unread gave back is the caller's to see to.
		pr, pw = pipe(t)
		mustWrite(t, pw, "first second")
		c = r.adoptFD(release(t, pr), &channel.Handler{Read: func(c *channel.Conn, p []byte) {
			c.Unread(p[len("first "):])
			taken = r.detach(c)
		}})
		r.wantEnd(nil)
		d := receive(t, taken, "not taken")
		if string(d.Unread) != "second" {
			t.Errorf("Unread = %q", d.Unread)
		}
		f = d.File()
		pw.Close()
		wantAll(t, f, nil)
		f.Close()
	})
}

// After the end, and before, Detach tells why it does nothing.
func TestDetachRefuses(t *testing.T) {
	never := func(channel.Detached) { panic("taken") }
	tests := []struct {
		name string
		end  func(r *rig, c *channel.Conn)
		want error
	}{
		{"Close", (*rig).close, nil},
		{"Abort", (*rig).abort, net.ErrClosed},
		{"Reset", func(r *rig, c *channel.Conn) { r.shut(c, (*channel.Conn).Reset) }, net.ErrClosed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, loop.Config{})
			nc, _ := pairOf(t, "tcp")
			c := r.adopt(nc, "", &channel.Handler{})
			r.do(func() {
				test.end(r, c)
				err := c.Detach(never)
				if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "detach" || !errors.Is(err, net.ErrClosed) {
					t.Errorf("Detach = %v", err)
				}
			})
			r.wantEnd(test.want)
			r.do(func() {
				if err := c.Detach(never); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Detach when closed = %v", err)
				}
			})
		})
	}
}

// Close comes too late for a Conn that is promised to somebody; Abort does not.
func TestDetachThenClose(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		nc, peer := pairOf(t, network)
		c := r.adopt(nc, "", &channel.Handler{})
		var taken <-chan channel.Detached
		r.do(func() {
			c.WriteString("queued")
			taken = r.detach(c)
			if err := c.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Close = %v", err)
			}
		})
		r.conn(r.taken(taken)).Close()
		wantAll(t, peer, []byte("queued"))

		nc, peer = pairOf(t, network)
		c = r.adopt(nc, "", &channel.Handler{})
		r.do(func() {
			c.WriteString("queued")
			r.shut(c, func(c *channel.Conn) {
				c.Detach(func(channel.Detached) { t.Error("taken after Abort") })
				c.Abort()
			})
		})
		if n, err := io.Copy(io.Discard, peer); n > 0 || network == "tcp" && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the peer read %d bytes, %v", n, err)
		}
		r.wantEnd(net.ErrClosed)
	})
}

// From one loop to another, with what was read and not used.
func TestDetachedAdopt(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		nc, peer := pairOf(t, network)
		other := newRig(t, loop.Config{Poller: r.l.Poller()})
		var got string
		moved := make(chan (<-chan channel.Detached), 1)
		r.adopt(nc, "", &channel.Handler{Read: func(c *channel.Conn, p []byte) {
			c.Unread(p[len("for one, "):])
			moved <- r.detach(c)
		}})
		send(t, peer, "for one, for the other")
		d := r.taken(receive(t, moved, "input"))
		other.do(func() {
			h := other.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) { got += string(p); c.Write(p) }})
			c, err := d.Adopt(other.l, h)
			if err != nil {
				t.Fatal(err)
			}
			other.life(c).given = true
		})
		other.until("input", func() bool { return got == "for the other" })
		wantRead(t, peer, "for the other")
		peer.Close()
		other.wantEnd(nil)
	})
	l, err := loop.New(loop.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err := (channel.Detached{FD: -1}).Adopt(l, &channel.Handler{}); c != nil || !errors.Is(err, syscall.EBADF) {
		t.Errorf("Adopt of nothing = %v, %v", c, err)
	}
}

// CloseWrite is carried out before the connection goes.
func TestDetachCloseWrite(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		nc, peer := pairOf(t, network)
		c := r.adopt(nc, "", &channel.Handler{})
		var taken <-chan channel.Detached
		r.do(func() {
			c.WriteString("question")
			c.CloseWrite()
			taken = r.detach(c)
		})
		nc = r.conn(r.taken(taken))
		wantAll(t, peer, []byte("question"))
		mustWrite(t, peer, "answer")
		peer.Close()
		wantAll(t, nc, []byte("answer"))
	})
}

// Before Connect, which does not come then.
func TestDetachOpening(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		nc, peer := pairOf(t, network)
		var taken <-chan channel.Detached
		r.do(func() {
			c, err := channel.Adopt(r.l, nc, r.check(&channel.Handler{
				Connect: func(*channel.Conn) { t.Error("Connect after Detach") },
			}))
			if err != nil {
				t.Error(err)
				return
			}
			r.life(c).given = true
			c.Unread([]byte("unread "))
			c.WriteString("queued ")
			taken = r.detach(c)
		})
		nc = r.conn(r.taken(taken))
		mustWrite(t, nc, "more")
		wantRead(t, peer, "queued more")
		mustWrite(t, peer, "fresh")
		wantRead(t, nc, "unread fresh")
	})
}

// While it is connecting, Detach waits for the connection, or its failure.
func TestDetachDial(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		nl := netListen(t, network)
		h := &channel.Handler{Connect: func(*channel.Conn) { t.Error("Connect after Detach") }}
		var taken <-chan channel.Detached
		r.do(func() {
			c := r.dial(channel.Dialer{}, network, nl.Addr().String(), h)
			c.WriteString("queued ")
			taken = r.detach(c)
		})
		peer, err := nl.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()
		nc := r.conn(r.taken(taken))
		mustWrite(t, nc, "more")
		wantRead(t, peer, "queued more")

		to := nl.Addr().String()
		nl.Close()
		r.do(func() {
			c := r.dial(channel.Dialer{}, network, to, h)
			r.shut(c, func(c *channel.Conn) {
				c.Detach(func(channel.Detached) { t.Error("taken, though it was refused") })
			})
		})
		if e := r.end(); e.err == nil {
			t.Error("Close(nil)")
		}
	})
}

// Output that the peer takes slowly, a producer's too, goes out first; and Write
// is not called, though it is due.
func TestDetachFlushes(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		all := noise(4 << 20)
		nc, peer := pairOf(t, network)
		c := r.adopt(nc, "", &channel.Handler{Write: func(*channel.Conn) { t.Error("Write after Detach") }})
		var taken <-chan channel.Detached
		r.do(func() {
			c.SetWater(0, 1<<20, -1)
			c.Write(all[:3<<20]) // above high water
			c.SendFrom(bytes.NewReader(all[3<<20:]))
			taken = r.detach(c)
		})
		mustWrite(t, peer, "meanwhile")
		r.quiet()
		if len(taken) > 0 {
			t.Fatal("taken with output queued")
		}
		got := make([]byte, len(all))
		if _, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, all) {
			t.Fatalf("the peer read something else, or %v", err)
		}
		wantRead(t, r.conn(r.taken(taken)), "meanwhile")
	})
}

// parked gives what was put into it.
type parked struct {
	text string
	end  bool
}

func (p *parked) Read(b []byte) (int, error) {
	n := copy(b, p.text)
	p.text = p.text[n:]
	if n == 0 && p.end {
		return 0, io.EOF
	}
	return n, nil
}

func TestDetachParkedProducer(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, peer := pairOf(t, "tcp")
		c := r.adopt(nc, "", &channel.Handler{})
		p := &parked{text: "first "}
		var taken <-chan channel.Detached
		r.do(func() { c.SendFrom(p) })
		wantRead(t, peer, "first ")
		r.do(func() { taken = r.detach(c) })
		r.quiet()
		r.do(func() { p.text = "second "; c.Unpark() })
		wantRead(t, peer, "second ")
		r.quiet()
		if len(taken) > 0 {
			t.Error("taken with a producer that may have more")
		}
		r.do(func() { p.text, p.end = "third", true; c.Unpark() })
		wantRead(t, peer, "third")
		r.conn(r.taken(taken))
	})
}

// A producer that detaches its own Conn, and one that fails.
func TestDetachInProducer(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, peer := pairOf(t, "tcp")
		c := r.adopt(nc, "", &channel.Handler{})
		var taken <-chan channel.Detached
		r.do(func() {
			times := 0
			c.SendFrom(readerFunc(func(p []byte) (int, error) {
				if times++; times == 1 {
					taken = r.detach(c)
				}
				if times > 3 {
					return 0, io.EOF
				}
				return copy(p, "x"), nil
			}))
		})
		wantRead(t, peer, "xxx")
		r.wantEnd(nil)
		r.conn(receive(t, taken, "not taken"))

		nc, peer = pairOf(t, "tcp")
		c = r.adopt(nc, "", &channel.Handler{})
		failure := errors.New("no more")
		r.do(func() {
			c.WriteString("before")
			c.SendFrom(readerFunc(func([]byte) (int, error) { return 0, failure }))
			taken = r.detach(c)
		})
		// A reset, since what the producer had is missing.
		if _, err := io.Copy(io.Discard, peer); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the peer's last read: %v", err)
		}
		r.wantEnd(failure)
		if len(taken) > 0 {
			t.Error("taken, though the producer has failed")
		}
	})
}

// Where the output cannot be sent, Close has the reason and nobody takes.
func TestDetachWriteFails(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPIPE, syscall.ECONNRESET} {
		faultEach(t, faultErrno(errno), func(t *testing.T, w *faultWorld) {
			r, _ := w.accept(channel.Handler{})
			w.f.Fail(faultsys.Send, errno)
			r.c.WriteString("x")
			if err := r.c.Detach(func(channel.Detached) { t.Error("taken") }); err != nil {
				t.Error(err)
			}
			r.waitClosed(errno)

			// Already known: Detach itself says so.
			w.f.Heal(faultsys.Send)
			r, p := w.accept(channel.Handler{Connect: func(c *channel.Conn) { c.Pause() }})
			p.send([]byte("unread"))
			w.f.Fail(faultsys.Send, errno)
			r.c.Write(make([]byte, 64<<10))
			if err := r.c.Detach(func(channel.Detached) { t.Error("taken") }); !errors.Is(err, errno) {
				t.Errorf("Detach = %v", err)
			}
			r.c.Resume()
			r.waitClosed(errno)
			if string(r.got) != "unread" {
				t.Errorf("read %q", r.got)
			}
		})
	}
}

// A peer that takes nothing: the timeouts are those of the Conn.
func TestDetachStalls(t *testing.T) {
	tests := []struct {
		name string
		set  func(c *channel.Conn)
		want error
		when time.Duration
	}{
		{"default", func(*channel.Conn) {}, channel.ErrStalled, time.Minute},
		{"write timeout", func(c *channel.Conn) { c.SetWriteTimeout(5 * time.Second) }, channel.ErrStalled, 5 * time.Second},
		{"idle timeout", func(c *channel.Conn) { c.SetIdleTimeout(7 * time.Second) }, channel.ErrIdle, 7 * time.Second},
	}
	for _, test := range tests {
		faultEach(t, test.name, func(t *testing.T, w *faultWorld) {
			r, _ := w.accept(channel.Handler{})
			w.manual()
			w.faultFull()
			began := w.l.Now()
			test.set(r.c)
			r.c.WriteString("x")
			r.c.Detach(func(channel.Detached) { t.Error("taken") })
			r.waitClosed(test.want)
			if took := w.l.Now() - began; took != test.when {
				t.Errorf("it took %v, want %v", took, test.when)
			}
		})
	}
}

// A loop that is closed meanwhile closes what has not gone yet, and still hands
// over what has.
func TestDetachLoopCloses(t *testing.T) {
	faultEach(t, "flushing", func(t *testing.T, w *faultWorld) {
		r, _ := w.accept(channel.Handler{})
		w.faultFull()
		r.c.WriteString("x")
		r.c.Detach(func(channel.Detached) { t.Error("taken") })
		w.turn(0)
		w.close()
		r.waitedClosed(loop.ErrClosed)
	})
	// The turn under way is finished first.
	faultEach(t, "flushed", func(t *testing.T, w *faultWorld) {
		taken := 0
		r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, _ []byte) {
			err := c.Detach(func(d channel.Detached) {
				taken++
				w.f.Take(d.FD)
				unix.Close(d.FD)
			})
			if err != nil {
				t.Error(err)
			}
			w.l.Close()
		}})
		p.send([]byte("x"))
		w.until("Close", r.isClosed)
		w.closed = true
		r.waitedClosed(nil)
		if taken != 1 {
			t.Errorf("taken %d times", taken)
		}
	})
}

// waitedClosed wants Close to have come.
func (r *faultRec) waitedClosed(want error) {
	r.w.t.Helper()
	if r.closes != 1 || !errors.Is(r.err, want) {
		r.w.t.Errorf("closed %d times with %v, want %v", r.closes, r.err, want)
	}
}

// A callback ends the loop's goroutine between the flush and the Close of another
// Conn: that one has been given away already.
func TestDetachLoopEnds(t *testing.T) {
	faultEach(t, "flushed", func(t *testing.T, w *faultWorld) {
		taken := 0
		r, _ := w.accept(channel.Handler{})
		other, _ := w.accept(channel.Handler{})
		other.c.SetHandler(&channel.Handler{Close: func(*channel.Conn, error) {
			other.closes++
			w.in = ""
			runtime.Goexit()
		}})
		other.c.Abort() // its Close comes first
		err := r.c.Detach(func(d channel.Detached) {
			taken++
			w.f.Take(d.FD)
			unix.Close(d.FD)
		})
		if err != nil {
			t.Error(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.inside = true
			w.l.Poll(0)
		}()
		receive(t, done, "the goroutine has not ended")
		w.closed = true
		r.waitedClosed(nil)
		if taken != 1 {
			t.Errorf("taken %d times", taken)
		}
	})
}

// A panic in Close, in take or in both costs nobody the descriptor.
func TestDetachPanics(t *testing.T) {
	for _, where := range []string{"close", "take", "close and take", "read"} {
		faultEach(t, where, func(t *testing.T, w *faultWorld) {
			w.panics = 1
			taken := false
			h := channel.Handler{
				Read: func(c *channel.Conn, p []byte) {
					c.Unread(p)
					c.Detach(func(d channel.Detached) {
						taken = true
						w.f.Take(d.FD)
						unix.Close(d.FD)
						if string(d.Unread) != "rest" {
							t.Errorf("Unread = %q", d.Unread)
						}
						if strings.Contains(where, "take") {
							panic("take")
						}
					})
					if where == "read" {
						panic("read")
					}
				},
				Close: func(*channel.Conn, error) {
					if strings.Contains(where, "close") {
						panic("close")
					}
				},
			}
			r, p := w.accept(h)
			next, _ := w.accept(channel.Handler{})
			p.send([]byte("rest"))
			if where == "read" {
				var pe *loop.PanicError
				r.waitClosed(faultAny)
				if taken || !errors.As(r.err, &pe) {
					t.Errorf("taken: %v; closed with %v", taken, r.err)
				}
			} else {
				r.waitClosed(nil)
				w.turn(0)
				if !taken {
					t.Error("not taken")
				}
			}
			if w.log.count("callback panicked") != 1 {
				t.Errorf("log: %q", w.log.lines)
			}
			next.c.WriteString("the loop goes on")
			w.turn(0)
		})
	}
}

// The poller knows nothing of what has been given away, and take may adopt it
// again at once.
func TestDetachAdoptAgain(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		const rounds = 100
		nc, peer := pairOf(t, network)
		round := 0
		var h *channel.Handler
		h = &channel.Handler{
			Read: func(c *channel.Conn, p []byte) {
				c.Write(p[:1])
				c.Unread(p[1:])
				if round++; round == rounds {
					r.close(c)
					return
				}
				r.shut(c, func(c *channel.Conn) {
					c.Detach(r.taker(c, func(d channel.Detached) {
						again, err := channel.AdoptFD(r.l, d.FD, r.check(h))
						if err != nil {
							t.Error(err)
							return
						}
						r.life(again).given = true
						again.Unread(d.Unread)
					}))
				})
			},
		}
		all := noise(rounds)
		mustWrite(t, peer, string(all))
		r.adopt(nc, "", h)
		wantAll(t, peer, all)
		for range rounds {
			r.wantEnd(nil)
		}
	})
}

// Another loop, in another goroutine, takes over.
func TestDetachToAnotherLoop(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		other := newRig(t, loop.Config{})
		nc, peer := pairOf(t, "tcp")
		mustWrite(t, peer, "one two")
		adopted := make(chan error, 1)
		r.adopt(nc, "", &channel.Handler{Read: func(c *channel.Conn, p []byte) {
			c.Unread(p)
			r.shut(c, func(c *channel.Conn) {
				c.Detach(r.taker(c, func(d channel.Detached) {
					other.l.Post(func() {
						c, err := channel.AdoptFD(other.l, d.FD, other.check(echo))
						if err == nil {
							other.life(c).given = true
							c.Unread(d.Unread)
						}
						adopted <- err
					})
				}))
			})
		}})
		if err := receive(t, adopted, "not adopted"); err != nil {
			t.Fatal(err)
		}
		r.wantEnd(nil)
		wantRead(t, peer, "one two")
		peer.Close()
		other.wantEnd(nil)
	})
}

// A Detached connection is one of package net in all that matters.
func TestDetachedConn(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		// detached gives a connection with some bytes unread.
		detached := func(t *testing.T, unread string) (nc, peer net.Conn) {
			nc, peer = pairOf(t, network)
			c := r.adopt(nc, unread, &channel.Handler{Connect: func(c *channel.Conn) { c.Pause() }})
			var taken <-chan channel.Detached
			r.do(func() { taken = r.detach(c) })
			return r.conn(r.taken(taken)), peer
		}
		for _, unread := range []string{"", "unread "} {
			nc, peer := detached(t, unread)
			var kind bool
			if network == "tcp" {
				_, kind = nc.(*net.TCPConn)
			} else {
				_, kind = nc.(*net.UnixConn)
			}
			if kind != (unread == "") {
				t.Errorf("with %q unread it is a %T", unread, nc)
			}
			if !isOpen(fdOf(t, nc.(syscall.Conn))) {
				t.Error("SyscallConn gives another descriptor")
			}
			if n, err := nc.Read(nil); n != 0 || err != nil {
				t.Errorf("Read(nil) = %d, %v", n, err)
			}
			mustWrite(t, peer, "fresh")
			halfClose(t, peer)
			wantAll(t, nc, []byte(unread+"fresh"))
			mustWrite(t, nc, "answer")
			halfClose(t, nc)
			wantAll(t, peer, []byte("answer"))
		}

		// No short cut of package io or os past the first bytes.
		nc, peer := detached(t, "unread ")
		mustWrite(t, peer, "fresh")
		peer.Close()
		path := filepath.Join(t.TempDir(), "copy")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(f, nc); err != nil {
			t.Error(err)
		}
		f.Close()
		if got, err := os.ReadFile(path); err != nil || string(got) != "unread fresh" {
			t.Errorf("copied to a file: %q, %v", got, err)
		}
		for _, to := range []string{"tcp", "unix", "pipe"} {
			nc, peer := detached(t, "unread ")
			mustWrite(t, peer, "fresh")
			peer.Close()
			var dst io.WriteCloser
			var src io.Reader
			if to == "pipe" {
				pr, pw := pipe(t)
				dst, src = pw, pr
			} else {
				dst, src = pairOf(t, to)
			}
			if _, err := io.Copy(dst, nc); err != nil {
				t.Error(err)
			}
			dst.Close()
			wantAll(t, src, []byte("unread fresh"))
		}

		// Closed is closed.
		nc, _ = detached(t, "unread")
		nc.Close()
		if n, err := nc.Read(make([]byte, 10)); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after Close = %d, %v", n, err)
		}
	})
}

// Several goroutines that read share out the bytes; none is lost or given twice.
func TestDetachedConnConcurrently(t *testing.T) {
	r := newRig(t, loop.Config{})
	nc, peer := pairOf(t, "tcp")
	all := noise(200 << 10)
	c := r.adopt(nc, string(all[:100<<10]), &channel.Handler{Connect: func(c *channel.Conn) { c.Pause() }})
	var taken <-chan channel.Detached
	r.do(func() { taken = r.detach(c) })
	nc = r.conn(r.taken(taken))
	var wg sync.WaitGroup
	wg.Go(func() {
		peer.Write(all[100<<10:])
		peer.Close()
	})
	var mu sync.Mutex
	var got []byte
	for range 4 {
		wg.Go(func() {
			buf := make([]byte, 1000)
			for {
				n, err := nc.Read(buf)
				mu.Lock()
				got = append(got, buf[:n]...)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	slices.Sort(got)
	slices.Sort(all)
	if !bytes.Equal(got, all) {
		t.Errorf("read %d bytes of %d, or other ones", len(got), len(all))
	}
}

// What cannot be made of a descriptor closes it: it was handed over.
func TestDetachedFails(t *testing.T) {
	r := newRig(t, loop.Config{})
	for _, to := range []string{"Conn", "Listener"} {
		for _, unread := range []string{"", "x"} {
			pr, pw := pipe(t)
			c := r.open(pr, &channel.Handler{Connect: func(c *channel.Conn) { c.Pause() }})
			pr.Close()
			r.do(func() { c.Unread([]byte(unread)) })
			var taken <-chan channel.Detached
			r.do(func() { taken = r.detach(c) })
			d := r.taken(taken)
			var err error
			if to == "Conn" {
				_, err = d.Conn()
			} else {
				_, err = d.Listener()
			}
			if err == nil {
				t.Errorf("%s of a pipe", to)
			}
			if isOpen(d.FD) {
				t.Errorf("%s has failed, and left the descriptor open", to)
			}
			if _, err := pw.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
				t.Errorf("%s has failed: writing to the pipe gives %v", to, err)
			}
		}
	}
	gone := channel.Detached{FD: -1}
	if nc, err := gone.Conn(); nc != nil || err == nil {
		t.Errorf("Conn of nothing = %v, %v", nc, err)
	}
	if nl, err := gone.Listener(); nl != nil || err == nil {
		t.Errorf("Listener of nothing = %v, %v", nl, err)
	}
}

// A listening socket goes to package net and comes back; who waits in its backlog
// waits on.
func TestListenerDetach(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		closed := make(chan error, 2)
		lc := channel.ListenConfig{Closed: func(_ *channel.Listener, err error) { closed <- err }}
		ln := r.listen(lc, network, address(t, network), func(*channel.Conn) *channel.Handler { return echo })
		addr := ln.Addr()
		first := connect(t, addr)
		send(t, first, "first")
		wantRead(t, first, "first")
		r.do(ln.Pause)
		second := connect(t, addr) // in the backlog
		var d channel.Detached
		r.do(func() {
			var err error
			if d, err = ln.Detach(); err != nil {
				t.Error(err)
			}
			if d, err := ln.Detach(); !errors.Is(err, net.ErrClosed) || d.FD >= 0 {
				t.Errorf("a second Detach = %v, %v", d, err)
			}
			if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Close after Detach: %v", err)
			}
			ln.Pause()
			ln.Resume()
			if len(closed) > 0 {
				t.Error("Closed was called inside Detach")
			}
		})
		if err := receive(t, closed, "Closed was not called"); err != nil {
			t.Errorf("Closed(%v)", err)
		}
		// Nobody accepts: the socket has left the loop.
		r.calm(func() { connect(t, addr) })
		nl, err := d.Listener()
		if err != nil {
			t.Fatal(err)
		}
		defer nl.Close()
		if nl.Addr().String() != addr.String() {
			t.Errorf("Addr = %v, want %v", nl.Addr(), addr)
		}
		for range 2 {
			nc, err := nl.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			mustWrite(t, nc, "from package net")
		}
		wantRead(t, second, "from package net")
		send(t, first, "still here")
		wantRead(t, first, "still here")

		ln = r.adoptListener(lc, nl, echo)
		third := connect(t, addr)
		send(t, third, "third")
		wantRead(t, third, "third")
		if network == "unix" {
			if _, err := os.Lstat(addr.String()); err != nil {
				t.Error(err)
			}
		}
		r.do(func() { ln.Close() })
		receive(t, closed, "Closed was not called")
		r.quiet()
		if len(closed) > 0 {
			t.Error("Closed was called too often")
		}
	})
}

// In the function that accepts, with others waiting.
func TestListenerDetachInAccept(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		got := make(chan channel.Detached, 1)
		accepted := 0
		var ln *channel.Listener
		ln = r.listen(channel.ListenConfig{}, network, address(t, network), func(c *channel.Conn) *channel.Handler {
			if accepted++; accepted > 1 {
				t.Error("accepted after Detach")
			}
			d, err := ln.Detach()
			if err != nil {
				t.Error(err)
			}
			got <- d
			return echo
		})
		addr := ln.Addr()
		var clients []net.Conn
		r.do(func() { // both wait when the loop looks
			clients = append(clients, connect(t, addr), connect(t, addr))
		})
		nl, err := receive(t, got, "nothing accepted").Listener()
		if err != nil {
			t.Fatal(err)
		}
		defer nl.Close()
		nc, err := nl.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		send(t, clients[0], "the loop's")
		wantRead(t, clients[0], "the loop's")
		mustWrite(t, nc, "package net's")
		wantRead(t, clients[1], "package net's")
	})
}

// Clients that connect all the time do not notice who listens.
func TestListenerHandOver(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		const rounds, clients = 20, 4
		ln := r.listen(channel.ListenConfig{}, network, address(t, network), func(*channel.Conn) *channel.Handler { return echo })
		addr := ln.Addr()
		stop := make(chan struct{})
		var served [clients]int
		var failed [clients]error
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				for failed[i] == nil {
					select {
					case <-stop:
						return
					default:
					}
					failed[i] = ping(addr)
					served[i]++
				}
			})
		}
		for range rounds {
			var nl net.Listener
			r.do(func() {
				d, err := ln.Detach()
				if err != nil {
					t.Fatal(err)
				}
				if nl, err = d.Listener(); err != nil {
					t.Fatal(err)
				}
			})
			// One is served by package net, which may be holding another one when
			// it ends: that one it must serve.
			var done sync.WaitGroup
			for range 2 {
				nc, err := nl.Accept()
				if err != nil {
					t.Fatal(err)
				}
				done.Go(func() {
					io.Copy(nc, nc)
					nc.Close()
				})
			}
			ln = r.adoptListener(channel.ListenConfig{}, nl, echo)
			done.Wait()
		}
		close(stop)
		wg.Wait()
		if diff := cmp.Diff([clients]error{}, failed); diff != "" {
			t.Errorf("clients failed: %s", diff)
		}
		total := 0
		for _, n := range served {
			total += n
		}
		if total < 2*rounds {
			t.Errorf("%d connections served", total)
		}
		for len(r.closed) > 0 {
			<-r.closed
		}
	})
}

// ping makes a connection and has one message come back.
func ping(to net.Addr) error {
	nc, err := net.Dial(to.Network(), to.String())
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(nc, "ping"); err != nil {
		return err
	}
	var got [4]byte
	_, err = io.ReadFull(nc, got[:])
	return err
}
