package socket

import (
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// §7 as measured on Linux.
func TestOptionsLinux(t *testing.T) {
	s := newSock(t, 0, 0)
	ok(t, SetSockOpt(s, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096))
	if n := must(GetSockOpt[int](s, unix.SOL_SOCKET, unix.SO_RCVBUF)); n != 8192 {
		t.Errorf("SO_RCVBUF %d", n)
	}
	linger := binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 1), 7)
	ok(t, SetSockOpt(s, unix.SOL_SOCKET, unix.SO_LINGER, linger))
	if p := must(GetSockOpt[[]byte](s, unix.SOL_SOCKET, unix.SO_LINGER)); string(p) != string(linger) {
		t.Errorf("SO_LINGER %x", p)
	}
	if l := must(GetSockOpt[Linger](s, unix.SOL_SOCKET, unix.SO_LINGER)); l != (Linger{On: true, Seconds: 7}) {
		t.Errorf("SO_LINGER %+v", l)
	}
	_, err := GetSockOpt[[]byte](s, unix.SOL_SOCKET, 0x7777)
	wantErr(t, err, syscall.ENOPROTOOPT)
	// The form without a value.
	a, err := New(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)
	if err == nil {
		keep(t, a)
		wantErr(t, SetSockOpt(a, unix.SOL_ALG, unix.ALG_SET_KEY, []byte(nil)))
	}
}

// A broadcast must be asked for; that of 127/8 never leaves the machine.
func TestBroadcastLinux(t *testing.T) {
	s, _ := udpSock(t)
	_, err := s.SendTo([]byte("x"), InetAddr{IP: netip.MustParseAddr("127.255.255.255"), Port: 9})
	wantErr(t, err, syscall.EACCES)
}

// F3: the kernel is asked for the protocol too.
func TestFromFDLinux(t *testing.T) {
	s := newSock(t, 0, 0)
	d := keep(t, must(FromFD(s.Fd(), 0, 0, 0)))
	if d.Family() != unix.AF_INET || d.Type() != unix.SOCK_STREAM || d.Proto() != unix.IPPROTO_TCP {
		t.Error(d.Family(), d.Type(), d.Proto())
	}
}

// Autobind, and the abstract name that comes of it.
func TestAutobindLinux(t *testing.T) {
	s := newSock(t, unix.AF_UNIX, 0)
	ok(t, s.Bind(UnixAddr{}))
	if a := must(s.GetSockName()).(UnixAddr); len(a.Name) != 6 || a.Name[0] != 0 {
		t.Errorf("%q", a.Name)
	}
}

// M24: credentials.
func TestCredentials(t *testing.T) {
	a, b := newPair(t, unix.SOCK_DGRAM)
	ok(t, SetSockOpt(b, unix.SOL_SOCKET, unix.SO_PASSCRED, true))
	self := Cred{PID: os.Getpid(), UID: os.Getuid(), GID: os.Getgid()}
	for _, control := range [][]Control{nil, {Credentials(self)}, {Credentials(self), Rights(0)}} {
		if _, err := a.SendMsg([]byte("x"), control, nil); err != nil {
			t.Fatal(err)
		}
		m, err := b.RecvMsg(make([]byte, 1), 100)
		ok(t, err)
		if len(m.Control) == 0 {
			t.Fatal("no control data")
		}
		if c, is := m.Control[0].Credentials(); !is || c != self {
			t.Errorf("%+v, want %+v", c, self)
		}
		for _, c := range m.Control {
			for _, fd := range c.Rights() {
				unix.Close(fd)
			}
		}
	}
	if os.Getuid() != 0 {
		_, err := a.SendMsg([]byte("x"), []Control{Credentials(Cred{PID: 1})}, nil)
		wantErr(t, err, syscall.EPERM)
	}
}

// SIGPIPE is never raised, not on descriptor 1 either, where package os lets it end the
// process: neither for a duplicate of it nor for a Socket that is there.
func TestNoSIGPIPE(t *testing.T) {
	if os.Getenv("SOCKET_TEST_SIGPIPE") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestNoSIGPIPE$", "-test.count=1")
		cmd.Env = append(os.Environ(), "SOCKET_TEST_SIGPIPE=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	stdout := must(unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3))
	defer unix.Dup3(stdout, 1, 0)
	signals := make(chan os.Signal, 10)
	signal.Notify(signals, unix.SIGPIPE, unix.SIGWINCH)
	e, _ := newPair(t, 0)
	ok(t, unix.Close(1))
	if d := keep(t, must(FromFD(e.Fd(), 0, 0, 0))); d.Fd() < 3 {
		t.Error("a duplicate is descriptor", d.Fd())
	}
	a, b := newPair(t, 0)
	if a.Fd() != 1 {
		t.Fatal("descriptor", a.Fd())
	}
	d := keep(t, must(FromFD(1, 0, 0, 0)))
	ok(t, b.Close())
	f := must(d.Makefile())
	must(f.WriteString("x"))
	for _, err := range []error{
		errOf(a.Send([]byte("x"))),
		errOf(a.SendAll([]byte("x"))),
		errOf(a.SendMsg([]byte("x"), nil, nil)),
		errOf(d.Send([]byte("x"))),
		errOf(a.NetConn().Write([]byte("x"))),
		f.Close(),
	} {
		wantErr(t, err, syscall.EPIPE)
	}
	ok(t, unix.Kill(os.Getpid(), unix.SIGWINCH))
	if sig := <-signals; sig != unix.SIGWINCH { // a lower number comes first
		t.Error(sig)
	}
}

func errOf(_ int, err error) error { return err }

// The end of a stream is one with SO_PASSCRED too, where Linux sends credentials along.
func TestEndWithCredentialsLinux(t *testing.T) {
	a, b := newPair(t, 0)
	ok(t, SetSockOpt(b, unix.SOL_SOCKET, unix.SO_PASSCRED, true))
	must(a.Send([]byte("x")))
	ok(t, a.Close())
	p := make([]byte, 9)
	m, err := b.RecvMsg(p, 100)
	if m.N != 1 || len(m.Control) != 1 || err != nil {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := b.RecvMsg(p, 100); err != io.EOF {
		t.Errorf("%+v, %v", m, err)
	}
	if n, fds, err := b.RecvFDs(p, 1); err != io.EOF {
		t.Error(n, fds, err)
	}
}

// MSG_TRUNC tells how long a datagram was that came cut short.
func TestTruncLinux(t *testing.T) {
	a, _ := udpSock(t)
	b, to := udpSock(t)
	must(a.SendTo([]byte("datagram"), to))
	must(a.SendTo([]byte("datagram"), to))
	if p, err := b.Recv(4, unix.MSG_TRUNC); string(p) != "data" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	p := make([]byte, 4)
	if n, err := b.RecvInto(p, unix.MSG_TRUNC); n != 8 || string(p) != "data" || err != nil {
		t.Errorf("%d, %q, %v", n, p, err)
	}
}

// Shutdown by a duplicate ends an Accept that waits.
func TestShutdownAcceptLinux(t *testing.T) {
	l, _ := listener(t)
	d := keep(t, must(l.Dup()))
	wait := background(func() error { _, _, err := l.Accept(); return err })
	untilWaiting(t, l, 1)
	ok(t, d.Shutdown(unix.SHUT_RDWR))
	wantErr(t, wait(t), syscall.EINVAL)
}
