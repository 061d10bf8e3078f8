//go:build linux

package sim_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// verbs are the calls of a script. Each returns what the log says of it.
var verbs map[string]func(p *player, c *call) string

func init() {
	verbs = map[string]func(p *player, c *call) string{
		// Making descriptors.
		"socket": func(p *player, c *call) string {
			fd, e := p.socket(c.args[0])
			return p.gives(c, e, fd)
		},
		"listener": (*player).listener,
		"bound": func(p *player, c *call) string {
			p.bound(c.names[0], c.args[0])
			return "ok"
		},
		"stream": (*player).stream,
		"accept": func(p *player, c *call) string {
			var from sys.Addr
			fd, e := p.Accept(p.fd(c.args[0]), &from)
			if e != 0 {
				return errnoName(e)
			}
			p.gives(c, 0, fd)
			return "from " + p.at(from, 0)
		},
		"pair": func(p *player, c *call) string {
			a, b, e := p.Pair(c.args[0])
			return p.gives(c, e, a, b)
		},
		"pipe": func(p *player, c *call) string {
			r, w, e := p.PipeFDs()
			return p.gives(c, e, r, w)
		},
		"dup": func(p *player, c *call) string {
			fd, e := p.Dup(p.fd(c.args[0]))
			return p.gives(c, e, fd)
		},
		"same": func(p *player, c *call) string { return fmt.Sprint(p.fd(c.args[0]) == p.fd(c.args[1])) },
		"room": (*player).room,

		// Addresses.
		"bind": func(p *player, c *call) string {
			fd := p.fd(c.args[0])
			e := p.Bind(fd, p.addr(c.args[1]))
			p.note(c.args[0], fd)
			return errnoName(e)
		},
		"connect": func(p *player, c *call) string {
			fd := p.fd(c.args[0])
			e := p.Connect(fd, p.addr(c.args[1]))
			p.note(c.args[0], fd)
			return errnoName(e)
		},
		"listen": func(p *player, c *call) string {
			fd := p.fd(c.args[0])
			e := p.Listen(fd, p.num(c.arg(1, "8")))
			p.note(c.args[0], fd)
			return errnoName(e)
		},
		"local": func(p *player, c *call) string { return p.at(p.LocalAddr(p.fd(c.args[0]))) },
		"peer":  func(p *player, c *call) string { return p.at(p.PeerAddr(p.fd(c.args[0]))) },

		// Bytes.
		"send":  func(p *player, c *call) string { return moved(p.Send(p.fd(c.args[0]), data(c.args[1]))) },
		"write": func(p *player, c *call) string { return moved(p.Write(p.fd(c.args[0]), data(c.args[1]))) },
		"recv":  func(p *player, c *call) string { return received(p.Recv, p.fd(c.args[0]), p.num(c.arg(1, "100"))) },
		"read":  func(p *player, c *call) string { return received(p.Read, p.fd(c.args[0]), p.num(c.arg(1, "100"))) },
		"fill":  (*player).fill,
		"drain": (*player).drain,
		"urgent": func(p *player, c *call) string {
			return errnoName(p.SendUrgent(p.fd(c.args[0]), c.args[1][0]))
		},
		"recvurgent": func(p *player, c *call) string {
			b, e := p.RecvUrgent(p.fd(c.args[0]))
			return show([]byte{b}, e)
		},
		"pending": func(p *player, c *call) string { return moved(p.Pending(p.fd(c.args[0]))) },

		// Packets.
		"sendto":      (*player).sendTo,
		"recvfrom":    (*player).recvFrom,
		"packeterror": func(p *player, c *call) string { return errnoName(p.PacketError(p.fd(c.args[0]))) },

		// The end.
		"shutdown": func(p *player, c *call) string {
			if c.args[1] == "write" {
				return errnoName(p.ShutdownWrite(p.fd(c.args[0])))
			}
			return errnoName(p.Shutdown(p.fd(c.args[0]), strings.Contains(c.args[1], "r"), strings.Contains(c.args[1], "w")))
		},
		"close": func(p *player, c *call) string { return errnoName(p.closes(p.fd(c.args[0]), p.Close)) },
		"reset": func(p *player, c *call) string { return errnoName(p.closes(p.fd(c.args[0]), p.Reset)) },

		// What a descriptor is.
		"sockerror": func(p *player, c *call) string {
			pending, e := p.SockError(p.fd(c.args[0]))
			if e != 0 {
				return "failed: " + errnoName(e)
			}
			return errnoName(pending)
		},
		"kind":     (*player).kind,
		"mode":     (*player).mode,
		"nonblock": func(p *player, c *call) string { return errnoName(p.SetNonblock(p.fd(c.args[0]), c.args[1] == "on")) },
		"peercred": (*player).cred,
		"option": func(p *player, c *call) string {
			return errnoName(p.SetOption(p.fd(c.args[0]), options[c.args[1]], p.num(c.args[2])))
		},
		"buffers": func(p *player, c *call) string {
			for _, at := range p.places {
				at.BufferSizes(p.num(c.args[0]), p.num(c.args[1]))
			}
			return "ok"
		},

		// Files.
		"lstat": func(p *player, c *call) string {
			st, e := p.Lstat(p.addr(c.args[0]).Path)
			if e != 0 {
				return errnoName(e)
			}
			return fmt.Sprintf("socket %t, mine %t", st.Socket, st.Mine)
		},
		"chmod": func(p *player, c *call) string { return errnoName(p.Chmod(p.addr(c.args[0]).Path, 0o600)) },
		"unlink": func(p *player, c *call) string {
			return errnoName(p.Unlink(p.addr(c.args[0]).Path))
		},
		"rest": func(p *player, c *call) string {
			n, e := p.FileRest(p.fd(c.args[0]))
			return moved(int(n), e)
		},

		// The poller.
		"poll":   func(p *player, c *call) string { return p.poll(c, patience) },
		"look":   func(p *player, c *call) string { return p.poll(c, 0) },
		"add":    func(p *player, c *call) string { return p.watch(c, p.poller.Add) },
		"modify": func(p *player, c *call) string { return p.watch(c, p.poller.Modify) },
		"remove": func(p *player, c *call) string { return errorName(p.poller.Remove(p.fd(c.args[0]))) },
		"wait":   (*player).wait,
		"sweep":  (*player).sweep,
		"wake":   func(p *player, c *call) string { return errorName(p.poller.Wake()) },
		"end":    func(p *player, c *call) string { return errorName(p.poller.Close()) },
		"open":   (*player).open,
		"nested": func(p *player, c *call) string {
			_, fd, want := p.interest(c.args[0])
			return p.ready(fd, want, 0).String()
		},
		"poller": func(p *player, c *call) string {
			p.names[c.names[0]] = p.poller.FD()
			return fmt.Sprint(p.poller.FD() >= 0)
		},
	}
}

