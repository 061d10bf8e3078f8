//go:build unix

package channel_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

// blockingPipe is a pipe as a shell would make it.
func blockingPipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	r, w = os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	t.Cleanup(func() {
		r.Close()
		w.Close()
	})
	return r, w
}

func nonblocking(t testing.TB, f *os.File) (on bool) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
			if err != nil {
				t.Error(err)
			}
			on = flags&unix.O_NONBLOCK != 0
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return on
}

func TestOpenPipes(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		inR, inW := pipe(t)
		outR, outW := pipe(t)
		all := noise(3 << 20)
		var in, out *channel.Conn
		out = r.open(outW, &channel.Handler{})
		in = r.open(inR, &channel.Handler{
			Read: func(c *channel.Conn, p []byte) {
				if _, err := out.Write(p); err != nil {
					t.Error(err)
				}
			},
			EOF: func(c *channel.Conn) {
				r.close(c)
				out.CloseWrite() // there is only the one direction: it closes
			},
		})
		r.do(func() {
			out.SetWater(0, -1, -1)
			for _, c := range []*channel.Conn{in, out} {
				if c.LocalAddr() != nil || c.RemoteAddr() != nil {
					t.Error("a pipe has an address")
				}
			}
			if want := "conn 2 file"; in.String() != want {
				t.Errorf("String = %q, want %q", in, want)
			}
			if _, err := in.Write([]byte("x")); !errors.Is(err, syscall.EBADF) {
				t.Errorf("Write to a reading end: %v", err)
			}
			if err := in.CloseWrite(); !errors.Is(err, syscall.EBADF) {
				t.Errorf("CloseWrite of a reading end: %v", err)
			}
		})
		// Open works on duplicates.
		inR.Close()
		outW.Close()
		go func() {
			if _, err := inW.Write(all); err != nil {
				t.Error(err)
			}
			inW.Close()
		}()
		wantAll(t, outR, all)
		r.wantEnd(nil)
		r.wantEnd(nil)
	})
}

// EOF has its default for files, too; and a producer may fill a pipe.
func TestOpenDefaults(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		pr, pw := pipe(t)
		r.open(pr, &channel.Handler{})
		pw.Write(make([]byte, 1000))
		pw.Close()
		r.wantEnd(nil)

		pr, pw = pipe(t)
		c := r.open(pw, &channel.Handler{})
		all := noise(1 << 20)
		r.do(func() {
			c.SendFrom(bytes.NewReader(all))
			r.close(c)
		})
		pw.Close()
		wantAll(t, pr, all)
		r.wantEnd(nil)

		// Closed before Connect: that does not come.
		pr, pw = pipe(t)
		r.do(func() {
			for _, how := range []func(*channel.Conn){r.close, r.abort} {
				c, err := channel.Open(r.l, pw, r.check(&channel.Handler{
					Connect: func(*channel.Conn) { t.Error("Connect after Close") },
				}))
				if err != nil {
					t.Fatal(err)
				}
				r.life(c).given = true
				c.WriteString("early")
				how(c)
			}
		})
		errs := []error{r.end().err, r.end().err}
		if is(errs[0], net.ErrClosed) {
			errs[0], errs[1] = errs[1], errs[0]
		}
		if errs[0] != nil || !is(errs[1], net.ErrClosed) {
			t.Errorf("Close(%v)", errs)
		}
		pw.Close()
		wantAll(t, pr, []byte("early"))
	})
}

// A file that is open for reading only is over at its EOF, whatever EOF does.
func TestOpenReadOnlyEnds(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		pr, pw := pipe(t)
		eofs := 0
		r.open(pr, &channel.Handler{EOF: func(*channel.Conn) { eofs++ }})
		pw.Close()
		r.wantEnd(nil)
		if eofs != 1 {
			t.Errorf("EOF was called %d times", eofs)
		}
	})
}

// A socket may come as a file, too: CloseWrite ends its output, though another
// descriptor of it stays open.
func TestOpenSocket(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		var ends [2]*os.File
		for i, fd := range p {
			unix.CloseOnExec(fd)
			unix.SetNonblock(fd, true) // os.File then has deadlines
			ends[i] = os.NewFile(uintptr(fd), "socket")
			t.Cleanup(func() { ends[i].Close() })
		}
		ends[1].SetDeadline(time.Now().Add(patience))
		var got []byte
		c := r.open(ends[0], &channel.Handler{
			Read: func(_ *channel.Conn, p []byte) { got = append(got, p...) },
			EOF:  func(*channel.Conn) {},
		})
		r.do(func() {
			c.WriteString("question")
			if err := c.CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		wantAll(t, ends[1], []byte("question"))
		io.WriteString(ends[1], "answer")
		ends[1].Close()
		r.wantEnd(nil)
		if string(got) != "answer" {
			t.Errorf("got %q", got)
		}
	})
}

// A reader that goes away is noticed by the next write.
func TestOpenBrokenPipe(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		pr, pw := pipe(t)
		c := r.open(pw, &channel.Handler{})
		r.do(func() { c.WriteString("x") })
		pr.Close()
		r.quiet()
		r.do(func() {
			if len(r.closed) == 0 {
				c.WriteString("y")
			}
		})
		e := r.end()
		var op *net.OpError
		if !errors.Is(e.err, syscall.EPIPE) || !errors.As(e.err, &op) || op.Op != "write" {
			t.Errorf("Close(%v), want a write error with EPIPE", e.err)
		}
	})
}

func TestOpenFiles(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		path := filepath.Join(t.TempDir(), "file")
		all := noise(1<<20 + 1)
		if err := os.WriteFile(path, all, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		r.open(f, &channel.Handler{Read: func(c *channel.Conn, p []byte) { got = append(got, p...) }})
		f.Close()
		r.wantEnd(nil)
		if !bytes.Equal(got, all) {
			t.Errorf("read %d bytes, want %d", len(got), len(all))
		}

		copied := filepath.Join(t.TempDir(), "copy")
		if f, err = os.OpenFile(copied, os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
			t.Fatal(err)
		}
		c := r.open(f, &channel.Handler{})
		r.do(func() {
			c.WriteString("head")
			c.Write(all)
			r.close(c)
		})
		r.wantEnd(nil)
		f.Close()
		if got, err := os.ReadFile(copied); err != nil || !bytes.Equal(got, append([]byte("head"), all...)) {
			t.Errorf("wrote %d bytes, %v", len(got), err)
		}

		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		eof := false
		c = r.open(null, &channel.Handler{EOF: func(c *channel.Conn) { eof = true }})
		r.until("EOF", func() bool { return eof })
		r.do(func() {
			c.Write(make([]byte, 100<<10))
			c.WriteString("gone")
			r.close(c)
		})
		r.wantEnd(nil)
		r.do(func() {
			if c.BytesWritten() != 100<<10+4 {
				t.Errorf("wrote %d bytes", c.BytesWritten())
			}
		})
	})
}

