//go:build unix

package channel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// family is a child process with its records: one for each stream, in which the
// order of callbacks is checked, and the end.
type family struct {
	w             *faultWorld
	p             *channel.Process
	in, out, errs *faultRec
	exits         int
	err           error
}

// streams says which standard streams are channels.
type streams struct{ in, out, err *channel.Handler }

var all = streams{&channel.Handler{}, &channel.Handler{}, &channel.Handler{}}

func shell(script string, args ...string) *exec.Cmd {
	return exec.Command("/bin/sh", append([]string{"-c", script, "sh"}, args...)...)
}

// try is channel.Command with recorded callbacks.
func (w *faultWorld) try(cmd *exec.Cmd, s streams) (*family, error) {
	w.t.Helper()
	fam := &family{w: w}
	h := &channel.ProcessHandler{Exit: func(p *channel.Process, err error) {
		for _, r := range []*faultRec{fam.in, fam.out, fam.errs} {
			if r != nil && !r.isClosed() {
				w.t.Errorf("Exit before the Close of %s", r.name)
			}
		}
		if p != fam.p {
			w.t.Error("Exit of another process")
		}
		fam.exits++
		fam.err = err
	}}
	var recs []*faultRec
	rec := func(name string, h *channel.Handler) (*faultRec, *channel.Handler) {
		if h == nil {
			return nil, nil
		}
		r := &faultRec{w: w, name: name}
		recs = append(recs, r)
		return r, r.handler(*h)
	}
	fam.in, h.Stdin = rec("stdin", s.in)
	fam.out, h.Stdout = rec("stdout", s.out)
	fam.errs, h.Stderr = rec("stderr", s.err)
	var err error
	fam.p, err = channel.Command(w.l, cmd, h)
	if err == nil {
		w.recs = append(w.recs, recs...)
		w.t.Cleanup(func() {
			w.close()
			if fam.exits != 1 {
				w.t.Errorf("%v: Exit was called %d times, want once", cmd.Args, fam.exits)
			}
			cmd.Process.Kill() // where Exit was called for the loop's end
		})
	}
	return fam, err
}

func (w *faultWorld) command(cmd *exec.Cmd, s streams) *family {
	w.t.Helper()
	fam, err := w.try(cmd, s)
	if err != nil {
		w.t.Fatal(err)
	}
	return fam
}

func (f *family) wait() {
	f.w.t.Helper()
	f.w.until("Exit", func() bool { return f.exits > 0 })
}

// wants waits for the end and wants status, and what the outputs got.
func (f *family) wants(status int, out, errs string) {
	f.w.t.Helper()
	f.wait()
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](f.err); ok {
		got = exit.ExitCode()
	} else if f.err != nil {
		f.w.t.Errorf("Exit(%v)", f.err)
	}
	if got != status {
		f.w.t.Errorf("status %d, want %d", got, status)
	}
	if f.out != nil {
		if diff := cmp.Diff(out, string(f.out.got)); diff != "" {
			f.w.t.Errorf("stdout (-want +got):\n%s", diff)
		}
	}
	if f.errs != nil {
		if diff := cmp.Diff(errs, string(f.errs.got)); diff != "" {
			f.w.t.Errorf("stderr (-want +got):\n%s", diff)
		}
	}
	if f.p.Cmd.ProcessState == nil {
		f.w.t.Error("Exit without a ProcessState")
	}
}

// commandEach runs a scenario on each backend, and with a goroutine that waits where
// a pidfd would tell.
func commandEach(t *testing.T, name string, scenario func(t *testing.T, w *faultWorld)) {
	faultEach(t, name, scenario)
	faultOnce(t, name+", goroutine", func(t *testing.T, w *faultWorld) {
		w.f.Fail(faultsys.Dup, syscall.EMFILE)
		scenario(t, w)
	})
}

// goroutine tells whether a goroutine waits.
func (w *faultWorld) goroutine() bool { return w.f.Count(faultsys.Exited) == 0 }

