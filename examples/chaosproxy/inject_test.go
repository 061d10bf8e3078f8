//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// injections are calls that the kernel is made to fail, with errnos that they may fail
// with.
var injections = []struct {
	call, errnos string
	spares       bool // nobody may notice
	begins       int  // calls of the start that are let pass, the Go runtime's for the most part
}{
	{"socket", "EMFILE ENFILE ENOBUFS ENOMEM EACCES", false, 0},
	{"bind", "EADDRINUSE EACCES EADDRNOTAVAIL ENOMEM", false, 0},
	{"listen", "EADDRINUSE EOPNOTSUPP", false, 0},
	{"setsockopt", "ENOMEM EINVAL ENOBUFS ENOPROTOOPT", false, 0},
	{"eventfd2", "EMFILE ENFILE ENODEV ENOMEM", false, 0},
	{"accept4", "EMFILE ENFILE ENOBUFS ENOMEM ECONNABORTED EPROTO EPERM EINTR EHOSTUNREACH", true, 0},
	{"connect", "ECONNREFUSED ETIMEDOUT EADDRNOTAVAIL ENETUNREACH EINTR", false, 0},
	{"getsockopt", "ENOBUFS ENOMEM ENOPROTOOPT", false, 1}, // the first one is asked for the address to be printed
	{"recvfrom", "ECONNRESET ETIMEDOUT EHOSTUNREACH ENOMEM ENOBUFS", false, 0},
	{"recvfrom", "EINTR EAGAIN", true, 0},
	{"sendto", "EPIPE ECONNRESET ENOBUFS ENOMEM EHOSTUNREACH", false, 0},
	{"sendto", "EINTR EAGAIN", true, 0},
	{"sendfile", "EINTR EAGAIN EINVAL EOVERFLOW", true, 0},
	{"sendfile", "EIO ENOMEM EPIPE ECONNRESET", false, 0},
	{"shutdown", "ENOTCONN ECONNRESET", false, 0},
	{"epoll_create1", "EMFILE ENFILE ENOMEM", false, 0},
	{"epoll_pwait", "EINTR", true, 0},
	{"epoll_ctl", "ENOMEM ENOSPC", false, 0},
	{"close", "EINTR EIO", false, 6},
	{"openat", "EMFILE ENFILE EIO EACCES ENOENT", false, 0},
	{"fsync", "EIO ENOSPC", false, 0},
	{"renameat", "EIO ENOSPC EXDEV", false, 0},
}

// traced is a server under strace, which fails some of its calls.
type traced struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	addr   string // empty: it has not come so far
}

func startTraced(t *testing.T, k *kind, options ...string) *traced {
	t.Helper()
	args := append([]string{"-f", "-qq", "--seccomp-bpf"}, options...)
	args = append(args, exampletest.Bin(k.name))
	args = append(args, k.args(t, "-poller", "epoll")...)
	x := &traced{cmd: exec.Command("strace", args...)}
	x.cmd.Stderr = &x.stderr
	out, err := x.cmd.StdoutPipe()
	if err == nil {
		err = x.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.signal(syscall.SIGKILL); x.cmd.Wait() })
	first, _ := bufio.NewReader(out).ReadString('\n')
	if fields := strings.Fields(first); len(fields) > 3 {
		x.addr = fields[3]
	}
	return x
}

// signal is for the server: strace's end would leave it running.
func (x *traced) signal(s syscall.Signal) {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", x.cmd.Process.Pid))
	for child := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			syscall.Kill(pid, s)
		}
	}
}

// TestInjected has one call of a running server fail, the first, second, third, fifth
// or eighth of its kind. It fails to start, and says so; or it serves everybody except,
// perhaps, the one who was concerned, and ends in good order.
func TestInjected(t *testing.T) {
	blackbox.Needs(t, "strace")
	var hit [64]atomic.Int64
	t.Run("all", func(t *testing.T) {
		for m, k := range proxied {
			for i, in := range injections {
				errnos := strings.Fields(in.errnos)
				for j, when := range []int{1, 2, 3, 5, 8} {
					errno := errnos[(m+j)%len(errnos)]
					t.Run(fmt.Sprintf("%s/%s/%s/%d", k.name, in.call, errno, when), func(t *testing.T) {
						t.Parallel()
						n := injected(t, &k, in.call, errno, in.begins+when, in.spares)
						hit[i].Add(int64(n))
					})
				}
			}
		}
	})
	for i, in := range injections {
		t.Logf("%s: %d", in.call, hit[i].Load())
		if hit[i].Load() == 0 {
			t.Errorf("%s was never made to fail", in.call)
		}
	}
}

func injected(t *testing.T, k *kind, call, errno string, when int, spares bool) (n int) {
	log := filepath.Join(t.TempDir(), "calls")
	x := startTraced(t, k, "-o", log, "-e", "trace="+call, "-e", fmt.Sprintf("inject=%s:error=%s:when=%d", call, errno, when))
	injected := func() int {
		b, _ := os.ReadFile(log)
		return bytes.Count(b, []byte("(INJECTED)")) // strace counts calls by the thread, and the loop may change threads
	}
	if x.addr == "" {
		err := x.cmd.Wait()
		if exit, _ := err.(*exec.ExitError); exit == nil || exit.ExitCode() < 1 || x.stderr.Len() == 0 || injected() == 0 {
			t.Errorf("it does not start: %v\n%s", err, &x.stderr)
		}
		return injected()
	}
	const visits = 8
	served := 0
	var failed []error
	for id := range visits {
		if err := k.visit(x.addr, id, patience/4); err == nil {
			served++
		} else {
			failed = append(failed, err)
		}
	}
	x.signal(syscall.SIGTERM)
	err := x.cmd.Wait()
	n = injected()
	allowed := n
	if spares {
		allowed = 0
	}
	if served < visits-allowed || err != nil {
		t.Errorf("%d of %d visitors were served, %d calls failed, then %v\n%v\n%s", served, visits, n, err, failed, &x.stderr)
	}
	return n
}
