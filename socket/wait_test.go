//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Calls that wait, and the Socket for which they do.
func blocking(t *testing.T) map[string]func() (*Socket, func() error) {
	return map[string]func() (*Socket, func() error){
		"accept": func() (*Socket, func() error) {
			l, _ := listener(t)
			return l, func() error { _, _, err := l.Accept(); return err }
		},
		"recv": func() (*Socket, func() error) {
			a, _ := tcpPair(t)
			return a, func() error { _, err := a.Recv(1); return err }
		},
		"recvfrom": func() (*Socket, func() error) {
			a, _ := udpSock(t)
			return a, func() error { _, _, err := a.RecvFrom(1); return err }
		},
		"recvfds": func() (*Socket, func() error) {
			a, _ := newPair(t, unix.SOCK_DGRAM)
			return a, func() error { _, _, err := a.RecvFDs(make([]byte, 1), 1); return err }
		},
		"send": func() (*Socket, func() error) {
			a, _ := newPair(t, 0)
			fill(t, a)
			return a, func() error { _, err := a.Send([]byte("x")); return err }
		},
		"sendall": func() (*Socket, func() error) {
			a, _ := tcpPair(t)
			return a, func() error { _, err := a.SendAll(make([]byte, 64<<20)); return err }
		},
		"sendmsg": func() (*Socket, func() error) {
			a, _ := newPair(t, 0)
			fill(t, a)
			return a, func() error { _, err := a.SendMsg([]byte("x"), nil, nil); return err }
		},
	}
}

// Close, Detach and SetTimeout end or re-time a call that waits in another goroutine.
func TestEndOfWait(t *testing.T) {
	for name, begin := range blocking(t) {
		t.Run(name, func(t *testing.T) {
			s, call := begin()
			wait := background(call)
			untilWaiting(t, s, 1)
			ok(t, s.Close())
			wantErr(t, wait(t), net.ErrClosed)

			s, call = begin()
			wait = background(call)
			untilWaiting(t, s, 1)
			fd := must(s.Detach())
			ok(t, unix.Close(int(fd)))
			wantErr(t, wait(t), net.ErrClosed)

			s, call = begin()
			wait = background(call)
			untilWaiting(t, s, 1)
			used := s.waker
			ok(t, s.SetTimeout(long)) // which changes nothing yet
			untilWaiting(t, s, 1)
			if s.waker == used {
				t.Error("a waker that stays readable is used again")
			}
			ok(t, s.SetTimeout(1))
			wantErr(t, wait(t), os.ErrDeadlineExceeded)

			ok(t, s.SetBlocking(true))
			wait = background(call)
			untilWaiting(t, s, 1)
			ok(t, s.SetBlocking(false))
			wantErr(t, wait(t), ErrWouldBlock)
			ok(t, s.Close())
		})
	}
}

// Shutdown ends the reads of all that wait for the Socket.
func TestShutdownEndsWait(t *testing.T) {
	a, _ := tcpPair(t)
	var waits []func(*testing.T) error
	for range 3 {
		waits = append(waits, background(func() error { _, err := a.Recv(1); return err }))
	}
	untilWaiting(t, a, 3)
	ok(t, a.Shutdown(unix.SHUT_RDWR))
	for _, wait := range waits {
		if err := wait(t); err != io.EOF {
			t.Error(err)
		}
	}
}

// §7: SendAll's timeout is for all of it. The peer reads on and on, too slowly for
// 64 MiB to pass in it, yet always before the timeout since its last read.
func TestSendAllDeadline(t *testing.T) {
	a, b := newPair(t, 0)
	p := make([]byte, 64<<20)
	var stop atomic.Bool
	drained := background(func() error {
		total := 0
		for !stop.Load() {
			n, err := b.RecvInto(make([]byte, 4096))
			if err != nil {
				return err
			}
			total += n
			unix.Poll(nil, 1)
		}
		return nil
	})
	ok(t, a.SetTimeout(100*time.Millisecond))
	n, err := a.SendAll(p)
	wantErr(t, err, os.ErrDeadlineExceeded)
	if n <= 0 || n >= len(p) {
		t.Errorf("%d bytes sent", n)
	}
	stop.Store(true)
	ok(t, a.Close())
	if err := drained(t); err != nil && err != io.EOF {
		t.Error(err)
	}
}

// A slow peer gets all of it, in order.
func TestSendAllSlowPeer(t *testing.T) {
	a, b := tcpPair(t)
	p := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	sent := background(func() error {
		c := call{s: a, op: "sendall", name: "send"}
		n, err := c.sendAll(p, 0)
		if n != len(p) || c.vain != 0 {
			t.Errorf("%d bytes sent, %d waits in vain", n, c.vain)
		}
		return errors.Join(err, a.Close())
	})
	var got []byte
	for size := 1; ; size = size%70000 + 997 {
		q, err := b.Recv(size)
		if err == io.EOF {
			break
		}
		ok(t, err)
		got = append(got, q...)
	}
	ok(t, sent(t))
	if !bytes.Equal(got, p) {
		t.Errorf("%d bytes came, or others", len(got))
	}
}

