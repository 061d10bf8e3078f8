package faultsys_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// A single fault, everywhere: a server and its client are run without any fault,
// and then once for each call that they made and each errno that it may fail
// with, at this call only and from it on. Whatever it is, all comes to its end,
// each Conn is told so once, nothing is lost without anybody being told, no
// descriptor stays open, and the next client is served as if nothing had been.

const (
	// sweepIdle is how long a Conn of the sweep may be idle.
	sweepIdle = 20 * time.Second
	// sweepTime is how long a run may take, of its own time, and sweepTurns how many
	// turns: more of them is a busy loop.
	sweepTime  = 3 * time.Minute
	sweepTurns = 5000
	// sweepSoon is how long the first client after the fault may take: a Listener
	// rests for a second at most.
	sweepSoon = 2 * time.Second
)

// scenario is what is swept.
type scenario struct {
	network string
	address string
	system  func() sys.System // a new one for each run
	file    string            // the server sends this file; empty: what it is sent
}

func (sc scenario) String() string {
	if sc.file != "" {
		return sc.network + " file"
	}
	return sc.network
}

// packets tells whether it is about packets.
func (sc scenario) packets() bool { return sc.network != "tcp" && sc.network != "unix" }

// single is the fault of one run. The zero value is none.
type single struct {
	at    int // the number of the call
	call  faultsys.Call
	errno syscall.Errno
	stays bool
}

func (s single) String() string {
	if s.at == 0 {
		return "no fault"
	}
	how := "once"
	if s.stays {
		how = "from there on"
	}
	return fmt.Sprintf("%s at call %d, %s, %s", s.errno, s.at, s.call, how)
}

// repeated tells whether the call is simply made again, at once or later.
func (s single) repeated() bool {
	return slices.Contains([]syscall.Errno{syscall.EINTR, syscall.EAGAIN, syscall.ENOBUFS, syscall.ENOMEM}, s.errno)
}

// harmless tells whether nobody may notice the fault.
func (s single) harmless() bool {
	switch s.call {
	case faultsys.Recv, faultsys.Send, faultsys.RecvPackets, faultsys.SendPackets:
		return s.repeated() && !s.stays
	case faultsys.SendFile:
		return s.repeated() && !s.stays || s.unfit()
	case faultsys.Accept:
		waits := s.errno == syscall.EMFILE || s.errno == syscall.ENFILE || s.errno == syscall.EPERM
		return (s.repeated() || waits) && !s.stays
	case faultsys.Connect:
		return s.errno == syscall.EINTR
	case faultsys.Close, faultsys.FileRest, faultsys.Lstat, faultsys.Unlink:
		return true
	}
	return s.at == 0
}

// unfit tells whether a file cannot be sent without being read.
func (s single) unfit() bool { return s.errno == syscall.EINVAL || s.errno == syscall.EOPNOTSUPP }

// deadly tells whether a connection dies of the fault, so that its owner is told.
func (s single) deadly() bool {
	switch s.call {
	case faultsys.Recv, faultsys.Send, faultsys.SockError:
		return !s.repeated()
	case faultsys.SendFile:
		return !s.repeated() && !s.unfit()
	}
	return false
}

// sweep runs a scenario with every single fault.
func sweep(t *testing.T, sc scenario) {
	t.Helper()
	clean := &sweepRun{scenario: sc}
	clean.run()
	if !clean.judge(t) {
		return
	}
	runs, failed := 0, 0
	for i, c := range clean.calls {
		for _, errno := range faultsys.Legal(c) {
			for _, stays := range []bool{false, true} {
				if stays && !faultsys.Lasts(c, errno) {
					continue
				}
				r := &sweepRun{scenario: sc, fault: single{i + 1, c, errno, stays}}
				r.run()
				runs++
				if !r.judge(t) {
					failed++
				}
				if failed == 20 {
					t.Fatalf("giving up after %d runs", runs)
				}
			}
		}
	}
	t.Logf("%d calls, %d runs", len(clean.calls), runs)
}

