package proof

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
)

// point is a callback of one of two Conns.
type point struct {
	conn int
	hook string
}

// points are where something may be done.
var points = []point{{1, "accept"}, {1, "connect"}, {1, "read"}, {1, "eof"}, {1, "close"}, {2, "read"}, {2, "close"}, {3, "connect"}}

// operations are what may be done there, to the Conn itself or to another.
var operations = []string{"close", "abort", "fail", "write", "pause", "resume", "add", "post", "stop", "panic", "swap", "unread"}

// step is one operation at one point.
type step struct {
	at     point
	do     string
	target int // a Conn, 1 or 2; 3 is the one that is dialled
}

func (s step) String() string {
	return fmt.Sprintf("conn %d %s: %s %d", s.at.conn, s.at.hook, s.do, s.target)
}

// steps has all single steps.
func steps() (all []step) {
	for _, at := range points {
		for _, do := range operations {
			switch do {
			case "add", "post", "stop", "panic", "unread": // have no target, or one
				all = append(all, step{at, do, at.conn})
			default:
				for target := range 3 {
					all = append(all, step{at, do, target + 1})
				}
			}
		}
	}
	return all
}

// TestSmallScope plays runs of three Conns in which one step is taken, and one of
// sixteen of those with two. With SIM_SCOPE=n it plays all with two, and one of n of those
// with three, which are a million and a half.
func TestSmallScope(t *testing.T) {
	depth, stride := 2, 16
	if n, err := strconv.Atoi(os.Getenv("SIM_SCOPE")); err == nil && n > 0 {
		depth, stride = 3, n
	}
	all := steps()
	began, runs := time.Now(), 0
	t.Cleanup(func() { t.Logf("%d runs in %v", runs, time.Since(began).Round(time.Millisecond)) })
	const shards = 4
	counts := make([]int, shards)
	t.Run("all", func(t *testing.T) {
		for shard := range shards {
			t.Run(fmt.Sprint(shard), func(t *testing.T) {
				t.Parallel()
				program := make([]step, 0, depth)
				n := 0
				var next func(from int)
				next = func(from int) {
					n++
					if n%shards == shard && (len(program) < depth || n/shards%stride == 0) {
						scope(t, program)
						counts[shard]++
					}
					if len(program) == depth || t.Failed() {
						return
					}
					for i := from; i < len(all); i++ {
						program = append(program, all[i])
						next(i + 1)
						program = program[:len(program)-1]
					}
				}
				next(0)
			})
		}
	})
	for _, n := range counts {
		runs += n
	}
}

// scope plays one program.
func scope(t *testing.T, program []step) {
	before := t.Failed()
	c := asynctest.Config{Timeout: time.Minute, Tape: []byte{}}
	asynctest.Run(t, c, scenario(func(w *world) {
		w.MayPanic()
		p := &programmed{w: w, steps: program}
		p.play()
	}, asynctest.None))
	if t.Failed() && !before {
		t.Errorf("the program: %v", program)
	}
}

// programmed is a world that follows a program.
type programmed struct {
	w     *world
	steps []step
	taken [3]bool
	conns [4]*session
	ln    *channel.Listener
}

func (p *programmed) play() {
	w := p.w
	p.ln = w.serve("tcp", ":7", func(s *session) *channel.Handler {
		n := 0
		for i, peer := range w.peers {
			if peer == s.peer {
				n = i + 1
			}
		}
		if n == 0 { // our own
			return &channel.Handler{}
		}
		p.conns[n] = s
		s.may |= byClose
		p.at(s, n, "accept")
		return p.handler(s, n)
	})
	for range 2 {
		w.dial(p.ln).Send("hello").HalfClose()
	}
	w.rest()
	w.pass(2 * time.Minute)
	if got := w.l.Stats().Panics; got != w.panics {
		w.Errorf("the loop counts %d panics, there were %d", got, w.panics)
	}
	for _, s := range w.sessions {
		if s.panicked && !s.closed {
			w.Errorf("%v: a callback of it has panicked, and it lives", s)
		}
	}
	// Who was not touched has had all.
	for i, peer := range w.peers {
		if string(peer.Received()) != "hello" && !p.touched(i+1) {
			w.Errorf("%v has received %q, and nobody has done anything to it", peer, peer.Received())
		}
	}
}

// touched tells whether a step concerns a Conn.
func (p *programmed) touched(n int) bool {
	for _, s := range p.steps {
		if s.at.conn == n || s.target == n || s.do == "stop" || s.do == "post" {
			return true
		}
	}
	return false
}

func (p *programmed) handler(s *session, n int) *channel.Handler {
	return &channel.Handler{
		Connect: func(*channel.Conn) { p.at(s, n, "connect") },
		Read: func(c *channel.Conn, b []byte) {
			s.write(b)
			p.at(s, n, "read")
			if s.giveBack {
				s.giveBack = false
				c.Unread(b[len(b)/2:])
			}
		},
		EOF: func(*channel.Conn) {
			p.at(s, n, "eof")
			s.close()
		},
		Close: func(*channel.Conn, error) { p.at(s, n, "close") },
	}
}

// at takes the steps of a point.
func (p *programmed) at(self *session, n int, hook string) {
	for i, s := range p.steps {
		if s.at == (point{n, hook}) && !p.taken[i] {
			p.taken[i] = true // a Read that always gives back would never end
			p.do(self, n, hook, s)
		}
	}
}

func (p *programmed) do(self *session, n int, hook string, st step) {
	w := p.w
	t := p.conns[st.target]
	switch st.do {
	case "add":
		p.conns[3] = w.connect(&channel.Dialer{}, "tcp", "10.0.0.1:7", func(s *session) *channel.Handler {
			s.may |= byClose
			return p.handler(s, 3)
		})
		return
	case "post":
		w.l.Post(func() {
			for _, s := range p.conns {
				if s != nil && s != self && !s.closed {
					s.abort()
				}
			}
		})
		return
	case "stop":
		w.halted = true
		w.l.Close()
		return
	case "panic":
		if hook != "close" {
			self.may |= byPanic
			self.panicked, self.gone = true, true
		}
		w.panics++
		panic("as the program says")
	case "unread":
		self.giveBack = true
		return
	}
	if t == nil {
		return
	}
	switch st.do {
	case "close":
		t.close()
	case "abort":
		t.abort()
	case "fail":
		t.fail(errOurs)
	case "write":
		t.write([]byte(" more"))
	case "pause":
		t.pause()
		w.l.After(time.Second, t.resume)
	case "resume":
		t.resume()
	case "swap":
		if t.accepted && !t.closed {
			t.c.SetHandler(t.watch(p.handler(t, st.target)))
		}
	}
}
