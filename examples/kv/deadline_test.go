package main

import (
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/chat"
)

// A command that stays incomplete ends its connection, wherever it stops.
func TestIncompleteCommand(t *testing.T) {
	for _, begun := range []string{
		"PI", "*", "*2", "*2\r\n", "*2\r\n$3", "*2\r\n$3\r\n", "*2\r\n$3\r\nGE", "*2\r\n$3\r\nGET\r\n",
		"*2\r\n$3\r\nGET\r\n$1000\r\n", "*2\r\n$3\r\nGET\r\n$1000\r\nk",
	} {
		p := asynctest.Pipe(t, chat.Accept(newServer(defaults).accept))
		p.Feed("PING\r\n").Expect("+PONG\r\n").Advance(time.Hour) // nothing is incomplete
		p.Feed("*1\r\n$4\r\nPING\r\n").Expect("+PONG\r\n").Advance(30 * time.Second)
		p.Feed(begun).Advance(59 * time.Second)
		p.Advance(time.Second).ExpectClosed(chat.ErrFrameTimeout)
	}
}

// Arguments that keep coming do not prolong it.
func TestDrippedCommand(t *testing.T) {
	p := asynctest.Pipe(t, chat.Accept(newServer(defaults).accept))
	p.Feed("*100\r\n")
	for range 59 {
		p.Feed("$1\r\nx\r\n").Advance(time.Second)
	}
	p.Feed("$1\r\n").Advance(time.Second).ExpectClosed(chat.ErrFrameTimeout)
}
