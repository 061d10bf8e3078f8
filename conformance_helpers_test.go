//go:build unix

package asyncore_test

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
)

// The suite needs a kernel and nothing else: no programs, no network but
// loopback, and where there is no directory for temporary files, the tests of
// regular files are skipped. So its binary runs as the only program too.

const (
	readable = asyncore.Readable
	writable = asyncore.Writable
	urgent   = asyncore.Urgent
	hints    = asyncore.HangUp | asyncore.Fault
)

const (
	// patience is how long the kernel may take to deliver what was sent. Only
	// a failing test waits that long.
	patience = 2 * time.Second
	// quiet is how long nothing has to happen until we believe that nothing
	// will.
	quiet = 5 * time.Millisecond
)

// each runs f for every backend of this system, with a Poller of its own.
func each(t *testing.T, f func(t *testing.T, p *asyncore.Poller)) {
	t.Helper()
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) { f(t, open(t, name)) })
	}
}

func open(t testing.TB, name string) *asyncore.Poller {
	t.Helper()
	p, err := asyncore.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func add(t testing.TB, p *asyncore.Poller, fd int, token uint64, want asyncore.Interest) {
	t.Helper()
	if err := p.Add(fd, token, want); err != nil {
		t.Fatalf("Add(%d, %#x, %v): %v", fd, token, want, err)
	}
}

func modify(t testing.TB, p *asyncore.Poller, fd int, token uint64, want asyncore.Interest) {
	t.Helper()
	if err := p.Modify(fd, token, want); err != nil {
		t.Fatalf("Modify(%d, %#x, %v): %v", fd, token, want, err)
	}
}

func remove(t testing.TB, p *asyncore.Poller, fd int) {
	t.Helper()
	if err := p.Remove(fd); err != nil {
		t.Fatalf("Remove(%d): %v", fd, err)
	}
}

// report is what one Wait said, by token.
type report map[uint64]asyncore.Interest

// waitN calls Wait once with room for n events.
func waitN(t testing.TB, p *asyncore.Poller, n int, timeout time.Duration) report {
	t.Helper()
	dst := make([]asyncore.Event, n)
	got, err := p.Wait(dst, timeout)
	if err != nil {
		t.Fatalf("Wait(%d events, %v): %v", n, timeout, err)
	}
	if got < 0 || got > n {
		t.Fatalf("Wait(%d events, %v) = %d", n, timeout, got)
	}
	said := report{}
	for _, ev := range dst[:got] {
		if ev.Ready == 0 {
			t.Errorf("event of token %#x is ready for nothing", ev.Token)
		}
		said[ev.Token] |= ev.Ready
	}
	return said
}

func wait(t testing.TB, p *asyncore.Poller, timeout time.Duration) report {
	t.Helper()
	return waitN(t, p, 64, timeout)
}

// ready gives the directions of want that are worth a try after an event with
// these bits: HangUp and Fault may stand in for Readable and Writable.
func ready(bits, want asyncore.Interest) asyncore.Interest {
	got := bits & want
	if bits&hints != 0 {
		got |= want & (readable | writable)
	}
	return got
}

// expect waits until a Wait reports token as ready for all of must and for
// nothing but must and may, and no other token at all. It asks more than once
// because packets take their time, also over loopback, and because a single
// spurious event is allowed. again is called in between.
func expect(t testing.TB, p *asyncore.Poller, token uint64, want, must, may asyncore.Interest, again ...func()) {
	t.Helper()
	must, may = must&want, (must|may)&want
	timeout := quiet
	if must != 0 {
		timeout = patience
	}
	deadline := time.Now().Add(patience)
	for {
		said := wait(t, p, timeout)
		bits := said[token]
		delete(said, token)
		if len(said) > 0 {
			t.Fatalf("events of other tokens: %v", said)
		}
		if unasked := bits &^ (want | hints); unasked != 0 {
			t.Fatalf("asked for %v, got an event with %v", want, bits)
		}
		got := ready(bits, want)
		if got&must == must && got&^may == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("asked for %v: ready for %v (event %v), must be %v, may be %v", want, got, bits, must, may)
		}
		for _, f := range again {
			f()
		}
		time.Sleep(time.Millisecond)
	}
}

// expectNone fails if p has anything to report.
func expectNone(t testing.TB, p *asyncore.Poller) {
	t.Helper()
	var said report
	for range 3 { // a single spurious event is allowed
		if said = wait(t, p, quiet); len(said) == 0 {
			return
		}
	}
	t.Fatalf("events: %v, want none", said)
}

// tell marks what one Wait said of the tokens seen so far.
func (said report) tell(seen map[uint64]bool) {
	for token := range said {
		seen[token] = true
	}
}

// end is a descriptor of a test: one end of a pair, a listener, a file. It is
// closed once, at the end of the test at the latest.
type end struct {
	t  testing.TB
	fd int
}

