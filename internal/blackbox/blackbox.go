// Package blackbox is for tests with real clients and tools of the system.
package blackbox

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Needs skips a test that takes long, or needs tools which .ci/run installs:
// there ASYNCORE_BLACKBOX is set, and a missing tool fails.
func Needs(t testing.TB, tools ...string) {
	t.Helper()
	if os.Getenv("ASYNCORE_BLACKBOX") == "" {
		t.Skip("ASYNCORE_BLACKBOX is not set; .ci/run sets it")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(err)
		}
	}
}

// FreePort is a TCP address of this machine on which nobody listens, for servers
// that cannot choose one themselves.
func FreePort(t testing.TB) *net.TCPAddr {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr)
}

// Serve runs a server of others until the test ends, and returns when it listens.
func Serve(t testing.TB, addr net.Addr, cmd *exec.Cmd) {
	t.Helper()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", cmd.Path, &log)
		}
	})
	for range 500 {
		if c, err := net.Dial(addr.Network(), addr.String()); err == nil {
			c.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s does not listen", cmd.Path)
}
