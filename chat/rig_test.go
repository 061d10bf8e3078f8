//go:build unix

package chat_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/systest"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// rig is a loop under a manual clock, which the test drives by itself, turn by
// turn: what a peer has sent between two turns is one read. It writes down
// every callback, and checks that each may come.
type rig struct {
	testing.TB
	sys    *systest.System
	l      *loop.Loop
	panics uint64 // how many the test causes
	tcp    bool   // the kernel may take a moment

	turning bool // callbacks may come
	in      string
	logs    []*record
}

// eachBackend runs f once for every backend of this system.
func eachBackend(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) { f(t, newRig(t, loop.Config{Poller: name})) })
	}
}

func newRig(t testing.TB, config loop.Config) *rig {
	t.Helper()
	r := &rig{TB: t, sys: systest.New(time.Hour)}
	if testing.Verbose() {
		config.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	l, err := core.On(config, r.sys)
	if err != nil {
		t.Fatal(err)
	}
	r.l = l.(*loop.Loop)
	t.Cleanup(r.close)
	return r
}

// close closes the loop and looks for what should not have stayed.
func (r *rig) close() {
	r.turning = true
	if err := r.l.Close(); err != nil {
		r.Errorf("loop.Close: %v", err)
	}
	for _, rec := range r.logs {
		if rec.c != nil && !rec.closed {
			r.Errorf("%v: no Close callback, only %q", rec.c, rec.log)
		}
	}
	if s := r.l.Stats(); s.Buffered != 0 || s.Panics != r.panics {
		r.Errorf("at the end %d bytes count as buffered, and there were %d panics, want 0 and %d", s.Buffered, s.Panics, r.panics)
	}
}

// turn runs one turn; it does not wait.
func (r *rig) turn() {
	r.Helper()
	r.turning = true
	err := r.l.Poll(0)
	r.turning = false
	if err != nil {
		r.Fatal(err)
	}
}

// settle runs turns until nothing happens any more, and wants that to come to pass.
func (r *rig) settle() {
	r.Helper()
	for quiet, turns := 0, 0; quiet < 3; turns++ {
		if turns > 1e5 {
			r.Fatal("the loop does not come to rest")
		}
		if r.tcp && quiet > 0 {
			time.Sleep(time.Millisecond)
		}
		before := r.l.Stats().Events
		r.turn()
		at, ok := r.l.NextDeadline()
		if quiet++; r.l.Stats().Events != before || ok && at <= r.l.Now() {
			quiet = 0
		}
	}
}

// pass lets d pass.
func (r *rig) pass(d time.Duration) {
	r.Helper()
	r.sys.Advance(d)
	r.settle()
}

// record is what the handlers of one Conn have been told.
type record struct {
	r      *rig
	c      *chat.Conn
	log    []string
	closed bool
	err    error
	over   func() bool // the user wants no callback any more
	eof    bool
	began  bool
}

func (r *rig) record() *record {
	rec := &record{r: r}
	r.logs = append(r.logs, rec)
	return rec
}

// want compares what has been told with the callbacks given, and forgets it.
func (rec *record) want(callbacks ...string) {
	rec.r.Helper()
	if diff := cmp.Diff(strings.Join(callbacks, "\n"), strings.Join(rec.log, "\n")); diff != "" {
		rec.r.Errorf("callbacks (-want +got):\n%s", diff)
	}
	rec.log = nil
}

// callback runs one callback and checks that it may come now.
func (rec *record) callback(c *chat.Conn, hook, detail string, f func()) {
	r := rec.r
	r.Helper()
	switch {
	case !r.turning:
		r.Errorf("%v: %s inside a call of the test's", c, hook)
	case r.in != "":
		r.Errorf("%v: %s inside %s", c, hook, r.in)
	case rec.closed:
		r.Errorf("%v: %s after Close", c, hook)
	case hook == "close":
	case hook == "connect" && rec.began, hook != "connect" && !rec.began:
		r.Errorf("%v: %s after %q", c, hook, rec.log)
	case rec.eof && hook != "write":
		r.Errorf("%v: %s after EOF", c, hook)
	case rec.over != nil && rec.over():
		r.Errorf("%v: %s, and no more is wanted", c, hook)
	}
	rec.c = c
	rec.began = true
	rec.closed = hook == "close"
	rec.eof = rec.eof || hook == "eof"
	rec.log = append(rec.log, strings.TrimSuffix(hook+" "+detail, " "))
	r.in = hook
	defer func() { r.in = "" }()
	f()
}

func brief(p []byte) string {
	if len(p) > 40 {
		return fmt.Sprintf("%d×%.1q", len(p), p)
	}
	return fmt.Sprintf("%q", p)
}

// watch returns h with a record and a check around each callback. What has a
// meaning where it is nil stays nil.
func (rec *record) watch(h chat.Handler) *chat.Handler {
	inner := h
	call := func(f func(*chat.Conn), c *chat.Conn) func() {
		return func() {
			if f != nil {
				f(c)
			}
		}
	}
	h.Connect = func(c *chat.Conn) { rec.callback(c, "connect", "", call(inner.Connect, c)) }
	h.Write = func(c *chat.Conn) { rec.callback(c, "write", "", call(inner.Write, c)) }
	h.Message = func(c *chat.Conn, msg []byte) {
		hook, detail := "message", brief(msg)
		if inner.Collect != nil {
			hook, detail = "end", ""
			if msg != nil {
				rec.r.Errorf("Message(%q) with Collect", msg)
			}
		}
		rec.callback(c, hook, detail, func() {
			if inner.Message != nil {
				inner.Message(c, msg)
			}
		})
	}
	if inner.Collect != nil {
		h.Collect = func(c *chat.Conn, data []byte) {
			if len(data) == 0 {
				rec.r.Error("Collect of nothing")
			}
			rec.callback(c, "collect", brief(data), func() { inner.Collect(c, data) })
		}
	}
	if inner.TooLong != nil {
		h.TooLong = func(c *chat.Conn) { rec.callback(c, "too long", "", call(inner.TooLong, c)) }
	}
	if inner.Late != nil {
		h.Late = func(c *chat.Conn) { rec.callback(c, "late", "", call(inner.Late, c)) }
	}
	if inner.Urgent != nil {
		h.Urgent = func(c *chat.Conn, b byte) {
			rec.callback(c, "urgent", fmt.Sprintf("%q", b), func() { inner.Urgent(c, b) })
		}
	}
	if inner.EOF != nil {
		h.EOF = func(c *chat.Conn) { rec.callback(c, "eof", brief(c.Tail()), call(inner.EOF, c)) }
	}
	h.Close = func(c *chat.Conn, err error) {
		rec.err = err
		rec.callback(c, "close", reason(err), func() {
			if inner.Close != nil {
				inner.Close(c, err)
			}
		})
	}
	return &h
}

// reason is err by name.
func reason(err error) string {
	var panicked *loop.PanicError
	for _, known := range []struct {
		name string
		err  error
	}{
		{"closed", net.ErrClosed}, {"too long", chat.ErrTooLong}, {"frame timeout", chat.ErrFrameTimeout},
		{"unexpected EOF", io.ErrUnexpectedEOF}, {"output limit", channel.ErrOutputLimit}, {"loop closed", loop.ErrClosed},
	} {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	switch {
	case err == nil:
		return "nil"
	case errors.As(err, &panicked):
		return fmt.Sprint("panic: ", panicked.Value)
	}
	return err.Error()
}

func nothing(*chat.Conn)         {}
func collect(*chat.Conn, []byte) {}

var (
	discard    = new(channel.Handler)
	loopConfig loop.Config // of tests in which the backend does not matter
	bigEndian  = binary.BigEndian
)

// pair makes a Conn of one end of a socket pair, and a peer of the other.
func (r *rig) pair(h chat.Handler) (*chat.Conn, *record, *peer) {
	r.Helper()
	conn, p := r.raw(discard)
	rec := r.record()
	c := chat.Attach(conn, rec.watch(h))
	rec.c = c
	return c, rec, p
}

// open is pair, past Connect.
func (r *rig) open(h chat.Handler) (*chat.Conn, *record, *peer) {
	r.Helper()
	c, rec, p := r.pair(h)
	r.settle()
	rec.want("connect")
	return c, rec, p
}

// raw is pair without package chat.
func (r *rig) raw(h *channel.Handler) (*channel.Conn, *peer) {
	r.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		r.Fatal(err)
	}
	c, err := channel.AdoptFD(r.l, fds[0], h)
	if err != nil {
		r.Fatal(err)
	}
	return c, newPeer(r, fds[1])
}

// accepted is open over TCP, through Accept.
func (r *rig) accepted(h chat.Handler, accept func(*chat.Conn)) (*chat.Conn, *record, *peer) {
	r.Helper()
	var c *chat.Conn
	rec := r.record()
	ln, err := channel.Listen(r.l, "tcp", "127.0.0.1:0", chat.Accept(func(made *chat.Conn) *chat.Handler {
		c = made
		if accept != nil {
			accept(c)
		}
		return rec.watch(h)
	}))
	if err != nil {
		r.Fatal(err)
	}
	p := r.connect(ln)
	for range 1000 {
		if r.turn(); c != nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	ln.Close()
	r.settle()
	if c == nil {
		r.Fatal("nothing accepted")
	}
	return c, rec, p
}

func (r *rig) connect(ln *channel.Listener) *peer {
	r.Helper()
	r.tcp = true
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		r.Fatal(err)
	}
	p := newPeer(r, fd)
	to := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: ln.Addr().(*net.TCPAddr).Port}
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		r.Fatal(err)
	}
	return p
}

