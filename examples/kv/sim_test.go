//go:build unix

package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// step is how far a model's clock goes at once: so long that it does not matter
// how long a command takes to arrive. What is given n steps is over half a step
// before they have passed.
const step = 10 * time.Minute

// model is what Redis would answer one client who has keys of his own.
type model struct {
	keys  map[string]modelValue
	clock int // in steps
}

type modelValue struct {
	text  string
	until int // 0: for ever
}

func (m *model) get(key string) (text string, ok bool) {
	v, ok := m.keys[key]
	if ok && v.until != 0 && v.until <= m.clock {
		delete(m.keys, key)
		return "", false
	}
	return v.text, ok
}

func bulk(text string, ok bool) string {
	if !ok {
		return "$-1\r\n"
	}
	return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text)
}

func integer(n int) string { return fmt.Sprintf(":%d\r\n", n) }

// command makes up a command, and tells its answer.
func (m *model) command(choose func(int) int, prefix string) (args []string, answer string) {
	key := fmt.Sprint(prefix, choose(4))
	was, found := m.get(key)
	switch choose(8) {
	case 0:
		return []string{"GET", key}, bulk(was, found)
	case 1:
		text := strings.Repeat("\r\n*1", choose(10))
		m.keys[key] = modelValue{text: text}
		return []string{"SET", key, text}, "+OK\r\n"
	case 2:
		steps := 1 + choose(3)
		m.keys[key] = modelValue{"timed", m.clock + steps}
		seconds := (time.Duration(steps)*step - step/2) / time.Second
		return []string{"SET", key, "timed", "EX", fmt.Sprint(int(seconds)), "GET"}, bulk(was, found)
	case 3:
		if found {
			return []string{"SET", key, "new", "NX"}, "$-1\r\n"
		}
		m.keys[key] = modelValue{text: "new"}
		return []string{"SET", key, "new", "NX"}, "+OK\r\n"
	case 4:
		delete(m.keys, key)
		if !found {
			return []string{"DEL", key}, integer(0)
		}
		return []string{"DEL", key}, integer(1)
	case 5:
		n := len(m.keys[key+"n"].text) // counts in bytes
		m.keys[key+"n"] = modelValue{text: strings.Repeat("x", n+1)}
		return []string{"INCR", key + "n"}, integer(n + 1)
	case 6:
		if !found {
			return []string{"EXPIRE", key, "100000000"}, integer(0)
		}
		m.keys[key] = modelValue{text: was}
		return []string{"EXPIRE", key, "100000000"}, integer(1)
	}
	return []string{"ECHO", was}, bulk(was, true)
}

// kvWorld is a server in a world.
type kvWorld struct {
	*asynctest.World
	*server
	ln *channel.Listener
}

func newKVWorld(w *asynctest.World) *kvWorld {
	s := newServer(defaults)
	return &kvWorld{w, s, w.Serve("tcp", ":6379", chat.Accept(s.accept))}
}

// empty wants all clients forgotten, and what they held.
func (s *kvWorld) empty(clients ...*asynctest.Peer) {
	for _, c := range clients {
		c.HalfClose()
	}
	exampletest.Until(s.World, func() bool { return s.clients == 0 })
	if s.held != 0 || len(s.topics) != 0 {
		s.Errorf("all have gone: %d bytes held, topics: %v", s.held, s.topics)
	}
}

// TestSimModel: the answers to many commands at once are those of the model, and
// what is to be over is over in time.
func TestSimModel(t *testing.T) {
	exampletest.Worlds(t, 25, func(w *asynctest.World) {
		s := newKVWorld(w)
		var clients []*asynctest.Peer
		var models []*model
		for range 1 + w.Choose(3) {
			clients = append(clients, w.Dial(s.ln))
			models = append(models, &model{keys: map[string]modelValue{}})
		}
		for round := range 1 + w.Choose(4) {
			answers := make([]string, len(clients))
			for i, c := range clients {
				models[i].clock = round
				c.Chop(0, w.Choose(50))
				for range w.Choose(7) {
					args, answer := models[i].command(w.Choose, fmt.Sprint(i, "/"))
					c.Send(string(encode(args...)))
					answers[i] += answer
				}
			}
			for i, c := range clients {
				c.Expect(answers[i])
			}
			w.Advance(time.Duration(round+1)*step - w.Now())
		}
		s.empty(clients...)
	})
}