func TestOpenErrors(t *testing.T) {
	r := newRig(t, loop.Config{})
	f, w := pipe(t)
	f.Close()
	r.do(func() {
		c, err := channel.Open(r.l, f, echo)
		var pe *fs.PathError
		if c != nil || !errors.As(err, &pe) {
			t.Errorf("Open of a closed file = %v, %v", c, err)
		}
		for range channel.Conns(r.l) {
			t.Error("a Conn was made")
		}
	})
	r.stop()
	r.l.Close()
	if c, err := channel.Open(r.l, w, echo); c != nil || !errors.Is(err, loop.ErrClosed) {
		t.Errorf("Open on a closed loop = %v, %v", c, err)
	}
}

// The caller's file works on, and is as it was when the Conn has closed.
func TestOpenRestores(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for name, make := range map[string]func(testing.TB) (*os.File, *os.File){"blocking": blockingPipe, "os.Pipe": pipe} {
			pr, pw := make(t)
			before := nonblocking(t, pr)
			c := r.open(pr, &channel.Handler{Read: func(c *channel.Conn, p []byte) { r.close(c) }})
			if !nonblocking(t, pr) {
				t.Errorf("%s: the Conn's descriptor may block", name)
			}
			io.WriteString(pw, "for the Conn")
			r.wantEnd(nil)
			if got := nonblocking(t, pr); got != before {
				t.Errorf("%s: O_NONBLOCK is %v after %v, was %v", name, got, c, before)
			}
			io.WriteString(pw, "for the caller")
			pw.Close()
			wantAll(t, pr, []byte("for the caller"))
		}
	})
}

// The ends of a pipe are told apart, also where only one of them was blocking.
func TestOpenRestoresEachEnd(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, readFirst := range []bool{true, false} {
			pr, pw := blockingPipe(t)
			raw, err := pw.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			raw.Control(func(fd uintptr) { unix.SetNonblock(int(fd), true) })
			ends := []*channel.Conn{r.open(pr, &channel.Handler{}), r.open(pw, &channel.Handler{})}
			if !readFirst {
				ends[0], ends[1] = ends[1], ends[0]
			}
			for _, c := range ends {
				r.do(func() { r.abort(c) })
				r.wantEnd(net.ErrClosed)
			}
			if nonblocking(t, pr) || !nonblocking(t, pw) {
				t.Errorf("read end closed first %v: O_NONBLOCK is %v and %v after, was false and true",
					readFirst, nonblocking(t, pr), nonblocking(t, pw))
			}
		}
	})
}

// Two Conns on one open file, as on a terminal: the last one restores it. The
// two ends of a pipe are not one open file, though they are one inode.
func TestOpenRestoresShared(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		pr, pw := blockingPipe(t)
		a, b := r.open(pr, &channel.Handler{}), r.open(pr, &channel.Handler{})
		w := r.open(pw, &channel.Handler{})
		r.do(func() { r.abort(a) })
		r.wantEnd(net.ErrClosed)
		if !nonblocking(t, pr) {
			t.Error("restored under another Conn")
		}
		r.do(func() { r.abort(b) })
		r.wantEnd(net.ErrClosed)
		if nonblocking(t, pr) {
			t.Error("not restored by the last Conn")
		}
		if !nonblocking(t, pw) {
			t.Error("the other end of the pipe was changed")
		}
		r.do(func() { r.abort(w) })
		r.wantEnd(net.ErrClosed)
		if nonblocking(t, pw) {
			t.Error("not restored")
		}
	})
}

var networks = []string{"tcp", "unix"}

// eachNetwork is eachBackend for connections of either kind.
func eachNetwork(t *testing.T, f func(t *testing.T, r *rig, network string)) {
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) { f(t, r, network) })
		})
	}
}

func TestAdopt(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		nc, peer := pairOf(t, network)
		local, remote := nc.LocalAddr(), nc.RemoteAddr()
		c := r.adopt(nc, "", echo)
		r.do(func() {
			if got := c.LocalAddr(); got.String() != local.String() || got.Network() != network {
				t.Errorf("LocalAddr = %v, want %v", got, local)
			}
			if got := c.RemoteAddr(); got.Network() != network || network == "tcp" && got.String() != remote.String() {
				t.Errorf("RemoteAddr = %v, want %v", got, remote)
			}
		})
		if _, err := nc.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the old owner's Write: %v, want net.ErrClosed", err)
		}
		all := noise(1 << 20)
		go func() {
			peer.Write(all)
			peer.(interface{ CloseWrite() error }).CloseWrite()
		}()
		wantAll(t, peer, all)
		r.wantEnd(nil)
	})
}

// What was read before Adopt is the first input, whatever Connect does.
func TestAdoptUnread(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		tests := []struct {
			name    string
			connect func(c *channel.Conn)
			resume  bool
			reply   string
		}{
			{name: "nothing", reply: "head body"},
			{name: "write", connect: func(c *channel.Conn) { c.WriteString("hello ") }, reply: "hello head body"},
			{name: "pause", connect: func(c *channel.Conn) { c.Pause() }, resume: true, reply: "head body"},
			{name: "pause and resume", connect: func(c *channel.Conn) { c.Pause(); c.Resume() }, reply: "head body"},
			{name: "another handler", connect: func(c *channel.Conn) {
				c.SetHandler(r.check(&channel.Handler{Read: func(c *channel.Conn, p []byte) { c.WriteString("2nd "); c.Write(p) }}))
				r.life(c).log = append(r.life(c).log, "connect") // the new handler's
			}, reply: "2nd head "},
			{name: "unread in Connect", connect: func(c *channel.Conn) { c.Unread([]byte("front ")) }, reply: "front head body"},
		}
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				nc, peer := pairOf(t, network)
				c := r.adopt(nc, "head ", &channel.Handler{Connect: test.connect, Read: echo.Read})
				if test.resume {
					r.quiet()
					r.do(func() {
						if n := len(r.life(c).log); n != 1 {
							t.Errorf("callbacks while paused: %v", r.life(c).log)
						}
						c.Resume()
					})
				}
				// All of the head comes without anything from the peer.
				head := test.reply
				if i := bytes.LastIndex([]byte(head), []byte("body")); i >= 0 {
					head = head[:i]
				}
				wantRead(t, peer, head)
				if head != test.reply {
					send(t, peer, "body")
					wantRead(t, peer, "body")
				}
				peer.Close()
				r.wantEnd(nil)
			})
		}
	})
}

