package socket

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// asNative returns numbers as they lie in memory.
func asNative(vs ...any) []byte {
	var b []byte
	for _, v := range vs {
		b, _ = binary.Append(b, binary.NativeEndian, v)
	}
	return b
}

func TestEncode(t *testing.T) {
	for _, c := range []struct {
		addr Addr
		want []byte
	}{
		{InetAddr{IP: v4, Port: 80}, asNative(uint16(2), []byte("\x00\x50\x7f\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00"))},
		{
			Inet6Addr{IP: v6, Port: 80, FlowInfo: 0xfffff, ScopeID: 7},
			asNative(uint16(10), []byte("\x00\x50\x00\x0f\xff\xff\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"), uint32(7)),
		},
		{UnixAddr{}, asNative(uint16(1))},
		{UnixAddr{Name: "p"}, asNative(uint16(1), []byte("p\x00"))},
		{UnixAddr{Name: "@p"}, asNative(uint16(1), []byte("@p\x00"))},
		{UnixAddr{Name: fullPath}, asNative(uint16(1), []byte(fullPath+"\x00"))},
		{UnixAddr{Name: "\x00a\x00b"}, asNative(uint16(1), []byte("\x00a\x00b"))},
		{UnixAddr{Name: "\x00" + fullPath}, asNative(uint16(1), []byte("\x00"+fullPath))},
		{NetlinkAddr{PID: 1, Groups: 2}, asNative(uint16(16), uint16(0), uint32(1), uint32(2))},
		// linux/tipc.h: family, addrtype, scope; then {type, lower, upper},
		// {{type, instance}, domain} or {ref, node}.
		{TIPCAddr{AddrType: tipcNameSeq, V1: 1000, V2: 2, V3: 9, Scope: unix.TIPC_ZONE_SCOPE},
			asNative(uint16(30), uint8(1), int8(1), uint32(1000), uint32(2), uint32(9))},
		{TIPCAddr{AddrType: tipcName, V1: 1000, V2: 5, V3: 0, Scope: unix.TIPC_CLUSTER_SCOPE},
			asNative(uint16(30), uint8(2), int8(2), uint32(1000), uint32(5), uint32(0))},
		{TIPCAddr{AddrType: tipcID, V1: 0x1001001, V2: 77, Scope: -unix.TIPC_NODE_SCOPE},
			asNative(uint16(30), uint8(3), int8(-3), uint32(77), uint32(0x1001001), uint32(0))},
		{rawAddr{family: 17, data: "\x01\x02"}, asNative(uint16(17), []byte("\x01\x02"))},
	} {
		got, err := encode(c.addr)
		if !bytes.Equal(got, c.want) || err != nil {
			t.Errorf("encode(%#v) = % x, %v; want % x", c.addr, got, err, c.want)
		}
		if back := decode(c.want); back != c.addr {
			t.Errorf("decode(% x) = %#v, want %#v", c.want, back, c.addr)
		}
	}
	// The numbers of the kernel and of the TIPC checks.
	if tipcName != unix.TIPC_ADDR_NAME || tipcNameSeq != unix.TIPC_ADDR_NAMESEQ || tipcID != unix.TIPC_ADDR_ID {
		t.Error("TIPC's address types differ from x/sys's")
	}
	// What is too short for its family, and what has no NUL at the end.
	for _, c := range []struct {
		raw  []byte
		want Addr
	}{
		{nil, nil},
		{[]byte{1}, nil},
		{asNative(uint16(0)), rawAddr{}},
		{asNative(uint16(2), []byte("\x00\x50")), rawAddr{family: 2, data: "\x00\x50"}},
		{asNative(uint16(10), make([]byte, 22)), rawAddr{family: 10, data: strings.Repeat("\x00", 22)}},
		{asNative(uint16(1), []byte(fullPath+"p")), UnixAddr{Name: fullPath + "p"}},
		{asNative(uint16(1), []byte("p\x00rest")), UnixAddr{Name: "p"}},
		{asNative(uint16(16)), rawAddr{family: 16}},
		{asNative(uint16(30)), rawAddr{family: 30}},
	} {
		if got := decode(c.raw); got != c.want {
			t.Errorf("decode(% x) = %#v, want %#v", c.raw, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, a := range []Addr{
		InetAddr{IP: v4, Port: 80}, Inet6Addr{IP: v6, Port: 80, FlowInfo: 1, ScopeID: 2}, UnixAddr{Name: "p"},
		UnixAddr{Name: "\x00a\x00"}, NetlinkAddr{PID: 1}, TIPCAddr{AddrType: tipcID, V1: 1, V2: 2},
	} {
		b, err := encode(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a := decode(raw)
		if a == nil {
			if len(raw) >= 2 {
				t.Fatalf("decode(% x) = nil", raw)
			}
			return
		}
		_, _ = a.String(), a.Network()
		if NetAddr(a, sockStream) == nil {
			t.Fatalf("NetAddr(%#v) = nil", a)
		}
		b, err := encode(a)
		if err != nil {
			return // longer than any, or of no TIPC type
		}
		if again := decode(b); again != a {
			t.Fatalf("% x is %#v, and encoded and decoded %#v", raw, a, again)
		}
	})
}

// FuzzEncode goes the other way: what encode takes comes back whole.
func FuzzEncode(f *testing.F) {
	f.Add("\x00name", []byte("\x7f\x00\x00\x01"), uint16(80), uint32(1), uint32(2), uint32(3), uint8(2), int8(1))
	f.Add("/path", make([]byte, 16), uint16(80), uint32(math.MaxUint32), uint32(2), uint32(0), uint8(3), int8(1))
	f.Fuzz(func(t *testing.T, name string, ip []byte, port uint16, v1, v2, v3 uint32, typ uint8, scope int8) {
		addr, _ := netip.AddrFromSlice(ip)
		for _, a := range []Addr{
			InetAddr{IP: addr, Port: port}, Inet6Addr{IP: addr, Port: port, FlowInfo: v1, ScopeID: v2},
			UnixAddr{Name: name}, NetlinkAddr{PID: v1, Groups: v2},
			TIPCAddr{AddrType: typ, V1: v1, V2: v2, V3: v3, Scope: scope},
		} {
			b, err := encode(a)
			if (err == nil) != (check(a) == nil) {
				t.Fatalf("encode(%#v): %v", a, err)
			}
			if err != nil {
				continue
			}
			want := a
			if !addr.IsValid() { // the wildcard comes back as one
				switch w := a.(type) {
				case InetAddr:
					w.IP = netip.IPv4Unspecified()
					want = w
				case Inet6Addr:
					w.IP = netip.IPv6Unspecified()
					want = w
				}
			}
			if got := decode(b); got != want {
				t.Fatalf("%#v came back as %#v", a, got)
			}
		}
	})
}

func TestSysAbstract(t *testing.T) {
	long := "\x00asyncore " + strings.Repeat("n", 98)
	for _, name := range []string{"\x00asyncore\x00test\xff", "\x00asyncore test\x00", long} {
		fd := openFD(t, afUnix, sockStream)
		if err := sysBind(fd, UnixAddr{Name: name}); err != nil {
			t.Fatal(err)
		}
		if got := localAddr(t, fd); got != (UnixAddr{Name: name}) {
			t.Errorf("bound to %#v, want %q", got, name)
		}
	}
	fd := openFD(t, afUnix, sockStream)
	if err := sysBind(fd, UnixAddr{}); err != nil {
		t.Fatal(err)
	}
	if got := localAddr(t, fd).(UnixAddr).Name; !regexp.MustCompile("^\x00[0-9a-f]{5}$").MatchString(got) {
		t.Errorf("the kernel chose the name %q", got)
	}
}

func TestSysNetlink(t *testing.T) {
	fd := openFD(t, afNetlink, Type(unix.SOCK_RAW))
	if err := sysBind(fd, NetlinkAddr{}); err != nil {
		t.Fatal(err)
	}
	if got, ok := localAddr(t, fd).(NetlinkAddr); !ok || got.PID == 0 || got.Groups != 0 {
		t.Errorf("bound to %#v", got)
	}
}

// TestSysOtherFamily sends an address of a family that has no type here through the
// kernel and back.
func TestSysOtherFamily(t *testing.T) {
	fd := openFD(t, unix.AF_VSOCK, sockStream)
	anyone := rawAddr{family: unix.AF_VSOCK, data: string(asNative(uint16(0), uint32(unix.VMADDR_PORT_ANY), uint32(unix.VMADDR_CID_ANY), uint32(0)))}
	if err := sysBind(fd, anyone); err != nil {
		t.Skip("bind: ", err)
	}
	if got := localAddr(t, fd); got.Family() != unix.AF_VSOCK || got == Addr(anyone) || len(got.String()) != 28 {
		t.Errorf("bound to %#v", got)
	}
}

func TestSysTIPC(t *testing.T) {
	fd := openFD(t, afTIPC, Type(unix.SOCK_RDM))
	if err := sysBind(fd, TIPCAddr{AddrType: tipcName, V1: 18888, V2: 17, Scope: unix.TIPC_NODE_SCOPE}); err != nil {
		t.Skip("bind: ", err)
	}
	if got, ok := localAddr(t, fd).(TIPCAddr); !ok || got.AddrType != tipcID || got.V2 == 0 {
		t.Errorf("bound to %#v", got)
	}
}

func TestSysScope(t *testing.T) {
	if !HasIPv6() {
		t.Skip("no IPv6")
	}
	fd := openFD(t, afInet6, sockDgram)
	// A link-local address wants a scope, and there is no interface of this number.
	err := sysBind(fd, Inet6Addr{IP: v6, ScopeID: math.MaxInt32})
	if err != syscall.ENODEV {
		t.Errorf("bind to an interface that isn't: %v", err)
	}
}