// TestSimExpiry: what is over takes no memory, also when nobody asks for it.
func TestSimExpiry(t *testing.T) {
	exampletest.Worlds(t, 25, func(w *asynctest.World) {
		s := newKVWorld(w)
		c := w.Dial(s.ln)
		for i := range 20 {
			c.Send(fmt.Sprintf("SET k%d v PX %d\r\n", i, 1+w.Choose(10_000))).Expect("+OK\r\n")
		}
		w.Advance(time.Minute)
		if s.keys.used != 0 || s.sweeping {
			w.Errorf("%d bytes used a minute later, sweeping: %v", s.keys.used, s.sweeping)
		}
	})
}

// TestSimOver: a key is there until the millisecond in which it is over.
func TestSimOver(t *testing.T) {
	asynctest.Pipe(t, chat.Accept(newServer(defaults).accept)).
		Feed("SET k v PX 150\r\n").Expect("+OK\r\n").
		Advance(149 * time.Millisecond).Feed("GET k\r\n").Expect("$1\r\nv\r\n").
		Advance(time.Millisecond).Feed("GET k\r\nDBSIZE\r\n").Expect("$-1\r\n:0\r\n")
}

func message(topic, text string) string {
	return "*3\r\n" + bulk("message", true) + bulk(topic, true) + bulk(text, true)
}

// subscribeTo has a client subscribe to topics, one after the other.
func subscribeTo(c *asynctest.Peer, topics ...string) *asynctest.Peer {
	for i, topic := range topics {
		c.Send("SUBSCRIBE " + topic + "\r\n").Expect("*3\r\n" + bulk("subscribe", true) + bulk(topic, true) + integer(i+1))
	}
	return c
}

// TestSimPublish: who has subscribed gets each message once, in order, and the
// publisher is told how many they were.
func TestSimPublish(t *testing.T) {
	exampletest.Worlds(t, 50, func(w *asynctest.World) {
		s := newKVWorld(w)
		var clients []*asynctest.Peer
		of := map[string]int{}
		for range 1 + w.Choose(4) {
			topics := [][]string{{"a"}, {"b"}, {"a", "b"}, {}}[w.Choose(4)]
			clients = append(clients, subscribeTo(w.Dial(s.ln), topics...))
			for _, topic := range topics {
				of[topic]++
			}
		}
		publisher := w.Dial(s.ln)
		sent, counts := map[*asynctest.Peer]string{}, ""
		for i := range w.Choose(30) {
			topic, text := []string{"a", "b"}[w.Choose(2)], strings.Repeat(fmt.Sprint(i), 1+w.Choose(50))
			publisher.Send(string(encode("PUBLISH", topic, text)))
			counts += integer(of[topic])
			for _, c := range clients {
				if strings.Contains(string(c.Received()), bulk(topic, true)) {
					sent[c] += message(topic, text)
				}
			}
		}
		exampletest.Until(w, func() bool {
			return publisher.Faulted() || len(publisher.Received()) >= len(counts)
		})
		for _, c := range clients {
			if !publisher.Faulted() {
				c.Expect(sent[c])
			}
		}
		if got := string(publisher.Received()); !w.Faulted() && got != counts {
			w.Errorf("the publisher was answered %q, want %q", got, counts)
		}
		s.empty(append(clients, publisher)...)
	})
}

// TestSimDeafSubscriber: one who does not read is dropped when too much waits for
// him, and nobody else notices.
func TestSimDeafSubscriber(t *testing.T) {
	asynctest.Run(t, asynctest.Config{}, func(w *asynctest.World) {
		s := newKVWorld(w)
		deaf, other := subscribeTo(w.Dial(s.ln), "a"), subscribeTo(w.Dial(s.ln), "a")
		deaf.StopReading()
		publisher := w.Dial(s.ln)
		text := strings.Repeat("x", 100<<10)
		heard := 2
		for range 30 {
			publisher.Send(string(encode("PUBLISH", "a", text)))
			other.Expect(message("a", text))
			if w.Quiesce(); s.clients == 2 {
				heard = 1
			}
			publisher.Expect(integer(heard))
		}
		if heard != 1 {
			w.Errorf("the deaf one is still there")
		}
		deaf.StartReading()
		s.empty(deaf, other, publisher)
	})
}

