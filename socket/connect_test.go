//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"errors"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// M6 and §7: connect_ex by what came of it, in each mode.
func TestConnectEx(t *testing.T) {
	for _, tt := range []struct {
		timeout time.Duration
		want    []syscall.Errno // as CPython answers on Linux
	}{
		{NoTimeout, []syscall.Errno{0, unix.EISCONN, unix.EISCONN}},
		{long, []syscall.Errno{0, 0, unix.EISCONN}},
		{0, []syscall.Errno{unix.EINPROGRESS, 0, unix.EISCONN}},
	} {
		_, addr := listener(t)
		s := newSock(t, 0, 0)
		ok(t, s.SetTimeout(tt.timeout))
		var got []syscall.Errno
		for range tt.want {
			got = append(got, s.ConnectEx(addr))
			if _, w, _, err := Select(nil, []*Socket{s}, nil, long); len(w) != 1 || err != nil {
				t.Fatal("not connected:", err)
			}
		}
		if !slices.Equal(got, tt.want) && (connectTwice || got[0] != tt.want[0]) {
			t.Errorf("timeout %v: %v, want %v", tt.timeout, got, tt.want)
		}
		if _, err := s.GetPeerName(); err != nil {
			t.Error(err)
		}
	}
}

func TestConnectRefused(t *testing.T) {
	dead := deadAddr(t)
	for _, d := range []time.Duration{NoTimeout, long} {
		s := newSock(t, 0, 0)
		ok(t, s.SetTimeout(d))
		err := s.Connect(dead)
		wantErr(t, err, syscall.ECONNREFUSED)
		op, _ := errors.AsType[*net.OpError](err)
		if want := "connect tcp " + dead.String() + ": connect: connection refused"; op.Addr != net.Addr(dead) || err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		s = newSock(t, 0, 0)
		ok(t, s.SetTimeout(d))
		if e := s.ConnectEx(dead); e != unix.ECONNREFUSED {
			t.Error(e)
		}
	}
	// Each try of a blocking one begins anew.
	s := newSock(t, 0, 0)
	for try := range 3 {
		if e := s.ConnectEx(dead); e != unix.ECONNREFUSED && (connectTwice || try == 0) {
			t.Errorf("try %d: %v", try, e)
		}
	}
	s = newSock(t, 0, 0)
	ok(t, s.SetBlocking(false))
	err := s.Connect(dead)
	wantErr(t, err, syscall.EINPROGRESS)
	if _, w, _, err := Select(nil, []*Socket{s}, nil, long); len(w) != 1 || err != nil {
		t.Fatal(w, err)
	}
	// SO_ERROR is read once.
	for _, want := range []syscall.Errno{unix.ECONNREFUSED, 0} {
		if e := must(GetSockOpt[int](s, unix.SOL_SOCKET, unix.SO_ERROR)); syscall.Errno(e) != want {
			t.Errorf("SO_ERROR %d, want %d", e, want)
		}
	}
}

// What a connect that goes on after its timeout answers; and listen(0), whose queue
// has room for one.
func TestConnectTimeout(t *testing.T) {
	l := newSock(t, 0, 0)
	ok(t, l.Bind(freePort))
	ok(t, l.Listen(0))
	addr := must(l.GetSockName())
	done, late := 0, []*Socket{}
	for range 4 {
		s := newSock(t, 0, 0)
		ok(t, s.SetTimeout(short))
		switch err := s.Connect(addr); {
		case err == nil:
			done++
		case errors.Is(err, os.ErrDeadlineExceeded):
			wantErr(t, err, os.ErrDeadlineExceeded)
			late = append(late, s)
		default:
			t.Fatal(err)
		}
	}
	if done == 0 || len(late) == 0 {
		t.Fatalf("%d connected, %d not", done, len(late))
	}
	wantErr(t, late[0].Connect(addr), syscall.EALREADY)
	s := newSock(t, 0, 0)
	ok(t, s.SetTimeout(short))
	if e := s.ConnectEx(addr); e != unix.EAGAIN { // as in Python
		t.Error(e)
	}
	// A blocking one waits for its end, and is ended by Close.
	ok(t, late[0].SetBlocking(true))
	wait := background(func() error { return late[0].Connect(addr) })
	untilWaiting(t, late[0], 1)
	ok(t, late[0].Close())
	wantErr(t, wait(t), net.ErrClosed)
}

// A Unix listener whose queue is full answers EAGAIN, and there is nothing to poll for.
func TestConnectUnixQueueFull(t *testing.T) {
	l := newSock(t, unix.AF_UNIX, 0)
	addr := unixPath(t)
	ok(t, l.Bind(addr))
	ok(t, l.Listen(0))
	var full *Socket
	for full == nil {
		s := newSock(t, unix.AF_UNIX, 0)
		ok(t, s.SetTimeout(short))
		if err := s.Connect(addr); err != nil {
			wantErr(t, err) // os.ErrDeadlineExceeded on Linux, ECONNREFUSED elsewhere
			full = s
		}
	}
	if !connectTwice {
		return
	}
	ok(t, full.SetBlocking(false))
	wantErr(t, full.Connect(addr), ErrWouldBlock)
	ok(t, full.SetBlocking(true))
	wait := background(func() error { return full.Connect(addr) })
	untilWaiting(t, full, 1)
	s, _, err := l.Accept()
	ok(t, err)
	keep(t, s)
	ok(t, wait(t))
}

// M3: listen binds what is not bound.
func TestListenUnbound(t *testing.T) {
	s := newSock(t, 0, 0)
	ok(t, s.Listen(-5))
	a := must(s.GetSockName()).(InetAddr)
	if !a.IP.IsUnspecified() || a.Port == 0 {
		t.Error(a)
	}
}

// §7: what an unconnected socket and a reset one answer.
func TestNotConnected(t *testing.T) {
	s := newSock(t, 0, 0)
	_, err := s.Recv(1)
	wantErr(t, err, syscall.ENOTCONN)
	_, err = s.GetPeerName()
	wantErr(t, err, syscall.ENOTCONN)
	_, err = s.Send([]byte("x"))
	if want := syscall.EPIPE; connectTwice || err == nil {
		wantErr(t, err, want)
	}
	wantErr(t, s.Shutdown(unix.SHUT_WR), syscall.ENOTCONN)
	a, b := tcpPair(t)
	wantErr(t, a.Shutdown(99), syscall.EINVAL)
	reset(t, b)
	_, err = a.Recv(1)
	wantErr(t, err, syscall.ECONNRESET)
	_, err = a.Send([]byte("x"))
	wantErr(t, err, syscall.EPIPE)
	wantErr(t, a.Shutdown(unix.SHUT_WR), syscall.ENOTCONN)
}

// reset closes a connection with RST.
func reset(t *testing.T, s *Socket) {
	t.Helper()
	ok(t, SetSockOpt(s, unix.SOL_SOCKET, unix.SO_LINGER, Linger{On: true}))
	ok(t, s.Close())
}

// §7: a connected UDP socket learns on its second try that nobody is there.
func TestUDPDeadPort(t *testing.T) {
	s, self := udpSock(t)
	dead, addr := udpSock(t)
	ok(t, dead.Close())
	if addr == self {
		t.Fatal("same port")
	}
	ok(t, s.Connect(addr))
	must(s.Send([]byte("x")))
	ok(t, s.SetTimeout(long))
	_, err := s.Recv(1)
	wantErr(t, err, syscall.ECONNREFUSED)
}