// peer is the other end: a descriptor that never blocks, driven between turns.
type peer struct {
	*rig
	fd  int
	buf []byte
}

func newPeer(r *rig, fd int) *peer {
	p := &peer{rig: r, fd: fd, buf: make([]byte, 64<<10)}
	r.Cleanup(p.close)
	unix.SetNonblock(fd, true)
	return p
}

func (p *peer) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
}

// urge sends an out-of-band byte. Not every kqueue tells of one.
func (p *peer) urge(rec *record) {
	p.Helper()
	if err := unix.Sendto(p.fd, []byte("!"), unix.MSG_OOB, nil); err != nil {
		p.Skip("no out-of-band data here: ", err)
	}
	before := len(rec.log)
	p.settle()
	if p.l.Poller() == "kqueue" && len(rec.log) == before {
		p.Skip("this kqueue does not tell of out-of-band data")
	}
}

func (p *peer) closeWrite() { unix.Shutdown(p.fd, unix.SHUT_WR) }

// send writes s, with turns in between where the kernel has no room.
func (p *peer) send(s string) {
	p.Helper()
	for tries := 0; len(s) > 0; tries++ {
		n, err := unix.Write(p.fd, []byte(s))
		if err != nil && err != unix.EAGAIN || tries > 1e5 {
			p.Fatalf("peer's write: %v", err)
		}
		if s = s[max(n, 0):]; len(s) > 0 {
			p.turn()
		}
	}
}

