package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
)

// The lines of a services file: which count, and what for.
func TestServices(t *testing.T) {
	for _, eol := range []string{"\n", "\r\n"} {
		r := &Resolver{Files: files(t, eol), DNS: offline(t)}
		for _, tt := range []struct {
			name, proto string
			want        uint16 // 0: not found
		}{
			{"both", "", 1000}, {"both", "tcp", 1001}, {"both", "udp", 1000},
			{"alias", "", 1002}, // the first line that has it, as an alias or not
			{"upper", "", 1004}, {"upper", "tcp", 0}, {"upper", "TCP", 1004},
			{"signal", "sctp", 1005},
			{"cut", "tcp", 1006},
			{"crlf", "tcp", 1007}, {"crlfalias", "tcp", 1007},
			{"80", "", 1008},
			{"biff", "", 512}, {"biff", "tcp", 0}, {"exec", "udp", 0}, {"comsat", "", 512},
			{"toobig", "", 0}, {"wrapped", "", 0}, // glibc: 0 and 80
			{"minus", "", 0}, {"plus", "", 0}, {"hex", "", 0}, {"junk", "", 0}, // glibc takes +1009 and 0x3f1
			{"noproto", "", 0}, {"empty", "", 0}, {"noport", "", 0}, {"spaced", "", 0}, {"alone", "", 0},
			{"#", "", 0}, {"443", "", 0}, {"/tcp", "", 0}, {"nosuch", "nosuch", 0},
		} {
			got, err := r.ServiceByName(tt.name, tt.proto)
			if got != tt.want || (err == nil) != (tt.want != 0) {
				t.Errorf("ServiceByName(%q, %q) = %d, %v; want %d", tt.name, tt.proto, got, err, tt.want)
			}
		}
		for _, tt := range []struct {
			port        uint16
			proto, want string
		}{
			{1001, "", "both"}, {1000, "tcp", ""}, {1003, "", "alias"}, {512, "", "exec"}, {512, "udp", "biff"},
			{514, "udp", "syslog"}, {65534, "", "last"}, {0, "", ""}, {1004, "tcp", ""},
		} {
			got, err := r.ServiceByPort(tt.port, tt.proto)
			if got != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("ServiceByPort(%d, %q) = %q, %v; want %q", tt.port, tt.proto, got, err, tt.want)
			}
		}
		for _, tt := range []struct {
			name string
			want Proto // -1: not found
		}{
			{"icmp", 1}, {"ICMP", 1}, {"Icmp", -1}, {"later", 99}, {"cut", 9},
			{"hex", -1}, {"minus", -1}, {"junk", -1}, {"huge", -1}, {"alone", -1}, {"6", -1}, {"", -1},
		} {
			got, err := r.ProtocolByName(tt.name)
			if tt.want >= 0 && (got != tt.want || err != nil) || tt.want < 0 && err == nil {
				t.Errorf("ProtocolByName(%q) = %d, %v; want %d", tt.name, int(got), err, int(tt.want))
			}
		}
	}
}

// Where the files are missing, our own table answers.
func TestOwnTable(t *testing.T) {
	r := &Resolver{Files: fstest.MapFS{}, DNS: offline(t)}
	for name, want := range map[string]uint16{
		// The seeds' URLs.
		"http": 80, "https": 443, "ftp": 21, "gopher": 70, "smtp": 25, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995,
		"www": 80, "imap2": 143, "syslog": 514, "domain": 53, "ssh": 22, "telnet": 23, "ntp": 123, "ldaps": 636, "tftp": 69,
	} {
		if got, err := r.ServiceByName(name, ""); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", name, got, err, want)
		}
	}
	for name, want := range map[string]Proto{"icmp": 1, "ICMP": 1, "tcp": 6, "TCP": 6, "udp": 17, "sctp": 132, "mptcp": 262, "ip": 0} {
		if got, err := r.ProtocolByName(name); err != nil || got != want {
			t.Errorf("%s: %d, %v; want %d", name, int(got), err, int(want))
		}
	}
	for _, tt := range []struct {
		port  uint16
		proto string
		want  string
	}{{80, "", "http"}, {143, "", "imap"}, {514, "udp", "syslog"}, {514, "", "shell"}, {512, "udp", "biff"}, {53, "udp", "domain"}} {
		if got, err := r.ServiceByPort(tt.port, tt.proto); err != nil || got != tt.want {
			t.Errorf("%d/%s: %q, %v; want %q", tt.port, tt.proto, got, err, tt.want)
		}
	}
	if got := show(r.GetAddrInfo(t.Context(), "127.0.0.1", "http", Hints{})); got != "1/6 127.0.0.1:80" {
		t.Errorf("http isn't TCP's alone: %s", got)
	}

	// No line of it is passed over, and none says again what an earlier one said.
	lines, seen := 0, map[string]bool{}
	err := r.services(t.Context(), func(_ uint16, proto []byte, names [][]byte) bool {
		lines++
		for _, name := range names {
			key := string(name) + "/" + string(proto)
			if seen[key] {
				t.Errorf("%s twice", key)
			}
			seen[key] = true
		}
		return true
	})
	if want := strings.Count(strings.TrimSpace(services), "\n") + 1; err != nil || lines != want {
		t.Errorf("%d of %d lines, %v", lines, want, err)
	}
}

// endless is a file that goes on with the same bytes for ever, and counts.
type endless struct {
	fs.File
	text []byte
	read int
}

func (e *endless) Open(string) (fs.File, error) { return e, nil }
func (e *endless) Close() error                 { return nil }
func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text)
	}
	e.read += n
	return n, nil
}

