package sys

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// FuzzEncode: what encode makes of an address is what decode reads as the same,
// and what the kernel is told by x/sys.
func FuzzEncode(f *testing.F) {
	for _, path := range []string{"", "/tmp/x", "@name", "@", strings.Repeat("p", 107), strings.Repeat("p", 108),
		"@" + strings.Repeat("a", 107), "@" + strings.Repeat("a", 108), "a\x00b"} {
		f.Add(path, []byte{127, 0, 0, 1}, uint16(53), uint32(0))
	}
	f.Add("", netip.MustParseAddr("fe80::1").AsSlice(), uint16(1), uint32(7))
	f.Add("", netip.MustParseAddr("::ffff:1.2.3.4").AsSlice(), uint16(1), uint32(0))
	f.Fuzz(func(t *testing.T, path string, ip []byte, port uint16, zone uint32) {
		addrs := []Addr{{Family: Unix, Path: path}}
		if a, ok := netip.AddrFromSlice(ip); ok {
			family := Inet6
			if a.Is4() {
				family, zone = Inet, 0
			}
			addrs = append(addrs, inetAddr(family, a, int(port), zone))
		}
		for _, a := range addrs {
			var raw rawAddr
			for i := range raw.Addr.Data {
				raw.Addr.Data[i] = -1 // what lay there before must not matter
			}
			size, e := encode(a, &raw)
			if sa, want := sockaddr(a); e != want || e != 0 {
				if e != want {
					t.Fatalf("encode(%+v): %v, sockaddr says %v (%v)", a, e, want, sa)
				}
				continue
			}
			if size > uint32(unsafe.Sizeof(raw)) {
				t.Fatalf("encode(%+v) has size %d", a, size)
			}
			if got := decode(&raw, size); got != a {
				if !a.Inet.Addr().Is4In6() || got.Inet != a.Inet {
					t.Fatalf("decode(encode(%+v)) = %+v", a, got)
				}
			}
		}
	})
}

// A batch is as many packets as there are, and stops at what cannot be sent.
func TestPackets(t *testing.T) {
	r := Real()
	fds := [2]int{}
	for i := range fds {
		fd, e := r.PacketSocket(Inet, Datagram)
		if e != 0 {
			t.Fatal(e)
		}
		defer r.Close(fd)
		if e := r.Bind(fd, Addr{Family: Inet, Inet: netip.MustParseAddrPort("127.0.0.1:0")}); e != 0 {
			t.Fatal(e)
		}
		fds[i] = fd
	}
	to, e := r.LocalAddr(fds[1])
	if e != 0 {
		t.Fatal(e)
	}
	out := make([]Packet, PacketBatch+1)
	for i := range out {
		out[i] = Packet{Buf: []byte{byte(i)}, Addr: to}
	}
	if n, e := r.SendPackets(fds[0], out); n != PacketBatch || e != 0 {
		t.Errorf("SendPackets = %d, %v; a batch is %d", n, e, PacketBatch)
	}
	in := make([]Packet, PacketBatch+1)
	for i := range in {
		in[i].Buf = make([]byte, 10)
	}
	if n, e := r.RecvPackets(fds[1], in, false); n != PacketBatch || e != 0 {
		t.Errorf("RecvPackets = %d, %v", n, e)
	}
	from, _ := r.LocalAddr(fds[0])
	for i, p := range in[:PacketBatch] {
		if p.Size != 1 || p.Buf[0] != byte(i) || p.Addr != from || p.Truncated {
			t.Fatalf("packet %d is %+v", i, p)
		}
	}
	if n, e := r.RecvPackets(fds[1], in, false); n != 0 || e != syscall.EAGAIN {
		t.Errorf("RecvPackets of nothing = %d, %v", n, e)
	}
	// An address that the kernel never sees stops a batch, and is then told.
	out[2].Addr = Addr{Family: Inet6, Inet: netip.MustParseAddrPort("[fe80::1%nosuchinterface]:1")}
	if n, e := r.SendPackets(fds[0], out[:5]); n != 2 || e != 0 {
		t.Errorf("SendPackets = %d, %v, want 2", n, e)
	}
	if n, e := r.SendPackets(fds[0], out[2:5]); n != 0 || e != syscall.ENODEV {
		t.Errorf("SendPackets = %d, %v, want ENODEV", n, e)
	}
	if e := r.PacketError(fds[0]); e != 0 {
		t.Errorf("PacketError = %v", e)
	}
	if got := unix.SizeofUcred; credSpace > credSize || unix.CmsgSpace(got) != credSpace {
		t.Errorf("credentials take %d bytes, there are %d", credSpace, credSize)
	}
}
