//go:build unix

package main

import (
	"io"
	"log"
	"syscall"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // the disk's trouble is ours
	exampletest.Main(m, ".")
}

// A message that waits for a worker when the loop closes is dropped with it.
func TestLoopClosesBeforeWork(t *testing.T) {
	l, err := loop.New(loop.Config{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan bool)
	l.Offload(func() error { <-release; return nil }, func(error) {})
	m := newMemory()
	d := &maildir{path: "/mail", fs: m, host: "x"}
	msg := d.add()
	if err := msg.create(); err != nil {
		t.Fatal(err)
	}
	l.Offload(msg.deliver, func(error) { t.Error("done") })
	l.Close()
	if !msg.abandon() {
		t.Error("nobody works on it, but somebody else is to discard it")
	}
	msg.discard()
	close(release)
	if got := m.take(t); len(got) > 0 {
		t.Errorf("delivered %q", got)
	}
	if err := msg.deliver(); err != errAbandoned {
		t.Errorf("a step after the end: %v", err)
	}
}

// Two of them discard once.
func TestDiscardsOnce(t *testing.T) {
	m := newMemory()
	d := &maildir{path: "/mail", fs: m, host: "x"}
	for _, failing := range operations {
		clear(m.fail)
		m.fail[failing] = syscall.EIO
		msg := d.add()
		if err := msg.create(); err == nil {
			msg.buf = []byte("text")
			if err := msg.deliver(); err == nil {
				t.Errorf("%s fails, deliver does not", failing)
			}
		}
		msg.abandon()
		msg.discard()
		if got := m.take(t); len(got) > 0 {
			t.Errorf("%s fails: delivered %q", failing, got)
		}
	}
}
