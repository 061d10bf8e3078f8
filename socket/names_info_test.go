package socket

import (
	"errors"
	"net/netip"
	"testing"
)

// What getnameinfo answers on glibc with the same files.
func TestGetNameInfo(t *testing.T) {
	r := hermetic(t)
	inet := func(s string, port uint16) Addr { return InetAddr{IP: netip.MustParseAddr(s), Port: port} }
	inet6 := func(s string, scope uint32) Addr {
		return Inet6Addr{IP: netip.MustParseAddr(s), Port: 80, ScopeID: scope}
	}
	for _, tt := range []struct {
		addr          Addr
		flags         NI
		host, service string
		err           error
	}{
		{inet("127.0.0.1", 80), 0, "localhost", "http", nil},
		{inet("127.0.0.1", 80), NI_NUMERICHOST, "127.0.0.1", "http", nil},
		{inet("127.0.0.1", 80), NI_NUMERICSERV, "localhost", "80", nil},
		{inet("127.0.0.1", 80), NI_NUMERICHOST | NI_NUMERICSERV, "127.0.0.1", "80", nil},
		{inet("127.0.0.1", 80), NI_DGRAM, "localhost", "80", nil},
		{inet("127.0.0.1", 514), 0, "localhost", "shell", nil},
		{inet("127.0.0.1", 514), NI_DGRAM, "localhost", "syslog", nil},
		{inet("127.0.0.1", 514), NI_NAMEREQD, "localhost", "shell", nil},
		{inet("127.0.0.1", 514), NI_NAMEREQD | NI_NUMERICHOST, "", "", EAI_NONAME},
		{inet("127.0.0.1", 0), 0, "localhost", "0", nil},
		{inet("127.0.0.1", 4464), 0, "localhost", "4464", nil},
		{inet("192.0.2.1", 80), 0, "multi.example", "http", nil},
		{inet("192.0.2.99", 80), 0, "192.0.2.99", "http", nil},
		{inet("192.0.2.99", 80), NI_NAMEREQD, "", "", EAI_NONAME},
		{InetAddr{}, 0, "0.0.0.0", "0", nil},
		{Inet6Addr{}, 0, "::", "0", nil},
		{inet6("::1", 0), 0, "localhost", "http", nil},
		{inet6("::1", 4000000000), NI_NUMERICHOST, "::1%4000000000", "http", nil},
		{inet6("fe80::1", 4000000000), 0, "link.example", "http", nil},
		{inet6("fe80::1", 4000000000), NI_NUMERICHOST, "fe80::1%4000000000", "http", nil},
		{inet6("::1.2.3.4", 0), NI_NUMERICHOST, "::1.2.3.4", "http", nil},
		{inet6("::ffff:127.0.0.1", 0), NI_NUMERICHOST, "::ffff:127.0.0.1", "http", nil},
		{inet6("::ffff:127.0.0.1", 0), 0, "localhost", "http", nil}, // as the DNS part of glibc has it
		{inet("127.0.0.1", 80), 32, "", "", EAI_BADFLAGS},
		{inet("127.0.0.1", 80), -1, "", "", EAI_BADFLAGS},
		{inet("::1", 80), 0, "", "", EAI_FAMILY},
		{inet6("127.0.0.1", 0), 0, "", "", EAI_FAMILY},
		{UnixAddr{Name: "/x"}, 0, "", "", EAI_FAMILY},
		{nil, 0, "", "", EAI_FAMILY},
	} {
		host, service, err := r.GetNameInfo(t.Context(), tt.addr, tt.flags)
		if host != tt.host || service != tt.service || !errors.Is(err, tt.err) {
			t.Errorf("GetNameInfo(%v, %d) = %q, %q, %v; want %q, %q, %v", tt.addr, int(tt.flags), host, service, err, tt.host, tt.service, tt.err)
		}
	}
}

// The machine's own domain is cut off, and nothing else.
func TestNoFQDN(t *testing.T) {
	r := hermetic(t)
	for _, tt := range []struct{ machine, want string }{
		{"multi.example", "other"},  // its domain is "example"
		{"vm", "other.example"},     // it has none
		{"short", "other"},          // its FQDN has one
		{"nosuch", "other.example"}, //
		{"x.mple", "other.example"}, // half a label
		{"a.other.example", "other.example"},
	} {
		r.Host = func() (string, error) { return tt.machine, nil }
		got, _, err := r.GetNameInfo(t.Context(), InetAddr{IP: netip.MustParseAddr("192.0.2.3")}, NI_NOFQDN)
		if err != nil || got != tt.want {
			t.Errorf("on %s: %q, %v; want %q", tt.machine, got, err, tt.want)
		}
	}
}

// A DNS that fails is told, and not taken for a host without a name.
func TestNameInfoDNS(t *testing.T) {
	r := hermetic(t)
	r.DNS = world.serve(t)
	for s, want := range map[string]error{"192.0.2.66": EAI_AGAIN, "192.0.2.67": nil, "192.0.2.65": nil} {
		host, _, err := r.GetNameInfo(t.Context(), InetAddr{IP: netip.MustParseAddr(s)}, 0)
		if !errors.Is(err, want) || want == nil && host != s {
			t.Errorf("%s: %q, %v; want %v", s, host, err, want)
		}
	}
	host, _, err := r.GetNameInfo(t.Context(), InetAddr{IP: netip.MustParseAddr("192.0.2.54")}, NI_NAMEREQD)
	if host != "server17.isp.test" {
		t.Errorf("%q, %v", host, err)
	}
}
