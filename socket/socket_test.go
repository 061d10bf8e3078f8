//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func fcntl(t *testing.T, s *Socket, cmd int) int {
	t.Helper()
	return must(unix.FcntlInt(s.Fd(), cmd, 0))
}

// F1, M1, M17, M20: what a new socket is.
func TestNew(t *testing.T) {
	for _, tt := range []struct {
		f       Family
		typ     Type
		p       Proto
		wantF   Family
		wantT   Type
		timeout time.Duration
	}{
		{0, 0, 0, unix.AF_INET, unix.SOCK_STREAM, NoTimeout},
		{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_IP, unix.AF_INET, unix.SOCK_STREAM, NoTimeout},
		{unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_UDP, unix.AF_INET, unix.SOCK_DGRAM, NoTimeout},
		{unix.AF_UNIX, 0, 0, unix.AF_UNIX, unix.SOCK_STREAM, NoTimeout},
		{0, sockStream | sockNonblock, 0, unix.AF_INET, unix.SOCK_STREAM, modeOf(sockNonblock)},
		{0, sockDgram | sockFlags, 0, unix.AF_INET, unix.SOCK_DGRAM, modeOf(sockFlags)},
	} {
		s, err := New(tt.f, tt.typ, tt.p)
		ok(t, err)
		if s.Family() != tt.wantF || s.Type() != tt.wantT || s.Proto() != tt.p || s.Timeout() != tt.timeout {
			t.Errorf("New(%d, %#x, %d) = %v %v %v, timeout %v", tt.f, int(tt.typ), tt.p, s.Family(), s.Type(), s.Proto(), s.Timeout())
		}
		if fcntl(t, s, unix.F_GETFD)&unix.FD_CLOEXEC == 0 || fcntl(t, s, unix.F_GETFL)&unix.O_NONBLOCK == 0 {
			t.Error("not close-on-exec, or not O_NONBLOCK")
		}
		ok(t, s.Close())
	}
}

func modeOf(flags Type) time.Duration {
	if flags&sockNonblock != 0 {
		return 0
	}
	return NoTimeout
}

// E1, E5: the errors of creation.
func TestNewErrors(t *testing.T) {
	_, err := New(9999, 0, 0)
	wantErr(t, err, syscall.EAFNOSUPPORT)
	if !strings.HasPrefix(err.Error(), "socket ") {
		t.Errorf("error %q", err)
	}
	if _, is := errors.AsType[net.Error](err); !is {
		t.Errorf("%T is no net.Error", err)
	}
	_, err = New(0, sockStream, unix.IPPROTO_UDP)
	wantErr(t, err, syscall.EPROTONOSUPPORT)
	_, err = New(-1, -1, -1)
	wantErr(t, err)
	_, _, err = Pair(unix.AF_INET, 0, 0) // F2
	wantErr(t, err, syscall.EOPNOTSUPP)
}

// F2.
func TestPair(t *testing.T) {
	for _, typ := range []Type{0, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET} {
		a, b := newPair(t, typ)
		if a.Family() != unix.AF_UNIX || b.Timeout() != NoTimeout || fcntl(t, b, unix.F_GETFD)&unix.FD_CLOEXEC == 0 {
			t.Errorf("pair of %v: %v, timeout %v", typ, a.Family(), b.Timeout())
		}
		if name := must(a.GetSockName()); name != (UnixAddr{}) {
			t.Errorf("name %#v", name)
		}
		if n, err := a.Send([]byte("ping")); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		if p, err := b.Recv(100); string(p) != "ping" || err != nil {
			t.Fatal(p, err)
		}
	}
}

