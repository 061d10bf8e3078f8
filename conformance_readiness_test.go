//go:build unix

package asyncore_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
)

// state is one state that a descriptor can be in, and what it is ready for.
type state struct {
	name string
	// open returns the descriptor to watch, fresh, and its peer if it has one.
	open func(t testing.TB) (fd, peer *end)
	// enter takes fd from fresh into the state; nil if fresh is the state.
	enter func(fd, peer *end)
	// keep keeps it there, where TCP acknowledges late what enter has sent.
	keep func(fd *end)
	// must is what fd is ready for, may what it is ready for by some kernels.
	must, may asyncore.Interest
	// once is true where kqueue may report it once instead of always.
	once bool
	// then looks at what the event promised; nil if it promised nothing.
	then func(fd, peer *end)
}

func onLinux() bool { return runtime.GOOS == "linux" || runtime.GOOS == "android" }

// elsewhere is for readiness that Linux's kernel does not report, but others do.
func elsewhere(may asyncore.Interest) asyncore.Interest {
	if onLinux() {
		return 0
	}
	return may
}

// onlyLinux is for what Linux's kernel promises and others do not.
func onlyLinux(promise func(fd, peer *end)) func(fd, peer *end) {
	if onLinux() {
		return promise
	}
	return nil
}

// What may happen to a stream is the same for TCP and Unix sockets; what
// follows is not, in detail.
func streamStates(open func(t testing.TB) (fd, peer *end)) []state {
	return []state{{
		name: "fresh",
		must: writable,
		then: func(fd, _ *end) { fd.write("x") },
	}, {
		name:  "data",
		enter: func(_, peer *end) { peer.write("hello") },
		must:  readable | writable,
		then:  func(fd, _ *end) { fd.expectRead("hello") },
	}, {
		name:  "data read",
		enter: func(fd, peer *end) { peer.write("hello"); fd.expectRead("hello") },
		must:  writable,
	}, {
		name:  "send buffer full",
		enter: func(fd, _ *end) { fd.fill() },
		keep:  (*end).fill,
	}, {
		name:  "send buffer full, and data",
		enter: func(fd, peer *end) { peer.write("hello"); settle(fd); fd.fill() },
		keep:  (*end).fill,
		must:  readable,
		then:  func(fd, _ *end) { fd.expectRead("hello") },
	}, {
		name:  "send buffer drained",
		enter: func(fd, peer *end) { fd.fill(); peer.drain() },
		must:  writable,
		then:  func(fd, _ *end) { fd.write("x") },
	}, {
		name:  "half-closed by peer",
		enter: func(_, peer *end) { peer.shutdown(unix.SHUT_WR) },
		must:  readable | writable,
		then: func(fd, peer *end) {
			fd.expectRead("")
			fd.write("still here") // the other half lives
			peer.expectRead("still here")
		},
	}, {
		name:  "half-closed by peer, with data",
		enter: func(_, peer *end) { peer.write("bye"); peer.shutdown(unix.SHUT_WR) },
		must:  readable | writable,
		then:  func(fd, _ *end) { fd.expectRead("bye"); fd.expectRead("") },
	}, {
		name:  "half-closed by peer, send buffer full",
		enter: func(fd, peer *end) { peer.shutdown(unix.SHUT_WR); settle(fd); fd.fill() },
		keep:  (*end).fill,
		must:  readable,
		then:  func(fd, _ *end) { fd.expectRead("") },
	}, {
		name:  "closed by peer",
		enter: func(_, peer *end) { peer.close() },
		must:  readable | writable,
		then:  func(fd, _ *end) { fd.expectRead("") },
	}, {
		name:  "closed by peer, with data",
		enter: func(_, peer *end) { peer.write("bye"); peer.close() },
		must:  readable | writable,
		then:  func(fd, _ *end) { fd.expectRead("bye"); fd.expectRead("") },
	}, {
		// The peer's kernel answers what nobody will read with an error.
		name:  "closed by peer that has unread data",
		enter: func(fd, peer *end) { peer.write("bye"); fd.write("unread"); settle(peer); peer.close() },
		must:  readable | writable,
		then: onlyLinux(func(fd, _ *end) {
			fd.expectRead("bye")
			fd.expectReadError(unix.ECONNRESET)
			fd.expectRead("")
		}),
	}, {
		name:  "closed by peer, send buffer full",
		enter: func(fd, peer *end) { fd.fill(); peer.close() },
		must:  readable | writable,
	}, {
		name:  "shut down for writing",
		enter: func(fd, _ *end) { fd.shutdown(unix.SHUT_WR) },
		must:  writable, // EPIPE does not block
	}, {
		name:  "shut down for reading",
		enter: func(fd, _ *end) { fd.shutdown(unix.SHUT_RD) },
		must:  readable | writable,
		then:  func(fd, _ *end) { fd.expectRead("") },
	}, {
		name:  "shut down by both",
		enter: func(fd, peer *end) { fd.shutdown(unix.SHUT_WR); peer.write("bye"); peer.shutdown(unix.SHUT_WR) },
		must:  readable | writable,
		then:  func(fd, _ *end) { fd.expectRead("bye"); fd.expectRead("") },
	}}
}

