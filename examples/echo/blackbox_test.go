//go:build linux

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
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// TestRealClients talks to the server as a person with a shell would.
func TestRealClients(t *testing.T) {
	blackbox.Needs(t, "nc", "socat", "curl")
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		s := start(t, "-poller", poller)
		host, port, _ := net.SplitHostPort(s.Addr)
		path := filepath.Join(t.TempDir(), "echo.sock")
		abstract := fmt.Sprintf("asyncore-blackbox-%d-%s", os.Getpid(), poller)
		exampletest.StartCmd(t, exec.Command(exampletest.Bin("echo"), "-poller", poller, "-addr", "unix:"+path))
		exampletest.StartCmd(t, exec.Command(exampletest.Bin("echo"), "-poller", poller, "-addr", "unix:@"+abstract))
		input := bytes.Repeat(corpus, 8)
		for _, client := range [][]string{
			{"nc", "-N", host, port},
			{"nc", "-N", "-U", path},
			{"socat", "-t10", "-", "TCP:" + s.Addr},
			{"socat", "-t10", "-", "UNIX-CONNECT:" + path},
			{"socat", "-t10", "-", "ABSTRACT-CONNECT:" + abstract},
		} {
			cmd := exec.Command(client[0], client[1:]...)
			cmd.Stdin = bytes.NewReader(input)
			out, err := cmd.Output()
			if err != nil || !bytes.Equal(out, input) {
				t.Errorf("%q: %d of %d bytes came back, or others; %v", client, len(out), len(input), err)
			}
		}
		// curl's telnet mode ends with its input, so the input waits for the
		// answer.
		curl := exec.Command("curl", "-sN", "--max-time", "10", "telnet://"+s.Addr)
		in, _ := curl.StdinPipe()
		out, _ := curl.StdoutPipe()
		if err := curl.Start(); err != nil {
			t.Fatal(err)
		}
		io.WriteString(in, "hello curl\n")
		got := make([]byte, len("hello curl\n"))
		if _, err := io.ReadFull(out, got); err != nil || string(got) != "hello curl\n" {
			t.Errorf("curl: %q, %v", got, err)
		}
		curl.Process.Kill() // it would wait for more
		curl.Wait()
	})
}

// TestLoad: thousands of connections at once echo 1 MiB each, in random pieces
// with at most 32 KiB under way, from a client process of its own.
func TestLoad(t *testing.T) {
	blackbox.Needs(t)
	for _, c := range []struct {
		poller string
		conns  int
	}{{"epoll", 10000}, {"poll", 1000}, {"select", 900}} {
		t.Run(c.poller, func(t *testing.T) {
			s := start(t, "-poller", c.poller)
			client := exec.Command(os.Args[0])
			client.Env = append(os.Environ(), "ASYNCORE_TEST_LOAD="+s.Addr, fmt.Sprintf("ASYNCORE_TEST_CONNS=%d", c.conns))
			began := time.Now()
			out, err := client.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			t.Logf("%s in %.1f s", strings.TrimSpace(string(out)), time.Since(began).Seconds())
		})
	}
}

// loadClient is the client process of TestLoad.
func loadClient(addr string) {
	conns, _ := strconv.Atoi(os.Getenv("ASYNCORE_TEST_CONNS"))
	var wg, open sync.WaitGroup
	var failed atomic.Int64
	open.Add(conns)
	slots := make(chan struct{}, 256) // connects at once
	for range conns {
		wg.Go(func() {
			slots <- struct{}{}
			c, err := net.DialTimeout("tcp", addr, 60*time.Second)
			<-slots
			open.Done()
			if err == nil {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Minute))
				open.Wait() // all are there at once
				err = echoPieces(c, 1<<20)
			}
			if err != nil && failed.Add(1) < 10 {
				fmt.Println(err)
			}
		})
	}
	wg.Wait()
	fmt.Printf("%d connections echoed 1 MiB each, %d failed\n", conns, failed.Load())
	if failed.Load() > 0 {
		os.Exit(1)
	}
}

