//go:build unix && !linux

package asyncore_test

import "golang.org/x/sys/unix"

// threadKiller does nothing where x/sys cannot send signals to a thread.
func threadKiller() func(unix.Signal) error {
	return func(unix.Signal) error { return nil }
}
