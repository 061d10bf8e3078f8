package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const (
	softMistakes = 10 // from here on answers to mistakes are slow
	hardMistakes = 20
	maxChores    = 100 // commands between two messages that lead nowhere

	// spoolSize is how much of a message is collected before it is written.
	spoolSize = 64 << 10
)

var (
	commandLine = chat.Delim("\r\n").Limit(maxMail)
	dataLine    = chat.Delim("\r\n").Limit(2048)
)

// A session is one client's. It is in one of two states, with a Handler and a
// terminator for each: it wants a command, or a line of a message.
type session struct {
	*sink
	c    *chat.Conn
	loop *loop.Loop
	peer string

	commands, text *chat.Handler
	inText         bool
	working        bool        // paused until something is done
	gone           bool        // closed
	entered        bool        // counts as a guest
	early          bool        // what the client sends now comes too early
	timer          *loop.Timer // of alone, of the tarpit, or of the message

	mistakes int
	chores   int
	helo     string
	extended bool // it was EHLO

	// The mail transaction.
	begun bool
	from  string
	rcpts []string

	// The message.
	msg     *message // nil: spoilt
	line    textLine
	size    int64
	refusal string // why it is spoilt
}

func newSession(k *sink, c *chat.Conn) *session {
	s := &session{sink: k, c: c, loop: c.Channel().Loop()}
	s.peer = peerOf(c)
	s.commands = &chat.Handler{Message: s.command, TooLong: s.commandTooLong, Late: s.late, Close: s.closed}
	s.text = &chat.Handler{Collect: s.textPart, Message: s.textEnd, TooLong: s.textTooLong, Late: s.late, Close: s.closed}
	c.SetTerminator(commandLine)
	c.SetFrameTimeout(k.lineTime)
	s.alone(func() { s.reply("220 " + s.hostname + " ESMTP sink") })
	return s
}

// reply sends an answer. An error would be told to closed as well.
func (s *session) reply(answer string) { s.c.WriteString(answer + "\r\n") }

// refuse ends the session with an answer.
func (s *session) refuse(answer string) {
	s.reply(answer)
	s.c.Fail(fmt.Errorf("refused: %s", answer))
}

// goodbye is for a server that ends.
func (s *session) goodbye() {
	s.reply("421 4.3.2 " + s.hostname + " is shutting down")
	s.c.Close()
}

// closed is the one place where a session ends, for whatever reason.
func (s *session) closed(*chat.Conn, error) {
	s.gone = true
	s.timer.Stop()
	s.drop()
	s.leave(s)
}

// command is the Message of the state that wants one.
func (s *session) command(_ *chat.Conn, line []byte) {
	switch {
	case s.early:
		s.refuse(tooEarly)
		return
	case s.loop.Draining():
		s.goodbye()
		return
	}
	cmd, refusal := parse(line)
	if refusal != "" {
		s.mistake(refusal)
		return
	}
	switch cmd.verb {
	case "HELO", "EHLO":
		s.alone(func() { s.hello(cmd) })
	case "MAIL":
		s.beginMail(cmd)
	case "RCPT":
		s.addRecipient(cmd)
	case "DATA":
		s.beginText()
	case "RSET":
		s.reset()
		s.chore("250 2.0.0 forgotten")
	case "NOOP":
		s.chore("250 2.0.0 nothing done")
	case "VRFY":
		s.chore("252 2.5.0 everybody gets mail here")
	case "HELP":
		s.chore("214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT")
	case "QUIT":
		s.reply("221 2.0.0 bye")
		s.c.Close()
	}
}

func (s *session) commandTooLong(*chat.Conn) {
	if s.early {
		s.refuse(tooEarly)
		return
	}
	s.mistake(tooLong)
}

func (s *session) late(*chat.Conn) { s.refuse("421 4.4.2 too slow") }

// mistake answers one. Who makes many has to wait, and who makes more has to go.
func (s *session) mistake(answer string) {
	s.mistakes++
	switch {
	case answer[:3] == "521":
		s.refuse(answer)
	case s.mistakes >= hardMistakes:
		s.refuse("421 4.7.0 too many mistakes")
	case s.mistakes > softMistakes:
		s.c.Pause()
		s.timer = s.loop.After(s.tarpit, func() {
			s.reply(answer)
			s.c.Resume()
		})
	default:
		s.reply(answer)
	}
}

// chore answers a command that leads nowhere.
func (s *session) chore(answer string) {
	if s.chores++; s.chores > maxChores {
		s.refuse("421 4.7.0 nothing but chores")
		return
	}
	s.reply(answer)
}

const tooEarly = "554 5.5.0 sent before it was asked for"

// alone gives an answer that the client has to wait for (RFC 2920): what it has
// sent already was not written for the state that the answer puts us in. It may be
// a message, sent without asking, that would be read as commands. A timer of the
// next turn fires when all of that has been read: frames have come to command,
// and the beginning of one is in Tail.
func (s *session) alone(answer func()) {
	s.early = true
	s.timer = s.loop.After(0, func() {
		if len(s.c.Tail()) > 0 {
			s.refuse(tooEarly)
			return
		}
		s.early = false
		answer()
	})
}

const busy = "421 4.3.2 too busy"

// offload runs work where it may block, and then done. Until then no input comes,
// which is all the flow control there is: a client is as fast as the disk.
func (s *session) offload(work func() error, done func(error)) {
	s.c.Pause()
	s.working = true
	err := s.loop.Offload(work, func(err error) {
		s.working = false
		if err != nil && !errors.Is(err, errAbandoned) {
			s.report(err)
		}
		if s.gone {
			return
		}
		s.c.Resume() // nothing comes inside this call: done may pause again
		done(err)
		if s.loop.Draining() && !s.inText {
			s.goodbye()
		}
	})
	if err != nil {
		s.refuse(busy)
	}
}