// Connect may end what has just begun: nothing is delivered then.
func TestAdoptUnreadNotWanted(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		never := func(*channel.Conn, []byte) { t.Error("Read after Close") }
		nc, peer := pairOf(t, network)
		r.adopt(nc, "head", &channel.Handler{Connect: r.close, Read: never})
		r.wantEnd(nil)
		wantAll(t, peer, nil)

		nc, peer = pairOf(t, network)
		var taken <-chan channel.Detached
		r.adopt(nc, "head ", &channel.Handler{Connect: func(c *channel.Conn) { taken = r.detach(c) }, Read: never})
		r.wantEnd(nil)
		d := receive(t, taken, "not taken")
		send(t, peer, "body")
		nc = r.conn(d)
		wantRead(t, nc, "head body")
	})
}

// Adopt takes what a Detached connection has left, as far as that was read.
func TestAdoptLeftover(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		for _, read := range []string{"", "01", "0123456789", "0123456789ab"} {
			nc, peer := pairOf(t, network)
			d := r.taken(func() (taken <-chan channel.Detached) {
				c := r.adopt(nc, "0123456789", &channel.Handler{Connect: func(c *channel.Conn) { c.Pause() }})
				r.do(func() { taken = r.detach(c) })
				return taken
			}())
			if string(d.Unread) != "0123456789" {
				t.Errorf("Unread = %q", d.Unread)
			}
			nc = r.conn(d)
			send(t, peer, "ab")
			wantRead(t, nc, read)
			r.adopt(nc, "", echo)
			wantRead(t, peer, "0123456789ab"[len(read):])
			peer.Close()
			r.wantEnd(nil)
		}
	})
}

// typeless is a connection without a descriptor.
type typeless struct{ net.Conn }

func TestAdoptRefuses(t *testing.T) {
	packets := func(t *testing.T, network string) net.PacketConn {
		pc, err := net.ListenPacket(network, address(t, map[string]string{"unixgram": "unix"}[network]))
		if err != nil {
			t.Skip(err)
		}
		t.Cleanup(func() { pc.Close() })
		return pc
	}
	tests := []struct {
		name string
		make func(t *testing.T) net.Conn
		want error
		// works tells whether nc can still be used; nil: it never could.
		works func(t *testing.T, nc net.Conn)
	}{
		{"tls", func(t *testing.T) net.Conn {
			nc, _ := pairOf(t, "tcp")
			return tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
		}, errors.ErrUnsupported, func(t *testing.T, nc net.Conn) {
			if _, err := nc.(*tls.Conn).NetConn().Write([]byte("x")); err != nil {
				t.Error(err)
			}
		}},
		{"net.Pipe", func(t *testing.T) net.Conn {
			nc, peer := net.Pipe()
			go io.Copy(io.Discard, peer)
			t.Cleanup(func() { nc.Close() })
			return nc
		}, errors.ErrUnsupported, writable},
		{"wrapped", func(t *testing.T) net.Conn {
			nc, _ := pairOf(t, "tcp")
			return typeless{nc}
		}, errors.ErrUnsupported, writable},
		{"udp", func(t *testing.T) net.Conn {
			nc, err := net.Dial("udp", packets(t, "udp").LocalAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
			return nc
		}, errors.ErrUnsupported, writable},
		{"udp, not connected", func(t *testing.T) net.Conn { return packets(t, "udp").(*net.UDPConn) }, errors.ErrUnsupported, nil},
		{"unixgram", func(t *testing.T) net.Conn { return packets(t, "unixgram").(*net.UnixConn) }, errors.ErrUnsupported, nil},
		{"unixpacket", func(t *testing.T) net.Conn {
			ln, err := net.Listen("unixpacket", address(t, "unix"))
			if err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { ln.Close() })
			return connect(t, ln.Addr())
		}, errors.ErrUnsupported, writable},
		{"closed", func(t *testing.T) net.Conn {
			nc, _ := pairOf(t, "tcp")
			nc.Close()
			return nc
		}, net.ErrClosed, nil},
		{"zero TCPConn", func(t *testing.T) net.Conn { return &net.TCPConn{} }, syscall.EINVAL, nil},
		{"zero UnixConn", func(t *testing.T) net.Conn { return &net.UnixConn{} }, syscall.EINVAL, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := faultLoop(t, loop.Config{})
			nc := test.make(t)
			c, err := channel.Adopt(w.l, nc, echo)
			op, ok := errors.AsType[*net.OpError](err)
			if c != nil || !ok || op.Op != "adopt" || !errors.Is(err, test.want) {
				t.Errorf("Adopt = %v, %v, want %v", c, err, test.want)
			}
			if err != nil && err.Error() == "" {
				t.Error("an error without a text")
			}
			for range channel.Conns(w.l) {
				t.Error("a Conn was made")
			}
			if n := w.f.Count(faultsys.SetNonblock); n != 0 {
				t.Errorf("mode set %d times", n)
			}
			if test.works != nil {
				test.works(t, nc)
			}
		})
	}
}

func writable(t *testing.T, nc net.Conn) {
	t.Helper()
	if _, err := nc.Write([]byte("x")); err != nil {
		t.Errorf("after Adopt has failed: %v", err)
	}
}

func TestAdoptMistakes(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	nc, _ := pairOf(t, "tcp")
	pr, _ := pipe(t)
	wantPanic(t, "Adopt(nil)", "channel: Adopt: handler is nil", func() { channel.Adopt(w.l, nc, nil) })
	wantPanic(t, "AdoptFD(nil)", "channel: AdoptFD: handler is nil", func() { channel.AdoptFD(w.l, 0, nil) })
	wantPanic(t, "Open(nil)", "channel: Open: handler is nil", func() { channel.Open(w.l, pr, nil) })
	r, _ := w.accept(channel.Handler{})
	wantPanic(t, "Detach(nil)", "channel: Detach: function is nil", func() { r.c.Detach(nil) })
	writable(t, nc)
}

