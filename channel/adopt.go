package channel

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// Adopt makes a Conn of a stream connection of package net and takes it over:
// nc is closed, which ends a Read that a goroutine has under way, and the
// connection lives on in the Conn. On an error nc is as it was. One without a
// descriptor of its own, such as a *tls.Conn, is [errors.ErrUnsupported]. One
// that wraps another and passes on its SyscallConn is taken for what it wraps:
// bytes that the wrapper keeps are lost.
//
// Bytes that were read from nc and not used, a bufio.Reader's for instance, are
// given to the Conn by [Conn.Unread] right after Adopt: they come first. Those
// of a [Detached] connection come by themselves. Connect is called from the
// loop, later. The socket's options stay as they are, except for SO_LINGER:
// with it, close would block the loop.
func Adopt(l *loop.Loop, nc net.Conn, h *Handler) (*Conn, error) {
	hb := hubFor(l, h, "Adopt")
	if nc == nil {
		panic("channel: Adopt: connection is nil")
	}
	c, err := hb.adoptDup(nc, h, false)
	if err != nil {
		return nil, &net.OpError{Op: "adopt", Net: networkOf(nc.RemoteAddr()), Addr: nc.RemoteAddr(), Err: err}
	}
	if lo, ok := nc.(*leftover); ok {
		c.Unread(lo.take())
	}
	nc.Close()
	return c, nil
}

// AdoptFD makes a Conn of a descriptor, of any kind that [Open] takes, and
// takes it over: it is closed when the Conn is, or given away by Detach. If it
// was blocking, that is restored then, for those who share it. On an error it is
// still the caller's, and as it was; one that l has already, as another Conn's,
// a Listener's or a Watch's, is EEXIST. Where an [os.File] owns the descriptor, use
// Open: a File that nobody refers to any more closes it.
func AdoptFD(l *loop.Loop, fd int, h *Handler) (*Conn, error) {
	hb := hubFor(l, h, "AdoptFD")
	var c *Conn
	err := hb.ownOnce(fd)
	if err == nil {
		c, err = hb.adopt(fd, h, true)
	}
	if err != nil {
		return nil, &net.OpError{Op: "adopt", Net: "descriptor", Err: err}
	}
	return c, nil
}

// Open makes a Conn of a file that is open already: a pipe, a terminal, a
// device, os.Stdin or os.Stdout, a socket (file_dispatcher). It works on a
// duplicate, so f stays the caller's and may be closed; while both are open,
// the peer of a socket or pipe sees no end. Regular files are always ready, and
// their reads and writes may wait for the disk.
//
// The descriptor is made non-blocking, which everybody who shares it sees; if
// it was blocking, that is restored when the Conn closes. A program that ends
// with the Conn open, by os.Exit or a signal, leaves it non-blocking to others,
// its shell for instance.
//
// A file open for reading only ends at its EOF as any Conn does; one open for
// writing only has no input, and ends when a write fails (EPIPE) or it is closed.
// One that is open for both, as a terminal is whatever its name, is read unless
// paused. The master of a terminal is at its EOF when the last user of the other
// side has gone, which Linux tells by EIO. Where the kernel has records, as for
// inotify, an eventfd or a timerfd, each Read has whole ones.
//
// Connect is called from the loop, later, as for a dial.
func Open(l *loop.Loop, f *os.File, h *Handler) (*Conn, error) {
	hb := hubFor(l, h, "Open")
	if f == nil {
		panic("channel: Open: file is nil")
	}
	c, err := hb.adoptDup(f, h, true)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: f.Name(), Err: err}
	}
	return c, nil
}

// hubFor is hubOf for what is given a Handler.
func hubFor(l *loop.Loop, h *Handler, name string) *hub {
	hb := hubOf(l)
	hb.e.Check()
	if h == nil {
		panic("channel: " + name + ": handler is nil")
	}
	return hb
}

func networkOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.Network()
}

// dup returns a descriptor for what from has open. An os.File's Fd method is
// not for us: it would make the caller's file blocking.
func (hb *hub) dup(from any) (int, error) {
	sc, ok := from.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("%T has no descriptor: %w", from, errors.ErrUnsupported)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, errno := -1, syscall.EBADF
	if err := raw.Control(func(p uintptr) { fd, errno = hb.e.Sys.Dup(int(p)) }); err != nil {
		return -1, err
	}
	return fd, os.NewSyscallError("fcntl", errnoOrNil(errno))
}

// ownOnce refuses a descriptor that the loop has: both owners would close the
// number, one of them a stranger's.
func (hb *hub) ownOnce(fd int) error {
	if fd >= 0 && hb.e.Has(fd) {
		return fmt.Errorf("descriptor is in this loop already: %w", syscall.EEXIST)
	}
	return nil
}

// adoptDup is adopt of a duplicate.
func (hb *hub) adoptDup(from any, h *Handler, files bool) (*Conn, error) {
	fd, err := hb.dup(from)
	if err != nil {
		return nil, err
	}
	c, err := hb.adopt(fd, h, files)
	if err != nil {
		hb.e.CloseFD(fd)
	}
	return c, err
}

