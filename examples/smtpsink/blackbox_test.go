//go:build linux

package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// program is the server, running.
type program struct {
	*exampletest.Server
	dir, host, port string
}

func start(t testing.TB, args ...string) *program {
	t.Helper()
	p := &program{dir: filepath.Join(t.TempDir(), "mail")}
	p.Server = exampletest.Start(t, "smtpsink", append([]string{"-dir", p.dir}, args...)...)
	var err error
	if p.host, p.port, err = net.SplitHostPort(p.Addr); err != nil {
		t.Fatal(err)
	}
	return p
}

// stored returns the one message with marker in it.
func (p *program) stored(t *testing.T, marker string) string {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(p.dir, "new", "*"))
	found := ""
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(marker)) {
			if found != "" {
				t.Errorf("%q was delivered twice", marker)
			}
			found = untraced(string(text))
		}
	}
	if found == "" {
		t.Errorf("%q was not delivered", marker)
	}
	return found
}

const pythonClient = `
import smtplib, sys
s = smtplib.SMTP(sys.argv[1], int(sys.argv[2]))
s.ehlo()
assert s.has_extn("pipelining") and s.has_extn("8bitmime") and int(s.esmtp_features["size"]) > 0
assert s.verify("x")[0] == 252
assert s.sendmail("", ["postmaster", '"a b"@[127.0.0.1]'], sys.stdin.buffer.read(), ["BODY=8BITMIME"]) == {}
assert s.docmd("MAIL FROM:<a@b> SIZE=99999999999")[0] == 552
assert s.rset()[0] == 250
assert s.quit()[0] == 221
`

// Clients that people use deliver what they were given.
func TestRealClients(t *testing.T) {
	blackbox.Needs(t, "curl", "swaks", "python3")
	p := start(t)
	for _, c := range []struct {
		name string
		cmd  []string
	}{
		{"curl", []string{"curl", "-sS", "--max-time", "30", "smtp://" + p.host + ":" + p.port + "/client.example",
			"--mail-from", "a@example.com", "--mail-rcpt", "b@example.com", "--mail-rcpt", "c@example.com", "-T", "-"}},
		{"swaks", []string{"swaks", "-S", "-s", p.host, "-p", p.port, "-f", "a@example.com", "-t", "b@example.com,c@example.com", "-d", "-"}},
		{"swaks pipelined", []string{"swaks", "-S", "--pipeline", "-s", p.host, "-p", p.port, "-f", "a@example.com", "-t", "b@example.com", "-d", "-"}},
		{"smtplib", []string{"python3", "-c", pythonClient, p.host, p.port}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "Subject: " + c.name + "\n\n.\n..\n.x\n" + strings.Repeat("0123456789 line\n", 20000) + "end\n"
			cmd := exec.Command(c.cmd[0], c.cmd[1:]...)
			cmd.Stdin = strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n"))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			// swaks adds an empty line.
			if got := p.stored(t, "Subject: "+c.name+"\n"); strings.TrimRight(got, "\n") != strings.TrimRight(text, "\n") {
				t.Errorf("%d bytes came, or others: %.300q", len(got), got)
			}
		})
	}
}

// SIGTERM: who waits is told, who is in the middle of a message may finish.
func TestSignalDrains(t *testing.T) {
	blackbox.Needs(t)
	p := start(t)
	dial := func(script ...string) (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", net.JoinHostPort(p.host, p.port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(20 * time.Second))
		r := bufio.NewReader(c)
		for _, send := range append([]string{""}, script...) {
			io.WriteString(c, send)
			if line, err := r.ReadString('\n'); err != nil || line[0] > '3' {
				t.Fatalf("%q: %q, %v", send, line, err)
			}
		}
		return c, r
	}
	_, idle := dial("HELO x\r\n")
	c, busy := dial("HELO x\r\n", "MAIL FROM:<a@b>\r\n", "RCPT TO:<c@d>\r\n", "DATA\r\n")
	io.WriteString(c, "under way\r\n")
	// A round trip of another connection, so that the line has been read.
	dial("HELO x\r\n")
	p.Process.Signal(syscall.SIGTERM)
	if got, err := io.ReadAll(idle); err != nil || !strings.HasPrefix(string(got), "421 ") {
		t.Errorf("idle: %q, %v", got, err)
	}
	io.WriteString(c, ".\r\n")
	if got, err := io.ReadAll(busy); err != nil || !strings.HasPrefix(string(got), "250 ") || !strings.Contains(string(got), "\r\n421 ") {
		t.Errorf("busy: %q, %v", got, err)
	}
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	p.stored(t, "under way")
}

// The calls that wait for the disk are there, in the right order, before the
// answer.
func TestSyncsBeforeItAnswers(t *testing.T) {
	blackbox.Needs(t, "strace", "swaks")
	p := start(t)
	log := filepath.Join(t.TempDir(), "calls")
	tracer := exec.Command("strace", "-f", "-qq", "-o", log, "-e", "trace=fsync,rename,renameat,renameat2,sendto,write", "-s", "64", "-p", fmt.Sprint(p.Process.Pid))
	if err := tracer.Start(); err != nil {
		t.Fatal(err)
	}
	traced := false
	for range 1000 {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
		if traced = bytes.Contains(status, fmt.Appendf(nil, "TracerPid:\t%d\n", tracer.Process.Pid)); traced {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !traced {
		tracer.Process.Kill()
		tracer.Wait()
		t.Skip("strace may not attach")
	}
	out, err := exec.Command("swaks", "-S", "-s", p.host, "-p", p.port, "-f", "a@example.com", "-t", "b@example.com").CombinedOutput()
	tracer.Process.Signal(syscall.SIGINT)
	tracer.Wait()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	calls, _ := os.ReadFile(log)
	rest := string(calls)
	for _, call := range []string{"354 ", "fsync(", "rename", "fsync(", "delivered as"} {
		_, after, ok := strings.Cut(rest, call)
		if !ok {
			t.Fatalf("no %s in its place:\n%s", call, calls)
		}
		rest = after
	}
}
