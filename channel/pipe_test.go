//go:build unix

package channel_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const (
	defaultMark = 64 << 10  // high water, if nobody has set it
	largestRead = 256 << 10 // what one read takes at most
)

// coupled is a Pipe, with a client of package net at either end.
func (r *rig) coupled(network string) (na, nb net.Conn, a, b *channel.Conn) {
	r.Helper()
	na, a = r.pair(network, &channel.Handler{})
	nb, b = r.pair(network, &channel.Handler{})
	r.do(func() { channel.Pipe(a, b) })
	return na, nb, a, b
}

// stream is an endless sequence of bytes in which each position can be told
// from its neighbours: a block of odd length, again and again.
type stream struct{ twice []byte }

const streamPeriod = 1<<20 - 3

func newStream(seed byte) *stream {
	p := make([]byte, streamPeriod)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return &stream{append(p, p...)}
}

// at returns the n bytes from a position on; n is a period at most.
func (s *stream) at(pos int64, n int) []byte { return s.twice[pos%streamPeriod:][:n] }

// send writes the first n bytes to w, and ends the direction.
func (s *stream) send(w net.Conn, n int64, piece func() int) error {
	for pos := int64(0); pos < n; {
		m, err := w.Write(s.at(pos, int(min(int64(piece()), n-pos))))
		pos += int64(m)
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", pos, err)
		}
	}
	return w.(interface{ CloseWrite() error }).CloseWrite()
}

// check reads to EOF and compares each byte by its position.
func (s *stream) check(from io.Reader, n int64, piece func() int) error {
	buf := make([]byte, 512<<10)
	for pos := int64(0); ; {
		m, err := from.Read(buf[:min(piece(), len(buf))])
		if !bytes.Equal(buf[:m], s.at(pos, m)) {
			return fmt.Errorf("bytes %d to %d are others", pos, pos+int64(m))
		}
		switch pos += int64(m); {
		case err == io.EOF && pos == n:
			return nil
		case err == io.EOF:
			return fmt.Errorf("end after %d bytes of %d", pos, n)
		case err != nil:
			return fmt.Errorf("after %d bytes: %w", pos, err)
		}
	}
}

func pieces(n int) func() int { return func() int { return n } }

// probe is the real system, with a look at the loop at each call that moves
// bytes: no peak of a queue escapes it.
type probe struct {
	sys.System
	look func()
}

func (p *probe) Recv(fd int, b []byte) (int, syscall.Errno) {
	n, errno := p.System.Recv(fd, b)
	p.look()
	return n, errno
}

func (p *probe) Send(fd int, b []byte) (int, syscall.Errno) {
	p.look()
	return p.System.Send(fd, b)
}

// Whole and in order, in both directions at once, with the ends of both, and the
// users' own callbacks as without a Pipe.
func TestPipe(t *testing.T) {
	there, back := newStream(1), newStream(2)
	const n, m = 8<<20 + 1, 5<<20 + 7
	for _, network := range []string{"tcp4", "unix"} {
		t.Run(network, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				na, nb, a, b := r.coupled(network)
				var wg sync.WaitGroup
				for what, err := range map[string]func() error{
					"a's sender":   func() error { return there.send(na, n, pieces(100_000)) },
					"b's sender":   func() error { return back.send(nb, m, pieces(77_777)) },
					"a's receiver": func() error { return back.check(na, m, pieces(64<<10)) },
					"b's receiver": func() error { return there.check(nb, n, pieces(64<<10)) },
				} {
					wg.Go(func() {
						if err := err(); err != nil {
							t.Errorf("%s: %v", what, err)
						}
					})
				}
				wg.Wait()
				for c, err := range r.ends(2) {
					if err != nil {
						t.Errorf("%v: Close(%v)", c, err)
					}
				}
				r.do(func() {
					got := [4]uint64{a.BytesRead(), a.BytesWritten(), b.BytesRead(), b.BytesWritten()}
					if want := [4]uint64{n, m, m, n}; got != want {
						t.Errorf("bytes read and written by a, then b: %v, want %v", got, want)
					}
					for _, c := range []*channel.Conn{a, b} {
						if lf := r.life(c); fmt.Sprint(lf.log) != "[connect close]" {
							t.Errorf("callbacks %v", lf.log)
						}
					}
				})
			})
		})
	}
}