// adopt makes a Conn of a descriptor, which it leaves alone on an error.
func (hb *hub) adopt(fd int, h *Handler, files bool) (*Conn, error) {
	if hb.e.IsClosed() {
		return nil, loop.ErrClosed
	}
	s := hb.e.Sys
	kind, errno := s.Kind(fd)
	switch {
	case errno != 0:
		return nil, os.NewSyscallError("fstat", errno)
	case kind == sys.Listening:
		return nil, fmt.Errorf("socket is a listener's: %w", errors.ErrUnsupported)
	case kind != sys.Stream && kind != sys.Unsure && !(kind == sys.File && files):
		return nil, fmt.Errorf("not a stream socket: %w", errors.ErrUnsupported)
	}
	mode, errno := s.Mode(fd)
	if errno == 0 && !mode.Nonblock {
		errno = s.SetNonblock(fd, true)
	}
	if errno != 0 {
		return nil, os.NewSyscallError("fcntl", errno)
	}
	c := hb.newConn(fd, h)
	c.state |= opening | adopted
	if !mode.Nonblock {
		c.state |= wasBlocking
	}
	if kind != sys.File {
		c.remote, _ = s.PeerAddr(fd) // gone already: reading will tell
		hb.countGuest(c)
		s.SetOption(fd, sys.Linger, -1)
	} else {
		c.state |= isFile
		if !mode.Read {
			c.state |= noRead
		}
		if !mode.Write {
			c.state |= noWrite
		}
	}
	c.e.Again(c.token)
	return c, nil
}

// restoreBlocking undoes what adopt did to the open file. Other Conns may have
// the same one (a terminal's input and output), which nothing tells but that it
// has become blocking for them too: then it is for the last of them to do.
func (c *Conn) restoreBlocking(fd int) {
	s := c.e.Sys
	s.SetNonblock(fd, false)
	for o := c.first; o != nil; o = o.next {
		if !o.is(adopted) || o.is(wasBlocking) { // the latter has an open file of its own
			continue
		}
		if mode, errno := s.Mode(int(o.fd)); errno == 0 && !mode.Nonblock {
			s.SetNonblock(int(o.fd), true)
			o.state |= wasBlocking
		}
	}
}

// Adopt makes a Listener of package net's and takes it over: nl is closed, which
// ends an Accept that a goroutine has under way, and its socket goes on
// listening in the Listener. On an error nl is as it was. Of lc, what concerns
// making the socket has no effect: Backlog, ReusePort, V6Only, Mode and Control.
// Close leaves a Unix socket's path in place. The socket is made non-blocking, and
// stays so.
func (lc *ListenConfig) Adopt(l *loop.Loop, nl net.Listener, accept func(*Conn) *Handler) (*Listener, error) {
	if nl == nil {
		panic("channel: Adopt: listener is nil")
	}
	addr := nl.Addr()
	fail := func(err error) (*Listener, error) {
		return nil, &net.OpError{Op: "adopt", Net: networkOf(addr), Addr: addr, Err: err}
	}
	ln, err := lc.newListener(l, "", accept)
	if err != nil {
		return fail(err)
	}
	fd, err := ln.dup(nl)
	if err != nil {
		return fail(err)
	}
	if err := ln.adopt(fd); err != nil {
		ln.e.CloseFD(fd)
		return fail(err)
	}
	if u, ok := nl.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	nl.Close()
	return ln, nil
}

// AdoptFD is Adopt for a descriptor: a Detached one's, or one that a supervisor has
// opened (systemd's LISTEN_FDS). It is taken over: closed when the Listener is. On
// an error it is still the caller's.
func (lc *ListenConfig) AdoptFD(l *loop.Loop, fd int, accept func(*Conn) *Handler) (*Listener, error) {
	ln, err := lc.newListener(l, "", accept)
	if err == nil {
		err = ln.ownOnce(fd)
	}
	if err == nil {
		err = ln.adopt(fd)
	}
	if err != nil {
		return nil, &net.OpError{Op: "adopt", Net: "descriptor", Err: err}
	}
	return ln, nil
}

// adopt takes a descriptor that was made elsewhere, which it leaves open on an
// error.
func (ln *Listener) adopt(fd int) error {
	ln.fd = fd
	err := ln.examine()
	if err == nil {
		err = ln.register()
	}
	if err != nil {
		ln.fd = -1
	}
	return err
}

func (ln *Listener) examine() error {
	kind, errno := ln.e.Sys.Kind(ln.fd)
	if errno != 0 {
		return os.NewSyscallError("fstat", errno)
	}
	if kind != sys.Listening && kind != sys.Unsure {
		return fmt.Errorf("socket does not listen: %w", errors.ErrUnsupported)
	}
	local, errno := ln.e.Sys.LocalAddr(ln.fd)
	if errno != 0 {
		return os.NewSyscallError("getsockname", errno)
	}
	// Whoever called Fd on a File of it has made it blocking: then accept would
	// sleep. It stays as we make it, since other listeners may share it.
	if errno := ln.e.Sys.SetNonblock(ln.fd, true); errno != 0 {
		return os.NewSyscallError("fcntl", errno)
	}
	ln.local, ln.network = local, networkOf(netAddr(local))
	if local.Family == sys.Unix {
		return nil
	}
	// Package net listens for MPTCP by default, where Linux knows no
	// TCP_USER_TIMEOUT; the plain TCP connections that it accepts have it.
	err := ln.tcp().set(ln.e.Sys, ln.fd)
	if errors.Is(err, syscall.ENOPROTOOPT) {
		ln.optionsEach = true
		return nil
	}
	return err
}