// sendSome writes what the kernel has room for.
func (p *peer) sendSome(s string) int {
	n, _ := unix.Write(p.fd, unsafe.Slice(unsafe.StringData(s), len(s)))
	return max(n, 0)
}

// write sends all of b, and read throws away what is there: they allocate
// nothing.
func (p *peer) write(b []byte) bool {
	n, err := unix.Write(p.fd, b)
	return n == len(b) && err == nil
}

func (p *peer) read() (n int) {
	for {
		got, err := unix.Read(p.fd, p.buf)
		if got <= 0 || err != nil {
			return n
		}
		n += got
	}
}

// says sends s and lets what follows from it happen.
func (p *peer) says(s string) {
	p.Helper()
	p.send(s)
	p.settle()
}

// recv reads all that is there.
func (p *peer) recv() (got []byte, eof bool) {
	p.Helper()
	for {
		n, err := unix.Read(p.fd, p.buf)
		switch {
		case err == unix.EAGAIN:
			return got, false
		case err != nil:
			p.Fatalf("peer's read: %v", err)
		case n == 0:
			return got, true
		}
		got = append(got, p.buf[:n]...)
	}
}

// hears reads, with turns in between, until nothing comes any more.
func (p *peer) hears() (got []byte, eof bool) {
	p.Helper()
	for quiet := 0; quiet < 3 && !eof; quiet++ {
		p.settle()
		var more []byte
		if more, eof = p.recv(); len(more) > 0 {
			quiet = 0
		}
		got = append(got, more...)
	}
	return got, eof
}

// debugging tells whether callbacks are checked at a cost.
var debugging = os.Getenv("ASYNCORE_DEBUG") != ""
