//go:build linux

package asyncore

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// wakeMessage adds 1 to the eventfd's counter, in the machine's byte order.
var wakeMessage = binary.NativeEndian.AppendUint64(nil, 1)

func openWaker() (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	return &waker{r: fd, w: fd}, nil
}