// F3.
func TestFromFD(t *testing.T) {
	a, b := newPair(t, 0)
	d := keep(t, must(FromFD(a.Fd(), 0, 0, 0)))
	if d.Fd() == a.Fd() || d.Family() != unix.AF_UNIX || d.Type() != unix.SOCK_STREAM {
		t.Errorf("fd %d of %d, %v %v", d.Fd(), a.Fd(), d.Family(), d.Type())
	}
	if d.Timeout() != NoTimeout || fcntl(t, d, unix.F_GETFD)&unix.FD_CLOEXEC == 0 {
		t.Error("not blocking, or not close-on-exec")
	}
	ok(t, a.Close())
	must(d.SendAll([]byte("x")))
	if p := must(b.Recv(1)); string(p) != "x" {
		t.Error("the duplicate is not of the same socket")
	}
	ok(t, d.Close())
	if _, err := b.Recv(1); err != io.EOF {
		t.Error("a duplicate is left over:", err)
	}
	asked := keep(t, must(FromFD(b.Fd(), unix.AF_INET, unix.SOCK_DGRAM, 17)))
	if asked.Family() != unix.AF_INET || asked.Type() != unix.SOCK_DGRAM || asked.Proto() != 17 {
		t.Error("what is given is not believed")
	}
	// A blocking descriptor becomes O_NONBLOCK, with its duplicate.
	fds := must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0))
	for _, fd := range fds {
		defer unix.Close(fd)
	}
	keep(t, must(FromFD(uintptr(fds[0]), 0, 0, 0)))
	if flags := must(unix.FcntlInt(uintptr(fds[0]), unix.F_GETFL, 0)); flags&unix.O_NONBLOCK == 0 {
		t.Error("the duplicates do not share O_NONBLOCK")
	}
	f := must(os.Open(os.DevNull))
	defer f.Close()
	_, err := FromFD(f.Fd(), 0, 0, 0)
	wantErr(t, err, syscall.ENOTSOCK)
	for _, fd := range []uintptr{^uintptr(0), ^uintptr(0)/2 + 1, 1 << 20, 1 << 31, 1<<31 - 1} {
		_, err := FromFD(fd, 0, 0, 0)
		wantErr(t, err, syscall.EBADF)
	}
}

// M16, M25, M26.
func TestCloseOnce(t *testing.T) {
	a, b := newPair(t, 0)
	d := keep(t, must(a.Dup()))
	ok(t, a.Close())
	wantErr(t, a.Close(), net.ErrClosed)
	must(d.SendAll([]byte("dup")))
	if p := must(b.Recv(9)); string(p) != "dup" {
		t.Error(string(p))
	}
	fd := must(d.Detach())
	defer unix.Close(int(fd))
	wantErr(t, d.Close(), net.ErrClosed)
	_, err := d.Detach()
	wantErr(t, err, net.ErrClosed)
	if _, err := unix.Write(int(fd), []byte("raw")); err != nil {
		t.Error("a detached descriptor is closed:", err)
	}
	if p := must(b.Recv(9)); string(p) != "raw" {
		t.Error(string(p))
	}
	// Someone else has closed it.
	ok(t, unix.Close(int(b.Fd())))
	wantErr(t, b.Close(), syscall.EBADF)
	wantErr(t, b.Close(), net.ErrClosed)
}

// Everything is net.ErrClosed on a closed Socket, and on the zero one.
func TestClosed(t *testing.T) {
	closed, _ := newPair(t, 0)
	ok(t, closed.Close())
	for _, s := range []*Socket{closed, {}} {
		if s.Fd() != ^uintptr(0) {
			t.Error("descriptor", s.Fd())
		}
		if e := s.ConnectEx(UnixAddr{Name: "/x"}); e != syscall.EBADF {
			t.Error(e)
		}
		p := make([]byte, 1)
		for name, call := range map[string]func() error{
			"accept":      func() error { _, _, err := s.Accept(); return err },
			"bind":        func() error { return s.Bind(UnixAddr{}) },
			"close":       func() error { return s.Close() },
			"connect":     func() error { return s.Connect(UnixAddr{}) },
			"detach":      func() error { _, err := s.Detach(); return err },
			"dup":         func() error { _, err := s.Dup(); return err },
			"getpeername": func() error { _, err := s.GetPeerName(); return err },
			"getsockname": func() error { _, err := s.GetSockName(); return err },
			"getsockopt":  func() error { _, err := GetSockOpt[int](s, solSocket, soError); return err },
			"listen":      func() error { return s.Listen(1) },
			"makefile":    func() error { _, err := s.Makefile(); return err },
			"read":        func() error { _, err := s.NetConn().Read(p); return err },
			"recv":        func() error { _, err := s.Recv(1); return err },
			"recv ":       func() error { _, err := s.RecvInto(nil); return err },
			"recvfrom":    func() error { _, _, err := s.RecvFrom(1); return err },
			"recvmsg":     func() error { _, err := s.RecvMsg(p, 0); return err },
			"recvmsg ":    func() error { _, _, err := s.RecvFDs(p, 1); return err },
			"send":        func() error { _, err := s.Send(p); return err },
			"sendall":     func() error { _, err := s.SendAll(p); return err },
			"sendmsg":     func() error { _, err := s.SendMsg(p, nil, nil); return err },
			"sendmsg ":    func() error { _, err := s.SendFDs(p, 0); return err },
			"sendto":      func() error { _, err := s.SendTo(p, UnixAddr{}); return err },
			"set":         func() error { return s.NetConn().SetDeadline(time.Time{}) },
			"setsockopt":  func() error { return SetSockOpt(s, solSocket, soReuseAddr, 1) },
			"settimeout":  func() error { return s.SetTimeout(1) },
			"shutdown":    func() error { return s.Shutdown(0) },
			"write":       func() error { _, err := s.NetConn().Write(p); return err },
		} {
			err := call()
			wantErr(t, err, net.ErrClosed)
			if err != nil && !strings.HasPrefix(err.Error(), strings.TrimSpace(name)+" ") {
				t.Errorf("%s: %q", name, err)
			}
		}
	}
}