// Lines and files end somewhere.
func TestBounds(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	r := &Resolver{DNS: offline(t), Files: fstest.MapFS{
		"services": {Data: []byte("first 1/tcp\nlong 2/tcp " + long + "\n" + long + " second 3/tcp\nsecond 4/tcp\n" + long)},
		"hosts":    {Data: append(bytes.Repeat([]byte("\x00\xff 127.0.0.1\n#\n\n"), 1000), "192.0.2.1 last"...)},
	}}
	for name, want := range map[string]uint16{"first": 1, "long": 0, "second": 4, long: 0} {
		if got, err := r.ServiceByName(name, ""); got != want || (err == nil) != (want != 0) {
			t.Errorf("%.9s: %d, %v; want %d", name, got, err, want)
		}
	}
	if ip, err := r.HostByName(t.Context(), "last"); err != nil || ip.String() != "192.0.2.1" {
		t.Errorf("the last line, without an end: %v, %v", ip, err)
	}

	for _, text := range []string{strings.Repeat("x", 999) + " 1/udp\n", strings.Repeat("x", 1000)} {
		file := &endless{text: []byte(text)}
		r.Files = file
		if _, err := r.ServiceByName("y", ""); !errors.Is(err, errFileSize) || file.read > maxFile+maxLine+len(text) {
			t.Errorf("an endless file: %v after %d bytes", err, file.read)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file := &endless{text: []byte("192.0.2.1 x\n")}
	r.Files = file
	if _, err := r.HostByName(ctx, "y"); !errors.Is(err, context.Canceled) || file.read > maxLine {
		t.Errorf("canceled: %v after %d bytes", err, file.read)
	}
}

// torn is a file that breaks off.
type torn struct {
	fs.File
	io.Reader
}

func (f torn) Open(string) (fs.File, error) { return f, nil }
func (f torn) Close() error                 { return nil }
func (f torn) Read(p []byte) (int, error)   { return f.Reader.Read(p) }

// A part of a line says something else than the line.
func TestTornLine(t *testing.T) {
	r := hermetic(t)
	for _, name := range []string{"whole", "cut"} {
		r.Files = torn{Reader: io.MultiReader(strings.NewReader("192.0.2.1 whole\n192.0.2.2 cut"), iotest.ErrReader(fs.ErrInvalid))}
		if ip, err := r.HostByName(t.Context(), name); (name == "whole") != (err == nil) || err != nil && !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v, %v", name, ip, err)
		}
	}

	// The end of what is read of a large file is the end of "cut".
	const cut = "\n192.0.2.2 cut"
	large := io.LimitReader(&endless{text: bytes.Repeat([]byte("#"), 1000)}, int64(maxFile+1-len(cut)))
	r.Files = torn{Reader: io.MultiReader(large, strings.NewReader(cut+"ter\n"))}
	if ip, err := r.HostByName(t.Context(), "cut"); !errors.Is(err, errFileSize) {
		t.Errorf("%v, %v", ip, err)
	}
}

// A host has at most so many addresses and aliases.
func TestManyLines(t *testing.T) {
	var hosts strings.Builder
	for i := range 3 * maxHost {
		fmt.Fprintf(&hosts, "192.0.%d.%d many alias%d other%d\n", i>>8, i&255, i, i)
	}
	r := &Resolver{DNS: offline(t), Files: fstest.MapFS{"hosts": {Data: []byte(hosts.String())}}}
	e, err := r.HostByNameEx(t.Context(), "many")
	if err != nil || len(e.Addrs) != maxHost || len(e.Aliases) != maxHost || e.Addrs[maxHost-1].String() != "192.0.3.231" {
		t.Errorf("%d addresses, %d aliases, %v", len(e.Addrs), len(e.Aliases), err)
	}
}

// The package's functions are the zero Resolver's: what doesn't depend on the machine.
func TestSystem(t *testing.T) {
	if got := show(GetAddrInfo(t.Context(), "127.1", "80", Hints{Type: sockStream})); got != "1/6 127.0.0.1:80" {
		t.Error(got)
	}
	if host, service, err := GetNameInfo(t.Context(), InetAddr{Port: 1}, NI_NUMERICHOST|NI_NUMERICSERV); host != "0.0.0.0" || service != "1" {
		t.Error(host, service, err)
	}
	if ip, err := HostByName(t.Context(), ""); ip.String() != "0.0.0.0" {
		t.Error(ip, err)
	}
	if got := list(HostByNameEx(t.Context(), "127.0.0.1")); got != "127.0.0.1 [] [127.0.0.1]" {
		t.Error(got)
	}
	if got := list(HostByAddr(t.Context(), "")); got != "EAI -9" {
		t.Error(got)
	}
	if addr, err := NameToAddr(t.Context(), afInet6, "", 1); addr != (Inet6Addr{Port: 1}) && addr.String() != "[::]:1" {
		t.Error(addr, err)
	}
	if name, err := Hostname(); err != nil || name == "" {
		t.Errorf("Hostname: %q, %v", name, err)
	}
	// Every table has these, the system's and ours.
	if port, err := ServiceByName("http", "tcp"); err != nil || port != 80 {
		t.Errorf("http: %d, %v", port, err)
	}
	if name, err := ServiceByPort(25, "tcp"); err != nil || name != "smtp" {
		t.Errorf("25: %q, %v", name, err)
	}
	if p, err := ProtocolByName("tcp"); err != nil || p != protoTCP {
		t.Errorf("tcp: %d, %v", int(p), err)
	}
	if got := FQDN(t.Context(), "<broadcast>x"); got != "<broadcast>x" {
		t.Error(got)
	}
}

func BenchmarkServiceByName(b *testing.B) {
	r := &Resolver{Files: fstest.MapFS{}}
	b.ReportAllocs()
	for b.Loop() {
		r.ServiceByName("http-alt", "tcp")
	}
}
