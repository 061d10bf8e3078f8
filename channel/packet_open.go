package channel

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// errBacklog stands for EAGAIN, which would be taken for a timeout.
var errBacklog = errors.New("listener's backlog is full")

// ListenPacket opens a socket that exchanges datagrams with anybody (socket, bind).
// The networks are "udp", "udp4", "udp6" and "unixgram". Addresses are those of
// Listen; on Linux an empty one of a Unix socket is chosen by the kernel.
//
// ListenPacket uses a ListenConfig's zero value.
func ListenPacket(l *loop.Loop, network, address string, h *PacketHandler) (*PacketConn, error) {
	return (&ListenConfig{}).ListenPacket(l, network, address, h)
}

// ListenPacket is the function ListenPacket with the options of lc: ReusePort,
// ReuseAddr, V6Only, Mode and Control. A Unix socket's Mode is set when packets may
// come already: where that matters, its folder is to be closed to others.
func (lc *ListenConfig) ListenPacket(l *loop.Loop, network, address string, h *PacketHandler) (*PacketConn, error) {
	hb := packetHub(l, h, "ListenPacket")
	fail := func(err error) (*PacketConn, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: textAddr{network, address}, Err: err}
	}
	if hb.e.IsClosed() {
		return fail(loop.ErrClosed)
	}
	if network == "unixpacket" {
		return fail(net.UnknownNetworkError(network)) // that is ListenSeqPacket's
	}
	addrs, err := packetAddrs(network, address, true)
	if err != nil {
		return fail(err)
	}
	for i, a := range addrs {
		s := &packetSocket{hub: hb, network: network, fd: -1}
		var c *PacketConn
		if c, err = s.open(a, h, func() error { return s.listen(lc, a, address) }); err == nil {
			return c, nil
		}
		if i == 0 && len(addrs) > 1 && !errors.Is(err, syscall.EAFNOSUPPORT) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			break
		}
	}
	return fail(err)
}

// DialPacket opens a socket that exchanges packets with one address only, to which
// it is connected: the kernel drops what others send, and tells when the peer's
// host has nobody there (see PacketHandler.Error). The networks are ListenPacket's
// and "unixpacket", a connection of sequenced packets. A host is a numeric address
// or "localhost"; names are looked up before, with [loop.Loop.Offload] for
// instance. Nothing is waited for: every failure is returned.
//
// On Linux a Unix datagram socket gets a name of the kernel's, without which nobody
// could answer it; elsewhere Dialer.LocalAddr has to give it a path.
//
// DialPacket uses a Dialer's zero value.
func DialPacket(l *loop.Loop, network, address string, h *PacketHandler) (*PacketConn, error) {
	return (&Dialer{}).DialPacket(l, network, address, h)
}

// DialPacket is the function DialPacket with the options of d: LocalAddr and
// Control.
func (d *Dialer) DialPacket(l *loop.Loop, network, address string, h *PacketHandler) (*PacketConn, error) {
	hb := packetHub(l, h, "DialPacket")
	fail := func(err error) (*PacketConn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: textAddr{network, address}, Err: err}
	}
	if hb.e.IsClosed() {
		return fail(loop.ErrClosed)
	}
	addrs, err := packetAddrs(network, address, false)
	var from []sys.Addr
	if err == nil && d.LocalAddr != "" {
		from, err = packetAddrs(network, d.LocalAddr, true)
	}
	if err != nil {
		return fail(err)
	}
	err = noSuitable(network, d.LocalAddr)
	for _, a := range addrs {
		bind, ok := sys.Addr{}, len(from) == 0
		for _, f := range from {
			if f.Family == a.Family {
				bind, ok = f, true
			}
		}
		if !ok {
			continue
		}
		s := &packetSocket{hub: hb, network: network, fd: -1}
		var c *PacketConn
		if c, err = s.open(a, h, func() error { return s.dial(d, bind, a, address) }); err == nil {
			return c, nil
		}
	}
	return fail(err)
}

// packetHub is hubOf for what is given a PacketHandler.
func packetHub(l *loop.Loop, h *PacketHandler, name string) *hub {
	hb := hubOf(l)
	hb.e.Check()
	if h == nil {
		panic("channel: " + name + ": handler is nil")
	}
	return hb
}

