package faultsys_test

import (
	"bytes"
	"net"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const (
	// sweepPacket is how long the packets are in which the text is sent.
	sweepPacket = 4000
	// sweepAgain is after which time a client sends a packet again that has not
	// come back, and sweepAgains how often it does.
	sweepAgain  = 500 * time.Millisecond
	sweepAgains = 20
)

// listenPackets serves by sending each packet back.
func (r *sweepRun) listenPackets() error {
	if r.network == "unixpacket" {
		lc := channel.ListenConfig{Closed: func(_ *channel.Listener, err error) { r.reason = err }}
		_, err := lc.ListenSeqPacket(r.l, r.network, r.address, func(c *channel.PacketConn) *channel.PacketHandler {
			c.SetIdleTimeout(sweepIdle)
			c.SetMaxPacket(sweepPacket)
			return r.peer("server", nil).packetHandler(func(b []byte, _ channel.PacketAddr) { c.Write(b) })
		})
		return err
	}
	p := r.peer("server", nil)
	p.stays = true
	var c *channel.PacketConn
	h := p.packetHandler(func(b []byte, from channel.PacketAddr) { c.WriteTo(b, from) })
	c, err := channel.ListenPacket(r.l, r.network, r.address, h)
	if err != nil {
		p.closes++ // it has never been
		p.err = err
		return err
	}
	c.SetMaxPacket(sweepPacket)
	return nil
}

// dialPackets sends the text piece by piece, each when the one before has come
// back.
func (r *sweepRun) dialPackets(p *sweepPeer) {
	var c *channel.PacketConn
	next := func() { c.Write(p.want[len(p.got):][:sweepPacket]) }
	var again *loop.Timer
	times := 0
	h := p.packetHandler(func(b []byte, _ channel.PacketAddr) {
		if !bytes.Equal(b, p.want[len(p.got):][:len(b)]) {
			return // the answer to one that was sent twice
		}
		p.got = append(p.got, b...)
		times = 0
		if p.complete() {
			c.Close()
			return
		}
		next()
	})
	closed := h.Close
	h.Close = func(c *channel.PacketConn, err error) {
		if again != nil {
			again.Stop()
		}
		closed(c, err)
	}
	c, err := channel.DialPacket(r.l, r.network, r.address, h)
	if err != nil {
		p.closes++
		p.err = err
		return
	}
	c.SetMaxPacket(sweepPacket)
	again = r.l.Every(sweepAgain, func() {
		if times++; times > sweepAgains {
			c.Abort()
			return
		}
		next()
	})
	next()
}

// packetHandler records and checks, as handler does.
func (p *sweepPeer) packetHandler(packet func([]byte, channel.PacketAddr)) *channel.PacketHandler {
	p.connected = true
	return &channel.PacketHandler{
		Packet: func(_ *channel.PacketConn, b []byte, from channel.PacketAddr, truncated bool) {
			if p.closes > 0 || truncated || len(b) != sweepPacket {
				p.r.Errorf("%s: a packet of %d bytes, %d closes", p.name, len(b), p.closes)
			}
			packet(b, from)
		},
		Error: func(_ *channel.PacketConn, err error) {
			if _, ok := err.(*net.OpError); !ok || p.closes > 0 {
				p.r.Errorf("%s: told of %v, %d closes", p.name, err, p.closes)
			}
		},
		Close: func(_ *channel.PacketConn, err error) {
			p.closes++
			p.err = err
		},
	}
}
