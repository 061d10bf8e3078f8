//go:build unix

package channel_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// A peer that is gone is told of by Error, again and again, closes nothing, and
// leaves nothing that would keep the poller busy.
func TestPacketPeerGone(t *testing.T) {
	eachPackets(t, func(t *testing.T, w *faultWorld, network string) {
		peer := packetPeer(t, network)
		to := peer.LocalAddr()
		r := w.dialPacket(network, to, channel.Dialer{LocalAddr: packetAddress(t, network)}, channel.PacketHandler{})
		peer.Close()
		if network == "unixgram" {
			os.Remove(to.String()) // package net leaves it
		}
		for range 3 {
			r.errs = nil
			r.write("one", "two", "three")
			w.until("Error", func() bool { return len(r.errs) > 0 })
			w.calm()
			for _, err := range r.errs {
				// A Unix socket has lost its peer for good.
				if !errors.Is(err, syscall.ECONNREFUSED) && !(network == "unixgram" && (errors.Is(err, syscall.ENOTCONN) || errors.Is(err, syscall.ECONNRESET))) {
					t.Errorf("Error(%v)", err)
				}
			}
			if packets, _ := r.c.Buffered(); packets != 0 {
				t.Errorf("%d packets still wait", packets)
			}
		}
		if network == "unixgram" {
			return
		}
		if peer, err := net.ListenPacket(network, to.String()); err == nil {
			defer peer.Close()
			peer.SetDeadline(time.Now().Add(patience))
			r.write("back again")
			w.settle()
			wantPackets(t, peer, "back again")
		}
	})
}

// What the network says while the user has paused is heard on Resume, and does not
// spin meanwhile.
func TestPacketPeerGonePaused(t *testing.T) {
	for _, network := range []string{"udp4", "udp6"} {
		faultEach(t, network, func(t *testing.T, w *faultWorld) {
			peer := packetPeer(t, network)
			r := w.dialPacket(network, peer.LocalAddr(), channel.Dialer{}, channel.PacketHandler{})
			peer.Close()
			r.c.Pause()
			r.write("anybody there?")
			w.calm()
			r.c.Resume()
			w.until("Error", func() bool { return len(r.errs) > 0 })
			if !errors.Is(r.errs[0], syscall.ECONNREFUSED) {
				t.Errorf("Error(%v)", r.errs[0])
			}
			w.calm()
		})
	}
}

// An error queue that somebody has asked for, and that nobody reads, does not spin.
func TestPacketErrorQueue(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux only")
	}
	const ipRecvErr = 11 // IP_RECVERR
	faultEach(t, "udp4", func(t *testing.T, w *faultWorld) {
		r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		if err := unix.SetsockoptInt(r.fd(), unix.IPPROTO_IP, ipRecvErr, 1); err != nil {
			t.Fatal(err)
		}
		peer := packetPeer(t, "udp4")
		peer.Close()
		for range 3 {
			if err := r.c.WriteTo([]byte("hello?"), packetAddrOf(peer.LocalAddr())); err != nil {
				t.Fatal(err)
			}
			w.settle()
		}
		w.until("Error", func() bool { return len(r.errs) > 0 })
		w.calm()
		if !errors.Is(r.errs[0], syscall.ECONNREFUSED) {
			t.Errorf("Error(%v)", r.errs[0])
		}
	})
}

// What is wrong with one packet concerns that one.
func TestPacketSendErrors(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMSGSIZE, syscall.EPERM, syscall.EHOSTUNREACH, syscall.ENETUNREACH,
		syscall.EINVAL, syscall.EACCES, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EIO, syscall.EPIPE, syscall.ECONNREFUSED} {
		faultOnce(t, faultErrno(errno), func(t *testing.T, w *faultWorld) {
			r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
			peer := packetPeer(t, "udp4")
			w.f.Limit(faultsys.SendPackets, 1, faultsys.Times(1)) // "one" goes, as in a batch that is cut short
			w.f.Fail(faultsys.SendPackets, errno, faultsys.Times(1))
			for _, text := range []string{"one", "two", "three"} {
				if err := r.c.WriteTo([]byte(text), packetAddrOf(peer.LocalAddr())); err != nil {
					t.Fatal(err)
				}
			}
			wantPacketError(t, r, errno, peer.LocalAddr())
			wantPackets(t, peer, "one", "three")
			w.calm()
		})
	}
}

