//go:build unix

package channel_test

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// packet is what one Packet callback was given.
type packet struct {
	text      string
	from      channel.PacketAddr
	truncated bool
}

// packetRec records and checks the callbacks of one PacketConn. Its loop is a
// faultWorld's, whose turns the test makes.
type packetRec struct {
	w      *faultWorld
	c      *channel.PacketConn
	got    []packet
	errs   []error
	writes int
	closes int
	err    error
}

func (r *packetRec) enter(hook string) (leave func()) {
	w := r.w
	w.t.Helper()
	if w.in != "" || !w.inside {
		w.t.Errorf("%v: %s inside %q or a call of the user's", r.c, hook, w.in)
	}
	if r.closes > 0 {
		w.t.Errorf("%v: %s after Close", r.c, hook)
	}
	w.in = "packets' " + hook
	return func() { w.in = "" }
}

// packets records what comes to a PacketConn, and calls h.
func (w *faultWorld) packets(h channel.PacketHandler) (*packetRec, *channel.PacketHandler) {
	r := &packetRec{w: w}
	w.t.Cleanup(func() {
		w.end()
		if r.c != nil && r.closes != 1 {
			w.t.Errorf("%v: closed %d times, want once", r.c, r.closes)
		}
	})
	return r, &channel.PacketHandler{
		Packet: func(c *channel.PacketConn, p []byte, from channel.PacketAddr, truncated bool) {
			defer r.enter("packet")()
			r.got = append(r.got, packet{string(p), from, truncated})
			if h.Packet != nil {
				h.Packet(c, p, from, truncated)
			}
		},
		Write: func(c *channel.PacketConn) {
			defer r.enter("write")()
			r.writes++
			if h.Write != nil {
				h.Write(c)
			}
		},
		Error: func(c *channel.PacketConn, err error) {
			defer r.enter("error")()
			r.errs = append(r.errs, err)
			if isAgain(err) {
				w.t.Errorf("%v: EAGAIN got out: %v", r.c, err)
			}
			if h.Error != nil {
				h.Error(c, err)
			}
		},
		Close: func(c *channel.PacketConn, err error) {
			defer r.enter("close")()
			r.closes++
			r.err = err
			if h.Close != nil {
				h.Close(c, err)
			}
		},
	}
}

func isAgain(err error) bool { return is(err, syscall.EAGAIN) }

// listenPacket and dialPacket are channel's, recorded.
func (w *faultWorld) listenPacket(network, address string, lc channel.ListenConfig, h channel.PacketHandler) *packetRec {
	w.t.Helper()
	r, rec := w.packets(h)
	c, err := lc.ListenPacket(w.l, network, address, rec)
	if err != nil {
		w.t.Fatal(err)
	}
	r.c = c
	return r
}

func (w *faultWorld) dialPacket(network string, to net.Addr, d channel.Dialer, h channel.PacketHandler) *packetRec {
	w.t.Helper()
	r, rec := w.packets(h)
	c, err := d.DialPacket(w.l, network, to.String(), rec)
	if err != nil {
		w.t.Fatal(err)
	}
	r.c = c
	return r
}

// texts are the packets' contents.
func (r *packetRec) texts() []string {
	var texts []string
	for _, p := range r.got {
		texts = append(texts, p.text)
	}
	return texts
}

func (r *packetRec) wait(n int) {
	r.w.t.Helper()
	r.w.until(fmt.Sprintf("%v: %d packets", r.c, n), func() bool { return len(r.got) >= n })
}

func (r *packetRec) waitClosed(want error) {
	r.w.t.Helper()
	r.w.until(fmt.Sprintf("%v's Close", r.c), func() bool { return r.closes > 0 })
	if !is(r.err, want) {
		r.w.t.Errorf("%v: closed with %v, want %v", r.c, r.err, want)
	}
}

func (r *packetRec) fd() int {
	r.w.t.Helper()
	raw, err := r.c.SyscallConn()
	fd := -1
	if err == nil {
		err = raw.Control(func(p uintptr) { fd = int(p) })
	}
	if err != nil {
		r.w.t.Fatal(err)
	}
	return fd
}

