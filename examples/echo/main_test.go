//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv("ASYNCORE_TEST_LOAD"); addr != "" {
		loadClient(addr) // this process is the client of TestLoad
		return
	}
	exampletest.Main(m, "../echo", "../echoclient")
}

type server = exampletest.Server

// start runs the echo program, on a free port unless args say otherwise.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	return exampletest.Start(t, "echo", args...)
}

func dial(t *testing.T, s *server) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", s.Addr, 10*time.Second)
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

func TestFirstLineNamesThePoller(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		if s := start(t, "-poller", poller); s.Poller != poller {
			t.Errorf("the first line says %s", s.Poller)
		}
	})
}

func TestEchoesRandomPieces(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
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
		s := exampletest.StartCmd(t, exec.Command(exampletest.Bin("echo"), "-addr", "unix:"+addr))
		if s.Addr != addr {
			t.Errorf("listening on %q, want %q", s.Addr, addr)
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
		if code := s.Exit(t); code != 0 {
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
			if code := s.Exit(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if _, err := net.Dial("tcp", s.Addr); err == nil {
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
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	s := start(t)
	fill(t, dial(t, s))
	s.Process.Signal(syscall.SIGTERM)
	// The first is known to have been handled when the listener is gone.
	for range 200 {
		c, err := net.Dial("tcp", s.Addr)
		if err != nil {
			break
		}
		c.Close()
		time.Sleep(5 * time.Millisecond)
	}
	s.Process.Signal(syscall.SIGTERM)
	if code := s.Exit(t); code != 1 {
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
		{"-addr", taken.Addr},
		{"-addr", "unix:" + filepath.Join(t.TempDir(), strings.Repeat("x", 200))},
	} {
		out, err := exec.Command(exampletest.Bin("echo"), args...).CombinedOutput()
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
			cmd := exec.Command(exampletest.Bin("echoclient"), "-addr", s.Addr)
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
		out, err := exec.Command(exampletest.Bin("echoclient"), "-addr", "127.0.0.1:1").CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("refused")) {
			t.Errorf("%v, output %q", err, out)
		}
	})
}
