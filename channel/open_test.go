//go:build unix

package channel_test

import (
	"bytes"
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