var options = map[string]sys.Option{
	"reuseaddr": sys.ReuseAddr, "reuseport": sys.ReusePort, "v6only": sys.V6Only, "nodelay": sys.NoDelay,
	"keepalive": sys.KeepAlive, "keepidle": sys.KeepIdle, "linger": sys.Linger, "broadcast": sys.Broadcast,
	"readbuffer": sys.ReadBuffer, "writebuffer": sys.WriteBuffer, "packetend": sys.PacketEnd,
	"usertimeout": sys.UserTimeout, "multicastttl": sys.MulticastTTL, "multicasthops": sys.MulticastHops,
}

func (p *player) listener(c *call) string {
	fd := p.bound(c.names[0], c.args[0])
	p.must(p.Listen(fd, p.num(c.arg(1, "8"))))
	return "ok"
}

// stream connects two sockets, and closes the listener that it takes.
func (p *player) stream(c *call) string {
	network, passing := c.args[0], "listener of "+c.names[0]
	p.visit(c.names[1])
	l := p.bound(passing, network)
	p.must(p.Listen(l, 8))
	p.visit(c.names[0])
	a, e := p.socket(network)
	p.must(e)
	p.give(c.names[0], a)
	if e := p.Connect(a, p.addrs[passing]); e != syscall.EINPROGRESS {
		p.must(e)
	}
	p.note(c.names[0], a)
	p.settled()
	p.visit(c.names[1])
	p.ready(l, asyncore.Readable, patience)
	b, e := p.Accept(l, new(sys.Addr))
	p.must(e)
	p.must(p.closes(l, p.Close))
	p.give(c.names[1], b)
	p.note(c.names[1], b)
	return "ok"
}

