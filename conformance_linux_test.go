package asyncore_test

import "golang.org/x/sys/unix"

// threadKiller returns a function that sends signals to the calling thread.
func threadKiller() func(unix.Signal) error {
	pid, tid := unix.Getpid(), unix.Gettid()
	return func(sig unix.Signal) error { return unix.Tgkill(pid, tid, sig) }
}
