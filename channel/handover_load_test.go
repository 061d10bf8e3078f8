//go:build unix

package channel_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// The loop and goroutines of package net take turns at serving many connections,
// which change hands at random moments while their clients send: not one byte may
// be lost, doubled or moved.
func TestHandOverLoad(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		conns := 1000
		if testing.Short() || raceDetector {
			conns = 100
		}
		room := 20000
		if r.l.Poller() == "select" {
			room = 1000 // FD_SETSIZE
		}
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
			room = int(min(uint64(room), uint64(limit.Cur)))
		}
		// The two ends of each, and the duplicates of those on their way.
		conns = min(conns, (room-100)/3)
		newHandOver(r, conns).run()
	})
}

const (
	loadBytes  = 128 << 10 // of each connection, in each direction
	loadWindow = 16 << 10  // sent and not yet come back
)

type handOver struct {
	*rig
	conns int
	rng   *rand.Rand // the loop's goroutine's

	live   []*channel.Conn // those that the loop has
	tasks  sync.WaitGroup  // goroutines that serve
	served map[*channel.Conn]*served

	moves, byTimer, unread atomic.Int64
}

// served is what one connection keeps while it changes hands.
type served struct {
	rng   *rand.Rand
	moves int
}

func newHandOver(r *rig, conns int) *handOver {
	return &handOver{rig: r, conns: conns, rng: rand.New(rand.NewPCG(1, 2)), served: map[*channel.Conn]*served{}}
}

func (ho *handOver) run() {
	began := time.Now()
	ended := make(chan error, 1)
	stop := make(chan struct{})
	go func() { // the rig tells of each Close
		var failed error
		for {
			select {
			case e := <-ho.closed:
				if e.err != nil && failed == nil {
					failed = fmt.Errorf("%v: %w", e.c, e.err)
				}
			case <-stop:
				ended <- failed
				return
			}
		}
	}()

	var addrs []net.Addr
	for _, network := range networks {
		ln := ho.listen(channel.ListenConfig{}, network, address(ho, network), func(c *channel.Conn) *channel.Handler {
			s := &served{rng: rand.New(rand.NewPCG(3, c.ID()))}
			return ho.take(c, s)
		})
		addrs = append(addrs, ln.Addr())
	}
	ho.do(func() {
		// Some are taken from the loop between their callbacks.
		ho.l.Every(time.Millisecond, func() {
			if n := len(ho.live); n > 0 {
				c := ho.live[ho.rng.IntN(n)]
				ho.byTimer.Add(1)
				ho.user(func() { ho.handOver(c) })
			}
		})
	})

	failed := make(chan error, ho.conns)
	for i := range ho.conns {
		go func() {
			err := client(addrs[i%len(addrs)], uint64(i))
			if err != nil {
				err = fmt.Errorf("client %d: %w", i, err)
			}
			failed <- err
		}()
	}
	for range ho.conns {
		if err := receive(ho, failed, "a client hangs"); err != nil {
			ho.Error(err)
		}
	}
	ho.until("the last Conn closes", func() bool { return len(ho.live) == 0 })
	ho.tasks.Wait()
	ho.until("the last Conn closes", func() bool { return len(ho.live) == 0 })
	close(stop)
	if err := <-ended; err != nil {
		ho.Error(err)
	}
	took := time.Since(began)
	ho.Logf("%d connections, %d MiB each way, %d hand-overs and back (%d by the timer), %d KiB went as unread, in %v",
		ho.conns, ho.conns*loadBytes>>20, ho.moves.Load(), ho.byTimer.Load(), ho.unread.Load()>>10, took.Round(time.Millisecond))
	if n := ho.moves.Load(); n < int64(2*ho.conns) {
		ho.Errorf("only %d hand-overs", n)
	}
}