// traced starts the server under strace; kill ends it by its own pid, since
// strace would leave it running.
func traced(t *testing.T, options ...string) *server {
	t.Helper()
	args := append([]string{"-f", "-qq"}, options...)
	args = append(args, exampletest.Bin("echo"), "-addr", "127.0.0.1:0", "-poller", "epoll")
	s := exampletest.StartCmd(t, exec.Command("strace", args...))
	t.Cleanup(func() { killTracee(s) })
	return s
}

func killTracee(s *server) {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", s.Process.Pid))
	for child := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	s.Wait()
}

// TestInjectedErrors has the kernel fail calls of the running server: at most
// the connection concerned may notice.
func TestInjectedErrors(t *testing.T) {
	blackbox.Needs(t, "strace")
	const clients = 12
	for _, c := range []struct {
		call   string
		errnos string
		spares bool // every connection survives
		when   string
	}{
		{"accept4", "EMFILE ENFILE ENOBUFS ENOMEM ECONNABORTED EINTR EPROTO EPERM", true, "2+2"},
		{"recvfrom", "EINTR EAGAIN", true, "2+2"},
		{"recvfrom", "ECONNRESET", false, "5"},
		{"sendto", "EINTR EAGAIN", true, "2+2"},
		{"sendto", "EPIPE ECONNRESET", false, "5"},
		{"epoll_pwait", "EINTR", true, "2+2"},
		// The first three add the waker, the listener and one connection.
		{"epoll_ctl", "ENOSPC ENOMEM", false, "4"},
	} {
		for errno := range strings.FieldsSeq(c.errnos) {
			t.Run(c.call+"/"+errno, func(t *testing.T) {
				log := filepath.Join(t.TempDir(), "calls")
				s := traced(t, "-o", log, "-e", "trace="+c.call,
					"-e", fmt.Sprintf("inject=%s:error=%s:when=%s", c.call, errno, c.when))
				ok := 0
				for range clients {
					conn := dial(t, s)
					if err := roundTrip(conn, "hello"); err == nil {
						ok++
					}
					conn.Close()
				}
				killTracee(s)
				// strace counts calls by the thread, and the loop may change threads.
				b, _ := os.ReadFile(log)
				injected := bytes.Count(b, []byte("(INJECTED)"))
				if injected == 0 {
					t.Error("nothing was injected")
				}
				want := clients
				if !c.spares {
					want -= injected
				}
				if ok < want {
					t.Errorf("%d of %d clients were served, %d errors were injected", ok, clients, injected)
				}
			})
		}
	}
}

// TestIdleLoopMakesNoCalls: an idle server, a connection open, sleeps.
func TestIdleLoopMakesNoCalls(t *testing.T) {
	blackbox.Needs(t, "strace")
	log := filepath.Join(t.TempDir(), "calls")
	s := traced(t, "-o", log)
	if err := roundTrip(dial(t, s), "hello"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // Go's own threads settle
	before := lines(t, log)
	time.Sleep(3 * time.Second)
	calls := lines(t, log) - before
	t.Logf("%d system calls of the whole process in 3 s", calls)
	if calls > 30 {
		t.Errorf("%d system calls in 3 idle seconds", calls)
	}
}

func lines(t *testing.T, file string) int {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(b, []byte("\n"))
}

// cpu is the processor time that the process has used.
func cpu(t *testing.T, s *server) time.Duration {
	t.Helper()
	var total time.Duration
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.Process.Pid))
	for _, file := range tasks {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
		total += time.Duration(ns)
	}
	if total == 0 {
		t.Fatal("no schedstat")
	}
	return total
}