// A shortage of descriptors leaves everything with its owner.
func TestAdoptShortage(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	w.f.Fail(faultsys.Dup, syscall.EMFILE)
	nc, peer := pairOf(t, "tcp")
	if c, err := channel.Adopt(w.l, nc, echo); c != nil || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Adopt = %v, %v", c, err)
	}
	pr, pw := pipe(t)
	if c, err := channel.Open(w.l, pr, echo); c != nil || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Open = %v, %v", c, err)
	}
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	lc := &channel.ListenConfig{}
	if ln, err := lc.Adopt(w.l, nl, refuse); ln != nil || !errors.Is(err, syscall.EMFILE) {
		t.Errorf("ListenConfig.Adopt = %v, %v", ln, err)
	}
	mustWrite(t, nc, "x")
	wantRead(t, peer, "x")
	mustWrite(t, pw, "y")
	wantRead(t, pr, "y")
	connect(t, nl.Addr())
	accepted, err := nl.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted.Close()
}

func refuse(*channel.Conn) *channel.Handler { return nil }

// Whatever call of Adopt fails, no descriptor stays and nc works.
func TestAdoptFails(t *testing.T) {
	for _, call := range []faultsys.Call{faultsys.Kind, faultsys.Mode, faultsys.SetNonblock} {
		w := faultLoop(t, loop.Config{})
		w.f.Fail(call, syscall.EIO)
		nc, _ := pairOf(t, "tcp")
		f := keep(t, fdOf(t, nc.(syscall.Conn)))
		if call == faultsys.SetNonblock {
			raw, _ := f.SyscallConn()
			raw.Control(func(fd uintptr) { unix.SetNonblock(int(fd), false) })
		}
		before := nonblocking(t, f)
		if c, err := channel.Adopt(w.l, nc, echo); c != nil || !errors.Is(err, syscall.EIO) {
			t.Errorf("%s fails: Adopt = %v, %v", call, c, err)
		}
		if open := w.f.Open(); len(open) > 0 {
			t.Errorf("%s fails: left open: %v", call, open)
		}
		if nonblocking(t, f) != before {
			t.Errorf("%s fails: O_NONBLOCK was changed", call)
		}
		writable(t, nc)
	}
}

// What the poller refuses arrives in Close, and the descriptor is closed.
func TestAdoptPollerRefuses(t *testing.T) {
	for _, network := range networks {
		w := faultLoop(t, loop.Config{})
		nc, peer := pairOf(t, network)
		w.f.Fail(faultsys.Add, syscall.ENOSPC)
		r := w.rec(network)
		if _, err := channel.Adopt(w.l, nc, r.handler(channel.Handler{})); err != nil {
			t.Fatal(err)
		}
		r.waitClosed(syscall.ENOSPC)
		wantAll(t, peer, nil)
	}
}

func TestAdoptClosedLoop(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	w.close()
	nc, _ := pairOf(t, "tcp")
	if c, err := channel.Adopt(w.l, nc, echo); c != nil || !errors.Is(err, loop.ErrClosed) {
		t.Errorf("Adopt = %v, %v", c, err)
	}
	writable(t, nc)
	fd, peer := blockingSockets(t)
	f := keep(t, fd)
	if c, err := channel.AdoptFD(w.l, fd, echo); c != nil || !errors.Is(err, loop.ErrClosed) {
		t.Errorf("AdoptFD = %v, %v", c, err)
	}
	if !isOpen(fd) || nonblocking(t, f) {
		t.Error("AdoptFD has failed, and changed the descriptor")
	}
	unix.Close(fd)
	peer.Close()
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	lc := &channel.ListenConfig{}
	if ln, err := lc.Adopt(w.l, nl, refuse); ln != nil || !errors.Is(err, loop.ErrClosed) {
		t.Errorf("ListenConfig.Adopt = %v, %v", ln, err)
	}
	connect(t, nl.Addr())
}

// A goroutine that is blocked in Read gets nothing of what comes afterwards.
func TestAdoptEndsRead(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		for _, leftover := range []bool{false, true} {
			nc, peer := pairOf(t, network)
			if leftover {
				c := r.adopt(nc, "x", &channel.Handler{Connect: func(c *channel.Conn) { c.Pause() }})
				var taken <-chan channel.Detached
				r.do(func() { taken = r.detach(c) })
				nc = r.conn(r.taken(taken))
				wantRead(t, nc, "x")
			}
			type result struct {
				n   int
				err error
			}
			read := make(chan result)
			go func() {
				n, err := nc.Read(make([]byte, 10))
				read <- result{n, err}
			}()
			r.adopt(nc, "", echo)
			send(t, peer, "for the loop")
			if got := receive(t, read, "Read goes on"); got.n != 0 || !errors.Is(got.err, net.ErrClosed) {
				t.Errorf("Read = %d, %v", got.n, got.err)
			}
			wantRead(t, peer, "for the loop")
			peer.Close()
			r.wantEnd(nil)
		}
	})
}

// A connection whose peer has gone is one all the same: what the peer sent is
// read, then it ends with the reason.
func TestAdoptGone(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		nc, peer := pairOf(t, network)
		mustWrite(t, peer, "last words")
		peer.Close()
		var got []byte
		r.adopt(nc, "", &channel.Handler{Read: func(_ *channel.Conn, p []byte) { got = append(got, p...) }})
		r.wantEnd(nil)
		if string(got) != "last words" {
			t.Errorf("read %q", got)
		}
		if network == "tcp" {
			nc, peer = pairOf(t, network)
			peer.(*net.TCPConn).SetLinger(0)
			peer.Close()
			r.adopt(nc, "", &channel.Handler{})
			r.wantEnd(syscall.ECONNRESET)
		}
	})
}

// With SO_LINGER, close would wait.
func TestAdoptLinger(t *testing.T) {
	r := newRig(t, loop.Config{})
	nc, peer := pairOf(t, "tcp")
	nc.(*net.TCPConn).SetLinger(100)
	c := r.adopt(nc, "", &channel.Handler{})
	r.do(func() {
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			on, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_LINGER)
			if on != 0 || err != nil {
				t.Errorf("SO_LINGER is %d, %v", on, err)
			}
		})
	})
	peer.Close()
	r.wantEnd(nil)
}

