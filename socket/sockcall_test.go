//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// openFD makes a non-blocking socket for one test.
func openFD(t *testing.T, f Family, typ Type) int {
	t.Helper()
	fd, err := unix.Socket(int(f), int(typ), 0)
	if err != nil {
		t.Skipf("socket(%v): %v", f, err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return fd
}

// waitFD returns when fd is readable or writable.
func waitFD(t *testing.T, fd int, events int16) {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 10_000)
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Fatalf("poll: %d, %v", n, err)
		}
		return
	}
}

func localAddr(t *testing.T, fd int) Addr {
	t.Helper()
	a, err := sysLocalAddr(fd)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// bindable returns addresses to bind to, one of each kind that every system has.
func bindable(t *testing.T) []Addr {
	t.Chdir(t.TempDir())
	list := []Addr{
		InetAddr{IP: netip.MustParseAddr("127.0.0.1")},
		UnixAddr{Name: "path"},
		UnixAddr{Name: "@at"},
	}
	if HasIPv6() {
		list = append(list, Inet6Addr{IP: netip.IPv6Loopback()})
	}
	return list
}

func TestSysStream(t *testing.T) {
	for _, a := range bindable(t) {
		t.Run(a.Network(), func(t *testing.T) {
			ln, client := openFD(t, a.Family(), sockStream), openFD(t, a.Family(), sockStream)
			if err := sysBind(ln, a); err != nil {
				t.Fatal(err)
			}
			at := localAddr(t, ln)
			if err := unix.Listen(ln, 1); err != nil {
				t.Fatal(err)
			}
			if fd, from, err := sysAccept(ln); fd != -1 || from != nil || err != syscall.EAGAIN {
				t.Errorf("accept of nobody: %d, %v, %v", fd, from, err)
			}
			if err := sysConnect(client, at); err != nil && err != syscall.EINPROGRESS {
				t.Fatal(err)
			}
			waitFD(t, ln, unix.POLLIN)
			fd, from, err := sysAccept(ln)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			waitFD(t, client, unix.POLLOUT)
			if want := localAddr(t, client); from != want {
				t.Errorf("accepted from %#v, the client is %#v", from, want)
			}
			if peer, err := sysPeerAddr(client); peer != at || err != nil {
				t.Errorf("connected to %#v, %v; want %#v", peer, err, at)
			}
			if local := localAddr(t, fd); local != at {
				t.Errorf("accepted at %#v, want %#v", local, at)
			}
			if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
				t.Error("accepted without close-on-exec")
			}
			if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); flags&unix.O_NONBLOCK == 0 {
				t.Error("accepted without O_NONBLOCK")
			}
			if _, _, _, _, err := sysRecvMsg(fd, make([]byte, 1), nil, 0); err != syscall.EAGAIN {
				t.Errorf("nothing to receive: %v", err)
			}
			if n, err := sysSendMsg(client, []byte("ping"), nil, nil, 0); n != 4 || err != nil {
				t.Fatalf("sendmsg: %d, %v", n, err)
			}
			waitFD(t, fd, unix.POLLIN)
			p := make([]byte, 10)
			n, oobn, _, _, err := sysRecvMsg(fd, p, nil, 0)
			if string(p[:n]) != "ping" || oobn != 0 || err != nil {
				t.Errorf("recvmsg: %q, %d, %v", p[:n], oobn, err)
			}
			// The signal that a broken pipe would send is not sent.
			unix.Close(fd)
			waitFD(t, client, unix.POLLIN)
			for range 100 {
				if _, err = sysSendMsg(client, []byte("ping"), nil, nil, 0); err != nil {
					break
				}
				waitFD(t, client, unix.POLLIN|unix.POLLOUT)
			}
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("send to nobody: %v", err)
			}
		})
	}
}

func TestSysDatagram(t *testing.T) {
	for _, a := range bindable(t) {
		t.Run(a.Network(), func(t *testing.T) {
			server, client := openFD(t, a.Family(), sockDgram), openFD(t, a.Family(), sockDgram)
			from := a
			if a.Family() == afUnix {
				from = UnixAddr{Name: "client"}
				os.Remove("client")
			}
			if err := errors.Join(sysBind(server, a), sysBind(client, from)); err != nil {
				t.Fatal(err)
			}
			at, from := localAddr(t, server), localAddr(t, client)
			p := make([]byte, 4)
			for _, c := range []struct {
				data, want string
				flags      int
			}{
				{"ping", "ping", 0},
				{"", "", 0}, // a datagram like any other
				{"truncated", "trun", unix.MSG_TRUNC},
			} {
				if n, err := sysSendMsg(client, []byte(c.data), nil, at, 0); n != len(c.data) || err != nil {
					t.Fatalf("sendmsg %q: %d, %v", c.data, n, err)
				}
				waitFD(t, server, unix.POLLIN)
				n, oobn, flags, who, err := sysRecvMsg(server, p, nil, 0)
				if string(p[:n]) != c.want || oobn != 0 || flags&unix.MSG_TRUNC != c.flags || who != from || err != nil {
					t.Errorf("recvmsg: %q, %d, %#x, %#v, %v; want %q from %#v", p[:n], oobn, flags, who, err, c.want, from)
				}
			}
			if _, err := sysSendMsg(client, []byte("ping"), nil, NetlinkAddr{PID: 1, Groups: 1}, 0); err == nil {
				t.Error("sent to an address of another family")
			}
		})
	}
}

