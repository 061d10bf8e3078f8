//go:build unix

package faultsys_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// patience is how long the kernel may take to bring something about.
const patience = 10 * time.Second

// rig is a listener on the real kernel, and a poller to wait with.
type rig struct {
	t    *testing.T
	f    *faultsys.Sys
	p    sys.Poller
	ln   int
	addr sys.Addr
}

func newRig(t *testing.T) *rig {
	t.Helper()
	n := &rig{t: t, f: faultsys.New(t, sys.Real())}
	p, err := n.f.OpenPoller("")
	if err != nil {
		t.Fatal(err)
	}
	n.p = p
	n.ln = n.socket()
	local := sys.Addr{Family: sys.Inet, Inet: netip.MustParseAddrPort("127.0.0.1:0")}
	n.must("bind", n.f.Bind(n.ln, local))
	n.must("listen", n.f.Listen(n.ln, 10))
	addr, errno := n.f.LocalAddr(n.ln)
	n.must("getsockname", errno)
	n.addr = addr
	t.Cleanup(func() { // before the ledger is looked at
		n.f.Inject(nil)
		for _, fd := range n.f.Open() {
			n.f.Close(fd)
		}
		n.p.Close()
	})
	return n
}

func (n *rig) must(what string, errno syscall.Errno) {
	n.t.Helper()
	if errno != 0 {
		n.t.Fatalf("%s: %v", what, errno)
	}
}

func (n *rig) socket() int {
	n.t.Helper()
	fd, errno := n.f.Socket(sys.Inet)
	n.must("socket", errno)
	return fd
}

// wait returns what the poller says of a descriptor once it is ready.
func (n *rig) wait(fd int, want asyncore.Interest) asyncore.Interest {
	n.t.Helper()
	if err := n.p.Add(fd, uint64(fd), want); err != nil {
		n.t.Fatal(err)
	}
	defer n.p.Remove(fd)
	events := make([]asyncore.Event, 4)
	got, err := n.p.Wait(events, patience)
	if err != nil || got != 1 || events[0].Token != uint64(fd) {
		n.t.Fatalf("descriptor %d: %v, %v", fd, events[:got], err)
	}
	return events[0].Ready
}

// dial connects and waits until it is.
func (n *rig) dial() int {
	n.t.Helper()
	fd := n.socket()
	if errno := n.f.Connect(fd, n.addr); errno != 0 && errno != syscall.EINPROGRESS {
		n.t.Fatalf("connect: %v", errno)
	}
	n.wait(fd, asyncore.Writable)
	return fd
}

// accept takes the next connection.
func (n *rig) accept() int {
	n.t.Helper()
	n.wait(n.ln, asyncore.Readable)
	var from sys.Addr
	fd, errno := n.f.Accept(n.ln, &from)
	n.must("accept", errno)
	return fd
}

func (n *rig) pair() (server, client int) {
	n.t.Helper()
	client = n.dial()
	return n.accept(), client
}

// once has the next call of a kind fail.
func (n *rig) once(call faultsys.Call, errno syscall.Errno) {
	n.f.Inject(func(c faultsys.Call, _ int) (syscall.Errno, int) {
		if c != call {
			return 0, -1
		}
		n.f.Inject(nil)
		return errno, -1
	})
}

// recv is Recv as text.
func (n *rig) recv(fd int) string {
	buf := make([]byte, 100)
	got, errno := n.f.Recv(fd, buf)
	switch {
	case errno != 0:
		return errno.Error()
	case got == 0:
		return "end"
	}
	return string(buf[:got])
}

func (n *rig) send(fd int, text string) error {
	if _, errno := n.f.Send(fd, []byte(text)); errno != 0 {
		return errno
	}
	return nil
}