// settle waits until the descriptor has something to read.
func settle(e *end) {
	e.t.Helper()
	fds := []unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLIN}}
	for n := 0; n == 0; {
		n, _ = unix.Poll(fds, -1)
	}
}

var tcpStates = []state{{
	name:  "reset by peer",
	enter: func(_, peer *end) { peer.reset() },
	must:  readable | writable,
	then:  func(fd, _ *end) { fd.expectReadError(unix.ECONNRESET) },
}, {
	name:  "reset by peer, with data",
	enter: func(fd, peer *end) { peer.write("bye"); settle(fd); peer.reset() },
	must:  readable | writable,
	then: onlyLinux(func(fd, _ *end) {
		fd.expectRead("bye")
		fd.expectReadError(unix.ECONNRESET)
	}),
}, {
	name:  "reset by peer, send buffer full",
	enter: func(fd, peer *end) { fd.fill(); peer.reset() },
	must:  readable | writable,
	then:  func(fd, _ *end) { fd.expectReadError(unix.ECONNRESET) },
}}

var dgramStates = []state{{
	name: "fresh",
	must: writable,
	then: func(fd, _ *end) { fd.write("x") },
}, {
	name:  "two datagrams",
	enter: func(_, peer *end) { peer.write("one"); peer.write("two") },
	must:  readable | writable,
	then:  func(fd, _ *end) { fd.expectRead("one"); fd.expectRead("two") },
}, {
	name:  "two datagrams, one read",
	enter: func(fd, peer *end) { peer.write("one"); peer.write("two"); fd.expectRead("one") },
	must:  readable | writable,
	then:  func(fd, _ *end) { fd.expectRead("two") },
}, {
	// It is read as 0 bytes and is no end.
	name:  "empty datagram",
	enter: func(_, peer *end) { peer.send("", 0); peer.write("next") },
	must:  readable | writable,
	then:  func(fd, _ *end) { fd.expectRead(""); fd.expectRead("next") },
}}

var unixDgramStates = []state{{
	// The BSDs have no buffer to send from: to them it is always writable, and
	// send gives ENOBUFS.
	name:  "send buffer full",
	enter: func(fd, _ *end) { fd.fill() },
	may:   elsewhere(writable),
}, {
	name:  "send buffer drained",
	enter: func(fd, peer *end) { fd.fill(); peer.drain() },
	must:  writable,
	then:  func(fd, _ *end) { fd.write("x") },
}, {
	name:  "closed by peer",
	enter: func(_, peer *end) { peer.close() },
	must:  writable,
	may:   readable, // as ECONNRESET
}, {
	name:  "closed by peer, with data",
	enter: func(_, peer *end) { peer.write("bye"); peer.close() },
	must:  readable | writable,
	then:  onlyLinux(func(fd, _ *end) { fd.expectRead("bye") }),
}}

var udpStates = []state{{
	name:  "closed by peer",
	enter: func(_, peer *end) { peer.close() },
	must:  writable, // nobody has been told
}, {
	name:  "refused",
	enter: func(fd, peer *end) { peer.close(); fd.write("x") }, // ICMP comes back
	must:  readable | writable,
	then:  func(fd, _ *end) { fd.expectReadError(unix.ECONNREFUSED) },
}}

// FreeBSD's pipes go both ways, and other systems have inherited them.
var pipeReaderStates = []state{{
	name: "fresh",
	may:  elsewhere(writable),
}, {
	name:  "data",
	enter: func(_, w *end) { w.write("hello") },
	must:  readable,
	may:   elsewhere(writable),
	then:  func(r, _ *end) { r.expectRead("hello") },
}, {
	name:  "full",
	enter: func(_, w *end) { w.fill() },
	must:  readable,
	may:   elsewhere(writable),
}, {
	name:  "writer gone",
	enter: func(_, w *end) { w.close() },
	must:  readable,
	may:   writable, // HangUp may stand for it
	then:  func(r, _ *end) { r.expectRead("") },
}, {
	name:  "writer gone, with data",
	enter: func(_, w *end) { w.write("bye"); w.close() },
	must:  readable,
	may:   writable,
	then:  func(r, _ *end) { r.expectRead("bye"); r.expectRead("") },
}}

