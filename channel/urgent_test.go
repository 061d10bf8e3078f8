//go:build unix

package channel_test

import (
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// inline sets or clears SO_OOBINLINE.
func inline(t *testing.T, c *channel.Conn, on int) {
	t.Helper()
	if err := unix.SetsockoptInt(fdOf(t, c), unix.SOL_SOCKET, unix.SO_OOBINLINE, on); err != nil {
		t.Fatal(err)
	}
}

// With SO_OOBINLINE every urgent byte is in its place, however many there are and
// however they are mixed with others.
func TestUrgentInlineMany(t *testing.T) {
	for _, pausing := range []bool{false, true} {
		faultEach(t, fmt.Sprintf("pausing %v", pausing), func(t *testing.T, w *faultWorld) {
			r, p := w.accept(channel.Handler{Urgent: func(*channel.Conn, byte) { t.Error("Urgent was called") }})
			inline(t, r.c, 1)
			text := faultBytes(20000)
			for sent, i := 0, 0; sent < len(text); i++ {
				n := min(1+int(text[sent])%100, len(text)-sent)
				if pausing && i%7 == 0 {
					r.c.Pause()
				}
				if p.send(text[sent:sent+n-1]) != n-1 {
					t.Fatal("the kernel takes no more")
				}
				p.sendUrgent(text[sent+n-1])
				sent += n
				if i%3 == 0 {
					w.turn(0)
				}
				if i%7 == 5 {
					r.c.Resume()
				}
			}
			r.c.Resume()
			r.waitGot(len(text))
			w.calm()
			if string(r.got) != string(text) {
				t.Error("other bytes than were sent, or in another order")
			}
			p.closeWrite()
			r.waitClosed(nil)
		})
	}
}

// What counts is the option when the byte is read: then it is in the stream, or it is
// Urgent's. It is never both.
func TestUrgentInlineSwitched(t *testing.T) {
	for _, to := range []int{0, 1} {
		faultEach(t, fmt.Sprintf("to %d", to), func(t *testing.T, w *faultWorld) {
			var urgent []byte
			r, p := w.accept(channel.Handler{Urgent: func(_ *channel.Conn, b byte) { urgent = append(urgent, b) }})
			r.c.Pause()
			inline(t, r.c, 1-to)
			w.calm()
			p.send([]byte("before"))
			p.sendUrgent('!')
			p.send([]byte("after"))
			w.calm()
			inline(t, r.c, to)
			r.c.Resume()
			r.waitGot(11 + to)
			w.calm()
			stream, band := "beforeafter", "!"
			if to == 1 {
				stream, band = "before!after", ""
			}
			if !tellsUrgent(t, w.l.Poller()) {
				band = ""
			}
			if string(r.got) != stream || string(urgent) != band {
				t.Errorf("Read %q, Urgent %q", r.got, urgent)
			}
		})
	}
}

// The last byte before the end, and before a reset, urgent and in line.
func TestUrgentInlineEnds(t *testing.T) {
	faultEach(t, "EOF", func(t *testing.T, w *faultWorld) {
		r, p := w.accept(channel.Handler{Urgent: func(*channel.Conn, byte) { t.Error("Urgent was called") }})
		inline(t, r.c, 1)
		p.sendUrgent('!')
		p.closeWrite()
		r.waitClosed(nil)
		if string(r.got) != "!" {
			t.Errorf("read %q", r.got)
		}
	})
}

// Unix sockets have urgent bytes too, on Linux: the same holds.
func TestUrgentUnix(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		for _, in := range []int{0, 1} {
			faultEach(t, fmt.Sprintf("wanted %v, inline %d", wanted, in), func(t *testing.T, w *faultWorld) {
				h := channel.Handler{}
				var urgent []byte
				if wanted {
					h.Urgent = func(_ *channel.Conn, b byte) { urgent = append(urgent, b) }
				}
				r := w.rec("conn")
				ln := w.listen("unix", address(t, "unix"), &channel.ListenConfig{}, func() *channel.Handler { return r.handler(h) })
				p := w.peer(ln.Addr().(*net.UnixAddr))
				r.waitOpen()
				ln.Close()
				inline(t, r.c, in)
				if err := unix.Send(p.fd, []byte("!"), unix.MSG_OOB); err != nil {
					t.Skip("no urgent bytes here: ", err)
				}
				w.calm()
				p.send([]byte("after"))
				r.waitGot(5 + in)
				w.calm()
				p.closeWrite()
				r.waitClosed(nil)
				stream, band := "after", "!"
				if in == 1 {
					stream, band = "!after", ""
				}
				if !wanted || !tellsUrgent(t, w.l.Poller()) {
					band = ""
				}
				if string(r.got) != stream || string(urgent) != band {
					t.Errorf("Read %q, Urgent %q", r.got, urgent)
				}
			})
		}
	}
}