// In connected mode a refusal that is told when sending is of an earlier packet:
// this one goes out.
func TestPacketRefusalOfAnother(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	peer := packetPeer(t, "udp4")
	r := w.dialPacket("udp4", peer.LocalAddr(), channel.Dialer{}, channel.PacketHandler{})
	w.f.Fail(faultsys.SendPackets, syscall.ECONNREFUSED, faultsys.Times(1))
	r.write("goes out")
	wantPacketError(t, r, syscall.ECONNREFUSED, peer.LocalAddr())
	wantPackets(t, peer, "goes out")
	r.errs = nil
	w.f.Fail(faultsys.SendPackets, syscall.ECONNREFUSED, faultsys.Times(2))
	r.write("does not", "does again")
	w.until("two errors", func() bool { return len(r.errs) == 2 })
	w.settle()
	wantPackets(t, peer, "does again")
}

// A shortage is waited for, without a busy loop; nothing is lost or reordered.
func TestPacketShortage(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOBUFS, syscall.ENOMEM} {
		faultOnce(t, faultErrno(errno), func(t *testing.T, w *faultWorld) {
			w.manual()
			r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, packetEcho)
			peer := packetPeer(t, "udp4")
			began := w.l.Now()
			w.f.Fail(faultsys.SendPackets, errno, faultsys.Times(5))
			w.f.Fail(faultsys.RecvPackets, errno, faultsys.Times(5))
			sendTo(t, peer, r.c.LocalAddr(), "one", "two")
			r.wait(2)
			w.until("all sent", func() bool { n, _ := r.c.Buffered(); return n == 0 && w.f.Count(faultsys.SendPackets) > 5 })
			wantPackets(t, peer, "one", "two")
			if took := w.l.Now() - began; took < 2*(5+10+20+40+80)*time.Millisecond {
				t.Errorf("tried 5 times in %v", took)
			}
			if len(r.errs) > 0 {
				t.Errorf("told: %v", r.errs)
			}
		})
	}
}

// A full kernel is waited for by the poller; where that is wrong about it, by time.
func TestPacketNoRoom(t *testing.T) {
	faultEach(t, "udp4", func(t *testing.T, w *faultWorld) {
		r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		peer := packetPeer(t, "udp4")
		w.f.Fail(faultsys.SendPackets, syscall.EAGAIN)
		r.c.WriteTo([]byte("one"), packetAddrOf(peer.LocalAddr()))
		for range 20 { // which take 5 ms each: few calls fit
			w.turn(5 * time.Millisecond)
		}
		if n := w.f.Count(faultsys.SendPackets); n < 2 || n > 15 {
			t.Errorf("%d calls in 20 turns", n)
		}
		w.f.Heal(faultsys.SendPackets)
		w.until("sent", func() bool { n, _ := r.c.Buffered(); return n == 0 })
		wantPackets(t, peer, "one")
		w.calm()
	})
}

// What cannot be read is told, and an error that stays does not spin.
func TestPacketReadErrors(t *testing.T) {
	faultEach(t, "udp4", func(t *testing.T, w *faultWorld) {
		w.manual()
		r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		peer := packetPeer(t, "udp4")
		w.f.Fail(faultsys.RecvPackets, syscall.EHOSTUNREACH, faultsys.Times(2))
		w.f.Fail(faultsys.RecvPackets, syscall.EINTR, faultsys.Times(2))
		sendTo(t, peer, r.c.LocalAddr(), "after two errors")
		r.wait(1)
		if len(r.errs) != 2 || !errors.Is(r.errs[0], syscall.EHOSTUNREACH) {
			t.Errorf("told %v", r.errs)
		}
		r.errs = nil
		w.f.Fail(faultsys.RecvPackets, syscall.EPROTO)
		sendTo(t, peer, r.c.LocalAddr(), "in the end")
		before := w.l.Now()
		for range 10 {
			w.turn(time.Second)
		}
		if turns := len(r.errs) / 16; turns < 2 || w.l.Now()-before < 50*time.Millisecond {
			t.Errorf("told %d times in %v", len(r.errs), w.l.Now()-before)
		}
		w.f.Heal(faultsys.RecvPackets)
		r.wait(2)
		wantTexts(t, r.texts(), []string{"after two errors", "in the end"})
	})
}

// A descriptor that somebody else has closed is the end, and is not closed again.
func TestPacketStolen(t *testing.T) {
	for _, call := range []faultsys.Call{faultsys.SendPackets, faultsys.RecvPackets, faultsys.Add} {
		faultOnce(t, string(call), func(t *testing.T, w *faultWorld) {
			r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
			fd, to := r.fd(), r.addr()
			switch call {
			case faultsys.SendPackets:
				r.c.WriteTo([]byte("to itself"), to)
			case faultsys.RecvPackets:
				w.turn(0)
				w.report(w.f.Token(fd), faultReadable)
			case faultsys.Add:
				r.c.Pause()
				w.turn(0)
				r.c.Resume()
			}
			w.f.Steal(fd)
			r.waitClosed(syscall.EBADF)
			r.c.Abort()
		})
	}
}

