//go:build linux && kqfake

package asyncore

import "golang.org/x/sys/unix"

// fakeFile is what a descriptor's number stood for. The numbers of a file
// system are not enough for what has no inode of its own (epoll, eventfd).
type fakeFile struct {
	dev, ino uint64
	mode     uint32
}

func identify(fd int) (fakeFile, unix.Errno) {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return fakeFile{}, unix.EBADF
	}
	return fakeFile{uint64(st.Dev), st.Ino, st.Mode & unix.S_IFMT}, 0
}

// knote is one registration: a kqueue has at most one of a descriptor and
// filter.
type knote struct {
	fd     int
	filter int
	file   fakeFile
	polled bool  // poll(2) can tell its state
	header int64 // counted in front of each datagram

	flags    int
	fflags   uint32
	lowat    int64
	udata    uint64
	disabled bool

	triggered bool
	last      status // what EV_CLEAR compares with
	want      uint32 // what the inner epoll is asked for now
	gone      bool   // deleted by its own report
}

// status is what a filter has to say.
type status struct {
	on, eof bool
	data    int64
	fflags  uint32
}

// attach tells whether the kernel watches such a descriptor, and notes what
// will not change of it.
func (k *knote) attach(kernel *fakeKernel, epoll int) unix.Errno {
	switch k.file.mode {
	case unix.S_IFREG, unix.S_IFDIR:
		if k.filter == evfiltWrite {
			return kernel.fileWrite
		}
	case unix.S_IFCHR:
		if epollSet(epoll, unix.EPOLL_CTL_ADD, k.fd, 0) == unix.EPERM {
			return kernel.device
		}
		epollSet(epoll, unix.EPOLL_CTL_DEL, k.fd, 0)
		k.polled = true
	case unix.S_IFIFO:
		fds := [1]unix.PollFd{{Fd: int32(k.fd)}}
		unix.Poll(fds[:], 0)
		if k.filter == evfiltWrite && fds[0].Revents&unix.POLLERR != 0 {
			return kernel.readerGone
		}
		k.polled = true
	case unix.S_IFSOCK:
		kind, _ := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_TYPE)
		domain, _ := unix.GetsockoptInt(k.fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		switch {
		case kind != unix.SOCK_DGRAM || !kernel.headers:
		case domain == unix.AF_UNIX:
			k.header = 2
		case domain == unix.AF_INET:
			k.header = 16
		}
		k.polled = true
	default:
		k.polled = k.filter != evfiltUser
	}
	if k.filter == evfiltExcept && k.file.mode != unix.S_IFSOCK {
		return unix.EINVAL
	}
	return 0
}

// bits is what poll(2) is asked for: also whether the peer is gone, which
// tells a socket that was never connected from one that is no longer.
func (k *knote) bits() int16 { return int16(k.mask()) | unix.POLLRDHUP }

// mask is what may make the filter report something. poll and epoll give the
// bits the same values.
func (k *knote) mask() uint32 {
	switch k.filter {
	case evfiltRead:
		return unix.EPOLLIN | unix.EPOLLRDHUP
	case evfiltWrite:
		return unix.EPOLLOUT
	case evfiltExcept:
		return unix.EPOLLPRI | unix.EPOLLIN | unix.EPOLLRDHUP
	}
	return 0
}

func (k *knote) interest() uint32 {
	if k.disabled || !k.polled {
		return 0
	}
	return k.mask()
}

// noise tells whether bits would wake a poller that has k's interest.
func (k *knote) noise(bits int16) bool {
	return uint32(uint16(bits))&(k.mask()|unix.EPOLLHUP|unix.EPOLLERR) != 0
}

// look gives the filter's status by what poll(2) says of the descriptor.
func (k *knote) look(bits int16) status {
	has := func(mask int16) bool { return bits&mask != 0 }
	switch {
	case k.filter == evfiltUser:
		return status{on: k.triggered, fflags: k.fflags}
	case !k.polled:
		return k.lookFile()
	case k.file.mode == unix.S_IFSOCK && has(unix.POLLHUP) && !has(unix.POLLRDHUP):
		return status{} // never connected: nothing to say to a BSD
	}

	// A socket's peer may be gone by half. A pipe says POLLERR to the writer
	// whose reader is gone.
	half := has(unix.POLLRDHUP)
	whole := has(unix.POLLHUP)
	if k.file.mode != unix.S_IFSOCK {
		whole = whole || k.file.mode == unix.S_IFIFO && has(unix.POLLERR)
		half = whole
	}
	var now status
	switch k.filter {
	case evfiltRead:
		now.on, now.eof = has(unix.POLLIN|unix.POLLERR) || half, half
		if now.on {
			now.data = k.unread(has(unix.POLLIN))
		}
		if k.fflags&noteLowat != 0 && !now.eof && now.data < k.lowat {
			now.on = false
		}
	case evfiltWrite:
		now.on, now.eof = has(unix.POLLOUT|unix.POLLERR) || whole, whole
		now.data = 1 // at least; nobody counts
	case evfiltExcept:
		// On Darwin also for ordinary data.
		now.on, now.eof = has(unix.POLLPRI|unix.POLLIN) || half, half
		if has(unix.POLLPRI) {
			now.fflags = noteOOB
		}
	}
	return now
}

// lookFile is for what poll(2) calls ready always: regular files, of which a
// reader is told what is left, and the null device.
func (k *knote) lookFile() status {
	now := status{on: true}
	if k.filter == evfiltRead && k.file.mode == unix.S_IFREG {
		var st unix.Stat_t
		at, _ := unix.Seek(k.fd, 0, unix.SEEK_CUR)
		unix.Fstat(k.fd, &st)
		now.data = st.Size - at
		now.on = now.data > 0
	}
	return now
}

// unread gives the bytes of a stream, the bytes of the first datagram, or the
// connections that a TCP listener holds.
func (k *knote) unread(in bool) int64 {
	n, err := unix.IoctlGetInt(k.fd, unix.TIOCINQ)
	switch {
	case err == nil && in:
		return int64(n) + k.header
	case err == nil:
		return 0
	case k.file.mode == unix.S_IFSOCK:
		if info, err := unix.GetsockoptTCPInfo(k.fd, unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			return int64(info.Unacked) // of a listener: its backlog
		}
	}
	return 1
}

// due tells whether an event is to be reported. With EV_CLEAR it must say
// more than the last one did.
func (k *knote) due(now status) bool {
	if k.disabled || k.gone {
		return false
	}
	if k.filter == evfiltUser {
		return k.triggered
	}
	if k.flags&evClear == 0 {
		return now.on
	}
	due := now.on && (!k.last.on || now.data > k.last.data || now.eof && !k.last.eof)
	if !due {
		k.last = now // less counts too: what comes next is more than that
	}
	return due
}

// report makes the event, and does what the flags say about the note.
func (k *knote) report(kernel *fakeKernel, now status) kevent {
	ev := kevent{Udata: k.udata, Fflags: now.fflags, Data: now.data}
	flags := k.flags
	if now.eof {
		flags |= evEOF
	}
	if now.eof && k.filter == evfiltWrite && k.file.mode == unix.S_IFIFO {
		if kernel.dropsWriter {
			flags |= evOneshot
		} else {
			ev.Data = 0
		}
	}
	kqSet(&ev, k.fd, k.filter, flags)
	k.last = now
	if flags&evClear != 0 {
		k.triggered = false
	}
	if flags&evDispatch != 0 {
		k.disabled = true
	}
	k.gone = flags&evOneshot != 0
	return ev
}
