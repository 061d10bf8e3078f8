package proof

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// outcome is what is to become of a dial.
type outcome struct {
	s         *session
	connects  bool // where nothing goes wrong
	errno     syscall.Errno
	timesOut  bool
	connected bool
}

// dials dials addresses of all sorts from the loop.
func dials(w *world) {
	served := w.serve("tcp", "10.0.0.1:7", func(s *session) *channel.Handler {
		s.may |= byClose
		return &channel.Handler{
			Read: func(c *channel.Conn, p []byte) { s.write(p) },
			EOF:  func(*channel.Conn) { s.close() },
		}
	})
	var held *channel.Listener // whose queue is full
	if w.Choose(2) == 1 {
		lc := &channel.ListenConfig{Backlog: 1}
		held = w.listen(lc, "unix", "/run/full", func(s *session) *channel.Handler {
			return &channel.Handler{Read: func(c *channel.Conn, p []byte) { s.write(p) }}
		})
		if held != nil {
			held.Pause()
		}
	}
	if served == nil {
		return
	}
	var all []*outcome
	for range 1 + w.Choose(6) {
		all = append(all, w.dialSomewhere(held))
	}
	if w.Choose(4) == 3 { // given up
		o := all[w.Choose(len(all))]
		o.s.may |= byAbort
		o.connects, o.errno, o.timesOut = false, 0, false
		w.l.After(time.Duration(w.Choose(400))*time.Millisecond, func() {
			hitIf(69, !o.s.connected)
			if w.Choose(2) == 0 {
				o.s.abort()
			} else {
				o.s.close()
			}
		})
	}
	w.rest()
	if held != nil {
		held.Resume()
	}
	w.pass(time.Minute)
	for _, o := range all {
		err := o.s.err
		switch {
		case w.Faulted():
		case !o.s.closed:
			w.Errorf("%v: a dial has not come to its end", o.s)
		case o.connects != o.connected && (o.connects || o.errno != 0 || o.timesOut):
			w.Errorf("%v: connected: %v, and Close(%v)", o.s, o.connected, err)
		case o.errno != 0 && !errors.Is(err, o.errno):
			w.Errorf("%v: Close(%v), and it should be %v", o.s, err, o.errno)
		case o.timesOut && !errors.Is(err, os.ErrDeadlineExceeded):
			w.Errorf("%v: Close(%v), and it should have timed out", o.s, err)
		}
	}
}

var (
	good   = netip.MustParseAddr("10.0.0.1")
	nobody = netip.MustParseAddr("10.0.0.2") // no such host
	loop4  = netip.MustParseAddr("127.0.0.1")
	loop6  = netip.MustParseAddr("::1")
)

// dialSomewhere draws where to.
func (w *world) dialSomewhere(held *channel.Listener) *outcome {
	o := &outcome{}
	d := &channel.Dialer{}
	network, address := "tcp", "10.0.0.1:7"
	switch w.Choose(9) {
	case 0:
		o.connects = true
	case 1:
		address, o.errno = "127.0.0.1:9", syscall.ECONNREFUSED
	case 2: // an answer never comes
		hit(30)
		d.Timeout = time.Duration(1+w.Choose(3000)) * time.Millisecond
		address = "10.0.0.2:7"
	case 3:
		network, address, o.errno = "unix", "/run/missing", syscall.ENOENT
	case 4: // to itself
		hit(29)
		address, o.errno = fmt.Sprintf("127.0.0.1:%d", 5555+len(w.sessions)), syscall.ECONNREFUSED
		d.LocalAddr = address
	case 5:
		if held == nil {
			o.connects = true
			break
		}
		network, address = "unix", "/run/full"
	case 6: // of several addresses one that answers
		address = "several:7"
		lists := [][]netip.Addr{{good}, {loop4, good}, {nobody, good}, {loop6, nobody, good}, {loop4, loop6}}
		list := lists[w.Choose(len(lists))]
		delays := w.Choose(2)
		d.Lookup = func(ctx context.Context, network, host string) (of []netip.Addr, err error) {
			for _, a := range list {
				if a.Is4() == (network == "ip4") {
					of = append(of, a)
				}
			}
			if delays == 1 && len(of) == 0 {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			return of, nil
		}
		o.connects = list[len(list)-1] == good
	case 7:
		address = "missing:7"
		d.Lookup = func(context.Context, string, string) ([]netip.Addr, error) { return nil, errOurs }
	case 8:
		address, o.errno = "10.0.0.1:7", 0
		d.LocalAddr = "10.3.3.3:0" // not ours
		o.errno = syscall.EADDRNOTAVAIL
	}
	text := some(1, 1+w.Choose(500))
	o.s = w.connect(d, network, address, func(s *session) *channel.Handler {
		s.may |= byClose | byName
		got := 0
		return &channel.Handler{
			Connect: func(c *channel.Conn) { o.connected = true },
			Read: func(c *channel.Conn, p []byte) {
				if string(p) != string(text[got:got+len(p)]) {
					w.Errorf("%v: other bytes than were written", s)
				}
				if got += len(p); got == len(text) {
					s.close()
				}
			},
		}
	})
	o.s.c.Write(text)
	return o
}
