//go:build darwin || dragonfly || freebsd

package asyncore

import "golang.org/x/sys/unix"

const (
	evfiltUser  = unix.EVFILT_USER
	noteTrigger = unix.NOTE_TRIGGER
)

type kqWaker = *userWaker

func openKqWaker(kq int) (kqWaker, error) { return openUserWaker(kq) }