// AdoptFD owns what it is given, and gives its mode back to whoever shares it.
func TestAdoptFD(t *testing.T) {
	sockets := func(t testing.TB) (int, *os.File) { return blockingSockets(t) }
	tests := []struct {
		name string
		make func(t testing.TB) (fd int, peer *os.File)
	}{
		{"socket", sockets},
		{"socket, not blocking", func(t testing.TB) (int, *os.File) {
			fd, peer := sockets(t)
			unix.SetNonblock(fd, true)
			return fd, peer
		}},
		{"reading end", func(t testing.TB) (int, *os.File) {
			pr, pw := blockingPipe(t)
			return release(t, pr), pw
		}},
		{"writing end", func(t testing.TB) (int, *os.File) {
			pr, pw := blockingPipe(t)
			return release(t, pw), pr
		}},
		{"terminal", func(t testing.TB) (int, *os.File) { return terminal(t) }},
	}
	ways := []struct {
		name string
		end  func(r *rig, c *channel.Conn)
	}{
		{"Close", func(r *rig, c *channel.Conn) {
			r.do(func() { r.close(c) })
			r.wantEnd(nil)
		}},
		{"Abort", func(r *rig, c *channel.Conn) {
			r.do(func() { r.abort(c) })
			r.wantEnd(net.ErrClosed)
		}},
		{"Detach", func(r *rig, c *channel.Conn) {
			var taken <-chan channel.Detached
			r.do(func() { taken = r.detach(c) })
			unix.Close(r.taken(taken).FD)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				for _, way := range ways {
					fd, peer := test.make(t)
					f := keep(t, fd)
					before := nonblocking(t, f)
					c := r.adoptFD(fd, &channel.Handler{})
					if !nonblocking(t, f) {
						t.Errorf("%s: the Conn may block", way.name)
					}
					way.end(r, c)
					if got := nonblocking(t, f); got != before {
						t.Errorf("%s: O_NONBLOCK is %v afterwards, was %v", way.name, got, before)
					}
					// While f is open, only the table can tell that fd is not.
					if isOpen(fd) {
						t.Errorf("%s: the descriptor is still open", way.name)
					}
					peer.Close()
				}
			})
		})
	}
}

// release makes a descriptor of a file, which gives up its own.
func release(t testing.TB, f *os.File) int {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	dup := -1
	raw.Control(func(fd uintptr) { dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	return dup
}

// Bytes go through what AdoptFD has made, in each direction that there is.
func TestAdoptFDWorks(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		fd, peer := blockingSockets(t)
		r.adoptFD(fd, echo)
		mustWrite(t, peer, "socket")
		wantRead(t, peer, "socket")
		peer.Close()
		r.wantEnd(nil)

		pr, pw := blockingPipe(t)
		out := r.adoptFD(release(t, pw), &channel.Handler{})
		got := make(chan string, 1)
		r.adoptFD(release(t, pr), &channel.Handler{Read: func(_ *channel.Conn, p []byte) { got <- string(p) }})
		r.do(func() { out.WriteString("pipe") })
		if s := receive(t, got, "nothing read"); s != "pipe" {
			t.Errorf("read %q", s)
		}
		r.do(func() { r.close(out) })
		r.wantEnd(nil)
		r.wantEnd(nil)

		path := filepath.Join(t.TempDir(), "file")
		os.WriteFile(path, []byte("regular"), 0o600)
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		r.adoptFD(fd, &channel.Handler{Read: func(_ *channel.Conn, p []byte) { got <- string(p) }})
		if s := receive(t, got, "nothing read"); s != "regular" {
			t.Errorf("read %q", s)
		}
		r.wantEnd(nil)

		slave, master := terminal(t)
		r.adoptFD(slave, &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.WriteString("read " + string(p)) }})
		mustWrite(t, master, "line\n")
		wantRead(t, master, "line\r\nread line\r\n")
		master.Close()
		r.end() // EIO or EOF, as the system has it
	})
}

// What is not ours to take stays open, and as it was.
func TestAdoptFDRefuses(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	socket := func(kind int) func(testing.TB) int {
		return func(t testing.TB) int {
			fd, err := unix.Socket(unix.AF_UNIX, kind, 0)
			if err != nil {
				t.Skip(err)
			}
			return fd
		}
	}
	tests := []struct {
		name string
		make func(testing.TB) int
		want error
	}{
		{"listening", func(t testing.TB) int {
			fd := socket(unix.SOCK_STREAM)(t)
			if err := unix.Bind(fd, &unix.SockaddrUnix{Name: address(t, "unix")}); err != nil {
				t.Fatal(err)
			}
			unix.Listen(fd, 1)
			return fd
		}, errors.ErrUnsupported},
		{"datagrams", socket(unix.SOCK_DGRAM), errors.ErrUnsupported},
		{"packets", socket(unix.SOCK_SEQPACKET), errors.ErrUnsupported},
		{"closed", func(t testing.TB) int {
			fd := socket(unix.SOCK_STREAM)(t)
			unix.Close(fd)
			return fd
		}, syscall.EBADF},
		{"negative", func(testing.TB) int { return -1 }, syscall.EBADF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fd := test.make(t)
			was := isOpen(fd)
			before, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			c, err := channel.AdoptFD(w.l, fd, echo)
			op, ok := errors.AsType[*net.OpError](err)
			if c != nil || !ok || op.Op != "adopt" || !errors.Is(err, test.want) {
				t.Errorf("AdoptFD = %v, %v, want %v", c, err, test.want)
			}
			if isOpen(fd) != was {
				t.Error("the descriptor was closed")
			}
			if after, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); after != before {
				t.Errorf("F_GETFL is %#x, was %#x", after, before)
			}
			if was {
				unix.Close(fd)
			}
		})
	}
}

