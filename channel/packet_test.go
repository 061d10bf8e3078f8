//go:build unix

package channel_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

var packetEcho = channel.PacketHandler{
	Packet: func(c *channel.PacketConn, p []byte, from channel.PacketAddr, _ bool) { c.WriteTo(p, from) },
}

// Each packet comes back whole, from the address that it was sent to, in order,
// empty ones too.
func TestPacketEcho(t *testing.T) {
	eachPackets(t, func(t *testing.T, w *faultWorld, network string) {
		r := w.listenPacket(network, packetAddress(t, network), channel.ListenConfig{}, packetEcho)
		one, other := packetPeer(t, network), packetPeer(t, network)
		texts := []string{"one", "", "three", "", repeat(1400)}
		sendTo(t, one, r.c.LocalAddr(), texts...)
		sendTo(t, other, r.c.LocalAddr(), "another peer")
		r.wait(len(texts) + 1)
		for _, p := range r.got {
			if p.truncated || p.from != packetAddrOf(one.LocalAddr()) && p.from != packetAddrOf(other.LocalAddr()) {
				t.Errorf("%.20q came from %v, truncated %v", p.text, p.from, p.truncated)
			}
		}
		if from := wantPackets(t, one, texts...); from.String() != r.c.LocalAddr().String() {
			t.Errorf("answered from %v, want %v", from, r.c.LocalAddr())
		}
		wantPackets(t, other, "another peer")
		w.calm()
		r.c.Close()
		r.waitClosed(nil)
		if errors.Is(r.c.Close(), nil) || r.c.WriteTo(nil, r.addr()) == nil {
			t.Error("closed twice, or written to after Close")
		}
	})
}

// A connected PacketConn hears its peer only, and needs no addresses.
func TestPacketConnected(t *testing.T) {
	eachPackets(t, func(t *testing.T, w *faultWorld, network string) {
		peer := packetPeer(t, network)
		r := w.dialPacket(network, peer.LocalAddr(), channel.Dialer{LocalAddr: packetAddress(t, network)}, channel.PacketHandler{})
		r.write("question", "")
		w.settle()
		from := wantPackets(t, peer, "question", "")
		sendTo(t, peer, from, "answer", "")
		r.wait(2)
		wantTexts(t, r.texts(), []string{"answer", ""})
		if r.got[0].from != packetAddrOf(peer.LocalAddr()) {
			t.Errorf("came from %v, want %v", r.got[0].from, peer.LocalAddr())
		}
		if err := r.c.WriteTo([]byte("to the peer"), r.got[0].from); err != nil {
			t.Error(err)
		}
		if err := r.c.WriteTo(nil, r.addr()); !errors.Is(err, syscall.EISCONN) {
			t.Errorf("WriteTo another address: %v, want EISCONN", err)
		}
		w.settle()
		wantPackets(t, peer, "to the peer")
		if got, want := r.c.RemoteAddr().String(), peer.LocalAddr().String(); got != want {
			t.Errorf("RemoteAddr = %v, want %v", got, want)
		}
		if text := r.c.String(); !strings.Contains(text, network) || !strings.Contains(text, peer.LocalAddr().String()) {
			t.Errorf("String = %q", text)
		}
	})
}

// A Unix client needs no path of its own where the kernel gives it a name.
func TestPacketAutobind(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux names sockets, others do not")
	}
	w := faultLoop(t, loop.Config{})
	server := w.listenPacket("unixgram", packetAddress(t, "unixgram"), channel.ListenConfig{}, packetEcho)
	client := w.dialPacket("unixgram", server.c.LocalAddr(), channel.Dialer{}, channel.PacketHandler{})
	anywhere := w.listenPacket("unixgram", "", channel.ListenConfig{}, channel.PacketHandler{})
	client.write("hello")
	if err := anywhere.c.WriteTo([]byte("unconnected"), server.addr()); err != nil {
		t.Fatal(err)
	}
	client.wait(1)
	anywhere.wait(1)
	if name := client.addr().Unix; !strings.HasPrefix(name, "@") || len(name) != 6 || server.got[0].from != client.addr() {
		t.Errorf("client is %q, server heard %v", name, server.got[0].from)
	}
}

