package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

// files returns testdata/etc, each line ending in eol.
func files(t testing.TB, eol string) fs.FS {
	t.Helper()
	m := fstest.MapFS{}
	for _, name := range []string{"hosts", "services", "protocols"} {
		text, err := os.ReadFile("testdata/etc/" + name)
		if err != nil {
			t.Fatal(err)
		}
		m[name] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(text), "\n", eol))}
	}
	return m
}

// hermetic returns a resolver on testdata/etc whose DNS knows no name at all.
func hermetic(t testing.TB) *Resolver {
	t.Helper()
	return &Resolver{
		Files: files(t, "\n"),
		DNS:   zone{}.serve(t),
		Host:  func() (string, error) { return "vm", nil },
	}
}

// offline is a resolver's DNS that must not be asked.
func offline(t testing.TB) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		t.Error("the DNS was asked")
		return nil, errors.New("no network")
	}}
}

// asksDNS tells whether net.Resolver asks servers here: nsswitch.conf can forbid it.
var asksDNS = sync.OnceValue(func() bool {
	var asked atomic.Bool
	r := net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked.Store(true)
		return nil, errors.New("no network")
	}}
	r.LookupHost(context.Background(), "nosuch.test.")
	return asked.Load()
})

// needDNS skips a test where not even a server of its own would be asked.
func needDNS(t testing.TB) {
	t.Helper()
	if !asksDNS() {
		t.Skip("no DNS in nsswitch.conf")
	}
}

// zone is what a name server knows, by names with a final dot.
type zone map[string]node

type node struct {
	rcode   dnsmessage.RCode
	records []dnsmessage.ResourceBody // a CNAME stands alone
}

// serve starts a name server on loopback and returns the resolver that asks it, and
// nobody else, for everything.
func (z zone) serve(t testing.TB) *net.Resolver {
	t.Helper()
	if len(z) > 0 {
		needDNS(t)
	}
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if reply, err := z.reply(b[:n]); err == nil {
				c.WriteTo(reply, from)
			}
		}
	})
	t.Cleanup(func() { c.Close(); wg.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

func (z zone) reply(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	reply := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	name := q.Name
	for range 8 {
		n, ok := z[strings.ToLower(name.String())]
		reply.RCode = n.rcode
		if !ok {
			reply.RCode = dnsmessage.RCodeNameError
		}
		next := name
		for _, r := range n.records {
			rh := dnsmessage.ResourceHeader{Name: name, Class: dnsmessage.ClassINET, TTL: 1}
			switch r := r.(type) {
			case *dnsmessage.CNAMEResource:
				rh.Type, next = dnsmessage.TypeCNAME, r.CNAME
			case *dnsmessage.AResource:
				rh.Type = dnsmessage.TypeA
			case *dnsmessage.AAAAResource:
				rh.Type = dnsmessage.TypeAAAA
			case *dnsmessage.PTRResource:
				rh.Type = dnsmessage.TypePTR
			}
			if rh.Type == q.Type || rh.Type == dnsmessage.TypeCNAME {
				reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: rh, Body: r})
			}
		}
		if next == name {
			break
		}
		name = next
	}
	return reply.Pack()
}

func cname(s string) *dnsmessage.CNAMEResource {
	return &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName(s)}
}

func ptr(s string) *dnsmessage.PTRResource {
	return &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(s)}
}

func a(ip ...byte) *dnsmessage.AResource { return &dnsmessage.AResource{A: [4]byte(ip)} }

func aaaa(last byte) *dnsmessage.AAAAResource {
	return &dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: last}}
}