var pipeWriterStates = []state{{
	name: "fresh",
	must: writable,
	then: func(w, _ *end) { w.write("x") },
}, {
	name:  "full",
	enter: func(w, _ *end) { w.fill() },
}, {
	name:  "drained",
	enter: func(w, r *end) { w.fill(); r.drain() },
	must:  writable,
	then:  func(w, _ *end) { w.write("x") },
}, {
	name:  "reader gone",
	enter: func(_, r *end) { r.close() },
	must:  writable,
	may:   readable, // Fault may stand for it
	once:  true,     // FreeBSD's deletes the filter (EV_ONESHOT); it is a hint, after all
	then:  expectEPIPE,
}, {
	name:  "reader gone, full",
	enter: func(w, r *end) { w.fill(); r.close() },
	must:  writable,
	may:   readable,
	once:  true,
	then:  expectEPIPE,
}}

func expectEPIPE(w, _ *end) {
	if _, err := unix.Write(w.fd, []byte("x")); err != unix.EPIPE {
		w.t.Errorf("write: %v, want EPIPE", err)
	}
}

var listenerStates = []state{{
	name: "nobody",
}, {
	name:  "somebody",
	enter: func(ln, _ *end) { dial(ln.t, ln) },
	must:  readable,
	then:  func(ln, _ *end) { ln.accept() },
}, {
	name:  "two, one accepted",
	enter: func(ln, _ *end) { dial(ln.t, ln); dial(ln.t, ln); ln.accept() },
	must:  readable,
	then:  func(ln, _ *end) { ln.accept() },
}, {
	name:  "accepted",
	enter: func(ln, _ *end) { dial(ln.t, ln); ln.accept() },
}, {
	name:  "somebody who has left",
	enter: func(ln, _ *end) { c := dial(ln.t, ln); c.write("bye"); c.close() },
	must:  readable,
	then:  func(ln, _ *end) { ln.accept().expectRead("bye") },
}}

func TestReadiness(t *testing.T) {
	kinds := []struct {
		name   string
		open   func(t testing.TB) (fd, peer *end)
		states []state
	}{
		{"tcp", tcp, append(streamStates(tcp), tcpStates...)},
		{"unix stream", unixStream, streamStates(unixStream)},
		{"unix dgram", unixDgram, append(dgramStates, unixDgramStates...)},
		{"udp", udp, append(dgramStates, udpStates...)},
		{"pipe reader", pipe, pipeReaderStates},
		{"pipe writer", pipeWriter, pipeWriterStates},
		{"listener", func(t testing.TB) (fd, peer *end) { return listener(t), nil }, listenerStates},
		{"unconnected tcp", func(t testing.TB) (fd, peer *end) { return inet(t, unix.SOCK_STREAM), nil }, []state{{
			name: "fresh",
			may:  readable | writable, // Linux: HangUp, the BSDs: nothing
		}}},
	}
	each(t, func(t *testing.T, p *asyncore.Poller) {
		for _, k := range kinds {
			t.Run(k.name, func(t *testing.T) {
				for _, s := range k.states {
					s.open = k.open
					t.Run(s.name, func(t *testing.T) { s.check(t, p) })
				}
			})
		}
	})
}

// check runs the state with every interest, which is added before the state
// is entered (so that Wait has to notice the change) or after (so that Add
// has to notice what is there).
func (s state) check(t *testing.T, p *asyncore.Poller) {
	token := uint64(0)
	for _, want := range []asyncore.Interest{readable, writable, readable | writable} {
		for _, order := range []string{"added before", "added after"} {
			token++
			t.Run(fmt.Sprintf("%v %s", want, order), func(t *testing.T) {
				fd, peer := s.open(t)
				if order == "added before" {
					add(t, p, fd.fd, token, want)
					wait(t, p, 0)
				}
				if s.enter != nil {
					s.enter(fd, peer)
				}
				if order == "added after" {
					add(t, p, fd.fd, token, want)
				}
				registered := fd.fd
				defer p.Remove(registered) // also if the test fails before it does so
				again := func() {
					if s.keep != nil {
						s.keep(fd)
					}
				}
				expect(t, p, token, want, s.must, s.may, again)
				if s.must&want != 0 && !(s.once && p.Name() == "kqueue") { // level-triggered: once more
					expect(t, p, token, want, s.must, s.may, again)
				}
				if s.then != nil {
					s.then(fd, peer)
				}
				remove(t, p, fd.fd)
				if said := wait(t, p, 0); len(said) > 0 {
					t.Errorf("after Remove: %v", said)
				}
			})
		}
	}
}

