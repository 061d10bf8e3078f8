//go:build unix

package channel_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// seqPeer is a plain socket that is connected to a PacketConn on the loop.
func seqPeer(t *testing.T, w *faultWorld, h channel.PacketHandler) (*packetRec, int) {
	t.Helper()
	if runtime.GOOS == "darwin" {
		t.Skip("no SOCK_SEQPACKET here")
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if fds[1] >= 0 {
			unix.Close(fds[1])
		}
	})
	unix.SetNonblock(fds[1], true)
	w.f.Give(fds[0])
	r, rec := w.packets(h)
	if r.c, err = channel.AdoptPacketFD(w.l, fds[0], rec); err != nil {
		t.Fatal(err)
	}
	fd := fds[1]
	fds[1] = -1
	t.Cleanup(func() { unix.Close(fd) })
	return r, fd
}

// A connection of sequenced packets keeps each as it was sent, both ways, and
// ends at the peer's end with what was queued sent.
func TestSequenced(t *testing.T) {
	faultEach(t, "unixpacket", func(t *testing.T, w *faultWorld) {
		texts := append(packetTexts(200), "the last", repeat(60000))
		s, c := sequencedPair(t, w, packetEcho, channel.PacketHandler{})
		sent := 0
		for w.until("all back", func() bool { return len(c.got) == len(texts) || sent < len(texts) }); sent < len(texts); {
			if _, err := c.c.Write([]byte(texts[sent])); err == nil {
				sent++
			} else if err != channel.ErrOutputLimit {
				t.Fatal(err)
			}
			w.turn(0)
		}
		c.wait(len(texts))
		wantTexts(t, s.texts(), texts)
		wantTexts(t, c.texts(), texts)
		c.c.Close()
		c.waitClosed(nil)
		s.waitClosed(nil)
		if n := s.c.RemoteAddr().Network(); n != "unixpacket" {
			t.Errorf("network %q", n)
		}
	})
}

// An empty packet is one, and not the end, wherever it stands.
func TestSequencedEmpty(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("an empty packet is the end here")
	}
	for _, texts := range [][]string{{""}, {"", "", ""}, {"a", "", "b", ""}, {"", "a"}, {}} {
		faultOnce(t, "", func(t *testing.T, w *faultWorld) {
			r, peer := seqPeer(t, w, channel.PacketHandler{})
			for _, text := range texts {
				if _, err := unix.SendmsgN(peer, []byte(text), nil, nil, 0); err != nil {
					t.Fatal(err)
				}
			}
			unix.Shutdown(peer, unix.SHUT_WR)
			r.waitClosed(nil)
			wantTexts(t, r.texts(), texts)
		})
	}
}