// show writes answers as one line, or the error's code.
func show(infos []AddrInfo, err error) string {
	if e, ok := errors.AsType[*AddrInfoError](err); ok {
		return "EAI " + fmt.Sprint(int(e.Code))
	}
	if err != nil {
		return err.Error()
	}
	var s []string
	for i, ai := range infos {
		if ai.Family != ai.Addr.Family() {
			return "a family that isn't the address's"
		}
		text := fmt.Sprintf("%d/%d %s", int(ai.Type), int(ai.Proto), ai.Addr)
		if ai.CanonName != "" {
			text += " " + ai.CanonName
			if i > 0 {
				return "a canonical name in a later answer"
			}
		}
		s = append(s, text)
	}
	return strings.Join(s, ", ")
}

// list writes what HostByNameEx and HostByAddr return as Python does.
func list(e HostEntry, err error) string {
	if err != nil {
		return code(err)
	}
	return fmt.Sprintf("%s %v %v", e.Name, e.Aliases, e.Addrs)
}

// code writes an error as the code of its kind.
func code(err error) string {
	if e, ok := errors.AsType[*HostError](err); ok {
		return fmt.Sprint("h_errno ", int(e.Code))
	}
	return show(nil, err)
}

// Numbers, names, hints: what CPython 3.11 answers on glibc 2.36 with the same files
// and a DNS without names, where no comment says otherwise.
func TestGetAddrInfo(t *testing.T) {
	const (
		stream, dgram, raw = sockStream, sockDgram, sockRaw
		three              = "1/6 127.0.0.1:80, 2/17 127.0.0.1:80, 3/0 127.0.0.1:80"
		loop6, loop4       = "1/6 [::1]:80", "1/6 127.0.0.1:80"
	)
	tcp := Hints{Type: stream}
	with := func(flags AI) Hints { return Hints{Flags: flags, Type: stream} }
	v4 := func(flags AI) Hints { return Hints{Flags: flags, Type: stream, Family: afInet} }
	v6 := func(flags AI) Hints { return Hints{Flags: flags, Type: stream, Family: afInet6} }
	tests := []struct {
		host, service string
		hints         Hints
		want          string
	}{
		// Numeric hosts.
		{"127.0.0.1", "80", Hints{}, three},
		{"127.1", "80", Hints{}, three},
		{"127.1", "80", Hints{Flags: AI_NUMERICHOST}, three},
		{"0x7f.1", "80", with(AI_CANONNAME), loop4 + " 0x7f.1"},
		{"017700000001", "80", tcp, loop4},
		{"255.255.255.255", "80", tcp, "1/6 255.255.255.255:80"},
		{"::1", "80", tcp, loop6},
		{"127.0.0.1", "80", v6(0), "EAI -9"},
		{"::1", "80", v4(0), "EAI -9"},
		{"::1", "80", v4(AI_V4MAPPED), "EAI -9"},
		{"127.0.0.1", "80", v6(AI_V4MAPPED), "1/6 [::ffff:127.0.0.1]:80"},
		{"127.0.0.1", "80", v6(AI_V4MAPPED | AI_ALL), "1/6 [::ffff:127.0.0.1]:80"},
		{"127.0.0.1", "80", v6(AI_ALL), "EAI -9"},
		{"::ffff:127.0.0.1", "80", v4(0), loop4},
		{"::ffff:127.0.0.1", "80", tcp, "1/6 [::ffff:127.0.0.1]:80"},
		{"::1%5", "80", tcp, "1/6 [::1%5]:80"},
		{"fe80::1%5", "80", tcp, "1/6 [fe80::1%5]:80"},
		{"fe80::1%5", "80", with(AI_CANONNAME), "1/6 [fe80::1%5]:80 fe80::1%5"},
		{"fe80::1%0", "80", tcp, "1/6 [fe80::1]:80"},
		{"fe80::1%4294967295", "80", tcp, "1/6 [fe80::1%4294967295]:80"},
		{"fe80::1%4294967296", "80", tcp, "EAI -2"},
		{"fe80::1%no-such-interface", "80", tcp, "EAI -2"},
		{"fe80::1%no-such-interface", "80", v4(0), "EAI -9"},
		{"fe80::1%", "80", tcp, "EAI -2"},
		{"127.0.0.1%5", "80", tcp, "EAI -2"},
		{"[::1]", "80", tcp, "EAI -2"},
		{"1.2.3.256", "80", tcp, "EAI -2"},
		{"1.2.3.4 ", "80", tcp, "EAI -2"},
		{"192.0.2.13", "80", with(AI_CANONNAME), "1/6 192.0.2.13:80 192.0.2.13"}, // never the name of a host
		// No host.
		{"", "80", tcp, loop6 + ", " + loop4},
		{"", "80", Hints{}, "1/6 [::1]:80, 2/17 [::1]:80, 3/0 [::1]:80, " + three},
		{"", "80", with(AI_PASSIVE), "1/6 0.0.0.0:80, 1/6 [::]:80"},
		{"", "80", with(AI_NUMERICHOST), loop6 + ", " + loop4},
		{"", "80", with(AI_ADDRCONFIG), loop6 + ", " + loop4},
		{"", "80", v4(0), loop4},
		{"", "80", v4(AI_PASSIVE), "1/6 0.0.0.0:80"},
		{"", "80", v6(AI_PASSIVE | AI_V4MAPPED | AI_ALL), "1/6 [::]:80"},
		{"", "80", with(AI_CANONNAME), "EAI -1"},
		{"", "", Hints{}, "EAI -2"},
		{"", "nosuch", Hints{}, "EAI -8"},
		// Names.
		{"localhost", "80", tcp, loop6 + ", " + loop4},
		{"LocalHost", "80", with(AI_CANONNAME), loop6 + " localhost, " + loop4},
		{"localhost", "80", v4(0), loop4}, // glibc: twice, for ::1 counts as 127.0.0.1
		{"localhost", "80", v6(0), loop6},
		{"localhost.", "80", tcp, loop6 + ", " + loop4}, // glibc: EAI -2
		{"lh", "80", with(AI_CANONNAME), loop4 + " localhost"},
		{"lh", "80", v6(0), "EAI -2"},
		{"lh", "80", v6(AI_V4MAPPED), "1/6 [::ffff:127.0.0.1]:80"},
		{"localhost", "80", v6(AI_V4MAPPED), loop6},
		{"localhost", "80", v6(AI_V4MAPPED | AI_ALL), loop6 + ", 1/6 [::ffff:127.0.0.1]:80"},
		{"localhost", "80", v6(AI_ALL), loop6},
		{"multi.example", "1", with(AI_CANONNAME), "1/6 192.0.2.1:1 multi.example, 1/6 192.0.2.2:1, 1/6 192.0.2.3:1"},
		{"MULTI", "1", with(AI_CANONNAME), "1/6 192.0.2.1:1 multi.example"},
		{"m3", "1", with(AI_CANONNAME), "1/6 192.0.2.3:1 other.example"},
		{"dual.example", "1", tcp, "1/6 [2001:db8::1]:1, 1/6 192.0.2.4:1"}, // glibc: where there is a route
		{"ula.example", "1", tcp, "1/6 192.0.2.5:1, 1/6 [fd00::1]:1"},      // RFC 6724; glibc has 3484's table
		{"onlysix", "1", v4(0), "1/6 127.0.0.1:1"},
		{"six.example", "1", v4(0), "EAI -2"},
		{"link.example", "1", tcp, "1/6 [fe80::1]:1"},
		{"zoned.example", "1", tcp, "EAI -2"},
		{"zone7.example", "1", tcp, "1/6 [fe80::3%7]:1"}, // glibc: passes over zones
		{"mapped.example", "1", tcp, "1/6 [::ffff:192.0.2.6]:1"},
		{"mapped.example", "1", v4(0), "1/6 192.0.2.6:1"},
		{"short.example", "1", with(AI_CANONNAME), "1/6 192.0.2.7:1 short"},
		{"cr", "1", with(AI_CANONNAME), "1/6 192.0.2.8:1 crlf.example"},
		{"dot.example", "1", tcp, "1/6 192.0.2.9:1"}, // glibc: EAI -2
		{"dot.example.", "1", tcp, "1/6 192.0.2.9:1"},
		{"pair", "1", with(AI_CANONNAME), "1/6 [2001:db8::3]:1 sixname.example, 1/6 192.0.2.14:1"},
		{"pair", "1", v4(AI_CANONNAME), "1/6 192.0.2.14:1 fourname.example"},
		{"pair", "1", v6(AI_CANONNAME), "1/6 [2001:db8::3]:1 sixname.example"},
		{"cut", "1", tcp, "1/6 192.0.2.10:1"},
		{"off.example", "1", tcp, "EAI -2"},
		{"old.example", "1", tcp, "EAI -2"},
		{"hex.example", "1", tcp, "EAI -2"},
		{"wrong.example", "1", tcp, "EAI -2"},
		{"nonsense.example", "1", tcp, "EAI -2"},
		{"nosuch.example", "80", Hints{}, "EAI -2"},
		{"localhost", "80", with(AI_NUMERICHOST), "EAI -2"},
		{"<broadcast>", "80", tcp, "EAI -2"},
		{"a..b", "80", tcp, "EAI -2"}, // Python: UnicodeError, as of the next
		{strings.Repeat("x", 64), "80", tcp, "EAI -2"},
		{strings.Repeat("x.", 200) + "x", "80", tcp, "EAI -2"},
		{" www.example", "80", tcp, "EAI -2"},
		{"été.example", "80", tcp, "EAI -2"},
		{"localhost\x00", "80", tcp, "EAI -2"},
		{"*", "80", tcp, "EAI -2"}, // glibc takes it for no host
		{".", "80", tcp, "EAI -2"},
		// Services.
		{"127.0.0.1", "", Hints{}, "1/6 127.0.0.1:0, 2/17 127.0.0.1:0, 3/0 127.0.0.1:0"},
		{"127.0.0.1", "http", Hints{}, "1/6 127.0.0.1:80"},
		{"127.0.0.1", "www", Hints{}, "1/6 127.0.0.1:80"},
		{"127.0.0.1", "domain", Hints{}, "1/6 127.0.0.1:53, 2/17 127.0.0.1:53"},
		{"127.0.0.1", "https", Hints{}, "1/6 127.0.0.1:443, 2/17 127.0.0.1:443"},
		{"127.0.0.1", "syslog", Hints{}, "1/6 127.0.0.1:514, 2/17 127.0.0.1:514"},
		{"127.0.0.1", "tftp", Hints{}, "2/17 127.0.0.1:69"},
		{"127.0.0.1", "both", Hints{}, "1/6 127.0.0.1:1001, 2/17 127.0.0.1:1000"},
		{"127.0.0.1", "signal", Hints{}, "1/132 127.0.0.1:1005, 5/132 127.0.0.1:1005"},
		{"127.0.0.1", "signal", Hints{Proto: protoSCTP}, "1/132 127.0.0.1:1005"},
		{"127.0.0.1", "signal", tcp, "EAI -8"},
		{"127.0.0.1", "HTTP", Hints{}, "EAI -8"},
		{" www.example", " http", Hints{}, "EAI -8"}, // X7
		{"127.0.0.1", "nosuch", v6(0), "EAI -8"},
		{"127.0.0.1", "http", Hints{Type: dgram}, "EAI -8"},
		{"127.0.0.1", "http", Hints{Flags: AI_NUMERICSERV}, "EAI -2"},
		{"127.0.0.1", "80", Hints{Flags: AI_NUMERICSERV}, three},
		{"127.0.0.1", "0080", tcp, loop4},
		{"127.0.0.1", "65535", tcp, "1/6 127.0.0.1:65535"},
		{"127.0.0.1", "65536", tcp, "EAI -8"}, // glibc: 0
		{"127.0.0.1", "99999999999999999999999", tcp, "EAI -8"},
		{"127.0.0.1", "+80", tcp, "EAI -8"}, // glibc: 80
		{"127.0.0.1", " 80", tcp, "EAI -8"}, // glibc: 80
		{"127.0.0.1", "80 ", tcp, "EAI -8"},
		{"127.0.0.1", "-1", tcp, "EAI -8"},
		{"127.0.0.1", "80x", tcp, "EAI -8"},
		{"127.0.0.1", "0x50", tcp, "EAI -8"},
		{"127.0.0.1", "wrapped", tcp, "EAI -8"}, // glibc: 80
		{"127.0.0.1", "*", tcp, "EAI -8"},       // glibc takes it for no service
		// Hints.
		{"127.0.0.1", "80", Hints{Type: raw}, "EAI -8"},
		{"127.0.0.1", "http", Hints{Type: raw}, "EAI -8"},
		{"127.0.0.1", "", Hints{Type: raw}, "3/0 127.0.0.1:0"},
		{"127.0.0.1", "", Hints{Type: raw, Proto: 77}, "3/77 127.0.0.1:0"},
		{"127.0.0.1", "", Hints{Proto: 1}, "3/1 127.0.0.1:0"},
		{"127.0.0.1", "80", Hints{Proto: protoTCP}, loop4},
		{"127.0.0.1", "80", Hints{Proto: protoUDP}, "2/17 127.0.0.1:80"},
		{"127.0.0.1", "80", Hints{Proto: protoUDPLite}, "2/136 127.0.0.1:80"},
		{"127.0.0.1", "80", Hints{Proto: protoSCTP}, "1/132 127.0.0.1:80"},
		{"127.0.0.1", "80", Hints{Type: stream, Proto: protoSCTP}, "1/132 127.0.0.1:80"},
		{"127.0.0.1", "80", Hints{Type: sockSeqpacket}, "5/132 127.0.0.1:80"},
		{"127.0.0.1", "80", Hints{Type: stream, Proto: protoUDP}, "EAI -7"},
		{"127.0.0.1", "80", Hints{Type: 99}, "EAI -7"},
		{"127.0.0.1", "80", Hints{Type: -1}, "EAI -7"},
		{"nosuch", "80", Hints{Type: 99}, "EAI -7"},
		{"127.0.0.1", "80", Hints{Proto: 99}, "EAI -8"},
		{"127.0.0.1", "80", Hints{Proto: -1}, "EAI -8"},
		{"127.0.0.1", "80", Hints{Family: 99, Type: 99}, "EAI -6"},
		{"127.0.0.1", "80", Hints{Family: afUnix}, "EAI -6"},
		{"127.0.0.1", "80", Hints{Family: -1}, "EAI -6"},
		{"127.0.0.1", "80", with(2048), "EAI -1"},
		{"127.0.0.1", "80", with(-1), "EAI -1"},
	}
	r := hermetic(t)
	for _, eol := range []string{"\n", "\r\n"} {
		r.Files = files(t, eol)
		for _, tt := range tests {
			if got := show(r.GetAddrInfo(t.Context(), tt.host, tt.service, tt.hints)); got != tt.want {
				t.Errorf("GetAddrInfo(%q, %q, %+v), lines ending in %q:\n got %s\nwant %s", tt.host, tt.service, tt.hints, eol, got, tt.want)
			}
		}
	}
}

