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
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// tempFile is a file with n bytes of noise, at its beginning.
func tempFile(t testing.TB, n int) (*os.File, []byte) {
	t.Helper()
	all := noise(n)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, all
}

func wantOffset(t testing.TB, f *os.File, want int) {
	t.Helper()
	if at, err := f.Seek(0, io.SeekCurrent); at != int64(want) || err != nil {
		t.Errorf("the file's offset is %d, %v, want %d", at, err, want)
	}
}

// sendsFiles tells whether sendfile is made use of here.
func sendsFiles() bool {
	return runtime.GOOS == "linux" || runtime.GOOS == "freebsd" || runtime.GOOS == "darwin"
}

// A large file to a slow reader: each byte in its place, and none of it in memory.
func TestSendFile(t *testing.T) {
	for _, network := range []string{"tcp4", "unix"} {
		t.Run(network, func(t *testing.T) {
			f, all := tempFile(t, 64<<20)
			eachBackend(t, func(t *testing.T, r *rig) {
				nc, c := r.pair(network, echo)
				nc.SetDeadline(time.Now().Add(10 * patience))
				buf := make([]byte, 128<<10)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r.do(func() {
					f.Seek(0, io.SeekStart)
					c.SetWater(0, 1, -1)
					if err := c.SendFrom(f); err != nil {
						t.Error(err)
					}
					r.close(c)
				})
				got := 0
				for i := 1; ; i++ {
					n, err := nc.Read(buf[:1+i*4999%len(buf)])
					if !bytes.Equal(buf[:n], all[got:min(got+n, len(all))]) {
						t.Fatalf("the bytes from %d on are not the file's", got)
					}
					got += n
					if err == io.EOF {
						break
					}
					if err != nil {
						t.Fatal(err)
					}
					if i%512 == 0 {
						time.Sleep(time.Millisecond)
						r.do(func() {
							if n := c.Buffered(); n != 0 {
								t.Errorf("%d bytes are queued", n)
							}
						})
					}
				}
				r.wantEnd(nil)
				runtime.ReadMemStats(&after)
				if n := after.TotalAlloc - before.TotalAlloc; sendsFiles() && n > 1<<20 {
					t.Errorf("%d bytes were allocated", n)
				}
				r.do(func() {
					wrote, out := c.BytesWritten(), r.l.Stats().BytesWritten
					if got != len(all) || wrote != uint64(got) || out != uint64(got) {
						t.Errorf("client read %d bytes, Conn counts %d, loop %d, want %d", got, wrote, out, len(all))
					}
				})
				wantOffset(t, f, len(all))
			})
		})
	}
}

// Whatever part of a file is sent, it is what copying it would send, between what
// is written before and after; and the offset and the limit are left as by copying.
func TestSendFileParts(t *testing.T) {
	for name, part := range map[string]struct {
		size, from int
		limit      int // negative: none
	}{
		"empty":                   {0, 0, -1},
		"one byte":                {1, 0, -1},
		"just too small":          {32<<10 - 1, 0, -1},
		"just large enough":       {32 << 10, 0, -1},
		"one call":                {64 << 10, 0, -1},
		"whole":                   {300_001, 0, -1},
		"from the middle":         {1_000_003, 300_001, -1},
		"at the end":              {300_001, 300_001, -1},
		"past the end":            {100_000, 300_001, -1},
		"limited":                 {1_000_003, 0, 300_001},
		"limited from the middle": {1_000_003, 300_001, 500_000},
		"limit of 0":              {300_001, 0, 0},
		"small limit":             {300_001, 0, 1000},
		"limit at the end":        {300_001, 0, 300_001},
		"limit past the end":      {300_001, 1, 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				f, all := tempFile(t, part.size)
				nc, c := r.pair("tcp4", echo)
				f.Seek(int64(part.from), io.SeekStart)
				src := io.Reader(f)
				want := all[min(part.from, len(all)):]
				var lr *io.LimitedReader
				if part.limit >= 0 {
					lr = &io.LimitedReader{R: f, N: int64(part.limit)}
					src = lr
					want = want[:min(part.limit, len(want))]
				}
				end := part.from + len(want)
				want = append([]byte("before "), want...)
				want = append(want, " after"...)
				r.do(func() {
					c.WriteString("before ")
					c.SendFrom(src)
					c.WriteString(" after")
					r.close(c)
				})
				wantAll(t, nc, want)
				r.wantEnd(nil)
				wantOffset(t, f, end)
				if lr != nil && lr.N != int64(part.limit-(end-part.from)) {
					t.Errorf("N is %d, want %d", lr.N, part.limit-(end-part.from))
				}
			})
		})
	}
}