// Output is bounded by packets and by bytes, refusals are told, and Write tells
// when there is room.
func TestPacketLimit(t *testing.T) {
	faultEach(t, "udp4", func(t *testing.T, w *faultWorld) {
		r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		peer := packetPeer(t, "udp4")
		to := packetAddrOf(peer.LocalAddr())
		r.c.SetLimit(8, 100)
		w.f.Fail(faultsys.SendPackets, syscall.EAGAIN)
		for range 5 {
			if err := r.c.WriteTo(nil, to); err != nil {
				t.Fatal(err)
			}
		}
		sendTo(t, peer, r.c.LocalAddr(), "not read above half")
		w.settle()
		if len(r.got) > 0 {
			t.Errorf("read %v with 5 of 8 packets waiting", r.got)
		}
		w.f.Heal(faultsys.SendPackets)
		r.wait(1)
		if r.writes != 1 {
			t.Errorf("%d Write, want 1", r.writes)
		}
		r.writes, r.got = 0, nil
		w.f.Fail(faultsys.SendPackets, syscall.EAGAIN)
		fill := func(size int) (n int) {
			for r.c.WriteTo([]byte(repeat(size)), to) == nil {
				n++
			}
			if err := r.c.WriteTo([]byte(repeat(size)), to); err != channel.ErrOutputLimit {
				t.Errorf("WriteTo above the limit: %v", err)
			}
			return n
		}
		if n := fill(1); n != 8 {
			t.Errorf("%d packets taken, want 8", n)
		}
		sendTo(t, peer, r.c.LocalAddr(), "not read now")
		w.settle()
		if len(r.got)+r.writes > 0 {
			t.Errorf("read %v above half of the limit, %d Write", r.got, r.writes)
		}
		w.f.Heal(faultsys.SendPackets)
		w.until("Write", func() bool { return r.writes == 1 })
		r.wait(1)
		w.f.Fail(faultsys.SendPackets, syscall.EAGAIN)
		if n := fill(30); n != 3 {
			t.Errorf("%d packets of 30 bytes taken, want 3", n)
		}
		w.f.Heal(faultsys.SendPackets)
		w.until("Write", func() bool { return r.writes == 2 })
		if err := r.c.WriteTo([]byte(repeat(200)), to); err != nil {
			t.Errorf("a large packet where nothing waits: %v", err)
		}
		r.c.SetLimit(1, 1)
		w.until("Write", func() bool { return r.writes == 3 })
	})
}

// The loop's MaxBuffered refuses packets, too, and closes nobody for them.
func TestPacketMaxBuffered(t *testing.T) {
	w := faultLoop(t, loop.Config{MaxBuffered: 100})
	r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
	if err := r.c.WriteTo([]byte(repeat(101)), r.addr()); err != channel.ErrOutputLimit {
		t.Errorf("101 bytes: %v", err)
	}
	if err := r.c.WriteTo([]byte(repeat(100)), r.addr()); err != nil {
		t.Errorf("100 bytes: %v", err)
	}
	r.wait(1)
}

// A Unix socket whose owner does not read holds back its own packets only, for a
// while, and gets them in order when it reads.
func TestPacketCrowded(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a full Unix socket says is Linux's here")
	}
	faultEach(t, "unixgram", func(t *testing.T, w *faultWorld) {
		r := w.listenPacket("unixgram", packetAddress(t, "unixgram"), channel.ListenConfig{}, channel.PacketHandler{})
		slow, quick := packetPeer(t, "unixgram"), packetPeer(t, "unixgram")
		stuffed := fullQueue(t, slow.LocalAddr().String())
		texts := packetTexts(20)
		for i, text := range texts {
			if err := r.c.WriteTo([]byte(text), packetAddrOf(slow.LocalAddr())); err != nil {
				t.Fatal(err)
			}
			if i < 5 {
				r.c.WriteTo([]byte(text), packetAddrOf(quick.LocalAddr()))
			}
		}
		w.turn(0)
		wantPackets(t, quick, texts[:5]...)
		w.turn(0)
		before := w.f.Count(faultsys.SendPackets)
		for range 20 {
			w.turn(5 * time.Millisecond)
		}
		if n := w.f.Count(faultsys.SendPackets) - before; n > 15 {
			t.Errorf("%d calls in 20 turns", n)
		}
		r.c.WriteTo([]byte("the last"), packetAddrOf(slow.LocalAddr())) // behind the others
		r.c.WriteTo([]byte("to the quick"), packetAddrOf(quick.LocalAddr()))
		w.settle()
		wantPackets(t, quick, "to the quick")
		for range stuffed {
			wantPackets(t, slow, "stuffing")
		}
		buf := make([]byte, 100)
		var got []string
		w.until("the slow one's packets", func() bool {
			slow.SetReadDeadline(time.Now().Add(time.Millisecond))
			for {
				n, _, err := slow.ReadFrom(buf)
				if err != nil {
					break
				}
				got = append(got, string(buf[:n]))
			}
			return len(got) == len(texts)+1
		})
		wantTexts(t, got, append(texts, "the last"))
		if len(r.errs) > 0 {
			t.Errorf("told: %v", r.errs)
		}
	})
}

