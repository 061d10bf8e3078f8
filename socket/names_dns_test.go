package socket

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"
)

var world = zone{
	"both.test.":               {records: []dnsmessage.ResourceBody{a(192, 0, 2, 51), aaaa(0x51), a(192, 0, 2, 51)}},
	"four.test.":               {records: []dnsmessage.ResourceBody{a(192, 0, 2, 52)}},
	"six.test.":                {records: []dnsmessage.ResourceBody{aaaa(0x53)}},
	"alias.test.":              {records: []dnsmessage.ResourceBody{cname("other.test.")}},
	"other.test.":              {records: []dnsmessage.ResourceBody{cname("real.test.")}},
	"real.test.":               {records: []dnsmessage.ResourceBody{a(192, 0, 2, 54)}},
	"empty.test.":              {},
	"broken.test.":             {rcode: dnsmessage.RCodeServerFailure},
	"refused.test.":            {rcode: dnsmessage.RCodeRefused},
	"54.2.0.192.in-addr.arpa.": {records: []dnsmessage.ResourceBody{ptr("server17.isp.test."), ptr("real.test.")}},
	"66.2.0.192.in-addr.arpa.": {rcode: dnsmessage.RCodeServerFailure},
	"67.2.0.192.in-addr.arpa.": {rcode: dnsmessage.RCodeRefused},
	"68.2.0.192.in-addr.arpa.": {records: []dnsmessage.ResourceBody{ptr(".")}},
	"69.2.0.192.in-addr.arpa.": {records: []dnsmessage.ResourceBody{ptr("."), ptr("real.test.")}},
	"1.2.0.192.in-addr.arpa.":  {records: []dnsmessage.ResourceBody{ptr("not-the-file.test.")}},
	"multi.example.":           {records: []dnsmessage.ResourceBody{a(192, 0, 2, 99)}},
	"lh.":                      {records: []dnsmessage.ResourceBody{aaaa(0x99)}},
	"localhost.":               {records: []dnsmessage.ResourceBody{a(192, 0, 2, 99), aaaa(0x99)}},
	"www.localhost.":           {records: []dnsmessage.ResourceBody{a(192, 0, 2, 99), aaaa(0x99)}},
	strings.Repeat("0.", 24) + "8.b.d.0.1.0.0.2.ip6.arpa.": {records: []dnsmessage.ResourceBody{ptr("v6.test.")}},
}

