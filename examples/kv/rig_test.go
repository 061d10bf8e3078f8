//go:build unix

package main

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// rig is a server whose loop the test turns by hand: no goroutine, no waiting.
type rig struct {
	testing.TB
	server *server
	loop   *loop.Loop
}

func newRig(t testing.TB, lim limits, poller string) *rig {
	t.Helper()
	l, err := loop.New(loop.Config{Poller: poller})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &rig{TB: t, server: newServer(lim), loop: l}
}

// peer is the client's end of a connection to a rig.
type peer struct {
	*rig
	fd  int
	buf [64 << 10]byte
}

func (r *rig) dial() *peer {
	r.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		r.Fatal(err)
	}
	p := &peer{rig: r, fd: fds[0]}
	unix.CloseOnExec(fds[0])
	unix.CloseOnExec(fds[1])
	unix.SetNonblock(p.fd, true)
	r.Cleanup(func() { unix.Close(p.fd) })
	conn, err := channel.AdoptFD(r.loop, fds[1], new(channel.Handler))
	if err != nil {
		r.Fatal(err)
	}
	c := chat.Attach(conn, &chat.Handler{Message: func(*chat.Conn, []byte) {}})
	c.SetHandler(r.server.accept(c))
	r.turn()
	return p
}

func (r *rig) turn() {
	if err := r.loop.Poll(0); err != nil {
		r.Fatal(err)
	}
}

// send gives the server a piece of input, and the turns to use it up.
func (p *peer) send(piece []byte) (replies []byte, closed bool) {
	for len(piece) > 0 && !closed {
		n, err := unix.Write(p.fd, piece)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			n = len(piece) // the server has closed
		}
		piece = piece[max(n, 0):]
		var more []byte
		more, closed = p.receive()
		replies = append(replies, more...)
	}
	return replies, closed
}

// receive turns the loop until it has nothing more to do.
func (p *peer) receive() (replies []byte, closed bool) {
	for quiet := 0; quiet < 3; {
		p.turn()
		n, err := unix.Read(p.fd, p.buf[:])
		switch {
		case n > 0:
			replies = append(replies, p.buf[:n]...)
			quiet = 0
		case n == 0 && err == nil || errors.Is(err, unix.ECONNRESET):
			return replies, true
		default:
			if at, ok := p.loop.NextDeadline(); !ok || at > p.loop.Now() {
				quiet++
			}
		}
	}
	return replies, false
}
