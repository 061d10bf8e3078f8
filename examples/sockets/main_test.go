//go:build unix

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/internal/dnstest"
	"github.com/seed-20e08ac4/asyncore/socket"
)

var update = flag.Bool("update", false, "write testdata/session.txt anew")

// offline is a resolver that knows testdata's files and nothing else.
var offline = &socket.Resolver{
	Files: os.DirFS("testdata/etc"),
	DNS:   dnstest.Nobody(),
	Host:  func() (string, error) { return "homer", nil },
}

// TestSession runs the command lines of testdata/session.txt, which has after each
// what is printed and the error.
func TestSession(t *testing.T) {
	const file = "testdata/session.txt"
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for line := range strings.Lines(string(want)) {
		args, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "$ sockets")
		if !ok {
			continue
		}
		fmt.Fprintf(&got, "$ sockets%s\n", args)
		if err := run(&env{context.Background(), offline, &got}, strings.Fields(args)); err != nil {
			fmt.Fprintf(&got, "error: %v\n", err)
		}
	}
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(string(want), got.String()); d != "" && !*update {
		t.Error(d)
	}
}

// Constants differ from system to system: these do not.
func TestConstants(t *testing.T) {
	for name, want := range map[string]string{"families": "AF_INET 2\n", "types": "SOCK_DGRAM 2\n", "protocols": "IPPROTO_TCP 6\n"} {
		var out bytes.Buffer
		if err := run(&env{context.Background(), offline, &out}, []string{name}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Join(strings.Fields(out.String()), " ")
		if !strings.Contains(lines+" ", strings.TrimSuffix(want, "\n")+" ") {
			t.Errorf("%s: no %q in %q", name, want, lines)
		}
	}
}