// A file that changes while it is sent is sent to the end that it has by then.
func TestSendFileChanges(t *testing.T) {
	for name, size := range map[string]int{"truncated": 128 << 10, "truncated before": 32 << 10, "grown": 500 << 10} {
		faultEach(t, name, func(t *testing.T, w *faultWorld) {
			f, all := tempFile(t, 300<<10)
			r, p := w.accept(channel.Handler{})
			w.f.Limit(faultsys.SendFile, 10<<10, faultsys.Times(10))
			w.f.Fail(faultsys.SendFile, syscall.EAGAIN, faultsys.Times(1))
			r.c.SendFrom(f)
			r.c.WriteString(" after")
			w.until("100 KiB are sent", func() bool { return r.c.BytesWritten() >= 100<<10 })
			got, _, _ := p.recv()
			sent := int(r.c.BytesWritten())
			if !sendsFiles() {
				t.Skip("the whole has gone already")
			}
			if sent != 100<<10 {
				t.Fatalf("%d bytes are sent", sent)
			}
			if size <= len(all) {
				f.Truncate(int64(size))
				all = all[:max(size, sent)]
			} else {
				more := noise(size - len(all))
				f.WriteAt(more, int64(len(all)))
				all = append(all, more...)
			}
			if !bytes.Equal(got, all[:len(got)]) {
				t.Errorf("the first %d bytes are wrong", len(got))
			}
			w.wants(p, append(all[len(got):], " after"...), false)
			wantOffset(t, f, len(all))
		})
	}
}

