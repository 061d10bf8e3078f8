//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// TestCrowd: 150 clients come to a server with 64 descriptors. Those who got in are
// served, it sleeps while the others wait, and they get in when there is room.
func TestCrowd(t *testing.T) {
	blackbox.Needs(t)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"-c", `ulimit -n 64; exec "$0" "$@"`, exampletest.Bin(k.name)}, k.args(t)...)
			s := exampletest.StartCmd(t, exec.Command("sh", args...))
			var in, out []net.Conn
			answered := make([]bool, 150)
			conns := make([]net.Conn, len(answered))
			var wg sync.WaitGroup
			for i := range conns {
				conns[i] = dial(t, s.Addr)
				if !k.greets {
					io.WriteString(conns[i], k.ping)
				}
				wg.Go(func() { answered[i] = said(conns[i], time.Second) })
			}
			wg.Wait()
			for i, c := range conns {
				if answered[i] {
					in = append(in, c)
				} else {
					out = append(out, c)
				}
			}
			if len(in) < 20 || len(out) < 80 {
				t.Fatalf("%d of 150 clients are served with 64 descriptors", len(in))
			}
			p := process{t, s.Process.Pid}
			before := p.cpu()
			const window = 2 * time.Second
			time.Sleep(window)
			used := p.cpu() - before
			t.Logf("%d served, %d waiting; %.2f %% CPU while waiting", len(in), len(out), 100*used.Seconds()/window.Seconds())
			if used > window/20 {
				t.Errorf("%v of processor time in %v", used, window)
			}
			for _, c := range in {
				if io.WriteString(c, k.ping); !said(c, patience) {
					t.Fatal("an old connection is not served")
				}
			}
			for _, c := range in {
				c.Close()
			}
			for _, c := range out {
				wg.Go(func() {
					if !said(c, patience) {
						t.Error("no recovery")
					}
					c.Close() // for the next one
				})
			}
			wg.Wait()
			ends(t, s)
		})
	}
}

// TestNeverRead: who asks for much and does not read costs a bounded amount, and honest
// clients nothing.
func TestNeverRead(t *testing.T) {
	blackbox.Needs(t)
	for _, k := range proxied {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := k.start(t)
			p := process{t, s.Process.Pid}
			for id := range 10 {
				if err := k.visit(s.Addr, id, patience); err != nil {
					t.Fatal(err)
				}
			}
			before := p.status("VmRSS")
			const peers = 40
			var wg sync.WaitGroup
			var sent atomic.Int64
			for range peers {
				c := k.enter(t, s.Addr)
				c.SetWriteDeadline(time.Now().Add(2 * time.Second))
				wg.Go(func() {
					for {
						n, err := io.WriteString(c, k.greedy)
						if sent.Add(int64(n)); err != nil || sent.Load() > 4<<30 {
							return
						}
					}
				})
			}
			for id := range 50 {
				if err := k.visit(s.Addr, 100+id, patience); err != nil {
					t.Fatal(err)
				}
			}
			wg.Wait()
			if err := k.visit(s.Addr, 1000, patience); err != nil {
				t.Fatal(err)
			}
			grown := p.status("VmRSS") - before
			t.Logf("%d peers have sent %d MiB and read nothing: %d KiB", peers, sent.Load()>>20, grown)
			// The proxy's limit is the highest, 1 MiB; twice that for the collector.
			if grown > 2*peers*1024 {
				t.Errorf("grown by %d KiB", grown)
			}
		})
	}
}

// byByte is a connection that moves one byte at a time.
type byByte struct{ net.Conn }

func (c byByte) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		_, err = c.Conn.Write(p[n : n+1])
		n++
	}
	return n, err
}

func (c byByte) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), 1)]) }