// sweepRun is one run of the scenario, and what has been found out about it.
type sweepRun struct {
	scenario
	fault single

	f     *faultsys.Sys
	l     *loop.Loop
	ln    *channel.Listener
	calls []faultsys.Call
	peers []*sweepPeer
	wrong []string

	reason error // why the server has ended
	end    func()
}

// The run is the faultsys.T of its Sys.
func (r *sweepRun) Helper()           {}
func (r *sweepRun) Cleanup(fn func()) { r.end = fn }
func (r *sweepRun) Errorf(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
}

// judge tells what was wrong.
func (r *sweepRun) judge(t *testing.T) bool {
	t.Helper()
	if len(r.wrong) == 0 {
		return true
	}
	var text strings.Builder
	text.WriteString(fmt.Sprintf("%s: %s", r.network, r.fault))
	for _, line := range r.wrong {
		text.WriteString("\n\t" + line)
	}
	for _, p := range r.peers {
		text.WriteString("\n\t" + p.String())
	}
	t.Error(text.String())
	return false
}

func (r *sweepRun) run() {
	r.f = faultsys.New(r, r.system())
	r.f.OnCall(func(_ int, c faultsys.Call, _ int) { r.calls = append(r.calls, c) })
	r.f.Inject(r.decide)
	defer func() {
		if r.end(); r.f.Calls() < r.fault.at {
			r.Errorf("only %d calls", r.f.Calls())
		}
	}()
	l, err := core.On(loop.Config{Debug: true}, r.f)
	if err != nil {
		if r.fault.call != faultsys.OpenPoller {
			r.Errorf("loop: %v", err)
		}
		return
	}
	r.l = l.(*loop.Loop)
	defer r.close()
	if !r.listen() {
		return
	}
	p := r.exchange()
	if r.fault.harmless() && (p.err != nil || !p.complete()) {
		r.Errorf("the client should not have noticed")
	}
	told := slices.ContainsFunc(r.peers, func(p *sweepPeer) bool { return errors.Is(p.err, r.fault.errno) })
	if r.fault.deadly() && !told {
		r.Errorf("nobody was told of it")
	}
	if r.fault.at == 0 || r.f.Calls() < r.fault.at {
		return // it is a call of Close
	}
	r.f.Inject(nil)
	if r.reason != nil && (r.fault.call != faultsys.Accept || r.fault.errno != syscall.EINVAL) {
		r.Errorf("the listener has closed: %v", r.reason)
	}
	if r.reason == nil {
		begin := r.l.Now()
		if p := r.exchange(); p.err != nil || !p.complete() || r.l.Now()-begin > sweepSoon {
			r.Errorf("after the fault a client was not served, or not for %v", r.l.Now()-begin)
		}
	}
}

// decide is the fault.
func (r *sweepRun) decide(c faultsys.Call, _ int) (syscall.Errno, int) {
	if r.f.Calls() == r.fault.at || r.fault.stays && r.f.Calls() > r.fault.at && c == r.fault.call {
		return r.fault.errno, -1
	}
	return 0, -1
}

// listen begins to serve, and tells whether that was possible.
func (r *sweepRun) listen() bool {
	var err error
	if r.packets() {
		err = r.listenPackets()
	} else {
		err = r.listenConns()
	}
	if err != nil && !errors.Is(err, r.fault.errno) {
		r.Errorf("listen: %v", err)
	}
	return err == nil
}

func (r *sweepRun) listenConns() (err error) {
	lc := channel.ListenConfig{Closed: func(_ *channel.Listener, err error) { r.reason = err }}
	r.ln, err = lc.Listen(r.l, r.network, r.address, func(c *channel.Conn) *channel.Handler {
		c.SetIdleTimeout(sweepIdle)
		if r.file == "" {
			return r.peer("server", sweepText).handler(func(b []byte) { c.Write(b) }, nil)
		}
		f, err := os.Open(r.file)
		if err != nil {
			r.Errorf("%v", err)
			return nil
		}
		c.SendFrom(f)
		c.CloseWrite()
		h := r.peer("server", nil).handler(nil, nil)
		closed := h.Close
		h.Close = func(c *channel.Conn, err error) {
			f.Close()
			closed(c, err)
		}
		return h
	})
	return err
}