func TestSysUnnamedSender(t *testing.T) {
	name := UnixAddr{Name: filepath.Join(t.TempDir(), "s")}
	server, client := openFD(t, afUnix, sockDgram), openFD(t, afUnix, sockDgram)
	if err := sysBind(server, name); err != nil {
		t.Fatal(err)
	}
	if got := localAddr(t, client); got != (UnixAddr{}) {
		t.Errorf("an unbound socket is at %#v", got)
	}
	if _, err := sysSendMsg(client, []byte("x"), nil, name, 0); err != nil {
		t.Fatal(err)
	}
	waitFD(t, server, unix.POLLIN)
	if n, _, _, from, err := sysRecvMsg(server, make([]byte, 9), nil, 0); n != 1 || from != nil && from != (UnixAddr{}) || err != nil {
		t.Errorf("recvmsg: %d, %#v, %v", n, from, err)
	}
}

func TestSysRights(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range pair {
		defer unix.Close(fd)
	}
	if n, err := sysSendMsg(pair[0], []byte("x"), unix.UnixRights(pair[0], pair[1]), nil, 0); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	p, oob := make([]byte, 8), make([]byte, unix.CmsgSpace(4*4))
	n, oobn, flags, _, err := sysRecvMsg(pair[1], p, oob, 0)
	if n != 1 || err != nil || flags&unix.MSG_CTRUNC != 0 {
		t.Fatalf("recvmsg: %d, %#x, %v", n, flags, err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(msgs) != 1 {
		t.Fatal(msgs, err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 2 {
		t.Fatal(fds, err)
	}
	for _, fd := range fds {
		defer unix.Close(fd)
		if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
			t.Error("a descriptor came without close-on-exec")
		}
	}
}

func TestSysFullPath(t *testing.T) {
	t.Chdir(t.TempDir())
	fd, other := openFD(t, afUnix, sockStream), openFD(t, afUnix, sockStream)
	if err := sysBind(fd, UnixAddr{Name: fullPath}); err != nil {
		t.Fatal(err)
	}
	if got := localAddr(t, fd); got != (UnixAddr{Name: fullPath}) {
		t.Errorf("bound to %#v", got)
	}
	if err := sysBind(other, UnixAddr{Name: fullPath}); err != syscall.EADDRINUSE {
		t.Errorf("a second bind: %v", err)
	}
	if err := sysConnect(other, UnixAddr{Name: fullPath}); err != syscall.ECONNREFUSED {
		t.Errorf("connect to a socket that doesn't listen: %v", err)
	}
	if err := sysConnect(other, UnixAddr{Name: "none"}); err != syscall.ENOENT {
		t.Errorf("connect to no file: %v", err)
	}
}

func TestHasIPv6(t *testing.T) {
	c, err := net.ListenPacket("udp6", "[::1]:0")
	if err == nil {
		c.Close()
	}
	if HasIPv6() != (err == nil) {
		t.Errorf("HasIPv6() = %v, but package net: %v", HasIPv6(), err)
	}
}

func TestSysErrors(t *testing.T) {
	long := UnixAddr{Name: strings.Repeat("x", 200)}
	for name, err := range map[string]error{
		"bind":        sysBind(-1, InetAddr{}),
		"connect":     sysConnect(-1, InetAddr{}),
		"accept":      third(sysAccept(-1)),
		"getsockname": second(sysLocalAddr(-1)),
		"getpeername": second(sysPeerAddr(-1)),
		"sendmsg":     second(sysSendMsg(-1, nil, nil, InetAddr{}, 0)),
	} {
		if err != syscall.EBADF {
			t.Errorf("%s(-1): %v", name, err)
		}
	}
	if _, _, _, _, err := sysRecvMsg(-1, nil, nil, 0); err != syscall.EBADF {
		t.Errorf("recvmsg(-1): %v", err)
	}
	if _, err := sysSendMsg(-1, nil, nil, long, 0); err != errPathLong {
		t.Errorf("sendmsg to a long path: %v", err)
	}
	if err := errors.Join(sysBind(-1, nil), sysConnect(-1, nil)); !errors.Is(err, errNoAddress) {
		t.Errorf("bind to nil: %v", err)
	}
	fd := openFD(t, afInet, sockStream)
	if a, err := sysPeerAddr(fd); a != nil || err != syscall.ENOTCONN {
		t.Errorf("getpeername of an unconnected socket: %v, %v", a, err)
	}
}

func second[A any](_ A, err error) error { return err }

func third[A, B any](_ A, _ B, err error) error { return err }