// Connected to such a one, the poller tells when there is room.
func TestPacketCrowdedConnected(t *testing.T) {
	faultEach(t, "unixgram", func(t *testing.T, w *faultWorld) {
		peer := packetPeer(t, "unixgram")
		r := w.dialPacket("unixgram", peer.LocalAddr(), channel.Dialer{LocalAddr: packetAddress(t, "unixgram")}, channel.PacketHandler{})
		texts := packetTexts(100)
		r.write(texts...)
		w.calm() // all that fit have gone
		buf := make([]byte, 100)
		var got []string
		w.until("all packets", func() bool {
			if packets, _ := r.c.Buffered(); packets > 0 || len(got) < len(texts) {
				peer.SetReadDeadline(time.Now().Add(time.Millisecond))
				if n, _, err := peer.ReadFrom(buf); err == nil {
					got = append(got, string(buf[:n]))
				}
			}
			return len(got) == len(texts)
		})
		wantTexts(t, got, texts)
		if len(r.errs) > 0 {
			t.Errorf("told: %v", r.errs)
		}
		w.calm()
	})
}

// One that never reads takes a quarter of the limit, and loses its packets after a
// minute.
func TestPacketStalled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a full Unix socket says is Linux's here")
	}
	w := faultLoop(t, loop.Config{})
	w.manual()
	r := w.listenPacket("unixgram", packetAddress(t, "unixgram"), channel.ListenConfig{}, channel.PacketHandler{})
	dead, quick := packetPeer(t, "unixgram"), packetPeer(t, "unixgram")
	fullQueue(t, dead.LocalAddr().String())
	r.c.SetLimit(16, 1000)
	for range 4 {
		if err := r.c.WriteTo([]byte("never read"), packetAddrOf(dead.LocalAddr())); err != nil {
			t.Fatal(err)
		}
		w.turn(0)
	}
	if err := r.c.WriteTo(nil, packetAddrOf(dead.LocalAddr())); err != channel.ErrOutputLimit {
		t.Errorf("above a quarter of the limit: %v", err)
	}
	for i := range 20 {
		if err := r.c.WriteTo([]byte("read"), packetAddrOf(quick.LocalAddr())); err != nil {
			t.Fatal(i, err)
		}
		w.turn(0)
		wantPackets(t, quick, "read")
	}
	began := w.l.Now()
	w.until("four errors", func() bool { return len(r.errs) == 4 })
	if took := w.l.Now() - began; took > 61*time.Second || took < 58*time.Second || !errors.Is(r.errs[0], channel.ErrStalled) {
		t.Errorf("after %v: %v", took, r.errs)
	}
	r.c.WriteTo([]byte("never read"), packetAddrOf(dead.LocalAddr()))
	began = w.l.Now()
	r.c.Close()
	r.waitClosed(channel.ErrStalled)
	if took := w.l.Now() - began; took < 30*time.Second || took > 32*time.Second {
		t.Errorf("lingered for %v", took)
	}
}

// Options that only the kernel can answer for come back as its errors.
func TestPacketOptions(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
	gram := w.listenPacket("unixgram", packetAddress(t, "unixgram"), channel.ListenConfig{}, channel.PacketHandler{})
	group, own := netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("127.0.0.1")
	for _, test := range []struct {
		name string
		err  error
		want error
	}{
		{"not a group", r.c.JoinGroup(nil, own), syscall.EINVAL},
		{"no address", r.c.JoinGroup(nil, netip.Addr{}), syscall.EINVAL},
		{"a source of another family", r.c.JoinGroup(nil, group, netip.IPv6Loopback()), syscall.EINVAL},
		{"not joined", r.c.LeaveGroup(loopback(t), group), syscall.EADDRNOTAVAIL},
		{"a Unix socket", gram.c.JoinGroup(nil, group), syscall.EOPNOTSUPP},
		{"a Unix socket", gram.c.SetMulticast(nil, 1, true), syscall.EOPNOTSUPP},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, test.err, test.want)
		}
	}
	for _, ttl := range []int{-1, 256} {
		if err := r.c.SetMulticast(nil, ttl, true); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("a TTL of %d: %v", ttl, err)
		}
	}
	w.f.Fail(faultsys.SetOption, syscall.ENOPROTOOPT)
	for _, err := range []error{r.c.SetBroadcast(true), r.c.SetReadBuffer(1), r.c.SetWriteBuffer(1), r.c.SetMulticast(nil, 1, true)} {
		if op, ok := errors.AsType[*net.OpError](err); !ok || !errors.Is(op, syscall.ENOPROTOOPT) {
			t.Errorf("an option: %v", err)
		}
	}
	w.f.Heal(faultsys.SetOption)
	r.c.Abort()
	for _, err := range []error{r.c.SetBroadcast(true), r.c.JoinGroup(nil, group), r.c.SetMulticast(nil, 1, true)} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Abort: %v", err)
		}
	}
}