// A gigabyte from a fast source to a sink that begins late, goes on in drops, and
// then takes what it gets. Each queue holds no more than its high water and one
// read; the heap grows by a few buffers.
func TestPipeGigabyte(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() || raceDetector {
		size = 64 << 20
	}
	for i, backend := range asyncore.Backends() {
		t.Run(backend, func(t *testing.T) {
			if i > 0 {
				size = 64 << 20 // the poller makes no difference to memory
			}
			var most, mostAll int64
			s := &probe{System: sys.Real(), look: func() {}}
			r := newRigOn(t, loop.Config{Poller: backend}, s)
			na, nb, a, b := r.coupled("tcp4")
			r.do(func() {
				s.look = func() {
					most = max(most, int64(a.Buffered()), int64(b.Buffered()))
					mostAll = max(mostAll, r.l.Stats().Buffered)
				}
			})
			data := newStream(3)
			na.SetDeadline(time.Now().Add(6 * patience))
			nb.SetDeadline(time.Now().Add(6 * patience))
			runtime.GC()
			var before, now runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			sent := make(chan error, 1)
			go func() { sent <- data.send(na, size, pieces(256<<10)) }()

			// The sink is late: the source is held back.
			var read uint64
			r.until("the source is held back", func() bool {
				last := read
				read = a.BytesRead()
				return b.Buffered() > defaultMark && read == last
			})
			r.quiet()
			r.do(func() {
				if got := a.BytesRead(); got != read {
					t.Errorf("%d more bytes were read while the sink reads nothing", got-read)
				}
			})
			var grown uint64
			calls := 0
			err := data.check(nb, size, func() int {
				switch calls++; {
				case calls < 5000:
					return 1 + calls%100 // in drops
				case calls%1000 == 0:
					runtime.ReadMemStats(&now)
					grown = max(grown, now.HeapInuse-min(now.HeapInuse, before.HeapInuse))
				}
				return 512 << 10
			})
			took := time.Since(began)
			if err != nil {
				t.Error(err)
			}
			if err := receive(t, sent, "the source hangs"); err != nil {
				t.Error(err)
			}
			r.do(func() {
				t.Logf("%d MiB in %v; at most %d bytes in one queue, %d on the loop; heap grew by %d KiB",
					size>>20, took.Round(time.Millisecond), most, mostAll, grown>>10)
				if most > defaultMark+largestRead || mostAll > defaultMark+largestRead {
					t.Errorf("more than high water and one read, %d bytes", defaultMark+largestRead)
				}
			})
			if grown > 16<<20 {
				t.Errorf("the heap grew by %d bytes", grown)
			}
		})
	}
}

// A byte is a byte: with a kernel that takes and gives one at a time too.
func TestPipeByteByByte(t *testing.T) {
	for _, limited := range []string{"recv", "send", "both"} {
		faultEach(t, limited, func(t *testing.T, w *faultWorld) {
			ra, pa := w.accept(channel.Handler{})
			rb, pb := w.accept(channel.Handler{})
			if limited != "send" {
				w.f.Limit(faultsys.Recv, 1)
			}
			if limited != "recv" {
				w.f.Limit(faultsys.Send, 1)
			}
			channel.Pipe(ra.c, rb.c)
			there, back := faultBytes(3000), faultBytes(2000)
			pa.send(there)
			pb.send(back)
			pa.closeWrite()
			w.wants(pb, there, true)
			pb.closeWrite()
			w.wants(pa, back, true)
			ra.waitClosed(nil)
			rb.waitClosed(nil)
		})
	}
}

// What was given back before comes first: in the Read that couples, while the
// Conn was paused, and at its EOF.
func TestPipeUnread(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nb, b := r.pair("unix", &channel.Handler{})
		na, a := r.pair("tcp4", &channel.Handler{Read: func(a *channel.Conn, p []byte) {
			head, rest, ok := bytes.Cut(p, []byte("\n"))
			if !ok || string(head) != "CONNECT" {
				t.Errorf("Read(%q)", p)
			}
			a.Unread(rest)
			channel.Pipe(a, b)
		}})
		send(t, na, "CONNECT\nthe rest")
		wantRead(t, nb, "the rest")
		send(t, na, ", and more")
		halfClose(t, na)
		wantAll(t, nb, []byte(", and more"))
		send(t, nb, "answer")
		nb.Close()
		wantAll(t, na, []byte("answer"))
		r.ends(2)

		// Paused meanwhile, as for a dial.
		nb, b = r.pair("unix", &channel.Handler{})
		na, a = r.pair("tcp4", &channel.Handler{Read: func(a *channel.Conn, p []byte) {
			a.Unread(p)
			a.Pause()
		}})
		send(t, na, "kept, ")
		r.until("input", func() bool { return a.BytesRead() == 6 })
		send(t, na, "later")
		r.do(func() { channel.Pipe(b, a) })
		wantRead(t, nb, "kept, later")
		na.Close()
		wantAll(t, nb, nil)
		nb.Close()
		r.ends(2)

		// The peer had said all, and its EOF has been told.
		for _, full := range []bool{false, true} {
			nb, b = r.pair("unix", &channel.Handler{})
			eof := false
			na, a = r.pair("tcp4", &channel.Handler{
				Read: func(a *channel.Conn, p []byte) { a.Unread(p) },
				EOF:  func(a *channel.Conn) { eof = true },
			})
			send(t, na, "all of it")
			halfClose(t, na)
			r.until("EOF", func() bool { return eof })
			var first int64
			r.do(func() {
				if full { // b has more than high water already
					b.SetWater(0, 1, 2)
					first = stuff(t, b)
					b.WriteString("--")
					first += 2
				}
				channel.Pipe(a, b)
			})
			readN(t, nb, first)
			wantAll(t, nb, []byte("all of it"))
			send(t, nb, "answer")
			halfClose(t, nb)
			wantAll(t, na, []byte("answer"))
			for _, err := range r.ends(2) {
				if err != nil {
					t.Errorf("full %v: Close(%v)", full, err)
				}
			}
		}
	})
}