// reaped runs the loop until a process is not even a zombie.
func (w *faultWorld) reaped(pid int) {
	w.t.Helper()
	w.until("the end of the process", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

func TestCommand(t *testing.T) {
	commandEach(t, "all three", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`read a; echo "got $a"; echo bad >&2; read b || echo end; exit 7`), all)
		f.p.Stdin.WriteString("question\n")
		f.p.Stdin.Close()
		f.wants(7, "got question\nend\n", "bad\n")
		for _, r := range []*faultRec{f.in, f.out, f.errs} {
			if r.err != nil {
				t.Errorf("%s: Close(%v)", r.name, r.err)
			}
		}
		if err := w.run(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := f.p.Cmd.Process.Signal(os.Interrupt); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("Signal to an ended process: %v", err)
		}
	})
}

// A megabyte through cat, against the limits of a pipe in both directions.
func TestCommandFilter(t *testing.T) {
	commandEach(t, "cat", func(t *testing.T, w *faultWorld) {
		f := w.command(exec.Command("cat"), streams{in: &channel.Handler{}, out: &channel.Handler{}})
		want := faultBytes(1 << 20)
		f.p.Stdin.SendFrom(bytes.NewReader(want))
		f.p.Stdin.CloseWrite() // there is only that direction
		f.wait()
		if !bytes.Equal(f.out.got, want) || f.err != nil {
			t.Errorf("%d bytes came back, %v", len(f.out.got), f.err)
		}
		if f.p.Stdin.BytesWritten() != 1<<20 || f.p.Stdout.BytesRead() != 1<<20 {
			t.Error("BytesWritten or BytesRead")
		}
	})
}

// What has no Handler is as the Cmd says.
func TestCommandStreams(t *testing.T) {
	commandEach(t, "files", func(t *testing.T, w *faultWorld) {
		dir := t.TempDir()
		file := func(name string) *os.File {
			f, err := os.Create(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			return f
		}
		in, out := file("in"), file("out")
		io.WriteString(in, "text")
		in.Seek(0, io.SeekStart)
		cmd := exec.Command("cat")
		cmd.Stdin, cmd.Stdout = in, out
		f := w.command(cmd, streams{})
		if f.p.Stdin != nil || f.p.Stdout != nil || f.p.Stderr != nil {
			t.Error("a Conn without a Handler")
		}
		f.wants(0, "", "")
		if got, err := os.ReadFile(out.Name()); string(got) != "text" {
			t.Errorf("the file has %q, %v", got, err)
		}
		if cmd.Stdin != in || cmd.Stdout != out || cmd.Stderr != nil {
			t.Error("the Cmd was changed")
		}
		// The null device.
		f = w.command(shell(`cat; echo x; echo err >&2`), streams{err: all.err})
		f.wants(0, "", "err\n")
	})
}

// Errors leave nothing behind: no process, no descriptor, no callback.
func TestCommandErrors(t *testing.T) {
	faultEach(t, "refused", func(t *testing.T, w *faultWorld) {
		before := openFiles(t)
		set := func(change func(*exec.Cmd)) *exec.Cmd {
			cmd := exec.Command("cat")
			change(cmd)
			return cmd
		}
		cancelled, cancel := context.WithCancel(context.Background())
		cancel()
		for name, c := range map[string]struct {
			cmd  *exec.Cmd
			want error // nil: any
		}{
			"not found":        {exec.Command("no-such-program-anywhere"), exec.ErrNotFound},
			"no such path":     {exec.Command("/no/such/program"), os.ErrNotExist},
			"not executable":   {exec.Command("/dev/null"), os.ErrPermission},
			"no directory":     {set(func(c *exec.Cmd) { c.Dir = "/no/such/directory" }), os.ErrNotExist},
			"cancelled":        {exec.CommandContext(cancelled, "cat"), context.Canceled},
			"Stdin is set":     {set(func(c *exec.Cmd) { c.Stdin = os.Stdin }), nil},
			"Stdout is set":    {set(func(c *exec.Cmd) { c.Stdout = os.Stdout }), nil},
			"Stderr is set":    {set(func(c *exec.Cmd) { c.Stderr = os.Stderr }), nil},
			"Cancel, no ctx":   {set(func(c *exec.Cmd) { c.Cancel = func() error { return nil } }), nil},
			"NUL in arguments": {exec.Command("cat", "a\x00b"), syscall.EINVAL},
		} {
			f, err := w.try(c.cmd, all)
			if f.p != nil || err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v, %v, want %v", name, f.p, err, c.want)
			}
		}
		for _, change := range []func(*exec.Cmd){
			func(c *exec.Cmd) { c.Stdin = strings.NewReader("x") },
			func(c *exec.Cmd) { c.Stdout = new(bytes.Buffer) },
			func(c *exec.Cmd) { c.Stderr = new(bytes.Buffer) },
		} {
			if _, err := w.try(set(change), streams{}); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("a field that is no file: %v", err)
			}
		}
		// Each of the pipes may be the one for which there is no descriptor, and the
		// command can be tried again.
		cmd := exec.Command("true")
		for n := range 3 {
			w.f.Fail(faultsys.Pipe, syscall.EMFILE, faultsys.After(n), faultsys.Times(1))
			_, err := w.try(cmd, all)
			op, ok := errors.AsType[*net.OpError](err)
			if !ok || !errors.Is(err, syscall.EMFILE) || op.Op != "command" {
				t.Errorf("without a pipe: %v", err)
			}
			w.f.Heal(faultsys.Pipe)
		}
		for range channel.Conns(w.l) {
			t.Error("a Conn was made")
		}
		if after := openFiles(t); after != before {
			t.Errorf("%d descriptors are open, were %d", after, before)
		}
		w.command(cmd, all).wants(0, "", "")
		w.close()
		if _, err := w.try(exec.Command("true"), all); !errors.Is(err, loop.ErrClosed) {
			t.Errorf("Command on a closed loop: %v", err)
		}
	})
}