func TestDNS(t *testing.T) {
	r := hermetic(t)
	r.DNS = world.serve(t)
	for _, tt := range []struct {
		host   string
		family Family
		flags  AI
		want   string
	}{
		{"both.test", afUnspec, 0, "1/6 192.0.2.51:1, 1/6 [2001:db8::51]:1"},
		{"both.test", afInet, 0, "1/6 192.0.2.51:1"},
		{"both.test", afInet6, 0, "1/6 [2001:db8::51]:1"},
		{"both.test.", afInet, 0, "1/6 192.0.2.51:1"},
		{"BOTH.test", afInet, AI_CANONNAME, "1/6 192.0.2.51:1 BOTH.test"},
		{"both.test", afInet6, AI_V4MAPPED, "1/6 [2001:db8::51]:1"},
		{"both.test", afInet6, AI_V4MAPPED | AI_ALL, "1/6 [2001:db8::51]:1, 1/6 [::ffff:192.0.2.51]:1"},
		{"four.test", afInet6, AI_V4MAPPED, "1/6 [::ffff:192.0.2.52]:1"},
		{"four.test", afUnspec, 0, "1/6 192.0.2.52:1"},
		{"four.test", afInet6, 0, "EAI -2"}, // glibc: EAI_NODATA
		{"six.test", afInet, 0, "EAI -2"},
		{"empty.test", afUnspec, 0, "EAI -2"},
		{"alias.test", afUnspec, AI_CANONNAME, "1/6 192.0.2.54:1 real.test"},
		{"alias.test", afUnspec, 0, "1/6 192.0.2.54:1"},
		{"nosuch.test", afUnspec, 0, "EAI -2"},
		{"broken.test", afUnspec, 0, "EAI -3"},
		{"broken.test", afInet, AI_CANONNAME, "EAI -3"},
		{"refused.test", afUnspec, 0, "EAI -4"},
		// The file comes first, family by family; localhost stays at home.
		{"multi.example", afInet, 0, "1/6 192.0.2.1:1, 1/6 192.0.2.2:1, 1/6 192.0.2.3:1"},
		{"localhost", afInet6, 0, "1/6 [::1]:1"},
		{"www.localhost", afUnspec, AI_CANONNAME, "1/6 [::1]:1 www.localhost, 1/6 127.0.0.1:1"},
		{"WWW.LocalHost.", afInet, 0, "1/6 127.0.0.1:1"},
		{"notlocalhost", afInet, 0, "EAI -2"},
	} {
		infos, err := r.GetAddrInfo(t.Context(), tt.host, "1", Hints{Family: tt.family, Type: sockStream, Flags: tt.flags})
		if strings.HasPrefix(tt.host, "both") {
			// The order is net.Resolver's, which asks the machine for its routes.
			slices.SortStableFunc(infos, func(a, b AddrInfo) int { return strings.Compare(a.Addr.String(), b.Addr.String()) })
		}
		if got := show(infos, err); got != tt.want {
			t.Errorf("%s in %v with flags %d: %s; want %s (%v)", tt.host, tt.family, int(tt.flags), got, tt.want, err)
		}
	}

	for host, want := range map[string]string{
		"alias.test":  "real.test [alias.test] [192.0.2.54]",
		"both.test":   "both.test [] [192.0.2.51]",
		"six.test":    "EAI -2",
		"broken.test": "EAI -3",
	} {
		if got := list(r.HostByNameEx(t.Context(), host)); got != want {
			t.Errorf("HostByNameEx(%s) = %s, want %s", host, got, want)
		}
	}
	// net.Resolver finds now this end of the chain, now that.
	for range 50 {
		if e, err := r.HostByNameEx(t.Context(), "alias.test"); e.Name != "real.test" {
			t.Fatalf("%+v, %v", e, err)
		}
	}
	// X13, X21: the reverse name is another one than that which led there.
	for host, want := range map[string]string{
		"alias.test":        "server17.isp.test [real.test] [192.0.2.54]",
		"192.0.2.54":        "server17.isp.test [real.test] [192.0.2.54]",
		"::ffff:192.0.2.54": "server17.isp.test [real.test] [::ffff:192.0.2.54]",
		"2001:db8::":        "v6.test [] [2001:db8::]",
		"192.0.2.1":         "multi.example [Multi m1] [192.0.2.1]",
		"192.0.2.65":        "h_errno 1",
		"192.0.2.66":        "h_errno 2",
		"192.0.2.67":        "h_errno 3",
		"192.0.2.68":        "h_errno 1", // the root is nobody's name
		"192.0.2.69":        "real.test [] [192.0.2.69]",
		"nosuch.test":       "EAI -2",
		"broken.test":       "EAI -3",
	} {
		if got := list(r.HostByAddr(t.Context(), host)); got != want {
			t.Errorf("HostByAddr(%s) = %s, want %s", host, got, want)
		}
	}
	if got := r.FQDN(t.Context(), "alias.test"); got != "server17.isp.test" {
		t.Errorf("FQDN: %s", got)
	}
}

// An isolated machine without a hosts file has a localhost, and asks nobody for it.
func TestLocalhostWithoutFile(t *testing.T) {
	r := &Resolver{Files: fstest.MapFS{}, DNS: offline(t)}
	if got := show(r.GetAddrInfo(t.Context(), "localhost", "http", Hints{})); got != "1/6 [::1]:80, 1/6 127.0.0.1:80" {
		t.Error(got)
	}
	if ip, err := r.HostByName(t.Context(), "localhost"); err != nil || ip != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("%v, %v", ip, err)
	}
	// With one for IPv4 only, IPv6 has none.
	r.Files = fstest.MapFS{"hosts": {Data: []byte("127.0.0.1 www.localhost")}}
	if got := show(r.GetAddrInfo(t.Context(), "www.localhost", "1", Hints{Family: afInet6})); got != "EAI -2" {
		t.Error(got)
	}
}