// Either direction ends first, before the Pipe or behind it; the other goes on.
func TestPipeHalfClose(t *testing.T) {
	type step struct {
		from   string // the end that half-closes
		before bool   // before Pipe
	}
	for _, steps := range [][2]step{
		{{"a", false}, {"b", false}},
		{{"b", false}, {"a", false}},
		{{"a", true}, {"b", false}},
		{{"b", true}, {"a", false}},
		{{"a", true}, {"b", true}},
	} {
		t.Run(fmt.Sprint(steps), func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				eofs := 0
				h := &channel.Handler{
					Read: func(*channel.Conn, []byte) { t.Error("Read by the old handler") },
					EOF:  func(*channel.Conn) { eofs++ },
				}
				na, a := r.pair("tcp4", h)
				nb, b := r.pair("tcp4", h)
				ends := map[string][2]net.Conn{"a": {na, nb}, "b": {nb, na}}
				n := 0
				for _, s := range steps {
					if s.before {
						n++
						halfClose(t, ends[s.from][0])
					}
				}
				r.until("EOF", func() bool { return eofs == n })
				r.do(func() { channel.Pipe(a, b) })
				for i, s := range steps {
					nc, other := ends[s.from][0], ends[s.from][1]
					if !s.before {
						send(t, nc, "last words")
						halfClose(t, nc)
						wantAll(t, other, []byte("last words"))
					} else {
						wantAll(t, other, nil)
					}
					if i == 0 && !steps[1].before { // the other direction lives
						send(t, other, "still ")
						wantRead(t, nc, "still ")
					}
				}
				for _, err := range r.ends(2) {
					if err != nil {
						t.Errorf("Close(%v)", err)
					}
				}
				if eofs != n {
					t.Errorf("%d EOFs by the old handlers, want %d", eofs, n)
				}
			})
		})
	}
}

// One end is still being dialled: what comes for it waits, within bounds.
func TestPipeDial(t *testing.T) {
	faultEach(t, "slow", func(t *testing.T, w *faultWorld) {
		w.manual()
		w.step = 10 * time.Millisecond
		path := address(t, "unix")
		server, _ := faultServer(t, &net.UnixAddr{Name: path, Net: "unix"}, 1)
		ra, pa := w.accept(channel.Handler{})
		w.f.Fail(faultsys.Connect, syscall.EAGAIN) // its queue is full
		rb := w.dial("unix", path, channel.Dialer{}, channel.Handler{})
		channel.Pipe(ra.c, rb.c)
		data := faultBytes(8 << 20)
		sent := 0
		for range 50 {
			sent += pa.send(data[sent:])
			w.turn(w.step)
		}
		if got := rb.c.Buffered(); got <= defaultMark || got > defaultMark+largestRead || ra.c.BytesRead() != uint64(got) {
			t.Errorf("%d bytes wait for the dial, %d were read", got, ra.c.BytesRead())
		}
		w.f.Heal(faultsys.Connect)
		rb.waitOpen()
		pb := server.accept()
		var got []byte
		w.until("all of it", func() bool {
			if sent += pa.send(data[sent:]); sent == len(data) {
				pa.closeWrite()
			}
			more, _, err := pb.recv()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, more...)
			return len(got) == len(data)
		})
		if !bytes.Equal(got, data) {
			t.Error("other bytes came")
		}
		pb.close()
		ra.waitClosed(nil)
		rb.waitClosed(nil)
	})
	faultEach(t, "fails", func(t *testing.T, w *faultWorld) {
		ra, pa := w.accept(channel.Handler{})
		rb := w.dial("tcp", "127.0.0.1:1", channel.Dialer{}, channel.Handler{})
		pa.send([]byte("for nobody"))
		channel.Pipe(ra.c, rb.c)
		w.wants(pa, nil, true)
		rb.waitClosed(syscall.ECONNREFUSED)
		pa.close()
		ra.waitClosed(nil)
	})
	faultEach(t, "given up", func(t *testing.T, w *faultWorld) {
		path := address(t, "unix")
		faultServer(t, &net.UnixAddr{Name: path, Net: "unix"}, 1)
		w.f.Fail(faultsys.Connect, syscall.EAGAIN)
		ra, pa := w.accept(channel.Handler{})
		rb := w.dial("unix", path, channel.Dialer{}, channel.Handler{})
		channel.Pipe(rb.c, ra.c)
		w.settle()
		pa.reset() // nobody is left to dial for
		ra.waitClosed(syscall.ECONNRESET)
		rb.waitClosed(net.ErrClosed)
	})
	// The usual form: dial in Connect, couple at once. The client may have sent
	// all and its EOF by then.
	faultEach(t, "at once", func(t *testing.T, w *faultWorld) {
		server, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 1)
		rb := w.rec("dialled")
		ra, pa := w.accept(channel.Handler{Connect: func(a *channel.Conn) {
			rb.c = channel.Dial(w.l, "tcp", addr.String(), rb.handler(channel.Handler{}))
			channel.Pipe(a, rb.c)
		}})
		pa.send([]byte("question"))
		pa.closeWrite()
		pb := server.accept()
		w.wants(pb, []byte("question"), true)
		pb.send([]byte("answer"))
		pb.close()
		w.wants(pa, []byte("answer"), true)
		ra.waitClosed(nil)
		rb.waitClosed(nil)
	})
}