// room lowers the limit so that n more descriptors can be made; none is as it was.
func (p *player) room(c *call) string {
	if c.args[0] == "any" {
		p.SetFDLimit(-1)
		return "ok"
	}
	open, limit := p.FDs(), 0
	for free := p.num(c.args[0]); free > 0 || slices.Contains(open, limit); limit++ {
		if !slices.Contains(open, limit) {
			free--
		}
	}
	p.SetFDLimit(limit)
	return "ok"
}

func received(call func(int, []byte) (int, syscall.Errno), fd, size int) string {
	buf := make([]byte, size)
	n, e := call(fd, buf)
	return show(buf[:n], e)
}

// settle gives TCP the time to acknowledge what was sent, which makes room: Linux
// keeps that back for 40 ms at most. Elsewhere nothing comes by itself.
func (p *player) settle(fd int, want asyncore.Interest) asyncore.Interest {
	a, _ := p.LocalAddr(fd)
	if k, _ := p.Kind(fd); k == sys.Stream && a.Family != sys.Unix {
		return p.ready(fd, want, 60*time.Millisecond+p.late)
	}
	return 0
}

// fill sends until there is no room, and will not be by itself.
func (p *player) fill(c *call) string {
	fd := p.fd(c.args[0])
	block := slices.Repeat([]byte("f"), 4096)
	if size := c.arg(1, ""); size != "" {
		block = block[:p.num(size)]
	}
	for {
		n, e := p.Send(fd, block)
		if e == syscall.ENOTSOCK {
			n, e = p.Write(fd, block)
		}
		p.sent[c.args[0]] += n
		switch {
		case e == syscall.EAGAIN && p.settle(fd, asyncore.Writable) == 0:
			return "full"
		case e != 0 && e != syscall.EAGAIN:
			return errnoName(e)
		}
	}
}

// drain receives until there is nothing, and tells whether that was all that fill sent
// at the other end.
func (p *player) drain(c *call) string {
	fd, total := p.fd(c.args[0]), 0
	buf := make([]byte, 4096)
	for {
		n, e := p.Recv(fd, buf)
		if e == syscall.ENOTSOCK {
			n, e = p.Read(fd, buf)
		}
		total += n
		switch {
		case n > 0:
			continue
		case e == syscall.EAGAIN && p.settle(fd, asyncore.Readable) != 0:
			continue
		}
		how := "all of it"
		if total == 0 {
			how = "nothing"
		} else if sent := p.sent[c.args[1]]; total != sent {
			how = fmt.Sprintf("%d of %d", total, sent)
		}
		return how + ", then " + show(nil, e)
	}
}

// sendTo sends packets; to "peer" they go without an address.
func (p *player) sendTo(c *call) string {
	var to sys.Addr
	if c.args[1] != "peer" {
		to = p.addr(c.args[1])
	}
	var packets []sys.Packet
	for _, s := range c.args[2:] {
		packets = append(packets, sys.Packet{Buf: data(s), Addr: to})
	}
	return moved(p.SendPackets(p.fd(c.args[0]), packets))
}

// recvFrom receives up to so many packets, of a size that it has room for.
func (p *player) recvFrom(c *call) string {
	fd := p.fd(c.args[0])
	packets := make([]sys.Packet, p.num(c.arg(1, "4")))
	for i := range packets {
		packets[i].Buf = make([]byte, p.num(c.arg(2, "100")))
	}
	n, e := p.RecvPackets(fd, packets, c.arg(3, "") == "sequenced")
	var log []string
	for _, k := range packets[:n] {
		s := show(k.Buf[:min(k.Size, len(k.Buf))], 0) + " from " + p.at(k.Addr, 0)
		if k.Truncated {
			s += fmt.Sprintf(", truncated, size %d", k.Size)
		}
		log = append(log, s)
	}
	if e != 0 || n == 0 {
		log = append(log, show(nil, e))
	}
	return strings.Join(log, "; ")
}

