package main

import (
	"errors"
	"strings"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const (
	nameLimit = 20
	// nameTime is how long who has come may take for his name.
	nameTime = time.Minute
	// patience is how long a member may send too fast. What he has sent in that time
	// is said when he has long gone.
	patience = 30 * time.Second
)

var errFlood = errors.New("too many lines for too long")

// member is one connection; it is in the room once it has a name.
type member struct {
	room *room
	c    *chat.Conn
	name string

	free  time.Duration // when lines that came at the allowed rate would be paid for
	since time.Duration // the last time that they were
	pause *loop.Timer   // while more came than that
}

func (m *member) askName() {
	m.c.Channel().SetIdleTimeout(nameTime)
	m.c.SetFrameTimeout(nameTime)
	m.tell("* Your name?")
}

// line is Handler.Message. A line of no visible bytes says nothing.
func (m *member) line(c *chat.Conn, p []byte) {
	m.slowDown()
	text := strings.TrimSpace(visible(p))
	switch {
	case text == "":
	case m.name == "":
		if m.rename(text) {
			c.Channel().SetIdleTimeout(m.room.idle)
		}
	case text[0] == '/':
		m.command(text)
	default:
		m.room.tell(m, m.name, ": ", text)
	}
}

func (m *member) command(text string) {
	verb, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch verb {
	case "/who":
		m.room.text = m.room.text[:0]
		for _, o := range m.room.members {
			m.room.text = appendLine(m.room.text, "* ", o.name)
		}
		m.c.Push(m.room.text) // in one piece: it may be longer than what may wait
	case "/msg":
		name, text, _ := strings.Cut(rest, " ")
		to := m.room.names[strings.ToLower(name)]
		switch {
		case to == nil:
			m.tell("* Nobody is called ", name)
		case strings.TrimSpace(text) == "":
			m.tell("* /msg NAME TEXT")
		default:
			to.tell(m.name, " (to you): ", text)
		}
	case "/nick":
		m.rename(rest)
	case "/quit":
		m.tell("* Bye")
		m.c.Close()
	default:
		m.tell("* /who, /msg NAME TEXT, /nick NAME, /quit")
	}
}

// rename gives m the name, if it may have it.
func (m *member) rename(name string) bool {
	switch o := m.room.names[strings.ToLower(name)]; {
	case !validName(name):
		m.tell("* A name has letters, digits, - and _, 20 at most")
	case o != nil && o != m:
		m.tell("* ", name, " is here already")
	default:
		m.room.join(m, name)
		return true
	}
	return false
}

func (m *member) tell(parts ...string) {
	m.room.text = appendLine(m.room.text[:0], parts...)
	m.c.Push(m.room.text)
}

// slowDown stops input for as long as the lines so far have come too fast. What has
// been read already waits in the Conn, and the rest in the kernels, so that in the
// end the member has to wait himself.
func (m *member) slowDown() {
	if m.room.rate <= 0 {
		return
	}
	l := m.c.Channel().Loop()
	now := l.Now()
	if m.free <= now {
		m.free, m.since = now, now
	}
	m.free += time.Second / time.Duration(m.room.rate)
	switch early := m.free - now - burst*time.Second; {
	case now-m.since > patience:
		m.c.Fail(errFlood)
	case early > 0:
		m.c.Pause()
		m.pause = l.After(early, m.c.Resume)
	}
}

func (m *member) tooLong(*chat.Conn) {
	m.slowDown()
	m.tell("* That line is too long")
}

func (m *member) closed(*chat.Conn, error) {
	if m.pause != nil {
		m.pause.Stop()
	}
	m.room.leave(m)
}