// One end is reset in the middle: the other gets all that came before, and then
// its end.
func TestPipeReset(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		na, nb, a, b := r.coupled("tcp4")
		data := newStream(4)
		na.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if err := data.send(na, 64<<20, pieces(64<<10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("64 MiB for one that does not read: %v", err)
		}
		r.do(func() {
			if b.Buffered() == 0 {
				t.Error("nothing waits")
			}
		})
		na.(*net.TCPConn).SetLinger(0)
		na.Close()
		got, err := io.ReadAll(nb)
		if err != nil {
			t.Error(err)
		}
		ends := r.ends(2)
		if err, ok := ends[a]; !ok || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a: Close(%v)", err)
		}
		if err, ok := ends[b]; !ok || err != nil {
			t.Errorf("b: Close(%v)", err)
		}
		r.do(func() {
			if uint64(len(got)) != a.BytesRead() {
				t.Errorf("%d bytes arrived, %d were read", len(got), a.BytesRead())
			}
		})
		for at := 0; at < len(got); at += streamPeriod {
			n := min(len(got)-at, streamPeriod)
			if !bytes.Equal(got[at:at+n], data.at(int64(at), n)) {
				t.Errorf("other bytes from %d on", at)
			}
		}
	})
}

// The user ends one: with Abort at once, with Close when it has been flushed.
func TestPipeEndedByUser(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for name, how := range map[string]func(*channel.Conn){"Abort": r.abort, "Close": r.close} {
			na, nb, a, b := r.coupled("tcp4")
			send(t, na, "before")
			wantRead(t, nb, "before")
			r.do(func() {
				a.WriteString("for a, ") // the user may still write, too
				b.WriteString("for b")
			})
			wantRead(t, na, "for a, ")
			r.do(func() { how(a) })
			wantAll(t, nb, []byte("for b"))
			cut := map[string]error{"Abort": syscall.ECONNRESET}[name]
			if _, err := io.Copy(io.Discard, na); !errors.Is(err, cut) {
				t.Errorf("%s: na's last read: %v", name, err)
			}
			nb.Close()
			ends := r.ends(2)
			want := map[string]error{"Abort": net.ErrClosed}[name]
			if err := ends[a]; !is(err, want) {
				t.Errorf("%s: a's Close(%v)", name, err)
			}
			if err := ends[b]; err != nil {
				t.Errorf("%s: b's Close(%v)", name, err)
			}
		}
	})
}

// clockPipe is a Pipe under a manual clock.
type clockPipe struct {
	*clock
	a, b   *channel.Conn
	na, nb net.Conn
	reason map[*channel.Conn]error
}

func pipesUnderClock(t *testing.T, f func(t *testing.T, k *clockPipe)) {
	t.Helper()
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) {
			k := &clockPipe{clock: newClock(t, name), reason: map[*channel.Conn]error{}}
			var accepted []*channel.Conn
			path := address(t, "unix")
			ln, err := channel.Listen(k.l, "unix", path, func(c *channel.Conn) *channel.Handler {
				accepted = append(accepted, c)
				return &channel.Handler{Close: func(c *channel.Conn, err error) {
					if _, ok := k.reason[c]; ok {
						t.Errorf("%v: a second Close", c)
					}
					k.reason[c] = err
				}}
			})
			if err != nil {
				t.Fatal(err)
			}
			k.na = connect(t, ln.Addr())
			k.pass(0)
			k.nb = connect(t, ln.Addr())
			k.pass(0)
			k.a, k.b = accepted[0], accepted[1]
			channel.Pipe(k.a, k.b)
			f(t, k)
		})
	}
}

// flood writes to na as much as goes, and returns how much that was.
func (k *clockPipe) flood() (n int64) {
	k.Helper()
	block := make([]byte, 32<<10)
	for idle := 0; idle < 3; {
		raw, err := k.na.(*net.UnixConn).SyscallConn()
		if err != nil {
			k.Fatal(err)
		}
		m := 0
		raw.Control(func(fd uintptr) { m, _ = unix.Write(int(fd), block) })
		if m <= 0 {
			idle++
		} else {
			n += int64(m)
			idle = 0
		}
		k.pass(0)
	}
	return n
}