func (p *player) kind(c *call) string {
	k, e := p.Kind(p.fd(c.args[0]))
	if e != 0 {
		return errnoName(e)
	}
	return [...]string{"file", "stream", "listening", "unsure", "datagram", "sequenced", "other"}[k]
}

func (p *player) mode(c *call) string {
	m, e := p.Mode(p.fd(c.args[0]))
	if e != 0 {
		return errnoName(e)
	}
	return fmt.Sprintf("read %t, write %t, nonblock %t", m.Read, m.Write, m.Nonblock)
}

func (p *player) cred(c *call) string {
	cred, e := p.PeerCred(p.fd(c.args[0]))
	if e != 0 {
		return errnoName(e)
	}
	return fmt.Sprintf("this process %t", cred == sys.Cred{UID: os.Getuid(), GID: os.Getgid(), PID: os.Getpid()})
}

func (p *player) watch(c *call, call func(int, uint64, asyncore.Interest) error) string {
	name, fd, want := p.interest(c.args[0])
	return errorName(call(fd, token(c.arg(1, name)), want))
}

// open opens one more poller.
func (p *player) open(c *call) string {
	w, err := p.OpenPoller(c.args[0])
	if err != nil {
		return fmt.Sprint("not offered: ", errors.Is(err, errors.ErrUnsupported))
	}
	defer w.Close()
	return w.Name()
}

// token makes an event's token of a name, and of a token the name.
func token(name string) (t uint64) {
	if name == "reserved" {
		return ^uint64(0)
	}
	for i := range len(name) {
		t = t<<8 | uint64(name[i])
	}
	return t
}

func tokenName(t uint64) string {
	var name []byte
	for ; t > 0; t >>= 8 {
		name = append(name, byte(t))
	}
	slices.Reverse(name)
	return string(name)
}

// ready is what a descriptor is ready for within the timeout.
func (p *player) ready(fd int, want asyncore.Interest, timeout time.Duration) asyncore.Interest {
	w, err := p.OpenPoller(p.poller.Name())
	if err != nil {
		p.t.Fatal(err)
	}
	defer w.Close()
	if err := w.Add(fd, 1, want); err != nil {
		p.t.Fatal(err)
	}
	var dst [1]asyncore.Event
	if n, err := w.Wait(dst[:], timeout); err != nil || n == 0 {
		return 0
	}
	return dst[0].Ready
}

// poll watches a descriptor for one wait.
func (p *player) poll(c *call, timeout time.Duration) string {
	_, fd, want := p.interest(c.args[0])
	if err := p.poller.Add(fd, 1, want); err != nil {
		return errorName(err)
	}
	defer p.poller.Remove(fd)
	var dst [2]asyncore.Event
	n, err := p.poller.Wait(dst[:], timeout)
	switch {
	case err != nil:
		return errorName(err)
	case n == 2:
		return "two events"
	}
	return dst[0].Ready.String()
}

// wait waits for what was added: by itself until something is ready.
func (p *player) wait(c *call) string {
	timeout := patience
	if len(c.args) > 0 {
		timeout, _ = time.ParseDuration(c.args[0])
	}
	start := p.Now()
	var dst [16]asyncore.Event
	n, err := p.poller.Wait(dst[:], timeout)
	if err != nil {
		return errorName(err)
	}
	var log []string
	for _, ev := range dst[:n] {
		log = append(log, tokenName(ev.Token)+" "+ev.Ready.String())
	}
	slices.Sort(log)
	switch {
	case n > 0:
		return strings.Join(log, ", ")
	case timeout > 0 && p.Now()-start >= int64(timeout):
		return "timeout"
	}
	return "nothing"
}

// sweep waits so many times with room for so many events, and tells who was
// reported.
func (p *player) sweep(c *call) string {
	seen := map[string]bool{}
	for range p.num(c.args[0]) {
		dst := make([]asyncore.Event, p.num(c.args[1]))
		n, err := p.poller.Wait(dst, patience)
		if err != nil {
			return errorName(err)
		}
		for _, ev := range dst[:n] {
			seen[tokenName(ev.Token)] = true
		}
	}
	var names []string
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return strconv.Itoa(len(names)) + ": " + strings.Join(names, " ")
}
