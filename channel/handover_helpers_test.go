//go:build unix

package channel_test

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// adopt is channel.Adopt with a check around each callback; first is what has
// been read of nc.
func (r *rig) adopt(nc net.Conn, first string, h *channel.Handler) (c *channel.Conn) {
	r.Helper()
	var err error
	r.do(func() {
		if c, err = channel.Adopt(r.l, nc, r.check(h)); err == nil {
			r.life(c).given = true
			c.Unread([]byte(first))
		}
	})
	if err != nil {
		r.Fatal(err)
	}
	return c
}

// adoptFD is channel.AdoptFD with a check around each callback.
func (r *rig) adoptFD(fd int, h *channel.Handler) (c *channel.Conn) {
	r.Helper()
	var err error
	r.do(func() {
		if c, err = channel.AdoptFD(r.l, fd, r.check(h)); err == nil {
			r.life(c).given = true
		}
	})
	if err != nil {
		r.Fatal(err)
	}
	return c
}

// detach is Conn.Detach on the loop, with a check that take comes once, after
// Close. What it is given is sent to the Go channel.
func (r *rig) detach(c *channel.Conn) <-chan channel.Detached {
	r.Helper()
	taken := make(chan channel.Detached, 2)
	r.shut(c, func(c *channel.Conn) {
		if err := c.Detach(r.taker(c, func(d channel.Detached) { taken <- d })); err != nil {
			r.Errorf("Detach of %v: %v", c, err)
		}
	})
	return taken
}

// taker is take with a check that it comes once, after Close.
func (r *rig) taker(c *channel.Conn, take func(channel.Detached)) func(channel.Detached) {
	times := 0
	return func(d channel.Detached) {
		if times++; times > 1 {
			r.Errorf("%v: taken %d times", c, times)
		}
		if lf := r.life(c); lf.given && !lf.saw("close") {
			r.Errorf("%v: taken before Close", c)
		}
		r.user(func() { take(d) })
	}
}

// taken waits for what detach sends, with which the Conn has closed.
func (r *rig) taken(from <-chan channel.Detached) channel.Detached {
	r.Helper()
	d := receive(r, from, "not taken")
	r.wantEnd(nil)
	return d
}

// conn is Detached.Conn.
func (r *rig) conn(d channel.Detached) net.Conn {
	r.Helper()
	nc, err := d.Conn()
	if err != nil {
		r.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	r.Cleanup(func() { nc.Close() })
	return nc
}

// pairOf makes the two ends of a connection of package net.
func pairOf(t testing.TB, network string) (nc, peer net.Conn) {
	t.Helper()
	ln, err := net.Listen(network, address(t, network))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer = connect(t, ln.Addr())
	if nc, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc, peer
}

// blockingSockets are two connected descriptors, as inetd would give them.
func blockingSockets(t testing.TB) (fd int, peer *os.File) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range p {
		unix.CloseOnExec(fd)
	}
	unix.SetNonblock(p[1], true) // os.File then has deadlines
	peer = os.NewFile(uintptr(p[1]), "peer")
	peer.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { peer.Close() })
	return p[0], peer
}

// keep returns a duplicate, which shows what has been made of the original.
func keep(t testing.TB, fd int) *os.File {
	t.Helper()
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(dup), "duplicate")
	t.Cleanup(func() { f.Close() })
	return f
}

// isOpen tells whether a number is a descriptor. Other goroutines must not open
// any meanwhile.
func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

// fdOf returns the descriptor of what package net has made.
func fdOf(t testing.TB, of syscall.Conn) (fd int) {
	t.Helper()
	raw, err := of.SyscallConn()
	if err == nil {
		err = raw.Control(func(p uintptr) { fd = int(p) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// calm wants no event in some turns, while somebody holds a duplicate of what
// has left the loop and its peer sends.
func (r *rig) calm(poke func()) {
	r.Helper()
	var before, after uint64
	r.quiet()
	r.do(func() { before = r.l.Stats().Events })
	poke()
	r.quiet()
	r.do(func() { after = r.l.Stats().Events })
	// A post that finds the loop asleep wakes it through the poller, which does
	// not count as an event.
	if after != before {
		r.Errorf("%d events of what is not the loop's any more", after-before)
	}
}

// mustWrite writes all of s.
func mustWrite(t testing.TB, w io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
}
