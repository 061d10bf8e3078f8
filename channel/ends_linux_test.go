package channel_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// tcpOption asks for an option of a Conn.
func (r *rig) tcpOption(c *channel.Conn, level, name int) (v int) {
	r.Helper()
	r.do(func() {
		raw, err := c.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { v, _ = unix.GetsockoptInt(int(fd), level, name) })
		}
		if err != nil {
			r.Error(err)
		}
	})
	return v
}

// The kernel knows what was asked for, of dialled and of accepted sockets, in
// its own unit and rounded up.
func TestTimeoutOptions(t *testing.T) {
	r := newRig(t, loop.Config{})
	for _, c := range []struct {
		user, keep          time.Duration
		ms, on, idle, asked int
	}{
		{0, 0, 0, 1, 15, 9},
		{-time.Second, time.Minute, 0, 1, 60, 9},
		{time.Nanosecond, 1500 * time.Millisecond, 1, 1, 1, 9},
		{time.Second + time.Nanosecond, time.Nanosecond, 1001, 1, 1, 9},
		{30 * time.Second, -1, 30000, 0, 7200, 0}, // the system's own, unused
		{1 << 62, 1 << 62, 1<<31 - 1, 1, 32767, 9},
	} {
		accepted := make(chan *channel.Conn, 1)
		lc := channel.ListenConfig{UserTimeout: c.user, KeepAlive: c.keep}
		ln := r.listen(lc, "tcp", "127.0.0.1:0", func(c *channel.Conn) *channel.Handler {
			accepted <- c
			return echo
		})
		connected := make(chan *channel.Conn, 1)
		r.do(func() {
			r.dial(channel.Dialer{UserTimeout: c.user, KeepAlive: c.keep}, "tcp", ln.Addr().String(),
				&channel.Handler{Connect: func(c *channel.Conn) { connected <- c }})
		})
		conns := map[string]*channel.Conn{
			"accepted": receive(t, accepted, "nothing accepted"),
			"dialled":  receive(t, connected, "not connected"),
		}
		for what, conn := range conns {
			got := [3]int{
				r.tcpOption(conn, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT),
				r.tcpOption(conn, unix.SOL_SOCKET, unix.SO_KEEPALIVE),
				r.tcpOption(conn, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE),
			}
			if want := [3]int{c.ms, c.on, c.idle}; got != want {
				t.Errorf("%s, UserTimeout %v, KeepAlive %v: %v, want %v", what, c.user, c.keep, got, want)
			}
			if got := r.tcpOption(conn, unix.IPPROTO_TCP, unix.TCP_KEEPCNT); c.on == 1 && got != c.asked {
				t.Errorf("%s: %d questions, want %d", what, got, c.asked)
			}
			if got := r.tcpOption(conn, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL); c.on == 1 && got != c.idle {
				t.Errorf("%s: a question every %d s, want %d", what, got, c.idle)
			}
		}
		r.do(func() { r.abort(conns["accepted"]) })
		r.ends(2)
	}
}

// vanish makes the kernel behind fd drop every segment that comes for it: to its
// peer it is a machine that has lost its cable.
func vanish(t *testing.T, sc syscall.Conn) {
	t.Helper()
	raw, err := sc.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	none := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: 1, Filter: &none[0]})
	})
	if err != nil {
		t.Skip("no socket filters here: ", err)
	}
}

// A peer that has vanished is given up: when it does not acknowledge what was
// sent, and when it does not answer keep-alive. The write timeout, 60 s, and what
// Linux does by itself, a quarter of an hour, are longer than the test may take.
func TestUserTimeout(t *testing.T) {
	const limit = 300 * time.Millisecond
	for _, output := range []bool{true, false} {
		t.Run(fmt.Sprintf("output %v", output), func(t *testing.T) {
			t.Parallel()
			keep := time.Duration(-1)
			if !output {
				keep = time.Second
			}
			r := newRig(t, loop.Config{})
			ln := r.listen(channel.ListenConfig{UserTimeout: limit, KeepAlive: keep}, "tcp", "127.0.0.1:0", accept(echo))
			peer := connect(t, ln.Addr())
			server, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			r.do(func() {
				r.dial(channel.Dialer{UserTimeout: limit, KeepAlive: keep}, "tcp", server.Addr().String(), echo)
			})
			accepted, err := server.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer accepted.Close()
			for _, nc := range []net.Conn{peer, accepted} {
				send(t, nc, "x")
				wantRead(t, nc, "x")
				vanish(t, nc.(*net.TCPConn))
			}
			r.do(func() {
				for c := range channel.Conns(r.l) {
					if output {
						c.WriteString("is anybody there?")
					}
				}
			})
			r.wantEnd(syscall.ETIMEDOUT)
			r.wantEnd(syscall.ETIMEDOUT)
		})
	}
}

// A process of another PID namespace, which has no number in ours, has a user all
// the same. The test is the inner process: its own parent is outside.
func TestPeerCredOutside(t *testing.T) {
	const env = "ASYNCORE_TEST_CRED"
	if os.Getenv(env) == "" {
		path := address(t, "unix")
		inner := exec.Command(os.Args[0], "-test.run=^TestPeerCredOutside$", "-test.v")
		inner.Env = append(os.Environ(), env+"="+path)
		inner.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
		out, err := inner.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := inner.Start(); err != nil {
			t.Skip("no PID namespace to be had: ", err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() && lines.Text() != "ready" {
		}
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Error(err)
		} else {
			defer nc.Close()
		}
		var said []string
		for lines.Scan() {
			said = append(said, lines.Text())
		}
		if err := inner.Wait(); err != nil {
			t.Errorf("%v\n%s", err, strings.Join(said, "\n"))
		}
		return
	}
	r := newRig(t, loop.Config{})
	accepted := make(chan *channel.Conn, 1)
	r.listen(channel.ListenConfig{}, "unix", os.Getenv(env), func(c *channel.Conn) *channel.Handler {
		accepted <- c
		return echo
	})
	fmt.Println("ready")
	c := receive(t, accepted, "nothing accepted")
	r.do(func() {
		got, err := c.PeerCred()
		if want := (channel.Cred{UID: os.Geteuid(), GID: os.Getegid()}); err != nil || got != want {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
	})
}
