package socket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Htons turns a number into the form that has its bytes in network order in
// memory (htons(3)). Htons(80) is 0x5000 on a little-endian machine.
func Htons(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// Ntohs undoes Htons (ntohs(3)).
func Ntohs(v uint16) uint16 { return Htons(v) }

// Htonl is Htons for 32 bits (htonl(3)).
func Htonl(v uint32) uint32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return binary.NativeEndian.Uint32(b[:])
}

// Ntohl undoes Htonl (ntohl(3)).
func Ntohl(v uint32) uint32 { return Htonl(v) }

// InetAton parses an IPv4 address in any of the forms of inet_aton(3): one to
// four parts, each decimal, octal after 0 or hexadecimal after 0x, of which the
// last fills the bytes that are left. "127.1" is 127.0.0.1, "010.1.1.1" is
// 8.1.1.1. The error is a *net.AddrError.
//
// Unlike the C function, and so Python's, it takes the whole text or nothing:
// glibc stops at white space and accepts "1.2.3.4 junk".
func InetAton(s string) ([4]byte, error) {
	var v uint32
	rest, more := s, true
	for n := 1; more; n++ {
		var part string
		part, rest, more = strings.Cut(rest, ".")
		bits := 8
		if !more {
			bits = 40 - 8*n
		}
		u, ok := parsePart(part, bits)
		if !ok || n > 4 {
			return [4]byte{}, &net.AddrError{Err: "illegal IP address string passed to inet_aton", Addr: s}
		}
		v = v<<bits | u
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return b, nil
}

// parsePart is strtoul(3) with base 0, without signs, blanks and a rest.
// strconv's own base 0 would take 0b, 0o and underscores.
func parsePart(s string, bits int) (uint32, bool) {
	base := 10
	switch {
	case strings.HasPrefix(s, "0x"), strings.HasPrefix(s, "0X"):
		s, base = s[2:], 16
	case strings.HasPrefix(s, "0"):
		base = 8
	}
	if bits <= 0 {
		return 0, false
	}
	u, err := strconv.ParseUint(s, base, bits)
	return uint32(u), err == nil
}

// InetNtoa formats the four bytes of an IPv4 address (inet_ntoa(3)).
func InetNtoa(b []byte) (string, error) {
	if len(b) != 4 {
		return "", errors.New("packed IP wrong length for inet_ntoa")
	}
	return netip.AddrFrom4([4]byte(b)).String(), nil
}

// InetPton parses an address of AF_INET, four decimal numbers without leading
// zeros, or of AF_INET6, without a zone, into its 4 or 16 bytes (inet_pton(3)).
// A text that is no such address is a *net.AddrError; another family is
// EAFNOSUPPORT.
func InetPton(f Family, s string) ([]byte, error) {
	if f != afInet && f != afInet6 {
		return nil, os.NewSyscallError("inet_pton", syscall.EAFNOSUPPORT)
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Is4() != (f == afInet) || a.Zone() != "" {
		return nil, &net.AddrError{Err: "illegal IP address string passed to inet_pton", Addr: s}
	}
	return a.AsSlice(), nil
}

// InetNtop formats an address of AF_INET (4 bytes) or AF_INET6 (16 bytes) as
// glibc's inet_ntop(3) does. That differs from netip.Addr's String in
// IPv4-compatible addresses: "::1.2.3.4", where netip has "::102:304". Another
// family is EAFNOSUPPORT.
func InetNtop(f Family, b []byte) (string, error) {
	var size int
	switch f {
	case afInet:
		size = 4
	case afInet6:
		size = 16
	default:
		return "", &addrError{fmt.Sprintf("inet_ntop: unknown address family %d", int(f)), syscall.EAFNOSUPPORT}
	}
	if len(b) != size {
		return "", errors.New("inet_ntop: invalid length of packed IP address string")
	}
	a, _ := netip.AddrFromSlice(b)
	// ::1 and all below ::0.1.0.0 are no IPv4-compatible ones to glibc: their run
	// of zeros goes on into the last four bytes.
	if size == 16 && [12]byte(b[:12]) == [12]byte{} && binary.BigEndian.Uint32(b[12:]) > math.MaxUint16 {
		return "::" + netip.AddrFrom4([4]byte(b[12:])).String(), nil
	}
	return a.String(), nil
}