// M17 to M19, E6.
func TestTimeoutValues(t *testing.T) {
	s := newSock(t, 0, 0)
	for _, d := range []time.Duration{0, 1, time.Second, 1<<63 - 1, NoTimeout} {
		ok(t, s.SetTimeout(d))
		if s.Timeout() != d {
			t.Errorf("timeout %v, want %v", s.Timeout(), d)
		}
	}
	for _, d := range []time.Duration{-1, -time.Second, NoTimeout + 1} {
		err := s.SetTimeout(d)
		wantErr(t, err, syscall.EINVAL)
		if !strings.Contains(err.Error(), "timeout value out of range") {
			t.Error(err)
		}
	}
	ok(t, s.SetBlocking(false))
	if s.Timeout() != 0 {
		t.Error("not non-blocking")
	}
	ok(t, s.SetBlocking(true))
	if s.Timeout() != NoTimeout {
		t.Error("not blocking")
	}
}

// §7: each call that has to wait, in both modes in which it does not do so for long.
func TestModes(t *testing.T) {
	l, addr := listener(t)
	a, _ := newPair(t, 0)
	full, _ := newPair(t, 0)
	fill(t, full)
	u, _ := udpSock(t)
	p := make([]byte, 10)
	for name, c := range map[string]struct {
		s    *Socket
		call func() error
	}{
		"accept":   {l, func() error { _, _, err := l.Accept(); return err }},
		"recv":     {a, func() error { _, err := a.Recv(1); return err }},
		"waitall":  {a, func() error { _, err := a.Recv(5, unix.MSG_WAITALL); return err }},
		"recvinto": {a, func() error { _, err := a.RecvInto(p); return err }},
		"recvfrom": {u, func() error { _, _, err := u.RecvFrom(1); return err }},
		"recvmsg":  {u, func() error { _, err := u.RecvMsg(p, 100); return err }},
		"recvfds":  {a, func() error { _, _, err := a.RecvFDs(p, 1); return err }},
		"send":     {full, func() error { _, err := full.Send(p); return err }},
		"sendall":  {full, func() error { _, err := full.SendAll(p); return err }},
		"sendmsg":  {full, func() error { _, err := full.SendMsg(p, nil, nil); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			ok(t, c.s.SetBlocking(false))
			err := c.call()
			wantErr(t, err, ErrWouldBlock, syscall.EAGAIN)
			if ne, is := errors.AsType[net.Error](err); !is || ne.Timeout() {
				t.Errorf("%v is a timeout", err)
			}
			ok(t, c.s.SetTimeout(short))
			err = c.call()
			wantErr(t, err, os.ErrDeadlineExceeded) // E4
			if !strings.HasSuffix(err.Error(), "timed out") || errors.Is(err, syscall.EAGAIN) {
				t.Errorf("error %q", err)
			}
		})
	}
	// A flag can do the same for one call.
	ok(t, a.SetBlocking(true))
	_, err := a.Recv(1, unix.MSG_DONTWAIT)
	wantErr(t, err, ErrWouldBlock)
	ok(t, full.SetBlocking(true))
	_, err = full.SendAll(p, unix.MSG_DONTWAIT)
	wantErr(t, err, ErrWouldBlock)
	_, err = full.Send(p, unix.MSG_DONTWAIT)
	wantErr(t, err, ErrWouldBlock)

	// A connection is there in every mode.
	for _, d := range []time.Duration{NoTimeout, long, 0} {
		ok(t, l.SetTimeout(d))
		c := newSock(t, 0, 0)
		ok(t, c.Connect(addr))
		s, from, err := l.Accept()
		ok(t, err)
		if s.Timeout() != NoTimeout || s.Family() != l.Family() || s.Type() != l.Type() {
			t.Errorf("accepted by timeout %v: timeout %v", d, s.Timeout())
		}
		if from != must(c.GetSockName()) || must(s.GetPeerName()) != from || must(c.GetPeerName()) != addr {
			t.Error("addresses differ")
		}
		ok(t, s.Close())
	}
}