func TestSendFileFaults(t *testing.T) {
	// Whatever sendfile answers, the peer gets the whole.
	whole := func(t *testing.T, w *faultWorld) *faultRec {
		t.Helper()
		f, all := tempFile(t, 1_000_003)
		r, p := w.accept(channel.Handler{})
		lr := &io.LimitedReader{R: f, N: 900_000}
		r.c.WriteString("before ")
		r.c.SendFrom(lr)
		r.c.WriteString(" after")
		want := append([]byte("before "), all[:900_000]...)
		w.wants(p, append(want, " after"...), false)
		wantOffset(t, f, 900_000)
		if lr.N != 0 || r.c.BytesWritten() != 900_013 || r.c.Buffered() != 0 {
			t.Errorf("N is %d, %d bytes written, %d queued", lr.N, r.c.BytesWritten(), r.c.Buffered())
		}
		w.calm()
		return r
	}
	faultEach(t, "no faults", func(t *testing.T, w *faultWorld) {
		whole(t, w)
		if n := w.f.Count(faultsys.SendFile); sendsFiles() && n < 900_000/(64<<10) {
			t.Errorf("%d calls of sendfile", n)
		}
		if n := w.f.Count(faultsys.Send); sendsFiles() && n != 2 {
			t.Errorf("%d sends, want those of before and after", n)
		}
	})
	faultEach(t, "9 short writes", func(t *testing.T, w *faultWorld) {
		w.f.Limit(faultsys.SendFile, 1, faultsys.Times(1))
		w.f.Limit(faultsys.SendFile, 4095)
		whole(t, w)
	})
	faultEach(t, "6 EAGAIN now and then", func(t *testing.T, w *faultWorld) {
		for n := range 5 {
			w.f.Fail(faultsys.SendFile, syscall.EAGAIN, faultsys.After(2*n), faultsys.Times(1))
		}
		whole(t, w)
	})
	faultEach(t, "7 EINTR", func(t *testing.T, w *faultWorld) {
		w.f.Fail(faultsys.SendFile, syscall.EINTR, faultsys.Times(3))
		w.f.Fail(faultsys.SendFile, syscall.EINTR, faultsys.After(4), faultsys.Times(3))
		whole(t, w)
	})
	for _, e := range []syscall.Errno{syscall.EINVAL, syscall.ENOSYS, syscall.EOPNOTSUPP, syscall.ENOTSOCK, syscall.EBADF} {
		faultEach(t, faultErrno(e)+" at first", func(t *testing.T, w *faultWorld) {
			w.f.Fail(faultsys.SendFile, e)
			whole(t, w)
			if n := w.f.Count(faultsys.SendFile); n != 1 {
				t.Errorf("%d calls of sendfile, want one", n)
			}
		})
		faultEach(t, faultErrno(e)+" later", func(t *testing.T, w *faultWorld) {
			w.f.Limit(faultsys.SendFile, 1000, faultsys.Times(3))
			w.f.Fail(faultsys.SendFile, e, faultsys.After(3))
			whole(t, w)
		})
	}
	for _, e := range []syscall.Errno{syscall.ENOBUFS, syscall.ENOMEM} {
		faultEach(t, "16 "+faultErrno(e), func(t *testing.T, w *faultWorld) {
			w.manual()
			w.f.Fail(faultsys.SendFile, e, faultsys.Times(8))
			start := w.l.Now()
			whole(t, w)
			if took := w.l.Now() - start; took < 1275*time.Millisecond {
				t.Errorf("8 tries took %v, want 1.275 s", took)
			}
		})
	}
	faultEach(t, "EIO", func(t *testing.T, w *faultWorld) {
		f, _ := tempFile(t, 1_000_003)
		r, _ := w.accept(channel.Handler{})
		w.f.Fail(faultsys.SendFile, syscall.EIO, faultsys.After(2))
		r.c.SendFrom(f)
		r.c.WriteString("never sent")
		r.waitClosed(syscall.EIO)
		if e, ok := errors.AsType[*fs.PathError](r.err); !ok || e.Path != f.Name() {
			t.Errorf("closed with %v, want the file's error", r.err)
		}
		if n := r.c.BytesWritten(); sendsFiles() && n != 128<<10 {
			t.Errorf("%d bytes written", n)
		}
	})
	for _, e := range []syscall.Errno{syscall.EPIPE, syscall.ECONNRESET, syscall.ETIMEDOUT} {
		faultEach(t, "13 "+faultErrno(e)+", input first", func(t *testing.T, w *faultWorld) {
			f, _ := tempFile(t, 1_000_003)
			r, p := w.accept(channel.Handler{})
			w.f.Fail(faultsys.SendFile, e, faultsys.After(2))
			msg := faultBytes(100_000)
			sent := p.send(msg)
			r.c.SendFrom(f)
			r.c.WriteString("never sent")
			r.waitClosed(e)
			faultOpError(t, r.err, "write")
			if !bytes.Equal(r.got, msg[:sent]) {
				t.Errorf("got %d bytes of %d", len(r.got), sent)
			}
		})
	}
	faultEach(t, "closed file", func(t *testing.T, w *faultWorld) {
		f, _ := tempFile(t, 1_000_003)
		r, _ := w.accept(channel.Handler{})
		w.f.Fail(faultsys.SendFile, syscall.EAGAIN, faultsys.After(2))
		r.c.SendFrom(f)
		w.until("some is sent", func() bool { return w.f.Count(faultsys.SendFile) > 2 })
		f.Close()
		w.f.Heal(faultsys.SendFile)
		r.waitClosed(os.ErrClosed)
	})
	faultEach(t, "never read, and Detach", func(t *testing.T, w *faultWorld) {
		f, all := tempFile(t, 300_001)
		r, p := w.accept(channel.Handler{})
		w.f.Limit(faultsys.SendFile, 5000)
		r.c.SendFrom(f)
		fd := -1
		r.c.Detach(func(d channel.Detached) { fd = d.FD })
		r.waitClosed(nil)
		w.f.Take(fd)
		p2 := &faultPeer{t, fd}
		defer p2.close()
		got, _, err := p.recv()
		for err == nil && len(got) < len(all) {
			var more []byte
			more, _, err = p.recv()
			got = append(got, more...)
		}
		if !bytes.Equal(got, all) {
			t.Errorf("%d bytes, %v, before the descriptor was given away", len(got), err)
		}
	})
	// A socket that somebody has made blocking behind the loop's back.
	faultEach(t, "blocking socket", func(t *testing.T, w *faultWorld) {
		f, all := tempFile(t, 4<<20)
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		p := &faultPeer{t, fds[1]}
		defer p.close()
		unix.SetNonblock(p.fd, true)
		mine := os.NewFile(uintptr(fds[0]), "mine")
		defer mine.Close()
		r := w.rec("adopted")
		c, err := channel.Open(w.l, mine, r.handler(channel.Handler{}))
		if err != nil {
			t.Fatal(err)
		}
		r.c = c
		r.waitOpen()
		unix.SetNonblock(r.fd(), false)
		if runtime.GOOS != "linux" {
			t.Skip("here no send is safe from that")
		}
		c.SendFrom(f)
		w.wants(p, all, false)
		c.Close()
		r.waitClosed(nil)
	})
}

