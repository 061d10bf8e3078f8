//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

const idleTime = 5 * time.Minute // main's

// simSink is a sink in a world.
type simSink struct {
	*asynctest.World
	*sink
	*memory
	ln *channel.Listener
}

// newSimSink also sees to it that messages have the same names each time.
func newSimSink(t *testing.T, w *asynctest.World) *simSink {
	cryptotest.SetGlobalRandom(t, 1)
	k, m := memorySink()
	return &simSink{w, k, m, w.Serve("tcp", ":25", k.listen)}
}

// listen is accept as the program's listener has it.
func (k *sink) listen(c *channel.Conn) *channel.Handler {
	c.SetIdleTimeout(idleTime)
	return chat.Accept(k.accept)(c)
}

// mailer is a client with a message.
type mailer struct {
	*asynctest.Peer
	text   string // of the message
	broken bool   // before its end
}

// codes are those of the answers that have come.
func (c *mailer) codes() string {
	var codes []string
	for line := range bytes.Lines(c.Received()) {
		if len(line) > 5 && line[3] == ' ' && line[len(line)-1] == '\n' {
			codes = append(codes, string(line[:3]))
		}
	}
	return strings.Join(codes, " ")
}

// hear waits for answers, all since the beginning.
func (s *simSink) hear(c *mailer, want string) {
	exampletest.Until(s.World, func() bool { return c.Faulted() || c.broken || len(c.codes()) >= len(want) })
	if got := c.codes(); got != want && !c.Faulted() && !c.broken {
		s.Fatalf("%v was answered %s, want %s", c.Peer, got, want)
	}
}

// compose makes up a message that there is only once.
func compose(w *asynctest.World, id int) (text string) {
	text = fmt.Sprintf("Subject: %d\n\n", id)
	for range w.Choose(10) {
		text += []string{"", ".", "..", ".x", "text", "...", " .", "x."}[w.Choose(8)] + "\n"
	}
	return text
}

// stuffed is a message as it is sent.
func stuffed(text string) string {
	text = strings.ReplaceAll("\n"+text, "\n.", "\n..")[1:]
	return strings.ReplaceAll(text, "\n", "\r\n") + ".\r\n"
}

const envelope = "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"

// inText brings mailers to where their messages are wanted.
func (s *simSink) inText(mailers ...*mailer) {
	for _, step := range [][2]string{{"", "220"}, {"EHLO test\r\n", "220 250"}, {envelope, "220 250 250 250 354"}} {
		for _, c := range mailers {
			c.Send(step[0])
		}
		for _, c := range mailers {
			s.hear(c, step[1])
		}
	}
}

// check compares what mailers were told with what is in the Maildir.
func (s *simSink) check(mailers ...*mailer) {
	s.Advance(time.Second) // what is given up is removed later
	delivered, left := s.state()
	if left > 0 {
		s.Errorf("left over: %q, %d open, twice: %q", s.files, s.open, s.twice)
	}
	known := 0
	for _, c := range mailers {
		copies := 0
		for _, text := range delivered {
			if text == c.text {
				copies++
			}
		}
		known += copies
		told := strings.Count(string(c.Received()), "delivered as")
		switch {
		case copies > 1, told > copies:
			s.Errorf("%v was told of %d deliveries, and there are %d", c.Peer, told, copies)
		case copies != told && !c.broken && !c.Faulted():
			s.Errorf("%v was told of no delivery, and there is one", c.Peer)
		}
	}
	if known != len(delivered) {
		s.Errorf("somebody's message is not as it was sent: %q", delivered)
	}
}

// TestSimDelivery: what has been answered 250 is there, once, with every byte; and
// of what was broken off anywhere there is nothing or all.
func TestSimDelivery(t *testing.T) {
	exampletest.Worlds(t, 50, func(w *asynctest.World) {
		s := newSimSink(t, w)
		var mailers []*mailer
		for i := range 1 + w.Choose(4) {
			mailers = append(mailers, &mailer{Peer: w.Dial(s.ln).Chop(0, w.Choose(20)), text: compose(w, i)})
		}
		s.inText(mailers...)
		for _, c := range mailers {
			text := stuffed(c.text)
			if c.broken = w.Choose(3) == 1; !c.broken {
				c.Send(text)
				continue
			}
			c.Send(text[:w.Choose(len(text)+1)])
			switch w.Choose(3) {
			case 0:
				c.HalfClose()
			case 1:
				c.Close()
			case 2:
				c.Reset()
			}
		}
		for _, c := range mailers {
			s.hear(c, "220 250 250 250 354 250")
			c.HalfClose()
		}
		exampletest.Until(w, func() bool { return len(s.sessions) == 0 })
		s.check(mailers...)
	})
}

