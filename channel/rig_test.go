//go:build unix

package channel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// patience is how long what has to happen may take. Only a failing test waits
// that long.
const patience = 10 * time.Second

// rig is a loop that runs in a goroutine of its own, and checks what is true of
// every callback: none begins inside another one or inside a call of the
// user's, and those of one Conn come in the promised order. At the end it
// closes the loop and looks for what should not have stayed.
type rig struct {
	testing.TB
	l      *loop.Loop
	ran    chan error
	closed chan end // the Close callbacks, in their order
	panics uint64   // how many the test causes

	// Of the loop's goroutine.
	depth int // calls of the user's, and callbacks, under way
	lives map[*channel.Conn]*life
}

// end is what one Close callback said.
type end struct {
	c   *channel.Conn
	err error
}

// life is what one Conn has seen.
type life struct {
	log   []string // its callbacks; several Reads in a row count as one
	given bool     // has a Handler of ours
	over  bool     // the user has called Close or Abort
}

func (lf *life) saw(hook string) bool { return slices.Contains(lf.log, hook) }

// eachBackend runs f once for every backend of this system.
func eachBackend(t *testing.T, f func(t *testing.T, r *rig)) {
	t.Helper()
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) { f(t, newRig(t, loop.Config{Poller: name})) })
	}
}

func newRig(t testing.TB, config loop.Config) *rig {
	t.Helper()
	return newRigOn(t, config, sys.Real())
}

// newRigOn is newRig with a system of the test's.
func newRigOn(t testing.TB, config loop.Config, s sys.System) *rig {
	t.Helper()
	made, err := core.On(config, s)
	if err != nil {
		t.Fatal(err)
	}
	l := made.(*loop.Loop)
	r := &rig{TB: t, l: l, ran: make(chan error, 1), closed: make(chan end, 4096), lives: map[*channel.Conn]*life{}}
	release := l.Hold()
	go func() { r.ran <- l.Run(context.Background()) }()
	t.Cleanup(func() {
		release()
		r.stop()
		if err := l.Close(); err != nil {
			t.Errorf("loop.Close: %v", err)
		}
		for c, lf := range r.lives {
			if lf.given && !lf.saw("close") {
				t.Errorf("%v: no Close callback, only %v", c, lf.log)
			}
		}
		if s := l.Stats(); s.Buffered != 0 || s.Panics != r.panics {
			t.Errorf("at the end %d bytes count as buffered, and there were %d panics, want 0 and %d",
				s.Buffered, s.Panics, r.panics)
		}
	})
	return r
}

// stop ends Run, once; the loop's goroutine is then the test's.
func (r *rig) stop() {
	r.Helper()
	if r.ran == nil {
		return
	}
	r.l.Stop()
	select {
	case err := <-r.ran:
		r.ran = nil
		if err != nil {
			r.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		r.stuck("Run does not return after Stop")
	}
}

// stuck ends the test binary: a loop's goroutine that hangs cannot be ended.
func (r *rig) stuck(what string) {
	buf := make([]byte, 1<<20)
	panic(r.Name() + ": " + what + "\n\n" + string(buf[:runtime.Stack(buf, true)]))
}

// do runs f on the loop and waits for it.
func (r *rig) do(f func()) {
	r.Helper()
	done := make(chan struct{})
	err := r.l.Post(func() {
		defer close(done)
		r.user(f)
	})
	if err != nil {
		r.Fatalf("Post: %v", err)
	}
	select {
	case <-done:
	case <-time.After(patience):
		r.stuck("the loop does not run what was posted")
	}
}

// user runs f as code of the user's.
func (r *rig) user(f func()) {
	r.depth++
	defer func() { r.depth-- }()
	f()
}

// until waits until cond, asked on the loop, is true.
func (r *rig) until(what string, cond func() bool) {
	r.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		ok := false
		r.do(func() { ok = cond() })
		if ok {
			return
		}
		if time.Since(began) > patience {
			r.Fatalf("waited %v: %s", patience, what)
		}
	}
}

// quiet lets some turns pass, in which nothing should happen.
func (r *rig) quiet() {
	for range 5 {
		time.Sleep(3 * time.Millisecond)
		r.do(func() {})
	}
}

// end waits for the next Close callback.
func (r *rig) end() end {
	r.Helper()
	return receive(r, r.closed, "no Close callback")
}