// Broadcast needs leave. The address is the loopback network's own.
func TestPacketBroadcast(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux's loopback has a broadcast address")
	}
	w := faultLoop(t, loop.Config{})
	r := w.listenPacket("udp4", "0.0.0.0:0", channel.ListenConfig{}, channel.PacketHandler{})
	s := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
	to := channel.PacketAddr{Inet: netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), r.addr().Inet.Port())}
	if err := s.c.WriteTo([]byte("not yet"), to); err != nil {
		t.Fatal(err)
	}
	w.until("Error", func() bool { return len(s.errs) > 0 })
	if !errors.Is(s.errs[0], syscall.EACCES) {
		t.Errorf("without leave: %v", s.errs)
	}
	if err := s.c.SetBroadcast(true); err != nil {
		t.Fatal(err)
	}
	if err := s.c.WriteTo([]byte("to all"), to); err != nil {
		t.Fatal(err)
	}
	r.wait(1)
	wantTexts(t, r.texts(), []string{"to all"})
}

// Members of a group get what is sent to it, others do not; a source may be chosen.
func TestPacketMulticast(t *testing.T) {
	for _, test := range []struct{ network, listen, group, source, other string }{
		{"udp4", "0.0.0.0:0", "239.77.77.77", "127.0.0.1", "127.0.0.2"},
		{"udp6", "[::]:0", "ff01::7777", "::1", "::2"},
	} {
		t.Run(test.network, func(t *testing.T) {
			lo := loopback(t)
			w := faultLoop(t, loop.Config{})
			if test.network == "udp6" {
				needIPv6(t)
			}
			group, source, other := netip.MustParseAddr(test.group), netip.MustParseAddr(test.source), netip.MustParseAddr(test.other)
			r := w.listenPacket(test.network, test.listen, channel.ListenConfig{ReuseAddr: true}, channel.PacketHandler{})
			s := w.listenPacket(test.network, net.JoinHostPort(test.source, "0"), channel.ListenConfig{}, channel.PacketHandler{})
			to := channel.PacketAddr{Inet: netip.AddrPortFrom(group, r.addr().Inet.Port())}
			if err := s.c.SetMulticast(lo, 0, true); err != nil {
				t.Fatal(err)
			}
			say := func(text string) {
				t.Helper()
				s.errs = nil
				if err := s.c.WriteTo([]byte(text), to); err != nil {
					t.Fatal(err)
				}
				w.settle()
				if len(s.errs) > 0 {
					t.Skipf("no multicast on the loopback interface here: %v", s.errs[0])
				}
			}
			// Each packet that should not come is followed by one that does.
			direct := func(text string) {
				t.Helper()
				s.c.WriteTo([]byte(text), channel.PacketAddr{Inet: netip.AddrPortFrom(source, r.addr().Inet.Port())})
				r.w.until(text, func() bool { return slices.Contains(r.texts(), text) })
			}
			if err := r.c.JoinGroup(lo, group); err != nil {
				t.Skipf("no multicast here: %v", err)
			}
			if err := r.c.LeaveGroup(lo, group); err != nil {
				t.Error(err)
			}
			if group.Is6() && lo.Flags&net.FlagMulticast == 0 {
				t.Skip("the calls work; but this loopback interface delivers no IPv6 multicast (Linux)")
			}
			say("before joining")
			direct("1")
			if err := r.c.JoinGroup(lo, group); err != nil {
				t.Fatal(err)
			}
			say("joined")
			direct("2")
			if err := r.c.LeaveGroup(lo, group); err != nil {
				t.Error(err)
			}
			say("left")
			direct("3")
			want := []string{"1", "joined", "2", "3"}
			if err := r.c.JoinGroup(lo, group, other); err == nil {
				say("from another source")
				direct("4")
				if err := r.c.JoinGroup(lo, group, source); err != nil {
					t.Error(err)
				}
				say("from the source")
				direct("5")
				if err := r.c.LeaveGroup(lo, group, source); err != nil {
					t.Error(err)
				}
				want = append(want, "4", "from the source", "5")
			} else if runtime.GOOS == "linux" || !errors.Is(err, syscall.EOPNOTSUPP) {
				t.Error(err)
			}
			wantTexts(t, r.texts(), want)
			if err := s.c.SetMulticast(lo, 0, false); err != nil {
				t.Error(err)
			}
			if err := r.c.JoinGroup(lo, group); err != nil && !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EINVAL) {
				t.Error(err)
			}
			say("not to members on this machine")
			direct("6")
			if strings.Contains(fmt.Sprint(r.texts()), "not to members") {
				t.Error("looped back all the same")
			}
		})
	}
}