// TestSimDisk: where the disk fails there is nothing, and the client is told to
// come again.
func TestSimDisk(t *testing.T) {
	defer log.SetOutput(log.Writer())
	log.SetOutput(io.Discard)
	exampletest.Worlds(t, 100, func(w *asynctest.World) {
		s := newSimSink(t, w)
		c := &mailer{Peer: w.Dial(s.ln), text: compose(w, 1)}
		op := []string{"create", "write", "sync", "close", "rename", "syncdir"}[w.Choose(6)]
		s.fail[op] = []error{syscall.ENOSPC, syscall.EIO}[w.Choose(2)]
		code := map[error]string{syscall.ENOSPC: "452", syscall.EIO: "451"}[s.fail[op]]
		if op == "create" {
			s.hear(c, "220")
			c.Send("HELO test\r\n")
			s.hear(c, "220 250")
			c.Send(envelope)
			s.hear(c, "220 250 250 250 "+code)
		} else {
			s.inText(c)
			c.Send(stuffed(c.text))
			s.hear(c, "220 250 250 250 354 "+code)
		}
		delete(s.fail, op)
		s.check(c)
		s.again(c, code)
	})
}

// again has a mailer try once more, with success.
func (s *simSink) again(c *mailer, code string) {
	was := c.codes()
	c.Send(envelope)
	s.hear(c, was+" 250 250 354")
	c.Send(stuffed(c.text))
	s.hear(c, was+" 250 250 354 250")
	s.check(c)
}

// TestSimRealDisk: the same with files.
func TestSimRealDisk(t *testing.T) {
	asynctest.Run(t, asynctest.Config{Seeds: 20, Faults: asynctest.Swarm}, func(w *asynctest.World) {
		s := newSimSink(t, w)
		dir := t.TempDir()
		var err error
		if s.mail, err = openMaildir(dir); err != nil {
			w.Fatalf("%v", err)
		}
		whole, half := &mailer{Peer: w.Dial(s.ln), text: compose(w, 1)}, &mailer{Peer: w.Dial(s.ln), text: compose(w, 2)}
		s.inText(whole, half)
		half.Send(half.text).Close()
		whole.Send(stuffed(whole.text))
		s.hear(whole, "220 250 250 250 354 250")
		whole.Close()
		exampletest.Until(w, func() bool { return len(s.sessions) == 0 })
		var texts []string
		for _, sub := range []string{"tmp", "new", "cur"} {
			files, _ := filepath.Glob(filepath.Join(dir, sub, "*"))
			for _, file := range files {
				text, _ := os.ReadFile(file)
				texts = append(texts, sub+" "+untraced(string(text)))
			}
		}
		if want := []string{"new " + whole.text}; !slices.Equal(texts, want) && !whole.Faulted() {
			w.Errorf("in the Maildir: %q, want %q", texts, want)
		}
	})
}

// TestSimLarge: a message that is written in several pieces. While one is written
// no more is read.
func TestSimLarge(t *testing.T) {
	for _, poller := range []string{"epoll", "kqueue", "poll", "select"} {
		asynctest.Run(t, asynctest.Config{Poller: poller, Tape: []byte{}}, func(w *asynctest.World) {
			s := newSimSink(t, w)
			c := &mailer{Peer: w.Dial(s.ln), text: strings.Repeat(strings.Repeat(".", 2000)+"\n", 1000)}
			s.inText(c)
			c.Send(stuffed(c.text))
			s.hear(c, "220 250 250 250 354 250")
			s.check(c)
		})
	}
}

// TestSimTimes: who is too slow is told so, whatever it is that he is too slow with.
func TestSimTimes(t *testing.T) {
	for _, test := range []struct {
		name  string
		send  string // again and again
		every time.Duration
		text  bool // as part of a message
		after time.Duration
		want  string
	}{
		{"command", "N", 5 * time.Second, false, time.Minute, "421"},
		{"line", "x", 5 * time.Second, true, time.Minute, "421"},
		{"message", "x\r\n", 50 * time.Second, true, time.Hour, "421"},
		{"silence", "", idleTime, false, idleTime, ""},
		{"silence in a message", "", idleTime, true, idleTime, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			asynctest.Run(t, asynctest.Config{Tape: []byte{}}, func(w *asynctest.World) {
				s := newSimSink(t, w)
				c := &mailer{Peer: w.Dial(s.ln)}
				want := "220"
				if test.text {
					s.inText(c)
					want = "220 250 250 250 354"
				} else {
					s.hear(c, want)
				}
				began := w.Now()
				for range test.after/test.every + 5 {
					c.Send(test.send).Pause(test.every)
				}
				exampletest.Until(w, func() bool { return len(s.sessions) == 0 })
				if took := w.Now() - began; took < test.after-time.Second || took > test.after+30*time.Second { // hear looks once a second
					w.Errorf("closed after %v", took)
				}
				s.hear(c, strings.TrimSpace(want+" "+test.want))
				if s.check(c); len(s.files) != 0 {
					w.Errorf("left over: %q", s.files)
				}
			})
		})
	}
}

