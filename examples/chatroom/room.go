package main

import (
	"slices"
	"strings"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/example"
)

const (
	lineLimit = 1000
	// A member for whom more than outputLimit bytes wait is dropped: with 2,000
	// who do not read, a shouter costs half a gigabyte less than by default.
	highWater   = 64 << 10
	outputLimit = 256 << 10
	// burst is how many seconds' worth of lines may come at once.
	burst = 2
)

// room is what its members share. It belongs to the loop, so nothing is locked.
type room struct {
	rate   int // lines a second of a member; 0: any number
	idle   time.Duration
	guests example.Guests

	members []*member // in the order in which they came
	names   map[string]*member
	text    []byte // of the line that is being sent
}

func newRoom() *room {
	return &room{rate: 20, guests: example.Guests{Most: 20}, names: map[string]*member{}}
}

func (r *room) accept(c *chat.Conn) *chat.Handler {
	if !r.guests.Enter(c.RemoteAddr()) {
		return nil
	}
	m := &member{room: r, c: c}
	c.SetTerminator(chat.Line.Limit(lineLimit))
	c.Channel().SetWater(16<<10, highWater, outputLimit)
	m.askName()
	return &chat.Handler{Message: m.line, TooLong: m.tooLong, Close: m.closed}
}

// join gives m a name, which it may already have had another one of.
func (r *room) join(m *member, name string) {
	old := m.name
	m.name = name
	r.names[strings.ToLower(name)] = m
	if old == "" {
		r.members = append(r.members, m)
		r.tell(nil, "* ", name, " has come in")
		return
	}
	if low := strings.ToLower(old); low != strings.ToLower(name) {
		delete(r.names, low)
	}
	r.tell(nil, "* ", old, " is now ", name)
}

func (r *room) leave(m *member) {
	r.guests.Leave(m.c.RemoteAddr())
	if m.name == "" {
		return
	}
	r.members = slices.DeleteFunc(r.members, func(o *member) bool { return o == m })
	delete(r.names, strings.ToLower(m.name))
	r.tell(nil, "* ", m.name, " has left")
}

// tell sends a line to all but one. It is put together once. A member who cannot
// take it is closed by that, which the room is told later.
func (r *room) tell(but *member, parts ...string) {
	r.text = appendLine(r.text[:0], parts...)
	for _, m := range r.members {
		if m != but {
			m.c.Push(r.text)
		}
	}
}

func appendLine(text []byte, parts ...string) []byte {
	for _, p := range parts {
		text = append(text, p...)
	}
	return append(text, "\r\n"...)
}
