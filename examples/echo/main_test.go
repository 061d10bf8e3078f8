//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore"
)

// bin is where the programs under test lie.
var bin string

func TestMain(m *testing.M) {
	if addr := os.Getenv("ASYNCORE_TEST_LOAD"); addr != "" {
		loadClient(addr) // this process is the client of TestLoad
		return
	}
	dir, err := os.MkdirTemp("", "echo")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bin = dir
	build := exec.Command("go", "build", "-tags", tags(), "-o", dir+"/", "../echo", "../echoclient")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
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

// server is a running echo program.
type server struct {
	*exec.Cmd
	addr   string // as printed
	stdout *bufio.Reader
	stderr *bytes.Buffer
}

var firstLine = regexp.MustCompile(`^listening on (tcp|unix) (\S+) poller=(\w+)\n$`)

// start runs the echo program, on a free port unless args say otherwise.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	return startCmd(t, exec.Command(filepath.Join(bin, "echo"), append([]string{"-addr", "127.0.0.1:0"}, args...)...))
}

func startCmd(t *testing.T, cmd *exec.Cmd) *server {
	t.Helper()
	s := &server{Cmd: cmd, stderr: new(bytes.Buffer)}
	out, err := s.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.Stderr = s.stderr
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Process.Kill()
		s.Wait()
		if t.Failed() {
			t.Logf("the server's stderr:\n%s", s.stderr)
		}
	})
	s.stdout = bufio.NewReader(out)
	line, err := s.stdout.ReadString('\n')
	m := firstLine.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("first line %q, %v", line, err)
	}
	s.addr = m[2]
	return s
}

// exit waits for the program and returns its exit code.
func (s *server) exit(t *testing.T) int {
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

func dial(t *testing.T, s *server) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", s.addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c
}

// roundTrip sends msg and wants it back.
func roundTrip(c net.Conn, msg string) error {
	if _, err := io.WriteString(c, msg); err != nil {
		return err
	}
	got := make([]byte, len(msg))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != msg {
		return fmt.Errorf("sent %q, got %q", msg, got)
	}
	return nil
}