// AI_ADDRCONFIG keeps to the families that the interfaces have.
func TestAddrConfig(t *testing.T) {
	nets := func(s ...string) (addrs []net.Addr) {
		for _, s := range append(s, "127.0.0.1/8", "::1/128") {
			ip, n, err := net.ParseCIDR(s)
			if err != nil {
				t.Fatal(err)
			}
			addrs = append(addrs, &net.IPNet{IP: ip, Mask: n.Mask})
		}
		return addrs
	}
	const six, four = "1/6 [2001:db8::1]:1", "1/6 192.0.2.4:1"
	const mapped = "1/6 [::ffff:192.0.2.4]:1"
	for _, tt := range []struct {
		addrs                         []net.Addr
		any, want4, want6, wantMapped string
	}{
		{nets("192.0.2.200/24"), four, four, "EAI -2", mapped},
		{nets("2001:db8::200/64"), six, "EAI -2", six, six},
		{nets("192.0.2.200/24", "2001:db8::200/64"), six + ", " + four, four, six, six},
		{nets(), six + ", " + four, four, six, six}, // an isolated machine keeps what it finds
	} {
		r := hermetic(t)
		r.DNS = zone{"dual.test.": {records: []dnsmessage.ResourceBody{a(192, 0, 2, 4), aaaa(1)}}}.serve(t)
		r.addrs = func() ([]net.Addr, error) { return tt.addrs, nil }
		for _, host := range []string{"dual.example", "dual.test"} { // the file's, the DNS's
			for f, want := range map[Family]string{afUnspec: tt.any, afInet: tt.want4, afInet6: tt.want6} {
				infos, err := r.GetAddrInfo(t.Context(), host, "1", Hints{Flags: AI_ADDRCONFIG, Family: f, Type: sockStream})
				// The order of the DNS's answers depends on the machine's routes.
				slices.SortStableFunc(infos, func(a, b AddrInfo) int { return int(b.Family - a.Family) })
				if got := show(infos, err); got != want {
					t.Errorf("with %v, %s in %v: %s; want %s", tt.addrs, host, f, got, want)
				}
			}
			if got := show(r.GetAddrInfo(t.Context(), host, "1", Hints{Flags: AI_ADDRCONFIG | AI_V4MAPPED, Family: afInet6, Type: sockStream})); got != tt.wantMapped {
				t.Errorf("with %v, %s mapped: %s; want %s", tt.addrs, host, got, tt.wantMapped)
			}
		}
		for host, want := range map[string]string{
			"localhost": "1/6 [::1]:1, 1/6 127.0.0.1:1", "127.0.0.1": "1/6 127.0.0.1:1", "::1": "1/6 [::1]:1", // glibc cuts these, too
		} {
			if got := show(r.GetAddrInfo(t.Context(), host, "1", Hints{Flags: AI_ADDRCONFIG, Type: sockStream})); got != want {
				t.Errorf("with %v, %s: %s; want %s", tt.addrs, host, got, want)
			}
		}
	}

	// Interfaces that can't be asked keep nothing out.
	r := hermetic(t)
	r.addrs = func() ([]net.Addr, error) { return nil, errors.New("no netlink") }
	if got := show(r.GetAddrInfo(t.Context(), "dual.example", "1", Hints{Flags: AI_ADDRCONFIG, Type: sockStream})); got != six+", "+four {
		t.Error(got)
	}
}

