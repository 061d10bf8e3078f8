//go:build !unix

package sys

import (
	"time"

	"github.com/seed-20e08ac4/asyncore"
)

// Inherits has no meaning here.
const Inherits = false

// Real returns a system whose OpenPoller fails, so that no loop comes to be
// and nothing else of it is ever called.
func Real() System { return &real{epoch: time.Now()} }

type real struct {
	System
	epoch time.Time
}

func (r *real) Now() int64 { return int64(time.Since(r.epoch)) }

func (r *real) OpenPoller(name string) (Poller, error) { return asyncore.Open(name) }