// An end that takes nothing is closed for it, and the other after it.
func TestPipeStalled(t *testing.T) {
	pipesUnderClock(t, func(t *testing.T, k *clockPipe) {
		k.flood()
		k.pass(time.Minute - tick)
		if len(k.reason) > 0 {
			t.Fatalf("closed early: %v", k.reason)
		}
		k.pass(tick)
		if err := k.reason[k.b]; !errors.Is(err, channel.ErrStalled) {
			t.Errorf("b: Close(%v)", err)
		}
		wantAll(t, k.na, nil)
		k.na.Close()
		k.pass(0)
		if err, ok := k.reason[k.a]; !ok || err != nil {
			t.Errorf("a: %v, %v", err, ok)
		}
	})
}

// An idle timeout of either ends both. One that is held back counts as idle.
func TestPipeIdle(t *testing.T) {
	pipesUnderClock(t, func(t *testing.T, k *clockPipe) {
		k.a.SetIdleTimeout(time.Minute)
		for range 3 { // bytes in either direction count
			k.pass(time.Minute - tick)
			send(t, k.na, "x")
			k.pass(0)
			k.pass(time.Minute - tick)
			send(t, k.nb, "y")
			k.pass(0)
		}
		k.pass(time.Minute - tick)
		if len(k.reason) > 0 {
			t.Fatalf("closed early: %v", k.reason)
		}
		k.pass(tick)
		wantAll(t, k.nb, []byte("xxx"))
		k.nb.Close()
		k.pass(0)
		if err := k.reason[k.a]; !errors.Is(err, channel.ErrIdle) {
			t.Errorf("a: Close(%v)", err)
		}
		if err, ok := k.reason[k.b]; !ok || err != nil {
			t.Errorf("b: %v, %v", err, ok)
		}
	})
	pipesUnderClock(t, func(t *testing.T, k *clockPipe) {
		k.flood()
		k.a.SetIdleTimeout(time.Second)
		k.pass(time.Second)
		if err := k.reason[k.a]; !errors.Is(err, channel.ErrIdle) {
			t.Errorf("held back: Close(%v)", err)
		}
	})
}

// Whatever the marks, no direction waits for the other one, and none passes a
// limit: neither by what a Pipe moves nor by what the user adds.
func TestPipeMarks(t *testing.T) {
	there, back := newStream(5), newStream(6)
	const n = 1 << 20
	for _, marks := range [][3]int{
		{0, 0, 0}, {0, 0, -1}, {0, 1, 1}, {0, 1, -1}, {10, 10, 10}, {0, 100, 1000},
		{0, -1, -1}, {5, -10, 10}, {16 << 10, 64 << 10, 64 << 10}, {1 << 20, 2 << 20, 4 << 20},
	} {
		t.Run(fmt.Sprint(marks), func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				na, a := r.pair("unix", &channel.Handler{})
				nb, b := r.pair("unix", &channel.Handler{})
				r.do(func() {
					a.SetWater(marks[0], marks[1], marks[2])
					b.SetWater(marks[0], marks[1], marks[2])
					channel.Pipe(a, b)
				})
				sent := make(chan error, 2)
				go func() { sent <- there.send(na, n, pieces(50_000)) }()
				r.until("a's bytes fill b", func() bool { return b.Buffered() > 0 })
				// Nobody reads at b's end, and b's bytes reach a.
				go func() { sent <- back.send(nb, n, pieces(50_000)) }()
				if err := back.check(na, n, pieces(10_000)); err != nil {
					t.Errorf("against a slow direction: %v", err)
				}
				if err := there.check(nb, n, pieces(10_000)); err != nil {
					t.Error(err)
				}
				for range 2 {
					if err := receive(t, sent, "a sender hangs"); err != nil {
						t.Error(err)
					}
				}
				for c, err := range r.ends(2) {
					if err != nil {
						t.Errorf("%v: Close(%v)", c, err)
					}
				}
			})
		})
	}
}

// Output of the user's own, in front of a Pipe or into it, counts for the marks;
// what the Pipe reads meanwhile is kept, and nothing passes the hard limit.
func TestPipeAndOtherOutput(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, how := range []string{"producer before", "Write before", "Write after", "producer after"} {
			na, a := r.pair("unix", &channel.Handler{})
			nb, b := r.pair("unix", &channel.Handler{})
			own := strings.Repeat("o", 30_000) // more than the hard limit
			var first int64
			r.do(func() {
				b.SetWater(0, 100, 1000)
				first = stuff(t, b)
				if strings.HasSuffix(how, "after") {
					channel.Pipe(a, b)
				}
				if strings.HasPrefix(how, "Write") {
					b.WriteString(own)
				} else {
					b.SendFrom(strings.NewReader(own))
				}
				if strings.HasSuffix(how, "before") {
					channel.Pipe(a, b)
				}
			})
			data := noise(20_000)
			send(t, na, string(data[:10_000]))
			r.quiet()
			send(t, na, string(data[10_000:]))
			halfClose(t, na)
			r.quiet()
			readN(t, nb, first)
			wantAll(t, nb, append([]byte(own), data...))
			nb.Close()
			for _, err := range r.ends(2) {
				if err != nil {
					t.Errorf("%s: Close(%v)", how, err)
				}
			}
		}
	})
}

