package main

import (
	"strings"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// session is one client.
type session struct {
	*server
	conn    *chat.Conn
	request request

	db       int
	name     string
	channels []string // subscribed to, in the order of that
	quitting bool     // close behind the reply

	// A command of several frames has its time as a whole. The timer goes on when
	// it is complete, and finds that out: most are at once.
	begun time.Duration // when the command that is not complete began; 0: there is none
	late  *loop.Timer
	armed bool
}

func (s *session) message(c *chat.Conn, msg []byte) {
	complete, err := s.request.frame(msg)
	if err != nil {
		s.out = s.out[:0]
		s.out.fail("ERR " + err.Error())
		c.Push(s.out)
		c.Fail(err)
		return
	}
	if complete {
		if len(s.request.args) > 0 {
			s.execute(s.request.args)
		}
		s.request.release()
		s.begun = 0
	} else if s.begun == 0 {
		s.begin()
	}
	s.request.next(c)
}

// begin has the rest of a command come in time.
func (s *session) begin() {
	s.begun = s.loop.Now()
	switch {
	case s.armed:
		return
	case s.late == nil:
		s.late = s.loop.After(commandTimeout, s.overdue)
	default:
		s.late.Reset(commandTimeout)
	}
	s.armed = true
}

func (s *session) overdue() {
	s.armed = false
	if s.begun == 0 {
		return
	}
	now := s.loop.Now()
	if !s.conn.Channel().Reading() {
		s.begun = now // it may have come, and is not read: the client takes his messages slowly
	}
	left := commandTimeout - (now - s.begun)
	if left <= 0 {
		s.conn.Fail(chat.ErrFrameTimeout)
		return
	}
	s.late.Reset(left)
	s.armed = true
}

// execute runs one command, and sends its reply in one piece.
func (s *session) execute(args [][]byte) {
	s.processed++
	s.out = s.out[:0]
	cmd := lookup(args)
	switch {
	case cmd == nil:
		s.unknown(args)
	case cmd.arity > 0 && len(args) != cmd.arity || len(args) < -cmd.arity:
		s.wrongArgs(cmd)
	case cmd.flags&writes != 0 && s.keys.used > s.limits.memory:
		s.out.fail("OOM command not allowed when used memory > 'maxmemory'.")
	case len(s.channels) > 0 && cmd.flags&subscribed == 0:
		s.out.fail("ERR Can't execute '" + cmd.name + "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
	default:
		cmd.run(s, args)
	}
	if s.conn.Push(s.out) != nil {
		s.conn.Abort() // nobody is there for the answers to what has come besides
	}
	if cap(s.out) > largeReply {
		s.out = nil
	}
	if s.quitting {
		s.conn.Close()
	}
}

// yield lets the others have their turn before the client's next command: this
// one may take long.
func (s *session) yield() {
	s.conn.Pause()
	s.loop.After(0, s.conn.Resume)
}

// closed: the client has gone.
func (s *session) closed(*chat.Conn, error) {
	s.clients--
	s.request.release()
	if s.late != nil {
		s.late.Stop()
	}
	for len(s.channels) > 0 {
		s.leave(s.channels[0])
	}
}

func (s *session) unknown(args [][]byte) {
	if len(args) > 1 && lookup(args[:1]) != nil {
		s.out.fail("ERR unknown subcommand '" + head(args[1]) + "'. Try " + strings.ToUpper(string(args[0])) + " HELP.")
		return
	}
	var began strings.Builder
	for _, arg := range args[1:] {
		if began.Len() >= quoted {
			break
		}
		began.WriteString("'" + string(cString(arg, quoted-began.Len())) + "' ")
	}
	s.out.fail("ERR unknown command '" + head(args[0]) + "', with args beginning with: " + began.String())
}
