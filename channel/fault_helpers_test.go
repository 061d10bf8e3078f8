//go:build unix

package channel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// The numbers in the names of these tests are fault model rows. What a real
// kernel can be brought to do, it does here; the rest is injected between
// it and the loop.

// faultPatience is how long anything may take before the test fails.
const faultPatience = 10 * time.Second

// faultEach runs a scenario on every backend.
func faultEach(t *testing.T, name string, scenario func(*testing.T, *faultWorld)) {
	t.Run(name, func(t *testing.T) {
		for _, backend := range asyncore.Backends() {
			t.Run(backend, func(t *testing.T) { scenario(t, faultLoop(t, loop.Config{Poller: backend})) })
		}
	})
}

// faultOnce runs a scenario in which the poller does not matter.
func faultOnce(t *testing.T, name string, scenario func(*testing.T, *faultWorld)) {
	t.Run(name, func(t *testing.T) { scenario(t, faultLoop(t, loop.Config{})) })
}

// faultWorld is a loop on a faulty system, and all that it has told.
type faultWorld struct {
	t      *testing.T
	f      *faultsys.Sys
	l      *loop.Loop
	ln     *channel.Listener
	recs   []*faultRec
	log    faultLog
	panics uint64 // how many the scenario wants
	inside bool   // the loop runs, so callbacks may come
	in     string // the callback that runs
	closed bool
	step   time.Duration // the longest wait of one turn
}

func faultLoop(t *testing.T, cfg loop.Config) *faultWorld {
	t.Helper()
	w := &faultWorld{t: t, step: 5 * time.Millisecond}
	w.f = faultsys.New(t, sys.Real())
	cfg.Logger = slog.New(&w.log)
	l, err := core.On(cfg, w.f)
	if err != nil {
		t.Fatal(err)
	}
	w.l = l.(*loop.Loop)
	t.Cleanup(w.end)
	return w
}

// end closes the loop and checks what holds in every scenario.
func (w *faultWorld) end() {
	w.close()
	for _, r := range w.recs {
		if r.expected && r.closes != 1 {
			w.t.Errorf("%s: closed %d times, want once: %v", r.name, r.closes, r.events)
		}
	}
	s := w.l.Stats()
	if s.Buffered != 0 {
		w.t.Errorf("%d bytes still count as buffered", s.Buffered)
	}
	if s.Panics != w.panics {
		w.t.Errorf("%d panics, want %d: %v", s.Panics, w.panics, w.log.lines)
	}
}

func (w *faultWorld) close() {
	if !w.closed {
		w.closed = true
		w.inside = true
		w.l.Close()
		w.inside = false
	}
}

// turn runs one turn, waiting for at most d.
func (w *faultWorld) turn(d time.Duration) {
	w.t.Helper()
	w.inside = true
	err := w.l.Poll(d)
	w.inside = false
	w.in = ""
	if err != nil {
		w.t.Fatalf("Poll: %v", err)
	}
}

// until runs turns until cond holds.
func (w *faultWorld) until(what string, cond func() bool) {
	w.t.Helper()
	for end := time.Now().Add(faultPatience); !cond(); {
		if time.Now().After(end) {
			w.t.Fatalf("never came: %s\n%s", what, w.story())
		}
		w.turn(w.step)
	}
}

func (w *faultWorld) story() string {
	var b strings.Builder
	for _, r := range w.recs {
		fmt.Fprintf(&b, "%s: %v, %d bytes, %v\n", r.name, r.events, len(r.got), r.err)
	}
	fmt.Fprintf(&b, "log: %q", w.log.lines)
	return b.String()
}

// settle runs turns until the poller has nothing to tell.
func (w *faultWorld) settle() {
	w.t.Helper()
	for turns, quiet := 0, 0; quiet < 3; turns++ {
		if turns == 10000 {
			w.t.Fatalf("the loop does not come to rest\n%s", w.story())
		}
		before := w.l.Stats().Events
		w.turn(0)
		if w.l.Stats().Events == before {
			quiet++
		} else {
			quiet = 0
		}
	}
}

// calm fails if the poller reports anything at all: with nothing to do, each
// report would be a turn of a busy loop.
func (w *faultWorld) calm() {
	w.t.Helper()
	w.settle()
	before := w.l.Stats().Events
	for range 5 {
		w.turn(time.Millisecond)
	}
	if n := w.l.Stats().Events - before; n > 0 {
		w.t.Errorf("the loop spins: %d events in 5 turns\n%s", n, w.story())
	}
}

// manual puts the clock into the test's hands: a turn that finds nothing ready
// moves it on by up to a second.
func (w *faultWorld) manual() {
	w.f.Manual()
	w.step = time.Second
}

