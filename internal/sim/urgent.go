package sim

import "syscall"

// urgent is what a TCP socket knows of out-of-band bytes. They travel among the
// others, and are skipped when it is their turn to be read.
type urgent struct {
	read, arrived int64   // how many bytes were
	marks         []int64 // the numbers of bytes that were sent and have not arrived

	state urgentState
	at    int64 // the byte's number, -1 if it was refused
	b     byte
}

type urgentState uint8

const (
	urgentNone  urgentState = iota
	urgentValid             // not taken yet
	urgentTaken
)

// here tells whether the urgent byte is the next one.
func (u *urgent) here() bool { return u.state != urgentNone && u.at == u.read }

func (s *tcp) sendUrgent(b byte) syscall.Errno {
	if s.state == tcpEstablished && !s.noWrite && s.err == 0 && s.out.len() < s.sendRoom {
		s.urgent.marks = append(s.urgent.marks, s.sentBytes())
		s.out.write([]byte{b})
		s.push()
		return 0
	}
	_, e := s.send([]byte{b})
	return e
}

// sentBytes is how many bytes were sent so far, arrived or not.
func (s *tcp) sentBytes() int64 { return s.peer.urgent.arrived + int64(s.out.len()) }

// passMarks tells the peer which of the bytes that have arrived are urgent.
func (s *tcp) passMarks() {
	u := &s.urgent
	for len(u.marks) > 0 && u.marks[0] < s.peer.urgent.arrived {
		s.peer.markUrgent(u.marks[0])
		u.marks = u.marks[1:]
	}
}

// refuseMarks gives the peer an urgent byte of n bytes that it refuses, for it takes
// the byte before it does. It is not among those that can be read.
func (s *tcp) refuseMarks(n int) {
	u, p := &s.urgent, &s.peer.urgent
	for len(u.marks) > 0 && u.marks[0] < p.arrived+int64(n) {
		p.state, p.at, p.b = urgentValid, -1, s.out.bytes()[u.marks[0]-p.arrived]
		u.marks = u.marks[1:]
	}
}

// markUrgent makes a byte the urgent one. The last one, if it was not passed, is an
// ordinary byte then, unless it was the next to be read.
func (s *tcp) markUrgent(at int64) {
	u := &s.urgent
	if at < u.read {
		return
	}
	if u.here() && at != u.at {
		s.in.drop(1)
		u.read++
	}
	u.state, u.at, u.b = urgentValid, at, s.in.bytes()[at-u.read]
	s.touch()
}

func (s *tcp) recvUrgent() (byte, syscall.Errno) {
	u := &s.urgent
	switch {
	case s.state == tcpListening:
		return 0, syscall.ENOTCONN
	case u.state == urgentValid && s.state == tcpClosed && !s.finSeen:
		return 0, syscall.ENOTCONN
	case u.state == urgentValid:
		u.state = urgentTaken
		return u.b, 0
	}
	return 0, syscall.EINVAL
}

// skipUrgent passes the urgent byte if it is the next.
func (s *tcp) skipUrgent() {
	u := &s.urgent
	if u.here() {
		s.in.drop(1)
		u.read++
		u.state = urgentNone
	}
}

// upToUrgent is how many of n bytes can be read at once: none behind the mark.
func (s *tcp) upToUrgent(n int) int {
	u := &s.urgent
	if u.state != urgentNone && u.at >= u.read {
		n = min(n, int(u.at-u.read))
	}
	return n
}