// wantEnd waits for the next Close callback and wants its reason.
func (r *rig) wantEnd(want error) {
	r.Helper()
	if got := r.end().err; !is(got, want) {
		r.Errorf("Close(%v), want %v", got, want)
	}
}

// ends waits for that many Close callbacks and returns their reasons.
func (r *rig) ends(n int) map[*channel.Conn]error {
	r.Helper()
	got := map[*channel.Conn]error{}
	for range n {
		e := r.end()
		got[e.c] = e.err
	}
	return got
}

// is is errors.Is, in which nil matches nil only.
func is(err, want error) bool {
	if want == nil {
		return err == nil
	}
	return errors.Is(err, want)
}

func receive[T any](t testing.TB, from <-chan T, otherwise string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(patience):
		t.Fatal(otherwise)
	}
	return v
}

// life returns the record of c.
func (r *rig) life(c *channel.Conn) *life {
	if r.lives[c] == nil {
		r.lives[c] = &life{}
	}
	return r.lives[c]
}

// shut calls Close or Abort for the user, after whom only Close may come.
func (r *rig) shut(c *channel.Conn, how func(*channel.Conn)) {
	r.life(c).over = true
	how(c)
}

func (r *rig) close(c *channel.Conn) {
	r.Helper()
	r.shut(c, func(c *channel.Conn) {
		if err := c.Close(); err != nil {
			r.Errorf("Close of %v: %v", c, err)
		}
	})
}

func (r *rig) abort(c *channel.Conn) { r.shut(c, (*channel.Conn).Abort) }

// callback runs one callback of c and checks that it may come now.
func (r *rig) callback(c *channel.Conn, hook string, f func()) {
	r.Helper()
	lf := r.life(c)
	switch {
	case r.depth != 0:
		r.Errorf("%v: %s inside a call of the user's", c, hook)
	case lf.saw("close"):
		r.Errorf("%v: %s after close", c, hook)
	case hook == "close":
	case lf.over:
		r.Errorf("%v: %s after the user's Close", c, hook)
	case hook == "connect" && len(lf.log) > 0, hook != "connect" && !lf.saw("connect"):
		r.Errorf("%v: %s after %v", c, hook, lf.log)
	case hook != "write" && lf.saw("eof"):
		r.Errorf("%v: %s after EOF", c, hook)
	}
	if n := len(lf.log); n == 0 || lf.log[n-1] != hook || hook != "read" {
		lf.log = append(lf.log, hook)
	}
	r.user(f)
}

// check returns h with a check around each callback.
func (r *rig) check(h *channel.Handler) *channel.Handler {
	checked := &channel.Handler{
		Connect: func(c *channel.Conn) {
			r.callback(c, "connect", func() { call(h.Connect, c) })
		},
		Close: func(c *channel.Conn, err error) {
			r.callback(c, "close", func() {
				if h.Close != nil {
					h.Close(c, err)
				}
			})
			r.closed <- end{c, err}
		},
		Write: func(c *channel.Conn) {
			r.callback(c, "write", func() { call(h.Write, c) })
		},
	}
	// Nil has a meaning of its own here.
	if h.Read != nil {
		checked.Read = func(c *channel.Conn, p []byte) {
			if len(p) == 0 {
				r.Errorf("%v: empty input", c)
			}
			r.callback(c, "read", func() { h.Read(c, p) })
		}
	}
	if h.Urgent != nil {
		checked.Urgent = func(c *channel.Conn, b byte) {
			r.callback(c, "urgent", func() { h.Urgent(c, b) })
		}
	}
	if h.EOF != nil {
		checked.EOF = func(c *channel.Conn) {
			r.callback(c, "eof", func() { h.EOF(c) })
		}
	}
	return checked
}

func call(hook func(*channel.Conn), c *channel.Conn) {
	if hook != nil {
		hook(c)
	}
}

// listen is ListenConfig.Listen with a check around each callback.
func (r *rig) listen(lc channel.ListenConfig, network, address string, accept func(*channel.Conn) *channel.Handler) *channel.Listener {
	r.Helper()
	var ln *channel.Listener
	var err error
	r.do(func() {
		ln, err = lc.Listen(r.l, network, address, func(c *channel.Conn) (h *channel.Handler) {
			if r.depth != 0 {
				r.Errorf("%v: accept inside a call of the user's", c)
			}
			r.user(func() {
				if h = accept(c); h != nil {
					r.life(c).given = true
					h = r.check(h)
				}
			})
			return h
		})
	})
	if err != nil {
		r.Fatalf("Listen(%q, %q): %v", network, address, err)
	}
	return ln
}

