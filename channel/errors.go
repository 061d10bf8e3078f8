package channel

import (
	"errors"
	"net"
	"os"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/internal/core"
)

// Reasons for which the loop closes a Conn of its own accord. ErrIdle and
// ErrStalled are timeouts: errors.Is finds [os.ErrDeadlineExceeded] in them.
var (
	// ErrIdle: no byte moved in either direction for the time that
	// SetIdleTimeout allows.
	ErrIdle error = core.Timeout("channel: idle timeout")
	// ErrStalled: the peer took none of the queued output for the time that
	// SetWriteTimeout allows, or for 30 s after Close.
	ErrStalled error = core.Timeout("channel: write timeout")
	// ErrOutputLimit: a Write would have passed the hard limit of SetWater, or
	// the Conn had the most queued, and kept by Unread, when the loop's
	// MaxBuffered was passed.
	ErrOutputLimit = errors.New("channel: output limit exceeded")
)

// opError is package net's form of an error of a Conn.
func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: c.network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// sysError is opError for a system call that failed.
func (c *Conn) sysError(op, call string, e syscall.Errno) error {
	return c.opError(op, os.NewSyscallError(call, e))
}