// report has the poller report bits of a descriptor, once, whatever the
// kernel says.
func (w *faultWorld) report(token uint64, bits asyncore.Interest) {
	w.f.Mangle(func(batch []asyncore.Event) []asyncore.Event {
		w.f.Mangle(nil)
		return append(batch, asyncore.Event{Token: token, Ready: bits})
	})
}

// faultFull has the kernel take nothing more, and say so.
func (w *faultWorld) faultFull() {
	w.f.Fail(faultsys.Send, syscall.EAGAIN)
	w.f.Fail(faultsys.SendFile, syscall.EAGAIN)
	w.f.Mangle(func(batch []asyncore.Event) []asyncore.Event {
		kept := batch[:0]
		for _, ev := range batch {
			if ev.Ready &^= faultWritable; ev.Ready != 0 {
				kept = append(kept, ev)
			}
		}
		return kept
	})
}

// unwritable has the poller tell of no room, where the kernel has some.
func (w *faultWorld) unwritable() {
	w.f.Mangle(func(batch []asyncore.Event) []asyncore.Event {
		return slices.DeleteFunc(batch, func(ev asyncore.Event) bool { return ev.Ready == asyncore.Writable })
	})
}

// run is l.Run, for the scenarios that are about how it ends.
func (w *faultWorld) run() error {
	ctx, cancel := context.WithTimeout(context.Background(), faultPatience)
	defer cancel()
	w.inside = true
	defer func() { w.inside = false }()
	return w.l.Run(ctx)
}

// faultRec records and checks the callbacks of one Conn.
type faultRec struct {
	w        *faultWorld
	name     string
	c        *channel.Conn
	events   []string
	got      []byte
	err      error
	closes   int
	expected bool // a Conn has been made with it
}

func (w *faultWorld) rec(name string) *faultRec {
	r := &faultRec{w: w, name: name}
	w.recs = append(w.recs, r)
	return r
}

// enter checks that a callback may come now, and returns what ends it.
func (r *faultRec) enter(kind string, c *channel.Conn) (leave func()) {
	w := r.w
	w.t.Helper()
	if w.in != "" {
		w.t.Errorf("%s: %s called inside %s", r.name, kind, w.in)
	}
	if !w.inside {
		w.t.Errorf("%s: %s called inside a call of the user's", r.name, kind)
	}
	if r.closes > 0 {
		w.t.Errorf("%s: %s after Close", r.name, kind)
	}
	if kind == "connect" && len(r.events) > 0 {
		w.t.Errorf("%s: Connect after %v", r.name, r.events)
	}
	if kind == "eof" && slices.Contains(r.events, "eof") {
		w.t.Errorf("%s: a second EOF", r.name)
	}
	if kind != "connect" && kind != "close" && !slices.Contains(r.events, "connect") {
		w.t.Errorf("%s: %s before Connect", r.name, kind)
	}
	if len(r.events) == 0 || r.events[len(r.events)-1] != kind || kind == "close" {
		r.events = append(r.events, kind)
	}
	r.c, r.expected = c, true
	w.in = r.name + "'s " + kind
	return func() { w.in = "" }
}

// handler is h with the recording around it.
func (r *faultRec) handler(h channel.Handler) *channel.Handler {
	r.expected = true
	inner := h
	h.Connect = func(c *channel.Conn) {
		defer r.enter("connect", c)()
		if inner.Connect != nil {
			inner.Connect(c)
		}
	}
	h.Read = func(c *channel.Conn, p []byte) {
		defer r.enter("read", c)()
		if len(p) == 0 {
			r.w.t.Errorf("%s: Read of nothing", r.name)
		}
		r.got = append(r.got, p...)
		if inner.Read != nil {
			inner.Read(c, p)
		}
	}
	h.Write = func(c *channel.Conn) {
		defer r.enter("write", c)()
		if inner.Write != nil {
			inner.Write(c)
		}
	}
	if inner.Urgent != nil {
		h.Urgent = func(c *channel.Conn, b byte) {
			defer r.enter("urgent", c)()
			inner.Urgent(c, b)
		}
	}
	if inner.EOF != nil {
		h.EOF = func(c *channel.Conn) {
			defer r.enter("eof", c)()
			inner.EOF(c)
		}
	}
	h.Close = func(c *channel.Conn, err error) {
		defer r.enter("close", c)()
		r.closes++
		r.err = err
		if inner.Close != nil {
			inner.Close(c, err)
		}
	}
	return &h
}

