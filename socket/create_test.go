//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"golang.org/x/sys/unix"
)

// hosts is a Resolver that knows one name.
func hosts(name string, addrs ...string) *Resolver {
	var b strings.Builder
	for _, a := range addrs {
		b.WriteString(a + " " + name + "\n")
	}
	return &Resolver{Files: fstest.MapFS{"hosts": {Data: []byte(b.String())}}}
}

func portOf(t *testing.T, s *Socket) string {
	t.Helper()
	switch a := must(s.GetSockName()).(type) {
	case InetAddr:
		return strconv.Itoa(int(a.Port))
	case Inet6Addr:
		return strconv.Itoa(int(a.Port))
	}
	t.Fatal("no port")
	return ""
}

// needLoopbacks skips a test where 127.0.0.1 is all there is of 127/8.
func needLoopbacks(t *testing.T) {
	t.Helper()
	if err := newSock(t, 0, 0).Bind(InetAddr{IP: netip.MustParseAddr("127.0.0.2")}); err != nil {
		t.Skip(err)
	}
}

// F4: each address in its order, the first that answers is taken.
func TestCreateConnection(t *testing.T) {
	needLoopbacks(t)
	l, _ := listener(t)
	r := hosts("many", "127.0.0.2", "127.0.0.3", "127.0.0.1")
	s, err := CreateConnection(t.Context(), "many", portOf(t, l), ConnectOptions{Resolver: r, Timeout: long})
	ok(t, err)
	keep(t, s)
	if s.Timeout() != long {
		t.Error("timeout", s.Timeout())
	}
	if got := must(s.GetPeerName()); got != must(l.GetSockName()) {
		t.Error(got)
	}
	// The default is a blocking one. The source can be told.
	source := InetAddr{IP: netip.MustParseAddr("127.0.0.9")}
	s, err = CreateConnection(t.Context(), "127.0.0.1", portOf(t, l), ConnectOptions{Source: source})
	ok(t, err)
	keep(t, s)
	if s.Timeout() != NoTimeout || must(s.GetSockName()).(InetAddr).IP != source.IP {
		t.Error(s.Timeout(), must(s.GetSockName()))
	}
}

// F4: all failures are told.
func TestCreateConnectionFails(t *testing.T) {
	needLoopbacks(t)
	port := strconv.Itoa(int(deadAddr(t).(InetAddr).Port))
	_, err := CreateConnection(t.Context(), "127.0.0.1", port, ConnectOptions{})
	wantErr(t, err, syscall.ECONNREFUSED)

	r := hosts("many", "127.0.0.2", "127.0.0.1")
	_, err = CreateConnection(t.Context(), "many", port, ConnectOptions{Resolver: r})
	want := "connect tcp 127.0.0.2:" + port + ": connect: connection refused; " +
		"connect tcp 127.0.0.1:" + port + ": connect: connection refused"
	if err == nil || err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	wantErr(t, err, syscall.ECONNREFUSED)
	if ne, is := errors.AsType[net.Error](err); !is || ne.Timeout() {
		t.Errorf("%T", err)
	}
	// A source of another family, or one that isn't ours.
	for source, want := range map[Addr]error{
		UnixAddr{}: syscall.EAFNOSUPPORT,
		InetAddr{IP: netip.MustParseAddr("192.0.2.1")}: syscall.EADDRNOTAVAIL,
	} {
		_, err = CreateConnection(t.Context(), "127.0.0.1", port, ConnectOptions{Source: source})
		wantErr(t, err, want)
	}
	_, err = CreateConnection(t.Context(), "127.0.0.1", port, ConnectOptions{Timeout: -1})
	wantErr(t, err, syscall.EINVAL)
	if _, err = CreateConnection(t.Context(), "nosuch.invalid", port, ConnectOptions{Resolver: hosts("other", "127.0.0.1")}); err == nil {
		t.Error("connected to nobody")
	}
}

