package chat

import (
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// ErrFrameTimeout is the reason for which a Conn closes when a frame has taken
// longer than SetFrameTimeout allows. errors.Is finds os.ErrDeadlineExceeded in it.
var ErrFrameTimeout error = core.Timeout("chat: frame timeout")

// SetFrameTimeout has Handler.Late called, or the Conn closed with ErrFrameTimeout,
// when a frame is not complete so long after its first byte has been read, or after
// this call, however many bytes have come since: a peer that sends one now and then
// passes every idle timeout. The time begins anew where the Conn did not want input
// when it was over. A peer that begins no frame is the idle timeout's
// (channel.Conn.SetIdleTimeout). 0, the default, or negative: never.
func (c *Conn) SetFrameTimeout(d time.Duration) {
	c.deadline.stop()
	c.deadline = nil
	if d > 0 && !c.over {
		c.deadline = &deadline{c: c, limit: d}
		c.deadline.read(false, c.frames.open(len(c.conn.Tail())), false)
	}
}

// deadline is that of the frame under way. Its timer is not touched by frames that
// come and go: it finds out when it expires.
type deadline struct {
	c     *Conn
	limit time.Duration
	began time.Duration // since when a frame is under way
	timer *loop.Timer
	open  bool // one is
	held  bool // input waits that may complete it
	armed bool
	over  bool // the time is
}

// due tells whether the time is over, and the Conn's next read is to say so.
func (d *deadline) due() bool { return d != nil && d.over }

// late is due, once.
func (d *deadline) late() bool {
	over := d.due()
	if over {
		d.over = false
	}
	return over
}

// read is told what a read has come to: whether a frame has ended, whether another
// is under way, and whether input was left that was not wanted.
func (d *deadline) read(ended, open, held bool) {
	if open && (ended || !d.open || !d.armed) {
		d.began = d.c.conn.Loop().Now()
		d.arm(d.limit)
	}
	d.open, d.held = open, held
}

func (d *deadline) arm(wait time.Duration) {
	switch {
	case d.armed:
	case d.timer == nil:
		d.timer = d.c.conn.Loop().After(wait, d.expire)
	default:
		d.timer.Reset(wait)
	}
	d.armed = true
}

func (d *deadline) expire() {
	d.armed = false
	if !d.open {
		return
	}
	now := d.c.conn.Loop().Now()
	if d.held || !d.c.conn.Reading() {
		d.began = now
	}
	if left := d.began + d.limit - now; left > 0 {
		d.arm(left)
		return
	}
	// Its read decides, and calls: a callback is the Conn's and not a timer's.
	d.over = true
	d.c.conn.Redeliver()
}

func (d *deadline) stop() {
	if d != nil && d.armed {
		d.timer.Stop()
		d.armed = false
	}
}
