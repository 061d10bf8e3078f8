//go:build unix

package main

import (
	"encoding/hex"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
	"github.com/seed-20e08ac4/asyncore/loop"
)

func TestMain(m *testing.M) { exampletest.Main(m, ".") }

// asked sends requests in order, and returns what is answered to the last. That is
// a request, so that the test ends.
func asked(t *testing.T, poller string, binary bool, requests ...string) string {
	t.Helper()
	l, err := loop.New(loop.Config{Poller: poller})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	moment := time.Date(2036, 2, 7, 6, 28, 15, 42_000, time.UTC)
	server, err := channel.ListenPacket(l, "udp", "127.0.0.1:0", teller(func() time.Time { return moment }, binary))
	if err != nil {
		t.Fatal(err)
	}
	var answers []string
	client, err := channel.DialPacket(l, "udp", server.LocalAddr().String(), &channel.PacketHandler{
		Packet: func(_ *channel.PacketConn, p []byte, _ channel.PacketAddr, _ bool) {
			answers = append(answers, string(p))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range requests {
		if _, err := client.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); len(answers) == 0 && time.Now().Before(deadline); {
		if err := l.Poll(100 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if len(answers) != 1 {
		t.Fatalf("%d answers: %q", len(answers), answers)
	}
	return answers[0]
}

func TestTime(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		const text = "2036-02-07T06:28:15.000042Z\n"
		for _, request := range []string{"", "\n", "12345678"} {
			if got := asked(t, poller, false, "123456789", text, request); got != text {
				t.Errorf("%q: %q", request, got)
			}
		}
		for _, request := range []string{"", "\n", "\r\n"} {
			if got := asked(t, poller, true, "\xff\xff\xff\xff", text, request); got != "\xff\xff\xff\xff" {
				t.Errorf("%q: %s", request, hex.EncodeToString([]byte(got)))
			}
		}
	})
}

var form = regexp.MustCompile(`^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\n$`)

func TestNetcat(t *testing.T) {
	blackbox.Needs(t, "nc")
	s := exampletest.Start(t, "udptime")
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nc", "-u", "-w", "2", "-W", "1", host, port)
	cmd.Stdin = strings.NewReader("\n")
	out, err := cmd.Output()
	if err != nil || !form.Match(out) {
		t.Errorf("%q, %v", out, err)
	}
	s.Process.Signal(syscall.SIGTERM)
	if code := s.Exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
