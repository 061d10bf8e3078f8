package sim

import "github.com/seed-20e08ac4/asyncore"

// bits is what a descriptor is ready for, in the words of Linux's poll, and
// what the BSDs tell besides.
type bits uint16

const (
	in bits = 1 << iota
	out
	pri
	hup
	fault
	peerShut // the peer sends no more (POLLRDHUP)
	peerGone // and does not receive
	never    // a stream socket that was not connected yet
	broken   // a pipe without a reader, which no BSD watches
)

// flavour turns bits into the events of a poller.
type flavour func(b bits, want asyncore.Interest) asyncore.Interest

var flavours = map[string]flavour{
	"epoll":  pollEvents,
	"poll":   pollEvents,
	"select": selectEvents,
	"kqueue": kqueueEvents,
}

// pollEvents reports what was asked for, and unasked HangUp and Fault.
func pollEvents(b bits, want asyncore.Interest) (ready asyncore.Interest) {
	if b&in != 0 {
		ready |= asyncore.Readable & want
	}
	if b&out != 0 {
		ready |= asyncore.Writable & want
	}
	if b&pri != 0 {
		ready |= asyncore.Urgent & want
	}
	if b&hup != 0 {
		ready |= asyncore.HangUp
	}
	if b&fault != 0 {
		ready |= asyncore.Fault
	}
	return ready
}

// selectEvents has no words but the three: to it a hang-up can be read, and an
// error read and written.
func selectEvents(b bits, want asyncore.Interest) (ready asyncore.Interest) {
	if b&(in|hup|fault) != 0 {
		ready |= asyncore.Readable
	}
	if b&(out|fault) != 0 {
		ready |= asyncore.Writable
	}
	if b&pri != 0 {
		ready |= asyncore.Urgent
	}
	return ready & want
}

// kqueueEvents has a filter for each direction, with an end of its own, and
// none for urgent data. The end that the reader's filter tells may be half of
// it: if there is a writer's filter too, that is asked.
func kqueueEvents(b bits, want asyncore.Interest) (ready asyncore.Interest) {
	if b&never != 0 {
		return 0
	}
	if want&asyncore.Readable != 0 && b&(in|fault|peerShut) != 0 {
		ready |= asyncore.Readable
		if b&peerShut != 0 && want&asyncore.Writable == 0 {
			ready |= asyncore.HangUp
		}
	}
	if want&asyncore.Writable != 0 && b&(out|fault|peerGone) != 0 {
		ready |= asyncore.Writable
		if b&peerGone != 0 {
			ready |= asyncore.HangUp
		}
	}
	return ready
}