// Of a file that is cut off, the peer gets no end; a peer that resets ends the Conn.
func TestSendFileCutShort(t *testing.T) {
	faultEach(t, "Abort", func(t *testing.T, w *faultWorld) {
		f, _ := tempFile(t, 32<<20)
		r, p := w.accept(channel.Handler{})
		p.small()
		r.c.SendFrom(f)
		w.settle()
		if n := r.c.BytesWritten(); n == 0 || n == 32<<20 {
			t.Fatalf("%d bytes are sent", n)
		}
		r.c.Abort()
		r.waitClosed(net.ErrClosed)
		var eof bool
		var err error
		w.until("the peer's end", func() bool {
			if !eof && err == nil {
				_, eof, err = p.recv()
			}
			return eof || err != nil
		})
		if eof || err != unix.ECONNRESET {
			t.Errorf("the peer read EOF %v, %v, want a reset", eof, err)
		}
	})
	faultEach(t, "reset by the peer", func(t *testing.T, w *faultWorld) {
		f, _ := tempFile(t, 32<<20)
		r, p := w.accept(channel.Handler{})
		p.small()
		r.c.SendFrom(f)
		w.settle()
		p.reset()
		r.waitClosed(faultAny)
		if !errors.Is(r.err, syscall.ECONNRESET) && !errors.Is(r.err, syscall.EPIPE) {
			t.Errorf("closed with %v", r.err)
		}
	})
}

// What is no file, and what goes into none but a socket, is read and written.
func TestSendFileElsewhere(t *testing.T) {
	faultEach(t, "from a pipe", func(t *testing.T, w *faultWorld) {
		from, to, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		all := noise(40_000)
		to.Write(all)
		to.Close()
		r, p := w.accept(channel.Handler{})
		r.c.SendFrom(from)
		w.wants(p, all, false)
		if n := w.f.Count(faultsys.SendFile); n != 0 {
			t.Errorf("%d calls of sendfile", n)
		}
	})
	faultEach(t, "from a directory", func(t *testing.T, w *faultWorld) {
		dir, err := os.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		r, _ := w.accept(channel.Handler{})
		r.c.SendFrom(dir)
		r.waitClosed(syscall.EISDIR)
	})
	faultEach(t, "from a file open for writing only", func(t *testing.T, w *faultWorld) {
		f, _ := tempFile(t, 100_000)
		deaf, err := os.OpenFile(f.Name(), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer deaf.Close()
		r, _ := w.accept(channel.Handler{})
		r.c.SendFrom(deaf)
		r.waitClosed(syscall.EBADF)
	})
	faultEach(t, "from nil", func(t *testing.T, w *faultWorld) {
		r, _ := w.accept(channel.Handler{})
		r.c.SendFrom((*os.File)(nil))
		r.waitClosed(os.ErrInvalid)
	})
	eachBackend(t, func(t *testing.T, r *rig) {
		f, all := tempFile(t, 300_001)
		from, to, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		c := r.open(to, &channel.Handler{})
		to.Close()
		r.do(func() {
			c.SendFrom(f)
			r.close(c)
		})
		wantAll(t, from, all)
		r.wantEnd(nil)
	})
	eachBackend(t, func(t *testing.T, r *rig) {
		f, all := tempFile(t, 300_001)
		out, _ := tempFile(t, 0)
		c := r.open(out, &channel.Handler{Connect: func(c *channel.Conn) { c.Pause() }})
		r.do(func() {
			c.SendFrom(f)
			r.close(c)
		})
		r.wantEnd(nil)
		if got, err := os.ReadFile(out.Name()); err != nil || !bytes.Equal(got, all) {
			t.Errorf("the file has %d bytes, %v", len(got), err)
		}
	})
}

// Two Conns with one File share its offset, however it is sent: each byte goes to
// one of them.
func TestSendFileShared(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		f, _ := tempFile(t, 3<<20)
		nca, a := r.pair("tcp4", echo)
		ncb, b := r.pair("tcp4", echo)
		r.do(func() {
			for _, c := range []*channel.Conn{a, b} {
				c.SendFrom(f)
				r.close(c)
			}
		})
		first := make(chan int64, 1)
		go func() {
			n, err := io.Copy(io.Discard, nca)
			if err != nil {
				t.Error(err)
			}
			first <- n
		}()
		n, err := io.Copy(io.Discard, ncb)
		if n += receive(r, first, "the first does not end"); n != 3<<20 || err != nil {
			t.Errorf("both got %d bytes, %v", n, err)
		}
		r.ends(2)
		wantOffset(t, f, 3<<20)
	})
}

