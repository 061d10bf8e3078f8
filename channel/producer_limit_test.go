//go:build unix

package channel_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// TestManyProducers: a peer that asks and asks, and does not read, is not listened to
// any more when some producers wait for it; and is again when they have gone out.
func TestManyProducers(t *testing.T) {
	eachBackend(t, func(t *testing.T, r *rig) {
		asked, room := 0, 0
		page := bytes.Repeat([]byte("x"), 100_000)
		peer, c := r.pair("tcp", &channel.Handler{
			Read: func(c *channel.Conn, p []byte) {
				for i := range p {
					if !c.Reading() {
						c.Unread(p[i:])
						return
					}
					asked++
					if err := c.SendFrom(bytes.NewReader(page)); err != nil {
						t.Error(err)
						return
					}
				}
			},
			Write: func(*channel.Conn) { room++ },
		})
		const questions = 1000
		send(t, peer, string(make([]byte, questions)))
		r.until("it is not read any more", func() bool { return asked > 0 && !c.Reading() })
		r.quiet()
		r.do(func() {
			if asked > 200 { // the kernels take some
				t.Errorf("%d producers were taken", asked)
			}
		})
		got, err := io.CopyN(io.Discard, peer, int64(questions*len(page)))
		if err != nil {
			t.Error(err)
		}
		r.do(func() {
			if asked != questions || room == 0 || !c.Reading() {
				t.Errorf("%d of %d asked, %d bytes, told of room %d times, reading %v", asked, questions, got, room, c.Reading())
			}
		})
	})
}