// So is one that was sent before the connection was accepted.
func TestSequencedEmptyBeforeAccept(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("an empty packet is the end here")
	}
	w := faultLoop(t, loop.Config{})
	r, h := w.packets(channel.PacketHandler{})
	path := packetAddress(t, "unixpacket")
	ln, err := (&channel.ListenConfig{}).ListenSeqPacket(w.l, "unixpacket", path,
		func(c *channel.PacketConn) *channel.PacketHandler { r.c = c; return h })
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "a", ""} {
		if _, err := unix.SendmsgN(fd, []byte(text), nil, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	unix.Shutdown(fd, unix.SHUT_WR)
	r.waitClosed(nil)
	wantTexts(t, r.texts(), []string{"", "a", ""})
	ln.Close()
}

// Descriptors that a peer sends along are not let in.
func TestSequencedStrayDescriptors(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("counts descriptors in /proc")
	}
	count := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(names)
	}
	w := faultLoop(t, loop.Config{})
	r, peer := seqPeer(t, w, channel.PacketHandler{})
	gram := w.listenPacket("unixgram", packetAddress(t, "unixgram"), channel.ListenConfig{}, channel.PacketHandler{})
	before := count()
	for range 3 {
		for _, text := range []string{"with a file", ""} {
			if err := unix.Sendmsg(peer, []byte(text), unix.UnixRights(peer), nil, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = unix.Sendmsg(fd, []byte("with a file"), unix.UnixRights(peer), &unix.SockaddrUnix{Name: gram.addr().Unix}, 0)
	unix.Close(fd)
	if err != nil {
		t.Fatal(err)
	}
	r.wait(6)
	gram.wait(1)
	if after := count(); after != before {
		t.Errorf("%d descriptors, were %d", after, before)
	}
}

// A peer that reads nothing holds its own connection back, which then closes.
func TestSequencedStalled(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	w.manual()
	r, _ := seqPeer(t, w, channel.PacketHandler{})
	began := w.l.Now()
	for r.c.WriteTo([]byte(repeat(1000)), channel.PacketAddr{}) == nil {
		w.turn(0)
	}
	r.waitClosed(channel.ErrStalled)
	if took := w.l.Now() - began; took < 60*time.Second || took > 62*time.Second {
		t.Errorf("closed after %v", took)
	}
}

// What the peer sent before it went is delivered, then comes the reason.
func TestSequencedPeerGone(t *testing.T) {
	for _, test := range []struct {
		name string
		call faultsys.Call
		err  syscall.Errno
		want error
	}{
		{"write: EPIPE", faultsys.SendPackets, syscall.EPIPE, syscall.EPIPE},
		{"write: ECONNRESET", faultsys.SendPackets, syscall.ECONNRESET, syscall.ECONNRESET},
		{"read: ECONNRESET", faultsys.RecvPackets, syscall.ECONNRESET, syscall.ECONNRESET},
		{"nothing", faultsys.Lstat, syscall.EIO, nil},
	} {
		faultOnce(t, test.name, func(t *testing.T, w *faultWorld) {
			r, peer := seqPeer(t, w, channel.PacketHandler{})
			w.f.Fail(test.call, test.err, faultsys.Times(1))
			r.write("question")
			for _, text := range []string{"last", "words"} {
				if _, err := unix.Write(peer, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			unix.Shutdown(peer, unix.SHUT_WR)
			r.waitClosed(test.want)
			wantTexts(t, r.texts(), []string{"last", "words"})
		})
	}
	// A peer that takes nothing more may never end.
	for _, words := range [][]string{nil, {"last", "words"}} {
		faultEach(t, "write: EPIPE, no end", func(t *testing.T, w *faultWorld) {
			r, peer := seqPeer(t, w, channel.PacketHandler{})
			for _, text := range words {
				if _, err := unix.Write(peer, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			w.f.Fail(faultsys.SendPackets, syscall.EPIPE)
			r.c.Pause()
			r.write("question")
			w.calm()
			if _, err := r.c.Write(nil); !errors.Is(err, syscall.EPIPE) || r.closes > 0 {
				t.Errorf("Write = %v, %d Close", err, r.closes)
			}
			r.c.Resume()
			r.waitClosed(syscall.EPIPE)
			wantTexts(t, r.texts(), words)
		})
		faultOnce(t, "write: EPIPE, nobody pauses", func(t *testing.T, w *faultWorld) {
			r, peer := seqPeer(t, w, channel.PacketHandler{})
			w.f.Fail(faultsys.SendPackets, syscall.EPIPE)
			w.settle()
			r.write("question")
			for _, text := range words {
				if _, err := unix.Write(peer, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			r.waitClosed(syscall.EPIPE)
			wantTexts(t, r.texts(), words)
		})
	}
	faultEach(t, "write: EPIPE, and just a turn's share to read", func(t *testing.T, w *faultWorld) {
		const share = 256
		n, peer := 1, -1
		var r *packetRec
		r, peer = seqPeer(t, w, channel.PacketHandler{Packet: func(*channel.PacketConn, []byte, channel.PacketAddr, bool) {
			if n++; n <= share {
				unix.Write(peer, []byte("word"))
			}
		}})
		w.manual()
		if _, err := unix.Write(peer, []byte("word")); err != nil {
			t.Fatal(err)
		}
		w.f.Fail(faultsys.SendPackets, syscall.EPIPE)
		r.c.Pause()
		r.write("question")
		w.turn(0)
		r.c.Resume()
		began := w.l.Now()
		r.waitClosed(syscall.EPIPE)
		if took := w.l.Now() - began; len(r.got) != share || took > time.Second {
			t.Errorf("closed after %d packets and %v", len(r.got), took)
		}
	})
	faultEach(t, "write: EPIPE, and a shortage", func(t *testing.T, w *faultWorld) {
		r, _ := seqPeer(t, w, channel.PacketHandler{})
		w.manual()
		w.f.Fail(faultsys.SendPackets, syscall.EPIPE)
		w.f.Fail(faultsys.RecvPackets, syscall.ENOMEM, faultsys.Times(1))
		began, turns := w.l.Now(), w.l.Stats().Turns
		r.write("question")
		r.waitClosed(syscall.EPIPE)
		if took, turns := w.l.Now()-began, w.l.Stats().Turns-turns; took > time.Second || turns > 20 {
			t.Errorf("closed after %v in %d turns", took, turns)
		}
	})
	faultOnce(t, "paused for ever", func(t *testing.T, w *faultWorld) {
		w.manual()
		r, _ := seqPeer(t, w, channel.PacketHandler{})
		w.f.Fail(faultsys.SendPackets, syscall.EPIPE)
		r.c.Pause()
		r.write("question")
		began := w.l.Now()
		r.waitClosed(syscall.EPIPE)
		if took := w.l.Now() - began; took < 60*time.Second || took > 62*time.Second {
			t.Errorf("closed after %v", took)
		}
	})
	faultEach(t, "for real", func(t *testing.T, w *faultWorld) {
		s, c := sequencedPair(t, w, channel.PacketHandler{}, channel.PacketHandler{})
		s.c.Pause()
		c.write("not read") // a reset for the other end on Linux
		s.write("last words")
		w.settle()
		s.c.Close()
		s.waitClosed(nil)
		w.until("Close", func() bool { return c.closes > 0 })
		if c.err != nil && !errors.Is(c.err, syscall.ECONNRESET) {
			t.Errorf("closed with %v", c.err)
		}
		wantTexts(t, c.texts(), []string{"last words"})
	})
	faultEach(t, "paused", func(t *testing.T, w *faultWorld) {
		w.manual()
		s, c := sequencedPair(t, w, channel.PacketHandler{}, channel.PacketHandler{})
		c.c.Pause()
		s.write("last words")
		w.settle()
		s.c.Close()
		s.waitClosed(nil)
		c.write("who hears this")
		w.calm()
		if c.closes > 0 {
			t.Fatalf("closed with %v while paused", c.err)
		}
		c.c.Resume()
		c.waitClosed(syscall.EPIPE)
		wantTexts(t, c.texts(), []string{"last words"})
	})
}

// The listener: who is refused, what accept may do, the path, the count.
func TestSequencedListen(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("no SOCK_SEQPACKET here")
	}
	w := faultLoop(t, loop.Config{})
	path := packetAddress(t, "unixpacket")
	var served []*packetRec
	n := 0
	lc := channel.ListenConfig{MaxConns: 1}
	ln, err := lc.ListenSeqPacket(w.l, "unixpacket", path, func(c *channel.PacketConn) *channel.PacketHandler {
		n++
		if n == 1 {
			c.Write([]byte("dropped"))
			return nil
		}
		r, h := w.packets(channel.PacketHandler{})
		r.c = c
		served = append(served, r)
		r.write("welcome")
		return h
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := ln.Addr(); a.Network() != "unixpacket" || a.String() != path {
		t.Errorf("Addr = %v %v", a.Network(), a)
	}
	if _, err := lc.ListenSeqPacket(w.l, "unixpacket", path, func(*channel.PacketConn) *channel.PacketHandler { return nil }); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a path in use: %v", err)
	}
	if _, err := lc.ListenSeqPacket(w.l, "unix", path, nil); !errors.As(err, new(net.UnknownNetworkError)) {
		t.Errorf("network unix: %v", err)
	}
	if _, err := lc.ListenSeqPacket(w.l, "unixpacket", path, nil); err == nil {
		t.Error("without a function")
	}
	first := w.dialPacket("unixpacket", ln.Addr(), channel.Dialer{}, channel.PacketHandler{})
	w.until("the refusal", func() bool { return first.closes == 1 })
	if len(first.got) > 0 {
		t.Errorf("refused, and got %v", first.got)
	}
	second := w.dialPacket("unixpacket", ln.Addr(), channel.Dialer{}, channel.PacketHandler{})
	second.wait(1)
	third := w.dialPacket("unixpacket", ln.Addr(), channel.Dialer{}, channel.PacketHandler{})
	w.settle()
	if len(served) != 1 {
		t.Fatalf("%d served, MaxConns is 1", len(served))
	}
	second.c.Close()
	third.wait(1)
	served[0].waitClosed(nil)
	ln.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the path is still there: %v", err)
	}
}

// A slow peer takes packets before any poller tells of room.
func TestSequencedRoom(t *testing.T) {
	for _, idle := range []time.Duration{0, 45 * time.Second} {
		faultEach(t, fmt.Sprintf("idle timeout %v", idle), func(t *testing.T, w *faultWorld) {
			w.manual()
			r, fd := seqPeer(t, w, channel.PacketHandler{})
			r.c.SetIdleTimeout(idle)
			w.unwritable()
			var texts []string
			for n := 0; n == 0; n, _ = r.c.Buffered() {
				text := string(faultBytes(1000 + len(texts)))
				texts = append(texts, text)
				if _, err := r.c.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
				w.turn(0)
			}
			for range 5 {
				texts = append(texts, "more")
				r.c.Write([]byte("more"))
			}
			buf := make([]byte, 10000)
			next := w.l.Now()
			for n := 1; n > 0; n, _ = r.c.Buffered() {
				if next <= w.l.Now() {
					next += 10 * time.Second
					n, err := unix.Read(fd, buf)
					if err != nil || string(buf[:n]) != texts[0] {
						t.Fatalf("%d bytes, %v, want %d; closed with %v", n, err, len(texts[0]), r.err)
					}
					texts = texts[1:]
				}
				w.turn(time.Second)
			}
			if r.closes > 0 {
				t.Errorf("closed with %v", r.err)
			}
		})
	}
}