// What no server could answer isn't asked, and neither is anything for a numeric host
// or under AI_NUMERICHOST.
func TestNothingAsked(t *testing.T) {
	r := hermetic(t)
	r.DNS = offline(t)
	for _, host := range []string{"<broadcast>", "[::1]", "a b", "a..b", ".", "..", "é", "a\x00b", "a\nb", "a b.localhost", ".localhost", strings.Repeat("x", 64), strings.Repeat("x.", 128)} {
		if _, err := r.GetAddrInfo(t.Context(), host, "80", Hints{}); !errors.Is(err, EAI_NONAME) {
			t.Errorf("%q: %v", host, err)
		}
	}
	if _, err := r.GetAddrInfo(t.Context(), "www.test", "80", Hints{Flags: AI_NUMERICHOST}); !errors.Is(err, EAI_NONAME) {
		t.Error(err)
	}
	if _, err := r.GetAddrInfo(t.Context(), "www.test", "nosuch", Hints{}); !errors.Is(err, EAI_SERVICE) {
		t.Error(err)
	}
	// A name that the file answers, too.
	if _, err := r.GetAddrInfo(t.Context(), "multi.example", "80", Hints{Flags: AI_CANONNAME}); err != nil {
		t.Error(err)
	}
}

// silent is a server that never answers: asked is called when a query has come.
func silent(asked func()) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		asked()
		<-ctx.Done()
		return nil, ctx.Err()
	}}
}

// calls are all that may ask the DNS.
func calls(r *Resolver) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"GetAddrInfo": func(ctx context.Context) error {
			_, err := r.GetAddrInfo(ctx, "slow.test", "80", Hints{})
			return err
		},
		"HostByName":   func(ctx context.Context) error { _, err := r.HostByName(ctx, "slow.test"); return err },
		"HostByNameEx": func(ctx context.Context) error { _, err := r.HostByNameEx(ctx, "slow.test"); return err },
		"NameToAddr":   func(ctx context.Context) error { _, err := r.NameToAddr(ctx, afInet6, "slow.test", 1); return err },
		"HostByAddr":   func(ctx context.Context) error { _, err := r.HostByAddr(ctx, "192.0.2.60"); return err },
		"GetNameInfo": func(ctx context.Context) error {
			_, _, err := r.GetNameInfo(ctx, InetAddr{IP: netip.MustParseAddr("192.0.2.60")}, NI_NUMERICSERV)
			return err
		},
	}
}

func TestCancel(t *testing.T) {
	needDNS(t)
	for name := range calls(nil) {
		ctx, cancel := context.WithCancel(t.Context())
		r := hermetic(t)
		r.DNS = silent(cancel)
		err := calls(r)[name](ctx)
		if !errors.Is(err, context.Canceled) || isTimeout(err) || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s, canceled: %v", name, err)
		}
		if got := code(err); got != "EAI -101" && got != "h_errno -1" {
			t.Errorf("%s, canceled: %s", name, got)
		}

		// Before it has begun.
		r.DNS = offline(t)
		if err := calls(r)[name](ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, canceled before: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := hermetic(t)
	r.DNS = silent(func() {})
	if got := r.FQDN(ctx, "slow.test"); got != "slow.test" {
		t.Errorf("FQDN, canceled: %q", got)
	}
}

func TestDeadline(t *testing.T) {
	for name := range calls(nil) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
		r := hermetic(t)
		r.DNS = offline(t)
		err := calls(r)[name](ctx)
		cancel()
		timeout, ok := errors.AsType[net.Error](err)
		if !ok || !timeout.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		if got := code(err); got != "EAI -3" && got != "h_errno 2" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// The question for the canonical name can be canceled as well.
func TestCancelCanonName(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := hermetic(t)
	server := world.serve(t)
	var dials atomic.Int32
	r.DNS = &net.Resolver{PreferGo: true, Dial: func(dctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1) > 1 {
			cancel()
			<-dctx.Done()
			return nil, dctx.Err()
		}
		return server.Dial(dctx, network, addr)
	}}
	infos, err := r.GetAddrInfo(ctx, "four.test", "1", Hints{Family: afInet, Flags: AI_CANONNAME})
	if !errors.Is(err, EAI_CANCELED) || infos != nil {
		t.Errorf("%v, %v", infos, err)
	}
}

// mute is a connection to a name server on which every answer is overdue.
type mute struct{ net.Conn }

func (mute) Write(p []byte) (int, error) { return len(p), nil }
func (mute) Read([]byte) (int, error)    { return 0, os.ErrDeadlineExceeded }
func (mute) SetDeadline(time.Time) error { return nil }
func (mute) Close() error                { return nil }

func overdueDNS(t *testing.T) *net.Resolver {
	t.Helper()
	needDNS(t)
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return mute{}, nil }}
}