// What is longer than SetMaxPacket allows is cut and said to be.
func TestPacketTruncated(t *testing.T) {
	eachPackets(t, func(t *testing.T, w *faultWorld, network string) {
		r := w.listenPacket(network, packetAddress(t, network), channel.ListenConfig{}, channel.PacketHandler{})
		r.c.SetMaxPacket(100)
		peer := packetPeer(t, network)
		sendTo(t, peer, r.c.LocalAddr(), repeat(99), repeat(100), repeat(101), repeat(1000), "")
		r.wait(5)
		for i, want := range []packet{{repeat(99), r.got[0].from, false}, {repeat(100), r.got[0].from, false},
			{repeat(100), r.got[0].from, true}, {repeat(100), r.got[0].from, true}, {"", r.got[0].from, false}} {
			if r.got[i] != want {
				t.Errorf("packet %d: %d bytes, truncated %v; want %d, %v", i, len(r.got[i].text), r.got[i].truncated, len(want.text), want.truncated)
			}
		}
	})
}

// The largest datagram of UDP passes, one more byte is the sender's error.
func TestPacketLargest(t *testing.T) {
	const largest = 65507
	faultEach(t, "udp4", func(t *testing.T, w *faultWorld) {
		r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		s := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		if err := s.c.SetWriteBuffer(1 << 18); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"before", repeat(largest), repeat(largest + 1), "after"} {
			if err := s.c.WriteTo([]byte(text), r.addr()); err != nil {
				t.Fatal(err)
			}
		}
		r.wait(3)
		wantTexts(t, r.texts(), []string{"before", repeat(largest), "after"})
		wantPacketError(t, s, syscall.EMSGSIZE, r.c.LocalAddr())
	})
}

// wantPacketError wants exactly one error, of writing to an address.
func wantPacketError(t *testing.T, r *packetRec, want error, to net.Addr) {
	t.Helper()
	r.w.until(fmt.Sprint("Error of ", want), func() bool { return len(r.errs) > 0 })
	op, ok := errors.AsType[*net.OpError](r.errs[0])
	if len(r.errs) != 1 || !ok || !errors.Is(op, want) || op.Op != "write" || op.Addr.String() != to.String() || op.Addr.Network() == "" {
		t.Errorf("errors %v, want one of write to %v with %v", r.errs, to, want)
	}
}

// Several batches at once: nothing is lost, nor out of order, and a turn sends and
// reads no more than its share.
func TestPacketBurst(t *testing.T) {
	eachPackets(t, func(t *testing.T, w *faultWorld, network string) {
		if network == "unixgram" {
			t.Skip("a Unix socket's queue is shorter than a batch: see TestPacketCrowded")
		}
		r := w.listenPacket(network, packetAddress(t, network), channel.ListenConfig{}, channel.PacketHandler{})
		if err := r.c.SetReadBuffer(1 << 20); err != nil {
			t.Fatal(err)
		}
		s := w.listenPacket(network, packetAddress(t, network), channel.ListenConfig{}, channel.PacketHandler{})
		texts := packetTexts(150)
		for range 2 {
			for _, text := range texts {
				if err := s.c.WriteTo([]byte(text), r.addr()); err != nil {
					t.Fatal(err)
				}
			}
			r.wait(len(texts))
			wantTexts(t, r.texts(), texts)
			r.got = nil
		}
		if runtime.GOOS == "linux" {
			if sent := w.f.Count(faultsys.SendPackets); sent > 2*3 {
				t.Errorf("%d calls to send 2 times 150 packets", sent)
			}
		}
	})
}

// A peer that floods costs the others no more than its share of each turn.
func TestPacketFairness(t *testing.T) {
	faultEach(t, "udp4", func(t *testing.T, w *faultWorld) {
		flooded := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		calm := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		flooded.c.SetReadBuffer(4 << 20)
		peer := packetPeer(t, "udp4")
		const flood = 400 // more than the budget; fits into the smallest buffer that Linux grants by default
		sendTo(t, peer, flooded.c.LocalAddr(), packetTexts(flood)...)
		sendTo(t, peer, calm.c.LocalAddr(), "one")
		for turns := 0; len(calm.got) == 0; turns++ {
			if w.turn(time.Second); turns > 2 {
				t.Fatalf("not served in %d turns", turns)
			}
			if len(flooded.got) > 256+64 {
				t.Fatalf("%d packets of one peer in a turn", len(flooded.got))
			}
		}
		w.settle()
		if len(flooded.got) < 256 {
			t.Skipf("the kernel kept only %d packets", len(flooded.got))
		}
	})
}