// TestSimSlowSubscriber: a subscriber who takes his messages slowly is not read from meanwhile: that is not
// held against the command that he has sent.
func TestSimSlowSubscriber(t *testing.T) {
	exampletest.Worlds(t, 1, func(w *asynctest.World) {
		s := newKVWorld(w)
		slow := subscribeTo(w.Dial(s.ln), "a")
		for c := range channel.Conns(s.loop) {
			c.SetWriteTimeout(time.Hour) // as if he took some now and then
		}
		w.Advance(time.Second)
		slow.Send("*2\r\n$9\r\nSUBSCRIBE\r\n")
		w.Quiesce()
		slow.StopReading()
		publisher := w.Dial(s.ln)
		text := strings.Repeat("x", 100<<10)
		for range 8 {
			publisher.Send(string(encode("PUBLISH", "a", text))).Expect(integer(1))
			w.Quiesce()
		}
		slow.Send("$1\r\nb\r\n")
		if w.Advance(10 * time.Minute); s.clients != 2 {
			w.Fatalf("the slow one is gone")
		}
		slow.StartReading()
		for range 8 {
			slow.Expect(message("a", text))
		}
		slow.Expect("*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:2\r\n")
		s.empty(slow, publisher)
	})
}

// TestSimSlow: an argument has its time to come, however steadily its bytes come. What
// has come is forgotten.
func TestSimSlow(t *testing.T) {
	exampletest.Worlds(t, 50, func(w *asynctest.World) {
		s := newKVWorld(w)
		idle := w.Dial(s.ln).Send("PING\r\n").Expect("+PONG\r\n")
		slow := w.Dial(s.ln).Send("*2\r\n" + bulk(strings.Repeat("x", 2*smallText), true) + "$100\r\n")
		for range 100 {
			slow.Send("x").Pause(frameTimeout / 20)
		}
		began := w.Now()
		if slow.ExpectClosed(); !slow.Faulted() && (w.Now()-began < frameTimeout || w.Now()-began > 3*frameTimeout) {
			w.Errorf("closed after %v", w.Now()-began)
		}
		idle.Send("PING\r\n").Expect("+PONG\r\n")
		s.empty(idle, slow)
	})
}

func TestSimEveryFault(t *testing.T) {
	asynctest.EveryFault(t, func(w *asynctest.World) {
		s := newKVWorld(w)
		subscriber := subscribeTo(w.Dial(s.ln), "a")
		c := w.Dial(s.ln).Send("SET k v EX 1\r\nGET k\r\n").Expect("+OK\r\n$1\r\nv\r\n")
		c.Send("PUBLISH a x\r\n")
		w.Advance(5 * time.Second)
		if !w.Faulted() {
			c.Expect(integer(1))
			subscriber.Expect(message("a", "x"))
		}
		c.Send("QUIT\r\n")
		subscriber.Close()
		if w.Quiesce(); !w.Faulted() {
			c.Expect("+OK\r\n").ExpectClosed()
			s.empty(subscriber)
		}
	})
}

func TestSimSegmentations(t *testing.T) {
	accept := func(c *channel.Conn) *channel.Handler { return chat.Accept(newServer(defaults).accept)(c) }
	for _, test := range []struct{ name, input, want string }{
		{"commands", "set k 'a b'\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*3\r\n$3\r\nSET\r\n$0\r\n\r\n$4\r\n\r\n\r\n\r\nGET \"\"\n\r\nKEYS *\r\nQUIT\r\nPING\r\n",
			"+OK\r\n$3\r\na b\r\n+OK\r\n$4\r\n\r\n\r\n\r\n*2\r\n$0\r\n\r\n$1\r\nk\r\n+OK\r\n"},
		{"no RESP", "PING\r\n*1\r\n+4\r\nPING\r\n", "+PONG\r\n-ERR Protocol error: expected '$', got '+'\r\n"},
		{"too long", "*1\r\n$9999999\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
		{"cut off", "GET k\r\n*2\r\n$3\r\nGE", "$-1\r\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			asynctest.Segmentations(t, accept, test.input, func(output string) {
				if output != test.want {
					t.Errorf("answers %q, want %q", output, test.want)
				}
			})
		})
	}
}