func (s *session) hello(cmd command) {
	s.reset()
	if s.chores++; s.chores > maxChores {
		s.refuse("421 4.7.0 nothing but chores")
		return
	}
	s.helo, s.extended = cmd.arg, cmd.verb == "EHLO"
	if !s.extended {
		s.reply("250 " + s.hostname)
		return
	}
	s.reply(fmt.Sprintf("250-%s\r\n250-SIZE %d\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250 HELP",
		s.hostname, s.maxSize))
}

func (s *session) beginMail(cmd command) {
	switch {
	case s.helo == "":
		s.mistake("503 5.5.1 say EHLO first")
	case s.begun:
		s.mistake("503 5.5.1 one MAIL at a time")
	case cmd.size > s.maxSize:
		s.mistake(tooLarge)
	default:
		s.begun, s.from = true, cmd.path
		s.reply("250 2.1.0 ok")
	}
}

func (s *session) addRecipient(cmd command) {
	switch {
	case !s.begun:
		s.mistake("503 5.5.1 say MAIL first")
	case len(s.rcpts) >= s.maxRcpts:
		s.chore("452 4.5.3 too many recipients") // no mistake: the client will come again for them
	default:
		s.rcpts = append(s.rcpts, cmd.path)
		s.reply("250 2.1.5 ok")
	}
}

// beginText obeys DATA: first the file, then the answer that lets the text come.
func (s *session) beginText() {
	if len(s.rcpts) == 0 {
		s.alone(func() { s.mistake("503 5.5.1 say MAIL and RCPT first") })
		return
	}
	msg := s.mail.add()
	s.msg = msg
	s.offload(msg.create, func(err error) {
		s.alone(func() {
			if err != nil {
				s.reset()
				s.reply(refusalOf(err))
				return
			}
			msg.buf = s.trace(msg.id)
			s.inText = true
			s.c.SetHandler(s.text)
			s.c.SetTerminator(dataLine)
			s.timer = s.loop.After(s.messageTime, func() { s.refuse("421 4.4.2 the message takes too long") })
			s.reply("354 end with a line with one dot")
		})
	})
}

// trace returns the header fields that say where the message came from. Nothing
// in them has a byte that parse did not see.
func (s *session) trace(id string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Return-Path: <%s>\n", s.from)
	for _, to := range s.rcpts {
		fmt.Fprintf(&b, "X-Envelope-To: <%s>\n", to)
	}
	with := "SMTP"
	if s.extended {
		with = "ESMTP"
	}
	fmt.Fprintf(&b, "Received: from %s (%s)\n\tby %s with %s id %s;\n\t%s\n",
		s.helo, s.peer, s.hostname, with, id, time.Now().Format(time.RFC1123Z))
	return b.Bytes()
}

// textPart is the Collect of the state that wants a line of text.
func (s *session) textPart(_ *chat.Conn, p []byte) {
	if bare(p) {
		s.refuse("521 5.5.2 bare CR or LF")
		return
	}
	p = s.line.part(p)
	// The first fault is the one that is answered: what is in front of it counts first.
	if i := bytes.IndexByte(p, 0); i >= 0 {
		s.store(p[:i])
		s.spoil("550 5.6.0 a message has no NUL")
		p = p[i:]
	}
	s.store(p)
}

// textEnd is its Message: the line is complete.
func (s *session) textEnd(*chat.Conn, []byte) {
	if !s.line.end() {
		s.size++ // on the wire it has a CR as well
		s.store(newline)
		return
	}
	s.timer.Stop()
	s.inText = false
	s.c.SetHandler(s.commands)
	s.c.SetTerminator(commandLine)
	if s.msg == nil {
		s.reply(s.refusal)
		s.reset()
		return
	}
	msg := s.msg
	s.offload(msg.deliver, func(err error) {
		s.reset()
		if err != nil {
			s.reply(refusalOf(err))
			return
		}
		s.chores = 0
		s.reply("250 2.0.0 delivered as " + msg.id)
	})
}

var newline = []byte("\n")

// textTooLong: the rest of the line does not come, the next one does.
func (s *session) textTooLong(*chat.Conn) {
	s.line = textLine{}
	s.spoil(tooLong)
}

const tooLarge = "552 5.3.4 message too large"

// store adds text to the message, and has it written when there is enough.
func (s *session) store(p []byte) {
	s.size += int64(len(p))
	if s.size > s.maxSize {
		s.spoil(tooLarge)
	}
	if s.msg == nil {
		return
	}
	s.msg.buf = append(s.msg.buf, p...)
	if len(s.msg.buf) < spoolSize {
		return
	}
	s.offload(s.msg.write, func(err error) {
		if err != nil {
			s.spoil(refusalOf(err))
		}
	})
}

// spoil gives the message up. The answer has to wait for the end of its text.
func (s *session) spoil(refusal string) {
	if s.refusal == "" {
		s.refusal = refusal
	}
	s.drop()
}

// drop leaves nothing of a message that has not been delivered.
func (s *session) drop() {
	msg := s.msg
	s.msg = nil
	if msg == nil || !msg.abandon() {
		return
	}
	if s.loop.Offload(msg.discard, func(error) {}) != nil {
		msg.discard() // the loop is closed, or has too much to do to wait for this
	}
}

// reset ends the mail transaction.
func (s *session) reset() {
	s.drop()
	s.begun, s.from, s.rcpts = false, "", nil
	s.line, s.size, s.refusal = textLine{}, 0, ""
}
