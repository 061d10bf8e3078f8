//go:build unix

// Package exampletest runs the example programs for their tests: in a process of
// their own, or in the test's.
package exampletest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/leaktest"
	"github.com/seed-20e08ac4/asyncore/loop"
)

var (
	programs []string
	dir      string
	build    sync.Once
)

// Main is a TestMain for tests that start programs, which are named by their
// folders. What is open before and after them is compared, see leaktest.
func Main(m *testing.M, folders ...string) {
	programs = folders
	code := leaktest.Run(m)
	if dir != "" {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// Bin is the path of a program. The first call builds all that Main was given.
func Bin(name string) string {
	build.Do(func() {
		var err error
		if dir, err = os.MkdirTemp("", "example"); err != nil {
			panic(err)
		}
		args := append([]string{"build", "-tags", tags(), "-o", dir + "/"}, programs...)
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			panic(fmt.Sprintf("go build: %v\n%s", err, out))
		}
	})
	return filepath.Join(dir, name)
}

// tags gives the build tags of this test: the programs get the same.
func tags() string {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-tags" {
			return s.Value
		}
	}
	return ""
}

// Server is a server program that runs.
type Server struct {
	*exec.Cmd
	Addr   string        // as printed
	Poller string        // the same
	Stdout *bufio.Reader // behind the first line
	Log    *bytes.Buffer // its stderr, to be read when it has ended
}

var firstLine = regexp.MustCompile(`^listening on \w+ (\S+) poller=(\w+)\n$`)

// Start runs a program that Main was given, on a free port unless args say
// otherwise, until the test ends.
func Start(t testing.TB, name string, args ...string) *Server {
	t.Helper()
	return StartCmd(t, exec.Command(Bin(name), append([]string{"-addr", "127.0.0.1:0"}, args...)...))
}

// StartCmd is Start with a command of the test's.
func StartCmd(t testing.TB, cmd *exec.Cmd) *Server {
	t.Helper()
	s := &Server{Cmd: cmd, Log: new(bytes.Buffer)}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.Stderr = s.Log
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Process.Kill()
		s.Wait()
		if t.Failed() {
			t.Logf("the server's stderr:\n%s", s.Log)
		}
	})
	s.Stdout = bufio.NewReader(out)
	line, err := s.Stdout.ReadString('\n')
	m := firstLine.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("first line %q, %v", line, err)
	}
	s.Addr, s.Poller = m[1], m[2]
	return s
}

// Exit waits for the program and returns its exit code.
func (s *Server) Exit(t testing.TB) int {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- s.Wait() }()
	select {
	case err := <-done:
		if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatal(err)
		} else if ok {
			return exit.ExitCode()
		}
		return 0
	case <-time.After(20 * time.Second):
		t.Fatal("the server does not end")
		return -1
	}
}

// EachPoller runs f with each backend of this system.
func EachPoller(t *testing.T, f func(t *testing.T, poller string)) {
	t.Helper()
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

// Serve runs a loop with a listener, of network "tcp" or "unix", in a goroutine of
// its own until the test ends. The server's state is that goroutine's: look at it
// by loop.Post.
func Serve(t testing.TB, config loop.Config, network string, accept func(*channel.Conn) *channel.Handler) (*loop.Loop, net.Addr) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		dir, err := os.MkdirTemp("", "s") // t.TempDir's path may be too long
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		address = filepath.Join(dir, "s")
	}
	l, err := loop.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := channel.Listen(l, network, address, accept)
	if err != nil {
		l.Close()
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- l.Run(context.Background()) }()
	t.Cleanup(func() {
		l.Stop()
		select {
		case err := <-ran:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
			if s := l.Stats(); s.Panics != 0 {
				t.Errorf("%d callbacks panicked", s.Panics)
			}
			l.Close()
		case <-time.After(20 * time.Second):
			t.Error("Run does not return after Stop")
		}
	})
	return l, ln.Addr()
}
