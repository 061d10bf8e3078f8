package socket

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestInetAton(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"127.1", "7f000001"},
		{"127.0.1", "7f000001"},
		{"127", "0000007f"},
		{"1.2.65535", "0102ffff"},
		{"1.16777215", "01ffffff"},
		{"4294967295", "ffffffff"},
		{"0x7f.1", "7f000001"},
		{"0X7F.0.0.1", "7f000001"},
		{"0x7f000001", "7f000001"},
		{"0xFFFFFFFF", "ffffffff"},
		{"017700000001", "7f000001"},
		{"037777777777", "ffffffff"},
		{"010.1.1.1", "08010101"},
		{"127.000.000.001", "7f000001"},
		{"0.0.0.0", "00000000"},
		{"00", "00000000"},
		{"0x0", "00000000"},
		{strings.Repeat("0", 300) + "1.2.3.4", "01020304"},
		{"0x" + strings.Repeat("0", 300) + "7f.1", "7f000001"},
	} {
		got, err := InetAton(c.in)
		if hex.EncodeToString(got[:]) != c.want || err != nil {
			t.Errorf("InetAton(%q) = %x, %v; want %s", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{
		"", ".", "1.", ".1", "1..2", "1.2.3.4.5", "1.2.3.4.5.6", "1.2.3.4.", "....",
		"256.0.0.0", "0.256.0.0", "0.0.256.0", "0.0.0.256", "256.1", "1.256.1",
		"1.2.65536", "1.16777216", "4294967296", "040000000000", "0x100000000",
		strings.Repeat("9", 300),
		"08.1.1.1", "09", "0x", "0X", "0x.1", "0xg", "1.0x", "0b1", "0o7", "1_0",
		"-1", "+1", "1.-1", "1e3", "1.2.3.+4",
		" 1.2.3.4", "1.2.3.4junk", "1.2.3.4/24", "1.2.3.4:80", "1 .2.3.4",
		"localhost", "a.b.c.d", "<broadcast>", "::1", "١.1.1.1", "1.2.3.4\x00", "\x00",
		// glibc takes these; Python's socket.inet_aton does too.
		"1.2.3.4 ", "1.2.3.4 junk", "1.2.3.4\t", "1.2.3.4\n", "127.1 \x00",
	} {
		got, err := InetAton(in)
		var ae *net.AddrError
		if got != [4]byte{} || !errors.As(err, &ae) || ae.Addr != in ||
			ae.Err != "illegal IP address string passed to inet_aton" {
			t.Errorf("InetAton(%q) = %v, %v", in, got, err)
		}
	}
}

func TestInetPton(t *testing.T) {
	for _, c := range []struct {
		family   Family
		in, want string
	}{
		{afInet, "1.2.3.4", "01020304"},
		{afInet, "0.0.0.0", "00000000"},
		{afInet, "255.255.255.255", "ffffffff"},
		{afInet6, "::", "00000000000000000000000000000000"},
		{afInet6, "::1.2.3.4", "00000000000000000000000001020304"},
		{afInet6, "1:2:3:4:5:6:1.2.3.4", "00010002000300040005000601020304"},
		{afInet6, "1:2:3:4:5:6:7::", "00010002000300040005000600070000"},
		{afInet6, "::2:3:4:5:6:7:8", "00000002000300040005000600070008"},
	} {
		got, err := InetPton(c.family, c.in)
		if hex.EncodeToString(got) != c.want || err != nil {
			t.Errorf("InetPton(%v, %q) = %x, %v; want %s", c.family, c.in, got, err, c.want)
		}
	}
	for _, c := range []struct {
		family Family
		in     string
	}{
		{afInet, ""}, {afInet, "127.1"}, {afInet, "1"}, {afInet, "1.2.3"}, {afInet, "1.2.3.4.5"},
		{afInet, "00.0.0.0"}, {afInet, "1.2.3.04"}, {afInet, "256.1.1.1"}, {afInet, "0x1.2.3.4"},
		{afInet, " 1.2.3.4"}, {afInet, "1.2.3.4 "}, {afInet, "1.2.3.4\n"}, {afInet, "1.2.3.4%1"},
		{afInet, "::1"}, {afInet, "::ffff:1.2.3.4"}, {afInet, "1.2.3.4\x00"},
		{afInet6, ""}, {afInet6, ":"}, {afInet6, ":::"}, {afInet6, "1.2.3.4"}, {afInet6, "[::1]"},
		{afInet6, "::1%1"}, {afInet6, "fe80::1%lo"}, {afInet6, "::1%"}, {afInet6, "::1/64"},
		{afInet6, "::00001"}, {afInet6, "::01.2.3.4"}, {afInet6, "::1.2.3.4.5"}, {afInet6, "::1.2.3.4:1"},
		{afInet6, "1::2::3"}, {afInet6, "1:2:3:4::5:6:7:8"}, {afInet6, "1:2:3:4:5:6:7"}, {afInet6, ":1:2:3:4:5:6:7"},
		{afInet6, "1:2:3:4:5:6:7:"}, {afInet6, "1:2:3:4:5:6:7:8:9"}, {afInet6, "g::"}, {afInet6, "::1\x00"},
	} {
		got, err := InetPton(c.family, c.in)
		var ae *net.AddrError
		if got != nil || !errors.As(err, &ae) || ae.Addr != c.in ||
			ae.Err != "illegal IP address string passed to inet_pton" {
			t.Errorf("InetPton(%v, %q) = %x, %v", c.family, c.in, got, err)
		}
	}
	for _, f := range []Family{afUnix, 99, -1} {
		if got, err := InetPton(f, "1.2.3.4"); got != nil || !errors.Is(err, syscall.EAFNOSUPPORT) {
			t.Errorf("InetPton(%v) = %x, %v; want EAFNOSUPPORT", f, got, err)
		}
	}
}

func TestInetNtop(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"01020304", "1.2.3.4"},
		{"00000000000000000000000001020304", "::1.2.3.4"},
		{"00000000000000000000000000010203", "::0.1.2.3"},
		{"00000000000000000000000001020000", "::1.2.0.0"},
		{"00000000000000000000000000010000", "::0.1.0.0"},
		{"000000000000000000000000ffffffff", "::255.255.255.255"},
		{"0000000000000000000000000000ffff", "::ffff"},
		{"00000000000000000000000000000102", "::102"},
		{"00000000000000000000000000000001", "::1"},
		{"00000000000000000000000000000000", "::"},
		{"00000000000000000000ffff01020304", "::ffff:1.2.3.4"},
		{"00000000000000000000ffff00000000", "::ffff:0.0.0.0"},
		{"00000000000000000001000001020304", "::1:0:102:304"},
	} {
		b := unhex(t, c.in)
		f := afInet6
		if len(b) == 4 {
			f = afInet
		}
		if got, err := InetNtop(f, b); got != c.want || err != nil {
			t.Errorf("InetNtop(%s) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	for _, f := range []Family{afInet, afInet6} {
		for size := range 20 {
			ok := size == 4 && f == afInet || size == 16 && f == afInet6
			_, err := InetNtop(f, make([]byte, size))
			if ok != (err == nil) || !ok && err.Error() != "inet_ntop: invalid length of packed IP address string" {
				t.Errorf("InetNtop(%v, %d bytes): %v", f, size, err)
			}
		}
	}
	if _, err := InetNtop(99, make([]byte, 4)); err == nil ||
		err.Error() != "inet_ntop: unknown address family 99" || !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("InetNtop(99): %v", err)
	}
}

func TestInetNtoa(t *testing.T) {
	if s, err := InetNtoa([]byte{192, 168, 1, 1}); s != "192.168.1.1" || err != nil {
		t.Errorf("InetNtoa = %q, %v", s, err)
	}
	for _, size := range []int{0, 3, 5, 16} {
		if s, err := InetNtoa(make([]byte, size)); s != "" || err == nil ||
			err.Error() != "packed IP wrong length for inet_ntoa" {
			t.Errorf("InetNtoa(%d bytes) = %q, %v", size, s, err)
		}
	}
}

func TestByteOrder(t *testing.T) {
	if got := binary.NativeEndian.AppendUint16(nil, Htons(0x1234)); !bytes.Equal(got, []byte{0x12, 0x34}) {
		t.Errorf("Htons(0x1234) lies in memory as % x", got)
	}
	if got := binary.NativeEndian.AppendUint32(nil, Htonl(0x12345678)); !bytes.Equal(got, []byte{0x12, 0x34, 0x56, 0x78}) {
		t.Errorf("Htonl(0x12345678) lies in memory as % x", got)
	}
	if Ntohs(Htons(80)) != 80 || Ntohl(Htonl(0x12345678)) != 0x12345678 {
		t.Error("Ntohs and Ntohl don't undo Htons and Htonl")
	}
	// Python's results on the machines of most people.
	if little := binary.NativeEndian.Uint16([]byte{1, 0}) == 1; little && (Htons(80) != 0x5000 || Htonl(0x12345678) != 0x78563412) {
		t.Errorf("Htons(80) = %#x, Htonl(0x12345678) = %#x", Htons(80), Htonl(0x12345678))
	}
}

func FuzzInetAton(f *testing.F) {
	for _, s := range []string{"127.1", "0x7f.1", "010.1.1.1", "1.2.3.4 junk", "4294967295", "1..2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b, err := InetAton(s)
		want, ok := atonSlowly(s)
		if b != want || ok != (err == nil) {
			t.Fatalf("InetAton(%q) = %v, %v; want %v, %v", s, b, err, want, ok)
		}
		// Whatever inet_pton takes means the same here.
		if p, perr := InetPton(afInet, s); perr == nil && !bytes.Equal(p, b[:]) {
			t.Fatalf("InetPton(%q) = %v, InetAton has %v", s, p, b)
		}
	})
}

