package main

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The load must notice each wrong echo, or the figures are worth nothing.
func TestLoadVerifies(t *testing.T) {
	t.Chdir("../..")
	load, err := cProgram("loadgen.c")(t.Context(), t.TempDir())
	if err != nil {
		t.Skip(err)
	}
	for _, test := range []struct {
		name  string
		spoil func(echo []byte, chunk int) []byte
		want  string // of what the load says; empty: all is well
	}{
		{"faithful", func(p []byte, _ int) []byte { return p }, ""},
		{"another byte", func(p []byte, chunk int) []byte {
			if chunk == 10 {
				p[len(p)/2] ^= 1
			}
			return p
		}, "other bytes"},
		{"a byte lost", func(p []byte, chunk int) []byte {
			if chunk == 10 {
				return p[1:]
			}
			return p
		}, "other bytes"},
		{"a byte too many", func(p []byte, chunk int) []byte {
			if chunk == 0 {
				return append(p, 'x')
			}
			return p
		}, "more came back"},
		{"closed", func(p []byte, chunk int) []byte {
			if chunk == 10 {
				return nil
			}
			return p
		}, "closed a connection"},
		{"silent", func(p []byte, _ int) []byte { return p[:0] }, "not all that was sent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ln, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					go echo(c, test.spoil)
				}
			}()
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			// The others run on in parallel, so this is no time limit of the load's.
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			args := loadArgs(port, os.Getpid(), cell{conns: 3, size: 32, depth: 5}, 300*time.Millisecond)
			_, err = exec.CommandContext(ctx, load[0], args...).Output()
			var said string
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				said = string(exit.Stderr)
			}
			if (err != nil) != (test.want != "") || !strings.Contains(said, test.want) {
				t.Errorf("%v; the load says %q, want %q", err, said, test.want)
			}
		})
	}
}

// The same of the load of packets.
func TestPacketLoadVerifies(t *testing.T) {
	t.Chdir("../..")
	load, err := cProgram("packets/load.c")(t.Context(), t.TempDir())
	if err != nil {
		t.Skip(err)
	}
	for _, test := range []struct {
		name  string
		spoil func(p []byte, number int) [][]byte
		want  string
	}{
		{"faithful", func(p []byte, _ int) [][]byte { return [][]byte{p} }, ""},
		{"another byte", func(p []byte, n int) [][]byte {
			if n == 10 {
				p[len(p)-1] ^= 1
			}
			return [][]byte{p}
		}, "another packet"},
		{"a byte lost", func(p []byte, n int) [][]byte { return [][]byte{p[:len(p)-n/10]} }, "another packet"},
		{"twice", func(p []byte, _ int) [][]byte { return [][]byte{p, p} }, "than was"},
		{"lost", func(p []byte, n int) [][]byte {
			if n == 10 {
				return nil
			}
			return [][]byte{p}
		}, "another packet"},
		{"silent", func([]byte, int) [][]byte { return nil }, "not all that was sent"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			go func() {
				buf := make([]byte, 1000)
				for i := 0; ; i++ {
					n, from, err := pc.ReadFrom(buf)
					if err != nil {
						return
					}
					for _, p := range test.spoil(buf[:n], i) {
						pc.WriteTo(p, from)
					}
				}
			}()
			_, port, _ := net.SplitHostPort(pc.LocalAddr().String())
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			args := loadArgs(port, os.Getpid(), cell{conns: 3, size: 33, depth: 5}, 300*time.Millisecond)
			_, err = exec.CommandContext(ctx, load[0], args...).Output()
			var said string
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				said = string(exit.Stderr)
			}
			if (err != nil) != (test.want != "") || !strings.Contains(said, test.want) {
				t.Errorf("%v; the load says %q, want %q", err, said, test.want)
			}
		})
	}
}

// echo answers with what spoil makes of the input; nil closes.
func echo(c net.Conn, spoil func([]byte, int) []byte) {
	defer c.Close()
	buf := make([]byte, 1000)
	for chunk := 0; ; chunk++ {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		p := spoil(buf[:n:n], chunk)
		if p == nil {
			return
		}
		c.Write(p)
	}
}
