package socket

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

var (
	v4       = netip.MustParseAddr("127.0.0.1")
	v6       = netip.MustParseAddr("fe80::1")
	mapped   = netip.MustParseAddr("::ffff:127.0.0.1")
	fullPath = strings.Repeat("p", maxPath)
)

func TestAddrText(t *testing.T) {
	for _, c := range []struct {
		addr          Addr
		network, text string
		family        Family
	}{
		{InetAddr{IP: v4, Port: 80}, "inet", "127.0.0.1:80", afInet},
		{InetAddr{}, "inet", "0.0.0.0:0", afInet},
		{Inet6Addr{IP: v6, Port: 80, ScopeID: 1}, "inet6", "[fe80::1%1]:80", afInet6},
		{Inet6Addr{IP: v6, Port: 80, FlowInfo: 5}, "inet6", "[fe80::1]:80", afInet6},
		{Inet6Addr{IP: mapped}, "inet6", "[::ffff:127.0.0.1]:0", afInet6},
		{Inet6Addr{}, "inet6", "[::]:0", afInet6},
		{Inet6Addr{ScopeID: 1<<32 - 1}, "inet6", "[::%4294967295]:0", afInet6},
		{UnixAddr{}, "unix", "", afUnix},
		{UnixAddr{Name: "/run/a b"}, "unix", "/run/a b", afUnix},
		{UnixAddr{Name: "a\x1b\n\""}, "unix", `a\x1b\n"`, afUnix},
		{UnixAddr{Name: "@x"}, "unix", "./@x", afUnix},
		{UnixAddr{Name: "\x00"}, "unix", "@", afUnix},
		{UnixAddr{Name: "\x0000042"}, "unix", "@00042", afUnix},
		{UnixAddr{Name: "\x00a\x00b\xff\n\\\"é"}, "unix", `@a\x00b\xff\n\\"é`, afUnix},
		{NetlinkAddr{PID: 12, Groups: 17}, "netlink", "pid 12 groups 0x11", afNetlink},
		{NetlinkAddr{}, "netlink", "pid 0 groups 0x0", afNetlink},
		{TIPCAddr{AddrType: 2, V1: 1000, V2: 5, Scope: 1}, "tipc", "type 2 addr 1000,5,0 scope 1", afTIPC},
		{rawAddr{afUnix, "\x01\xff"}, "AF_UNIX", "01ff", afUnix},
	} {
		if c.addr.Network() != c.network || c.addr.String() != c.text || c.addr.Family() != c.family {
			t.Errorf("%#v: %q, %q, %v; want %q, %q, %v", c.addr,
				c.addr.Network(), c.addr.String(), c.addr.Family(), c.network, c.text, c.family)
		}
	}
}

func TestAddrPort(t *testing.T) {
	for _, c := range []struct {
		ap   string
		addr Addr
		back string
	}{
		{"127.0.0.1:80", InetAddr{IP: v4, Port: 80}, "127.0.0.1:80"},
		{"[fe80::1]:80", Inet6Addr{IP: v6, Port: 80}, "[fe80::1]:80"},
		{"[fe80::1%7]:80", Inet6Addr{IP: v6, Port: 80, ScopeID: 7}, "[fe80::1%7]:80"},
		{"[fe80::1%0]:80", Inet6Addr{IP: v6, Port: 80}, "[fe80::1]:80"},
		{"[::ffff:127.0.0.1]:80", Inet6Addr{IP: mapped, Port: 80}, "[::ffff:127.0.0.1]:80"},
		{"[fe80::1%no such]:80", Inet6Addr{IP: v6.WithZone("no such"), Port: 80}, "[fe80::1%no such]:80"},
		{"[fe80::1%4294967296]:80", Inet6Addr{IP: v6.WithZone("4294967296"), Port: 80}, "[fe80::1%4294967296]:80"},
	} {
		got := FromAddrPort(netip.MustParseAddrPort(c.ap))
		if got != c.addr {
			t.Errorf("FromAddrPort(%s) = %#v, want %#v", c.ap, got, c.addr)
		}
		if back := got.(interface{ AddrPort() netip.AddrPort }).AddrPort(); back.String() != c.back {
			t.Errorf("%#v.AddrPort() = %v, want %s", got, back, c.back)
		}
	}
	if got := FromAddrPort(netip.AddrPort{}); got != (InetAddr{}) {
		t.Errorf("FromAddrPort of nothing = %#v", got)
	}
}

