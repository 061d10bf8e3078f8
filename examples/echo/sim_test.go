package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// writeTimeout is what every Conn has unless it is told otherwise.
const writeTimeout = time.Minute

func accept(*channel.Conn) *channel.Handler { return echo }

// count is a text of so many bytes, of which no two parts are the same.
func count(bytes int) string {
	var b strings.Builder
	for i := 0; b.Len() < bytes; i++ {
		b.WriteString(strconv.Itoa(i) + " ")
	}
	return b.String()[:bytes]
}

// TestSimBytes: each client gets back what it has sent, whatever the others do.
func TestSimBytes(t *testing.T) {
	exampletest.Worlds(t, 50, func(w *asynctest.World) {
		ln := w.Serve("tcp", ":7", accept)
		var clients []*asynctest.Peer
		var texts []string
		for range 1 + w.Choose(5) {
			text := count(1 + w.Choose(2000))
			half := w.Choose(len(text))
			c := w.Dial(ln).Chop(w.Choose(3), w.Choose(300)).Send(text[:half]).Pause(time.Duration(w.Choose(5)) * time.Second)
			clients, texts = append(clients, c.Send(text[half:])), append(texts, text)
		}
		rude := w.Dial(ln).Send(count(w.Choose(1000)))
		switch w.Choose(3) {
		case 1:
			rude.Reset()
		case 2:
			rude.Close()
		}
		for i, c := range clients {
			c.HalfClose().Expect(texts[i]).ExpectClosed()
		}
	})
}

// TestSimNeverReads: who does not read is not read from either, and is given up a
// minute after the last byte that he has taken; who begins to read in time gets all.
func TestSimNeverReads(t *testing.T) {
	text := count(512 << 10) // less than fits into the sockets' buffers on its way and back
	asynctest.Run(t, asynctest.Config{}, func(w *asynctest.World) {
		ln := w.Serve("tcp", ":7", accept)
		never := w.Dial(ln).StopReading().Send(text + text + text + text)
		late := w.Dial(ln).StopReading().Send(text).HalfClose()
		other := w.Dial(ln).Send("hello").Expect("hello")
		w.Advance(writeTimeout - time.Second)
		late.StartReading().Expect(text).ExpectClosed()
		w.Advance(2 * time.Second)
		if never.ExpectClosed(); w.Now() > writeTimeout+2*time.Second {
			w.Errorf("given up at %v", w.Now())
		}
		other.Send("still there").Expect("still there")
	})
}

func TestSimEveryFault(t *testing.T) {
	asynctest.EveryFault(t, func(w *asynctest.World) {
		ln := w.Serve("tcp", ":7", accept)
		a, b := w.Dial(ln).Send("one"), w.Dial(ln).Send("two")
		a.Expect("one").Send(" more").Expect(" more")
		b.HalfClose().Expect("two").ExpectClosed()
		a.HalfClose().ExpectClosed()
	})
}

func TestSimSegmentations(t *testing.T) {
	text := count(500)
	asynctest.Segmentations(t, accept, text, func(output string) {
		if output != text {
			t.Errorf("sent %q, got %q", text, output)
		}
	})
}
