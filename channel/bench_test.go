//go:build unix

package channel_test

import (
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// noDeadline is for benchmarks, which may take as long as they like.
var noDeadline time.Time

// roundTrip returns a function that sends 64 bytes to an echo server and reads
// them back, all in the calling goroutine, which drives the loop by Poll. The
// client is a bare descriptor: what the function allocates is ours.
func roundTrip(t testing.TB, backend, network string) func() {
	l, err := loop.New(loop.Config{Poller: backend})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	accepted := false
	ln, err := channel.Listen(l, network, address(t, network), func(*channel.Conn) *channel.Handler {
		accepted = true
		return echo
	})
	if err != nil {
		t.Fatal(err)
	}
	family, to := unix.AF_UNIX, unix.Sockaddr(&unix.SockaddrUnix{Name: ln.Addr().String()})
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		family, to = unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: a.Port}
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	if family == unix.AF_INET {
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	unix.SetNonblock(fd, true)
	for !accepted {
		l.Poll(patience)
	}
	out, in := noise(64), make([]byte, 128)
	return func() {
		if _, err := unix.Write(fd, out); err != nil {
			t.Fatal(err)
		}
		for got := 0; got < len(out); {
			if err := l.Poll(patience); err != nil {
				t.Fatal(err)
			}
			n, err := unix.Read(fd, in)
			if err != nil && err != unix.EAGAIN {
				t.Fatal(err)
			}
			got += max(n, 0)
		}
	}
}

// eachWay runs f for every backend over TCP and Unix sockets.
func eachWay[T interface {
	testing.TB
	Run(string, func(T)) bool
}](t T, f func(t T, backend, network string)) {
	for _, network := range []string{"tcp4", "unix"} {
		for _, backend := range asyncore.Backends() {
			t.Run(network+"/"+backend, func(t T) { f(t, backend, network) })
		}
	}
}

// An echo's whole way through the loop allocates nothing.
func TestEchoDoesNotAllocate(t *testing.T) {
	if os.Getenv("ASYNCORE_DEBUG") != "" {
		t.Skip("debug mode allocates")
	}
	eachWay(t, func(t *testing.T, backend, network string) {
		trip := roundTrip(t, backend, network)
		for range 100 {
			trip() // to grow what grows once
		}
		if n := testing.AllocsPerRun(500, trip); n != 0 {
			t.Errorf("%v allocations in a round trip", n)
		}
	})
}

// The cost of our side and of the kernel's: nobody sleeps.
func BenchmarkEcho(b *testing.B) {
	eachWay(b, func(b *testing.B, backend, network string) {
		trip := roundTrip(b, backend, network)
		b.ReportAllocs()
		b.SetBytes(64)
		for b.Loop() {
			trip()
		}
	})
}

// Bytes per second through one Conn, with a client that reads and writes in
// goroutines of its own.
func BenchmarkBulk(b *testing.B) {
	r := newRig(b, loop.Config{})
	nc, _ := r.pair("tcp4", echo)
	block := make([]byte, 64<<10)
	b.SetBytes(int64(len(block)))
	nc.SetDeadline(noDeadline)
	go func() {
		for range b.N {
			if _, err := nc.Write(block); err != nil {
				return
			}
		}
	}()
	b.ResetTimer()
	readN(b, nc, int64(b.N)*int64(len(block)))
}

// What one more Conn costs: connect, accept, close.
func BenchmarkAccept(b *testing.B) {
	l, err := loop.New(loop.Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	closed := 0
	h := &channel.Handler{Close: func(*channel.Conn, error) { closed++ }}
	path := address(b, "unix")
	if _, err := channel.Listen(l, "unix", path, accept(h)); err != nil {
		b.Fatal(err)
	}
	to := &unix.SockaddrUnix{Name: path}
	b.ReportAllocs()
	for i := 1; b.Loop(); i++ {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, to)
		}
		if err != nil {
			b.Fatal(err)
		}
		unix.Close(fd)
		for closed < i {
			l.Poll(patience)
		}
	}
}
