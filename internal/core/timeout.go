package core

import (
	"net"
	"os"
)

// Timeout is the error of a time that is over, for channel and chat: errors.Is
// finds [os.ErrDeadlineExceeded] in it.
type Timeout string

func (e Timeout) Error() string        { return string(e) }
func (e Timeout) Timeout() bool        { return true }
func (e Timeout) Temporary() bool      { return true }
func (e Timeout) Is(target error) bool { return target == os.ErrDeadlineExceeded }

var _ net.Error = Timeout("")
