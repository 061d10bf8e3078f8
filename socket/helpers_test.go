//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// freePort is a free port of 127.0.0.1.
var freePort = InetAddr{IP: netip.AddrFrom4([4]byte{127, 0, 0, 1})}

// short is a timeout that is meant to pass, long one that is not.
const (
	short = 20 * time.Millisecond
	long  = 30 * time.Second
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the test's, with a stack
	}
	return v
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keep closes a Socket at the end of the test, unless that has done so.
func keep(t *testing.T, s *Socket) *Socket {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return s
}

func newSock(t *testing.T, f Family, typ Type) *Socket {
	t.Helper()
	return keep(t, must(New(f, typ, 0)))
}

func newPair(t *testing.T, typ Type) (a, b *Socket) {
	t.Helper()
	a, b, err := Pair(0, typ, 0)
	ok(t, err)
	return keep(t, a), keep(t, b)
}

// listener is a TCP listener on loopback, and its address.
func listener(t *testing.T) (*Socket, Addr) {
	t.Helper()
	l := keep(t, must(CreateServer(freePort, ServerOptions{})))
	return l, must(l.GetSockName())
}

func tcpPair(t *testing.T) (a, b *Socket) {
	t.Helper()
	l, addr := listener(t)
	a = newSock(t, 0, 0)
	ok(t, a.Connect(addr))
	b, _, err := l.Accept()
	ok(t, err)
	ok(t, l.Close())
	return a, keep(t, b)
}

// udpSock is bound to a free port.
func udpSock(t *testing.T) (*Socket, Addr) {
	t.Helper()
	s := newSock(t, 0, unix.SOCK_DGRAM)
	ok(t, s.Bind(freePort))
	return s, must(s.GetSockName())
}

// deadAddr is an address of TCP or UDP at which there is nobody, held by a socket that
// doesn't listen, so that no other can take it meanwhile.
func deadAddr(t *testing.T) Addr {
	t.Helper()
	s := newSock(t, 0, 0)
	ok(t, s.Bind(freePort))
	return must(s.GetSockName())
}

// unixPath is short enough for sun_path.
func unixPath(t *testing.T) UnixAddr {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	ok(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return UnixAddr{Name: dir + "/s"}
}

// fill sends until there is no more room.
func fill(t *testing.T, s *Socket) {
	t.Helper()
	was := s.Timeout()
	ok(t, s.SetBlocking(false))
	for p := make([]byte, 64<<10); ; {
		if _, err := s.Send(p); errors.Is(err, ErrWouldBlock) {
			if len(p) == 1 {
				break
			}
			p = p[:len(p)/2]
		} else {
			ok(t, err)
		}
	}
	ok(t, s.SetTimeout(was))
}

// waiters returns how many calls are waiting for s.
func waiters(s *Socket) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waker == nil {
		return 0
	}
	return s.waker.users
}

// untilWaiting returns when n calls wait for s.
func untilWaiting(t *testing.T, s *Socket, n int) {
	t.Helper()
	for began := time.Now(); waiters(s) != n; {
		if time.Since(began) > long {
			t.Fatalf("%d calls wait, want %d", waiters(s), n)
		}
		unix.Poll(nil, 1)
	}
}

// untilCalling returns when a call is under way that has no waker, and most probably
// waits.
func untilCalling(t *testing.T, s *Socket) {
	t.Helper()
	for began, calls := time.Now(), 0; calls == 0; {
		if time.Since(began) > long {
			t.Fatal("no call")
		}
		unix.Poll(nil, 5)
		s.mu.Lock()
		calls = s.calls
		s.mu.Unlock()
	}
}

// background runs a call and returns how to wait for its error.
func background(call func() error) (wait func(t *testing.T) error) {
	done := make(chan error, 1)
	go func() { done <- call() }()
	return func(t *testing.T) error {
		t.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(long):
			t.Fatal("the call does not end")
			return nil
		}
	}
}

// wantErr demands each of the targets, and the form of all errors.
func wantErr(t *testing.T, err error, targets ...error) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", targets)
	}
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("error %v (%T), want %v", err, err, target)
		}
	}
	op, isOp := errors.AsType[*net.OpError](err)
	if !isOp {
		t.Errorf("error %v is a %T", err, err)
		return
	}
	if errno, raw := op.Err.(syscall.Errno); raw {
		t.Errorf("error %v holds a bare errno %d", err, errno)
	}
	timeout := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT)
	if op.Timeout() != timeout {
		t.Errorf("error %v: Timeout() = %v", err, op.Timeout())
	}
}

// errno is what errors.Is finds in err, 0 for nil.
func errno(err error) syscall.Errno {
	e, _ := errors.AsType[syscall.Errno](err)
	return e
}

// each runs fn for n goroutines and waits for them.
func each(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}
