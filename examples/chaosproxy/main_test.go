//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

func TestMain(m *testing.M) {
	exampletest.Main(m, ".", "../echo", "../chatroom", "../kv", "../smtpsink", "../httpd")
}

// through starts a server behind a proxy.
func through(t *testing.T, k kind, flags ...string) *exampletest.Server {
	t.Helper()
	return exampletest.Start(t, "chaosproxy", append([]string{"-to", k.start(t).Addr}, flags...)...)
}

// gentle are flags with which nobody may notice anything but the time.
var gentle = []string{"-latency", "2ms", "-jitter", "3ms", "-slice", "3000", "-bandwidth", "10000000"}

// The clients of all servers, through the program.
func TestProgram(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		for _, k := range kinds {
			p := through(t, k, append(gentle, "-poller", poller)...)
			for id := range 3 {
				if err := k.visit(p.Addr, id, patience); err != nil {
					t.Errorf("%s: %v", k.name, err)
				}
			}
		}
	})
}

// By a Unix socket on both sides.
func TestUnixSockets(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") // t.TempDir's path may be too long
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	there, here := filepath.Join(dir, "server"), filepath.Join(dir, "proxy")
	exampletest.StartCmd(t, exec.Command(exampletest.Bin("echo"), "-addr", "unix:"+there))
	exampletest.StartCmd(t, exec.Command(exampletest.Bin("chaosproxy"), "-addr", "unix:"+here, "-to", "unix:"+there))
	c, err := net.Dial("unix", here)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := talkEcho(c, 1); err != nil {
		t.Error(err)
	}
}

// The same seed has the same connections meet with the same: so -log says.
func TestSeed(t *testing.T) {
	logOf := func(seed string) string {
		p := through(t, kinds[0], "-log", "-seed", seed, "-reset", "0.3", "-half-close", "0.3", "-black-hole", "0.3", "-after", "9", "-idle", "50ms")
		for range 20 {
			c, err := net.Dial("tcp", p.Addr)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(c, "hello")
			io.Copy(io.Discard, c) // one way or another it ends
			c.Close()
		}
		ends(t, p)
		return p.Log.String()
	}
	one := logOf("1")
	if diff := cmp.Diff(one, logOf("1")); diff != "" {
		t.Errorf("another run:\n%s", diff)
	}
	if n := strings.Count(one, "\nconnection "); n != 20 {
		t.Errorf("%d connections are logged:\n%s", n, one)
	}
	if one == strings.Replace(logOf("2"), "seed 2", "seed 1", 1) {
		t.Errorf("another seed gives the same:\n%s", one)
	}
}

// A signal ends it in good order, whatever is on its way.
func TestSignal(t *testing.T) {
	p := through(t, kinds[0], "-bandwidth", "1", "-idle", "0")
	for range 3 {
		c, err := net.Dial("tcp", p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "slow"); err != nil {
			t.Fatal(err)
		}
		if err := want(c, []byte("s")); err != nil {
			t.Fatal(err)
		}
	}
	ends(t, p)
}

// ends wants a program to end in good order.
func ends(t *testing.T, s *exampletest.Server) {
	t.Helper()
	s.Process.Signal(syscall.SIGTERM)
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"-to", "127.0.0.1:1", "-latency", "-1s"},
		{"-to", "127.0.0.1:1", "-jitter", "-1s"},
		{"-to", "127.0.0.1:1", "-slice", "-1"},
		{"-to", "127.0.0.1:1", "-bandwidth", "-1"},
		{"-to", "127.0.0.1:1", "-after", "0"},
		{"-to", "127.0.0.1:1", "-reset", "-0.1"},
		{"-to", "127.0.0.1:1", "-reset", "NaN"},
		{"-to", "127.0.0.1:1", "-reset", "0.5", "-half-close", "0.3", "-black-hole", "0.3"},
	} {
		out, err := exec.Command(exampletest.Bin("chaosproxy"), append(args, "-addr", "127.0.0.1:0")...).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !bytes.Contains(out, []byte("chaosproxy: ")) {
			t.Errorf("%q: %v, output %q", args, err, out)
		}
	}
}

// Clients that people use.
func TestRealClients(t *testing.T) {
	blackbox.Needs(t, "nc", "curl")
	input := text(1 << 20)
	p := through(t, kinds[0], gentle...)
	host, port, err := net.SplitHostPort(p.Addr)
	if err != nil {
		t.Fatal(err)
	}
	nc := exec.Command("nc", "-N", host, port)
	nc.Stdin = bytes.NewReader(input)
	if out, err := nc.Output(); err != nil || !bytes.Equal(out, input) {
		t.Errorf("nc: %d of %d bytes came back, or others; %v", len(out), len(input), err)
	}

	httpd := kinds[len(kinds)-1]
	curl := func(p *exampletest.Server) ([]byte, error) {
		return exec.Command("curl", "-sS", "--max-time", "20", fmt.Sprintf("http://%s/big", p.Addr)).Output()
	}
	if out, err := curl(through(t, httpd, gentle...)); err != nil || !bytes.Equal(out, pages["big"]) {
		t.Errorf("curl: %d of %d bytes, or others; %v", len(out), len(pages["big"]), err)
	}
	// What curl says of each end: 56 for a reset, 18 for a part of a file. Where fate is
	// to strike behind more than the request has, it gets all.
	for _, c := range []struct {
		flags string
		codes []int
	}{
		{"-reset 1", []int{56}},
		{"-half-close 1", []int{18}},
		{"-black-hole 1 -idle 500ms", []int{18, 56}},
	} {
		whole, cut := 0, 0
		for seed := 1; seed <= 6; seed++ {
			flags := append(strings.Fields(c.flags), "-after", "1000000", "-seed", fmt.Sprint(seed))
			out, err := curl(through(t, httpd, flags...))
			exit, _ := errors.AsType[*exec.ExitError](err)
			switch {
			case exit != nil && slices.Contains(c.codes, exit.ExitCode()) && bytes.HasPrefix(pages["big"], out):
				cut++
			case err == nil && bytes.Equal(out, pages["big"]):
				whole++
			default:
				t.Errorf("%s, seed %d: %d bytes, or others, then %v", c.flags, seed, len(out), err)
			}
		}
		if whole == 0 || cut == 0 {
			t.Errorf("%s: %d whole, %d cut short", c.flags, whole, cut)
		}
	}
}