// So much for bytes: with room for one at a time, a turn is over at 256 KiB.
func TestPacketFairnessBytes(t *testing.T) {
	faultEach(t, "udp4", func(t *testing.T, w *faultWorld) {
		r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		r.c.SetReadBuffer(4 << 20)
		r.c.SetMaxPacket(4 << 20)
		for range 6 {
			sendTo(t, packetPeer(t, "udp4"), r.c.LocalAddr(), repeat(60000))
		}
		r.wait(1)
		first := len(r.got)
		w.settle()
		if len(r.got) < 6 {
			t.Skipf("the kernel kept only %d packets", len(r.got))
		}
		if first != 5 {
			t.Errorf("%d packets of 60,000 bytes in a turn, want 5", first)
		}
	})
}

// Output has its budget of a turn too, and the rest goes on in the next.
func TestPacketSendBudget(t *testing.T) {
	faultEach(t, "udp4", func(t *testing.T, w *faultWorld) {
		r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		nobody := packetPeer(t, "udp4")
		nobody.Close()
		for range 600 {
			if err := r.c.WriteTo([]byte("lost"), packetAddrOf(nobody.LocalAddr())); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []int{600 - 256, 600 - 512, 0} {
			w.turn(0)
			if packets, bytes := r.c.Buffered(); packets != want || bytes != 4*want {
				t.Fatalf("%d packets, %d bytes wait after a turn, want %d", packets, bytes, want)
			}
		}
	})
}

// What is read before Pause and never resumed goes with the PacketConn; and a
// queue that is never empty does not grow.
func TestPacketMemory(t *testing.T) {
	w := faultLoop(t, loop.Config{Debug: true})
	var kept []byte
	r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{
		Packet: func(c *channel.PacketConn, p []byte, _ channel.PacketAddr, _ bool) {
			kept = p
			c.Pause()
		},
	})
	peer := packetPeer(t, "udp4")
	sendTo(t, peer, r.c.LocalAddr(), "one", "two", "three")
	r.wait(1)
	if string(kept) != "\xdb\xdb\xdb" {
		t.Errorf("the loop's bytes hold %q after Packet", kept)
	}
	if n := w.l.Stats().Buffered; n == 0 {
		t.Skip("the packets came one by one")
	}
	r.c.Close()
	r.waitClosed(nil)

	r = w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
	s := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
	texts := packetTexts(3000)
	for _, text := range texts {
		w.f.Limit(faultsys.SendPackets, 1, faultsys.Times(2)) // two go, then the kernel has no room
		w.f.Fail(faultsys.SendPackets, syscall.EAGAIN)
		if err := s.c.WriteTo([]byte(text), r.addr()); err != nil {
			t.Fatal(err)
		}
		if packets, _ := s.c.Buffered(); packets > 100 {
			w.turn(0)
		}
		w.f.Heal(faultsys.SendPackets)
	}
	r.wait(len(texts))
	wantTexts(t, r.texts(), texts)
}

// A panic in a callback closes its PacketConn, and no other one.
func TestPacketPanic(t *testing.T) {
	for _, hook := range []string{"packet", "error", "write", "close"} {
		faultOnce(t, hook, func(t *testing.T, w *faultWorld) {
			boom := func(h string) {
				if h == hook {
					panic("in " + h)
				}
			}
			w.panics = 1
			r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{
				Packet: func(*channel.PacketConn, []byte, channel.PacketAddr, bool) { boom("packet") },
				Error:  func(*channel.PacketConn, error) { boom("error") },
				Write:  func(*channel.PacketConn) { boom("write") },
				Close:  func(*channel.PacketConn, error) { boom("close") },
			})
			other := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
			r.c.SetLimit(2, 100)
			r.c.WriteTo([]byte("to itself"), r.addr())
			r.c.WriteTo([]byte(repeat(70000)), r.addr()) // passes the limit: Write is owed
			if hook == "error" {
				r.c.SetLimit(2, 100000)
				r.c.WriteTo([]byte(repeat(70000)), r.addr()) // EMSGSIZE
			}
			if hook == "close" {
				r.c.Close()
			}
			w.until("Close", func() bool { return r.closes == 1 })
			if _, ok := errors.AsType[*loop.PanicError](r.err); ok == (hook == "close") {
				t.Errorf("closed with %v", r.err)
			}
			sendTo(t, packetPeer(t, "udp4"), other.c.LocalAddr(), "alive")
			other.wait(1)
		})
	}
}

