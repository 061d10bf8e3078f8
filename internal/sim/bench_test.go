package sim_test

import (
	"testing"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// A world: 32 connections, and 2,000 messages that go there and back.
func BenchmarkWorld(b *testing.B) {
	for _, flavour := range flavours {
		b.Run(flavour, func(b *testing.B) {
			b.ReportAllocs()
			for seed := range b.N {
				runWorld(b, uint64(seed), flavour)
			}
		})
	}
}

func runWorld(b *testing.B, seed uint64, flavour string) {
	k := sim.New(tape.Random(seed))
	var loops []*loop.Loop
	for range 2 {
		l, err := core.On(loop.Config{}, k.Process(sim.ProcessConfig{Poller: flavour}))
		if err != nil {
			b.Fatal(err)
		}
		loops = append(loops, l.(*loop.Loop))
	}
	answer := &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }}
	ln, err := channel.Listen(loops[0], "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return answer })
	if err != nil {
		b.Fatal(err)
	}
	left := 2000
	ask := &channel.Handler{
		Connect: func(c *channel.Conn) { c.Write([]byte("hello")) },
		Read: func(c *channel.Conn, p []byte) {
			left--
			c.Write(p)
		},
	}
	for range 32 {
		channel.Dial(loops[1], "tcp", ln.Addr().String(), ask)
	}
	for left > 0 {
		for _, l := range loops {
			if err := l.Poll(0); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, l := range loops {
		l.Close()
	}
}

// The system calls of one message, without a loop.
func BenchmarkCalls(b *testing.B) {
	p := sim.New(tape.Random(1)).Process(sim.ProcessConfig{})
	x, y, _ := p.Pair("unix")
	buf := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		p.Send(x, buf)
		p.Recv(y, buf)
	}
}