// TestNoDescriptorsLeft: 64 descriptors, 150 clients. Those that got in are
// served, the loop does not spin, and the others get in when those leave.
func TestNoDescriptorsLeft(t *testing.T) {
	blackbox.Needs(t)
	s := exampletest.StartCmd(t, exec.Command("sh", "-c", "ulimit -n 64; exec "+exampletest.Bin("echo")+" -addr 127.0.0.1:0"))
	conns := make([]net.Conn, 150)
	for i := range conns {
		conns[i] = dial(t, s)
		io.WriteString(conns[i], "x")
	}
	served := func(c net.Conn) bool {
		c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		n, _ := c.Read(make([]byte, 1))
		return n == 1
	}
	var in, out []net.Conn
	time.Sleep(300 * time.Millisecond)
	for _, c := range conns {
		if served(c) {
			in = append(in, c)
		} else {
			out = append(out, c)
		}
	}
	if len(in) < 40 || len(out) < 80 {
		t.Fatalf("%d of 150 clients are served with 64 descriptors", len(in))
	}
	before := cpu(t, s)
	const window = 3 * time.Second
	time.Sleep(window)
	used := cpu(t, s) - before
	t.Logf("%d served, %d waiting; %.2f %% CPU while waiting", len(in), len(out), 100*used.Seconds()/window.Seconds())
	if used > window/20 {
		t.Errorf("%v of processor time in %v", used, window)
	}
	for _, c := range in {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if err := roundTrip(c, "still here"); err != nil {
			t.Fatalf("an old connection: %v", err)
		}
	}
	released := time.Now()
	for _, c := range in {
		c.Close()
	}
	out[0].SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(out[0], make([]byte, 1)); err != nil {
		t.Fatalf("no recovery: %v", err)
	}
	t.Logf("recovered %v after release", time.Since(released).Round(time.Millisecond))
	if n := strings.Count(s.Log.String(), "accept paused"); n != 1 {
		t.Errorf("the shortage was logged %d times", n)
	}
}

// TestPeersThatNeverRead cost what SetWater says, and honest ones nothing.
func TestPeersThatNeverRead(t *testing.T) {
	blackbox.Needs(t)
	s := start(t)
	rss := func() int {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", s.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		pages, _ := strconv.Atoi(strings.Fields(string(b))[1])
		return pages * os.Getpagesize()
	}
	if err := roundTrip(dial(t, s), "warm"); err != nil {
		t.Fatal(err)
	}
	before := rss()
	const peers = 40
	var wg sync.WaitGroup
	for range peers {
		c := dial(t, s)
		wg.Go(func() {
			c.SetWriteDeadline(time.Now().Add(2 * time.Second))
			c.Write(make([]byte, 64<<20))
		})
	}
	honest := dial(t, s)
	for range 1000 {
		if err := roundTrip(honest, "honest"); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	if err := roundTrip(honest, "still honest"); err != nil {
		t.Fatal(err)
	}
	grown := rss() - before
	t.Logf("%d peers that never read: %.1f MiB", peers, float64(grown)/(1<<20))
	// The queue rises above 64 KiB by one read of at most 256 KiB; twice that
	// for the collector.
	if limit := peers * 2 * (64 + 256) << 10; grown > limit {
		t.Errorf("grown by %d bytes, the bound is %d", grown, limit)
	}
}

// TestLateReader: 20 MB and a half-close, while the reader starts only a
// second later.
func TestLateReader(t *testing.T) {
	blackbox.Needs(t)
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		s := start(t, "-poller", poller)
		c := dial(t, s).(*net.TCPConn)
		input := bytes.Repeat(corpus, 160)
		var sent error
		done := make(chan bool)
		go func() {
			_, sent = c.Write(input)
			c.CloseWrite()
			close(done)
		}()
		time.Sleep(time.Second)
		got, err := io.ReadAll(c)
		<-done
		if err != nil || sent != nil || !bytes.Equal(got, input) {
			t.Errorf("%d of %d bytes came back, or others; read %v, write %v", len(got), len(input), err, sent)
		}
	})
}

// TestInheritsNothing: the server's descriptors are its own.
func TestInheritsNothing(t *testing.T) {
	s := start(t)
	if err := roundTrip(dial(t, s), "x"); err != nil {
		t.Fatal(err)
	}
	dir := fmt.Sprintf("/proc/%d/fdinfo", s.Process.Pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{}
	for _, e := range entries {
		fd, _ := strconv.Atoi(e.Name())
		info, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if fd <= 2 || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			continue // perhaps inherited, from whoever started the test
		}
		for line := range strings.Lines(string(info)) {
			if flags, ok := strings.CutPrefix(line, "flags:"); ok {
				bits, _ := strconv.ParseUint(strings.TrimSpace(flags), 8, 64)
				if bits&unix.O_CLOEXEC == 0 {
					open[e.Name()] = true
				}
			}
		}
	}
	if diff := cmp.Diff(map[string]bool{}, open); diff != "" {
		t.Errorf("descriptors without close-on-exec:\n%s", diff)
	}
}