// atonSlowly is the function again, digit by digit and without strconv.
func atonSlowly(s string) (b [4]byte, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) > 4 {
		return b, false
	}
	for i, part := range parts {
		base := uint64(10)
		switch lower := strings.ToLower(part); {
		case strings.HasPrefix(lower, "0x"):
			part, base = lower[2:], 16
		case strings.HasPrefix(part, "0"):
			base = 8
		}
		if part == "" {
			return [4]byte{}, false
		}
		var v uint64
		for _, c := range []byte(part) {
			digit := strings.IndexByte("0123456789abcdef", c)
			if c >= 'A' && c <= 'F' {
				digit = int(c-'A') + 10
			}
			if digit < 0 || uint64(digit) >= base {
				return [4]byte{}, false
			}
			v = min(v*base+uint64(digit), 1<<40)
		}
		size := 1
		if i == len(parts)-1 {
			size = 4 - i
		}
		if v >= 1<<(8*size) {
			return [4]byte{}, false
		}
		for j := range size {
			b[i+j] = byte(v >> (8 * (size - 1 - j)))
		}
	}
	return b, true
}

func FuzzInetPton(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "::1", "::ffff:1.2.3.4", "fe80::1%lo", "1:2:3:4:5:6:7::", "1.2.3.04"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, family := range []Family{afInet, afInet6} {
			b, err := InetPton(family, s)
			want, ok := ptonSlowly(family, s)
			if !bytes.Equal(b, want) || ok != (err == nil) {
				t.Fatalf("InetPton(%v, %q) = %x, %v; want %x, %v", family, s, b, err, want, ok)
			}
			if err != nil {
				continue
			}
			text, err := InetNtop(family, b)
			if err != nil {
				t.Fatal(err)
			}
			again, err := netip.ParseAddr(text)
			if err != nil || !bytes.Equal(again.AsSlice(), b) {
				t.Fatalf("InetNtop(%x) = %q, which netip reads as %v, %v", b, text, again, err)
			}
		}
	})
}