// The file's addresses are in RFC 6724's order of precedence, those of one rank in
// the file's.
func TestPrecedence(t *testing.T) {
	want := []string{
		"::1", "2001:db8::2", "2001:db8::1", "fe80::1", "192.0.2.9", "::ffff:192.0.2.8", "192.0.2.7",
		"2002::1", "2001::1", "fdff::1", "::102:304", "fec0::1", "3ffe::1",
	}
	for _, from := range [][]int{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {10, 11, 12, 9, 8, 7, 4, 5, 6, 1, 2, 3, 0}} {
		var hosts strings.Builder
		for _, i := range from {
			fmt.Fprintln(&hosts, want[i], "many.example")
		}
		r := Resolver{Files: fstest.MapFS{"hosts": {Data: []byte(hosts.String())}}, DNS: offline(t)}
		e, err := r.resolve(t.Context(), "many.example", afUnspec, 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, ip := range e.Addrs {
			got = append(got, ip.String())
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("from %v (-want +got):\n%s", from, diff)
		}
	}
}

// Of the system's interfaces only loopback's name is known to be there, and it
// becomes a scope and a name again.
func TestScope(t *testing.T) {
	ifaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(ifaces, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if i < 0 {
		t.Skip("no loopback interface")
	}
	lo := ifaces[i]
	r := hermetic(t)
	r.DNS = offline(t)
	for host, ok := range map[string]bool{"fe80::1": true, "ff02::1": true, "ff05::1": false, "::1": false, "2001:db8::1": false} {
		zoned := host + "%" + lo.Name
		addr, err := r.NameToAddr(t.Context(), afInet6, zoned, 80)
		if !ok {
			if !errors.Is(err, EAI_NONAME) {
				t.Errorf("%s: %v, %v; only link-local addresses have names of interfaces", zoned, addr, err)
			}
			continue
		}
		if a, _ := addr.(Inet6Addr); a.ScopeID != uint32(lo.Index) || a.IP.Zone() != "" {
			t.Errorf("%s: %#v, %v; want the scope %d", zoned, addr, err, lo.Index)
			continue
		}
		if got, _, err := r.GetNameInfo(t.Context(), addr, NI_NUMERICHOST); got != zoned {
			t.Errorf("%s came back as %q, %v", zoned, got, err)
		}
	}
}

func TestHostByName(t *testing.T) {
	r := hermetic(t)
	for _, tt := range []struct{ host, first, all, byAddr string }{
		{"", "0.0.0.0", "h_errno 3", "EAI -9"},
		{"<broadcast>", "255.255.255.255", "h_errno 1", "h_errno 1"},
		{"127.1", "127.0.0.1", "127.1 [] [127.0.0.1]", "localhost [lh] [127.0.0.1]"},
		{"0x7f.1", "127.0.0.1", "0x7f.1 [] [127.0.0.1]", "localhost [lh] [127.0.0.1]"}, // Python's _ex: h_errno 1
		{"::1", "EAI -9", "EAI -9", "localhost [ip6-localhost] [::1]"},
		{"::", "EAI -9", "EAI -9", "h_errno 1"},
		{"0.0.0.0", "0.0.0.0", "0.0.0.0 [] [0.0.0.0]", "h_errno 1"},
		{"localhost", "127.0.0.1", "localhost [lh ip6-localhost] [127.0.0.1]", "localhost [ip6-localhost] [::1]"},
		{"LocalHost", "127.0.0.1", "localhost [lh ip6-localhost] [127.0.0.1]", "localhost [ip6-localhost] [::1]"},
		{"vm", "127.0.0.1", "vm [] [127.0.0.1]", "localhost [lh] [127.0.0.1]"},
		{"multi.example", "192.0.2.1", "multi.example [Multi m1 m2 m3 other.example] [192.0.2.1 192.0.2.2 192.0.2.3]", "multi.example [Multi m1] [192.0.2.1]"},
		{"other.example", "192.0.2.3", "other.example [multi.example m3] [192.0.2.3]", "other.example [multi.example m3] [192.0.2.3]"},
		{"192.0.2.3", "192.0.2.3", "192.0.2.3 [] [192.0.2.3]", "other.example [multi.example m3] [192.0.2.3]"},
		{"dual.example", "192.0.2.4", "dual.example [] [192.0.2.4]", "dual.example [] [2001:db8::1]"},
		{"six.example", "EAI -2", "EAI -2", "six.example [] [2001:db8::2]"},
		{"mapped.example", "192.0.2.6", "mapped.example [] [192.0.2.6]", "mapped.example [] [::ffff:192.0.2.6]"},
		{"192.0.2.6", "192.0.2.6", "192.0.2.6 [] [192.0.2.6]", "mapped.example [] [192.0.2.6]"},
		{"fe80::1%9", "EAI -9", "EAI -9", "link.example [] [fe80::1%9]"},
		{"short", "192.0.2.7", "short [short.example] [192.0.2.7]", "short [short.example] [192.0.2.7]"},
		{"192.0.2.11", "192.0.2.11", "192.0.2.11 [] [192.0.2.11]", "h_errno 1"}, // a line without a name; Python: ''
		{"nosuch.example", "EAI -2", "EAI -2", "EAI -2"},
	} {
		ip, err := r.HostByName(t.Context(), tt.host)
		got := ip.String()
		if err != nil {
			got = code(err)
		}
		if got != tt.first {
			t.Errorf("HostByName(%q) = %s, want %s", tt.host, got, tt.first)
		}
		if got := list(r.HostByNameEx(t.Context(), tt.host)); got != tt.all {
			t.Errorf("HostByNameEx(%q) = %s, want %s", tt.host, got, tt.all)
		}
		if got := list(r.HostByAddr(t.Context(), tt.host)); got != tt.byAddr {
			t.Errorf("HostByAddr(%q) = %s, want %s", tt.host, got, tt.byAddr)
		}
	}
}

func TestFQDN(t *testing.T) {
	r := hermetic(t)
	for _, tt := range []struct{ machine, host, want string }{
		{"vm", "", "localhost"},
		{"vm", " \t", "localhost"},
		{"vm", "0.0.0.0", "localhost"},
		{"vm", "::", "localhost"},
		{"short", "", "short.example"},
		{"nosuch", "", "nosuch"},
		{"vm", "short", "short.example"},
		{"vm", "192.0.2.7", "short.example"},
		{"vm", " m1 ", "multi.example"},
		{"vm", "nosuch.example", "nosuch.example"},
		{"vm", "homer", "homer"},
		{"vm", "192.0.2.99", "192.0.2.99"},
		{"vm", "<broadcast>", "<broadcast>"},
	} {
		r.Host = func() (string, error) { return tt.machine, nil }
		if got := r.FQDN(t.Context(), tt.host); got != tt.want {
			t.Errorf("FQDN(%q) on %s = %q, want %q", tt.host, tt.machine, got, tt.want)
		}
	}
	r.Host = func() (string, error) { return "", errors.New("no name") }
	if got := r.FQDN(t.Context(), "::"); got != "::" {
		t.Errorf("without a hostname: %q", got)
	}
}

func TestNameToAddr(t *testing.T) {
	r := hermetic(t)
	for _, tt := range []struct {
		family     Family
		host, want string
	}{
		{afInet, "", "0.0.0.0:7"},
		{afInet6, "", "[::]:7"},
		{afUnspec, "", "EAI -9"},
		{afInet, "<broadcast>", "255.255.255.255:7"},
		{afUnspec, "<broadcast>", "255.255.255.255:7"},
		{afInet6, "<broadcast>", "EAI -9"},
		{afInet6, "255.255.255.255", "EAI -9"},
		{afInet, "127.1", "127.0.0.1:7"},
		{afInet, "::1", "EAI -9"},
		{afInet6, "127.0.0.1", "EAI -9"},
		{afInet6, "fe80::1%3", "[fe80::1%3]:7"},
		{afUnspec, "localhost", "[::1]:7"},
		{afInet, "multi.example", "192.0.2.1:7"},
		{afInet, "nosuch.example", "EAI -2"},
		{afUnix, "localhost", "EAI -6"},
		{afUnix, "", "EAI -6"},
	} {
		addr, err := r.NameToAddr(t.Context(), tt.family, tt.host, 7)
		got := fmt.Sprint(addr)
		if err != nil {
			got = code(err)
		}
		if got != tt.want {
			t.Errorf("NameToAddr(%v, %q) = %s, want %s", tt.family, tt.host, got, tt.want)
		}
	}
}