func TestCommandMistakes(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	for name, f := range map[string]func(){
		"command is nil": func() { channel.Command(w.l, nil, &channel.ProcessHandler{}) },
		"handler is nil": func() { channel.Command(w.l, exec.Command("true"), nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

// openFiles counts the process' descriptors, of those that can be looked at.
func openFiles(t *testing.T) int {
	t.Helper()
	for _, dir := range []string{"/proc/self/fd", "/dev/fd"} {
		if entries, err := os.ReadDir(dir); err == nil {
			return len(entries)
		}
	}
	return 0
}

// The process has the three streams and nothing of the loop's.
func TestCommandInherits(t *testing.T) {
	if _, err := os.Stat("/proc/self/fd"); err != nil {
		t.Skip("no /proc/self/fd here")
	}
	commandEach(t, "nothing", func(t *testing.T, w *faultWorld) {
		other := w.command(exec.Command("cat"), all) // whose pipes are open meanwhile
		f := w.command(shell(`exec ls -l /proc/self/fd`), all)
		ours := map[string]bool{"anon_inode:[pidfd]": true, "anon_inode:[eventpoll]": true, "anon_inode:[eventfd]": true}
		for _, fd := range w.f.Open() {
			name, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
			ours[name] = true
		}
		f.wait()
		seen := 0
		for line := range strings.Lines(string(f.out.got)) {
			link, what, ok := strings.Cut(strings.TrimSpace(line), " -> ")
			if !ok {
				continue
			}
			seen++
			fields := strings.Fields(link)
			if fd, err := strconv.Atoi(fields[len(fields)-1]); err != nil || ours[what] != (fd <= 2) {
				t.Errorf("the process has %s", line)
			}
		}
		if seen < 3 {
			t.Errorf("%d descriptors: %s", seen, f.out.got)
		}
		other.p.Stdin.Close()
		other.wants(0, "", "")
	})
}

// What was written before the end comes first, also where nobody reads until then.
func TestCommandOutputFirst(t *testing.T) {
	commandEach(t, "paused", func(t *testing.T, w *faultWorld) {
		cmd := shell(`head -c 60000 /dev/zero; echo last >&2`)
		cmd.WaitDelay = 1 // has no say while something waits
		f := w.command(cmd, all)
		f.p.Stdout.Pause()
		w.until("the end of stderr", f.errs.isClosed)
		for range 100 {
			w.turn(time.Millisecond)
		}
		if f.exits > 0 || f.out.isClosed() {
			t.Fatalf("Exit(%v) before the output", f.err)
		}
		f.p.Stdout.Resume()
		f.wants(0, string(make([]byte, 60000)), "last\n")
	})
	// Its end alone is output, too. Waiting for it costs next to nothing.
	commandEach(t, "paused, nothing written", func(t *testing.T, w *faultWorld) {
		cmd := shell(`exit 0`)
		cmd.WaitDelay = -1
		f := w.command(cmd, streams{out: all.out})
		f.p.Stdout.Pause()
		w.reaped(cmd.Process.Pid)
		w.settle()
		w.manual()
		began, before := w.l.Now(), w.l.Stats().Timers
		for range 20 {
			w.turn(w.step)
		}
		if f.exits > 0 {
			t.Fatalf("Exit(%v) before the end of the output", f.err)
		}
		if n, took := w.l.Stats().Timers-before, w.l.Now()-began; took < time.Duration(n-1)*10*time.Millisecond {
			t.Errorf("the loop spins: %d timers in %v", n, took)
		}
		f.p.Stdout.Resume()
		f.wants(0, "", "")
	})
}

// One that never reads: the limits of any Conn.
func TestCommandNeverReads(t *testing.T) {
	commandEach(t, "hard limit", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`kill -STOP $$`), all)
		for range 100 {
			if _, err := f.p.Stdin.Write(make([]byte, 64<<10)); err != nil {
				break
			}
			w.turn(0)
		}
		w.until("stdin's Close", f.in.isClosed)
		if !errors.Is(f.in.err, channel.ErrOutputLimit) {
			t.Errorf("Close(%v)", f.in.err)
		}
		w.calm()
		if f.exits > 0 {
			t.Errorf("a stopped process has ended: %v", f.err)
		}
		w.until("Exit", func() bool {
			f.p.Cmd.Process.Signal(syscall.SIGCONT) // it may not have stopped yet
			return f.exits > 0
		})
		f.wants(0, "", "")
	})
}

// Closed streams end that Conn only.
func TestCommandClosesStreams(t *testing.T) {
	commandEach(t, "stdout", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`exec >&-; read a; echo "$a" >&2`), all)
		w.until("the end of stdout", f.out.isClosed)
		w.calm()
		if f.exits > 0 || f.out.err != nil {
			t.Errorf("%d exits, Close(%v)", f.exits, f.out.err)
		}
		f.p.Stdin.WriteString("still here\n")
		f.wants(0, "", "still here\n")
	})
	commandEach(t, "stdin", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`exec <&-; echo ready; kill -STOP $$`), all)
		w.until("ready", func() bool { return len(f.out.got) > 0 })
		f.p.Stdin.WriteString("nobody reads this")
		w.until("stdin's Close", f.in.isClosed)
		if !errors.Is(f.in.err, syscall.EPIPE) {
			t.Errorf("Close(%v)", f.in.err)
		}
		w.calm()
		if f.exits > 0 || f.out.isClosed() {
			t.Error("more than stdin has ended")
		}
		f.p.Stdout.Close()
		f.p.Stderr.Close()
		f.p.Cmd.Process.Kill()
		f.wants(-1, "ready\n", "")
	})
	commandEach(t, "exit before reading", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`exit 3`), all)
		f.p.Stdin.SendFrom(io.LimitReader(zeros{}, 1<<30))
		f.wants(3, "", "")
		if !errors.Is(f.in.err, syscall.EPIPE) {
			t.Errorf("Close(%v)", f.in.err)
		}
	})
	commandEach(t, "exit, a grandchild has it", func(t *testing.T, w *faultWorld) {
		cmd := shell(`exec 3<&0; sleep 1000 <&3 & wait`)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		f := w.command(cmd, streams{in: all.in})
		defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		f.p.Stdin.SendFrom(io.LimitReader(zeros{}, 100<<10))
		f.p.Stdin.WriteString("\n")
		w.settle()
		f.p.Cmd.Process.Kill()
		f.wants(-1, "", "")
		if !errors.Is(f.in.err, syscall.EPIPE) {
			t.Errorf("Close(%v) with output queued", f.in.err)
		}
	})
	commandEach(t, "exit, nothing written", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`exit 3`), streams{in: all.in})
		f.wants(3, "", "")
		if f.in.err != nil {
			t.Errorf("Close(%v)", f.in.err)
		}
	})
}

