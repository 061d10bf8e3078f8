package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// fetcher is one transfer. It asks, and next is told what the server answers: the
// whole protocol is a chain of such steps.
type fetcher struct {
	target
	loop    *loop.Loop
	out     *sink
	timeout time.Duration

	control *chat.Conn
	data    *channel.Conn
	replies replies
	asked   string // the last command
	next    func(reply)

	size  int64 // as SIZE has it; -1: unknown
	got   int64
	ended bool // the data connection has
	sent  bool // says the server: the transfer is complete
	err   error
}

// fetch returns when the transfer is complete or has failed.
func fetch(t target, out *sink, timeout time.Duration) error {
	l, err := loop.New(loop.Config{})
	if err != nil {
		return err
	}
	defer l.Close()
	f := &fetcher{target: t, loop: l, out: out, timeout: timeout, size: -1, asked: "connect"}
	f.next = f.greeted
	c := channel.Dial(l, "tcp", t.addr, &channel.Handler{})
	c.SetIdleTimeout(timeout)
	f.control = chat.Attach(c, &chat.Handler{Message: f.line, Close: f.controlClosed})
	if err := l.Run(context.Background()); err != nil {
		return err
	}
	return f.err
}

// fail ends the transfer, for the first reason given.
func (f *fetcher) fail(err error) {
	f.err = cmp.Or(f.err, err)
	f.control.Abort()
	if f.data != nil {
		f.data.Abort()
	}
}

func (f *fetcher) controlClosed(_ *chat.Conn, err error) {
	if !f.sent {
		f.fail(cmp.Or(err, io.ErrUnexpectedEOF))
	}
}

func (f *fetcher) line(_ *chat.Conn, msg []byte) {
	r, done, err := f.replies.line(msg)
	switch {
	case err != nil:
		f.fail(err)
	case done:
		f.next(r)
	}
}

// ask sends a command; next is told the answer.
func (f *fetcher) ask(next func(reply), command, argument string) {
	f.asked, f.next = command, next
	if argument != "" {
		command += " " + argument
	}
	f.control.Push([]byte(command), []byte("\r\n"))
}

// refused is for every answer that is not what was hoped for.
func (f *fetcher) refused(r reply) { f.fail(fmt.Errorf("%s: %q", f.asked, r)) }

func (f *fetcher) greeted(r reply) {
	switch r.kind() {
	case 1: // not now, in some minutes
	case 2:
		f.ask(f.named, "USER", f.user)
	default:
		f.refused(r)
	}
}

func (f *fetcher) named(r reply) {
	switch r.kind() {
	case 2:
		f.loggedIn(r)
	case 3:
		f.ask(f.loggedIn, "PASS", f.password)
	default:
		f.refused(r)
	}
}

func (f *fetcher) loggedIn(r reply) {
	if r.kind() != 2 {
		f.refused(r)
	} else if f.list() {
		f.ask(f.extended, "EPSV", "")
	} else {
		f.ask(f.binary, "TYPE", "I")
	}
}

func (f *fetcher) binary(r reply) {
	if r.kind() != 2 {
		f.refused(r)
		return
	}
	f.ask(f.sized, "SIZE", f.path)
}

// sized: a server need not know SIZE, nor the size.
func (f *fetcher) sized(r reply) {
	if n, err := strconv.ParseInt(r.text, 10, 64); err == nil && r.code == 213 && n >= 0 {
		f.size = n
	}
	f.ask(f.extended, "EPSV", "")
}

func (f *fetcher) extended(r reply) {
	if r.code != 229 {
		f.ask(f.passive, "PASV", "") // of IPv4 alone, but all servers know it
		return
	}
	f.connect(extendedPort(r.text))
}

func (f *fetcher) passive(r reply) {
	if r.code != 227 {
		f.refused(r)
		return
	}
	f.connect(passivePort(r.text))
}

// connect dials the data connection, to the host that the control connection goes to.
func (f *fetcher) connect(port uint16, err error) {
	if err != nil {
		f.fail(err)
		return
	}
	host, _, err := net.SplitHostPort(f.control.Channel().RemoteAddr().String())
	if err != nil {
		f.fail(err)
		return
	}
	f.data = channel.Dial(f.loop, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))), &channel.Handler{
		Read:  f.store,
		Close: f.dataClosed,
	})
	f.data.SetIdleTimeout(f.timeout)
	f.control.Channel().SetIdleTimeout(0) // it is the other's turn to speak
	if f.list() {
		f.ask(f.transferred, "LIST", f.path)
	} else {
		f.ask(f.transferred, "RETR", f.path)
	}
}

// store has a piece written beside the loop. Nothing more is read until that is done:
// a slow disk slows the server down, takes no memory, and is not its silence.
func (f *fetcher) store(c *channel.Conn, p []byte) {
	f.got += int64(len(p))
	if f.size >= 0 && f.got > f.size {
		f.fail(fmt.Errorf("more than %d bytes have come", f.size))
		return
	}
	p = bytes.Clone(p)
	c.Pause()
	c.SetIdleTimeout(0)
	err := f.loop.Offload(func() error { return f.out.write(p) }, func(err error) {
		if err != nil {
			f.fail(err)
		}
		c.SetIdleTimeout(f.timeout)
		c.Resume()
	})
	if err != nil {
		f.fail(err)
	}
}

func (f *fetcher) dataClosed(_ *channel.Conn, err error) {
	if err != nil {
		f.fail(fmt.Errorf("data: %w", err))
		return
	}
	f.ended = true
	f.control.Channel().SetIdleTimeout(f.timeout)
	f.finish()
}

// transferred is told that the transfer begins, and that it is complete; the data
// may come before the one and after the other.
func (f *fetcher) transferred(r reply) {
	switch r.kind() {
	case 1:
	case 2:
		f.sent = true
		f.finish()
	default:
		f.refused(r)
	}
}

// finish takes leave when both ends of the transfer have come.
func (f *fetcher) finish() {
	if !f.ended || !f.sent || f.err != nil {
		return
	}
	if f.size >= 0 && f.got != f.size {
		f.fail(fmt.Errorf("%d bytes of %d have come: %w", f.got, f.size, io.ErrUnexpectedEOF))
		return
	}
	f.ask(func(reply) { f.control.Close() }, "QUIT", "")
}