// A pause in the midst of a batch keeps what was read for later.
func TestPacketPause(t *testing.T) {
	eachPackets(t, func(t *testing.T, w *faultWorld, network string) {
		r := w.listenPacket(network, packetAddress(t, network), channel.ListenConfig{}, channel.PacketHandler{
			Packet: func(c *channel.PacketConn, p []byte, _ channel.PacketAddr, _ bool) {
				if !strings.HasPrefix(string(p), "late") {
					c.Pause()
				}
			},
		})
		peer := packetPeer(t, network)
		sendTo(t, peer, r.c.LocalAddr(), "one", "two", "three")
		r.wait(1)
		w.calm()
		other := w.listenPacket(network, packetAddress(t, network), channel.ListenConfig{}, channel.PacketHandler{})
		sendTo(t, peer, other.c.LocalAddr(), "they all", "are read", "into one", "area")
		other.wait(4)
		for i, want := range [][]string{{"one", "two"}, {"one", "two", "three"}, {"one", "two", "three", "late", "later"}} {
			if i == 1 {
				sendTo(t, peer, r.c.LocalAddr(), "late", "later")
			}
			r.c.Resume()
			r.wait(len(want))
			w.calm()
			wantTexts(t, r.texts(), want)
		}
	})
}

// What was kept and may not be delivered, since much output waits, is when that has
// gone, whatever tells so.
func TestPacketPauseCrowded(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EAGAIN, syscall.ENOBUFS} {
		faultOnce(t, faultErrno(errno), func(t *testing.T, w *faultWorld) {
			w.manual()
			r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{
				Packet: func(c *channel.PacketConn, p []byte, from channel.PacketAddr, _ bool) {
					c.WriteTo(p, from)
					c.Pause()
				},
			})
			r.c.SetLimit(1, 1000)
			peer := packetPeer(t, "udp4")
			w.f.Fail(faultsys.SendPackets, errno)
			sendTo(t, peer, r.c.LocalAddr(), "one", "two")
			r.wait(1)
			r.c.Resume()
			for range 5 {
				w.turn(0)
			}
			wantTexts(t, r.texts(), []string{"one"})
			w.f.Heal(faultsys.SendPackets)
			r.wait(2)
			wantPackets(t, peer, "one")
		})
	}
}

// Abort in the midst of a batch ends it there.
func TestPacketAbort(t *testing.T) {
	eachPackets(t, func(t *testing.T, w *faultWorld, network string) {
		r := w.listenPacket(network, packetAddress(t, network), channel.ListenConfig{}, channel.PacketHandler{
			Packet: func(c *channel.PacketConn, p []byte, from channel.PacketAddr, _ bool) {
				c.WriteTo(p, from)
				c.Abort()
			},
		})
		peer := packetPeer(t, network)
		sendTo(t, peer, r.c.LocalAddr(), "one", "two")
		r.waitClosed(net.ErrClosed)
		wantTexts(t, r.texts(), []string{"one"})
		if network == "unixgram" {
			if _, err := os.Lstat(r.c.LocalAddr().String()); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the path is still there: %v", err)
			}
		}
	})
}

