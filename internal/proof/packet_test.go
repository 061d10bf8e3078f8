package proof

import (
	"errors"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// parcel is a PacketConn's ledger.
type parcel struct {
	w      *world
	c      *channel.PacketConn
	name   string
	closed bool
	gone   bool
	seen   map[byte]int // the last packet of each sender
	got    int
	sent   int
	errs   []error
}

// mail is PacketConns of one loop that send to each other.
type mail struct {
	w                *world
	network, address string
	room             int  // of a packet, at the server
	answers          bool // the server does
	all              []*parcel
}

// packets has PacketConns of one loop send to each other, to nobody, and too much.
// A packet begins with its sender's number and its own, of two bytes.
func packets(w *world) {
	w.packets = true
	m := &mail{w: w, network: []string{"udp", "unixgram", "unixpacket"}[w.Choose(3)]}
	m.address = map[string]string{
		"udp":        []string{"127.0.0.1:53", "10.0.0.1:53", "[::1]:53"}[w.Choose(3)],
		"unixgram":   "/run/packets",
		"unixpacket": "@packets",
	}[m.network]
	m.room = []int{64 << 10, 10, 1000}[w.Choose(3)]
	m.answers = w.Choose(2) == 1
	if !m.listen() {
		return
	}
	for i := range 1 + w.Choose(3) {
		m.client(i)
	}
	w.rest()
	w.pass(2 * time.Minute)
	w.rest()
	m.check()
}

// check looks at what has become of all packets.
func (m *mail) check() {
	w := m.w
	all := slices.DeleteFunc(m.all, func(p *parcel) bool { return p.c == nil })
	if got := w.told(all); got != w.fetched && m.network != "unixpacket" && !slices.ContainsFunc(all, func(p *parcel) bool { return p.closed }) {
		w.Errorf("%d packets were received, and %d delivered", w.fetched, got)
	}
	for _, p := range all {
		hitIf(50, len(p.errs) > 0)
	}
}

// open opens a ledger.
func (m *mail) open(name string) *parcel {
	p := &parcel{w: m.w, name: name, seen: map[byte]int{}}
	m.all = append(m.all, p)
	return p
}

// failed reports an error for which there is no reason.
func (m *mail) failed(what string, err error) {
	if !m.w.Faulted() {
		m.w.Errorf("%s: %v", what, err)
	}
}

// listen makes the server, and tells whether there is one.
func (m *mail) listen() bool {
	w := m.w
	if m.network == "unixpacket" {
		_, err := (&channel.ListenConfig{}).ListenSeqPacket(w.l, m.network, m.address, func(c *channel.PacketConn) *channel.PacketHandler {
			w.welcomed++
			server := m.open("server")
			server.c = c
			c.SetMaxPacket(m.room)
			return m.handler(server)
		})
		if err != nil {
			m.failed("listen", err)
		}
		return true // where nobody listens, nobody connects
	}
	server := m.open("server")
	c, err := channel.ListenPacket(w.l, m.network, m.address, m.handler(server))
	if err != nil {
		m.failed("listen", err)
		return false
	}
	server.c = c
	c.SetMaxPacket(m.room)
	return true
}

// enter begins a callback.
func (p *parcel) enter(hook string) {
	if p.w.depth++; p.w.depth > 1 || p.closed {
		p.w.Errorf("%s: %s inside a callback or after Close", p.name, hook)
	}
}

func (p *parcel) leave() { p.w.depth-- }

func (m *mail) handler(p *parcel) *channel.PacketHandler {
	return &channel.PacketHandler{
		Packet: func(c *channel.PacketConn, b []byte, from channel.PacketAddr, truncated bool) {
			p.enter("packet")
			defer p.leave()
			p.packet(b, truncated, m.room)
			m.answer(p, b, from)
		},
		Write: func(*channel.PacketConn) {
			p.enter("write")
			p.leave()
		},
		Error: func(_ *channel.PacketConn, err error) {
			p.enter("error")
			p.errs = append(p.errs, err)
			p.leave()
		},
		Close: func(_ *channel.PacketConn, err error) {
			p.enter("close")
			defer p.leave()
			p.closed = true
			m.closed(p, err)
		},
	}
}

// answer sends the beginning of a packet back, and rests now and then.
func (m *mail) answer(p *parcel, b []byte, from channel.PacketAddr) {
	w, c := m.w, p.c
	if m.answers && len(b) > 0 && p.name == "server" {
		if c.RemoteAddr() != nil {
			c.Write(b[:min(len(b), 3)])
		} else {
			c.WriteTo(b[:min(len(b), 3)], from)
		}
	}
	if w.Choose(10) == 9 {
		c.Pause()
		w.l.After(time.Duration(w.Choose(100))*time.Millisecond, func() {
			if !p.closed {
				c.Resume()
			}
		})
	}
}

// closed looks at the reason.
func (m *mail) closed(p *parcel, err error) {
	switch {
	case err == nil, errors.Is(err, loop.ErrClosed) && m.w.closing, errors.Is(err, net.ErrClosed) && p.gone, m.w.Faulted():
	case m.network == "unixpacket" && opErr(err): // of a connection
	default:
		m.w.Errorf("%s: closed with %v", p.name, err)
	}
}

// client dials, sends, and may go before all has been sent.
func (m *mail) client(i int) {
	w := m.w
	p := m.open("client")
	to := m.address
	if w.Choose(5) == 4 && m.network == "udp" {
		to = "127.0.0.1:54" // where nobody is
	}
	c, err := channel.DialPacket(w.l, m.network, to, m.handler(p))
	if err != nil {
		if m.network != "unixpacket" || !errors.Is(err, syscall.EAGAIN) {
			m.failed("dial", err)
		}
		p.closed = true
		return
	}
	p.c = c
	for range 1 + w.Choose(5) {
		w.l.After(time.Duration(w.Choose(100))*time.Millisecond, func() {
			for range 1 + w.Choose(40) {
				p.send(i)
			}
		})
	}
	if w.Choose(4) == 3 {
		w.l.After(time.Duration(w.Choose(200))*time.Millisecond, func() {
			p.gone = true
			if w.Choose(2) == 0 {
				p.c.Close()
			} else {
				p.c.Abort()
			}
		})
	}
}

// send sends one packet of the sender's.
func (p *parcel) send(sender int) {
	if p.closed {
		return
	}
	p.sent++
	size := []int{3, 3, 0, 100, 2000, 9000, 70_000}[p.w.Choose(7)]
	b := append([]byte{byte(sender), byte(p.sent >> 8), byte(p.sent)}, some(p.sent, max(size-3, 0))...)
	p.c.Write(b[:size])
}

// told is how many packets were delivered.
func (w *world) told(all []*parcel) (n int) {
	for _, p := range all {
		n += p.got
	}
	return n
}

// packet looks at one that has come.
func (p *parcel) packet(b []byte, truncated bool, room int) {
	w := p.w
	p.got++
	if p.name == "server" && len(b) > room {
		w.Errorf("a packet of %d bytes, and there is room for %d", len(b), room)
	}
	if len(b) < 3 {
		return
	}
	number := int(b[1])<<8 | int(b[2])
	if p.name == "server" {
		if last := p.seen[b[0]]; number <= last {
			w.Errorf("packet %d of client %d has come after %d", number, b[0], last)
		}
		p.seen[b[0]] = number
		if want := some(number, len(b)-3); string(b[3:]) != string(want) {
			w.Errorf("packet %d of client %d is not what was sent", number, b[0])
		}
	}
}
