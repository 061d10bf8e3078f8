package main

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// prober asks one question of several servers.
type prober struct {
	question dnsmessage.Question
	timeout  time.Duration
	tries    int
	poller   string
	out      io.Writer

	loop   *loop.Loop
	failed int
}

func (p *prober) run(servers []string) (err error) {
	if p.loop, err = loop.New(loop.Config{Poller: p.poller}); err != nil {
		return err
	}
	defer p.loop.Close()
	for _, s := range servers {
		q := &query{prober: p, server: s, id: uint16(rand.Uint32()), asked: time.Now()}
		if err := q.begin(); err != nil {
			return err
		}
	}
	if err := p.loop.Run(context.Background()); err != nil {
		return err
	}
	if p.failed > 0 {
		return fmt.Errorf("%d of %d servers have not answered", p.failed, len(servers))
	}
	return nil
}

// query is the question to one server.
type query struct {
	*prober
	server  string
	id      uint16
	message []byte
	udp     *channel.PacketConn
	tcp     *chat.Conn
	tried   int
	again   *loop.Timer
	asked   time.Time
	heard   error // what the network has said of the server
	over    bool
}

func (q *query) begin() (err error) {
	if q.message, err = pack(q.id, q.question); err != nil {
		return err
	}
	q.udp, err = channel.DialPacket(q.loop, "udp", q.server, &channel.PacketHandler{
		Packet: q.packet,
		Error:  func(_ *channel.PacketConn, err error) { q.heard = err },
	})
	if err != nil {
		q.end(nil, err)
		return nil
	}
	q.ask()
	return nil
}

// ask sends the question, once more if need be. That nobody is there, as the network
// may say, can be over by then.
func (q *query) ask() {
	if q.tried == q.tries {
		q.end(nil, cmp.Or(q.heard, os.ErrDeadlineExceeded))
		return
	}
	q.tried++
	q.udp.Write(q.message)
	q.again = q.loop.After(q.timeout, q.ask)
}

func (q *query) packet(_ *channel.PacketConn, p []byte, _ channel.PacketAddr, _ bool) {
	a, err := unpack(p, q.id, q.question)
	switch {
	case errors.Is(err, errNotOurs) || q.tcp != nil:
		// a late answer, or somebody guesses
	case a.truncated:
		q.overTCP()
	default:
		q.end(a.records, err)
	}
}

// overTCP asks by TCP, where each message has its length in front.
func (q *query) overTCP() {
	q.again.Stop()
	// For all of it: an idle timeout would wait for who sends a byte now and then.
	q.again = q.loop.After(q.timeout*time.Duration(q.tries), func() { q.end(nil, os.ErrDeadlineExceeded) })
	c := channel.Dial(q.loop, "tcp", q.server, &channel.Handler{})
	q.tcp = chat.Attach(c, &chat.Handler{
		Connect: func(c *chat.Conn) {
			c.Push(binary.BigEndian.AppendUint16(nil, uint16(len(q.message))), q.message)
		},
		Message: func(_ *chat.Conn, p []byte) {
			a, err := unpack(p, q.id, q.question)
			if a.truncated {
				err = errors.New("answer is cut short by TCP too")
			}
			q.end(a.records, err)
		},
		Close: func(_ *chat.Conn, err error) { q.end(nil, cmp.Or(err, io.ErrUnexpectedEOF)) },
	})
	q.tcp.SetTerminator(chat.LengthPrefix(2, binary.BigEndian))
}

// end prints what has come of the question. The first word counts.
func (q *query) end(records []string, err error) {
	if q.over {
		return
	}
	q.over = true
	took := time.Since(q.asked).Round(10 * time.Microsecond)
	if err != nil {
		q.failed++
		fmt.Fprintf(q.out, "%s: %v (%v)\n", q.server, err, took)
	} else {
		by := "UDP"
		if q.tcp != nil {
			by = "TCP"
		}
		fmt.Fprintf(q.out, "%s: %d records by %s, asked %d times (%v)\n", q.server, len(records), by, q.tried, took)
		for _, r := range records {
			fmt.Fprintf(q.out, "\t%s\n", r)
		}
	}
	if q.again != nil {
		q.again.Stop()
	}
	if q.udp != nil {
		q.udp.Abort()
	}
	if q.tcp != nil {
		q.tcp.Abort()
	}
}
