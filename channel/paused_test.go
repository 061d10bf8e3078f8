//go:build unix

package channel_test

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// endless is a producer that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestPausedOutputFails: who is paused while his output goes out hears that its
// peer has reset the connection, by Write at once, and else by Close when the
// write timeout has passed.
func TestPausedOutputFails(t *testing.T) {
	for _, told := range []bool{true, false} {
		name := map[bool]string{true: "told", false: "not told"}[told]
		t.Run(name, func(t *testing.T) {
			eachBackend(t, func(t *testing.T, r *rig) {
				h := &channel.Handler{}
				if told {
					h.Write = func(c *channel.Conn) {
						if _, err := c.Write(nil); err == nil {
							t.Error("output works")
						}
						c.Resume()
					}
				}
				peer, c := r.pair("tcp", h)
				r.do(func() {
					c.Pause()
					if !told {
						c.SetWriteTimeout(200 * time.Millisecond)
					}
					c.SendFrom(endless{})
				})
				if _, err := peer.Read(make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				peer.(*net.TCPConn).SetLinger(0)
				peer.Close()
				if err := r.end().err; !is(err, unix.ECONNRESET) && !is(err, unix.EPIPE) {
					t.Errorf("Close(%v)", err)
				}
			})
		})
	}
}