// packetAddrs is parseAddr for the networks of packets.
func packetAddrs(network, address string, listen bool) ([]sys.Addr, error) {
	switch network {
	case "udp", "udp4", "udp6":
		ep, err := readInet(network, address, listen)
		return ep.numeric(address, err)
	case "unixgram", "unixpacket":
		if address == "" && listen && runtime.GOOS == "linux" && network == "unixgram" {
			return []sys.Addr{{Family: sys.Unix}}, nil
		}
		return parseAddr("unix", address, listen)
	}
	return nil, net.UnknownNetworkError(network)
}

// packetSocket is what becomes a PacketConn.
type packetSocket struct {
	*hub
	network string
	fd      int
	path    string
	made    sys.Stat
}

// open makes the socket, has ready bind or connect it, and puts it on the loop.
func (s *packetSocket) open(a sys.Addr, h *PacketHandler, ready func() error) (c *PacketConn, err error) {
	kind := sys.Datagram
	if s.network == "unixpacket" {
		kind = sys.Sequenced
	}
	fd, errno := s.e.Sys.PacketSocket(a.Family, kind)
	if errno != 0 {
		return nil, os.NewSyscallError("socket", errno)
	}
	s.fd = fd
	defer func() { // also if Control has panicked
		if c == nil {
			removeMade(s.e.Sys, s.path, s.made)
			s.e.CloseFD(fd)
		}
	}()
	if err := ready(); err != nil {
		return nil, err
	}
	if c, err = s.newPackets(fd, h, s.network, kind); err == nil {
		c.made = s.made
	}
	return c, err
}

func (s *packetSocket) listen(lc *ListenConfig, a sys.Addr, address string) (err error) {
	set := func(o sys.Option, on bool) error { return switchOption(s.e.Sys, s.fd, o, on) }
	if lc.ReuseAddr {
		err = set(sys.ReuseAddr, true)
	}
	if lc.ReusePort && err == nil {
		err = set(sys.ReusePort, true)
	}
	if a.Family == sys.Inet6 && err == nil {
		both := a.Inet.Addr().IsUnspecified() && s.network == "udp" && !lc.V6Only
		err = set(sys.V6Only, !both)
	}
	if err == nil {
		err = control(lc.Control, s.network, address, s.fd)
	}
	if err == nil {
		s.path = a.Path
		s.made, err = bindTo(s.e.Sys, s.fd, a, lc.Mode)
	}
	return err
}

func (s *packetSocket) dial(d *Dialer, from, to sys.Addr, address string) error {
	if err := control(d.Control, s.network, address, s.fd); err != nil {
		return err
	}
	if from.Family == 0 && s.network == "unixgram" && runtime.GOOS == "linux" {
		from.Family = sys.Unix
	}
	if from.Family != 0 {
		made, err := bindTo(s.e.Sys, s.fd, from, 0)
		if s.path, s.made = from.Path, made; err != nil {
			return err
		}
	}
	errno := s.e.Sys.Connect(s.fd, to)
	if errno == syscall.EAGAIN {
		if to.Family == sys.Unix {
			return fmt.Errorf("connect: %w", errBacklog)
		}
		errno = syscall.EADDRNOTAVAIL // no port is free
	}
	return os.NewSyscallError("connect", errnoOrNil(errno))
}

// newPackets makes a PacketConn of a socket that is ready, and puts it on the loop.
// An error leaves the socket alone.
func (hb *hub) newPackets(fd int, h *PacketHandler, network string, kind sys.Kind) (*PacketConn, error) {
	local, errno := hb.e.Sys.LocalAddr(fd)
	if errno != 0 {
		return nil, os.NewSyscallError("getsockname", errno)
	}
	peer, unconnected := hb.e.Sys.PeerAddr(fd)
	if unconnected != 0 && unconnected != syscall.ENOTCONN && unconnected != syscall.EINVAL { // the latter on macOS, after an end
		return nil, os.NewSyscallError("getpeername", unconnected)
	}
	c := hb.newPacketConn(fd, h, network, kind, local)
	if unconnected == 0 {
		c.connect(peer)
	}
	c.watch()
	if err := c.e.Apply(c.token); err != nil {
		c.e.Unregister(c.token)
		return nil, err
	}
	return c, nil
}

// AdoptPacket makes a PacketConn of one of package net, or of the net.Conn that
// net.Dial gives for its networks, and takes it over: pc is closed, which ends a
// ReadFrom that a goroutine has under way, and the socket lives on. On an error pc
// is as it was. A Unix socket's path is left in place.
func AdoptPacket(l *loop.Loop, pc net.PacketConn, h *PacketHandler) (*PacketConn, error) {
	hb := packetHub(l, h, "AdoptPacket")
	if pc == nil {
		panic("channel: AdoptPacket: connection is nil")
	}
	fd, err := hb.dup(pc)
	var c *PacketConn
	if err == nil {
		if c, err = hb.adoptPackets(fd, h); err != nil {
			hb.e.CloseFD(fd)
		}
	}
	if err != nil {
		return nil, &net.OpError{Op: "adopt", Net: networkOf(pc.LocalAddr()), Addr: pc.LocalAddr(), Err: err}
	}
	pc.Close()
	return c, nil
}

