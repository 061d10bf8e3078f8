//go:build unix

package main

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// Recipients beyond the limit lead nowhere, and so are counted.
func TestRecipientsForEver(t *testing.T) {
	k := newSink()
	var err error
	if k.mail, err = openMaildir(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	_, addr := exampletest.Serve(t, loop.Config{}, "tcp", chat.Accept(k.accept))
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(c)
	r.ReadString('\n')
	ask := func(s string) string { fmt.Fprint(c, s+"\r\n"); a, _ := r.ReadString('\n'); return a }
	ask("HELO x")
	ask("MAIL FROM:<a@b>")
	n := 0
	for range 5000 {
		if a := ask("RCPT TO:<x@y>"); strings.HasPrefix(a, "452") {
			n++
		} else if !strings.HasPrefix(a, "250") {
			return
		}
	}
	t.Errorf("%d refused recipients, and still connected", n)
}