// loopback is the interface of 127.0.0.1.
func loopback(t testing.TB) *net.Interface {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Skip(err)
	}
	for _, ifi := range all {
		if ifi.Flags&net.FlagLoopback != 0 && ifi.Flags&net.FlagUp != 0 {
			return &ifi
		}
	}
	t.Skip("no loopback interface here")
	return nil
}

// Looking for the reason of a false readiness takes no packet away: a Unix socket
// has no error queue, and would give what waits to be read.
func TestPacketFalseReadiness(t *testing.T) {
	for _, call := range []faultsys.Call{faultsys.SendPackets, faultsys.RecvPackets} {
		for _, network := range []string{"udp4", "unixgram"} {
			faultOnce(t, network+" "+string(call), func(t *testing.T, w *faultWorld) {
				peer := packetPeer(t, network)
				r := w.dialPacket(network, peer.LocalAddr(), channel.Dialer{LocalAddr: packetAddress(t, network)}, channel.PacketHandler{})
				w.f.Fail(call, syscall.EAGAIN, faultsys.Times(2))
				r.write("question")
				w.turn(0)
				sendTo(t, peer, r.c.LocalAddr(), "one", "two")
				r.wait(2)
				wantTexts(t, r.texts(), []string{"one", "two"})
				w.until("sent", func() bool { n, _ := r.c.Buffered(); return n == 0 })
				wantPackets(t, peer, "question")
				w.calm()
			})
		}
	}
}

// Input goes on when all that held it back has been dropped.
func TestPacketStaleAndOn(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a full Unix socket says is Linux's here")
	}
	w := faultLoop(t, loop.Config{})
	w.manual()
	peer := packetPeer(t, "unixgram")
	r := w.dialPacket("unixgram", peer.LocalAddr(), channel.Dialer{}, channel.PacketHandler{})
	fullQueue(t, peer.LocalAddr().String())
	r.c.SetLimit(4, 1000)
	r.write("never", "read", "by", "anybody")
	w.until("four errors", func() bool { return len(r.errs) == 4 })
	sendTo(t, peer, r.c.LocalAddr(), "anybody there?")
	r.wait(1)
	if r.writes != 1 {
		t.Errorf("%d Write, want 1", r.writes)
	}
}

// What was kept for Resume comes first, also where that is called while the rest of
// the turn's input is still to be read.
func TestPacketResumeInError(t *testing.T) {
	faultEach(t, "udp4", func(t *testing.T, w *faultWorld) {
		nobody := packetPeer(t, "udp4")
		nobody.Close()
		n := 0
		r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{
			Packet: func(c *channel.PacketConn, _ []byte, from channel.PacketAddr, _ bool) {
				if n++; n == 60 {
					for range 64 { // as many as are sent before the next batch is read
						c.WriteTo(nil, from)
					}
					c.Pause()
				}
			},
			Error: func(c *channel.PacketConn, _ error) { c.Resume() },
		})
		texts := packetTexts(150)
		sendTo(t, packetPeer(t, "udp4"), r.c.LocalAddr(), texts...)
		w.f.Fail(faultsys.SendPackets, syscall.EPERM, faultsys.Times(1))
		r.wait(len(texts))
		wantTexts(t, r.texts(), texts)
	})
}

// A socket that somebody has shut down is ready for ever, and has nothing to give.
func TestPacketShutDown(t *testing.T) {
	for _, network := range []string{"udp4", "udp6"} {
		faultEach(t, network, func(t *testing.T, w *faultWorld) {
			r := w.dialPacket(network, packetPeer(t, network).LocalAddr(), channel.Dialer{}, channel.PacketHandler{})
			w.manual()
			if err := unix.Shutdown(r.fd(), unix.SHUT_RDWR); err != nil {
				t.Skip(err)
			}
			before, from := w.l.Now(), w.f.Count(faultsys.RecvPackets)
			for range 100 {
				w.turn(time.Second)
			}
			if n := w.f.Count(faultsys.RecvPackets) - from; w.l.Now() == before {
				t.Errorf("%d calls in 100 turns without a rest", n)
			}
		})
	}
}

