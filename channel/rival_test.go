//go:build linux || darwin || (freebsd && (amd64 || arm64))

package channel_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/tidwall/evio"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// rivals are echo servers on loopback TCP; each returns its address, and ends
// with the test.
var rivals = []struct {
	name  string
	serve func(testing.TB) net.Addr
}{
	{"asyncore", func(t testing.TB) net.Addr { return newRig(t, loop.Config{}).serve("tcp4", echo) }},
	{"evio", serveEvio},
	{"net", serveNet},
}

// serveEvio runs evio's echo. What begins with a NUL byte ends it: evio has no
// other way than an Action of a callback.
func serveEvio(t testing.TB) net.Addr {
	addr := make(chan net.Addr, 1)
	done := make(chan error, 1)
	var events evio.Events
	events.NumLoops = 1
	events.Serving = func(s evio.Server) evio.Action {
		addr <- s.Addrs[0]
		return evio.None
	}
	events.Data = func(c evio.Conn, in []byte) ([]byte, evio.Action) {
		if c.Context() == nil { // the first input of a connection says what it is
			c.SetContext(true)
			if in[0] == 0 {
				return nil, evio.Shutdown
			}
		}
		return in, evio.None
	}
	go func() { done <- evio.Serve(events, "tcp://127.0.0.1:0") }()
	var to net.Addr
	select {
	case to = <-addr:
	case err := <-done:
		t.Fatalf("evio: %v", err)
	}
	t.Cleanup(func() {
		nc := connect(t, to)
		nc.Write([]byte{0})
		if err := receive(t, done, "evio does not end"); err != nil {
			t.Errorf("evio: %v", err)
		}
	})
	return to
}

func serveNet(t testing.TB) net.Addr {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := nc.Read(buf)
					if err != nil {
						return
					}
					if _, err := nc.Write(buf[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr()
}

// Whatever pieces the bytes come in, ours and evio's echo give the same back.
func TestEvioDifferential(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			all := append([]byte("x"), noise(rng.IntN(1<<18))...)
			var pieces []int
			for left := len(all); left > 0; {
				n := min(1+rng.IntN(1<<rng.IntN(16)), left)
				pieces, left = append(pieces, n), left-n
			}
			var got [2][]byte
			for i, rival := range rivals[:2] {
				nc := connect(t, rival.serve(t))
				go func() {
					rest := all
					for _, n := range pieces {
						if _, err := nc.Write(rest[:n]); err != nil {
							t.Errorf("%s: %v", rival.name, err)
							return
						}
						rest = rest[n:]
					}
				}()
				got[i] = make([]byte, len(all))
				if n, err := io.ReadFull(nc, got[i]); err != nil {
					t.Fatalf("%s: %d bytes of %d came back: %v", rival.name, n, len(all), err)
				}
				nc.Close()
			}
			if string(got[0]) != string(got[1]) || string(got[0]) != string(all) {
				t.Error("not the same bytes")
			}
		})
	}
}

// Round trips of 64 bytes over loopback, by clients in goroutines of package
// net, which share the processors with the server.
func BenchmarkEchoLoopback(b *testing.B) {
	for _, clients := range []int{1, 50} {
		for _, rival := range rivals {
			b.Run(fmt.Sprintf("clients=%d/%s", clients, rival.name), func(b *testing.B) {
				to := rival.serve(b)
				conns := make([]net.Conn, clients)
				for i := range conns {
					conns[i] = connect(b, to)
					conns[i].SetDeadline(noDeadline)
				}
				b.SetBytes(64)
				b.ResetTimer()
				var wg sync.WaitGroup
				for i, nc := range conns {
					trips := b.N / clients
					if i < b.N%clients {
						trips++
					}
					wg.Go(func() {
						out, in := noise(64), make([]byte, 64)
						out[0] = 'x'
						for range trips {
							if _, err := nc.Write(out); err != nil {
								b.Error(err)
								return
							}
							if _, err := io.ReadFull(nc, in); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				for _, nc := range conns {
					nc.Close()
				}
			})
		}
	}
}