// A flood of stderr is held back by its Conn, and does not keep the rest waiting.
func TestCommandFlood(t *testing.T) {
	commandEach(t, "stderr", func(t *testing.T, w *faultWorld) {
		n := 0
		f := w.command(shell(`head -c 8000000 /dev/zero >&2; echo done`), streams{
			in: all.in, out: all.out,
			err: &channel.Handler{Read: func(c *channel.Conn, p []byte) { n += len(p) }},
		})
		f.errs.got = nil
		f.wait()
		if n != 8000000 || string(f.out.got) != "done\n" || f.err != nil {
			t.Errorf("%d bytes, %q, %v", n, f.out.got, f.err)
		}
	})
}

// Signals arrive, and show in the error.
func TestCommandSignals(t *testing.T) {
	commandEach(t, "kill", func(t *testing.T, w *faultWorld) {
		f := w.command(exec.Command("cat"), all)
		f.p.Cmd.Process.Kill()
		f.wait()
		exit, ok := errors.AsType[*exec.ExitError](f.err)
		if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Errorf("Exit(%v)", f.err)
		}
	})
	commandEach(t, "stop and continue", func(t *testing.T, w *faultWorld) {
		f := w.command(exec.Command("cat"), all)
		process := f.p.Cmd.Process
		for range 3 {
			process.Signal(syscall.SIGSTOP)
			f.p.Stdin.WriteString("x")
			w.calm()
			process.Signal(syscall.SIGCONT)
		}
		f.p.Stdin.Close()
		f.wants(0, "xxx", "")
	})
}

