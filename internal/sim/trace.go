package sim

import (
	"fmt"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// Trace has fn called with a line for each system call and event; nil ends it.
func (k *Kernel) Trace(fn func(format string, args ...any)) { k.trace = fn }

// calledFor traces a system call with an address.
func (p *Process) calledFor(call string, fd int, a sys.Addr, e syscall.Errno) {
	if p.k.trace == nil {
		return
	}
	to := a.Path
	if a.Family != sys.Unix {
		to = a.Inet.String()
	}
	p.called(call+" "+to, fd, 0, e)
}

// traced traces an event that is no system call.
func (k *Kernel) traced(what string, id, n int) {
	if k.trace != nil {
		k.trace("%v %s %d: %d", time.Duration(k.now), what, id, n)
	}
}

// called traces a system call.
func (p *Process) called(call string, fd, n int, e syscall.Errno) {
	if p.k.trace == nil {
		return
	}
	result := fmt.Sprint(n)
	if e != 0 {
		result = e.Error()
	}
	p.k.trace("%v %s: %s(%d) = %s", time.Duration(p.k.now), p.name, call, fd, result)
}
