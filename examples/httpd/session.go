package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/example"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const maxRequests = 1000 // of one connection

// A line ends at its line feed, so that one without a carriage return before it
// is found and refused at once, not when a deadline has passed.
var (
	headerLine = chat.Delim("\n").Limit(maxLine)
	bodyLine   = chat.Delim("\n").Limit(maxChunkLine)
)

// site is what all sessions share.
type site struct {
	root   *os.Root
	inline bool        // files are opened on the loop
	log    *log.Logger // nil: nothing is logged
	guests example.Guests
	now    func() time.Time
	clock  clock

	// How long a peer may take: for a whole header, for a whole body, and until
	// it says something.
	header, body, idle time.Duration
}

func newSite(root *os.Root) *site {
	return &site{root: root, now: time.Now, header: 10 * time.Second, body: 30 * time.Second, idle: 60 * time.Second}
}

// session is one connection: a header, its body, the answer, and again. While an
// answer is being made or a file sent the Conn is paused, so that answers are in
// the order of their requests, and one file at most is open.
type session struct {
	*site
	c        *chat.Conn
	line     []byte // that is under way
	req      *request
	body     body
	began    time.Duration // since when the peer owes the rest of header or body
	limit    time.Duration // how long it may; 0: it owes nothing
	timer    *loop.Timer
	expires  time.Duration // timer; 0: not at all
	requests int
	rest     *io.LimitedReader // of the file that is being sent
	file     *os.File
	closed   bool
}

func (s *site) accept(c *chat.Conn) *chat.Handler {
	if !s.guests.Enter(c.RemoteAddr()) {
		return nil
	}
	x := &session{site: s, c: c, req: new(request)}
	c.Channel().SetIdleTimeout(s.idle)
	c.SetTerminator(headerLine)
	return &chat.Handler{Collect: x.collect, Message: x.frame, TooLong: x.tooLong, Write: x.room, Close: x.close}
}

// collect keeps lines; the bytes of a body are nobody's. It has the first byte of
// a header, whose deadline no later byte puts off.
func (s *session) collect(_ *chat.Conn, data []byte) {
	if s.limit == 0 {
		s.owes(s.header)
	}
	if !s.body.counted() {
		s.line = append(s.line, data...)
	}
}

func (s *session) frame(*chat.Conn, []byte) {
	line := s.line
	s.line = s.line[:0]
	if !s.body.over() {
		s.bodyFrame(line)
		return
	}
	if s.limit == 0 {
		s.owes(s.header) // the line has no bytes
	}
	switch done, status := s.req.line(line); {
	case status != 0:
		s.refuse(status)
	case done:
		s.headed()
	}
}

// headed has the whole header.
func (s *session) headed() {
	s.body = newBody(s.req.length)
	switch {
	case s.body.over():
		s.answer()
		return
	case s.req.waits() && !isAllowed(s.req.method):
		s.refuse(http.StatusMethodNotAllowed) // before the body is sent for nothing
		return
	case s.req.waits():
		s.c.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
	}
	s.owes(s.site.body)
	s.expect()
}

func (s *session) expect() {
	if s.body.counted() {
		s.c.SetTerminator(chat.Count(int(s.body.n)))
	} else {
		s.c.SetTerminator(bodyLine)
	}
}

func (s *session) bodyFrame(line []byte) {
	switch status := s.body.frame(line); {
	case status != 0:
		s.refuse(status)
	case s.body.over():
		s.c.SetTerminator(headerLine)
		s.answer()
	default:
		s.expect()
	}
}

func (s *session) tooLong(*chat.Conn) {
	switch {
	case !s.body.over():
		s.refuse(http.StatusBadRequest)
	case s.req.begun:
		s.refuse(http.StatusRequestHeaderFieldsTooLarge)
	default:
		s.refuse(http.StatusRequestURITooLong)
	}
}

// answer answers the request, whose end has come.
func (s *session) answer() {
	s.owes(0)
	r := s.req
	switch {
	case r.method == "OPTIONS":
		a := &answer{status: http.StatusNoContent}
		a.set("Allow", allowed)
		s.send(a)
	case !isAllowed(r.method):
		s.send(problem(http.StatusMethodNotAllowed))
	case s.inline:
		s.send(find(s.root, r))
	default:
		s.offload(r)
	}
}