// A descriptor that the loop has already stays the first one's: two owners would
// close it twice.
func TestAdoptFDTwice(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		fd, peer := blockingSockets(t)
		c := r.adoptFD(fd, echo)
		again := func() {
			t.Helper()
			r.do(func() {
				if c, err := channel.AdoptFD(r.l, fd, echo); c != nil || !errors.Is(err, syscall.EEXIST) {
					t.Errorf("AdoptFD = %v, %v, want EEXIST", c, err)
				}
			})
		}
		again()
		r.do(c.Pause) // it leaves the poller
		again()
		r.do(c.Resume)
		mustWrite(t, peer, "still here")
		wantRead(t, peer, "still here")
		var taken <-chan channel.Detached
		r.do(func() { taken = r.detach(c) })
		c = r.adoptFD(r.taken(taken).FD, echo)
		r.do(func() { r.close(c) })
		r.wantEnd(nil)
		r.do(func() {
			if _, err := channel.AdoptFD(r.l, fd, echo); !errors.Is(err, syscall.EBADF) {
				t.Errorf("AdoptFD of a closed one: %v, want EBADF", err)
			}
		})
	})
}

// One socket as two descriptors, as inetd gives it: one Conn reads and the other
// writes, and the last of them restores the mode.
func TestAdoptFDShared(t *testing.T) {
	makers := []struct {
		name string
		make func(testing.TB) (int, *os.File)
	}{
		{"socket", blockingSockets},
		{"terminal", terminal},
	}
	for _, m := range makers {
		t.Run(m.name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				for order := range 2 {
					fd, peer := m.make(t)
					f := keep(t, fd)
					other := release(t, keep(t, fd))
					in := r.adoptFD(fd, &channel.Handler{})
					out := r.adoptFD(other, &channel.Handler{Connect: func(c *channel.Conn) { c.Pause() }})
					both := []*channel.Conn{in, out}
					var taken <-chan channel.Detached
					r.do(func() { taken = r.detach(both[order]) })
					d := r.taken(taken)
					if !nonblocking(t, f) {
						t.Error("restored under another Conn")
					}
					unix.Close(d.FD)
					r.do(func() { r.abort(both[1-order]) })
					r.wantEnd(net.ErrClosed)
					if nonblocking(t, f) {
						t.Error("not restored by the last Conn")
					}
					peer.Close()
				}
			})
		})
	}
}

// A socket as a file is a socket: its addresses, its halves and its urgent data
// are there, and the caller's file works on, as it was.
func TestOpenTCPFile(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, early := range []bool{false, true} {
			nc, peer := pairOf(t, "tcp")
			f, err := nc.(*net.TCPConn).File()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			mirror := keep(t, fdOf(t, f))
			var got []byte
			urgent := make(chan byte, 1)
			c := r.open(f, &channel.Handler{
				Read:   func(_ *channel.Conn, p []byte) { got = append(got, p...) },
				Urgent: func(_ *channel.Conn, b byte) { urgent <- b },
				EOF:    func(c *channel.Conn) { c.WriteString("answer"); c.CloseWrite() },
			})
			nc.Close()
			if early {
				f.Close()
			}
			r.do(func() {
				if c.LocalAddr().String() != peer.RemoteAddr().String() || c.RemoteAddr().String() != peer.LocalAddr().String() {
					t.Errorf("%v to %v, want %v to %v", c.LocalAddr(), c.RemoteAddr(), peer.RemoteAddr(), peer.LocalAddr())
				}
			})
			if tellsUrgent(t, r.l.Poller()) {
				raw, _ := peer.(*net.TCPConn).SyscallConn()
				raw.Control(func(fd uintptr) {
					if _, err := unix.SendmsgN(int(fd), []byte{'!'}, nil, nil, unix.MSG_OOB); err != nil {
						t.Error(err)
					}
				})
				if b := receive(t, urgent, "no urgent byte"); b != '!' {
					t.Errorf("urgent %q", b)
				}
			}
			mustWrite(t, peer, "question")
			halfClose(t, peer)
			wantAll(t, peer, []byte("answer")) // though f keeps the socket open
			r.wantEnd(nil)
			if string(got) != "question" {
				t.Errorf("read %q", got)
			}
			if !nonblocking(t, mirror) {
				t.Error("the caller's file was made blocking")
			}
			if _, err := f.Stat(); (err == nil) == early {
				t.Errorf("the caller's file: %v", err)
			}
		}
	})
}

// The file works while the Conn has it, and afterwards.
func TestOpenFileWorksOn(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nc, peer := pairOf(t, "unix")
		f, err := nc.(*net.UnixConn).File()
		if err != nil {
			t.Fatal(err)
		}
		nc.Close()
		f.SetDeadline(time.Now().Add(patience))
		c := r.open(f, &channel.Handler{Connect: func(c *channel.Conn) { c.Pause() }})
		mustWrite(t, f, "file ")
		r.do(func() { c.WriteString("conn") })
		wantRead(t, peer, "file conn")
		r.do(func() { r.abort(c) })
		r.wantEnd(net.ErrClosed)
		send(t, peer, "back")
		wantRead(t, f, "back")
		f.Close()
		wantAll(t, peer, nil)
	})
}

// A registration outlives its descriptor where a duplicate is open, unless it
// is taken back first: nothing of what has left the loop makes events.
func TestNoSpinOnDuplicates(t *testing.T) {
	handler := &channel.Handler{}
	ways := []struct {
		name string
		// make returns what has the peer send and close, too.
		make func(t *testing.T, r *rig) (c *channel.Conn, poke func())
	}{
		{"Adopt", func(t *testing.T, r *rig) (*channel.Conn, func()) {
			nc, peer := pairOf(t, "tcp")
			keep(t, fdOf(t, nc.(syscall.Conn)))
			return r.adopt(nc, "", handler), func() { mustWrite(t, peer, "x"); halfClose(t, peer) }
		}},
		{"Open", func(t *testing.T, r *rig) (*channel.Conn, func()) {
			pr, pw := pipe(t)
			return r.open(pr, handler), func() { mustWrite(t, pw, "x"); pw.Close() }
		}},
		{"Open of a socket", func(t *testing.T, r *rig) (*channel.Conn, func()) {
			fd, peer := blockingSockets(t)
			f := os.NewFile(uintptr(fd), "socket")
			t.Cleanup(func() { f.Close() })
			return r.open(f, handler), func() { mustWrite(t, peer, "x"); peer.Close() }
		}},
		{"AdoptFD", func(t *testing.T, r *rig) (*channel.Conn, func()) {
			fd, peer := blockingSockets(t)
			keep(t, fd)
			return r.adoptFD(fd, handler), func() { mustWrite(t, peer, "x"); peer.Close() }
		}},
		{"accepted", func(t *testing.T, r *rig) (*channel.Conn, func()) {
			peer, c := r.pair("tcp", handler)
			r.do(func() {
				raw, _ := c.SyscallConn()
				raw.Control(func(fd uintptr) { keep(t, int(fd)) })
			})
			return c, func() { mustWrite(t, peer, "x"); halfClose(t, peer) }
		}},
	}
	ends := []struct {
		name string
		end  func(t *testing.T, r *rig, c *channel.Conn)
	}{
		{"Abort", func(_ *testing.T, r *rig, c *channel.Conn) {
			r.do(func() { r.abort(c) })
			r.wantEnd(net.ErrClosed)
		}},
		{"Close", func(_ *testing.T, r *rig, c *channel.Conn) {
			r.do(func() { r.close(c) })
			r.wantEnd(nil)
		}},
		{"Detach", func(t *testing.T, r *rig, c *channel.Conn) {
			var taken <-chan channel.Detached
			r.do(func() { taken = r.detach(c) })
			fd := r.taken(taken).FD
			t.Cleanup(func() { unix.Close(fd) })
		}},
		{"Pause", func(_ *testing.T, r *rig, c *channel.Conn) { r.do(c.Pause) }},
	}
	for _, way := range ways {
		for _, end := range ends {
			t.Run(way.name+"/"+end.name, func(t *testing.T) {
				eachBackend(t, func(t *testing.T, r *rig) {
					c, poke := way.make(t, r)
					end.end(t, r, c)
					r.calm(poke)
				})
			})
		}
	}
}