// TestZoneName turns the names of this machine's interfaces into their numbers.
func TestZoneName(t *testing.T) {
	ifaces, err := net.Interfaces()
	if err != nil || len(ifaces) == 0 {
		t.Skip("no interfaces: ", err)
	}
	for _, iface := range ifaces {
		want := Inet6Addr{IP: v6, Port: 80, ScopeID: uint32(iface.Index)}
		if got := FromAddrPort(netip.AddrPortFrom(v6.WithZone(iface.Name), 80)); got != want {
			t.Errorf("zone %s: %#v, want %#v", iface.Name, got, want)
		}
		if got, err := FromNetAddr(&net.TCPAddr{IP: v6.AsSlice(), Port: 80, Zone: iface.Name}); got != want || err != nil {
			t.Errorf("zone %s: %#v, %v; want %#v", iface.Name, got, err, want)
		}
	}
}

func TestFromNetAddr(t *testing.T) {
	atName := UnixAddr{Name: "@x"}
	if hasAbstract {
		atName.Name = "\x00x"
	}
	for _, c := range []struct {
		in   net.Addr
		want Addr
	}{
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}, InetAddr{IP: v4, Port: 80}},
		{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1).To4(), Port: 80}, InetAddr{IP: v4, Port: 80}},
		{&net.TCPAddr{Port: 65535}, InetAddr{Port: 65535}},
		{&net.UDPAddr{IP: v6.AsSlice(), Port: 80, Zone: "7"}, Inet6Addr{IP: v6, Port: 80, ScopeID: 7}},
		{&net.UDPAddr{IP: net.IPv6zero}, Inet6Addr{IP: netip.IPv6Unspecified()}},
		{&net.IPAddr{IP: v6.AsSlice()}, Inet6Addr{IP: v6}},
		{&net.UnixAddr{Name: "/run/x", Net: "unix"}, UnixAddr{Name: "/run/x"}},
		{&net.UnixAddr{Name: "@x", Net: "unix"}, atName},
		{&net.UnixAddr{}, UnixAddr{}},
		{NetlinkAddr{PID: 1}, NetlinkAddr{PID: 1}},
	} {
		if got, err := FromNetAddr(c.in); got != c.want || err != nil {
			t.Errorf("FromNetAddr(%#v) = %#v, %v; want %#v", c.in, got, err, c.want)
		}
	}
	for _, c := range []struct {
		in   net.Addr
		want string
	}{
		{nil, "no address"},
		{(*net.TCPAddr)(nil), "no address"},
		{(*net.UDPAddr)(nil), "no address"},
		{(*net.IPAddr)(nil), "no address"},
		{(*net.UnixAddr)(nil), "no address"},
		{&net.IPNet{IP: net.IPv4zero}, "no address"},
		{&net.TCPAddr{Port: 65536}, "port must be 0-65535"},
		{&net.UDPAddr{Port: -1}, "port must be 0-65535"},
		{&net.TCPAddr{IP: net.IP{1, 2, 3}}, "invalid length"},
		{&net.TCPAddr{IP: v6.AsSlice(), Zone: "no such"}, "no such interface"},
	} {
		if got, err := FromNetAddr(c.in); got != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("FromNetAddr(%#v) = %#v, %v; want an error with %q", c.in, got, err, c.want)
		}
	}
}