func TestCallsAreNumbered(t *testing.T) {
	n := newRig(t)
	var told []string
	n.f.OnCall(func(number int, c faultsys.Call, fd int) {
		if number != n.f.Calls() {
			t.Errorf("call %d is number %d", n.f.Calls(), number)
		}
		told = append(told, fmt.Sprint(number, " ", c, " ", fd == n.ln))
	})
	first := n.f.Calls() + 1
	fd := n.socket()
	n.f.Mode(fd) // cannot fail
	n.f.LocalAddr(n.ln)
	n.f.Close(fd)
	n.f.OnCall(nil)
	want := []string{
		fmt.Sprint(first, " socket false"), fmt.Sprint(first+1, " getsockname true"), fmt.Sprint(first+2, " close false"),
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestInjectAsksWhereNoRuleHits(t *testing.T) {
	n := newRig(t)
	var asked []faultsys.Call
	n.f.Inject(func(c faultsys.Call, _ int) (syscall.Errno, int) {
		asked = append(asked, c)
		return 0, 0
	})
	n.f.Fail(faultsys.LocalAddr, syscall.ENOBUFS, faultsys.Times(1))
	if _, errno := n.f.LocalAddr(n.ln); errno != syscall.ENOBUFS {
		t.Errorf("the rule's call: %v", errno)
	}
	_, errno := n.f.LocalAddr(n.ln)
	n.must("the call after it", errno)
	if diff := cmp.Diff([]faultsys.Call{faultsys.LocalAddr}, asked); diff != "" {
		t.Errorf("asked about (-want +got):\n%s", diff)
	}
}

func TestInjectLimit(t *testing.T) {
	n := newRig(t)
	server, client := n.pair()
	n.f.Inject(func(c faultsys.Call, _ int) (syscall.Errno, int) {
		if c == faultsys.Send {
			return 0, 3
		}
		return 0, 0 // no limit, and not the end
	})
	if sent, errno := n.f.Send(client, []byte("abcdef")); sent != 3 || errno != 0 {
		t.Errorf("sent %d, %v", sent, errno)
	}
	n.wait(server, asyncore.Readable)
	if got := n.recv(server); got != "abc" {
		t.Errorf("received %q", got)
	}
}

// What a listener's queue is after each kind of error.
func TestInjectAccept(t *testing.T) {
	for _, errno := range faultsys.Legal(faultsys.Accept) {
		t.Run(errno.Error(), func(t *testing.T) {
			n := newRig(t)
			client := n.dial()
			n.wait(n.ln, asyncore.Readable)
			n.once(faultsys.Accept, errno)
			var from sys.Addr
			if _, got := n.f.Accept(n.ln, &from); got != errno {
				t.Fatalf("accept: %v", got)
			}
			fd, got := n.f.Accept(n.ln, &from)
			switch errno {
			case syscall.EINTR, syscall.EAGAIN, syscall.EPERM, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM:
				n.must("accept after it", got)
				n.send(fd, "hello")
				n.wait(client, asyncore.Readable)
				if got := n.recv(client); got != "hello" {
					t.Errorf("the client received %s", got)
				}
			case syscall.EINVAL:
				if got != syscall.EINVAL {
					t.Errorf("accept after it: %v", got)
				}
				if ready := n.wait(n.ln, asyncore.Readable); ready&asyncore.Readable == 0 {
					t.Errorf("the poller says %v of it", ready)
				}
			default:
				if got != syscall.EAGAIN {
					t.Errorf("accept after it: %v", got)
				}
				n.wait(client, asyncore.Readable)
				if got := n.recv(client); got != syscall.ECONNRESET.Error() {
					t.Errorf("the client received %s", got)
				}
			}
		})
	}
}

// Nobody who waits can have been aborted.
func TestInjectAcceptOfNobody(t *testing.T) {
	n := newRig(t)
	n.once(faultsys.Accept, syscall.ECONNABORTED)
	var from sys.Addr
	if _, errno := n.f.Accept(n.ln, &from); errno != syscall.EAGAIN {
		t.Errorf("accept: %v", errno)
	}
}

// A connection that was lost stays lost, whichever call has told.
func TestInjectLost(t *testing.T) {
	type result struct{ First, Recv1, Recv2, Recv3, Send, Pending, PeerAddr, Shutdown string }
	const (
		reset, pipe, notConn = syscall.ECONNRESET, syscall.EPIPE, syscall.ENOTCONN
		none                 = syscall.Errno(0)
	)
	tests := []struct {
		call  faultsys.Call
		errno syscall.Errno
		want  result
	}{
		{faultsys.Recv, reset, result{reset.Error(), "end", "end", "end", pipe.Error(), none.Error(), notConn.Error(), notConn.Error()}},
		{faultsys.Recv, syscall.ETIMEDOUT, result{syscall.ETIMEDOUT.Error(), "end", "end", "end", pipe.Error(), none.Error(), notConn.Error(), notConn.Error()}},
		{faultsys.Send, pipe, result{pipe.Error(), "kept", "end", "end", pipe.Error(), none.Error(), notConn.Error(), notConn.Error()}},
		{faultsys.SockError, reset, result{reset.Error(), "kept", "end", "end", pipe.Error(), none.Error(), notConn.Error(), notConn.Error()}},
		{faultsys.PeerAddr, notConn, result{notConn.Error(), "kept", reset.Error(), "end", pipe.Error(), none.Error(), notConn.Error(), notConn.Error()}},
		{faultsys.ShutdownWrite, notConn, result{notConn.Error(), "kept", reset.Error(), "end", pipe.Error(), none.Error(), notConn.Error(), notConn.Error()}},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.call, " ", test.errno), func(t *testing.T) {
			n := newRig(t)
			server, client := n.pair()
			n.send(client, "kept")
			n.wait(server, asyncore.Readable)

			var got result
			n.once(test.call, test.errno)
			text := func(errno syscall.Errno) string { return errno.Error() }
			peer := func() string { _, errno := n.f.PeerAddr(server); return text(errno) }
			pending := func() string { errno, _ := n.f.SockError(server); return text(errno) }
			sent := func() string { _, errno := n.f.Send(server, []byte("x")); return text(errno) }
			switch test.call {
			case faultsys.Recv:
				got.First = n.recv(server)
			case faultsys.Send:
				got.First = sent()
			case faultsys.SockError:
				got.First = pending()
			case faultsys.PeerAddr:
				got.First = peer()
			case faultsys.ShutdownWrite:
				got.First = text(n.f.ShutdownWrite(server))
			}
			got.Recv1, got.Recv2, got.Recv3 = n.recv(server), n.recv(server), n.recv(server)
			got.Send, got.Pending, got.PeerAddr = sent(), pending(), peer()
			got.Shutdown = text(n.f.ShutdownWrite(server))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
			const ready = asyncore.Readable | asyncore.Writable
			if bits := n.wait(server, ready); bits != ready|asyncore.HangUp {
				t.Errorf("the poller says %v of it", bits)
			}

			n.f.Close(server)
			n.wait(client, asyncore.Readable)
			if got := n.recv(client); got != reset.Error() {
				t.Errorf("the peer received %s", got)
			}
			again := n.socket() // most likely of the same number
			if errno, _ := n.f.SockError(again); errno != 0 || n.send(again, "x") == nil {
				t.Errorf("a new socket: %v", errno)
			}
		})
	}
}