// Another process that has the open file may take O_NONBLOCK away: what sends and
// receives doesn't depend on it.
func TestNonblockLost(t *testing.T) {
	a, _ := newPair(t, 0)
	fill(t, a)
	ok(t, unix.SetNonblock(int(a.Fd()), false))
	ok(t, a.SetTimeout(short))
	p := make([]byte, 10)
	for _, call := range []func() error{
		func() error { _, err := a.RecvInto(p); return err },
		func() error { _, err := a.RecvMsg(p, 0); return err },
		func() error { _, err := a.Send(p); return err },
		func() error { _, err := a.SendMsg(p, nil, nil); return err },
	} {
		wantErr(t, background(call)(t), os.ErrDeadlineExceeded)
	}
}

// M2 to M9, M12, M13, M22 and half-close.
func TestStream(t *testing.T) {
	a, b := tcpPair(t)
	if n, err := a.SendAll([]byte("hello, world")); n != 12 || err != nil {
		t.Fatal(n, err)
	}
	p := make([]byte, 5)
	if n, err := b.RecvInto(p, unix.MSG_PEEK); n != 5 || err != nil || string(p) != "hello" {
		t.Error(n, err)
	}
	if m, err := b.RecvMsg(nil, 0); m.N != 0 || err != nil {
		t.Error(m, err) // not the end
	}
	if p := must(b.Recv(12, unix.MSG_WAITALL)); string(p) != "hello, world" {
		t.Errorf("%q", p)
	}
	_, err := b.Recv(1, unix.MSG_DONTWAIT)
	wantErr(t, err, ErrWouldBlock)
	if n, err := b.Send(make([]byte, 64<<20)); n <= 0 || n == 64<<20 || err != nil {
		t.Errorf("Send took %d bytes, %v", n, err) // what there was room for
	} else {
		for n > 0 {
			p := must(a.Recv(n, unix.MSG_WAITALL))
			if len(p) != min(n, maxStream) {
				t.Fatalf("%d bytes of %d", len(p), n)
			}
			n -= len(p)
		}
	}
	ok(t, a.Shutdown(unix.SHUT_WR))
	for range 2 {
		if p, err := b.Recv(1); len(p) != 0 || err != io.EOF {
			t.Errorf("end: %q, %v", p, err)
		}
	}
	if _, err := b.RecvMsg(p, 0); err != io.EOF {
		t.Error(err)
	}
	if _, _, err := b.RecvFrom(5); err != io.EOF {
		t.Error(err)
	}
	must(b.SendAll([]byte("still")))
	if p, from, err := a.RecvFrom(5); string(p) != "still" || from != nil || err != nil {
		t.Errorf("%q from %v, %v", p, from, err)
	}
	// recv(0) asks nothing, at the end either.
	if p, err := b.Recv(0); p == nil || len(p) != 0 || err != nil {
		t.Error(p, err)
	}
	for _, n := range []int{-1, math.MinInt} { // E6
		_, err := b.Recv(n)
		wantErr(t, err, syscall.EINVAL)
		_, _, err = b.RecvFrom(n)
		wantErr(t, err, syscall.EINVAL)
		_, err = b.RecvMsg(nil, n)
		wantErr(t, err, syscall.EINVAL)
	}
	must(a.Dup()).Close() // does not end the connection
	ok(t, b.SetBlocking(false))
	if _, err := b.Recv(math.MaxInt); err != io.EOF {
		t.Error("an enormous Recv:", err)
	}
}