// dial is Dialer.Dial with a check around each callback.
func (r *rig) dial(d channel.Dialer, network, address string, h *channel.Handler) (c *channel.Conn) {
	c = d.Dial(r.l, network, address, r.check(h))
	r.life(c).given = true
	return c
}

// open is channel.Open with a check around each callback.
func (r *rig) open(f *os.File, h *channel.Handler) (c *channel.Conn) {
	r.Helper()
	var err error
	r.do(func() {
		if c, err = channel.Open(r.l, f, r.check(h)); err == nil {
			r.life(c).given = true
		}
	})
	if err != nil {
		r.Fatal(err)
	}
	return c
}

// address gives an address to listen on, other ones each time.
func address(t testing.TB, network string) string {
	t.Helper()
	switch network {
	case "unix":
		// Not t.TempDir: the test's name could make the path too long.
		dir, err := os.MkdirTemp("", "ch")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		return filepath.Join(dir, "s")
	case "tcp6":
		needIPv6(t)
		return "[::1]:0"
	default:
		return "127.0.0.1:0"
	}
}

func needIPv6(t testing.TB) {
	t.Helper()
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no ::1 here: ", err)
	}
	ln.Close()
}

// serve listens on an address of its own with one Handler for all.
func (r *rig) serve(network string, h *channel.Handler) net.Addr {
	r.Helper()
	return r.listen(channel.ListenConfig{}, network, address(r, network), func(*channel.Conn) *channel.Handler { return h }).Addr()
}

// pair connects a client of package net to a Conn with h.
func (r *rig) pair(network string, h *channel.Handler) (net.Conn, *channel.Conn) {
	r.Helper()
	accepted := make(chan *channel.Conn, 1)
	ln := r.listen(channel.ListenConfig{}, network, address(r, network), func(c *channel.Conn) *channel.Handler {
		accepted <- c
		return h
	})
	client := connect(r, ln.Addr())
	c := receive(r, accepted, "nothing accepted")
	r.do(func() { ln.Close() })
	return client, c
}

// connect dials with package net; the connection has a deadline, so that what
// waits for it fails instead of hanging.
func connect(t testing.TB, to net.Addr) net.Conn {
	t.Helper()
	nc, err := net.Dial(to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return nc
}

func halfClose(t testing.TB, nc net.Conn) {
	t.Helper()
	if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
}

func send(t testing.TB, nc net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(nc, s); err != nil {
		t.Fatalf("client: %v", err)
	}
}

// wantRead reads exactly want.
func wantRead(t testing.TB, nc io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(nc, got); err != nil || string(got) != want {
		t.Fatalf("client read %.80q, %v, want %.80q", got[:n], err, want)
	}
}

// wantAll reads to EOF and wants exactly want.
func wantAll(t testing.TB, nc io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want)+1)
	n, err := io.ReadFull(nc, got)
	if got = got[:n]; err == io.ErrUnexpectedEOF || err == io.EOF {
		err = nil
	}
	if err != nil || !bytes.Equal(got, want) {
		at := 0
		for at < min(len(got), len(want)) && got[at] == want[at] {
			at++
		}
		t.Errorf("client read %d bytes, %v, want %d; equal up to %d", len(got), err, len(want), at)
	}
}

// noise is n bytes in which no part looks like another one.
func noise(n int) []byte {
	p := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n)})
	rng.Read(p)
	return p
}

// echo is the smallest server.
var echo = &channel.Handler{
	Read: func(c *channel.Conn, p []byte) { c.Write(p) },
}

// stuff fills the kernel's buffer between fd and a peer that does not read,
// behind the loop's back, and returns with how many bytes.
func stuff(t testing.TB, c *channel.Conn) (n int64) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Error(err)
		return 0
	}
	err = raw.Control(func(fd uintptr) {
		for _, size := range []int{64 << 10, 1} {
			block := make([]byte, size)
			for {
				wrote, err := unix.Write(int(fd), block)
				if err != nil {
					if err != unix.EAGAIN {
						t.Error(err)
					}
					break
				}
				n += int64(wrote)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	return n
}
