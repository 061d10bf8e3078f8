//go:build unix

package chat_test

import (
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
)

// Same bytes, same decisions by the number of the frame: whatever the segmentation and the pauses, the same frames.
func TestSwitchesAndPauses(t *testing.T) {
	terms := []chat.Terminator{chat.Line.Limit(6), chat.Delim("\r\n").Limit(6), chat.Count(0), chat.Count(3), chat.Count(9).Limit(4),
		chat.Count(9).Limit(4).Truncate(), chat.LengthPrefix(1, bigEndian).Limit(5), chat.LengthPrefix(1, bigEndian).Limit(5).Truncate(),
		chat.Delim("aba").Limit(5).Truncate(), chat.Line.Limit(4).Truncate(), chat.VarintPrefix.Limit(4), chat.Delim("aab").Limit(3)}
	alphabet := "aab\r\n\n\x01\x02\x03\x07"
	bad := 0
	for seed := int64(0); seed < 400 && bad < 5; seed++ {
		g := rand.New(rand.NewSource(seed))
		in := make([]byte, 1+g.Intn(60))
		for i := range in {
			in[i] = alphabet[g.Intn(len(alphabet))]
		}
		plan := g.Int63()
		useCollect := g.Intn(3) == 0
		run := func(cut *rand.Rand) (result string) {
			t.Run("x", func(t *testing.T) {
				r := newRig(t, loopConfig)
				var log strings.Builder
				frames := 0
				pend := ""
				act := func(c *chat.Conn, what string) {
					frames++
					fmt.Fprintln(&log, what)
					d := rand.New(rand.NewSource(plan + int64(frames)*7919))
					x := d.Intn(40)
					tm := terms[d.Intn(len(terms))]
					switch {
					case x < 8:
						c.SetTerminator(tm)
					case x == 8:
						rest := c.Release()
						rest.SetHandler(&channel.Handler{Read: func(_ *channel.Conn, p []byte) { pend += string(p) }, EOF: func(c *channel.Conn) { c.Close() }, Close: func(*channel.Conn, error) { fmt.Fprintf(&log, "raw %q\n", pend) }})
					}
					if cut != nil && x != 8 {
						switch cut.Intn(6) {
						case 0:
							c.Pause()
							r.l.Post(c.Resume)
						case 1:
							c.Pause()
							c.Resume()
						case 2:
							c.Push(make([]byte, 100<<10))
						}
					}
				}
				h := chat.Handler{
					Message: func(c *chat.Conn, m []byte) { act(c, fmt.Sprintf("msg %q %q", pend, m)); pend = "" },
					TooLong: func(c *chat.Conn) { s := fmt.Sprintf("long %q", pend); pend = ""; act(c, s) },
					Close:   func(c *chat.Conn, err error) { fmt.Fprintln(&log, "close", err) },
				}
				if useCollect {
					h.Collect = func(c *chat.Conn, d []byte) {
						pend += string(d)
						if cut != nil && cut.Intn(3) == 0 {
							c.Pause()
							r.l.Post(c.Resume)
						}
					}
				}
				conn, p := r.raw(discard)
				c := chat.Attach(conn, &h)
				c.SetTerminator(terms[plan%int64(len(terms))])
				s := string(in)
				for len(s) > 0 {
					n := len(s)
					if cut != nil {
						n = 1 + cut.Intn(len(s))
					}
					p.send(s[:n])
					s = s[n:]
					r.turn()
					if cut != nil && cut.Intn(2) == 0 {
						p.recv()
					}
				}
				p.hears()
				p.closeWrite()
				for range 5 {
					p.hears()
				}
				p.close()
				r.settle()
				r.turning = true
				result = log.String()
			})
			return result
		}
		want := run(nil)
		for k := range int64(3) {
			if got := run(rand.New(rand.NewSource(seed*10 + k))); got != want {
				bad++
				t.Errorf("seed %d collect %v input %q\nwhole:\n%s\ncut:\n%s", seed, useCollect, in, want, got)
				break
			}
		}
	}
}