// offload opens the file where that may take its time: on the loop a disk that
// does not answer would stop everybody. It costs 5 to 10 µs a request, where
// opening takes as long: -inline is for those to whom the disk is memory.
func (s *session) offload(r *request) {
	a, root := problem(http.StatusInternalServerError), s.root
	s.c.Pause()
	err := s.c.Channel().Loop().Offload(func() error {
		a = find(root, r)
		return nil
	}, func(error) {
		if s.closed {
			a.discard()
			return
		}
		s.c.Resume()
		s.send(a)
	})
	if err != nil {
		s.c.Resume()
		s.send(problem(http.StatusServiceUnavailable))
	}
}

// send sends an answer, and has the next request come, or nothing more.
func (s *session) send(a *answer) {
	s.requests++
	keep := s.req.keepAlive() && s.requests < maxRequests && !s.c.Channel().Loop().Draining()
	connection := ""
	switch {
	case !keep:
		connection = "close"
	case s.req.minor == 0:
		connection = "keep-alive"
	}
	s.logged(a)
	header := a.header(s.clock.date(s.now()), connection)
	if s.req.method == "HEAD" {
		a.content = nil
	}
	s.c.Push(header, a.content)
	if a.file != nil {
		s.sendFile(a)
	}
	s.req = new(request)
	if !keep {
		s.owes(0)
		s.c.Close()
	}
}

// sendFile queues the file, and behind it what is to be done when it has gone out:
// until then no other request is read.
func (s *session) sendFile(a *answer) {
	s.file, s.rest = a.file, &io.LimitedReader{R: a.file, N: a.length}
	s.c.Pause()
	s.c.PushProducer(s.rest)
	if s.c.PushProducer(then(s.fileSent)) != nil {
		s.c.Abort() // it has nobody to go to
	}
}

// fileSent fails where the file has become shorter than the header said: the
// Conn is then reset, and its client does not take a part for the whole.
func (s *session) fileSent() error {
	s.closeFile()
	if s.rest.N > 0 {
		return io.ErrUnexpectedEOF
	}
	s.c.Resume()
	return nil
}

// room also comes where a file has nobody to go to any more.
func (s *session) room(c *chat.Conn) {
	if c.Push() != nil {
		c.Abort()
	}
}

// then is a producer of nothing, that is asked when all before it has gone out.
type then func() error

func (f then) Read([]byte) (int, error) {
	if err := f(); err != nil {
		return 0, err
	}
	return 0, io.EOF
}

// refuse answers what is no request, or not one that can be answered, and closes:
// nobody knows where the next one begins.
func (s *session) refuse(status int) {
	s.owes(0)
	s.req.minor, s.req.fields = 0, nil // no keep-alive
	s.send(problem(status))
}

// owes gives the peer a time for the whole of what it sends now. The timer is not
// touched for each: it finds out when it expires.
func (s *session) owes(limit time.Duration) {
	s.limit, s.began = limit, s.c.Channel().Loop().Now()
	if limit != 0 && (s.expires == 0 || s.began+limit < s.expires) {
		s.expire(s.began + limit)
	}
}

func (s *session) expire(at time.Duration) {
	l := s.c.Channel().Loop()
	s.expires = at
	if s.timer == nil {
		s.timer = l.After(at-l.Now(), s.late)
	} else {
		s.timer.Reset(at - l.Now())
	}
}

func (s *session) late() {
	s.expires = 0
	if s.limit == 0 {
		return
	}
	now := s.c.Channel().Loop().Now()
	if !s.c.Channel().Reading() { // it was we who did not read
		s.began = now
	}
	if due := s.began + s.limit; due > now {
		s.expire(due)
		return
	}
	s.refuse(http.StatusRequestTimeout)
}

func (s *session) close(*chat.Conn, error) {
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	s.closeFile()
	s.guests.Leave(s.c.RemoteAddr())
}

func (s *session) closeFile() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}

// discard is for an answer that nobody will get.
func (a *answer) discard() {
	if a.file != nil {
		a.file.Close()
	}
}

// logged writes a line about an answer. What came by the wire is cut, and escaped.
func (s *session) logged(a *answer) {
	if s.log == nil {
		return
	}
	client := "unix"
	if addr := s.c.RemoteAddr(); addr != nil && addr.String() != "" {
		client = addr.String()
	}
	s.log.Printf("%s %+.16q %+.128q %d %d", client, s.req.method, strings.ToValidUTF8(s.req.target, "?"), a.status, a.length)
}
