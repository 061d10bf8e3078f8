//go:build unix

package channel_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
)

func TestFaultPoller(t *testing.T) {
	t.Run("32 the poller refuses a Conn", func(t *testing.T) {
		for _, e := range []syscall.Errno{
			syscall.EEXIST, syscall.ENOMEM, syscall.ENOSPC, syscall.EPERM, syscall.ELOOP,
		} {
			faultEach(t, faultErrno(e)+" on add", func(t *testing.T, w *faultWorld) {
				_, p := w.accept(faultEcho())
				r, _ := w.accept(faultEcho())
				r.c.Pause()
				w.settle()
				w.f.Fail(faultsys.Add, e, faultsys.On(r.fd()))
				r.c.Resume()
				r.waitClosed(e)
				w.exchange(p, []byte("still here"))
			})
			faultEach(t, faultErrno(e)+" on modify", func(t *testing.T, w *faultWorld) {
				_, p := w.accept(faultEcho())
				r, _ := w.accept(channel.Handler{})
				w.settle()
				w.f.Fail(faultsys.Modify, e, faultsys.On(r.fd()))
				w.f.Fail(faultsys.Send, syscall.EAGAIN, faultsys.On(r.fd()))
				r.c.WriteString("x")
				r.waitClosed(e)
				w.exchange(p, []byte("still here"))
				w.calm()
			})
		}
	})
	faultEach(t, "32 EBADF on add", func(t *testing.T, w *faultWorld) {
		r, _ := w.accept(channel.Handler{})
		r.c.Pause()
		w.settle()
		w.f.Steal(r.fd())
		r.c.Resume()
		r.waitClosed(syscall.EBADF)
	})
	faultEach(t, "33 the poller has forgotten a Conn", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		w.settle()
		fd := r.fd()
		w.f.Fail(faultsys.Send, syscall.EAGAIN, faultsys.Times(1))
		w.f.Fail(faultsys.Modify, syscall.ENOENT, faultsys.On(fd), faultsys.Times(1))
		w.f.Fail(faultsys.Add, syscall.EEXIST, faultsys.On(fd), faultsys.Times(1))
		r.c.WriteString("x")
		r.waitClosed(syscall.EEXIST)
		_ = p
	})
	faultEach(t, "33 removing what the poller does not have", func(t *testing.T, w *faultWorld) {
		for _, e := range []syscall.Errno{syscall.ENOENT, syscall.EBADF} {
			r, _ := w.accept(channel.Handler{})
			fd := r.fd()
			w.f.Fail(faultsys.Remove, e, faultsys.On(fd), faultsys.Times(1))
			r.c.Abort()
			r.waitClosed(net.ErrClosed)
			w.f.Heal(faultsys.Remove)
		}
	})
	for _, end := range []string{"a write", "nothing"} {
		faultEach(t, "35 45 a descriptor closed behind us, then "+end, func(t *testing.T, w *faultWorld) {
			if p := w.l.Poller(); (p == "epoll" || p == "kqueue") && end == "nothing" {
				t.Skip("the kernel forgets it in silence")
			}
			_, p := w.accept(faultEcho())
			r, _ := w.accept(channel.Handler{})
			w.settle()
			w.f.Steal(r.fd())
			if end == "a write" {
				r.c.WriteString("x")
			}
			r.waitClosed(syscall.EBADF)
			w.exchange(p, []byte("still here"))
			w.calm()
		})
	}
	for _, e := range []syscall.Errno{syscall.EBADF, syscall.EINVAL} {
		faultEach(t, "36 wait fails with "+faultErrno(e), func(t *testing.T, w *faultWorld) {
			a, _ := w.accept(channel.Handler{})
			b, _ := w.accept(channel.Handler{})
			w.serve(&channel.ListenConfig{}, channel.Handler{})
			w.f.Fail(faultsys.Wait, e)
			if err := w.run(); !errors.Is(err, e) {
				t.Errorf("Run: %v", err)
			}
			for _, r := range []*faultRec{a, b} {
				if r.closes != 1 || !errors.Is(r.err, e) {
					t.Errorf("%s: closed %d times with %v", r.name, r.closes, r.err)
				}
			}
		})
	}
	faultEach(t, "37 39 all bits, in all combinations", func(t *testing.T, w *faultWorld) {
		for bits := range faultFault << 1 {
			for _, state := range []string{"idle", "data", "data, then EOF", "output"} {
				r, p := w.accept(channel.Handler{Urgent: func(*channel.Conn, byte) {}})
				w.settle()
				token := w.f.Token(r.fd())
				want := ""
				if state != "idle" && state != "output" {
					want = "hello"
					p.send([]byte(want))
				}
				if state == "data, then EOF" {
					p.closeWrite()
				}
				if state == "output" {
					w.f.Fail(faultsys.Send, syscall.EAGAIN, faultsys.Times(2))
					r.c.WriteString("out")
				}
				w.f.Mangle(func([]asyncore.Event) []asyncore.Event {
					return []asyncore.Event{{Token: token, Ready: bits}}
				})
				w.turn(0)
				w.turn(0)
				w.f.Mangle(nil)
				what := fmt.Sprintf("%v, %s", bits, state)
				if state == "data, then EOF" {
					r.waitClosed(nil)
				} else {
					w.until(what, func() bool { return string(r.got) == want })
					if state == "output" {
						w.wants(p, []byte("out"), false)
					}
					if !r.isOpen() {
						t.Errorf("%s: closed with %v", what, r.err)
					}
					r.c.Abort()
				}
				if string(r.got) != want {
					t.Errorf("%s: got %q", what, r.got)
				}
				w.f.Heal(faultsys.Send)
			}
		}
	})
	for _, end := range []string{"FIN", "RST", "both ends"} {
		faultEach(t, "38 34 much input, then "+end, func(t *testing.T, w *faultWorld) {
			r, p := w.accept(channel.Handler{})
			unix.SetsockoptInt(r.fd(), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
			r.c.Pause()
			w.settle()
			msg := faultBytes(2 << 20)
			sent := 0
			for range 50 {
				sent += p.send(msg[sent:])
				w.turn(time.Millisecond)
			}
			var want error
			switch end {
			case "FIN":
				p.close()
			case "RST":
				// What has not been sent yet would be dropped by the peer itself.
				time.Sleep(5 * time.Millisecond)
				want = syscall.ECONNRESET
				p.reset()
			case "both ends":
				p.closeWrite()
			}
			w.calm() // paused, it has left the poller
			r.c.Resume()
			r.waitClosed(want)
			if !bytes.Equal(r.got, msg[:len(r.got)]) || end != "RST" && len(r.got) != sent {
				t.Errorf("%d bytes of %d", len(r.got), sent)
			}
		})
	}
	faultEach(t, "41 out-of-band byte", func(t *testing.T, w *faultWorld) {
		var urgent []byte
		r, p := w.accept(channel.Handler{})
		u, q := w.accept(channel.Handler{Urgent: func(_ *channel.Conn, b byte) { urgent = append(urgent, b) }})
		for _, peer := range []*faultPeer{p, q} {
			peer.send([]byte("ab"))
			peer.sendUrgent('!')
			peer.send([]byte("cd"))
		}
		r.waitGot(4)
		u.waitGot(4)
		w.calm()
		if string(r.got) != "abcd" || string(u.got) != "abcd" {
			t.Errorf("got %q and %q", r.got, u.got)
		}
		if string(urgent) != "!" && tellsUrgent(t, w.l.Poller()) {
			t.Errorf("urgent %q", urgent)
		}
	})
	faultEach(t, "42 a descriptor's number used again in one batch", func(t *testing.T, w *faultWorld) {
		// The listener's number is the first that is free again while its own
		// event waits behind that of the Conn whose callback closes it.
		var doomed *channel.Listener
		fresh := w.rec("fresh")
		r, p := w.accept(channel.Handler{Read: func(c *channel.Conn, _ []byte) {
			doomed.Close()
			channel.Dial(w.l, "tcp", faultNobody(t), fresh.handler(channel.Handler{}))
		}})
		doomed = w.listen("tcp", "127.0.0.1:0", &channel.ListenConfig{}, func() *channel.Handler {
			t.Error("a closed listener accepted")
			return nil
		})
		w.settle()
		first := w.f.Token(r.fd())
		p.send([]byte("x"))
		w.peer(doomed.Addr())
		time.Sleep(time.Millisecond)
		w.f.Mangle(func(batch []asyncore.Event) []asyncore.Event {
			slices.SortStableFunc(batch, func(a, b asyncore.Event) int {
				if a.Token == first {
					return -1
				}
				return 1
			})
			return batch
		})
		w.turn(w.step)
		w.f.Mangle(nil)
		if n := w.l.Stats().StaleEvents; n != 1 {
			t.Errorf("%d stale events, want the listener's", n)
		}
		w.until("the dial's end", fresh.isClosed)
	})
	faultEach(t, "43 a late report of a number used again", func(t *testing.T, w *faultWorld) {
		server, addr := faultServer(t, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, 5)
		a, _ := w.accept(channel.Handler{})
		w.settle()
		fd, token := a.fd(), w.f.Token(a.fd())
		a.c.Abort()
		a.waitClosed(net.ErrClosed)
		// The lowest free number comes first.
		var low []int
		for {
			n, err := unix.Dup(server.fd)
			if err != nil {
				t.Fatal(err)
			}
			if n >= fd {
				unix.Close(n)
				break
			}
			low = append(low, n)
		}
		b := w.dial("tcp", addr.String(), channel.Dialer{}, channel.Handler{})
		for _, n := range low {
			unix.Close(n)
		}
		b.waitOpen()
		p := server.accept()
		if b.fd() != fd {
			t.Skipf("descriptor %d was not used again, but %d", fd, b.fd())
		}
		w.settle()
		p.send([]byte("for b"))
		stale, reads := w.l.Stats().StaleEvents, w.f.Count(faultsys.Recv)
		w.f.Mangle(func([]asyncore.Event) []asyncore.Event {
			return []asyncore.Event{{Token: token, Ready: faultReadable}}
		})
		w.turn(0)
		w.f.Mangle(nil)
		if w.l.Stats().StaleEvents != stale+1 || w.f.Count(faultsys.Recv) != reads {
			t.Error("the event reached somebody")
		}
		b.waitGot(5)
	})
	faultEach(t, "44 45 a descriptor closed behind us, of which a duplicate lives on", func(t *testing.T, w *faultWorld) {
		_, other := w.accept(faultEcho())
		r, p := w.accept(faultEcho())
		w.settle()
		dup, err := unix.FcntlInt(uintptr(r.fd()), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(dup)
		w.f.Steal(r.fd())
		p.send([]byte("for whoever has the duplicate"))
		if w.l.Poller() == "kqueue" { // closing ends its registration, whatever lives on
			r.c.WriteString("x")
		}
		r.waitClosed(syscall.EBADF)
		w.exchange(other, []byte("still here"))
		w.calm()
		woken := false
		w.l.Post(func() { woken = true })
		w.until("the post", func() bool { return woken })
		w.exchange(other, []byte("and still here"))
	})
	faultEach(t, "44 a duplicate lives on", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{})
		dup, err := unix.Dup(r.fd())
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(dup)
		r.c.Abort()
		r.waitClosed(net.ErrClosed)
		p.send([]byte("to nobody"))
		w.calm()
	})
	faultOnce(t, "46 the adopted file is collected", func(t *testing.T, w *faultWorld) {
		pr, pw, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer pw.Close()
		r := w.open(pr, channel.Handler{})
		pr = nil
		for range 3 {
			runtime.GC()
			time.Sleep(time.Millisecond)
		}
		pw.WriteString("hello")
		r.waitGot(5)
	})
	faultOnce(t, "47 O_NONBLOCK is given back", func(t *testing.T, w *faultWorld) {
		// Both ends of one pipe, two descriptions of one fifo, and one
		// description twice.
		var fds [2]int
		if err := unix.Pipe(fds[:]); err != nil {
			t.Fatal(err)
		}
		fifo := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(fifo, 0o600); err != nil {
			t.Skip(err)
		}
		one, err := unix.Open(fifo, unix.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		two, err := unix.Open(fifo, unix.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		same, err := unix.Dup(two)
		if err != nil {
			t.Fatal(err)
		}
		files := []*os.File{}
		for _, fd := range []int{fds[0], fds[1], one, two, same} {
			f := os.NewFile(uintptr(fd), "end")
			defer f.Close()
			files = append(files, f)
		}
		blocking := func(f *os.File) (is bool) {
			raw, err := f.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			raw.Control(func(fd uintptr) {
				flags, _ := unix.FcntlInt(fd, unix.F_GETFL, 0)
				is = flags&unix.O_NONBLOCK == 0
			})
			return is
		}
		var recs []*faultRec
		for _, f := range files {
			recs = append(recs, w.open(f, channel.Handler{}))
		}
		for i, r := range recs {
			r.c.Abort()
			r.waitClosed(net.ErrClosed)
			shared := i == 3 // same has it still
			if is := blocking(files[i]); is == shared {
				t.Errorf("after Close of file %d: blocking is %v", i, is)
			}
		}
	})
	faultEach(t, "47 O_NONBLOCK is lost", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(faultEcho())
		w.settle()
		unix.SetNonblock(r.fd(), false)
		w.report(w.f.Token(r.fd()), faultReadable)
		w.turn(w.step) // must not sleep in recv
		w.exchange(p, []byte("hello"))
	})
	faultOnce(t, "48 119 close-on-exec", func(t *testing.T, w *faultWorld) {
		a, b := w.pair(channel.Handler{}, channel.Handler{})
		pr, pw, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer pr.Close()
		defer pw.Close()
		f := w.open(pr, channel.Handler{})
		ln, _ := w.serve(&channel.ListenConfig{}, channel.Handler{})
		_ = ln
		for _, fd := range append(w.f.Open(), a.fd(), b.fd(), f.fd()) {
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor %d: flags %#x, %v", fd, flags, err)
			}
		}
	})
}

// open is channel.Open with recorded callbacks.
func (w *faultWorld) open(f *os.File, h channel.Handler) *faultRec {
	w.t.Helper()
	r := w.rec("opened " + f.Name())
	c, err := channel.Open(w.l, f, r.handler(h))
	if err != nil {
		w.t.Fatal(err)
	}
	r.c = c
	r.waitOpen()
	return r
}

func TestFaultClose(t *testing.T) {
	for _, e := range []syscall.Errno{syscall.EINTR, syscall.EIO} {
		faultEach(t, "4 "+faultErrno(e)+" on close", func(t *testing.T, w *faultWorld) {
			r, p := w.accept(channel.Handler{})
			w.f.Fail(faultsys.Close, e)
			before := w.f.Count(faultsys.Close)
			r.c.Abort()
			r.waitClosed(net.ErrClosed)
			if n := w.f.Count(faultsys.Close) - before; n != 1 {
				t.Errorf("%d closes", n)
			}
			w.wants(p, nil, true)
		})
	}
}
