package channel_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// terminal is the slave's descriptor, blocking as a shell's, and the master.
func terminal(t testing.TB) (slave int, master *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	master = os.NewFile(uintptr(fd), "master")
	t.Cleanup(func() { master.Close() })
	master.SetDeadline(time.Now().Add(patience))
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skip("no terminals here: ", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	slave, err = unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	return slave, master
}

// What concerns the accepted connections is set on an adopted listener, too. Those
// of package net's listen for MPTCP by default, which lacks some of it.
func TestAdoptListenerOptions(t *testing.T) {
	type options struct{ NoDelay, KeepIdle, UserTimeout int }
	for _, mptcp := range []bool{true, false} {
		for _, timeout := range []time.Duration{0, 7 * time.Second} {
			r := newRig(t, loop.Config{})
			var nlc net.ListenConfig
			nlc.SetMultipathTCP(mptcp)
			nlc.KeepAlive = -1 // not package net's doing
			nl, err := nlc.Listen(context.Background(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer nl.Close()
			got := make(chan options, 1)
			r.adoptListener(channel.ListenConfig{UserTimeout: timeout, KeepAlive: 33 * time.Second}, nl, &channel.Handler{
				Connect: func(c *channel.Conn) {
					raw, err := c.SyscallConn()
					if err != nil {
						t.Error(err)
						return
					}
					raw.Control(func(fd uintptr) {
						get := func(name int) int {
							v, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, name)
							if err != nil {
								t.Error(err)
							}
							return v
						}
						got <- options{get(unix.TCP_NODELAY), get(unix.TCP_KEEPIDLE), get(unix.TCP_USER_TIMEOUT)}
					})
				},
			})
			nc := connect(t, nl.Addr())
			want := options{1, 33, int(timeout / time.Millisecond)}
			if diff := cmp.Diff(want, receive(t, got, "nothing accepted")); diff != "" {
				t.Errorf("MPTCP %v, timeout %v (-want +got):\n%s", mptcp, timeout, diff)
			}
			nc.Close()
			r.wantEnd(nil)
		}
	}
}

// A socket that cannot have an option stays its owner's.
func TestAdoptListenerOptionFails(t *testing.T) {
	w := faultLoop(t, loop.Config{})
	nl := netListen(t, "tcp")
	w.f.Fail(faultsys.SetOption, unix.EOPNOTSUPP)
	lc := &channel.ListenConfig{UserTimeout: time.Second}
	if ln, err := lc.Adopt(w.l, nl, refuse); ln != nil || !errors.Is(err, unix.EOPNOTSUPP) {
		t.Errorf("Adopt = %v, %v", ln, err)
	}
	connect(t, nl.Addr())
	nc, err := nl.Accept()
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}
