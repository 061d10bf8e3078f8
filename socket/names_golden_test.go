package socket

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

// TestGoldenNames is what CPython answered from Debian's files, of which testdata/etc
// has the same facts.
func TestGoldenNames(t *testing.T) {
	r := &Resolver{Files: files(t, "\n"), DNS: offline(t)}
	ran := 0
	for _, c := range golden(t) {
		if !strings.HasPrefix(c.Fn, "get") {
			continue
		}
		ran++
		var args []any
		if json.Unmarshal(c.Arg, &args) != nil {
			args = []any{""}
			if err := json.Unmarshal(c.Arg, &args[0]); err != nil {
				t.Fatal(err)
			}
		}
		proto := ""
		if len(args) > 1 {
			proto = args[1].(string)
		}
		var got any
		var err error
		switch c.Fn {
		case "getservbyname":
			got, err = r.ServiceByName(args[0].(string), proto)
		case "getservbyport":
			port := args[0].(float64)
			if port != float64(uint16(port)) {
				continue // "port must be 0-65535": the type sees to it
			}
			got, err = r.ServiceByPort(uint16(port), proto)
		case "getprotobyname":
			n, e := r.ProtocolByName(args[0].(string))
			got, err = int(n), e
		default:
			t.Errorf("no test of %s", c.Fn)
			continue
		}
		if c.OK == nil {
			text := c.Args[len(c.Args)-1].(string)
			d, ok := errors.AsType[*net.DNSError](err)
			if !ok || !d.IsNotFound || !strings.HasSuffix(err.Error(), text) {
				t.Errorf("%s%v = %v, %v; want the error %q", c.Fn, args, got, err, text)
			}
			continue
		}
		var want any
		if err := json.Unmarshal(c.OK, &want); err != nil {
			t.Fatal(err)
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s%v = %v, %v; want %v", c.Fn, args, got, err, want)
		}
	}
	if ran == 0 {
		t.Error("no cases")
	}
}