// A server that doesn't answer is a timeout, but not the context's.
func TestServerTimeout(t *testing.T) {
	for name := range calls(nil) {
		r := hermetic(t)
		r.DNS = overdueDNS(t)
		err := calls(r)[name](t.Context())
		if e, ok := errors.AsType[net.Error](err); !ok || !e.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		if got := code(err); got != "EAI -3" && got != "h_errno 2" {
			t.Errorf("%s: %s", name, got)
		}
		if d, ok := errors.AsType[*net.DNSError](err); !ok || !d.IsTimeout {
			t.Errorf("%s: no DNSError in %v", name, err)
		}
	}
}

// unreadable is a file system in which reading one file fails.
type unreadable struct {
	fs.FS
	name string
	err  error
}

func (u unreadable) Open(name string) (fs.File, error) {
	if name == u.name {
		return nil, &fs.PathError{Op: "open", Path: name, Err: u.err}
	}
	return u.FS.Open(name)
}

// A hosts file that can't be read doesn't keep the DNS from answering, but is told
// where that has no answer; for services and protocols there is no one else to ask.
func TestUnreadable(t *testing.T) {
	r := hermetic(t)
	r.DNS = world.serve(t)
	r.Files = unreadable{r.Files, "hosts", fs.ErrPermission}
	if got := show(r.GetAddrInfo(t.Context(), "four.test", "1", Hints{Type: sockStream})); got != "1/6 192.0.2.52:1" {
		t.Error(got)
	}
	_, err := r.GetAddrInfo(t.Context(), "nosuch.test", "1", Hints{})
	if !errors.Is(err, EAI_NONAME) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "open hosts: permission denied") {
		t.Error(err)
	}
	_, err = r.HostByAddr(t.Context(), "192.0.2.65")
	if !errors.Is(err, HOST_NOT_FOUND) || !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}

	r.Files = unreadable{files(t, "\n"), "services", fs.ErrPermission}
	_, err = r.GetAddrInfo(t.Context(), "127.0.0.1", "http", Hints{})
	if !errors.Is(err, EAI_SYSTEM) || !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	if _, _, err = r.GetNameInfo(t.Context(), InetAddr{Port: 80}, NI_NUMERICHOST); !errors.Is(err, EAI_SYSTEM) {
		t.Error(err)
	}
	if _, err = r.ServiceByName("http", ""); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
	r.Files = fstest.MapFS{"services": {Mode: fs.ModeDir}} // opens, but can't be read
	if _, err = r.ServiceByPort(80, ""); !errors.Is(err, fs.ErrInvalid) {
		t.Error(err)
	}
	r.Files = unreadable{files(t, "\n"), "protocols", fs.ErrPermission}
	if _, err = r.ProtocolByName("tcp"); !errors.Is(err, fs.ErrPermission) {
		t.Error(err)
	}
}

// What is wrong with the hosts file is none of Timeout's business.
func TestTimeoutIsTheDNS(t *testing.T) {
	for errno, overdue := range map[syscall.Errno]bool{syscall.EACCES: true, syscall.EAGAIN: false} {
		r := hermetic(t)
		r.Files = unreadable{r.Files, "hosts", errno}
		if overdue {
			r.DNS = overdueDNS(t)
		}
		_, err := r.HostByName(t.Context(), "slow.test")
		if e, ok := errors.AsType[net.Error](err); !ok || e.Timeout() != overdue || errors.Is(err, os.ErrDeadlineExceeded) != overdue {
			t.Errorf("%v: Timeout() isn't %v", err, overdue)
		}
	}
}

// What net.Resolver may return besides what the servers above bring about.
func TestHostCode(t *testing.T) {
	for err, want := range map[error]HErrno{
		&net.AddrError{Err: "no suitable address"}: HOST_NOT_FOUND, // the system's hosts file has the other family
		&net.DNSError{IsTimeout: true}:             TRY_AGAIN,
		&net.DNSError{IsTemporary: true}:           TRY_AGAIN,
		&net.DNSError{Err: "garbage"}:              NO_RECOVERY,
		errors.New("any"):                          NETDB_INTERNAL,
	} {
		if got := hostCode(err); got != want {
			t.Errorf("%#v: %d, want %d", err, int(got), int(want))
		}
	}
}