// Timeouts are per address, and the error is a timeout when the last one's is.
func TestCreateConnectionTimeout(t *testing.T) {
	addr := fullListener(t)
	r := hosts("stuck", "127.0.0.1", "127.0.0.1")
	port := strconv.Itoa(int(addr.Port))
	_, err := CreateConnection(t.Context(), "stuck", port, ConnectOptions{Resolver: r, Timeout: short})
	wantErr(t, err, os.ErrDeadlineExceeded)

	// A context's end is the end of all tries.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = CreateConnection(ctx, "127.0.0.1", port, ConnectOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), short)
	defer cancel()
	r = hosts("stuck", "127.0.0.1", "127.0.0.2")
	_, err = CreateConnection(ctx, "stuck", port, ConnectOptions{Resolver: r})
	wantErr(t, err, os.ErrDeadlineExceeded, context.DeadlineExceeded)
	if strings.Contains(err.Error(), "127.0.0.2") {
		t.Error("a try after the context's end:", err)
	}
}

// fullListener is one whose queue has no room left.
func fullListener(t *testing.T) InetAddr {
	t.Helper()
	l := newSock(t, 0, 0)
	ok(t, l.Bind(freePort))
	ok(t, l.Listen(0))
	addr := must(l.GetSockName())
	for range 16 {
		s := newSock(t, 0, 0)
		ok(t, s.SetTimeout(short))
		if err := s.Connect(addr); err != nil {
			return addr.(InetAddr)
		}
	}
	t.Skip("the queue does not fill")
	return InetAddr{}
}

func TestCreateServer(t *testing.T) {
	l, addr := listener(t)
	if !must(GetSockOpt[bool](l, unix.SOL_SOCKET, unix.SO_REUSEADDR)) || l.Timeout() != NoTimeout || l.Type() != unix.SOCK_STREAM {
		t.Error("not Python's server")
	}
	_, err := CreateServer(addr, ServerOptions{})
	wantErr(t, err, syscall.EADDRINUSE)
	if want := "bind tcp " + addr.String() + ": bind: address already in use"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	_, err = CreateServer(nil, ServerOptions{})
	wantErr(t, err, syscall.EAFNOSUPPORT)
	if !strings.HasSuffix(err.Error(), ": no address of a known type") {
		t.Error(err)
	}
	_, err = CreateServer(freePort, ServerOptions{DualStack: true})
	wantErr(t, err, syscall.EINVAL)
	one := keep(t, must(CreateServer(freePort, ServerOptions{ReusePort: true, Backlog: 5})))
	keep(t, must(CreateServer(must(one.GetSockName()), ServerOptions{ReusePort: true})))

	path := unixPath(t)
	u := keep(t, must(CreateServer(path, ServerOptions{})))
	c := newSock(t, unix.AF_UNIX, 0)
	ok(t, c.Connect(path))
	s, from, err := u.Accept()
	ok(t, err)
	keep(t, s)
	if from != Addr(UnixAddr{}) && from != nil {
		t.Errorf("an unnamed peer is %#v", from)
	}
}

func TestDualStack(t *testing.T) {
	if !HasIPv6() { // there may be sockets of it still
		t.Skip("no IPv6")
	}
	for _, dual := range []bool{false, true} {
		if dual && !HasDualStack() {
			_, err := CreateServer(Inet6Addr{}, ServerOptions{DualStack: true})
			wantErr(t, err, errors.ErrUnsupported)
			continue
		}
		l, err := CreateServer(Inet6Addr{}, ServerOptions{DualStack: dual})
		ok(t, err)
		keep(t, l)
		if v6only := must(GetSockOpt[bool](l, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)); v6only == dual {
			t.Errorf("DualStack %v: IPV6_V6ONLY %v", dual, v6only)
		}
		s, err := CreateConnection(t.Context(), "127.0.0.1", portOf(t, l), ConnectOptions{})
		if (err == nil) != dual {
			t.Errorf("DualStack %v: connect by IPv4: %v", dual, err)
		}
		if err == nil {
			keep(t, s)
			a, from, err := l.Accept()
			ok(t, err)
			keep(t, a)
			if ip := from.(Inet6Addr).IP; !ip.Is4In6() {
				t.Error(ip)
			}
		}
	}
}