// MSG_WAITALL waits in spite of O_NONBLOCK, and gives what there is at an end.
func TestWaitAll(t *testing.T) {
	a, b := newPair(t, 0)
	must(a.Send([]byte("ab")))
	if p, err := b.Recv(4, unix.MSG_WAITALL|unix.MSG_PEEK); string(p) != "ab" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	var p []byte
	wait := background(func() (err error) { p, err = b.Recv(4, unix.MSG_WAITALL); return err })
	untilWaiting(t, b, 1)
	must(a.Send([]byte("cd")))
	if err := wait(t); err != nil || string(p) != "abcd" {
		t.Errorf("%q, %v", p, err)
	}
	must(a.Send([]byte("ef")))
	ok(t, b.SetTimeout(short))
	if p, err := b.Recv(4, unix.MSG_WAITALL); string(p) != "ef" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	must(a.Send([]byte("g")))
	ok(t, a.Close())
	if p, err := b.Recv(4, unix.MSG_WAITALL); string(p) != "g" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
}

// What lingers in close(2) doesn't hold up the other methods.
func TestCloseLinger(t *testing.T) {
	a, b := tcpPair(t)
	fill(t, a)
	ok(t, SetSockOpt(a, unix.SOL_SOCKET, unix.SO_LINGER, Linger{On: true, Seconds: int(2 * long / time.Second)}))
	closed := background(a.Close)
	ok(t, background(func() error {
		for a.Fd() != ^uintptr(0) {
			unix.Poll(nil, 1)
		}
		return nil
	})(t))
	reset(t, b)
	ok(t, closed(t))
}

// MSG_WAITALL has small pieces come as they do, none is taken for readiness in vain.
func TestWaitAllPieces(t *testing.T) {
	a, b := newPair(t, 0)
	p := make([]byte, maxVain)
	wait := background(func() error {
		c := call{s: b, op: "recv", name: "recv"}
		n, err := c.recv(p, unix.MSG_WAITALL)
		if n != len(p) || c.vain > 1 {
			t.Errorf("%d bytes, %d waits in vain", n, c.vain)
		}
		return err
	})
	for range p {
		untilWaiting(t, b, 1)
		must(a.Send([]byte("x")))
		for { // until it has been read
			_, err := b.Recv(1, unix.MSG_PEEK|unix.MSG_DONTWAIT)
			if errors.Is(err, ErrWouldBlock) {
				break
			}
			ok(t, err)
		}
	}
	ok(t, wait(t))
}

// An RST isn't taken for the end of the stream after a MSG_WAITALL that has got less.
func TestWaitAllReset(t *testing.T) {
	a, b := tcpPair(t)
	must(a.Send([]byte("ab")))
	must(b.Recv(2, unix.MSG_PEEK))
	reset(t, a)
	for { // until the RST is here
		if _, err := b.GetPeerName(); err != nil {
			break
		}
		unix.Poll(nil, 1)
	}
	p, err := b.Recv(4, unix.MSG_WAITALL)
	wantErr(t, err, syscall.ECONNRESET)
	if string(p) != "ab" {
		t.Errorf("%q", p)
	}
}

// M10, M11: datagrams.
func TestDatagrams(t *testing.T) {
	a, from := udpSock(t)
	b, to := udpSock(t)
	must(a.SendTo([]byte("datagram"), to))
	if p, who, err := b.RecvFrom(4); string(p) != "data" || who != from || err != nil {
		t.Errorf("%q from %v, %v", p, who, err)
	}
	must(a.SendTo(nil, to))
	must(a.SendTo([]byte("after"), to))
	if p, who, err := b.RecvFrom(100); p == nil || len(p) != 0 || who != from || err != nil {
		t.Errorf("an empty datagram: %q from %v, %v", p, who, err)
	}
	must(a.SendTo(nil, to))
	p := make([]byte, 3)
	m, err := b.RecvMsg(p, 0)
	if err != nil || m.N != 3 || m.Flags&unix.MSG_TRUNC == 0 || m.From != from {
		t.Errorf("truncated: %+v, %v", m, err)
	}
	if p, err := b.Recv(10); len(p) != 0 || err != nil {
		t.Errorf("an empty datagram: %q, %v", p, err)
	}
	_, err = a.SendTo(make([]byte, 70000), to)
	wantErr(t, err, syscall.EMSGSIZE)
	_, err = a.SendTo([]byte("x"), nil)
	wantErr(t, err)
	_, err = a.SendTo([]byte("x"), UnixAddr{Name: "/x"})
	wantErr(t, err, syscall.EAFNOSUPPORT)

	ok(t, a.Connect(to))
	must(a.Send([]byte("one")))
	must(a.SendAll([]byte("two")))
	for _, want := range []string{"one", "two"} {
		if p := must(b.Recv(9)); string(p) != want {
			t.Errorf("%q, want %q", p, want)
		}
	}
}

