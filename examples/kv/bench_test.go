//go:build unix

package main

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// exchange sends pipelined commands and reads as many bytes as they are answered
// with. It allocates nothing itself.
func (p *peer) exchange(commands []byte, answer int) {
	if n, err := unix.Write(p.fd, commands); n != len(commands) {
		p.Fatal(n, err)
	}
	for answer > 0 {
		p.turn()
		if n, _ := unix.Read(p.fd, p.buf[:]); n > 0 {
			answer -= n
		}
	}
}

var workloads = []struct {
	name, command string
	answer        int
}{
	{"Get", "*2\r\n$3\r\nGET\r\n$16\r\nkey:__rand_int__\r\n", len("$3\r\nxxx\r\n")},
	{"Set", "*3\r\n$3\r\nSET\r\n$16\r\nkey:__rand_int__\r\n$3\r\nxxx\r\n", len("+OK\r\n")},
	{"Incr", "*2\r\n$4\r\nINCR\r\n$7\r\ncounter\r\n", len(":1000000\r\n")},
}

const pipelined = 16

func prepare(t testing.TB) *peer {
	p := newRig(t, defaults, "").dial()
	p.send([]byte("SET key:__rand_int__ xxx\r\nSET counter 1000000\r\n"))
	return p
}

// Sixteen commands at once through a real loop and a socket pair; ns/op is that of
// one command.
func BenchmarkPipelined(b *testing.B) {
	for _, w := range workloads {
		b.Run(w.name, func(b *testing.B) {
			p := prepare(b)
			commands := bytes.Repeat([]byte(w.command), pipelined)
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += pipelined {
				p.exchange(commands, pipelined*w.answer)
			}
		})
	}
}

// No command on a key that is there allocates.
func TestAllocatesNothing(t *testing.T) {
	if os.Getenv("ASYNCORE_DEBUG") != "" {
		t.Skip("debug mode allocates")
	}
	for _, w := range workloads {
		p := prepare(t)
		commands := bytes.Repeat([]byte(w.command), pipelined)
		if n := testing.AllocsPerRun(100, func() { p.exchange(commands, pipelined*w.answer) }); n != 0 {
			t.Errorf("%d times %s: %v allocations", pipelined, w.name, n)
		}
	}
}
