package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"testing/fstest"
)

// unreachable is a DNS that can't be asked; a fuzzed hosts file sends many names there.
var unreachable = net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Err: errors.New("no network")}
}}

// FuzzNames: whatever the files and the question, no panic, and an answer or an error
// of the documented kind, never both, that fits the hints and is stable.
func FuzzNames(f *testing.F) {
	for _, s := range []struct {
		host, service, hosts, services string
		flags, family, typ, proto      uint16
	}{
		{"localhost", "http", "127.0.0.1 localhost lh\n::1 localhost", "http 80/tcp www\r\n", 0, 0, 0, 0},
		{"fe80::1%lo", "80", "fe80::1%2 x # y", "x 65536/tcp", 3, 0, 1, 6},
		{"127.1", "", "\x00\xff\n# \n  \n::", "http /\nhttp 80\n", 58, 10, 2, 17},
		{"", "domain", "", "domain 53/udp\ndomain 53/tcp", 1, 0, 0, 0},
		{"x.", "65536", "::ffff:1.2.3.4 x.\n1.2.3.4 X", "", 26, 10, 3, 0},
	} {
		f.Add(s.host, s.service, s.hosts, s.services, s.flags, s.family, s.typ, s.proto)
	}
	f.Fuzz(func(t *testing.T, host, service, hosts, services string, flags, family, typ, proto uint16) {
		r := &Resolver{DNS: &unreachable, Files: fstest.MapFS{
			"hosts": {Data: []byte(hosts)}, "services": {Data: []byte(services)}, "protocols": {Data: []byte(services)},
		}}
		ctx := t.Context()
		h := Hints{Flags: AI(flags), Family: Family(family), Type: Type(typ), Proto: Proto(proto)}
		infos, err := r.GetAddrInfo(ctx, host, service, h)
		if _, ok := err.(*AddrInfoError); (err == nil) == (len(infos) == 0) || err != nil && !ok {
			t.Fatalf("%v, %v", infos, err)
		}
		if err != nil && err.Error() == "" {
			t.Fatal("no text")
		}
		for _, ai := range infos {
			if h.Family != 0 && ai.Family != h.Family || h.Type != 0 && ai.Type != h.Type || h.Proto != 0 && ai.Proto != h.Proto {
				t.Fatalf("%+v for %+v", ai, h)
			}
			if err := check(ai.Addr); err != nil {
				t.Fatalf("%v: %v", ai.Addr, err)
			}
			// What came out is numeric, and comes out again.
			ip, _, _ := r.GetNameInfo(ctx, ai.Addr, NI_NUMERICHOST|NI_NUMERICSERV)
			if back, err := r.NameToAddr(ctx, ai.Family, ip, 0); err != nil || FromAddrPort(netip.AddrPortFrom(addrPort(back).Addr(), addrPort(ai.Addr).Port())) != ai.Addr {
				t.Fatalf("%v became %s and %v, %v", ai.Addr, ip, back, err)
			}
		}

		r.HostByNameEx(ctx, host)
		r.FQDN(ctx, host)
		if e, err := r.HostByAddr(ctx, host); (err == nil) != (e.Name != "") {
			t.Fatalf("%+v, %v", e, err)
		}
		if port, err := r.ServiceByName(service, ""); err == nil {
			if _, err := r.ServiceByPort(port, ""); err != nil {
				t.Fatalf("port %d has no name: %v", port, err)
			}
		}
		r.ProtocolByName(service)
	})
}

func addrPort(a Addr) netip.AddrPort { return a.(interface{ AddrPort() netip.AddrPort }).AddrPort() }
