//go:build unix

package asyncore_test

import (
	"testing"

	"github.com/seed-20e08ac4/asyncore"
)

func benchEach(b *testing.B, f func(b *testing.B, p *asyncore.Poller)) {
	for _, name := range asyncore.Backends() {
		b.Run(name, func(b *testing.B) {
			p := open(b, name)
			b.ReportAllocs()
			f(b, p)
		})
	}
}

// One descriptor is ready, as in a loop under load.
func BenchmarkWait(b *testing.B) {
	benchEach(b, func(b *testing.B, p *asyncore.Poller) {
		fd, peer := unixStream(b)
		peer.write("x")
		add(b, p, fd.fd, 1, readable)
		events := make([]asyncore.Event, 64)
		for b.Loop() {
			if n, err := p.Wait(events, 0); n != 1 || err != nil {
				b.Fatal(n, err)
			}
		}
	})
}

// A Wake that nothing covers, and the Wait that it ends.
func BenchmarkWake(b *testing.B) {
	benchEach(b, func(b *testing.B, p *asyncore.Poller) {
		events := make([]asyncore.Event, 64)
		for b.Loop() {
			if err := p.Wake(); err != nil {
				b.Fatal(err)
			}
			if n, err := p.Wait(events, -1); n != 0 || err != nil {
				b.Fatal(n, err)
			}
		}
	})
}

// A Wake that an earlier one covers: no system call.
func BenchmarkWakeAgain(b *testing.B) {
	benchEach(b, func(b *testing.B, p *asyncore.Poller) {
		for b.Loop() {
			if err := p.Wake(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// What a connection pays whose output begins to wait, and goes out again.
func BenchmarkModify(b *testing.B) {
	benchEach(b, func(b *testing.B, p *asyncore.Poller) {
		fd, _ := unixStream(b)
		add(b, p, fd.fd, 1, readable)
		wants := [2]asyncore.Interest{readable | writable, readable}
		i := 0
		for b.Loop() {
			if err := p.Modify(fd.fd, 1, wants[i&1]); err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
}