// The bound of the whole loop ends the end that has the most, and so its Pipe.
func TestPipeMaxBuffered(t *testing.T) {
	for _, backend := range asyncore.Backends() {
		t.Run(backend, func(t *testing.T) {
			r := newRig(t, loop.Config{Poller: backend, MaxBuffered: 50_000})
			na, _, a, b := r.coupled("unix")
			sent := make(chan error, 1)
			go func() { sent <- newStream(7).send(na, 64<<20, pieces(32<<10)) }()
			e := r.end()
			if e.c != b || !errors.Is(e.err, channel.ErrOutputLimit) {
				t.Errorf("closed %v with %v", e.c, e.err)
			}
			na.Close()
			if e := r.end(); e.c != a || e.err != nil {
				t.Errorf("closed %v with %v", e.c, e.err)
			}
			<-sent
		})
	}
}

// A panic in the user's Close, or in another callback, ends both.
func TestPipePanics(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nb, b := r.pair("unix", &channel.Handler{})
		na, a := r.pair("unix", &channel.Handler{Close: func(*channel.Conn, error) { panic("in Close") }})
		r.panics++
		r.do(func() {
			channel.Pipe(a, b)
			a.WriteString("bye")
			b.WriteString("bye")
			r.close(a)
		})
		wantAll(t, na, []byte("bye"))
		wantAll(t, nb, []byte("bye"))
		nb.Close()
		if e := r.end(); e.c != b || e.err != nil {
			t.Errorf("closed %v with %v", e.c, e.err)
		}

		nb, b = r.pair("unix", &channel.Handler{})
		_, a = r.pair("unix", &channel.Handler{})
		r.panics++
		r.do(func() {
			channel.Pipe(a, b)
			a.SendFrom(readerFunc(func([]byte) (int, error) { panic("in a producer") }))
		})
		wantAll(t, nb, nil)
		nb.Close()
		ends := r.ends(2)
		if _, ok := errors.AsType[*loop.PanicError](ends[a]); !ok || ends[b] != nil {
			t.Errorf("closed with %v", ends)
		}
	})
}

// Files that have one direction, as a process's standard input and output, in
// front of a socket and of each other.
func TestPipeFiles(t *testing.T) {
	open := func(r *rig) (in *os.File, stdin *channel.Conn, out *os.File, stdout *channel.Conn) {
		ir, iw, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		or, ow, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		stdin, stdout = r.open(ir, &channel.Handler{}), r.open(ow, &channel.Handler{})
		ir.Close()
		ow.Close()
		or.SetDeadline(time.Now().Add(patience))
		iw.SetDeadline(time.Now().Add(patience))
		r.Cleanup(func() { or.Close(); iw.Close() })
		return iw, stdin, or, stdout
	}
	data := noise(1 << 20)
	nils := func(r *rig, n int) {
		for c, err := range r.ends(n) {
			if err != nil {
				t.Errorf("%v: Close(%v)", c, err)
			}
		}
	}
	eachBackend(t, func(t *testing.T, r *rig) {
		t.Run("input to output", func(t *testing.T) {
			in, stdin, out, stdout := open(r)
			r.do(func() { stdin.PipeTo(stdout) })
			go func() { in.Write(data); in.Close() }()
			wantAll(t, out, data)
			nils(r, 2)
		})
		t.Run("input to socket", func(t *testing.T) {
			in, stdin, _, stdout := open(r)
			nc, c := r.pair("tcp4", &channel.Handler{})
			r.do(func() { stdout.Abort(); stdin.PipeTo(c) })
			r.end()
			go func() { in.Write(data); in.Close() }()
			wantAll(t, nc, data)
			nc.Close()
			nils(r, 2)
		})
		t.Run("socket to output", func(t *testing.T) {
			_, stdin, out, stdout := open(r)
			nc, c := r.pair("tcp4", &channel.Handler{})
			r.do(func() { stdin.Abort(); c.PipeTo(stdout) })
			r.end()
			go func() { nc.Write(data); nc.(*net.TCPConn).CloseWrite() }()
			wantAll(t, out, data)
			wantAll(t, nc, nil)
			nils(r, 2)
		})
		t.Run("the wrong way round", func(t *testing.T) {
			_, stdin, _, stdout := open(r)
			for _, mistake := range []func(){
				func() { stdout.PipeTo(stdin) },
				func() { channel.Pipe(stdin, stdout) },
			} {
				r.do(func() {
					defer func() {
						if v := fmt.Sprint(recover()); !strings.Contains(v, "not open for reading") {
							t.Errorf("panic %v", v)
						}
					}()
					mistake()
				})
			}
			r.do(func() { stdin.Abort(); stdout.Abort() })
			r.ends(2)
		})
		t.Run("broken output", func(t *testing.T) {
			_, stdin, out, stdout := open(r)
			nc, c := r.pair("tcp4", &channel.Handler{})
			r.do(func() { stdin.Abort(); c.PipeTo(stdout) })
			r.end()
			out.Close()
			send(t, nc, "for nobody")
			wantAll(t, nc, nil)
			nc.Close()
			ends := r.ends(2)
			if !errors.Is(ends[stdout], syscall.EPIPE) || ends[c] != nil {
				t.Errorf("closed with %v", ends)
			}
		})
	})
}