// adoptListener is ListenConfig.Adopt with a check around each callback.
func (r *rig) adoptListener(lc channel.ListenConfig, nl net.Listener, h *channel.Handler) (ln *channel.Listener) {
	r.Helper()
	var err error
	r.do(func() {
		ln, err = lc.Adopt(r.l, nl, func(c *channel.Conn) *channel.Handler {
			r.life(c).given = true
			return r.check(h)
		})
	})
	if err != nil {
		r.Fatal(err)
	}
	return ln
}

func netListen(t testing.TB, network string) net.Listener {
	t.Helper()
	nl, err := net.Listen(network, address(t, network))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nl.Close() })
	return nl
}

func TestAdoptListener(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		for _, inherited := range []bool{false, true} {
			nl := netListen(t, network)
			addr := nl.Addr()
			if inherited { // a number, as systemd passes it
				fd := release(t, keep(t, fdOf(t, nl.(syscall.Conn))))
				unix.SetNonblock(fd, false)
				if u, ok := nl.(*net.UnixListener); ok {
					u.SetUnlinkOnClose(false)
				}
				nl.Close()
				f := os.NewFile(uintptr(fd), "LISTEN_FD_3")
				var err error
				nl, err = net.FileListener(f)
				f.Close()
				if err != nil {
					t.Fatal(err)
				}
			}
			waiting := connect(t, addr) // in the backlog
			accepted := make(chan error, 1)
			if !inherited {
				// Accept may take this one, or end: it takes none afterwards.
				nc, err := nl.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				waiting = connect(t, nc.LocalAddr())
				nc, err = nl.Accept()
				if err != nil {
					t.Fatal(err)
				}
				nc.Close()
				wantAll(t, waiting, nil)
				go func() {
					_, err := nl.Accept()
					accepted <- err
				}()
			} else {
				accepted <- net.ErrClosed
			}
			closed := make(chan error, 2)
			ln := r.adoptListener(channel.ListenConfig{Closed: func(_ *channel.Listener, err error) { closed <- err }}, nl, echo)
			if err := receive(t, accepted, "Accept goes on"); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the old owner's Accept: %v", err)
			}
			if _, err := nl.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the old owner's next Accept: %v", err)
			}
			if ln.Addr().String() != addr.String() || ln.Addr().Network() != network {
				t.Errorf("Addr = %v, want %v", ln.Addr(), addr)
			}
			clients := []net.Conn{connect(t, addr), connect(t, addr)}
			if inherited {
				clients = append(clients, waiting)
			}
			for _, nc := range clients {
				send(t, nc, "echo")
				wantRead(t, nc, "echo")
				nc.Close()
				r.wantEnd(nil)
			}
			if network == "unix" {
				if _, err := os.Lstat(addr.String()); err != nil {
					t.Error("the old listener has removed the path: ", err)
				}
			}
			r.do(func() {
				if err := ln.Close(); err != nil {
					t.Error(err)
				}
			})
			if err := receive(t, closed, "not told of Close"); err != nil {
				t.Errorf("Closed(%v)", err)
			}
			r.quiet()
			if len(closed) > 0 {
				t.Error("Closed was called twice")
			}
			if nc, err := net.Dial(network, addr.String()); err == nil {
				nc.Close()
				t.Error("somebody still listens")
			}
			if network == "unix" {
				if _, err := os.Lstat(addr.String()); err != nil {
					t.Error("Close has removed a path that is not its own: ", err)
				}
			}
		}
	})
}

// A listener whose File was asked for its Fd is blocking: accept would sleep.
func TestAdoptListenerBlocking(t *testing.T) {
	eachNetwork(t, func(t *testing.T, r *rig, network string) {
		nl := netListen(t, network)
		f := keep(t, fdOf(t, nl.(syscall.Conn)))
		raw, _ := f.SyscallConn()
		raw.Control(func(fd uintptr) { unix.SetNonblock(int(fd), false) })
		r.adoptListener(channel.ListenConfig{}, nl, echo)
		nc := connect(t, nl.Addr())
		send(t, nc, "x")
		wantRead(t, nc, "x")
		nc.Close()
		r.wantEnd(nil)
	})
}

func TestAdoptListenerMaxConns(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		nl := netListen(t, "tcp")
		conns := make(chan *channel.Conn, 3)
		r.adoptListener(channel.ListenConfig{MaxConns: 1}, nl, &channel.Handler{
			Connect: func(c *channel.Conn) { conns <- c },
			Read:    echo.Read,
		})
		a, b := connect(t, nl.Addr()), connect(t, nl.Addr())
		first := receive(t, conns, "nothing accepted")
		r.quiet()
		if len(conns) > 0 {
			t.Error("more than MaxConns")
		}
		// One that is detached counts as gone.
		var taken <-chan channel.Detached
		r.do(func() { taken = r.detach(first) })
		nc := r.conn(r.taken(taken))
		receive(t, conns, "the second is not accepted")
		send(t, a, "to the goroutine")
		wantRead(t, nc, "to the goroutine")
		send(t, b, "to the loop")
		wantRead(t, b, "to the loop")
		b.Close()
		r.wantEnd(nil)
	})
}