func TestErrorTexts(t *testing.T) {
	r := hermetic(t)
	r.DNS = world.serve(t)
	texts := func(err error) string {
		if err == nil {
			return "no error"
		}
		text := err.Error()
		if d, ok := errors.AsType[*net.DNSError](err); ok {
			text = strings.ReplaceAll(text, " on "+d.Server, "")
		}
		return text
	}
	addrInfo := func(host, service string, h Hints) error {
		_, err := r.GetAddrInfo(t.Context(), host, service, h)
		return err
	}
	_, byAddr := r.HostByAddr(t.Context(), "192.0.2.65")
	_, byAddr2 := r.HostByAddr(t.Context(), "192.0.2.66")
	_, ex := r.HostByNameEx(t.Context(), "")
	_, _, info := r.GetNameInfo(t.Context(), InetAddr{IP: netip.MustParseAddr("192.0.2.65"), Port: 80}, NI_NAMEREQD)
	_, _, none := r.GetNameInfo(t.Context(), nil, 0)
	_, service := r.ServiceByName("HTTP", "tcp")
	_, port := r.ServiceByPort(69, "tcp")
	_, protocol := r.ProtocolByName("Icmp")
	got := []string{
		texts(addrInfo("nosuch.test", "", Hints{})), texts(addrInfo("nosuch.test", "http", Hints{})),
		texts(addrInfo("::1", "80", Hints{Family: afInet})), texts(addrInfo("", "x\ny", Hints{})),
		texts(addrInfo("broken.test", "", Hints{})), texts(byAddr), texts(byAddr2), texts(ex), texts(info), texts(none),
		texts(service), texts(port), texts(protocol),
	}
	want := []string{
		`getaddrinfo "nosuch.test": name or service not known`,
		`getaddrinfo "nosuch.test:http": name or service not known`,
		`getaddrinfo "[::1]:80": address family for hostname not supported`,
		`getaddrinfo ":x\ny": servname not supported for ai_socktype`,
		`getaddrinfo "broken.test": temporary failure in name resolution: lookup broken.test: server misbehaving`,
		`gethostbyaddr "192.0.2.65": unknown host`,
		`gethostbyaddr "192.0.2.66": host name lookup failure: lookup 66.2.0.192.in-addr.arpa.: server misbehaving`,
		`gethostbyname "": unknown server error`,
		`getnameinfo "192.0.2.65:80": name or service not known`,
		`getnameinfo "": ai_family not supported`,
		`lookup HTTP/tcp: service/proto not found`,
		`lookup 69/tcp: port/proto not found`,
		`lookup Icmp: protocol not found`,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
	// Python's texts, as scripts compare them.
	for e, want := range map[EAI]string{
		-1: "Bad value for ai_flags", -2: "Name or service not known", -3: "Temporary failure in name resolution",
		-4: "Non-recoverable failure in name resolution", -5: "No address associated with hostname", -6: "ai_family not supported",
		-7: "ai_socktype not supported", -8: "Servname not supported for ai_socktype", -9: "Address family for hostname not supported",
		-10: "Memory allocation failure", -11: "System error", -12: "Argument buffer overflow", -101: "Request canceled", 7: "Unknown error",
	} {
		if got := e.String(); got != want || e.Error() != strings.ToLower(want) {
			t.Errorf("EAI %d: %q, %q", int(e), got, e.Error())
		}
	}
	for e, want := range map[HErrno]string{
		-1: "Resolver internal error", 1: "Unknown host", 2: "Host name lookup failure", 3: "Unknown server error",
		4: "No address associated with name", 9: "Unknown resolver error",
	} {
		if got := e.String(); got != want || e.Error() != strings.ToLower(want) {
			t.Errorf("h_errno %d: %q, %q", int(e), got, e.Error())
		}
	}
	for _, err := range []error{addrInfo("broken.test", "", Hints{}), byAddr2} {
		e, ok := err.(interface {
			Timeout() bool
			Temporary() bool
		})
		if !ok || !e.Temporary() || e.Timeout() {
			t.Errorf("%v: temporary, and no timeout, is what it is", err)
		}
	}
}
