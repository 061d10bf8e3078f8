//go:build unix

package channel_test

import (
	"bytes"
	"io"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// Of several parts none goes out behind one that has failed.
func TestWritevAfterFailure(t *testing.T) {
	f := faultsys.New(t, sys.Real())
	x, err := core.On(loop.Config{}, f)
	if err != nil {
		t.Fatal(err)
	}
	l := x.(*loop.Loop)
	defer l.Close()
	fds, _ := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	f.Give(fds[0])
	var reason error
	c, err := channel.AdoptFD(l, fds[0], &channel.Handler{Close: func(_ *channel.Conn, err error) { reason = err }})
	if err != nil {
		t.Fatal(err)
	}
	l.Poll(0)
	f.Fail(faultsys.Send, syscall.ECONNRESET, faultsys.Times(1))
	a, b := bytes.Repeat([]byte("a"), 16<<10), bytes.Repeat([]byte("b"), 16<<10)
	before := f.Count(faultsys.Send)
	werr := c.Writev(a, b)
	sends := f.Count(faultsys.Send) - before
	for range 5 {
		l.Poll(0)
	}
	buf := make([]byte, 64<<10)
	unix.SetNonblock(fds[1], true)
	n, _ := unix.Read(fds[1], buf)
	if n > 0 {
		t.Errorf("first part failed (%d sends, error %v, close %v), and the peer has got %d bytes: %.1q", sends, werr, reason, n, buf[:n])
	}
	unix.Close(fds[1])
}

// What a callback writes of its own input is copied as it stands, whatever lies
// beside it, at every place and of every length.
func TestWritevOfInput(t *testing.T) {
	r := newRig(t, loop.Config{})
	in := noise(150)
	var want []byte
	nc, _ := r.pair("tcp", &channel.Handler{Read: func(c *channel.Conn, p []byte) {
		if len(p) < len(in) {
			c.Unread(p)
			return
		}
		write := func(parts ...[]byte) {
			want = append(want, bytes.Join(parts, nil)...)
			if err := c.Writev(parts...); err != nil {
				t.Error(err)
			}
		}
		for at := range len(p) + 1 {
			for n := range min(70, len(p)-at+1) {
				part := p[at:][:n:n]
				write(part)
				write(part, []byte("\n"))
				write(part, []byte("\r\n"))
				write([]byte("<"), part, nil, part, []byte(">"))
			}
		}
		c.Close()
	}})
	send(t, nc, string(in[:100])) // if it does not come in one piece, a tail is the input
	send(t, nc, string(in[100:]))
	all, err := io.ReadAll(nc)
	r.do(func() {
		if err != nil || !bytes.Equal(all, want) {
			t.Errorf("client read %d bytes, %v, want %d", len(all), err, len(want))
		}
	})
}

// Of other slices nothing is read but what they have: their array may be in use. The
// race detector would tell.
func TestWritevReadsNoFurther(t *testing.T) {
	r := newRig(t, loop.Config{})
	nc, _ := r.pair("tcp", &channel.Handler{Read: func(c *channel.Conn, p []byte) {
		array := []byte(strings.Repeat("x", 200))
		done := make(chan bool)
		go func() {
			for i := range array[10:] {
				array[10+i] = 'z'
			}
			close(done)
		}()
		for range 3 {
			c.Writev(array[:10], []byte("\r\n"))
		}
		<-done
		c.Close()
	}})
	send(t, nc, strings.Repeat("y", 200))
	wantAll(t, nc, []byte(strings.Repeat("xxxxxxxxxx\r\n", 3)))
}