// A grandchild that holds the pipes holds up the end for WaitDelay, and no longer,
// whatever it writes.
func TestCommandGrandchild(t *testing.T) {
	for name, script := range map[string]string{
		"silent":    `sleep 1000 & echo $!; exit 0`,
		"talkative": `while :; do echo yes; sleep 0.01; done & echo $!; exit 0`,
	} {
		commandEach(t, name, func(t *testing.T, w *faultWorld) {
			cmd := shell(script)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			cmd.WaitDelay = 50 * time.Millisecond
			f := w.command(cmd, all)
			group := cmd.Process.Pid
			defer syscall.Kill(-group, syscall.SIGKILL)
			f.wait()
			if !errors.Is(f.err, exec.ErrWaitDelay) || !errors.Is(f.out.err, exec.ErrWaitDelay) {
				t.Errorf("Exit(%v), Close(%v)", f.err, f.out.err)
			}
			if f.in.err != nil {
				t.Errorf("stdin: Close(%v)", f.in.err)
			}
		})
	}
	// What it has read itself nobody waits for.
	commandEach(t, "thief", func(t *testing.T, w *faultWorld) {
		if runtime.GOOS != "linux" {
			t.Skip("a pipe cannot be opened again here")
		}
		cmd := shell(`exec 3<&0; echo mine
			(read a <&3; read b </proc/self/fd/1; echo "took $b" >&2; exec sleep 1000 2>&-) & exit 0`)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.WaitDelay = 10 * time.Millisecond
		f := w.command(cmd, all)
		defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		f.p.Stdout.Pause()
		w.until("the end of the process", func() bool { return w.f.Count(faultsys.Pending) > 0 })
		f.p.Stdin.WriteString("now\n")
		w.until("the end of stderr", f.errs.isClosed)
		f.p.Stdout.Resume()
		f.wait()
		if !errors.Is(f.err, exec.ErrWaitDelay) || string(f.errs.got) != "took mine\n" {
			t.Errorf("Exit(%v) after %q", f.err, f.errs.got)
		}
	})
	commandEach(t, "failed", func(t *testing.T, w *faultWorld) {
		cmd := shell(`sleep 1000 & exit 9`)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		cmd.WaitDelay = -1
		f := w.command(cmd, all)
		defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		f.wants(9, "", "")
	})
	// The default is of 5 s.
	faultEach(t, "default", func(t *testing.T, w *faultWorld) {
		cmd := shell(`sleep 1000 & exit 0`)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		f := w.command(cmd, streams{out: all.out})
		defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		w.reaped(cmd.Process.Pid)
		w.manual()
		began := w.l.Now()
		w.step = time.Second
		f.wait()
		if took := w.l.Now() - began; took < 4*time.Second || took > 6*time.Second {
			t.Errorf("Exit after %v", took)
		}
	})
}