// A Conn that is closed, or being closed, is no partner for long.
func TestPipeOfClosed(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, swap := range []bool{false, true} {
			for _, state := range []string{"closed", "aborted", "closing", "closed for output"} {
				na, a := r.pair("unix", &channel.Handler{})
				nb, b := r.pair("unix", &channel.Handler{})
				closes := 2
				if state == "closed" {
					r.do(func() { a.Abort() })
					r.wantEnd(net.ErrClosed)
					closes--
				}
				r.do(func() {
					switch state {
					case "aborted":
						r.abort(a)
					case "closing":
						a.WriteString("last")
						r.close(a)
					case "closed for output":
						a.CloseWrite()
					}
					b.WriteString("last")
					if swap {
						channel.Pipe(b, a)
					} else {
						channel.Pipe(a, b)
					}
				})
				if state == "closing" {
					wantAll(t, na, []byte("last"))
				}
				if state == "closed for output" {
					send(t, na, " words")
					na.Close()
					wantAll(t, nb, []byte("last words"))
				} else {
					wantAll(t, nb, []byte("last"))
				}
				nb.Close()
				for _, err := range r.ends(closes) {
					if err != nil && !errors.Is(err, net.ErrClosed) {
						t.Errorf("%s: Close(%v)", state, err)
					}
				}
			}
		}
	})
}

// What cannot be meant is said by name.
func TestPipeMistakes(t *testing.T) {
	r, other := newRig(t, loop.Config{}), newRig(t, loop.Config{})
	_, a := r.pair("unix", echo)
	_, b := other.pair("unix", echo)
	r.stop()
	other.stop()
	panics := func(want string, f func()) {
		t.Helper()
		defer func() {
			t.Helper()
			if v := fmt.Sprint(recover()); !strings.HasPrefix(v, "channel: PipeTo: "+want) {
				t.Errorf("panic %v, want %q", v, want)
			}
		}()
		f()
	}
	panics("not two Conns of one loop", func() { channel.Pipe(a, a) })
	panics("not two Conns of one loop", func() { channel.Pipe(a, b) })
	panics("not two Conns of one loop", func() { channel.Pipe(a, nil) })

	// In an accept function, whose Handler would replace the Pipe's.
	r = newRig(t, loop.Config{})
	_, c := r.pair("unix", echo)
	ln := r.listen(channel.ListenConfig{}, "unix", address(t, "unix"), func(a *channel.Conn) *channel.Handler {
		panics("in an accept function", func() { channel.Pipe(a, c) })
		panics("in an accept function", func() { channel.Pipe(c, a) })
		return echo
	})
	nc := connect(t, ln.Addr())
	send(t, nc, "still echoed")
	wantRead(t, nc, "still echoed")
}

// It does not matter whether either was paused before.
func TestPipeOfPaused(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		na, a := r.pair("unix", echo)
		nb, b := r.pair("tcp4", echo)
		r.do(func() {
			a.Pause()
			b.Pause()
		})
		send(t, na, "there")
		send(t, nb, "back")
		r.quiet()
		r.do(func() { channel.Pipe(a, b) })
		wantRead(t, nb, "there")
		wantRead(t, na, "back")
	})
}

// Both get another handler: each is on its own again, with nothing lost.
func TestPipeUncoupled(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		na, nb, a, b := r.coupled("unix")
		data := newStream(8)
		na.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if err := data.send(na, 64<<20, pieces(32<<10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("64 MiB for one that does not read: %v", err)
		}
		na.SetWriteDeadline(time.Now().Add(patience))
		var input int64
		r.do(func() {
			input = int64(a.BytesRead())
			h := r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) {
				if c == a {
					if !bytes.Equal(p, data.at(input, len(p))) {
						t.Errorf("other bytes from %d on", input)
					}
					input += int64(len(p))
				} else {
					c.Write(p)
				}
			}})
			for _, c := range []*channel.Conn{a, b} {
				c.SetHandler(h)
				c.Resume()
			}
		})
		var before uint64
		r.until("all input is a's", func() bool {
			last := before
			before = a.BytesRead()
			return before == last && before > 0 && int64(before) == input
		})
		readN(t, nb, int64(func() (n uint64) {
			r.do(func() { n = b.BytesWritten() + uint64(b.Buffered()) })
			return n
		}()))
		send(t, nb, "echo")
		wantRead(t, nb, "echo")
		na.Close()
		if e := r.end(); e.c != a || e.err != nil {
			t.Errorf("closed %v with %v", e.c, e.err)
		}
		send(t, nb, "alone")
		wantRead(t, nb, "alone")
	})
}