// Close sends what is queued, and calls nobody else.
func TestPacketClose(t *testing.T) {
	eachPackets(t, func(t *testing.T, w *faultWorld, network string) {
		r := w.listenPacket(network, packetAddress(t, network), channel.ListenConfig{}, channel.PacketHandler{})
		peer := packetPeer(t, network)
		sendTo(t, peer, r.c.LocalAddr(), "not read any more")
		var texts []string
		for i := range 5 {
			texts = append(texts, fmt.Sprint("last words ", i))
			if err := r.c.WriteTo([]byte(texts[i]), packetAddrOf(peer.LocalAddr())); err != nil {
				t.Fatal(err)
			}
		}
		if packets, bytes := r.c.Buffered(); packets != 5 || bytes != 5*len(texts[0]) {
			t.Errorf("Buffered = %d, %d", packets, bytes)
		}
		if err := r.c.Close(); err != nil {
			t.Error(err)
		}
		r.waitClosed(nil)
		wantPackets(t, peer, texts...)
		if len(r.got)+len(r.errs)+r.writes > 0 {
			t.Errorf("callbacks after Close: %v %v %d", r.got, r.errs, r.writes)
		}
	})
}

// The paths of Unix sockets: taken over from the dead, removed by Close, another
// one's left alone.
func TestPacketPath(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	path := packetAddress(t, "unixgram")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if _, err := channel.ListenPacket(w.l, "unixgram", path, &channel.PacketHandler{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a path in use: %v, want EADDRINUSE", err)
	}
	unix.Close(fd)
	r := w.listenPacket("unixgram", path, channel.ListenConfig{Mode: 0o640}, channel.PacketHandler{})
	if st, err := os.Lstat(path); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v, want mode 0640", st, err)
	}
	os.Remove(path)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.c.Close()
	r.waitClosed(nil)
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("another one's file was removed: %v", err)
	}
	os.Remove(path)
	client := w.dialPacket("unixgram", w.listenPacket("unixgram", path, channel.ListenConfig{}, channel.PacketHandler{}).c.LocalAddr(),
		channel.Dialer{LocalAddr: path + "c"}, channel.PacketHandler{})
	client.c.Close()
	client.waitClosed(nil)
	if _, err := (&channel.Dialer{LocalAddr: path + "c"}).DialPacket(w.l, "unixgram", path+"nobody", &channel.PacketHandler{}); err == nil {
		t.Error("connected to nobody")
	}
	if _, err := os.Lstat(path + "c"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the client's path is still there: %v", err)
	}
}

func TestPacketRefusedAtOnce(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	addr := func(err error) bool { _, ok := errors.AsType[*net.AddrError](err); return ok }
	unknown := func(err error) bool { _, ok := errors.AsType[net.UnknownNetworkError](err); return ok }
	errno := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	long := "/" + repeat(200)
	for _, test := range []struct {
		network, address string
		dial             bool
		want             func(error) bool
	}{
		{"tcp", "127.0.0.1:0", false, unknown},
		{"unix", "/x", true, unknown},
		{"unixpacket", "/x", false, unknown},
		{"udp4", "[::1]:1", true, addr},
		{"udp6", "127.0.0.1:1", false, addr},
		{"udp", "example.org:1", true, addr},
		{"udp", "127.0.0.1:65536", true, addr},
		{"udp", ":1", true, addr},
		{"unixgram", "", true, addr},
		{"unixgram", long, false, errno(syscall.ENAMETOOLONG)},
		{"unixgram", "/a\x00b", false, errno(syscall.EINVAL)},
		{"unixgram", "/no/such/folder/s", true, errno(syscall.ENOENT)},
		{"unixpacket", "/no/such/folder/s", true, errno(syscall.ENOENT)},
	} {
		open := channel.ListenPacket
		if test.dial {
			open = channel.DialPacket
		}
		c, err := open(w.l, test.network, test.address, &channel.PacketHandler{})
		op, ok := errors.AsType[*net.OpError](err)
		if c != nil || !ok || op.Net != test.network || op.Addr.String() != test.address || !test.want(err) {
			t.Errorf("%s %q, dial %v: %v, %v", test.network, test.address, test.dial, c, err)
		}
	}
	w.f.Fail(faultsys.Connect, syscall.EAGAIN, faultsys.Times(1))
	if _, err := channel.DialPacket(w.l, "unixpacket", "/backlog/full", &channel.PacketHandler{}); err == nil || errors.Is(err, syscall.EAGAIN) || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("to a listener whose backlog is full: %v", err)
	}
	if _, err := (&channel.Dialer{LocalAddr: "[::1]:0"}).DialPacket(w.l, "udp", "127.0.0.1:1", &channel.PacketHandler{}); !addr(err) {
		t.Errorf("from IPv6 to IPv4: %v", err)
	}
	udp := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
	gram := w.listenPacket("unixgram", packetAddress(t, "unixgram"), channel.ListenConfig{}, channel.PacketHandler{})
	for _, test := range []struct {
		r    *packetRec
		to   channel.PacketAddr
		want error
	}{
		{udp, channel.PacketAddr{}, syscall.EDESTADDRREQ},
		{udp, gram.addr(), syscall.EDESTADDRREQ},
		{udp, channel.PacketAddr{Inet: netip.MustParseAddrPort("[::1]:1")}, syscall.EAFNOSUPPORT},
		{gram, udp.addr(), syscall.EDESTADDRREQ},
		{gram, channel.PacketAddr{}, syscall.EDESTADDRREQ},
	} {
		if err := test.r.c.WriteTo(nil, test.to); !errors.Is(err, test.want) {
			t.Errorf("%v: WriteTo %v: %v, want %v", test.r.c, test.to, err, test.want)
		}
	}
	if _, err := udp.c.Write(nil); !errors.Is(err, syscall.EDESTADDRREQ) {
		t.Errorf("Write without a peer: %v", err)
	}
	w.close()
	if _, err := channel.ListenPacket(w.l, "udp", "127.0.0.1:0", &channel.PacketHandler{}); !errors.Is(err, loop.ErrClosed) {
		t.Errorf("on a closed loop: %v", err)
	}
	if udp.err != loop.ErrClosed {
		t.Errorf("closed with %v, want loop.ErrClosed", udp.err)
	}
}