// sweepText is what a client sends, more than a socket takes at once.
var sweepText = bytes.Repeat([]byte("0123456789abcdef"), 2500)

// exchange has a client talk to the server, and returns it when all is over.
func (r *sweepRun) exchange() *sweepPeer {
	p := r.peer("client", sweepText)
	if r.packets() {
		r.dialPackets(p)
	} else {
		r.dialConn(p)
	}
	begin := r.l.Now()
	for turns := 0; !r.quiet(); turns++ {
		if turns == sweepTurns || r.l.Now()-begin > sweepTime {
			r.Errorf("%d turns in %v, and no end", turns, r.l.Now()-begin)
			break
		}
		if err := r.l.Poll(time.Second); err != nil {
			r.Errorf("poll: %v", err)
			break
		}
	}
	return p
}

func (r *sweepRun) dialConn(p *sweepPeer) {
	h := p.handler(nil, func(c *channel.Conn) {
		c.SetIdleTimeout(sweepIdle)
		if r.file == "" {
			c.Write(sweepText)
		}
	})
	c := channel.Dial(r.l, r.network, r.ln.Addr().String(), h)
	p.read = func([]byte) {
		if p.complete() {
			c.CloseWrite()
		}
	}
}

// quiet tells whether all that come to an end by themselves have.
func (r *sweepRun) quiet() bool {
	return !slices.ContainsFunc(r.peers, func(p *sweepPeer) bool { return p.closes == 0 && !p.stays })
}

func (r *sweepRun) close() {
	r.l.Close()
	for _, p := range r.peers {
		if p.closes != 1 {
			r.Errorf("%s: %d closes", p.name, p.closes)
		}
	}
	cut := slices.ContainsFunc(r.peers, func(p *sweepPeer) bool { return !p.complete() })
	told := slices.ContainsFunc(r.peers, func(p *sweepPeer) bool { return p.err != nil })
	if cut && !told {
		r.Errorf("not all has come, and nobody was told of an error")
	}
	if s := r.l.Stats(); s.Buffered != 0 || s.Panics != 0 {
		r.Errorf("%d bytes buffered at the end, %d panics", s.Buffered, s.Panics)
	}
}

// sweepPeer is one end of a connection.
type sweepPeer struct {
	r         *sweepRun
	name      string
	want      []byte
	stays     bool // until the loop closes
	read      func([]byte)
	got       []byte
	connected bool
	closes    int
	err       error
}

func (r *sweepRun) peer(name string, want []byte) *sweepPeer {
	p := &sweepPeer{r: r, name: fmt.Sprintf("%s %d", name, len(r.peers)), want: want}
	r.peers = append(r.peers, p)
	return p
}

// complete tells whether all has come that was sent.
func (p *sweepPeer) complete() bool { return len(p.got) == len(p.want) }

func (p *sweepPeer) String() string {
	return fmt.Sprintf("%s: connected %v, %d bytes, closed %d times with %v", p.name, p.connected, len(p.got), p.closes, p.err)
}

// handler records and checks; read is called with what has come.
func (p *sweepPeer) handler(read func([]byte), connect func(*channel.Conn)) *channel.Handler {
	p.read = read
	return &channel.Handler{
		Connect: func(c *channel.Conn) {
			if p.connected || p.closes > 0 {
				p.r.Errorf("%s: Connect again, or after Close", p.name)
			}
			p.connected = true
			if connect != nil {
				connect(c)
			}
		},
		Read: func(_ *channel.Conn, b []byte) {
			if !p.connected || p.closes > 0 {
				p.r.Errorf("%s: Read before Connect, or after Close", p.name)
			}
			p.got = append(p.got, b...)
			if !bytes.HasPrefix(p.want, p.got) {
				p.r.Errorf("%s: what came is not what was sent", p.name)
			}
			p.read(b)
		},
		Close: func(_ *channel.Conn, err error) {
			p.closes++
			p.err = err
		},
	}
}