func TestOneByteAtATime(t *testing.T) {
	blackbox.Needs(t)
	for _, k := range proxied {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			s := k.start(t)
			var wg sync.WaitGroup
			for id := range 5 {
				c := dial(t, s.Addr)
				c.SetDeadline(time.Now().Add(patience))
				wg.Go(func() {
					if err := k.talk(byByte{c}, id); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestChurn: thousands come and reset at once, or in the middle of something. Nothing
// is left of them, be it descriptors, threads or goroutines.
func TestChurn(t *testing.T) {
	blackbox.Needs(t)
	for _, k := range proxied {
		t.Run(k.name, func(t *testing.T) {
			connects := 3000
			if k.name == "echo" {
				connects = 20000
			}
			fresh, s := k.start(t), k.start(t)
			for _, s := range []*exampletest.Server{fresh, s} {
				if err := k.visit(s.Addr, 0, patience); err != nil {
					t.Fatal(err)
				}
			}
			p := process{t, s.Process.Pid}
			fds := p.fds()
			var wg sync.WaitGroup
			for w := range 8 {
				wg.Go(func() {
					for i := range connects / 8 {
						c, err := net.DialTimeout("tcp", s.Addr, patience)
						if err != nil {
							t.Error(err)
							return
						}
						switch (w + i) % 3 {
						case 1:
							io.WriteString(c, k.begun)
						case 2:
							if !k.greets {
								io.WriteString(c, k.ping)
							}
							io.ReadFull(c, make([]byte, 1))
						}
						c.(*net.TCPConn).SetLinger(0)
						c.Close()
					}
				})
			}
			wg.Wait()
			if err := k.visit(s.Addr, 1, patience); err != nil {
				t.Error(err)
			}
			p.settles(fds + ofRuntime)
			if n := p.status("Threads"); n > 20 {
				t.Errorf("%d threads", n)
			}
			before, after := goroutines(t, fresh), goroutines(t, s)
			t.Logf("%d goroutines, %d in a server that has had one visitor", after, before)
			if before == 0 || after > before+4 { // the collector's, and Offload's that work
				t.Errorf("%d goroutines, %d in a server that has had one visitor", after, before)
			}
		})
	}
}

// ofRuntime are descriptors that the Go runtime opens for itself when it first needs
// them, sooner or later.
const ofRuntime = 2

// goroutines ends a server, and counts what it had.
func goroutines(t *testing.T, s *exampletest.Server) int {
	t.Helper()
	s.Process.Signal(syscall.SIGQUIT)
	s.Exit(t)
	return bytes.Count(s.Log.Bytes(), []byte("\ngoroutine "))
}

// TestSlow: hundreds begin something and never end it, be it that they are silent or
// that they send a byte now and then. The deadlines end them, and honest clients are
// served meanwhile.
func TestSlow(t *testing.T) {
	blackbox.Needs(t)
	t.Parallel()
	var servers []process
	var addrs []string
	var open []int // descriptors
	var slow sync.WaitGroup
	for _, k := range kinds {
		var flags []string
		if k.name == "echo" {
			flags = []string{"-idle", "1s"} // nothing that it is sent is a beginning only
		}
		s := k.start(t, flags...)
		p := process{t, s.Process.Pid}
		servers, addrs, open = append(servers, p), append(addrs, s.Addr), append(open, p.fds())
		for i := range 200 {
			c := k.enter(t, s.Addr)
			c.SetDeadline(time.Now().Add(2 * time.Minute))
			io.WriteString(c, k.begun)
			if i%2 == 0 && k.name != "echo" {
				slow.Go(func() { drip(c) })
			}
			slow.Go(func() {
				if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("%s: a client who ends nothing is still there", k.name)
				}
			})
		}
	}
	began, over := time.Now(), make(chan bool)
	go func() { slow.Wait(); close(over) }()
	for id, waits := 1, true; waits; id++ {
		for i, k := range kinds {
			if err := k.visit(addrs[i], id, patience); err != nil {
				t.Fatalf("%s: %v", k.name, err)
			}
		}
		select {
		case <-over:
			waits = false
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Logf("all are gone after %v", time.Since(began).Round(time.Second))
	for i, p := range servers {
		p.settles(open[i] + ofRuntime)
	}
}

// drip sends a byte now and then, for as long as there is somebody to take it.
func drip(c net.Conn) {
	for {
		if _, err := io.WriteString(c, "x"); err != nil {
			return
		}
		time.Sleep(700 * time.Millisecond)
	}
}
