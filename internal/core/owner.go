package core

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
)

// owner is the goroutine that runs the loop.
type owner struct {
	alone bool // there is one P: see Yield
	id    atomic.Int64
	where atomic.Pointer[[]byte]
}

// Own makes the calling goroutine the loop's until Disown.
func (e *Engine) Own() {
	e.owner.alone = runtime.GOMAXPROCS(0) == 1
	if e.Debug {
		stack := debug.Stack()
		e.owner.where.Store(&stack)
		e.owner.id.Store(goroutine(stack))
	}
}

// Disown ends Own.
func (e *Engine) Disown() {
	if e.Debug {
		e.owner.id.Store(0)
	}
}

// Check panics in debug mode where the calling goroutine is not the one that
// runs the loop, and names both places.
func (e *Engine) Check() {
	if e.Debug {
		e.check()
	}
}

func (e *Engine) check() {
	owner := e.owner.id.Load()
	if owner == 0 {
		return
	}
	var buf [64]byte
	if goroutine(buf[:runtime.Stack(buf[:], false)]) == owner {
		return
	}
	panic(fmt.Sprintf("asyncore: used off its loop's goroutine; use Post\n\nused by %s\nloop run by %s",
		debug.Stack(), *e.owner.where.Load()))
}

// goroutine reads the number out of "goroutine 7 [running]:". Only debug mode
// wants it: Go has no other way to ask.
func goroutine(stack []byte) int64 {
	fields := bytes.Fields(stack[:min(len(stack), 64)])
	if len(fields) < 2 {
		return -1
	}
	id, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return -1
	}
	return id
}
