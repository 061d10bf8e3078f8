//go:build linux

package socket

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
)

// oracle asks CPython everything that needs no network: numeric hosts, localhost,
// services and protocols of the system's files, in all combinations. A line each: the
// function, its arguments, and what came of it, or the error's number.
const oracle = `
import itertools, json, socket

def out(fn, args, call):
    try:
        r = {"ok": call()}
    except socket.gaierror as e:
        r = {"err": e.errno}
    except OSError as e:
        r = {"err": 1}
    print(json.dumps({"fn": fn, "args": args, **r}))

def infos(*a):
    return [[int(f), int(t), p, c, str(s[0]), s[1]] + list(s[2:]) for f, t, p, c, s in socket.getaddrinfo(*a)]

hosts = [None, "localhost", "127.0.0.1", "127.1", "0x7f.1", "::1", "::ffff:1.2.3.4", "fe80::1%1", "fe80::1%lo", "1.2.3.4junk", "[::1]", "256.1.1.1", "LOCALHOST", "fe80::1%nosuch"]
services = [None, "0", "80", "65535", "http", "domain", "https", "ntp", "syslog", "nosuch", "HTTP", "80x", "0x50", "-1"]
families = [0, socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 99]
types = [(0, 0), (1, 0), (2, 0), (3, 0), (1, 6), (1, 17), (2, 17), (0, 6), (0, 17), (0, 99), (99, 0), (5, 0), (3, 6), (3, 99)]
flags = [0, 1, 2, 4, 8, 8 | 16, 1024, 1 | 4, 2 | 4 | 1024, 1 << 20]
for h, s, f, (t, p), fl in itertools.product(hosts, services, families, types, flags):
    if h in ("1.2.3.4junk", "[::1]", "256.1.1.1", "fe80::1%nosuch") and not fl & 4:
        continue  # it would ask the DNS
    if h in ("localhost", "LOCALHOST") and f == socket.AF_INET6:
        continue  # this too, where the hosts file has no ::1
    out("getaddrinfo", [h, s, f, t, p, fl], lambda: infos(h, s, f, t, p, fl))
for h, p, fl in itertools.product(["127.0.0.1", "127.1", "::1", "fe80::1", "192.0.2.77"], [0, 21, 80, 514, 53, 123, 9999, 65535], [1, 2 | 1, 3, 16 | 1, 1 | 8, 1 | 4]):
    out("getnameinfo", [h, p, fl], lambda: list(socket.getnameinfo((h, p), fl)))
for n in range(0, 65536):
    for proto in ["", "tcp", "udp"]:
        try:
            name = socket.getservbyport(n, *([proto] if proto else []))
        except OSError:
            continue
        out("getservbyport", [n, proto], lambda: name)
names = set()
for line in open("/etc/services"):
    f = line.split("#")[0].split()
    names.update(f[:1] + f[2:])
for n, proto in itertools.product(sorted(names) + ["", "80", "HTTP", "no such"], ["", "tcp", "udp", "TCP", "dccp", "x"]):
    out("getservbyname", [n, proto], lambda: socket.getservbyname(n, *([proto] if proto else [])))
names = set()
for line in open("/etc/protocols"):
    f = line.split("#")[0].split()
    names.update(f[:1] + f[2:])
for n in sorted(names) + ["", "6", "Tcp"]:
    out("getprotobyname", [n], lambda: socket.getprotobyname(n))
for h in ["localhost", "127.0.0.1", "127.1", "", "<broadcast>", "255.255.255.255", "256.1.1.1"]:
    out("gethostbyname", [h], lambda: socket.gethostbyname(h))
for h in ["localhost", "127.0.0.1", "127.1"]:
    out("gethostbyname_ex", [h], lambda: list(socket.gethostbyname_ex(h)))
`

// TestCPythonLive: what CPython answers here, ours does.
func TestCPythonLive(t *testing.T) {
	blackbox.Needs(t, "python3")
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", "-c", oracle)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var r Resolver
	r.DNS = zone{}.serve(t) // which knows no name
	count := map[string]int{}
	in := bufio.NewScanner(out)
	in.Buffer(nil, 1<<20)
	failures := 0
	for in.Scan() {
		var c struct {
			Fn   string
			Args []any
			Ok   any
			Err  int
		}
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		if departs(c.Fn, c.Args) {
			continue
		}
		count[c.Fn]++
		got, code := ask(ctx, t, &r, c.Fn, c.Args)
		if code == 0 {
			// As JSON has it: numbers are floats.
			p, err := json.Marshal(got)
			if err != nil || json.Unmarshal(p, &got) != nil {
				t.Fatal(err)
			}
		}
		if d := cmp.Diff(c.Ok, got); code != c.Err || d != "" {
			if failures++; failures > 40 {
				t.Fatal("and more")
			}
			t.Errorf("%s%v: %v, error %d; CPython has %v, %d", c.Fn, c.Args, got, code, c.Ok, c.Err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Log(count)
}

// departs tells whether ours is meant to answer something else.
func departs(fn string, args []any) bool {
	// To glibc "-1" is a number, and only its port is wrong.
	return fn == "getaddrinfo" && args[1] == "-1" && AI(args[5].(float64))&AI_NUMERICSERV != 0
}

// ask calls one of ours with CPython's arguments. The code is EAI's, or 1 for another
// error.
func ask(ctx context.Context, t *testing.T, r *Resolver, fn string, args []any) (result any, code int) {
	text := func(i int) string { s, _ := args[i].(string); return s }
	number := func(i int) int { return int(args[i].(float64)) }
	fail := func(err error) (any, int) {
		if eai, ok := errors.AsType[EAI](err); ok {
			return nil, int(eai)
		}
		return nil, 1
	}
	var err error
	switch fn {
	case "getaddrinfo":
		var infos []AddrInfo
		infos, err = r.GetAddrInfo(ctx, text(0), text(1), Hints{Family: Family(number(2)), Type: Type(number(3)),
			Proto: Proto(number(4)), Flags: AI(number(5))})
		all := [][]any{}
		for _, a := range infos {
			row := []any{int(a.Family), int(a.Type), int(a.Proto), a.CanonName}
			switch a := a.Addr.(type) {
			case InetAddr:
				row = append(row, a.IP.String(), a.Port)
			case Inet6Addr:
				host := a.IP.String()
				row = append(row, host, a.Port, a.FlowInfo, a.ScopeID)
			}
			all = append(all, row)
		}
		result = all
	case "getnameinfo":
		var a Addr = Inet6Addr{}
		if !strings.Contains(text(0), ":") {
			a = InetAddr{}
		}
		a, err = r.NameToAddr(ctx, a.Family(), text(0), uint16(number(1)))
		if err != nil {
			t.Fatal(err)
		}
		var host, service string
		host, service, err = r.GetNameInfo(ctx, a, NI(number(2)))
		result = []string{host, service}
	case "getservbyport":
		result, err = r.ServiceByPort(uint16(number(0)), text(1))
	case "getservbyname":
		result, err = r.ServiceByName(text(0), text(1))
	case "getprotobyname":
		result, err = r.ProtocolByName(text(0))
	case "gethostbyname":
		ip, e := r.HostByName(ctx, text(0))
		result, err = ip.String(), e
	case "gethostbyname_ex":
		h, e := r.HostByNameEx(ctx, text(0))
		addrs := []string{}
		for _, a := range h.Addrs {
			addrs = append(addrs, a.String())
		}
		result, err = []any{h.Name, append([]string{}, h.Aliases...), addrs}, e
	default:
		t.Fatalf("no case for %s", fn)
	}
	if err != nil {
		return fail(err)
	}
	return result, 0
}