// TestSimLong: a session may last longer than a message.
func TestSimLong(t *testing.T) {
	asynctest.Run(t, asynctest.Config{Tape: []byte{}}, func(w *asynctest.World) {
		s := newSimSink(t, w)
		c := &mailer{Peer: w.Dial(s.ln), text: compose(w, 1)}
		s.inText(c)
		want := "220 250 250 250 354 250"
		c.Send(stuffed(c.text))
		s.hear(c, want)
		for range 2 * s.messageTime / idleTime {
			w.Advance(idleTime - 10*time.Second)
			c.Send("NOOP\r\n")
			want += " 250"
			s.hear(c, want)
		}
	})
}

// TestSimGuests: so many come from one address, and one more when another has gone.
func TestSimGuests(t *testing.T) {
	exampletest.Worlds(t, 50, func(w *asynctest.World) {
		s := newSimSink(t, w)
		s.guests.Most = 2
		ln := w.Serve("tcp", "127.0.0.1:26", s.listen)
		first, second, third := &mailer{Peer: w.Dial(ln)}, &mailer{Peer: w.Dial(ln)}, &mailer{Peer: w.Dial(ln)}
		s.hear(first, "220")
		s.hear(second, "220")
		if w.Advance(5 * time.Second); w.Faulted() {
			return // there may be room for more
		}
		s.hear(third, "421")
		first.Close()
		exampletest.Until(w, func() bool { return len(s.sessions) == 1 })
		s.hear(&mailer{Peer: w.Dial(ln)}, "220")
	})
}

func TestSimEveryFault(t *testing.T) {
	asynctest.EveryFault(t, func(w *asynctest.World) {
		s := newSimSink(t, w)
		whole, half := &mailer{Peer: w.Dial(s.ln), text: compose(w, 1)}, &mailer{Peer: w.Dial(s.ln), text: compose(w, 2), broken: true}
		s.inText(whole, half)
		half.Send(half.text).Close()
		whole.Send(stuffed(whole.text) + "QUIT\r\n")
		s.hear(whole, "220 250 250 250 354 250 221")
		w.Advance(2 * idleTime)
		s.check(whole, half)
		if len(s.sessions) > 0 {
			w.Errorf("%d sessions left", len(s.sessions))
		}
	})
}

// TestSimSegmentations: whatever is sent where a message is wanted is one for all
// who read the same bytes, and what is none is none for them.
func TestSimSegmentations(t *testing.T) {
	for _, test := range []struct{ name, input, codes, text string }{
		{"message", "Subject: dots\r\n\r\n..\r\n..x\r\nx.\r\n.\r\nNOOP\r\nQUIT\r\n", "250 250 221", "Subject: dots\n\n.\n.x\nx.\n"},
		{"cut off", "Subject: x\r\n\r\ny\r\n.\r", "", ""},
		{"smuggled LF", "x\r\n.\nQUIT\r\n.\r\n", "521", ""},
		{"smuggled CR", "x\r\r\n.\r\nQUIT\r\n", "521", ""},
		{"NUL", "x\x00y\r\n.\r\nQUIT\r\n", "550 221", ""},
		{"long line", strings.Repeat("x", 2049) + "\r\ny\r\n.\r\nQUIT\r\n", "500 221", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var disks []*memory
			accept := func(c *channel.Conn) *channel.Handler {
				cryptotest.SetGlobalRandom(t, 1)
				k, m := memorySink()
				disks = append(disks, m)
				return chat.Accept(k.acceptText)(c)
			}
			asynctest.Segmentations(t, accept, test.input, func(output string) {
				var codes []string
				for line := range strings.Lines(output) {
					codes = append(codes, line[:3])
				}
				if got := strings.Join(codes, " "); got != test.codes {
					t.Errorf("answered %s, want %s", got, test.codes)
				}
			})
			for _, m := range disks {
				delivered, left := m.state()
				if got := strings.Join(delivered, "|"); got != test.text || left > 0 {
					t.Fatalf("delivered %q, want %q; left over: %d", got, test.text, left)
				}
			}
		})
	}
}

// acceptText is accept, and then as after DATA.
func (k *sink) acceptText(c *chat.Conn) *chat.Handler {
	k.accept(c)
	for s := range k.sessions { // the only one
		s.timer.Stop()
		s.early, s.begun, s.rcpts = false, true, []string{"b@example.com"}
		s.helo = "test"
		s.msg = k.mail.add()
		s.msg.create()
		s.msg.buf = s.trace(s.msg.id)
		s.inText = true
		c.SetTerminator(dataLine)
		return s.text
	}
	return nil
}
