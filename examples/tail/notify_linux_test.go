package main

import (
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// inotify alone tells of every change.
func TestNotify(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		follows(t, start(t, poller, time.Hour, "1\n2\n"), plain)
	})
}

// So does the timer.
func TestEvery(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		r := start(t, poller, time.Millisecond, "1\n2\n")
		r.do(r.file.notify.c.Abort)
		follows(t, r, plain)
	})
}