func own(t testing.TB, fd int) *end {
	e := &end{t: t, fd: fd}
	t.Cleanup(e.close)
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatalf("O_NONBLOCK on %d: %v", fd, err)
	}
	return e
}

func (e *end) close() {
	if e.fd >= 0 {
		unix.Close(e.fd)
		e.fd = -1
	}
}

// dup returns a duplicate with the lowest free number that is at least low.
func (e *end) dup(low int) (*end, error) {
	fd, err := unix.FcntlInt(uintptr(e.fd), unix.F_DUPFD, low)
	if err != nil {
		return nil, err
	}
	return own(e.t, fd), nil
}

// retry repeats a call that gave EAGAIN, since packets under way take their
// time, also over loopback.
func retry(call func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := call()
		if err != unix.EAGAIN && err != unix.EINTR || time.Now().After(deadline) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

func (e *end) write(s string) {
	e.t.Helper()
	if err := e.tryWrite(s); err != nil {
		e.t.Fatalf("write %q: %v", s, err)
	}
}

func (e *end) tryWrite(s string) error {
	return retry(func() error {
		_, err := unix.Write(e.fd, []byte(s))
		return err
	})
}

// send is write for what write cannot do: an empty datagram, a byte out of
// band.
func (e *end) send(s string, flags int) {
	e.t.Helper()
	if err := unix.Send(e.fd, []byte(s), flags); err != nil {
		e.t.Fatalf("send %q: %v", s, err)
	}
}

func (e *end) tryRead(p []byte) (n int, err error) {
	err = retry(func() error {
		n, err = unix.Read(e.fd, p)
		return err
	})
	return n, err
}

// expectRead reads once and wants s; the empty string is the end of a stream
// or an empty datagram.
func (e *end) expectRead(s string) {
	e.t.Helper()
	buf := make([]byte, 64)
	n, err := e.tryRead(buf)
	if err != nil || string(buf[:n]) != s {
		e.t.Errorf("read %q, %v; want %q", buf[:max(n, 0)], err, s)
	}
}

func (e *end) expectReadError(want error) {
	e.t.Helper()
	if n, err := e.tryRead(make([]byte, 64)); err != want {
		e.t.Errorf("read: %d, %v; want %v", n, err, want)
	}
}

// steady repeats a transfer until the kernel moves nothing more from one
// buffer into the next.
func steady(transfer func() (moved bool)) {
	for still := 0; still < 3; still++ {
		if transfer() {
			still = 0
		}
		time.Sleep(time.Millisecond)
	}
}

// fill writes until there is room for not one byte more.
func (e *end) fill() {
	e.t.Helper()
	steady(func() (moved bool) {
		for size := 32 << 10; size > 0; size /= 32 {
			for block := make([]byte, size); ; moved = true {
				// ENOBUFS is how a BSD says it of datagrams, EMSGSIZE that the
				// block is too large for one.
				_, err := unix.Write(e.fd, block)
				if err == unix.EAGAIN || err == unix.ENOBUFS || err == unix.EMSGSIZE {
					break
				}
				if err != nil && err != unix.EINTR {
					e.t.Fatalf("fill: %v", err)
				}
			}
		}
		return moved
	})
}

// drain reads until there is nothing left.
func (e *end) drain() {
	buf := make([]byte, 64<<10)
	steady(func() (moved bool) {
		for {
			if n, err := unix.Read(e.fd, buf); n <= 0 && err != unix.EINTR {
				return moved
			}
			moved = true
		}
	})
}

func (e *end) shutdown(how int) {
	e.t.Helper()
	if err := unix.Shutdown(e.fd, how); err != nil {
		e.t.Fatalf("shutdown: %v", err)
	}
}

// reset closes a TCP connection by RST.
func (e *end) reset() {
	e.t.Helper()
	if err := unix.SetsockoptLinger(e.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		e.t.Fatalf("SO_LINGER: %v", err)
	}
	e.close()
}

func (e *end) name() unix.Sockaddr {
	e.t.Helper()
	sa, err := unix.Getsockname(e.fd)
	if err != nil {
		e.t.Fatalf("getsockname: %v", err)
	}
	return sa
}

// connect waits until the connection is there.
func (e *end) connect(to unix.Sockaddr) {
	e.t.Helper()
	err := unix.Connect(e.fd, to)
	if err == unix.EINPROGRESS || err == unix.EINTR {
		fds := []unix.PollFd{{Fd: int32(e.fd), Events: unix.POLLOUT}}
		for n := 0; n == 0 || err == unix.EINTR; {
			n, err = unix.Poll(fds, -1)
		}
		var errno int
		if errno, err = unix.GetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_ERROR); errno != 0 {
			err = unix.Errno(errno)
		}
	}
	if err != nil {
		e.t.Fatalf("connect: %v", err)
	}
}

