package asynctest

import (
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// step does what can be done now, and tells whether that was anything.
func (p *Peer) step() (acted bool) {
	if p.over {
		return false
	}
	acted = p.receive()
	if p.w.k.Now() < p.until || len(p.todo) == 0 || p.over {
		return acted
	}
	a := p.todo[0]
	done, some := a.do()
	if some {
		p.w.moved++
		if a.what != "" {
			p.note("%s", a.what)
		}
	}
	if done && len(p.todo) > 0 { // an end may have crossed all out
		p.todo = p.todo[1:]
	}
	return acted || some
}

func (p *Peer) connect() (done, some bool) {
	if p.fd < 0 {
		fd, e := p.p.Socket(p.to.Family)
		if e != 0 {
			p.fail(e)
			return true, true
		}
		p.fd = fd
		switch e = p.p.Connect(fd, p.to); e {
		case 0, syscall.EINPROGRESS:
			p.from, _ = p.p.LocalAddr(fd)
			p.w.connects++
			p.turn = p.w.connects
		case syscall.EAGAIN: // a Unix listener's queue is full
			p.p.Close(fd)
			p.fd = -1
			p.sleep(5 * time.Millisecond)
			return false, true
		default:
			p.fail(e)
			return true, true
		}
	}
	if pending, _ := p.p.SockError(p.fd); pending != 0 {
		p.fail(pending)
		return true, true
	}
	if _, e := p.p.PeerAddr(p.fd); e != 0 {
		return false, false
	}
	p.connected = true
	return true, true
}

func (p *Peer) send(b []byte) (int, syscall.Errno) {
	p.w.swarm.cut(p.w, p)
	n, e := p.p.Send(p.fd, b)
	if e != 0 {
		return 0, e
	}
	p.sent = append(p.sent, b[:n]...)
	return n, 0
}

// receive takes what has come.
func (p *Peer) receive() bool {
	if !p.connected || !p.reading || p.fd < 0 || p.eof || p.errno != 0 {
		return false
	}
	n, e := p.p.Recv(p.fd, p.w.room[:p.w.swarm.sip(p.w, p.id, len(p.w.room))])
	switch {
	case e == syscall.EAGAIN:
		return false
	case e != 0:
		p.fail(e)
	case n == 0:
		p.note("received the end")
		p.eof = true
	default:
		p.note("received %s", excerpt(p.w.room[:n]))
		p.got = append(p.got, p.w.room[:n]...)
	}
	p.w.moved++
	return true
}

// fail ends the connection for an error: what else was to be done is not.
func (p *Peer) fail(e syscall.Errno) {
	p.note("%v", e)
	p.errno = e
	p.discard()
}

func (p *Peer) discard() {
	if p.fd >= 0 {
		p.p.Close(p.fd)
	}
	if p.listener >= 0 {
		p.p.Close(p.listener)
	}
	p.fd, p.listener, p.over, p.todo = -1, -1, true, nil
}

// segment is how much to send at once of n bytes.
func (p *Peer) segment(n, lowest, highest int) int {
	if highest <= 0 {
		return p.w.swarm.segment(p.w, p.id, n)
	}
	size := lowest + p.w.tape.Choose("segment", p.id, highest-lowest+1)
	return min(max(size, 1), n)
}

// gap may have the next segment wait; at least the loop has its turn.
func (p *Peer) gap(chopped bool) {
	if !chopped {
		return
	}
	if v := p.w.tape.Choose("gap", p.id, 8); v > 4 {
		p.sleep(time.Duration(1+p.w.tape.Choose("gap time", p.id, 20)) * time.Millisecond)
	}
}

func (p *Peer) sleep(d time.Duration) {
	p.until = p.w.k.Now() + int64(d)
	p.w.k.At(p.until, func() {})
}

// listen opens the socket at which accept waits.
func (p *Peer) listen(at sys.Addr) {
	fd, e := p.p.Socket(at.Family)
	if e == 0 {
		p.listener = fd
		p.p.SetOption(fd, sys.ReuseAddr, 1)
		e = p.p.Bind(fd, at)
	}
	if e == 0 {
		e = p.p.Listen(fd, 1)
	}
	if e != 0 {
		p.w.Fatalf("%v: listen: %v", p, e)
	}
}

func (p *Peer) accept() (done, some bool) {
	var from sys.Addr
	fd, e := p.p.Accept(p.listener, &from)
	if e != 0 {
		return false, false
	}
	p.p.Close(p.listener)
	p.listener = -1
	p.fd, p.from, p.connected = fd, from, true
	return true, true
}