// eachPoller runs f with each backend of this system.
func eachPoller(t *testing.T, f func(t *testing.T, poller string)) {
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

func TestFirstLineNamesThePoller(t *testing.T) {
	eachPoller(t, func(t *testing.T, poller string) {
		cmd := exec.Command(filepath.Join(bin, "echo"), "-addr", "127.0.0.1:0", "-poller", poller)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil || !strings.HasSuffix(line, "poller="+poller+"\n") {
			t.Errorf("first line %q, %v", line, err)
		}
	})
}

func TestEchoesRandomPieces(t *testing.T) {
	eachPoller(t, func(t *testing.T, poller string) {
		s := start(t, "-poller", poller)
		var wg sync.WaitGroup
		for range 20 {
			c := dial(t, s)
			wg.Go(func() {
				if err := echoPieces(c, 1<<20); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

var corpus = func() []byte {
	b := make([]byte, 128<<10)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(b)
	return b
}()

// echoPieces sends total bytes in random pieces of up to 32 KiB and compares
// each with what comes back before it sends the next.
func echoPieces(c net.Conn, total int) error {
	got := make([]byte, 32<<10)
	for sent := 0; sent < total; {
		n := min(1+rand.IntN(32<<10), total-sent)
		piece := corpus[rand.IntN(len(corpus)-n):][:n]
		if _, err := c.Write(piece); err != nil {
			return fmt.Errorf("after %d bytes: %w", sent, err)
		}
		if _, err := io.ReadFull(c, got[:n]); err != nil {
			return fmt.Errorf("after %d bytes: %w", sent, err)
		}
		if !bytes.Equal(got[:n], piece) {
			return fmt.Errorf("bytes %d to %d differ", sent, sent+n)
		}
		sent += n
	}
	return nil
}

func TestUnixSockets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "echo.sock")
	addrs := []string{path}
	if abstract := fmt.Sprintf("@asyncore-echo-%d", os.Getpid()); runtime.GOOS == "linux" {
		addrs = append(addrs, abstract)
	}
	for _, addr := range addrs {
		s := startCmd(t, exec.Command(filepath.Join(bin, "echo"), "-addr", "unix:"+addr))
		if s.addr != addr {
			t.Errorf("listening on %q, want %q", s.addr, addr)
		}
		c, err := net.Dial("unix", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := roundTrip(c, "hello"); err != nil {
			t.Error(err)
		}
		s.Process.Signal(syscall.SIGTERM)
		if code := s.exit(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket's path is left behind: %v", err)
	}
}

// TestSignalDrains: what was accepted before SIGTERM is flushed, the listener
// is gone, and the exit code is 0.
func TestSignalDrains(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			s := start(t)
			c := dial(t, s)
			if err := roundTrip(c, "before"); err != nil {
				t.Fatal(err)
			}
			s.Process.Signal(sig)
			if n, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("read %d bytes, %v; want EOF", n, err)
			}
			if code := s.exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if _, err := net.Dial("tcp", s.addr); err == nil {
				t.Error("still listening")
			}
		})
	}
}

// fill makes the server queue output for a client that does not read.
func fill(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := c.Write(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("64 MiB unread: %v", err)
	}
}

func TestSignalEndsDespiteAPeerThatDoesNotRead(t *testing.T) {
	s := start(t)
	fill(t, dial(t, s))
	s.Process.Signal(syscall.SIGTERM)
	if code := s.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	s := start(t)
	fill(t, dial(t, s))
	s.Process.Signal(syscall.SIGTERM)
	// The first is known to have been handled when the listener is gone.
	for range 200 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(5 * time.Millisecond)
	}
	s.Process.Signal(syscall.SIGTERM)
	if code := s.exit(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
}

func TestIdleFlag(t *testing.T) {
	s := start(t, "-idle", "50ms")
	c := dial(t, s)
	if err := roundTrip(c, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an idle connection gives %v, want EOF", err)
	}
}

func TestMaxConnsFlag(t *testing.T) {
	s := start(t, "-max-conns", "1")
	first, second := dial(t, s), dial(t, s)
	if err := roundTrip(first, "one"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(second, "two"); err != nil {
		t.Fatal(err)
	}
	second.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := second.Read(make([]byte, 3)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the second connection is served: %d bytes, %v", n, err)
	}
	first.Close()
	second.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(second, make([]byte, 3)); err != nil {
		t.Errorf("the second connection is not served after the first: %v", err)
	}
}

func TestSpinFlag(t *testing.T) {
	s := start(t, "-spin", "50us")
	c := dial(t, s)
	for range 100 {
		if err := roundTrip(c, "ping"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadFlags(t *testing.T) {
	taken := start(t)
	for _, args := range [][]string{
		{"-poller", "none"},
		{"-addr", "example.com:7"},
		{"-addr", "127.0.0.1"},
		{"-addr", taken.addr},
		{"-addr", "unix:" + filepath.Join(t.TempDir(), strings.Repeat("x", 200))},
	} {
		out, err := exec.Command(filepath.Join(bin, "echo"), args...).CombinedOutput()
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || len(out) == 0 {
			t.Errorf("%q: %v, output %q", args, err, out)
		}
	}
}

func TestEchoClient(t *testing.T) {
	s := start(t)
	input := bytes.Repeat(corpus, 100)
	file := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(file, input, 0o600); err != nil {
		t.Fatal(err)
	}
	fromFile, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer fromFile.Close()
	toFile, err := os.Create(file + ".out")
	if err != nil {
		t.Fatal(err)
	}
	defer toFile.Close()
	var buf bytes.Buffer
	for _, c := range []struct {
		name string
		in   io.Reader
		out  io.Writer
		got  func() ([]byte, error)
	}{
		{"pipes", bytes.NewReader(input), &buf, func() ([]byte, error) { return buf.Bytes(), nil }},
		{"files", fromFile, toFile, func() ([]byte, error) { return os.ReadFile(toFile.Name()) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(filepath.Join(bin, "echoclient"), "-addr", s.addr)
			var errors strings.Builder
			cmd.Stdin, cmd.Stdout, cmd.Stderr = c.in, c.out, &errors
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v: %s", err, &errors)
			}
			got, err := c.got()
			if err != nil || !bytes.Equal(got, input) {
				t.Errorf("%d of %d bytes came back, or others; %v", len(got), len(input), err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		out, err := exec.Command(filepath.Join(bin, "echoclient"), "-addr", "127.0.0.1:1").CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("refused")) {
			t.Errorf("%v, output %q", err, out)
		}
	})
}