// AdoptPacketFD makes a PacketConn of a descriptor and takes it over: it is closed
// when the PacketConn is. On an error it is still the caller's, and as it was. One
// that is no socket of packets, with IP or Unix addresses, is
// [errors.ErrUnsupported].
func AdoptPacketFD(l *loop.Loop, fd int, h *PacketHandler) (*PacketConn, error) {
	hb := packetHub(l, h, "AdoptPacketFD")
	var c *PacketConn
	err := hb.ownOnce(fd)
	if err == nil {
		c, err = hb.adoptPackets(fd, h)
	}
	if err != nil {
		return nil, &net.OpError{Op: "adopt", Net: "descriptor", Err: err}
	}
	return c, nil
}

func (hb *hub) adoptPackets(fd int, h *PacketHandler) (*PacketConn, error) {
	if hb.e.IsClosed() {
		return nil, loop.ErrClosed
	}
	kind, errno := hb.e.Sys.Kind(fd)
	if errno != 0 {
		return nil, os.NewSyscallError("fstat", errno)
	}
	local, errno := hb.e.Sys.LocalAddr(fd)
	network := ""
	switch {
	case errno != 0 && kind != sys.File:
		return nil, os.NewSyscallError("getsockname", errno)
	case kind == sys.Datagram && local.Family == sys.Unix:
		network = "unixgram"
	case kind == sys.Datagram && local.Family != 0:
		network = "udp"
	case kind == sys.Sequenced && local.Family == sys.Unix:
		network = "unixpacket"
	default:
		return nil, fmt.Errorf("not a socket of packets: %w", errors.ErrUnsupported)
	}
	return hb.newPackets(fd, h, network, kind)
}

// ListenSeqPacket listens for connections of sequenced packets, on the network
// "unixpacket" (SOCK_SEQPACKET, which macOS lacks), with the options of lc. It is
// Listen otherwise, with a connected PacketConn for each connection.
//
// What comes in one packet was sent in one, in the order of sending, and none is
// lost. The peer's end is that of the PacketConn: what is queued is sent, then it
// closes with nil. On Linux an empty packet is a packet; elsewhere it cannot be
// told from the end, unless its sender has marked it with MSG_EOR, and none should
// be sent. Errors of the connection are the reason of Close, when all that came
// before them has been delivered.
func (lc *ListenConfig) ListenSeqPacket(l *loop.Loop, network, address string, accept func(*PacketConn) *PacketHandler) (*Listener, error) {
	fail := func(err error) (*Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: textAddr{network, address}, Err: err}
	}
	if network != "unixpacket" {
		return fail(net.UnknownNetworkError(network))
	}
	refuse := func(*Conn) *Handler { return nil }
	if accept == nil {
		refuse = nil
	}
	ln, err := lc.newListener(l, network, refuse)
	if err != nil {
		return fail(err)
	}
	ln.acceptPacket = accept
	addrs, err := packetAddrs(network, address, true)
	if err == nil {
		err = ln.listen(addrs, address)
	}
	if err != nil {
		return fail(err)
	}
	return ln, nil
}

// discardPackets stands in while a PacketConn has no handler yet.
var discardPackets = &PacketHandler{}

// welcomePackets is welcome for a connection of sequenced packets.
func (ln *Listener) welcomePackets(fd int, from sys.Addr) {
	c := ln.newPacketConn(fd, discardPackets, ln.network, sys.Sequenced, ln.local)
	c.connect(from) // it may have gone already
	c.ln = ln
	ln.open++
	c.dispatching = true
	c.e.Enter((*packetSource)(c), "accept")
	h := ln.acceptPacket(c)
	c.e.Leave()
	if h == nil {
		c.h = discardPackets
		c.end(net.ErrClosed)
		return
	}
	c.h = h
	c.dispatching = false
	c.flush()
	c.watch()
	if err := c.e.Apply(c.token); err != nil {
		c.end(c.opError("accept", nil, err))
		if _, ok := errors.AsType[*asyncore.FDLimitError](err); ok {
			ln.starve(err)
		}
	}
}