// A file's size costs no allocations.
func TestSendFileDoesNotAllocate(t *testing.T) {
	if os.Getenv("ASYNCORE_DEBUG") != "" {
		t.Skip("debug mode allocates")
	}
	allocs := func(size int) float64 {
		f, _ := tempFile(t, size)
		send := fileTrip(t, f, size, f)
		send()
		return testing.AllocsPerRun(20, send)
	}
	if small, large := allocs(128<<10), allocs(4<<20); large > small+1 {
		t.Errorf("%v allocations for 128 KiB, %v for 4 MiB", small, large)
	}
}

// fileTrip returns a function that sends src, which gives all of f, to a client
// that reads in a goroutine of its own, and waits until that has read it.
func fileTrip(t testing.TB, f *os.File, size int, src io.Reader) func() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var c *channel.Conn
	ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(accepted *channel.Conn) *channel.Handler {
		c = accepted
		return echo
	})
	if err != nil {
		t.Fatal(err)
	}
	nc := connect(t, ln.Addr())
	nc.SetDeadline(noDeadline)
	for c == nil {
		l.Poll(patience)
	}
	got := make(chan struct{})
	go func() {
		buf := make([]byte, 256<<10)
		for left := size + 1; ; {
			n, err := nc.Read(buf)
			if err != nil {
				return
			}
			if left -= n; left == 0 {
				left = size + 1
				got <- struct{}{}
			}
		}
	}()
	var want uint64
	return func() {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		c.SendFrom(src)
		c.WriteString("\n") // when it has gone, the file's end has been seen
		for want += uint64(size) + 1; c.BytesWritten() < want; {
			l.Poll(patience)
		}
		<-got
	}
}

// A file from the page cache, by the kernel and by reading it; the processor time
// is that of both ends.
func BenchmarkSendFile(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"4KiB", 4 << 10}, {"64KiB", 64 << 10}, {"256KiB", 256 << 10}, {"1MiB", 1 << 20}, {"64MiB", 64 << 20}} {
		for _, way := range []struct {
			name string
			as   func(*os.File) io.Reader
		}{
			{"file", func(f *os.File) io.Reader { return f }},
			{"copy", func(f *os.File) io.Reader { return struct{ io.Reader }{f} }},
		} {
			b.Run(size.name+"/"+way.name, func(b *testing.B) {
				f, _ := tempFile(b, size.bytes)
				trip := fileTrip(b, f, size.bytes, way.as(f))
				b.SetBytes(int64(size.bytes))
				b.ReportAllocs()
				before := processorTime(b)
				for b.Loop() {
					trip()
				}
				b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
			})
		}
	}
}

// processorTime is what this process has used.
func processorTime(t testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