// One socket for both families: the addresses of IPv4 look like IPv4's.
func TestPacketDualStack(t *testing.T) {
	needIPv6(t)
	w := faultLoop(t, loop.Config{})
	r := w.listenPacket("udp", ":0", channel.ListenConfig{}, packetEcho)
	_, port, _ := net.SplitHostPort(r.c.LocalAddr().String())
	for network, host := range map[string]string{"udp4": "127.0.0.1", "udp6": "::1"} {
		peer := packetPeer(t, network)
		to, err := net.ResolveUDPAddr(network, net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(err)
		}
		r.got = nil
		sendTo(t, peer, to, "hello")
		r.wait(1)
		if r.got[0].from != packetAddrOf(peer.LocalAddr()) {
			t.Errorf("came from %v, want %v", r.got[0].from, peer.LocalAddr())
		}
		w.settle()
		wantPackets(t, peer, "hello")
	}
}

// Several sockets share a port only where they ask for it.
func TestPacketReuse(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	for _, test := range []struct {
		name string
		lc   channel.ListenConfig
		ok   bool
	}{
		{"neither", channel.ListenConfig{}, false},
		{"ReuseAddr", channel.ListenConfig{ReuseAddr: true}, true},
		{"ReusePort", channel.ListenConfig{ReusePort: true}, true},
	} {
		if test.lc.ReuseAddr && runtime.GOOS != "linux" {
			continue // for multicast only
		}
		first := w.listenPacket("udp4", "127.0.0.1:0", test.lc, channel.PacketHandler{})
		_, h := w.packets(channel.PacketHandler{})
		_, err := test.lc.ListenPacket(w.l, "udp4", first.c.LocalAddr().String(), h)
		if ok := err == nil; ok != test.ok || !ok && !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestPacketAdopt(t *testing.T) {
	eachPackets(t, func(t *testing.T, w *faultWorld, network string) {
		pc, err := net.ListenPacket(network, packetAddress(t, network))
		if err != nil {
			t.Fatal(err)
		}
		to := pc.LocalAddr()
		r, h := w.packets(packetEcho)
		if r.c, err = channel.AdoptPacket(w.l, pc, h); err != nil {
			t.Fatal(err)
		}
		if err := pc.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the original is not closed: %v", err)
		}
		peer := packetPeer(t, network)
		sendTo(t, peer, to, "hello")
		r.wait(1)
		w.settle()
		wantPackets(t, peer, "hello")

		fd, err := unix.Socket(map[string]int{"udp4": unix.AF_INET, "udp6": unix.AF_INET6, "unixgram": unix.AF_UNIX}[network], unix.SOCK_DGRAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.f.Give(fd)
		d, h := w.packets(channel.PacketHandler{})
		if d.c, err = channel.AdoptPacketFD(w.l, fd, h); err != nil {
			t.Fatal(err)
		}
		if _, err := channel.AdoptPacketFD(w.l, fd, h); !errors.Is(err, syscall.EEXIST) {
			t.Errorf("adopted twice: %v, want EEXIST", err)
		}
		if err := d.c.WriteTo([]byte("of a blocking socket"), packetAddrOf(peer.LocalAddr())); err != nil {
			t.Fatal(err)
		}
		w.calm()
		wantPackets(t, peer, "of a blocking socket")
	})
	t.Run("not a socket of packets", func(t *testing.T) {
		w := faultLoop(t, loop.Config{})
		for _, fd := range []int{-1, int(os.Stdin.Fd())} {
			if _, err := channel.AdoptPacketFD(w.l, fd, &channel.PacketHandler{}); err == nil {
				t.Errorf("AdoptPacketFD(%d) succeeded", fd)
			}
		}
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if _, err := channel.AdoptPacketFD(w.l, fd, &channel.PacketHandler{}); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a stream: %v", err)
		}
		wrapped := struct{ net.PacketConn }{packetPeer(t, "udp4")}
		if _, err := channel.AdoptPacket(w.l, wrapped, &channel.PacketHandler{}); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("without a descriptor: %v", err)
		}
	})
}

