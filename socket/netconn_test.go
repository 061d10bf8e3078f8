//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"bytes"
	"io"
	"net"
	"slices"
	"testing"

	"golang.org/x/net/nettest"
	"golang.org/x/sys/unix"
)

func TestNetConn(t *testing.T) {
	for _, mode := range []struct {
		name    string
		between func() (a, b *Socket, err error)
	}{
		{"tcp", func() (*Socket, *Socket, error) {
			l, err := CreateServer(freePort, ServerOptions{})
			if err != nil {
				return nil, nil, err
			}
			defer l.Close()
			a := must(New(0, 0, 0))
			if err := a.Connect(must(l.GetSockName())); err != nil {
				return nil, nil, err
			}
			b, _, err := l.Accept()
			return a, b, err
		}},
		{"unix", func() (*Socket, *Socket, error) { return Pair(0, 0, 0) }},
		{"non-blocking", func() (*Socket, *Socket, error) { return Pair(0, sockStream|sockNonblock, 0) }},
	} {
		t.Run(mode.name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				a, b, err := mode.between()
				if err != nil {
					return nil, nil, nil, err
				}
				return a.NetConn(), b.NetConn(), func() { a.Close(); b.Close() }, nil
			})
		})
	}
}

func TestNetConnAddrs(t *testing.T) {
	a, b := tcpPair(t)
	c, d := a.NetConn(), b.NetConn()
	if _, is := c.LocalAddr().(*net.TCPAddr); !is || c.LocalAddr().String() != d.RemoteAddr().String() {
		t.Error(c.LocalAddr(), d.RemoteAddr())
	}
	if n, err := c.Write([]byte("x")); n != 1 || err != nil {
		t.Error(n, err)
	}
	ok(t, c.(interface{ CloseWrite() error }).CloseWrite())
	ok(t, d.(interface{ CloseRead() error }).CloseRead())
	ok(t, c.Close())
	wantErr(t, a.Close(), net.ErrClosed)
	s := newSock(t, unix.AF_INET, 0)
	if addr := s.NetConn().RemoteAddr(); addr.Network() != "tcp" || addr.String() != "" {
		t.Error(addr)
	}
}

// Writes of several goroutines don't mix.
func TestNetConnWrites(t *testing.T) {
	a, b := newPair(t, 0)
	const writers, size = 4, 1 << 20
	c := a.NetConn()
	written := background(func() error {
		each(writers, func(i int) {
			if _, err := c.Write(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				t.Error(err)
			}
		})
		return c.Close()
	})
	p := must(io.ReadAll(b.NetConn()))
	ok(t, written(t))
	if len(p) != writers*size {
		t.Fatalf("%d bytes", len(p))
	}
	for block := range slices.Chunk(p, size) {
		if !bytes.Equal(block, bytes.Repeat(block[:1], size)) {
			t.Error("two writes are mixed")
		}
	}
}
