package sim

import "syscall"

func (s *tcp) shutdown(read, write bool) syscall.Errno {
	if s.told == toldWait {
		s.told = toldMade
		if s.state == tcpClosed {
			s.told = toldOver
		}
	}
	switch s.state {
	case tcpClosed:
		s.noRead, s.noWrite = s.noRead || read, s.noWrite || write
		s.touch()
		return syscall.ENOTCONN
	case tcpListening:
		if read {
			s.stopListening()
			s.touch()
		}
		return 0
	case tcpSynSent:
		s.finish()
		s.err, s.told = syscall.ECONNRESET, toldNothing
		s.disconnect()
		s.touch()
		return 0
	}
	s.noRead = s.noRead || read
	s.touch()
	if write {
		s.endOutput()
	}
	return 0
}

// endOutput sends the FIN, behind what is still to be sent.
func (s *tcp) endOutput() {
	s.noWrite = true
	if s.finAsked {
		return
	}
	s.finAsked, s.first = true, !s.finSeen
	s.push()
}

// finDelivered is the arrival of our FIN at the peer.
func (s *tcp) finDelivered() {
	s.finArrived = true
	s.peer.finHere()
	s.endIfOver()
}

// finHere is the arrival of the peer's.
func (s *tcp) finHere() {
	if s.state == tcpClosed {
		return
	}
	s.finSeen, s.noRead = true, true
	s.touch()
	s.endIfOver()
}

// endIfOver ends a connection when both have sent all and know it. The one that was
// the first keeps its port for a while.
func (s *tcp) endIfOver() {
	if s.state != tcpEstablished || !s.finArrived || !s.finSeen {
		return
	}
	if s.first {
		s.ports().linger(&s.binding, s.p.k.now)
	}
	s.finish()
	s.touch()
}

// finish leaves nothing of the connection but what was not read.
func (s *tcp) finish() {
	s.state = tcpClosed
	s.out.cut(s.flying)
	if s.to.IsValid() {
		delete(s.p.host.connected, pair{s.addr(), s.to})
	}
	s.lose()
	if s.orphan {
		s.leave()
	}
}

// lose gives a port back that the kernel has chosen. The name stays.
func (s *tcp) lose() {
	if !s.chosen {
		s.leave()
	}
}

// abort ends the connection with a reset.
func (s *tcp) abort() {
	s.sendReset()
	s.finish()
}

// refuse answers data that nobody can read.
func (s *tcp) refuse() {
	s.sendReset()
	s.resetArrived()
}

// sendReset sends a RST, which nobody sends again if it is lost.
func (s *tcp) sendReset() {
	if s.wire == nil || !s.wire.link.partitioned {
		s.overWire(s.peer.resetArrived)
	}
}

// resetArrived is the arrival of a RST.
func (s *tcp) resetArrived() {
	switch {
	case s.state == tcpClosed:
	case s.state == tcpSynSent:
		s.fail(syscall.ECONNREFUSED)
	case s.finSeen && !s.finAsked:
		s.fail(syscall.EPIPE)
	default:
		s.fail(syscall.ECONNRESET)
	}
}

// fail ends the connection with an error. What has arrived can still be read.
func (s *tcp) fail(e syscall.Errno) {
	if s.state == tcpSynReceived {
		s.listener.coming--
		s.orphan = true // nobody will accept it
	}
	s.err = e
	s.noRead, s.noWrite = true, true
	s.finish()
	s.touch()
}