// ptonSlowly is the function again, by splitting and without package netip.
func ptonSlowly(family Family, s string) ([]byte, bool) {
	if family == afInet {
		parts := strings.Split(s, ".")
		var b []byte
		for _, part := range parts {
			n, err := strconv.ParseUint(part, 10, 8)
			if err != nil || strconv.FormatUint(n, 10) != part {
				return nil, false
			}
			b = append(b, byte(n))
		}
		if len(b) != 4 {
			return nil, false
		}
		return b, true
	}
	head, tail, gap := strings.Cut(s, "::")
	before, ok := groups(head, !gap)
	after, ok2 := groups(tail, true)
	zeros := 16 - len(before) - len(after)
	if !ok || !ok2 || gap && zeros < 2 || !gap && zeros != 0 {
		return nil, false
	}
	return append(append(before, make([]byte, zeros)...), after...), true
}

// groups parses numbers between colons, of which the last may be an IPv4 address.
func groups(s string, v4 bool) (b []byte, ok bool) {
	if s == "" {
		return nil, true
	}
	parts := strings.Split(s, ":")
	for i, part := range parts {
		if v4 && i == len(parts)-1 && strings.Contains(part, ".") {
			quad, ok := ptonSlowly(afInet, part)
			return append(b, quad...), ok
		}
		n, err := strconv.ParseUint(part, 16, 16)
		if err != nil || len(part) > 4 {
			return nil, false
		}
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return b, true
}