// Connect is finished when the descriptor is writable, and failed when then
// SO_ERROR says so.
func TestConnect(t *testing.T) {
	tests := []struct {
		name string
		to   func(t testing.TB) *end
		want unix.Errno
		may  asyncore.Interest
	}{
		{"accepted", listener, 0, 0},
		{"refused", func(t testing.TB) *end { return bound(t, unix.SOCK_STREAM) }, unix.ECONNREFUSED, readable},
	}
	each(t, func(t *testing.T, p *asyncore.Poller) {
		for _, tt := range tests {
			for _, want := range []asyncore.Interest{writable, readable | writable} {
				t.Run(fmt.Sprintf("%s, %v", tt.name, want), func(t *testing.T) {
					to, c := tt.to(t), inet(t, unix.SOCK_STREAM)
					err := unix.Connect(c.fd, to.name())
					if err == tt.want && tt.want != 0 {
						t.Skip("refused at once, so there is nothing to wait for") // FreeBSD
					}
					if err != nil && err != unix.EINPROGRESS {
						t.Fatalf("connect: %v", err)
					}
					add(t, p, c.fd, 1, want)
					defer remove(t, p, c.fd)
					expect(t, p, 1, want, writable, tt.may)
					got, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
					if err != nil || unix.Errno(got) != tt.want {
						t.Errorf("SO_ERROR %d, %v, want %d", got, err, tt.want)
					}
				})
			}
		}
	})
}

// What a descriptor is ready for comes in one event.
func TestOneEvent(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		fd, peer := unixStream(t)
		peer.write("x")
		add(t, p, fd.fd, 1, readable|writable)
		var dst [8]asyncore.Event
		n, err := p.Wait(dst[:], patience)
		if diff := cmp.Diff([]asyncore.Event{{Token: 1, Ready: readable | writable}}, dst[:n]); err != nil || diff != "" {
			t.Errorf("Wait: %v (-want +got):\n%s", err, diff)
		}
	})
}

// A peer that is gone is a hang-up to those backends that have a word for it
// on every system, whatever was asked for.
func TestHangUp(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		if name := p.Name(); name != "epoll" && name != "kqueue" {
			t.Skip("cannot tell, or not everywhere")
		}
		for _, want := range []asyncore.Interest{readable, writable, readable | writable} {
			fd, peer := unixStream(t)
			add(t, p, fd.fd, 1, want)
			peer.close()
			if bits := wait(t, p, patience)[1]; bits&asyncore.HangUp == 0 {
				t.Errorf("asked for %v: %v", want, bits)
			}
			remove(t, p, fd.fd)
		}
	})
}

// What is not consumed is reported again, what is consumed no more.
func TestLevelTriggered(t *testing.T) {
	streams := map[string]func(t testing.TB) (fd, peer *end){"tcp": tcp, "unix": unixStream, "pipe": pipe}
	each(t, func(t *testing.T, p *asyncore.Poller) {
		for name, open := range streams {
			t.Run(name, func(t *testing.T) {
				fd, peer := open(t)
				add(t, p, fd.fd, 1, readable)
				defer remove(t, p, fd.fd)
				for range 2 {
					peer.write("abc")
					for range "abc" {
						expect(t, p, 1, readable, readable, 0)
						if _, err := fd.tryRead(make([]byte, 1)); err != nil {
							t.Fatalf("read: %v", err)
						}
					}
					expectNone(t, p)
				}
			})
		}
	})
}

// The out-of-band byte is Urgent to those who ask, and nothing to others.
func TestUrgent(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		must, may := urgent, readable
		if !p.TellsUrgent() {
			must, may = 0, readable|urgent
		}
		for _, want := range []asyncore.Interest{urgent, urgent | readable, urgent | writable, urgent | readable | writable, readable} {
			t.Run(want.String(), func(t *testing.T) {
				fd, peer := tcp(t)
				add(t, p, fd.fd, 1, want)
				defer remove(t, p, fd.fd)
				expect(t, p, 1, want, writable, 0)

				peer.write("a")
				expect(t, p, 1, want, writable|readable, 0)
				fd.expectRead("a")

				peer.send("!", unix.MSG_OOB)
				expect(t, p, 1, want, writable|must, may)
				expect(t, p, 1, want, writable|must, may)

				var b [1]byte
				if n, _, err := unix.Recvfrom(fd.fd, b[:], unix.MSG_OOB); err != nil || string(b[:n]) != "!" {
					t.Fatalf("recv MSG_OOB: %q, %v", b[:max(n, 0)], err)
				}
				if !onLinux() {
					// To the BSDs the mark itself is urgent, until one reads past it.
					peer.write("b")
					fd.expectRead("b")
				}
				expect(t, p, 1, want, writable, 0)
			})
		}
	})
}
