//go:build unix

package main

import (
	"bufio"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// terminal is a client program that a person types into.
type terminal struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func open(t *testing.T, name string, args ...string) *terminal {
	t.Helper()
	cmd := exec.Command(name, args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		limit.Stop()
	})
	return &terminal{cmd, in, bufio.NewScanner(out)}
}

// see passes over lines until one has that text.
func (c *terminal) see(t *testing.T, text string) {
	t.Helper()
	for c.out.Scan() {
		if strings.Contains(c.out.Text(), text) {
			return
		}
	}
	t.Fatalf("%q has not been seen: %v", text, c.out.Err())
}

func (c *terminal) typed(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(c.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// TestRealClients: one has nc, the other telnet.
func TestRealClients(t *testing.T) {
	blackbox.Needs(t, "nc", "telnet")
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		s := exampletest.Start(t, "chatroom", "-poller", poller)
		host, port, err := net.SplitHostPort(s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		ann := open(t, "nc", host, port)
		ann.see(t, "Your name?")
		ann.typed(t, "ann")
		ann.see(t, "ann has come in")
		bob := open(t, "telnet", host, port)
		bob.see(t, "Your name?")
		bob.typed(t, "bob")
		bob.see(t, "bob has come in")
		ann.see(t, "bob has come in")
		ann.typed(t, "hello \x1b[31mbob")
		bob.see(t, `ann: hello \x1b[31mbob`)
		bob.typed(t, "/msg ann hush")
		ann.see(t, "bob (to you): hush")
		ann.typed(t, "/who")
		ann.see(t, "* bob")
		bob.typed(t, "/quit")
		bob.see(t, "Bye")
		ann.see(t, "bob has left")
		if err := bob.cmd.Wait(); err != nil {
			t.Logf("telnet: %v", err) // it calls the server's end an error
		}
	})
}
