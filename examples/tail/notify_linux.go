package main

import (
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// notifier is an inotify descriptor that is a channel, too: what it says does not
// matter, only that it says something.
type notifier struct {
	c       *channel.Conn
	fd      int
	watched int // the file's watch; -1: none
}

// notify calls changed when something may have happened to the file of that name, or
// to the one that the notifier was last told of. It is nil where there is no inotify.
func notify(l *loop.Loop, path string, changed func()) *notifier {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	n := &notifier{fd: fd, watched: -1}
	n.c, err = channel.AdoptFD(l, fd, &channel.Handler{
		Read:  func(*channel.Conn, []byte) { changed() },
		Close: func(*channel.Conn, error) { n.fd = -1 },
	})
	if err != nil {
		unix.Close(fd)
		return nil
	}
	unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_ONLYDIR)
	return n
}

// file has it tell of the file that has the name now.
func (n *notifier) file(path string) {
	if n.fd < 0 {
		return
	}
	wd, err := unix.InotifyAddWatch(n.fd, path, unix.IN_MODIFY|unix.IN_ATTRIB|unix.IN_MOVE_SELF)
	if err != nil {
		wd = -1
	}
	if n.watched >= 0 && n.watched != wd {
		unix.InotifyRmWatch(n.fd, uint32(n.watched)) // gone by itself, perhaps
	}
	n.watched = wd
}
