package main

import (
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
)

// Who has a name is silent for as long as -idle says, and no longer.
func TestIdleMember(t *testing.T) {
	r := newRoom()
	r.idle = time.Hour
	p := asynctest.Pipe(t, chat.Accept(r.accept))
	p.Expect("* Your name?\r\n").Feed("ann\n").Expect("* ann has come in\r\n").Advance(59 * time.Minute)
	p.Feed("/who\n").Expect("* ann\r\n").Advance(59 * time.Minute)
	p.Advance(time.Minute).ExpectClosed(channel.ErrIdle)
}
