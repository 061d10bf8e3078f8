//go:build unix

package sys

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkSeam measures what it costs that the loop makes its system calls
// through an interface: a Recv that finds nothing, made on the concrete type and
// made through the System.
func BenchmarkSeam(b *testing.B) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if err := unix.SetNonblock(pair[0], true); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 64)
	check := func(errno syscall.Errno) {
		if errno != syscall.EAGAIN {
			b.Fatal(errno)
		}
	}
	b.Run("direct", func(b *testing.B) {
		r := Real().(*real)
		for b.Loop() {
			_, errno := r.Recv(pair[0], buf)
			check(errno)
		}
	})
	b.Run("through", func(b *testing.B) {
		s := Real()
		for b.Loop() {
			_, errno := s.Recv(pair[0], buf)
			check(errno)
		}
	})
}
