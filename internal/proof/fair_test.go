package proof

import (
	"bytes"
	"strings"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
)

// hose is how much a peer sends that wants the loop for itself.
const hose = 900_000

// fairness is a server with large buffers, which one peer fills as fast as it can, be
// it with bytes or with frames, while others ask for little and many come at once.
func fairness(w *world) {
	w.host.BufferSizes(1<<20, 1<<20)
	w.local = true
	frames := w.Choose(2) == 1
	var ln *channel.Listener
	if frames {
		ln = w.serve("tcp", "127.0.0.1:7", framed(w, func(s *session, c *chat.Conn) *chat.Handler {
			s.framed = true
			s.may |= byClose
			c.SetTerminator(chat.Line)
			return &chat.Handler{Message: func(*chat.Conn, []byte) { s.d.frames.take(w, 1, mostFrames, "frames of one Conn") }}
		}))
	} else {
		ln = w.serve("tcp", "127.0.0.1:7", func(s *session) *channel.Handler {
			return &channel.Handler{Read: func(*channel.Conn, []byte) {}}
		})
	}
	if ln == nil {
		return
	}
	if w.Choose(2) == 1 {
		ln.Pause()
		w.l.After(100*time.Millisecond, func() { ln.Resume() })
		for range 30 {
			w.dial(ln).HalfClose()
		}
	}
	text := strings.Repeat("\n", 5000)
	if !frames {
		text = string(bytes.Repeat([]byte{'x'}, hose))
	}
	w.dial(ln).Send(text).HalfClose()
	for range w.Choose(3) {
		w.dial(ln).Send("ping\n").Pause(w.pause()).Send("ping\n").HalfClose()
	}
	w.rest()
}