// One to whom much is written at once takes no more than its quarter of the limit
// either, and Write tells who was refused when it takes again.
func TestPacketCrowdedAtOnce(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a full Unix socket says is Linux's here")
	}
	w := faultLoop(t, loop.Config{})
	w.manual()
	r := w.listenPacket("unixgram", packetAddress(t, "unixgram"), channel.ListenConfig{}, channel.PacketHandler{})
	dead, quick := packetPeer(t, "unixgram"), packetPeer(t, "unixgram")
	stuffed := fullQueue(t, dead.LocalAddr().String())
	r.c.SetLimit(16, 1000)
	texts := packetTexts(16)
	for _, text := range texts {
		if err := r.c.WriteTo([]byte(text), packetAddrOf(dead.LocalAddr())); err != nil {
			t.Fatal(err)
		}
	}
	w.turn(0)
	if packets, _ := r.c.Buffered(); packets != 4 || len(r.errs) != 12 || !errors.Is(r.errs[0], channel.ErrOutputLimit) {
		t.Fatalf("%d packets wait, %d errors %.200v", packets, len(r.errs), r.errs)
	}
	for range 8 { // which fit into the shortest queue
		if err := r.c.WriteTo([]byte("read"), packetAddrOf(quick.LocalAddr())); err != nil {
			t.Fatal(err)
		}
	}
	w.turn(0)
	for range 8 {
		wantPackets(t, quick, "read")
	}
	r.writes = 0
	if err := r.c.WriteTo(nil, packetAddrOf(dead.LocalAddr())); err != channel.ErrOutputLimit {
		t.Errorf("above a quarter of the limit: %v", err)
	}
	for range stuffed {
		wantPackets(t, dead, "stuffing")
	}
	w.until("Write", func() bool { return r.writes > 0 })
	wantPackets(t, dead, texts[:4]...)
	if packets, _ := r.c.Buffered(); packets != 0 || r.writes != 1 {
		t.Errorf("%d packets wait, %d Write", packets, r.writes)
	}
	// What is queued when it is closed is not more than may wait.
	stuffed = fullQueue(t, dead.LocalAddr().String())
	for _, text := range texts {
		if err := r.c.WriteTo([]byte(text), packetAddrOf(dead.LocalAddr())); err != nil {
			t.Fatal(err)
		}
	}
	r.c.Close()
	w.turn(0)
	for range stuffed {
		wantPackets(t, dead, "stuffing")
	}
	for _, text := range texts {
		w.turn(time.Second)
		wantPackets(t, dead, text)
	}
	r.waitClosed(nil)
}

// How often one is tried that takes nothing does not depend on others that come to
// take nothing.
func TestPacketCrowdedByMany(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a full Unix socket says is Linux's here")
	}
	w := faultLoop(t, loop.Config{})
	w.manual()
	r := w.listenPacket("unixgram", packetAddress(t, "unixgram"), channel.ListenConfig{}, channel.PacketHandler{})
	var dead [20]net.PacketConn
	for i := range dead {
		dead[i] = packetPeer(t, "unixgram")
		fullQueue(t, dead[i].LocalAddr().String())
	}
	slow := packetPeer(t, "unixgram")
	stuffed := fullQueue(t, slow.LocalAddr().String())
	write := func(to net.PacketConn, text string) {
		t.Helper()
		if err := r.c.WriteTo([]byte(text), packetAddrOf(to.LocalAddr())); err != nil {
			t.Fatal(err)
		}
	}
	write(dead[0], "never read")
	for range 20 {
		w.turn(time.Second) // until it is tried once a second
	}
	write(slow, "waits")
	w.turn(0)
	for range stuffed {
		wantPackets(t, slow, "stuffing")
	}
	for _, d := range dead[1:] { // each of them comes to wait too, long before the slow one would be tried
		write(d, "never read")
		w.turn(0)
		w.f.Advance(900 * time.Millisecond)
		w.turn(0)
	}
	wantPackets(t, slow, "waits")
}

