package main

import (
	"cmp"
	"log"
	"maps"
	"net"
	"os"
	"slices"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/example"
)

// A sink is what the sessions of one loop share.
type sink struct {
	mail     *maildir
	hostname string

	maxSize  int64
	maxRcpts int

	lineTime    time.Duration // for a line that has begun
	messageTime time.Duration // however many lines it has
	tarpit      time.Duration // before the answer to a client that makes many mistakes

	sessions map[*session]struct{}
	guests   example.Guests

	logged time.Time
}

func newSink() *sink {
	name, _ := os.Hostname()
	if !validDomain(name, "-_") {
		name = "localhost"
	}
	return &sink{
		hostname:    name,
		maxSize:     10 << 20,
		maxRcpts:    100,
		lineTime:    time.Minute,
		messageTime: time.Hour,
		tarpit:      time.Second,
		sessions:    map[*session]struct{}{},
		guests:      example.Guests{Most: 20},
	}
}

// accept is for chat.Accept.
func (k *sink) accept(c *chat.Conn) *chat.Handler {
	s := newSession(k, c)
	k.sessions[s] = struct{}{}
	if s.entered = k.guests.Enter(c.RemoteAddr()); !s.entered {
		s.refuse("421 4.7.0 too many connections from your address")
	}
	return s.commands
}

// leave takes s off the books.
func (k *sink) leave(s *session) {
	delete(k.sessions, s)
	if s.entered {
		k.guests.Leave(s.c.RemoteAddr())
	}
}

// goodbye tells everybody that the server ends. A message that is under way may
// still come to its end.
func (k *sink) goodbye() {
	byAge := func(a, b *session) int { return cmp.Compare(a.c.ID(), b.c.ID()) }
	for _, s := range slices.SortedFunc(maps.Keys(k.sessions), byAge) {
		if !s.inText && !s.working {
			s.goodbye()
		}
	}
}

// report logs trouble with the disk, once a second at most.
func (k *sink) report(err error) {
	if now := time.Now(); now.Sub(k.logged) >= time.Second {
		k.logged = now
		log.Printf("smtpsink: %v", err)
	}
}

// peerOf returns a client's address as a header field has it.
func peerOf(c *chat.Conn) string {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return "[local]"
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}