// take enters a Conn that the loop serves from now on.
func (ho *handOver) take(c *channel.Conn, s *served) *channel.Handler {
	ho.live = append(ho.live, c)
	ho.served[c] = s
	return &channel.Handler{
		Read: func(c *channel.Conn, p []byte) {
			if s.rng.IntN(3) > 0 {
				c.Write(p)
				return
			}
			used := s.rng.IntN(len(p) + 1)
			c.Write(p[:used])
			c.Unread(p[used:])
			ho.handOver(c)
		},
		Close: func(c *channel.Conn, err error) { ho.drop(c) },
	}
}

func (ho *handOver) drop(c *channel.Conn) {
	delete(ho.served, c)
	for i, o := range ho.live {
		if o == c {
			ho.live[i] = ho.live[len(ho.live)-1]
			ho.live = ho.live[:len(ho.live)-1]
			return
		}
	}
}

// handOver gives c to a goroutine.
func (ho *handOver) handOver(c *channel.Conn) {
	s := ho.served[c]
	err := c.Detach(ho.taker(c, func(d channel.Detached) {
		s.moves++
		ho.moves.Add(1)
		ho.unread.Add(int64(len(d.Unread)))
		ho.tasks.Go(func() {
			if err := ho.serve(d, s); err != nil {
				ho.Errorf("goroutine: %v", err)
			}
		})
	}))
	switch {
	case err == nil:
		ho.life(c).over = true
	case !errors.Is(err, net.ErrClosed): // on its way to a goroutine, or to its end
		ho.Errorf("Detach: %v", err)
	}
}

// serve echoes some pieces as package net would, and gives back what is left.
func (ho *handOver) serve(d channel.Detached, s *served) error {
	nc, err := d.Conn()
	if err != nil {
		return err
	}
	nc.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReaderSize(nc, 700)
	buf := make([]byte, 500)
	for range 1 + s.rng.IntN(8) {
		n, err := r.Read(buf[:1+s.rng.IntN(len(buf))])
		if _, err := nc.Write(buf[:n]); err != nil {
			return err
		}
		if err == io.EOF {
			return nc.Close()
		}
		if err != nil {
			return err
		}
	}
	rest, _ := r.Peek(r.Buffered())
	done := make(chan error, 1)
	err = ho.l.Post(func() {
		var c *channel.Conn
		var err error
		ho.user(func() {
			h := &channel.Handler{}
			if c, err = channel.Adopt(ho.l, nc, h); err != nil {
				return
			}
			c.Unread(rest)
			c.SetHandler(ho.check(ho.take(c, s)))
			ho.life(c).given = true
		})
		done <- err
	})
	if err != nil {
		return err
	}
	select {
	case err = <-done:
		return err
	case <-time.After(patience):
		return errors.New("not adopted")
	}
}

// client sends its bytes and checks what comes back.
func client(to net.Addr, seed uint64) error {
	var nc net.Conn
	for {
		var err error
		if nc, err = net.Dial(to.Network(), to.String()); err == nil {
			break
		}
		if !errors.Is(err, syscall.EAGAIN) { // a Unix listener's queue is full
			return err
		}
		time.Sleep(time.Millisecond)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	all := make([]byte, loadBytes)
	rand.NewChaCha8(key).Read(all)
	rng := rand.New(rand.NewPCG(5, seed))
	sent, got := 0, 0
	buf := make([]byte, loadWindow)
	for got < len(all) {
		if room := min(len(all)-sent, loadWindow-(sent-got)); room > 0 {
			n, err := nc.Write(all[sent : sent+1+rng.IntN(room)])
			if err != nil {
				return err
			}
			if sent += n; sent == len(all) {
				if err := nc.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
					return err
				}
			}
		}
		n, err := io.ReadFull(nc, buf[:1+rng.IntN(sent-got)])
		if err != nil {
			return fmt.Errorf("after %d bytes of %d: %w", got+n, sent, err)
		}
		if string(buf[:n]) != string(all[got:got+n]) {
			return fmt.Errorf("other bytes than were sent, between %d and %d", got, got+n)
		}
		got += n
	}
	if n, err := nc.Read(buf); n != 0 || err != io.EOF {
		return fmt.Errorf("%d bytes behind the last one, %v", n, err)
	}
	return nil
}