func TestNetAddr(t *testing.T) {
	for _, c := range []struct {
		addr    Addr
		typ     Type
		network string
		text    string
	}{
		{InetAddr{IP: v4, Port: 80}, sockStream, "tcp", "127.0.0.1:80"},
		{InetAddr{IP: v4, Port: 80}, sockStream | sockFlags, "tcp", "127.0.0.1:80"},
		{InetAddr{IP: v4, Port: 80}, sockDgram | sockFlags, "udp", "127.0.0.1:80"},
		{InetAddr{IP: v4, Port: 80}, 77, "ip", "127.0.0.1"},
		{InetAddr{}, sockStream, "tcp", "0.0.0.0:0"},
		{Inet6Addr{IP: v6, Port: 80, ScopeID: 7}, sockStream, "tcp", "[fe80::1%7]:80"},
		{Inet6Addr{IP: v6, Port: 80, ScopeID: 7}, sockDgram, "udp", "[fe80::1%7]:80"},
		{Inet6Addr{IP: v6, Port: 80, ScopeID: 7}, 77, "ip", "fe80::1%7"},
		{UnixAddr{Name: "/run/x"}, sockStream, "unix", "/run/x"},
		{UnixAddr{Name: "/run/x"}, sockDgram, "unixgram", "/run/x"},
		{UnixAddr{Name: "/run/x"}, sockSeqpacket | sockFlags, "unixpacket", "/run/x"},
		{UnixAddr{Name: "\x00x\x00y"}, sockStream, "unix", "@x\x00y"},
		{UnixAddr{}, sockStream, "unix", ""},
		{NetlinkAddr{PID: 1}, sockDgram, "netlink", "pid 1 groups 0x0"},
	} {
		got := NetAddr(c.addr, c.typ)
		if got.Network() != c.network || got.String() != c.text {
			t.Errorf("NetAddr(%#v, %v) = %s %q, want %s %q", c.addr, c.typ, got.Network(), got, c.network, c.text)
		}
		if back, err := FromNetAddr(got); c.typ != 77 && (err != nil || hasAbstract && back.String() != c.addr.String()) {
			t.Errorf("back from %v: %v, %v", got, back, err)
		}
	}
	if got := NetAddr(nil, sockStream); got != nil {
		t.Errorf("NetAddr(nil) = %v", got)
	}
	if hasAbstract {
		if got := NetAddr(UnixAddr{Name: "@x"}, sockStream); got.String() != "./@x" {
			t.Errorf("the path @x is %v to package net", got)
		}
	}
}

func TestAddrRefused(t *testing.T) {
	for _, c := range []struct {
		addr Addr
		text string
		is   error
	}{
		{nil, "no address of a known type", syscall.EAFNOSUPPORT},
		{&InetAddr{}, "no address of a known type", syscall.EAFNOSUPPORT},
		{(*UnixAddr)(nil), "no address of a known type", syscall.EAFNOSUPPORT},
		{struct{ Addr }{}, "no address of a known type", syscall.EAFNOSUPPORT},
		{InetAddr{IP: v6}, "address family mismatched", syscall.EAFNOSUPPORT},
		{InetAddr{IP: mapped}, "address family mismatched", syscall.EAFNOSUPPORT},
		{Inet6Addr{IP: v4}, "address family mismatched", syscall.EAFNOSUPPORT},
		{Inet6Addr{IP: v6.WithZone("lo")}, "zone in the IP; it belongs in ScopeID", syscall.EINVAL},
		{Inet6Addr{FlowInfo: 0x100000}, "flowinfo must be 0-1048575", syscall.EINVAL},
		{UnixAddr{Name: fullPath + "p"}, "AF_UNIX path too long", syscall.ENAMETOOLONG},
		{UnixAddr{Name: "a\x00b"}, "NUL in an AF_UNIX path", syscall.EINVAL},
		{UnixAddr{Name: "a\x00"}, "NUL in an AF_UNIX path", syscall.EINVAL},
		{TIPCAddr{}, "invalid TIPC address", syscall.EINVAL},
		{TIPCAddr{AddrType: 4}, "invalid TIPC address", syscall.EINVAL},
		{TIPCAddr{AddrType: tipcID, V3: 1}, "invalid TIPC address", syscall.EINVAL},
	} {
		if err := check(c.addr); err == nil || err.Error() != c.text || !errors.Is(err, c.is) {
			t.Errorf("%#v: %v, want %q (%v)", c.addr, err, c.text, c.is)
		}
	}
	for _, a := range []Addr{
		InetAddr{}, InetAddr{IP: v4}, Inet6Addr{}, Inet6Addr{IP: mapped}, Inet6Addr{FlowInfo: 0xfffff},
		UnixAddr{}, UnixAddr{Name: fullPath}, UnixAddr{Name: "@x"}, NetlinkAddr{},
		TIPCAddr{AddrType: tipcName, V3: 1}, TIPCAddr{AddrType: tipcNameSeq, V3: 1}, TIPCAddr{AddrType: tipcID},
	} {
		if err := check(a); err != nil {
			t.Errorf("%#v: %v", a, err)
		}
	}
	abstract := []struct {
		name string
		want error
	}{
		{"\x00", nil}, {"\x00a\x00b", nil}, {"\x00" + fullPath, nil}, {"\x00p" + fullPath, errPathLong},
	}
	for _, c := range abstract {
		if !hasAbstract {
			c.want = errAbstract
		}
		if err := check(UnixAddr{Name: c.name}); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.name, err, c.want)
		}
	}
	if !errors.Is(errAbstract, errors.ErrUnsupported) {
		t.Error("an abstract name elsewhere is no errors.ErrUnsupported")
	}
}
