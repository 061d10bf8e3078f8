//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, ".") }

// dnsmasq serves a few records, and returns its address.
func dnsmasq(t *testing.T) string {
	t.Helper()
	addr := blackbox.FreePort(t)
	args := []string{"--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file=",
		"--listen-address=127.0.0.1", "--bind-interfaces", fmt.Sprintf("--port=%d", addr.Port), "--user=", "--group=",
		"--local=/test/", "--host-record=host.test,192.0.2.1,2001:db8::1", "--mx-host=host.test,mail.test,10"}
	for i := range 40 {
		args = append(args, fmt.Sprintf("--txt-record=long.test,%03d%s", i, strings.Repeat("x", 200)))
	}
	blackbox.Serve(t, addr, exec.Command("dnsmasq", args...))
	return addr.String()
}

// A server of others, twice, beside one that is not there.
func TestDnsmasq(t *testing.T) {
	blackbox.Needs(t, "dnsmasq")
	addr := dnsmasq(t)
	for _, c := range []struct{ kind, name, want string }{
		{"A", "host.test", `1 records by UDP, asked \d+ times .*\n\tA 192\.0\.2\.1\n`},
		{"AAAA", "host.test", `1 records by UDP, asked \d+ times .*\n\tAAAA 2001:db8::1\n`},
		{"MX", "host.test", `1 records by UDP, asked \d+ times .*\n\tMX 10 "mail\.test\."\n`},
		{"TXT", "long.test", `40 records by TCP, asked \d+ times .*\n(?:\tTXT \["\d{3}x+"\]\n)+`},
	} {
		out, err := exec.Command(exampletest.Bin("dnsprobe"), "-type", c.kind, c.name, addr, addr).Output()
		if n := len(regexp.MustCompile(regexp.QuoteMeta(addr)+": "+c.want).FindAll(out, -1)); err != nil || n != 2 {
			t.Errorf("%s %s: %q, %v", c.kind, c.name, out, err)
		}
	}
	out, err := exec.Command(exampletest.Bin("dnsprobe"), "none.test", addr).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "NameError") {
		t.Errorf("%q, %v", out, err)
	}
}
