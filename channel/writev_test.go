//go:build unix

package channel_test

import (
	"bytes"
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
