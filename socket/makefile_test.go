//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// M21: lines both ways, and the descriptor lives until all are closed.
func TestMakefile(t *testing.T) {
	a, b := newPair(t, 0)
	f := must(a.Makefile())
	g := must(a.Makefile())
	must(b.SendAll([]byte("one\ntwo\nrest")))
	for _, want := range []string{"one\n", "two\n"} {
		if line, err := f.ReadString('\n'); line != want || err != nil {
			t.Errorf("%q, %v", line, err)
		}
	}
	ok(t, a.Close())
	if a.Fd() != ^uintptr(0) {
		t.Error("the Socket is not closed")
	}
	_, err := a.Recv(1)
	wantErr(t, err, net.ErrClosed)
	_, err = a.Makefile()
	wantErr(t, err, net.ErrClosed)
	must(f.WriteString("from the file"))
	ok(t, f.Flush())
	if p := must(b.Recv(99)); string(p) != "from the file" {
		t.Errorf("%q", p)
	}
	must(f.WriteString("; unflushed"))
	ok(t, f.Close())
	wantErr(t, f.Close(), net.ErrClosed)
	if p := must(b.Recv(99)); string(p) != "; unflushed" {
		t.Errorf("%q", p)
	}
	_, err = f.ReadString('\n') // "rest" lies in the buffer
	wantErr(t, err, net.ErrClosed)
	must(g.WriteString("second"))
	ok(t, b.SetBlocking(false))
	_, err = b.Recv(1)
	wantErr(t, err, ErrWouldBlock) // not the end: g is open
	ok(t, b.SetBlocking(true))
	ok(t, g.Close())
	if p, err := io.ReadAll(bufio.NewReader(b.NetConn())); string(p) != "second" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
}

// The other order, and the end of the stream.
func TestMakefileClosedFirst(t *testing.T) {
	a, b := newPair(t, 0)
	f := must(a.Makefile())
	ok(t, f.Close())
	must(a.SendAll([]byte("open\nend")))
	ok(t, a.Close())
	g := must(b.Makefile())
	ok(t, b.Close())
	var lines []string
	for sc := bufio.NewScanner(g); sc.Scan(); {
		lines = append(lines, sc.Text())
	}
	if got := strings.Join(lines, "|"); got != "open|end" {
		t.Error(got)
	}
	if _, err := g.ReadByte(); err != io.EOF {
		t.Error(err)
	}
	must(g.WriteString("to nobody"))
	wantErr(t, g.Close(), syscall.EPIPE)
	wantErr(t, g.Close(), net.ErrClosed)
}

// §7: a timeout spoils reading, a non-blocking read that finds nothing does not.
func TestMakefileTimeout(t *testing.T) {
	a, b := newPair(t, 0)
	f := must(a.Makefile())
	ok(t, a.SetBlocking(false))
	_, err := f.ReadByte()
	wantErr(t, err, ErrWouldBlock)
	must(b.SendAll([]byte("xy")))
	if c := must(f.ReadByte()); c != 'x' {
		t.Error(c)
	}
	ok(t, a.SetTimeout(short))
	line, err := f.ReadString('\n')
	wantErr(t, err, os.ErrDeadlineExceeded)
	if line != "y" {
		t.Errorf("%q", line)
	}
	must(b.SendAll([]byte("z\n")))
	_, err = f.ReadString('\n')
	wantErr(t, err)
	if !strings.HasSuffix(err.Error(), "cannot read from timed out object") || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	must(f.WriteString("writing goes on"))
	ok(t, f.Close())
	if p := must(b.Recv(99)); string(p) != "writing goes on" {
		t.Errorf("%q", p)
	}
}

// What ends a File's read: its own Close and Detach do, the Socket's Close does not,
// which ends the Socket's own calls even so.
func TestMakefileWaits(t *testing.T) {
	a, b := newPair(t, 0)
	f := must(a.Makefile())
	read := func() error { _, err := f.ReadByte(); return err }
	wait := background(read)
	untilWaiting(t, a, 1)
	own := background(func() error { _, err := a.Recv(1); return err })
	untilWaiting(t, a, 2)
	ok(t, a.Close())
	wantErr(t, own(t), net.ErrClosed)
	must(b.Send([]byte("x")))
	ok(t, wait(t))
	wait = background(read)
	untilWaiting(t, a, 1)
	ok(t, f.Close())
	wantErr(t, wait(t), net.ErrClosed)

	a, _ = newPair(t, 0)
	f = must(a.Makefile())
	wait = background(read)
	untilWaiting(t, a, 1)
	fd := must(a.Detach())
	wantErr(t, wait(t), net.ErrClosed)
	ok(t, f.Close())
	ok(t, unix.Close(int(fd)))
}