// An urgent byte goes to the user's own callback, and the rest on.
func TestPipeUrgent(t *testing.T) {
	faultEach(t, "urgent", func(t *testing.T, w *faultWorld) {
		if w.l.Poller() == "kqueue" {
			t.Skip("not every kqueue can tell")
		}
		var urgent []byte
		ra, pa := w.accept(channel.Handler{Urgent: func(_ *channel.Conn, b byte) { urgent = append(urgent, b) }})
		rb, pb := w.accept(channel.Handler{})
		channel.Pipe(ra.c, rb.c)
		pa.send([]byte("before"))
		w.wants(pb, []byte("before"), false)
		pa.sendUrgent('!')
		w.until("the urgent byte", func() bool { return string(urgent) == "!" })
		pa.send([]byte("after"))
		w.wants(pb, []byte("after"), false)
		w.calm()
	})
}

// Any number of pairs with sizes, pieces, delays and ends of a seed's choice.
func TestPipeRandomly(t *testing.T) {
	for _, backend := range asyncore.Backends() {
		for seed := range uint64(3) {
			t.Run(fmt.Sprint(backend, " ", seed), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, loop.Config{Poller: backend})
				rng := rand.New(rand.NewPCG(seed, 1))
				const pairs = 12
				streams := []*stream{newStream(9), newStream(10)}
				var wg sync.WaitGroup
				broken := map[*channel.Conn]bool{} // by a reset
				for range pairs {
					networks := []string{"tcp4", "unix"}
					na, a := r.pair(networks[rng.IntN(2)], &channel.Handler{})
					nb, b := r.pair(networks[rng.IntN(2)], &channel.Handler{})
					marks := [][3]int{{0, 1, 1}, {0, 0, -1}, {16 << 10, 64 << 10, 1 << 20}, {100, 1000, 5000}}[rng.IntN(4)]
					reset := rng.IntN(4) == 0
					broken[a], broken[b] = reset, reset
					r.do(func() {
						a.SetWater(marks[0], marks[1], marks[2])
						if b.SetWater(0, 1+rng.IntN(100_000), -1); rng.IntN(2) == 0 {
							a, b = b, a
						}
						channel.Pipe(a, b)
					})
					for i, ends := range [][2]net.Conn{{na, nb}, {nb, na}} {
						n := int64(rng.IntN(1 << 18))
						if rng.IntN(3) == 0 {
							n *= 8
						}
						dice := func(most int) func() int { // of the goroutine that throws it
							own := rand.New(rand.NewPCG(rng.Uint64(), 2))
							return func() int {
								if own.IntN(20) == 0 {
									runtime.Gosched()
								}
								return 1 + own.IntN(most)
							}
						}
						out, in := dice(40_000), dice(1+rng.IntN(20_000))
						if reset && i == 0 {
							wg.Go(func() { // in the middle: the other end must see an end
								streams[i].send(ends[0], n, out)
								if tcp, ok := ends[0].(*net.TCPConn); ok {
									tcp.SetLinger(0)
								}
								ends[0].Close()
							})
							wg.Go(func() { io.Copy(io.Discard, ends[1]); ends[1].Close() })
							continue
						}
						if reset {
							wg.Go(func() { streams[i].send(ends[0], n, out) })
							continue
						}
						wg.Go(func() {
							if err := streams[i].send(ends[0], n, out); err != nil {
								t.Error(err)
							}
						})
						wg.Go(func() {
							if err := streams[i].check(ends[1], n, in); err != nil {
								t.Error(err)
							}
						})
					}
				}
				wg.Wait()
				for range 2 * pairs {
					if e := r.end(); e.err != nil && !broken[e.c] {
						t.Errorf("%v: Close(%v)", e.c, e.err)
					}
				}
			})
		}
	}
}

// Where the loop ends in the middle, neither peer takes what it got for all.
func TestPipeCutByLoopEnd(t *testing.T) {
	for name, end := range map[string]func(l *loop.Loop){
		"Close": func(l *loop.Loop) { l.Close() },
		"Drain": func(l *loop.Loop) { l.Drain(time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				a, ca := r.pair("tcp4", &channel.Handler{})
				b, cb := r.pair("tcp4", &channel.Handler{})
				r.do(func() { channel.Pipe(ca, cb) })
				send(t, a, "the first half")
				wantRead(t, b, "the first half")
				r.do(func() {
					r.shut(ca, func(*channel.Conn) {})
					r.shut(cb, func(*channel.Conn) {})
					end(r.l)
				})
				for _, nc := range []net.Conn{a, b} {
					if _, err := io.Copy(io.Discard, nc); !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("the peer's last read: %v", err)
					}
				}
			})
		})
	}
}
