//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
	"github.com/seed-20e08ac4/asyncore/internal/transcript"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// patience is how long what has to happen may take.
const patience = 20 * time.Second

// serve runs a server in a loop of its own until the test ends.
func serve(t testing.TB, lim limits, poller string) net.Addr {
	t.Helper()
	_, addr := exampletest.Serve(t, loop.Config{Poller: poller}, "unix", chat.Accept(newServer(lim).accept))
	return addr
}

// eachPoller runs f with each backend of this system.
func eachPoller(t *testing.T, f func(t *testing.T, poller string)) {
	for _, name := range asyncore.Backends() {
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

// client is a connection of package net.
type client struct {
	testing.TB
	net.Conn
	in *bufio.Reader
}

func dial(t testing.TB, addr net.Addr) *client {
	t.Helper()
	c, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{TB: t, Conn: c, in: bufio.NewReader(c)}
}

// encode makes a command of arguments.
func encode(args ...string) []byte {
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return b
}

// sentinel is asked for behind what is to be observed: its answer ends the same
// way while subscribed.
var sentinel, sentinelEnd = encode("PING", "=sentinel="), []byte("$10\r\n=sentinel=\r\n")

// ask sends raw bytes, and returns all that comes back, with whether the server
// has closed the connection for them.
func (c *client) ask(raw []byte) (reply []byte, closed bool) {
	c.Helper()
	go c.Write(append(bytes.Clone(raw), sentinel...)) // which may fail, where the server closes first
	for {
		b, err := c.in.ReadByte()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.Fatalf("%.100q: no more than %.200q", raw, reply)
		}
		if err != nil {
			return reply, true
		}
		reply = append(reply, b)
		if end := len(reply) - len(sentinelEnd); end >= 0 && bytes.Equal(reply[end:], sentinelEnd) {
			reply = reply[:end]
			return bytes.TrimSuffix(reply, []byte("*2\r\n$4\r\npong\r\n")), false
		}
	}
}

// do sends a command and wants its reply.
func (c *client) do(want string, args ...string) {
	c.Helper()
	if got, _ := c.ask(encode(args...)); string(got) != want {
		c.Errorf("%q: %.200q, want %.200q", args, got, want)
	}
}

func TestTranscripts(t *testing.T) {
	eachPoller(t, func(t *testing.T, poller string) {
		transcript.Run(t, "testdata/*.txt", transcript.Fresh(func(t *testing.T) net.Addr {
			return serve(t, defaults, poller)
		}))
	})
}

func TestExpiry(t *testing.T) {
	p := newRig(t, defaults, "").dial()
	now := int64(1_700_000_000_000)
	p.server.keys.now = func() int64 { return now }
	ask := func(want, command string) {
		t.Helper()
		if got, _ := p.send([]byte(command + "\r\n")); string(got) != want+"\r\n" {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
	ask("+OK", "SET k v PX 1000000")
	ask("$1\r\nv", "GET k")
	now += 2_000_000
	ask(":1", "DBSIZE") // nobody has asked for it yet
	ask("$-1", "GET k")
	ask(":0", "DBSIZE")
	ask(":-2", "TTL k")
	ask("+OK", "SET k v")
	ask(":-1", "TTL k")
	ask(":1", "EXPIRE k -1")
	ask(":0", "EXISTS k")
}

// What is over is removed without anybody asking, a bounded number of keys at a
// time, and no timer runs when no key has an end.
func TestExpiresByItself(t *testing.T) {
	r := newRig(t, defaults, "")
	p := r.dial()
	const n = 3*expireBudget + 7
	for i := range n {
		p.send(encode("SET", fmt.Sprint("k", i), "v", "PX", "1"))
	}
	p.send([]byte("SET stays v\r\n"))
	for began := time.Now(); r.server.sweeping; {
		if err := r.loop.Poll(time.Second); err != nil {
			t.Fatal(err)
		}
		if time.Since(began) > patience {
			t.Fatalf("%d keys are left", len(r.server.keys.dbs[0]))
		}
	}
	if k := &r.server.keys; len(k.dbs[0]) != 1 || k.used != k.dbs[0]["stays"].cost() {
		t.Errorf("%d keys of %d bytes are left", len(k.dbs[0]), k.used)
	}
}

func TestMaxMemory(t *testing.T) {
	lim := defaults
	lim.memory = 100 << 10
	c := dial(t, serve(t, lim, ""))
	value := strings.Repeat("x", 1000)
	for i := range 200 {
		c.ask(encode("SET", strconv.Itoa(i), value))
	}
	const oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n"
	c.do(oom, "SET", "one", "more")
	c.do(oom, "INCR", "n")
	c.do("$1000\r\n"+value+"\r\n", "GET", "0")
	c.do(":1\r\n", "DEL", "0")
	c.do(":1\r\n", "DEL", "1")
	c.do("+OK\r\n", "SET", "one", "more")
	c.do("+OK\r\n", "FLUSHALL")
	c.do("+OK\r\n", "SET", "0", value)
}

// What a command announces costs nothing; what has come of it is counted, and
// given back.
func TestMemoryOfIncompleteCommands(t *testing.T) {
	lim := defaults
	lim.held = 256 << 10
	r := newRig(t, lim, "")
	value := bytes.Repeat([]byte("x"), 50<<10)
	begin := append([]byte("*65536\r\n$51200\r\n"), value...)
	begin = append(begin, "\r\n$1000000\r\n"...)
	var open []*peer
	for {
		p := r.dial()
		reply, closed := p.send(begin)
		if closed {
			if string(reply) != "-ERR Protocol error: too big commands of all clients\r\n" {
				t.Errorf("%q", reply)
			}
			break
		}
		if open = append(open, p); len(open) > 10 {
			t.Fatal("no limit")
		}
	}
	if len(open) < 2 {
		t.Errorf("%d commands of 50 KiB fit", len(open))
	}
	small := r.dial()
	if reply, _ := small.send([]byte("PING\r\n")); string(reply) != "+PONG\r\n" {
		t.Errorf("a small command: %q", reply)
	}
	for _, p := range open {
		p.send([]byte("bad"))
	}
	open[0].send(append(bytes.Repeat([]byte("x"), 1000000), '!', '!'))
	if open[0].server.held == 0 {
		t.Error("nothing is held")
	}
	r.loop.Close()
	if r.server.held != 0 || r.server.clients != 0 {
		t.Errorf("%d bytes are held, %d clients are left", r.server.held, r.server.clients)
	}
}

// An argument may be as large as the flag says, and no byte larger.
func TestLargestValue(t *testing.T) {
	for _, size := range []int{10, 1<<20 - 2, 1<<20 - 1, 1 << 20, 3 << 20} {
		lim := defaults
		lim.value = size
		c := dial(t, serve(t, lim, ""))
		value := strings.Repeat("v", size)
		got, closed := c.ask(fmt.Appendf(nil, "*1\r\n$%d\r\n%s\r\n", size, value))
		if closed || !bytes.HasPrefix(got, []byte("-ERR unknown command 'v")) {
			t.Errorf("%d bytes: %.100q, closed %v", size, got, closed)
		}
		got, closed = c.ask(fmt.Appendf(nil, "*1\r\n$%d\r\n", size+1))
		if !closed || string(got) != "-ERR Protocol error: invalid bulk length\r\n" {
			t.Errorf("%d bytes and one: %.100q, closed %v", size, got, closed)
		}
	}
}

func TestSubscriptionsAreBounded(t *testing.T) {
	lim := defaults
	lim.held = 100 << 10
	c := dial(t, serve(t, lim, ""))
	var names []string
	for i := range maxChannels + 1 {
		names = append(names, strconv.Itoa(i))
	}
	const refused = "-ERR too many channels\r\n"
	if got, _ := c.ask(encode(append([]string{"SUBSCRIBE"}, names...)...)); !strings.HasSuffix(string(got), refused) {
		t.Errorf("many: %.200q", got)
	}
	c.do("+RESET\r\n", "RESET")
	c.do(refused, "SUBSCRIBE", strings.Repeat("x", 100<<10))
	c.do("*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n", "SUBSCRIBE", "x")
}

// A subscriber that does not read is dropped; the others get every message.
func TestSlowSubscriber(t *testing.T) {
	eachPoller(t, func(t *testing.T, poller string) {
		addr := serve(t, defaults, poller)
		slow, good, publisher := dial(t, addr), dial(t, addr), dial(t, addr)
		slow.do("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", "SUBSCRIBE", "c")
		good.do("*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", "SUBSCRIBE", "c")
		message := strings.Repeat("m", 32<<10)
		want := fmt.Sprintf("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$%d\r\n%s\r\n", len(message), message)
		got := make([]byte, len(want))
		for i := 0; ; i++ {
			reply, _ := publisher.ask(encode("PUBLISH", "c", message))
			if _, err := io.ReadFull(good.in, got); err != nil || string(got) != want {
				t.Fatalf("message %d: %.60q, %v", i, got, err)
			}
			if string(reply) == ":1\r\n" {
				break // the slow one is gone
			}
			if i == 1000 {
				t.Fatal("still served")
			}
		}
		good.do("*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n", "UNSUBSCRIBE")
		publisher.do(":0\r\n", "PUBLISH", "c", "x")
	})
}

// A client that has the server look through all keys again and again does not
// keep it from others: between two such commands they have their turn.
func TestSlowCommandsTakeTurns(t *testing.T) {
	r := newRig(t, defaults, "")
	p := r.dial()
	before := r.loop.Stats().Turns
	const n = 20
	reply, _ := p.send(bytes.Repeat([]byte("KEYS *\r\nFLUSHDB\r\n"), n))
	if want := strings.Repeat("*0\r\n+OK\r\n", n); string(reply) != want {
		t.Errorf("%q", reply)
	}
	if turns := r.loop.Stats().Turns - before; turns < 2*n {
		t.Errorf("%d commands in %d turns", 2*n, turns)
	}
}

// A client that asks for more than it reads is not served meanwhile, and gets
// all in the end.
func TestPipelineUnread(t *testing.T) {
	eachPoller(t, func(t *testing.T, poller string) {
		c := dial(t, serve(t, defaults, poller))
		value := strings.Repeat("v", 10<<10)
		c.do("+OK\r\n", "SET", "k", value)
		const n = 3000
		go c.Write(bytes.Repeat(encode("GET", "k"), n))
		want := fmt.Sprintf("$%d\r\n%s\r\n", len(value), value)
		got := make([]byte, len(want))
		for i := range n {
			if _, err := io.ReadFull(c.in, got); err != nil || string(got) != want {
				t.Fatalf("reply %d: %.60q, %v", i, got, err)
			}
		}
	})
}