// An error that a send finds pending is told by it.
func TestInjectLostPending(t *testing.T) {
	n := newRig(t)
	server, _ := n.pair()
	n.once(faultsys.PeerAddr, syscall.ENOTCONN)
	n.f.PeerAddr(server)
	if err := n.send(server, "x"); err != syscall.ECONNRESET {
		t.Errorf("first send: %v", err)
	}
	if err := n.send(server, "x"); err != syscall.EPIPE {
		t.Errorf("second send: %v", err)
	}
}

func TestInjectConnectInterrupted(t *testing.T) {
	n := newRig(t)
	fd := n.socket()
	n.once(faultsys.Connect, syscall.EINTR)
	if errno := n.f.Connect(fd, n.addr); errno != syscall.EINTR {
		t.Fatalf("connect: %v", errno)
	}
	n.wait(fd, asyncore.Writable)
	if pending, errno := n.f.SockError(fd); pending != 0 || errno != 0 {
		t.Errorf("SO_ERROR: %v, %v", pending, errno)
	}
	n.accept()
}

func TestInjectCloseHasClosed(t *testing.T) {
	n := newRig(t)
	server, client := n.pair()
	n.once(faultsys.Close, syscall.EINTR)
	if errno := n.f.Close(server); errno != syscall.EINTR {
		t.Errorf("close: %v", errno)
	}
	if slices.Contains(n.f.Open(), server) {
		t.Error("still in the ledger")
	}
	n.wait(client, asyncore.Readable)
	if got := n.recv(client); got != "end" {
		t.Errorf("the peer received %s", got)
	}
}

// What makes no descriptor puts none in the ledger.
func TestInjectNothingOpened(t *testing.T) {
	n := newRig(t)
	server, _ := n.pair()
	before := n.f.Open()
	for _, c := range []faultsys.Call{faultsys.Socket, faultsys.Accept, faultsys.Dup, faultsys.Pipe} {
		n.once(c, syscall.EMFILE)
		var errno syscall.Errno
		switch c {
		case faultsys.Socket:
			_, errno = n.f.Socket(sys.Inet)
		case faultsys.Accept:
			_, errno = n.f.Accept(n.ln, &sys.Addr{})
		case faultsys.Dup:
			_, errno = n.f.Dup(server)
		case faultsys.Pipe:
			_, _, errno = n.f.Pipe(true)
		}
		if errno != syscall.EMFILE {
			t.Errorf("%s: %v", c, errno)
		}
	}
	n.once(faultsys.OpenPoller, syscall.EMFILE)
	if _, err := n.f.OpenPoller(""); err == nil {
		t.Error("the poller was opened")
	}
	if diff := cmp.Diff(before, n.f.Open()); diff != "" {
		t.Errorf("open (-before +after):\n%s", diff)
	}
}