// On a connected PacketConn nobody else is taken for the peer, not even one whose
// packet came before it was connected.
func TestPacketStranger(t *testing.T) {
	for _, network := range []string{"udp4", "udp6"} {
		faultEach(t, network, func(t *testing.T, w *faultWorld) {
			peer, stranger := packetPeer(t, network), packetPeer(t, network)
			own, err := net.ListenPacket(network, packetAddress(t, network))
			if err != nil {
				t.Fatal(err)
			}
			sendTo(t, stranger, own.LocalAddr(), "I am the peer")
			raw, err := own.(*net.UDPConn).SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			to := peer.LocalAddr().(*net.UDPAddr).AddrPort()
			var sa unix.Sockaddr = &unix.SockaddrInet6{Addr: to.Addr().As16(), Port: int(to.Port())}
			if network == "udp4" {
				sa = &unix.SockaddrInet4{Addr: to.Addr().Unmap().As4(), Port: int(to.Port())}
			}
			raw.Control(func(fd uintptr) { err = unix.Connect(int(fd), sa) })
			if err != nil {
				t.Fatal(err)
			}
			to2 := own.LocalAddr()
			r, h := w.packets(channel.PacketHandler{})
			if r.c, err = channel.AdoptPacket(w.l, own, h); err != nil {
				t.Fatal(err)
			}
			sendTo(t, peer, to2, "it is me")
			r.wait(1)
			w.settle()
			wantTexts(t, r.texts(), []string{"it is me"})
			// An address of IPv4 may be written as IPv6's too, as package net does.
			mapped := netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port())
			if err := r.c.WriteTo([]byte("to the peer"), channel.PacketAddr{Inet: mapped}); err != nil {
				t.Error(err)
			}
		})
	}
}

// One that takes little, but takes it, is served at its own pace beside one that
// takes nothing.
func TestPacketCrowdedBesideDead(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a full Unix socket says is Linux's here")
	}
	w := faultLoop(t, loop.Config{})
	w.manual()
	r := w.listenPacket("unixgram", packetAddress(t, "unixgram"), channel.ListenConfig{}, channel.PacketHandler{})
	dead, slow := packetPeer(t, "unixgram"), packetPeer(t, "unixgram")
	fullQueue(t, dead.LocalAddr().String())
	r.c.WriteTo([]byte("never read"), packetAddrOf(dead.LocalAddr()))
	for range 20 {
		w.turn(time.Second) // until it is tried once a second
	}
	began := w.l.Now()
	texts := packetTexts(100)
	for _, text := range texts {
		if err := r.c.WriteTo([]byte(text), packetAddrOf(slow.LocalAddr())); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 100)
	var got []string
	w.until("all packets", func() bool {
		slow.SetReadDeadline(time.Now().Add(time.Millisecond))
		for {
			n, _, err := slow.ReadFrom(buf)
			if err != nil {
				return len(got) == len(texts)
			}
			got = append(got, string(buf[:n]))
		}
	})
	wantTexts(t, got, texts)
	if took := w.l.Now() - began; took > 200*time.Millisecond {
		t.Errorf("it took %v", took)
	}
}

// Each packet has its minute, whoever's others wait in front of it.
func TestPacketStalledBehindOthers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what a full Unix socket says is Linux's here")
	}
	w := faultLoop(t, loop.Config{})
	w.manual()
	r := w.listenPacket("unixgram", packetAddress(t, "unixgram"), channel.ListenConfig{}, channel.PacketHandler{})
	one, other := packetPeer(t, "unixgram"), packetPeer(t, "unixgram")
	began := w.l.Now()
	write := func(to net.PacketConn) {
		t.Helper()
		if err := r.c.WriteTo([]byte("never read"), packetAddrOf(to.LocalAddr())); err != nil {
			t.Fatal(err)
		}
	}
	for _, pc := range []net.PacketConn{one, other} {
		fullQueue(t, pc.LocalAddr().String())
		write(pc)
		w.turn(0)
	}
	for w.l.Now()-began < 50*time.Second {
		w.turn(time.Second)
	}
	write(one)
	for w.l.Now()-began < 63*time.Second {
		w.turn(time.Second)
	}
	if len(r.errs) != 2 {
		t.Errorf("told of %d after %v: %v", len(r.errs), w.l.Now()-began, r.errs)
	}
}

// Without its own address, or its peer's, a socket of packets is of no use.
func TestPacketAddressUnknown(t *testing.T) {
	faultEach(t, "udp4", func(t *testing.T, w *faultWorld) {
		peer := packetPeer(t, "udp4")
		for _, call := range []faultsys.Call{faultsys.LocalAddr, faultsys.PeerAddr} {
			w.f.Fail(call, syscall.ENOBUFS)
			if c, err := channel.ListenPacket(w.l, "udp4", "127.0.0.1:0", &channel.PacketHandler{}); c != nil || !errors.Is(err, syscall.ENOBUFS) {
				t.Errorf("%s, ListenPacket: %v, %v", call, c, err)
			}
			if c, err := channel.DialPacket(w.l, "udp4", peer.LocalAddr().String(), &channel.PacketHandler{}); c != nil || !errors.Is(err, syscall.ENOBUFS) {
				t.Errorf("%s, DialPacket: %v, %v", call, c, err)
			}
			w.f.Heal(call)
		}
		if open := w.f.Open(); len(open) > 0 {
			t.Errorf("left open: %v", open)
		}
	})
}