// M14, M15.
func TestOptions(t *testing.T) {
	s := newSock(t, 0, 0)
	if typ := must(GetSockOpt[int](s, unix.SOL_SOCKET, unix.SO_TYPE)); typ != unix.SOCK_STREAM {
		t.Error("SO_TYPE", typ)
	}
	for _, on := range []bool{true, false} {
		ok(t, SetSockOpt(s, unix.SOL_SOCKET, unix.SO_KEEPALIVE, on))
		if must(GetSockOpt[bool](s, unix.SOL_SOCKET, unix.SO_KEEPALIVE)) != on {
			t.Error("SO_KEEPALIVE is not", on)
		}
	}
	for _, l := range []Linger{{On: true, Seconds: 5}, {On: true}, {}} {
		ok(t, SetSockOpt(s, unix.SOL_SOCKET, unix.SO_LINGER, l))
		if got := must(GetSockOpt[Linger](s, unix.SOL_SOCKET, unix.SO_LINGER)); got != l {
			t.Errorf("SO_LINGER %+v, want %+v", got, l)
		}
	}
	ok(t, SetSockOpt(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, 1500*time.Millisecond))
	if d := must(GetSockOpt[time.Duration](s, unix.SOL_SOCKET, unix.SO_RCVTIMEO)); d.Round(100*time.Millisecond) != 1500*time.Millisecond {
		t.Error("SO_RCVTIMEO", d)
	}
	ok(t, SetSockOpt(s, unix.SOL_SOCKET, unix.SO_RCVTIMEO, time.Nanosecond)) // 0 would be none
	if d := must(GetSockOpt[time.Duration](s, unix.SOL_SOCKET, unix.SO_RCVTIMEO)); d <= 0 {
		t.Error("SO_RCVTIMEO", d)
	}
	_, err := GetSockOpt[int](s, unix.SOL_SOCKET, 0x7777)
	wantErr(t, err, syscall.ENOPROTOOPT)
	wantErr(t, SetSockOpt(s, unix.SOL_SOCKET, 0x7777, 1), syscall.ENOPROTOOPT)
	wantErr(t, SetSockOpt(s, unix.SOL_SOCKET, unix.SO_KEEPALIVE, []byte(nil)), syscall.EINVAL)
	for _, seconds := range []int{-1, math.MinInt} { // 0 would reset the connection
		wantErr(t, SetSockOpt(s, unix.SOL_SOCKET, unix.SO_LINGER, Linger{On: true, Seconds: seconds}), syscall.EINVAL)
	}
	for _, n := range []int{math.MinInt, math.MaxInt} {
		if n != int(int32(n)) {
			wantErr(t, SetSockOpt(s, unix.SOL_SOCKET, unix.SO_KEEPALIVE, n), syscall.EINVAL)
		}
	}
}

// M2, A: an address must be of the Socket's family.
func TestAddressFamily(t *testing.T) {
	s := newSock(t, 0, 0)
	for _, a := range []Addr{nil, UnixAddr{Name: "/x"}, Inet6Addr{}} {
		wantErr(t, s.Bind(a), syscall.EAFNOSUPPORT)
		wantErr(t, s.Connect(a), syscall.EAFNOSUPPORT)
		if e := s.ConnectEx(a); e != syscall.EAFNOSUPPORT {
			t.Error(e)
		}
	}
	u := newSock(t, unix.AF_UNIX, 0)
	tooLong := UnixAddr{Name: "/" + strings.Repeat("x", 200)}
	wantErr(t, u.Bind(tooLong), syscall.ENAMETOOLONG)
	if e := u.ConnectEx(tooLong); e != syscall.ENAMETOOLONG {
		t.Error(e)
	}
	addr := unixPath(t)
	ok(t, u.Bind(addr))
	if must(u.GetSockName()) != Addr(addr) {
		t.Error(u.GetSockName())
	}
	again := newSock(t, unix.AF_UNIX, 0)
	err := again.Bind(addr)
	wantErr(t, err, syscall.EADDRINUSE)
	if want := "bind unix " + addr.Name + ": bind: address already in use"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
}