// An RST in the middle ends SendAll, which tells how far it came.
func TestSendAllReset(t *testing.T) {
	a, b := tcpPair(t)
	var n int
	p := make([]byte, 64<<20)
	sent := background(func() (err error) { n, err = a.SendAll(p); return err })
	must(b.Recv(1000))
	untilWaiting(t, a, 1)
	reset(t, b)
	err := sent(t)
	if errno(err) != syscall.ECONNRESET && errno(err) != syscall.EPIPE {
		t.Error(err)
	}
	if n <= 0 || n >= len(p) {
		t.Errorf("%d bytes sent", n)
	}
}

// A thousand goroutines wait for as many Sockets, and each gets what is its own.
func TestThousandWait(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	var limit unix.Rlimit
	ok(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if uint64(limit.Cur) < uint64(4*n+200) {
		t.Skipf("%d descriptors", limit.Cur)
	}
	pairs := make([][2]*Socket, n)
	waits := make([]func(*testing.T) error, n)
	for i := range pairs {
		a, b := newPair(t, 0)
		pairs[i] = [2]*Socket{a, b}
		waits[i] = background(func() error {
			p, err := a.Recv(8)
			if err == nil && (len(p) != 2 || int(p[0])+int(p[1])<<8 != i) {
				t.Errorf("%d got %v", i, p)
			}
			return err
		})
	}
	for i, p := range pairs {
		untilWaiting(t, p[0], 1)
		if i%2 == 0 {
			must(p[1].Send([]byte{byte(i), byte(i >> 8)}))
		}
	}
	for i, wait := range waits {
		if i%2 == 0 {
			ok(t, wait(t))
		} else {
			ok(t, pairs[i][0].Close())
			wantErr(t, wait(t), net.ErrClosed)
		}
	}
}

// Close from many goroutines, while others use the Socket and the descriptors' numbers
// are taken again at once: nobody reads another's bytes, one Close succeeds.
func TestCloseRace(t *testing.T) {
	var foreign atomic.Int32
	each(4, func(g int) {
		for range 100 {
			a, b, err := Pair(0, 0, 0)
			if err != nil {
				t.Error(err)
				return
			}
			mine := byte(g)
			var closed atomic.Int32
			each(6, func(i int) {
				switch i {
				case 0, 1:
					for {
						p, err := a.Recv(10)
						if err != nil {
							break
						}
						for _, c := range p {
							if c != mine {
								foreign.Add(1)
							}
						}
					}
				case 2:
					for {
						if _, err := b.Send([]byte{mine}); err != nil {
							break
						}
					}
				case 3:
					if d, err := a.Dup(); err == nil {
						d.Close()
					}
					a.SetTimeout(time.Hour)
				default:
					if a.Close() == nil {
						closed.Add(1)
					}
				}
			})
			b.Close()
			if closed.Load() != 1 {
				t.Errorf("%d calls of Close succeeded", closed.Load())
			}
		}
	})
	if foreign.Load() != 0 {
		t.Errorf("%d foreign bytes", foreign.Load())
	}
}

// sendto to a Unix datagram socket whose queue is full says EAGAIN while poll says
// that it can be written: the wait must not spin, nor end.
func TestVainReadiness(t *testing.T) {
	r := newSock(t, unix.AF_UNIX, unix.SOCK_DGRAM)
	addr := unixPath(t)
	ok(t, r.Bind(addr))
	s := newSock(t, unix.AF_UNIX, unix.SOCK_DGRAM)
	ok(t, s.SetBlocking(false))
	n := 0
	for ; ; n++ {
		_, err := s.SendTo([]byte("x"), addr)
		if errors.Is(err, ErrWouldBlock) {
			break
		}
		if errors.Is(err, syscall.ENOBUFS) {
			t.Skip("ENOBUFS tells of a full queue here")
		}
		ok(t, err)
	}
	ok(t, s.SetTimeout(short))
	_, err := s.SendTo([]byte("x"), addr)
	wantErr(t, err, os.ErrDeadlineExceeded)
	ok(t, s.SetBlocking(true))
	wait := background(func() error { _, err := s.SendTo([]byte("last"), addr); return err })
	untilWaiting(t, s, 1)
	for range n {
		must(r.Recv(1))
	}
	ok(t, wait(t))
	if p := must(r.Recv(9)); string(p) != "last" {
		t.Errorf("%q", p)
	}
}

// Readiness that comes to nothing is given a rest, and then believed again.
func TestVainRest(t *testing.T) {
	a, _ := newPair(t, 0)
	tries, rests := 0, 0
	c := call{s: a, op: "try"}
	ok(t, c.do(pollOut, func(int) error {
		tries++
		if tries > 1 && c.vain == 0 {
			rests++
		}
		if rests == 2 || tries > 1000 {
			return nil
		}
		return syscall.EAGAIN
	}))
	if want := 2*(maxVain+1) + 1; tries != want {
		t.Errorf("%d tries, want %d", tries, want)
	}
}

// A message to and fro allocates nothing, also where each end waits for it.
func TestNoAllocs(t *testing.T) {
	a, b := newPair(t, 0)
	p, q := make([]byte, 1), make([]byte, 1)
	echo := background(func() error {
		for {
			if _, err := b.RecvInto(q); err != nil {
				return err
			}
			if _, err := b.SendAll(q); err != nil {
				return err
			}
		}
	})
	if n := testing.AllocsPerRun(100, func() {
		must(a.Send(p))
		must(a.RecvInto(p))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	ok(t, a.Close())
	if err := echo(t); err != io.EOF {
		t.Error(err)
	}
}