func pipe(t testing.TB) (r, w *end) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatalf("pipe: %v", err)
	}
	return own(t, fds[0]), own(t, fds[1])
}

func pipeWriter(t testing.TB) (w, r *end) {
	r, w = pipe(t)
	return w, r
}

func socketpair(t testing.TB, kind int) (fd, peer *end) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
	if err != nil {
		t.Fatalf("socketpair: %v", err)
	}
	return own(t, fds[0]), own(t, fds[1])
}

func unixStream(t testing.TB) (fd, peer *end) { return socketpair(t, unix.SOCK_STREAM) }
func unixDgram(t testing.TB) (fd, peer *end)  { return socketpair(t, unix.SOCK_DGRAM) }

func inet(t testing.TB, kind int) *end {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, kind, 0)
	if err != nil {
		t.Skipf("no sockets of the internet here: %v", err)
	}
	return own(t, fd)
}

// bound returns a socket with a port of loopback. A TCP one that does not
// listen refuses connections and keeps the port from everybody else.
func bound(t testing.TB, kind int) *end {
	t.Helper()
	e := inet(t, kind)
	if err := unix.Bind(e.fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Skipf("no loopback here: %v", err)
	}
	return e
}

func listener(t testing.TB) *end {
	t.Helper()
	ln := bound(t, unix.SOCK_STREAM)
	if err := unix.Listen(ln.fd, 16); err != nil {
		t.Fatalf("listen: %v", err)
	}
	return ln
}

func dial(t testing.TB, ln *end) *end {
	t.Helper()
	c := inet(t, unix.SOCK_STREAM)
	c.connect(ln.name())
	return c
}

func (e *end) accept() *end {
	e.t.Helper()
	var fd int
	err := retry(func() (err error) {
		fd, _, err = unix.Accept(e.fd)
		return err
	})
	if err != nil {
		e.t.Fatalf("accept: %v", err)
	}
	return own(e.t, fd)
}

// tcp returns a connection with buffers that are quick to fill and do not grow.
func tcp(t testing.TB) (fd, peer *end) {
	t.Helper()
	ln := listener(t)
	fd = dial(t, ln)
	peer = ln.accept()
	ln.close()
	for _, e := range []*end{fd, peer} {
		for _, option := range []int{unix.SO_SNDBUF, unix.SO_RCVBUF} {
			if err := unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, option, 64<<10); err != nil {
				t.Fatalf("setsockopt: %v", err)
			}
		}
	}
	return fd, peer
}

// udp returns two sockets connected to each other.
func udp(t testing.TB) (fd, peer *end) {
	t.Helper()
	fd, peer = bound(t, unix.SOCK_DGRAM), bound(t, unix.SOCK_DGRAM)
	fd.connect(peer.name())
	peer.connect(fd.name())
	return fd, peer
}

// regular returns a regular file of a few bytes, at its beginning.
func regular(t testing.TB) *end {
	t.Helper()
	probe, err := os.MkdirTemp("", "asyncore")
	if err != nil {
		t.Skipf("no place for a file here: %v", err) // t.TempDir would fail the test
	}
	os.Remove(probe)
	return openFile(t, filepath.Join(t.TempDir(), "file"))
}

func devNull(t testing.TB) *end {
	t.Helper()
	return openFile(t, os.DevNull)
}

func openFile(t testing.TB, path string) *end {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		t.Skipf("cannot open %s: %v", path, err)
	}
	e := own(t, fd)
	e.write("some bytes")
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		t.Fatalf("seek: %v", err)
	}
	return e
}

// openDescriptors gives the numbers in use below a few thousand. It asks the
// kernel number by number, since not every system has /proc/self/fd.
func openDescriptors() map[int]bool {
	set := map[int]bool{}
	for fd := range 4096 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			set[fd] = true
		}
	}
	return set
}

// raceEnabled tells whether the race detector watches this test.
func raceEnabled() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// dogToken is the token of watchdog.
const dogToken = 0xd09

// watchdog ends a Wait that would otherwise hang: after a while it makes a
// descriptor of its own ready, a way that does not depend on Wake. Whoever
// sees dogToken has waited too long.
func watchdog(t testing.TB, p *asyncore.Poller) {
	t.Helper()
	r, w := pipe(t)
	add(t, p, r.fd, dogToken, readable)
	fd := w.fd
	timer := time.AfterFunc(10*time.Second, func() { unix.Write(fd, []byte{0}) })
	t.Cleanup(func() { timer.Stop() })
}

// forever is Wait without a timeout, under the eyes of watchdog.
func forever(t testing.TB, p *asyncore.Poller) report {
	t.Helper()
	said := wait(t, p, -1)
	if said[dogToken] != 0 {
		t.Fatal("Wait did not return")
	}
	return said
}
