package channel_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
)

// inotify gives whole records in one Read, however many there are.
func TestOpenInotify(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		dir := t.TempDir()
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_CREATE); err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "inotify")
		var got []string
		c := r.open(f, &channel.Handler{Read: func(_ *channel.Conn, p []byte) {
			for len(p) > 0 {
				size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(p[12:]))
				got = append(got, strings.TrimRight(string(p[unix.SizeofInotifyEvent:size]), "\x00"))
				p = p[size:]
			}
		}})
		f.Close()
		r.do(c.Pause)
		var want []string
		for i := range 300 { // together more than a Read
			name := strings.Repeat("x", 200) + string(rune('a'+i%26)) + strings.Repeat("y", i%40)
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			os.Remove(path)
			want = append(want, name)
		}
		r.do(c.Resume)
		r.until("all records", func() bool { return len(got) == len(want) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		r.do(func() { r.close(c) })
		r.wantEnd(nil)
	})
}

// The counters of an eventfd and a timerfd are read eight bytes at a time.
func TestOpenCounters(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "eventfd")
		var sum uint64
		add := func(_ *channel.Conn, p []byte) {
			if len(p) != 8 {
				t.Errorf("Read of %d bytes", len(p))
				return
			}
			sum += binary.NativeEndian.Uint64(p)
		}
		c := r.open(f, &channel.Handler{Read: add})
		f.Close()
		for range 10 {
			r.do(func() { c.Write(binary.NativeEndian.AppendUint64(nil, 100)) })
		}
		r.until("the sum", func() bool { return sum == 1000 })
		r.do(func() { r.close(c) })
		r.wantEnd(nil)

		if fd, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		f = os.NewFile(uintptr(fd), "timerfd")
		sum = 0
		c = r.open(f, &channel.Handler{Read: add})
		f.Close()
		tick := unix.NsecToTimespec(int64(time.Millisecond))
		r.do(func() {
			if err := unix.TimerfdSettime(fdOf(t, c), 0, &unix.ItimerSpec{Value: tick, Interval: tick}, nil); err != nil {
				t.Error(err)
			}
		})
		r.until("three ticks", func() bool { return sum >= 3 })
		r.do(func() { r.abort(c) })
		r.wantEnd(net.ErrClosed)
	})
}

// A FIFO ends when its last writer goes, and breaks when its last reader does.
func TestOpenFIFO(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		path := filepath.Join(t.TempDir(), "fifo")
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		open := func(flags int) *os.File {
			f, err := os.OpenFile(path, flags|syscall.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		}
		reader, writer := open(os.O_RDONLY), open(os.O_WRONLY)
		var got []byte
		r.open(reader, &channel.Handler{Read: func(_ *channel.Conn, p []byte) { got = append(got, p...) }})
		out := r.open(writer, &channel.Handler{})
		writer.Close()
		r.do(func() {
			out.Write(noise(300 << 10))
			r.close(out)
		})
		r.wantEnd(nil)
		r.wantEnd(nil)
		if !bytes.Equal(got, noise(300<<10)) {
			t.Errorf("%d bytes came through", len(got))
		}

		writer = open(os.O_WRONLY) // reader is still open
		out = r.open(writer, &channel.Handler{})
		reader.Close()
		r.do(func() { out.WriteString("nobody reads this") })
		r.wantEnd(syscall.EPIPE)
	})
}

// A terminal, seen from either side, is at its end when the other one has gone.
func TestOpenTerminalEnds(t *testing.T) {
	faultEach(t, "master", func(t *testing.T, w *faultWorld) {
		slave, master := terminal(t)
		r := w.rec("master")
		closing := channel.Handler{EOF: func(c *channel.Conn) { c.Close() }}
		if _, err := channel.Open(w.l, master, r.handler(closing)); err != nil {
			t.Fatal(err)
		}
		master.Close()
		file := os.NewFile(uintptr(slave), "slave")
		io.WriteString(file, "last words\n")
		file.Close()
		r.waitClosed(nil)
		if diff := cmp.Diff([]string{"connect", "read", "eof", "close"}, r.events); diff != "" || string(r.got) != "last words\r\n" {
			t.Errorf("read %q\n%s", r.got, diff)
		}
	})
	faultEach(t, "slave", func(t *testing.T, w *faultWorld) {
		slave, master := terminal(t)
		file := os.NewFile(uintptr(slave), "slave")
		r := w.rec("slave")
		if _, err := channel.Open(w.l, file, r.handler(channel.Handler{})); err != nil {
			t.Fatal(err)
		}
		file.Close()
		r.waitOpen()
		io.WriteString(master, "first\n")
		r.waitGot(6)
		master.Close()
		r.waitClosed(nil)
	})
	// On anything else EIO is an error.
	faultEach(t, "file", func(t *testing.T, w *faultWorld) {
		pr, pw := pipe(t)
		w.f.Fail(faultsys.Read, syscall.EIO)
		r := w.rec("pipe")
		if _, err := channel.Open(w.l, pr, r.handler(channel.Handler{})); err != nil {
			t.Fatal(err)
		}
		pw.Close()
		r.waitClosed(syscall.EIO)
	})
}

// A program on a terminal of its own, as a shell starts it: what is typed is read,
// ^D is the end, and afterwards the terminal blocks again.
func TestStdioTerminal(t *testing.T) {
	eachStdio(t, func(t *testing.T, poller string) {
		slave, master := terminal(t)
		tty := os.NewFile(uintptr(slave), "tty")
		defer tty.Close()
		cmd := stdioProgram(poller)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill()
		mustWrite(t, master, "typed\n")
		wantRead(t, master, "typed\r\n<typed\r\n>")
		mustWrite(t, master, "\x04")
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		flags, err := unix.FcntlInt(uintptr(slave), unix.F_GETFL, 0)
		if err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("the terminal's flags are %#x, %v", flags, err)
		}
	})
}