func (r *faultRec) isOpen() bool   { return slices.Contains(r.events, "connect") && r.closes == 0 }
func (r *faultRec) isClosed() bool { return r.closes > 0 }

func (r *faultRec) fd() int {
	r.w.t.Helper()
	raw, err := r.c.SyscallConn()
	if err != nil {
		r.w.t.Fatal(err)
	}
	fd := -1
	if err := raw.Control(func(p uintptr) { fd = int(p) }); err != nil {
		r.w.t.Fatal(err)
	}
	return fd
}

// waitOpen and waitClosed run the loop until the Conn has come or gone.
func (r *faultRec) waitOpen() {
	r.w.t.Helper()
	r.w.until(r.name+"'s Connect", r.isOpen)
}

func (r *faultRec) waitClosed(want error) {
	r.w.t.Helper()
	r.w.until(r.name+"'s Close", r.isClosed)
	if want == faultAny {
		want = r.err
	}
	if want == nil && r.err != nil || !errors.Is(r.err, want) {
		r.w.t.Errorf("%s: closed with %v, want %v", r.name, r.err, want)
	}
}

func (r *faultRec) waitGot(n int) {
	r.w.t.Helper()
	r.w.until(fmt.Sprintf("%s's %d bytes", r.name, n), func() bool { return len(r.got) >= n })
}

// listen gives the world a listener, whose Conns take the handlers in turn.
func (w *faultWorld) listen(network, address string, lc *channel.ListenConfig, next func() *channel.Handler) *channel.Listener {
	w.t.Helper()
	ln, err := lc.Listen(w.l, network, address, func(*channel.Conn) *channel.Handler { return next() })
	if err != nil {
		w.t.Fatal(err)
	}
	w.ln = ln
	return ln
}

// accept connects a peer and waits for its Conn, with the given callbacks.
func (w *faultWorld) accept(h channel.Handler) (*faultRec, *faultPeer) {
	w.t.Helper()
	r := w.rec(fmt.Sprintf("conn %d", len(w.recs)+1))
	ln := w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{}, func() *channel.Handler { return r.handler(h) })
	p := w.peer(ln.Addr())
	r.waitOpen()
	ln.Close()
	return r, p
}

// dial is channel.Dial with recorded callbacks.
func (w *faultWorld) dial(network, address string, d channel.Dialer, h channel.Handler) *faultRec {
	w.t.Helper()
	r := w.rec("dialled " + address)
	r.c = d.Dial(w.l, network, address, r.handler(h))
	if len(r.events) > 0 {
		w.t.Errorf("callbacks inside Dial: %v", r.events)
	}
	return r
}

// pair is a Conn at both ends of one connection.
func (w *faultWorld) pair(server, client channel.Handler) (s, c *faultRec) {
	w.t.Helper()
	s = w.rec("server")
	ln := w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{}, func() *channel.Handler { return s.handler(server) })
	c = w.dial("tcp", ln.Addr().String(), channel.Dialer{}, client)
	w.until("both ends", func() bool { return s.isOpen() && c.isOpen() })
	ln.Close()
	return s, c
}

// faultPeer is the other end: a plain socket, driven by the test between the
// turns of the loop.
type faultPeer struct {
	t  *testing.T
	fd int
}

func faultSockaddr(a net.Addr) (int, unix.Sockaddr) {
	switch a := a.(type) {
	case *net.TCPAddr:
		return unix.AF_INET, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}
	case *net.UnixAddr:
		return unix.AF_UNIX, &unix.SockaddrUnix{Name: a.Name}
	}
	panic("no such address")
}

func (w *faultWorld) peer(to net.Addr) *faultPeer {
	w.t.Helper()
	family, sa := faultSockaddr(to)
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &faultPeer{w.t, fd}
	w.t.Cleanup(p.close)
	if err := unix.Connect(fd, sa); err != nil {
		w.t.Fatal(err)
	}
	unix.SetNonblock(fd, true)
	return p
}

// faultServer is a listening socket outside the loop.
func faultServer(t *testing.T, address net.Addr, backlog int) (*faultPeer, net.Addr) {
	t.Helper()
	family, sa := faultSockaddr(address)
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &faultPeer{t, fd}
	t.Cleanup(p.close)
	if err := unix.Bind(fd, sa); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		t.Fatal(err)
	}
	if bound, err := unix.Getsockname(fd); err == nil {
		if in, ok := bound.(*unix.SockaddrInet4); ok {
			return p, &net.TCPAddr{IP: net.IP(in.Addr[:]), Port: in.Port}
		}
	}
	return p, address
}

