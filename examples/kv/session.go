package main

import (
	"strings"

	"github.com/seed-20e08ac4/asyncore/chat"
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
	}
	s.request.next(c)
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