// Grandchildren that go in time are nobody's concern.
func TestCommandGrandchildEnds(t *testing.T) {
	commandEach(t, "in time", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`exec 3<&0; (read a <&3; echo "$a") & exit 4`), streams{in: all.in, out: all.out})
		w.reaped(f.p.Cmd.Process.Pid)
		if f.in.isClosed() || f.out.isClosed() || f.exits > 0 {
			t.Fatal("the pipes ended with the process")
		}
		f.p.Stdin.WriteString("for the grandchild\n")
		f.wants(4, "for the grandchild\n", "")
	})
}

func TestCommandContext(t *testing.T) {
	commandEach(t, "cancel", func(t *testing.T, w *faultWorld) {
		ctx, cancel := context.WithCancel(context.Background())
		f := w.command(exec.CommandContext(ctx, "cat"), all)
		w.calm()
		cancel()
		f.wants(-1, "", "")
	})
	commandEach(t, "cancel asks", func(t *testing.T, w *faultWorld) {
		ctx, cancel := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done`)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		f := w.command(cmd, all)
		f.out.w.until("ready", func() bool { return len(f.out.got) > 0 })
		cancel()
		f.wait()
		if !errors.Is(f.err, context.Canceled) {
			t.Errorf("Exit(%v)", f.err)
		}
	})
	commandEach(t, "cancel is ignored", func(t *testing.T, w *faultWorld) {
		ctx, cancel := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, "/bin/sh", "-c", `trap '' TERM; echo ready; while :; do sleep 0.01; done`)
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		cmd.WaitDelay = 20 * time.Millisecond
		f := w.command(cmd, all)
		f.out.w.until("ready", func() bool { return len(f.out.got) > 0 })
		cancel()
		f.wants(-1, "ready\n", "")
	})
	commandEach(t, "ended before", func(t *testing.T, w *faultWorld) {
		ctx, cancel := context.WithCancel(context.Background())
		f := w.command(exec.CommandContext(ctx, "true"), all)
		f.wants(0, "", "")
		cancel()
	})
}

// The loop's end is not the process'. Nothing stays of it.
func TestCommandLoopCloses(t *testing.T) {
	commandEach(t, "running", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`cat >/dev/null; kill -STOP $$`), all)
		pid := f.p.Cmd.Process.Pid
		w.settle()
		w.close()
		if !errors.Is(f.err, loop.ErrClosed) || !errors.Is(f.in.err, loop.ErrClosed) {
			t.Fatalf("Exit(%v), Close(%v)", f.err, f.in.err)
		}
		if err := f.p.Cmd.Process.Kill(); err != nil {
			t.Errorf("Kill after the loop's end: %v", err)
		}
		gone(t, pid)
	})
	commandEach(t, "killed in Exit", func(t *testing.T, w *faultWorld) {
		exits := 0
		p, err := channel.Command(w.l, exec.Command("cat"), &channel.ProcessHandler{
			Stdin: &channel.Handler{},
			Exit: func(p *channel.Process, err error) {
				exits++
				p.Cmd.Process.Kill()
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.close()
		gone(t, p.Cmd.Process.Pid)
		if exits != 1 {
			t.Errorf("%d exits", exits)
		}
	})
	commandEach(t, "ended, output open", func(t *testing.T, w *faultWorld) {
		cmd := shell(`sleep 1000 & exit 5`)
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		f := w.command(cmd, all)
		defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		w.reaped(cmd.Process.Pid)
		w.until("the news of it", func() bool { return !w.goroutine() || w.l.Stats().Posts > 0 })
		w.close()
		f.wants(5, "", "")
	})
}

// gone waits until there is neither a process nor a zombie of that number.
func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(faultPatience); syscall.Kill(pid, 0) != syscall.ESRCH; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process %d, or its zombie, is still there", pid)
		}
	}
}

// Drain waits for the process, and its unused input ends.
func TestCommandDrain(t *testing.T) {
	commandEach(t, "idle", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`cat; echo bye`), all)
		w.settle()
		w.l.Drain(grace)
		f.wants(0, "bye\n", "")
		if err := w.run(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// A panic is the callback's Conn's only, or nobody's.
func TestCommandPanics(t *testing.T) {
	commandEach(t, "everywhere", func(t *testing.T, w *faultWorld) {
		w.panics = 4
		exits := 0
		boom := func() { panic("boom") }
		_, err := channel.Command(w.l, shell(`echo out; echo err >&2; read a; exit 1`), &channel.ProcessHandler{
			Stdin:  &channel.Handler{Connect: func(*channel.Conn) { boom() }},
			Stdout: &channel.Handler{Read: func(*channel.Conn, []byte) { boom() }},
			Stderr: &channel.Handler{Close: func(*channel.Conn, error) { boom() }},
			Exit:   func(*channel.Process, error) { exits++; boom() },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.run(); err != nil {
			t.Errorf("Run: %v", err)
		}
		if exits != 1 {
			t.Errorf("%d exits", exits)
		}
	})
}

// A stream can be given away, coupled, or have another Handler: its end counts.
func TestCommandHandover(t *testing.T) {
	commandEach(t, "detached", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`read a; echo "$a"`), all)
		var d channel.Detached
		if err := f.p.Stdout.Detach(func(got channel.Detached) { d = got }); err != nil {
			t.Fatal(err)
		}
		w.until("stdout", f.out.isClosed)
		w.f.Take(d.FD)
		file := d.File()
		defer file.Close()
		f.p.Stdin.WriteString("hello\n")
		f.wants(0, "", "")
		if got, err := io.ReadAll(file); string(got) != "hello\n" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
	commandEach(t, "coupled", func(t *testing.T, w *faultWorld) {
		a := w.command(shell(`head -c 300000 /dev/zero | tr '\0' x`), streams{out: all.out})
		b := w.command(exec.Command("tr", "x", "y"), streams{in: all.in, out: all.out})
		a.p.Stdout.PipeTo(b.p.Stdin)
		a.wait()
		b.wants(0, strings.Repeat("y", 300000), "")
	})
	commandEach(t, "another handler", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`exit 0`), streams{})
		f.wants(0, "", "")
		closes, exits := 0, 0
		p, err := channel.Command(w.l, shell(`echo x`), &channel.ProcessHandler{
			Stdout: &channel.Handler{},
			Exit:   func(*channel.Process, error) { exits++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		p.Stdout.SetHandler(&channel.Handler{Close: func(*channel.Conn, error) { closes++ }})
		w.until("Exit", func() bool { return exits == 1 })
		if closes != 1 {
			t.Errorf("%d closes", closes)
		}
	})
}

// A thousand short children, of which none stays.
func TestCommandThousand(t *testing.T) {
	n := 1000
	if testing.Short() || raceDetector {
		n = 200
	}
	path, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	faultEach(t, "true", func(t *testing.T, w *faultWorld) {
		if w.l.Poller() != asyncore.Backends()[0] {
			n = 200
		}
		before := openFiles(t)
		started, ended := 0, 0
		var pids []int
		var start func()
		start = func() {
			started++
			p, err := channel.Command(w.l, exec.Command(path), &channel.ProcessHandler{
				Stdin: &channel.Handler{}, Stdout: &channel.Handler{}, Stderr: &channel.Handler{},
				Exit: func(_ *channel.Process, err error) {
					ended++
					if err != nil {
						t.Error(err)
					}
					if started < n {
						start()
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, p.Cmd.Process.Pid)
		}
		for range 20 {
			start()
		}
		w.until("all ends", func() bool { return ended == n })
		if after := openFiles(t); after != before {
			t.Errorf("%d descriptors are open, were %d", after, before)
		}
		for _, pid := range pids {
			var status syscall.WaitStatus
			if got, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); err != syscall.ECHILD {
				t.Fatalf("wait4(%d) = %d, %v", pid, got, err)
			}
		}
	})
}

// Where the program ignores SIGCHLD the kernel keeps no status: that is an error, and
// the end is told all the same.
func TestCommandIgnoredSIGCHLD(t *testing.T) {
	if os.Getenv("ASYNCORE_TEST_IGNORE") == "" {
		// In a process of its own: Reset does not undo it.
		cmd := exec.Command(os.Args[0], "-test.run=^TestCommandIgnoredSIGCHLD$")
		cmd.Env = append(os.Environ(), "ASYNCORE_TEST_IGNORE=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGCHLD)
	commandEach(t, "ignored", func(t *testing.T, w *faultWorld) {
		f := w.command(shell(`echo x; exit 6`), all)
		f.wait()
		if !errors.Is(f.err, syscall.ECHILD) || string(f.out.got) != "x\n" {
			t.Errorf("Exit(%v) after %q", f.err, f.out.got)
		}
	})
}

// A poller that refuses the pidfd, or tells too early, costs a goroutine and no more.
func TestCommandPidfdFaults(t *testing.T) {
	for _, c := range []struct {
		call  faultsys.Call
		errno syscall.Errno
	}{{faultsys.Add, syscall.ENOSPC}, {faultsys.Exited, syscall.EAGAIN}} {
		faultEach(t, string(c.call), func(t *testing.T, w *faultWorld) {
			w.f.Fail(c.call, c.errno)
			f := w.command(shell(`exit 6`), streams{})
			f.wants(6, "", "")
		})
	}
	faultEach(t, "forged", func(t *testing.T, w *faultWorld) {
		before := w.f.Open()
		f := w.command(exec.Command("cat"), streams{in: all.in})
		w.settle()
		for _, fd := range w.f.Open() {
			if !slices.Contains(before, fd) {
				w.report(w.f.Token(fd), asyncore.Readable|asyncore.HangUp)
				w.turn(0)
			}
		}
		w.calm()
		if f.exits > 0 {
			t.Fatalf("Exit(%v) of a living process", f.err)
		}
		if !f.in.isClosed() {
			f.p.Stdin.Close()
		}
		f.wants(0, "", "")
	})
}

// One Conn is of one process, and all that it says of itself is that it is a file.
func TestCommandDescribes(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	f := w.command(exec.Command("cat"), all)
	got := fmt.Sprint(f.p.Stdin, ", ", f.p.Stdout, ", ", f.p.Stderr, f.p.Stdin.RemoteAddr())
	if want := "conn 1 file, conn 2 file, conn 3 file <nil>"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := f.p.Stdout.Write([]byte("x")); !errors.Is(err, syscall.EBADF) {
		t.Errorf("Write to stdout: %v", err)
	}
	f.p.Stdin.Close()
	f.wants(0, "", "")
}