// The idle timeout counts packets of both directions.
func TestPacketIdle(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	w.manual()
	r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
	r.c.SetIdleTimeout(time.Minute)
	peer := packetPeer(t, "udp4")
	w.f.Advance(40 * time.Second)
	sendTo(t, peer, r.c.LocalAddr(), "still there")
	r.wait(1)
	w.f.Advance(40 * time.Second)
	r.c.WriteTo([]byte("so am I"), packetAddrOf(peer.LocalAddr()))
	w.settle()
	w.f.Advance(59 * time.Second)
	w.turn(0)
	if r.closes != 0 {
		t.Fatalf("closed too early: %v", r.err)
	}
	w.f.Advance(time.Second)
	r.waitClosed(channel.ErrIdle)
}

// Drain ends what serves at once, and what asks when its answer has come.
func TestPacketDrain(t *testing.T) {
	for _, backend := range asyncore.Backends() {
		t.Run(backend, func(t *testing.T) {
			w := faultLoop(t, loop.Config{Poller: backend})
			server := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
			peer := packetPeer(t, "udp4")
			idle := w.dialPacket("udp4", peer.LocalAddr(), channel.Dialer{}, channel.PacketHandler{})
			asks := w.dialPacket("udp4", peer.LocalAddr(), channel.Dialer{}, channel.PacketHandler{})
			asks.write("question")
			w.settle()
			w.l.Drain(time.Hour)
			server.waitClosed(nil)
			idle.waitClosed(nil)
			w.settle()
			if asks.closes > 0 {
				t.Fatal("closed before its answer had come")
			}
			from := wantPackets(t, peer, "question")
			sendTo(t, peer, from, "answer")
			w.settle() // not only when the loop looks again, in a second
			asks.waitClosed(nil)
			if n := w.l.Stats().Timers; n > 0 {
				t.Errorf("%d timers have expired", n)
			}
			wantTexts(t, asks.texts(), []string{"answer"})
			if err := w.run(); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

// Misuse is a panic at once, by name.
func TestPacketMisuse(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
	for name, f := range map[string]func(){
		"ListenPacket":  func() { channel.ListenPacket(w.l, "udp", "127.0.0.1:0", nil) },
		"DialPacket":    func() { channel.DialPacket(w.l, "udp", "127.0.0.1:1", nil) },
		"AdoptPacketFD": func() { channel.AdoptPacketFD(w.l, 1, nil) },
		"AdoptPacket":   func() { channel.AdoptPacket(w.l, nil, &channel.PacketHandler{}) },
		"SetHandler":    func() { r.c.SetHandler(nil) },
		"SetLimit":      func() { r.c.SetLimit(1, 0) },
		"SetMaxPacket":  func() { r.c.SetMaxPacket(0) },
	} {
		func() {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "channel: "+name) {
					t.Errorf("%s: panicked with %q", name, text)
				}
			}()
			f()
		}()
	}
}

// A new handler gets the packets from the next one on, in the same batch.
func TestPacketSetHandler(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	second, h := w.packets(channel.PacketHandler{})
	r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{
		Packet: func(c *channel.PacketConn, _ []byte, _ channel.PacketAddr, _ bool) { c.SetHandler(h) },
	})
	sendTo(t, packetPeer(t, "udp4"), r.c.LocalAddr(), "one", "two", "three")
	second.wait(2)
	wantTexts(t, append(r.texts(), second.texts()...), []string{"one", "two", "three"})
	second.c, r.c = r.c, nil
	if second.c.ID() == 0 || second.c.Loop() != w.l {
		t.Error("ID or Loop")
	}
}

// The memory for input is made for all PacketConns of a loop, and holds the size
// of each.
func TestPacketSizes(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	peer := packetPeer(t, "udp4")
	for _, size := range []int{1, 63, 64, 1500, 4 << 20} {
		r := w.listenPacket("udp4", "127.0.0.1:0", channel.ListenConfig{}, channel.PacketHandler{})
		r.c.SetMaxPacket(size)
		sendTo(t, peer, r.c.LocalAddr(), repeat(size%2000), repeat(size%2000+1))
		r.wait(2)
		if got := r.got; len(got[0].text) != min(size, size%2000) || got[0].truncated || got[1].truncated != (size < 2000) {
			t.Errorf("SetMaxPacket(%d): %d bytes %v, %d bytes %v", size, len(got[0].text), got[0].truncated, len(got[1].text), got[1].truncated)
		}
	}
}

// No packet costs an allocation, in either direction.
func TestPacketAllocations(t *testing.T) {
	if runtime.GOOS != "linux" || raceDetector || os.Getenv("ASYNCORE_DEBUG") != "" {
		t.Skip("one call a packet allocates an address; so do the race detector and debug mode")
	}
	eachPackets(t, func(t *testing.T, w *faultWorld, network string) {
		const batch = 8
		server := w.plainPackets(network, packetEcho)
		n := 0
		clients := make([]*channel.PacketConn, 2)
		for i := range clients {
			clients[i] = w.plainPackets(network, channel.PacketHandler{
				Packet: func(*channel.PacketConn, []byte, channel.PacketAddr, bool) { n++ },
			})
		}
		p, to := []byte("a packet"), packetAddrOf(server.LocalAddr())
		exchange := func() {
			n = 0
			for range batch / 2 {
				for _, c := range clients {
					if err := c.WriteTo(p, to); err != nil {
						t.Fatal(err)
					}
				}
			}
			for turns := 0; n < batch; turns++ {
				if w.l.Poll(patience); turns > 100 {
					t.Fatalf("%d packets came back", n)
				}
			}
		}
		exchange()
		if allocs := testing.AllocsPerRun(50, exchange); allocs != 0 {
			t.Errorf("%v allocations for %d packets there and back", allocs, batch)
		}
	})
}

// plainPackets is ListenPacket without a record.
func (w *faultWorld) plainPackets(network string, h channel.PacketHandler) *channel.PacketConn {
	w.t.Helper()
	c, err := channel.ListenPacket(w.l, network, packetAddress(w.t, network), &h)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// An address is a key.
func TestPacketAddr(t *testing.T) {
	if !reflect.TypeFor[channel.PacketAddr]().Comparable() {
		t.Error("not comparable")
	}
	var texts []string
	for _, a := range []channel.PacketAddr{{Inet: netip.MustParseAddrPort("[fe80::1%2]:53")}, {Unix: "@name"}, {}} {
		texts = append(texts, a.String())
	}
	if !slices.Equal(texts, []string{"[fe80::1%2]:53", "@name", ""}) {
		t.Errorf("%q", texts)
	}
}