// tcpLike has a descriptor and an Accept, and does not listen.
type tcpLike struct{ *net.TCPConn }

func (tcpLike) Accept() (net.Conn, error) { return nil, io.EOF }
func (l tcpLike) Addr() net.Addr          { return l.LocalAddr() }

func TestAdoptListenerRefuses(t *testing.T) {
	tests := []struct {
		name   string
		make   func(t *testing.T) net.Listener
		accept func(*channel.Conn) *channel.Handler
		lc     channel.ListenConfig
		want   error
		works  bool
	}{
		{name: "connection", accept: refuse, want: errors.ErrUnsupported, make: func(t *testing.T) net.Listener {
			nc, _ := pairOf(t, "tcp")
			return tcpLike{nc.(*net.TCPConn)}
		}},
		{name: "tls", accept: refuse, want: errors.ErrUnsupported, works: true, make: func(t *testing.T) net.Listener {
			return tls.NewListener(netListen(t, "tcp"), &tls.Config{})
		}},
		{name: "closed tcp", accept: refuse, want: net.ErrClosed, make: func(t *testing.T) net.Listener {
			nl := netListen(t, "tcp")
			nl.Close()
			return nl
		}},
		{name: "closed unix", accept: refuse, want: net.ErrClosed, make: func(t *testing.T) net.Listener {
			nl := netListen(t, "unix")
			nl.Close()
			return nl
		}},
		{name: "unixpacket", accept: refuse, want: errors.ErrUnsupported, works: true, make: func(t *testing.T) net.Listener {
			nl, err := net.Listen("unixpacket", address(t, "unix"))
			if err != nil {
				t.Skip(err)
			}
			t.Cleanup(func() { nl.Close() })
			return nl
		}},
		{name: "no accept function", works: true, make: func(t *testing.T) net.Listener { return netListen(t, "tcp") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := faultLoop(t, loop.Config{})
			nl := test.make(t)
			closed := false
			test.lc.Closed = func(*channel.Listener, error) { closed = true }
			ln, err := test.lc.Adopt(w.l, nl, test.accept)
			op, ok := errors.AsType[*net.OpError](err)
			if ln != nil || !ok || op.Op != "adopt" || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Adopt = %v, %v, want %v", ln, err, test.want)
			}
			w.settle()
			if closed {
				t.Error("Closed was called for a listener that never was")
			}
			if open := w.f.Open(); len(open) > 0 {
				t.Errorf("left open: %v", open)
			}
			if test.works {
				connect(t, nl.Addr())
				nc, err := nl.Accept()
				if err != nil {
					t.Error(err)
				} else {
					nc.Close()
				}
			}
		})
	}
}

// Where the poller has no room for a listener, its owner keeps it.
func TestAdoptListenerPollerRefuses(t *testing.T) {
	for _, network := range networks {
		w := faultLoop(t, loop.Config{})
		w.f.Fail(faultsys.Add, syscall.ENOSPC)
		nl := netListen(t, network)
		lc := &channel.ListenConfig{}
		if ln, err := lc.Adopt(w.l, nl, refuse); ln != nil || !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Adopt = %v, %v", ln, err)
		}
		connect(t, nl.Addr())
		if nc, err := nl.Accept(); err != nil {
			t.Error(err)
		} else {
			nc.Close()
		}
		nl.Close()
		if network == "unix" {
			if _, err := os.Lstat(nl.Addr().String()); err == nil {
				t.Error("the path stays, though it is the old listener's to remove")
			}
		}
	}
}

// A listening descriptor goes from loop to loop, with the connections that wait.
func TestAdoptListenerFD(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				other := newRig(t, loop.Config{Poller: r.l.Poller()})
				ln := r.listen(channel.ListenConfig{}, network, address(t, network), func(*channel.Conn) *channel.Handler { return echo })
				to := ln.Addr()
				var d channel.Detached
				var waiting net.Conn
				r.do(func() {
					waiting = connect(t, to)
					var err error
					if d, err = ln.Detach(); err != nil {
						t.Error(err)
					}
				})
				closed := false
				var again *channel.Listener
				other.do(func() {
					lc := channel.ListenConfig{Closed: func(*channel.Listener, error) { closed = true }}
					accept := func(c *channel.Conn) *channel.Handler { return other.check(echo) }
					var err error
					if again, err = lc.AdoptFD(other.l, d.FD, accept); err != nil {
						t.Fatal(err)
					}
					if again.Addr().String() != to.String() || again.Addr().Network() != to.Network() {
						t.Errorf("Addr = %v, want %v", again.Addr(), to)
					}
					if _, err := lc.AdoptFD(other.l, d.FD, accept); !errors.Is(err, syscall.EEXIST) {
						t.Errorf("AdoptFD of a descriptor of the loop's: %v", err)
					}
				})
				for _, nc := range []net.Conn{waiting, connect(t, to)} {
					send(t, nc, "hello")
					wantRead(t, nc, "hello")
					nc.Close()
					other.wantEnd(nil)
				}
				other.do(func() { again.Close() })
				other.until("closed", func() bool { return closed })
				if nc, err := net.Dial(to.Network(), to.String()); err == nil {
					nc.Close()
					t.Error("somebody still listens")
				}
			})
		})
	}
}

// What AdoptFD refuses stays the caller's.
func TestAdoptListenerFDRefuses(t *testing.T) {
	l, err := loop.New(loop.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, peer := pairOf(t, "tcp")
	f, err := nc.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	accept := func(*channel.Conn) *channel.Handler { return echo }
	var lc channel.ListenConfig
	if _, err := lc.AdoptFD(l, fdOf(t, f), accept); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("AdoptFD of a connection: %v", err)
	}
	f.Close()
	send(t, nc, "still here")
	wantRead(t, peer, "still here")
	if _, err := lc.AdoptFD(l, -1, accept); !errors.Is(err, syscall.EBADF) {
		t.Errorf("AdoptFD(-1): %v", err)
	}
	if err := (channel.Detached{FD: -1}).Close(); err == nil {
		t.Error("Close of nothing")
	}
}