// accept takes the next connection of a listening peer, waiting for it.
func (p *faultPeer) accept() *faultPeer {
	p.t.Helper()
	fd, _, err := unix.Accept(p.fd)
	if err != nil {
		p.t.Fatal(err)
	}
	unix.SetNonblock(fd, true)
	q := &faultPeer{p.t, fd}
	p.t.Cleanup(q.close)
	return q
}

func (p *faultPeer) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
}

// reset closes with an RST.
func (p *faultPeer) reset() {
	unix.SetsockoptLinger(p.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	p.close()
}

func (p *faultPeer) closeWrite() { unix.Shutdown(p.fd, unix.SHUT_WR) }

// small keeps the kernel from taking much for a peer that does not read.
func (p *faultPeer) small() { unix.SetsockoptInt(p.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 64<<10) }

// send writes what the kernel takes now, and returns how much that is.
func (p *faultPeer) send(b []byte) int {
	p.t.Helper()
	sent := 0
	for sent < len(b) {
		n, err := unix.Write(p.fd, b[sent:])
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			p.t.Fatalf("peer's write: %v", err)
		}
		sent += n
	}
	return sent
}

func (p *faultPeer) sendUrgent(b byte) {
	p.t.Helper()
	if _, err := unix.SendmsgN(p.fd, []byte{b}, nil, nil, unix.MSG_OOB); err != nil {
		p.t.Skipf("no out-of-band data here: %v", err)
	}
}

// recv reads all that is there.
func (p *faultPeer) recv() (got []byte, eof bool, err error) {
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(p.fd, buf)
		switch {
		case err == unix.EAGAIN:
			return got, false, nil
		case err != nil:
			return got, false, err
		case n == 0:
			return got, true, nil
		}
		got = append(got, buf[:n]...)
	}
}

// wants runs the loop until the peer has read exactly want, and, if eof, the
// end of the stream behind it.
func (w *faultWorld) wants(p *faultPeer, want []byte, eof bool) {
	w.t.Helper()
	var got []byte
	ended := false
	w.until(fmt.Sprintf("the peer's %d bytes, end %v", len(want), eof), func() bool {
		more, end, err := p.recv()
		if err != nil {
			w.t.Fatalf("peer's read after %d of %d bytes: %v", len(got), len(want), err)
		}
		got = append(got, more...)
		ended = ended || end
		if !bytes.HasPrefix(want, got) {
			w.t.Fatalf("the peer read %d bytes that are not the beginning of the %d wanted", len(got), len(want))
		}
		return len(got) == len(want) && (ended || !eof)
	})
	if ended && !eof {
		w.t.Errorf("the peer read EOF")
	}
}

// faultBytes is n bytes of which no stretch looks like another one.
func faultBytes(n int) []byte {
	b := make([]byte, n)
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// faultLog keeps what the loop logs.
type faultLog struct {
	lines []string
	panic bool
}

func (l *faultLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *faultLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *faultLog) WithGroup(string) slog.Handler            { return l }
func (l *faultLog) Handle(_ context.Context, r slog.Record) error {
	if l.panic {
		panic("the logger")
	}
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key != "stack" {
			line += " " + a.String()
		}
		return true
	})
	l.lines = append(l.lines, line)
	return nil
}

func (l *faultLog) logger() *slog.Logger { return slog.New(l) }

func (l *faultLog) count(message string) int {
	n := 0
	for _, line := range l.lines {
		if strings.HasPrefix(line, message) {
			n++
		}
	}
	return n
}

// faultErrno makes a name for a subtest.
func faultErrno(e syscall.Errno) string {
	if name := unix.ErrnoName(e); name != "" {
		return name
	}
	return fmt.Sprintf("errno %d", int(e))
}

const (
	faultReadable = asyncore.Readable
	faultWritable = asyncore.Writable
	faultUrgent   = asyncore.Urgent
	faultHangUp   = asyncore.HangUp
	faultFault    = asyncore.Fault
)

// tellsUrgent tells whether a poller reports out-of-band data, by asking it:
// not every kqueue can.
func tellsUrgent(t testing.TB, poller string) bool {
	t.Helper()
	if poller != "kqueue" {
		return true
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	p, err := asyncore.Open(poller)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	from, _ := peer.(*net.TCPConn).SyscallConn()
	to, _ := c.(*net.TCPConn).SyscallConn()
	from.Control(func(fd uintptr) { err = unix.Send(int(fd), []byte("!"), unix.MSG_OOB) })
	if err == nil {
		to.Control(func(fd uintptr) { err = p.Add(int(fd), 1, asyncore.Urgent) })
	}
	if err != nil {
		t.Fatal(err)
	}
	n, err := p.Wait(make([]asyncore.Event, 1), 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}
