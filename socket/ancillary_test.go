//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"io"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/internal/leaktest"
)

// M24: descriptors pass, over streams and datagrams.
func TestPassFDs(t *testing.T) {
	for _, typ := range []Type{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
		a, b := newPair(t, typ)
		x, y := newPair(t, 0)
		if n, err := a.SendFDs([]byte("two"), int(x.Fd()), int(y.Fd())); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		p := make([]byte, 10)
		n, fds, err := b.RecvFDs(p, 2)
		if n != 3 || len(fds) != 2 || err != nil {
			t.Fatal(n, fds, err)
		}
		for _, fd := range fds {
			if flags := must(unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)); flags&unix.FD_CLOEXEC == 0 {
				t.Error("not close-on-exec")
			}
		}
		x2 := keep(t, must(FromFD(uintptr(fds[0]), 0, 0, 0)))
		for _, fd := range fds {
			ok(t, unix.Close(fd))
		}
		must(x2.SendAll([]byte("through")))
		if p := must(y.Recv(10)); string(p) != "through" {
			t.Errorf("%q", p)
		}
		// A message without any.
		must(a.Send([]byte("none")))
		if n, fds, err := b.RecvFDs(p, 2); n != 4 || fds != nil || err != nil {
			t.Error(n, fds, err)
		}
	}
	// A message without a byte is no end where it has descriptors.
	a, b := newPair(t, unix.SOCK_SEQPACKET)
	must(a.SendFDs(nil, 0))
	n, fds, err := b.RecvFDs(make([]byte, 1), 1)
	if n != 0 || len(fds) != 1 || err != nil {
		t.Fatal(n, fds, err)
	}
	ok(t, unix.Close(fds[0]))
	a, b = newPair(t, 0)
	_, err = a.SendFDs(nil, 0)
	wantErr(t, err, syscall.EINVAL)
	_, err = a.SendFDs([]byte("x"), 1<<20)
	wantErr(t, err, syscall.EBADF)
	ok(t, a.Close())
	if _, _, err := b.RecvFDs(make([]byte, 1), 1); err != io.EOF {
		t.Error(err)
	}
}

// More than the receiver takes: none stays open.
func TestFDsTruncated(t *testing.T) {
	a, b := newPair(t, 0)
	p := make([]byte, 10)
	before := leaktest.Open()
	for _, most := range []int{0, 1, 2, -1} {
		must(a.SendFDs([]byte("three"), 0, 0, 0))
		n, fds, err := b.RecvFDs(p, most)
		wantErr(t, err, ErrTruncated)
		if n != 5 || fds != nil {
			t.Error(n, fds)
		}
	}
	// RecvMsg gives what there is room for, and the kernel closes the rest.
	for _, room := range []int{0, 1, unix.CmsgLen(0), unix.CmsgLen(4), unix.CmsgLen(8), unix.CmsgSpace(12)} {
		must(a.SendFDs([]byte("three"), 0, 0, 0))
		m, err := b.RecvMsg(p, room)
		ok(t, err)
		var fds []int
		for _, c := range m.Control {
			fds = append(fds, c.Rights()...)
		}
		want := min(max(room-unix.CmsgLen(0), 0)/4, 3)
		if len(fds) != want || (m.Flags&unix.MSG_CTRUNC == 0) != (want == 3) {
			t.Errorf("room %d: %d descriptors of %d, flags %#x", room, len(fds), want, m.Flags)
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
	if after := leaktest.Open(); len(after) != len(before) {
		t.Errorf("open descriptors %q, before %q", after, before)
	}
}

// Control messages go as they are, in their order.
func TestControlCoding(t *testing.T) {
	want := []Control{
		{Level: 1, Type: 2, Data: []byte("abc")},
		{Level: -1, Type: 7, Data: []byte{}},
		{Level: 1, Type: 3, Data: []byte("12345678")},
	}
	oob := encodeControl(want)
	if diff := cmp.Diff(want, parseControl(oob)); diff != "" {
		t.Error(diff)
	}
	for n := range oob { // cut short anywhere
		for _, c := range parseControl(oob[:n]) {
			c.Rights()
			c.Credentials()
		}
	}
	if all := parseControl(make([]byte, 100)); all != nil {
		t.Error(all)
	}
	if fds := (Control{Level: 77, Type: unix.SCM_RIGHTS, Data: make([]byte, 8)}).Rights(); fds != nil {
		t.Error(fds)
	}
	if _, is := (Control{}).Credentials(); is {
		t.Error("credentials from nothing")
	}
}

func FuzzParseControl(f *testing.F) {
	f.Add(encodeControl([]Control{Rights(1, 2), {Level: 1, Type: 2, Data: []byte("x")}}))
	f.Fuzz(func(t *testing.T, oob []byte) {
		total := 0
		for _, c := range parseControl(oob) {
			total += unix.CmsgLen(len(c.Data))
			if fds := c.Rights(); len(fds) > len(c.Data)/4 {
				t.Error(fds)
			}
			c.Credentials()
		}
		if total > len(oob) {
			t.Errorf("%d bytes of %d", total, len(oob))
		}
	})
}

// In a process that has no room for another descriptor: creation fails by EMFILE,
// nothing is lost, and passed descriptors are not either.
func TestNoDescriptors(t *testing.T) {
	if os.Getenv("SOCKET_TEST_EMFILE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoDescriptors$", "-test.count=1")
		cmd.Env = append(os.Environ(), "SOCKET_TEST_EMFILE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	l, addr := listener(t)
	client := newSock(t, 0, 0)
	ok(t, client.Connect(addr))
	a, b := newPair(t, 0)
	must(a.SendFDs([]byte("x"), 0, 1))

	var limit unix.Rlimit
	ok(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	limit.Cur = 64
	ok(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	var hold []int
	for {
		fd, err := unix.FcntlInt(a.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			break
		}
		hold = append(hold, fd)
	}

	_, err := New(0, 0, 0)
	wantErr(t, err, syscall.EMFILE)
	_, _, err = Pair(0, 0, 0)
	wantErr(t, err, syscall.EMFILE)
	_, err = a.Dup()
	wantErr(t, err, syscall.EMFILE)
	_, err = FromFD(a.Fd(), 0, 0, 0)
	wantErr(t, err, syscall.EMFILE)
	_, _, err = l.Accept()
	wantErr(t, err, syscall.EMFILE)
	_, err = CreateServer(freePort, ServerOptions{})
	wantErr(t, err, syscall.EMFILE)

	// One more, where two are to come.
	unix.Close(hold[0])
	n, fds, err := b.RecvFDs(make([]byte, 4), 4)
	wantErr(t, err, ErrTruncated)
	if n != 1 || fds != nil {
		t.Error(n, fds)
	}
	hold[0] = must(unix.FcntlInt(a.Fd(), unix.F_DUPFD_CLOEXEC, 0))

	// A call can wait without a descriptor to wake it, and be ended.
	wait := background(func() error { _, err := b.Recv(1); return err })
	must(a.Send([]byte("y")))
	ok(t, wait(t))
	wait = background(func() error { _, err := b.Recv(1); return err })
	untilCalling(t, b)
	ok(t, b.SetTimeout(short))
	wantErr(t, wait(t), os.ErrDeadlineExceeded)
	ok(t, b.SetBlocking(true))
	wait = background(func() error { _, err := b.Recv(1); return err })
	untilCalling(t, b)
	ok(t, b.Close())
	wantErr(t, wait(t), net.ErrClosed)

	for _, fd := range hold {
		unix.Close(fd)
	}
	s, _, err := l.Accept()
	ok(t, err)
	ok(t, s.Close())
}