func (r *packetRec) addr() channel.PacketAddr { return packetAddrOf(r.c.LocalAddr()) }

// write sends packets of a connected PacketConn.
func (r *packetRec) write(texts ...string) {
	r.w.t.Helper()
	for _, text := range texts {
		if n, err := r.c.Write([]byte(text)); err != nil || n != len(text) {
			r.w.t.Fatalf("Write = %d, %v", n, err)
		}
	}
}

func packetAddrOf(a net.Addr) channel.PacketAddr {
	switch a := a.(type) {
	case *net.UDPAddr:
		return channel.PacketAddr{Inet: a.AddrPort()}
	case *net.UnixAddr:
		return channel.PacketAddr{Unix: a.Name}
	}
	return channel.PacketAddr{}
}

// packetAddress is an address to listen on for packets.
func packetAddress(t testing.TB, network string) string {
	t.Helper()
	switch network {
	case "unixgram", "unixpacket":
		return address(t, "unix")
	case "udp6":
		return address(t, "tcp6")
	}
	return "127.0.0.1:0"
}

// packetPeer is a socket of package net, outside the loop.
func packetPeer(t testing.TB, network string) net.PacketConn {
	t.Helper()
	pc, err := net.ListenPacket(network, packetAddress(t, network))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	pc.SetDeadline(time.Now().Add(patience))
	return pc
}

func sendTo(t testing.TB, pc net.PacketConn, to net.Addr, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := pc.WriteTo([]byte(text), to); err != nil {
			t.Fatalf("peer: %v", err)
		}
	}
}

// wantPackets reads exactly these packets, all of which must be there.
func wantPackets(t testing.TB, pc net.PacketConn, want ...string) net.Addr {
	t.Helper()
	var from net.Addr
	buf := make([]byte, 1<<17)
	for _, text := range want {
		n, a, err := pc.ReadFrom(buf)
		if err != nil || string(buf[:n]) != text {
			t.Fatalf("peer read %.40q, %v, want %.40q", buf[:n], err, text)
		}
		from = a
	}
	return from
}

// eachPackets runs f for every backend and network of datagrams.
func eachPackets(t *testing.T, f func(t *testing.T, w *faultWorld, network string)) {
	t.Helper()
	for _, network := range []string{"udp4", "udp6", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			for _, backend := range asyncore.Backends() {
				t.Run(backend, func(t *testing.T) { f(t, faultLoop(t, loop.Config{Poller: backend}), network) })
			}
		})
	}
}

// sequencedPair gives both ends of a connection of sequenced packets.
func sequencedPair(t *testing.T, w *faultWorld, server, client channel.PacketHandler) (s, c *packetRec) {
	t.Helper()
	if runtime.GOOS == "darwin" {
		t.Skip("no SOCK_SEQPACKET here")
	}
	s, h := w.packets(server)
	ln, err := (&channel.ListenConfig{}).ListenSeqPacket(w.l, "unixpacket", packetAddress(t, "unixpacket"),
		func(c *channel.PacketConn) *channel.PacketHandler { s.c = c; return h })
	if err != nil {
		t.Fatal(err)
	}
	c = w.dialPacket("unixpacket", ln.Addr(), channel.Dialer{}, client)
	w.until("the connection", func() bool { return s.c != nil })
	ln.Close()
	return s, c
}

// packetTexts gives n packets that differ.
func packetTexts(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprint("packet ", i)
	}
	return texts
}

func wantTexts(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %.200q (%d), want %.200q (%d)", got, len(got), want, len(want))
	}
}

// fullQueue fills a Unix datagram socket's receive queue from outside the loop, and
// returns how many packets it took.
func fullQueue(t testing.TB, to string) (n int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	unix.SetNonblock(fd, true)
	for {
		if err := unix.Sendto(fd, []byte("stuffing"), 0, &unix.SockaddrUnix{Name: to}); err != nil {
			return n
		}
		n++
	}
}

func repeat(n int) string { return strings.Repeat("x", n) }