// An error that a datagram has met is no end of its socket.
func TestInjectDatagram(t *testing.T) {
	n := newRig(t)
	fd, errno := n.f.PacketSocket(sys.Inet, sys.Datagram)
	n.must("socket", errno)
	n.must("bind", n.f.Bind(fd, sys.Addr{Family: sys.Inet, Inet: netip.MustParseAddrPort("127.0.0.1:0")}))
	self, errno := n.f.LocalAddr(fd)
	n.must("getsockname", errno)
	out := []sys.Packet{{Buf: []byte("text"), Addr: self}}
	in := []sys.Packet{{Buf: make([]byte, 100)}}
	n.once(faultsys.SendPackets, syscall.ECONNREFUSED)
	if _, errno := n.f.SendPackets(fd, out); errno != syscall.ECONNREFUSED {
		t.Errorf("first send: %v", errno)
	}
	_, errno = n.f.SendPackets(fd, out)
	n.must("second send", errno)
	n.wait(fd, asyncore.Readable)
	n.once(faultsys.RecvPackets, syscall.ECONNREFUSED)
	if _, errno := n.f.RecvPackets(fd, in, false); errno != syscall.ECONNREFUSED {
		t.Errorf("first receive: %v", errno)
	}
	if got, errno := n.f.RecvPackets(fd, in, false); got != 1 || errno != 0 {
		t.Errorf("second receive: %d, %v", got, errno)
	}
}

// A connection of packets dies of its peer's reset, and has no errors of the kind
// that a single packet meets.
func TestInjectSequenced(t *testing.T) {
	n := newRig(t)
	addr := sys.Addr{Family: sys.Unix, Path: filepath.Join(t.TempDir(), "s")}
	ln, errno := n.f.PacketSocket(sys.Unix, sys.Sequenced)
	if errno != 0 {
		t.Skipf("no sequenced packets here: %v", errno)
	}
	n.must("bind", n.f.Bind(ln, addr))
	n.must("listen", n.f.Listen(ln, 10))
	client, errno := n.f.PacketSocket(sys.Unix, sys.Sequenced)
	n.must("socket", errno)
	n.must("connect", n.f.Connect(client, addr))
	server, errno := n.f.Accept(ln, &sys.Addr{})
	n.must("accept", errno)

	out := []sys.Packet{{Buf: []byte("text")}}
	in := []sys.Packet{{Buf: make([]byte, 100)}}
	n.once(faultsys.SendPackets, syscall.ECONNREFUSED)
	_, errno = n.f.SendPackets(client, out)
	n.must("first send", errno)
	n.once(faultsys.SendPackets, syscall.ECONNRESET)
	if _, errno := n.f.SendPackets(server, out); errno != syscall.ECONNRESET {
		t.Errorf("second send: %v", errno)
	}
	if _, errno := n.f.SendPackets(server, out); errno != syscall.EPIPE {
		t.Errorf("third send: %v", errno)
	}
	if got, errno := n.f.RecvPackets(server, in, true); got != 1 || errno != 0 {
		t.Errorf("first receive: %d, %v", got, errno)
	}
	if got, errno := n.f.RecvPackets(server, in, true); got != 0 || errno != 0 {
		t.Errorf("second receive: %d, %v", got, errno)
	}
}

// notes is a T that collects.
type notes struct {
	lines []string
	last  func()
}

func (*notes) Helper()             {}
func (n *notes) Cleanup(fn func()) { n.last = fn }
func (n *notes) Errorf(format string, args ...any) {
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func TestComplaintsAreCollected(t *testing.T) {
	var n notes
	f := faultsys.New(&n, sys.Real())
	fd, errno := f.Socket(sys.Inet)
	if errno != 0 {
		t.Fatal(errno)
	}
	n.last()
	f.Close(fd)
	f.Close(fd)
	f.Go(func() {})
	want := []string{
		fmt.Sprintf("descriptors left open: [%d]", fd),
		fmt.Sprintf("close on descriptor %d after it was closed", fd),
		fmt.Sprintf("close of descriptor %d, which is not open", fd),
	}
	if diff := cmp.Diff(want, n.lines); diff != "" {
		t.Errorf("complaints (-want +got):\n%s", diff)
	}
}
