package faultsys

import (
	"slices"
	"syscall"
)

// fate is what has become of the world when a call gives an errno.
type fate uint8

const (
	// spared: nothing was done. Close and Connect are made nevertheless: after
	// EINTR and EIO a descriptor is closed, and a connect that a signal has
	// interrupted goes on.
	spared fate = iota
	// aborted: the connection that was next in a listener's queue is gone.
	aborted
	// killed: the connection of the descriptor is gone for good, or the listener
	// does not listen any more. What the kernel then tells is an error once and
	// no second time: Recv gives what had arrived, and then the end (nothing, after
	// an error of Recv's own: then it was under way); Send gives EPIPE, Accept
	// EINVAL, PeerAddr and ShutdownWrite ENOTCONN, SockError nothing, and the
	// poller reports the descriptor as ready and hung up. A socket of datagrams
	// lives on: the error was one packet's.
	killed
	// ofPacket: the error is one packet's, sent now or before. Only a socket of
	// datagrams has such; a connection is spared even the error.
	ofPacket
)

// fault is one errno that a call may fail with.
type fault struct {
	errno syscall.Errno
	fate  fate
	lasts bool // may come at every call from now on
}

// Of those that do not last, each stands for an event that is over when it has
// been told, a signal for instance, and a call that is repeated at once must not
// meet it for ever.
func passing(errnos ...syscall.Errno) []fault  { return each(spared, false, errnos...) }
func lasting(errnos ...syscall.Errno) []fault  { return each(spared, true, errnos...) }
func aborting(errnos ...syscall.Errno) []fault { return each(aborted, true, errnos...) }
func killing(errnos ...syscall.Errno) []fault  { return each(killed, true, errnos...) }

func each(f fate, lasts bool, errnos ...syscall.Errno) (list []fault) {
	for _, errno := range errnos {
		list = append(list, fault{errno, f, lasts})
	}
	return list
}

// lost is what a connection ends with: the peer's reset, an administrator's
// (ECONNABORTED), nobody who answers, no way any more.
var lost = killing(syscall.ECONNRESET, syscall.ECONNABORTED, syscall.ETIMEDOUT, syscall.EHOSTUNREACH,
	syscall.ENETUNREACH, syscall.ENETDOWN)

// faults is what each call may fail with on a non-blocking descriptor that the
// System has made or that is as if it had, whatever the user does, and what has
// become of the world then. EBADF is in no row: it is told of descriptors that
// somebody else has closed, for which there is Steal.
var faults = map[Call][]fault{
	// EAGAIN: the readiness was for nothing, or another process was faster.
	Recv: slices.Concat(passing(syscall.EINTR, syscall.EAGAIN), lasting(syscall.ENOBUFS, syscall.ENOMEM), lost),
	Send: slices.Concat(passing(syscall.EINTR, syscall.EAGAIN), lasting(syscall.ENOBUFS, syscall.ENOMEM), lost,
		killing(syscall.EPIPE)),
	// EINVAL: the byte has gone into the stream, or somebody has taken it.
	RecvUrgent: passing(syscall.EAGAIN, syscall.EINVAL),
	// EIO is a disk's, or a terminal's that has been hung up.
	Read:  slices.Concat(passing(syscall.EINTR, syscall.EAGAIN), lasting(syscall.EIO)),
	Write: slices.Concat(passing(syscall.EINTR, syscall.EAGAIN), lasting(syscall.EIO, syscall.ENOSPC), killing(syscall.EPIPE)),
	// EINVAL and EOPNOTSUPP: not from this file, or not to this socket.
	SendFile: slices.Concat(passing(syscall.EINTR, syscall.EAGAIN),
		lasting(syscall.ENOBUFS, syscall.ENOMEM, syscall.EIO, syscall.EINVAL, syscall.EOPNOTSUPP), lost, killing(syscall.EPIPE)),
	FileRest: lasting(syscall.EIO),
	Close:    lasting(syscall.EINTR, syscall.EIO),

	Socket: lasting(syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EACCES, syscall.EAFNOSUPPORT),
	Bind:   lasting(syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, syscall.EACCES, syscall.ENOMEM),
	Listen: lasting(syscall.EADDRINUSE, syscall.ENOBUFS),
	// A shortage, and a security module that says EPERM, leave the connection in
	// the queue. The other errors are its own: Linux tells those of the network
	// here. EINVAL: somebody who has a duplicate has shut the socket down.
	Accept: slices.Concat(passing(syscall.EINTR, syscall.EAGAIN),
		lasting(syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EPERM),
		aborting(syscall.ECONNABORTED, syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EOPNOTSUPP, syscall.EHOSTDOWN,
			syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.ENETUNREACH, syscall.ECONNRESET, syscall.ETIMEDOUT),
		killing(syscall.EINVAL)),
	// EAGAIN: a Unix listener's queue is full, or no port is free. What fails at
	// once leaves the socket unconnected.
	Connect: slices.Concat(passing(syscall.EINTR),
		lasting(syscall.EAGAIN, syscall.ECONNREFUSED, syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN,
			syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EACCES, syscall.EPERM, syscall.ENOBUFS)),
	// The pending error, which is how a connect ends that was under way. The peer
	// may have accepted the connection already, and sees it reset.
	SockError: killing(syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ETIMEDOUT, syscall.EHOSTUNREACH,
		syscall.ENETUNREACH, syscall.ENETDOWN),
	// ENOTCONN: the connection has been reset, and the error is still pending.
	PeerAddr:      slices.Concat(lasting(syscall.ENOBUFS), killing(syscall.ENOTCONN)),
	ShutdownWrite: killing(syscall.ENOTCONN),
	// EINVAL is how the BSDs and macOS tell of a socket that the peer has reset; it
	// may be read still.
	LocalAddr:   lasting(syscall.EINVAL, syscall.ENOBUFS),
	SetOption:   lasting(syscall.EINVAL, syscall.ENOBUFS),
	PeerCred:    lasting(syscall.ENOTCONN, syscall.EINVAL),
	SetNonblock: lasting(syscall.EINVAL),
	Dup:         lasting(syscall.EMFILE),
	Kind:        lasting(syscall.ENOMEM),

	// ECONNRESET is also what a Unix datagram socket is told when its peer has
	// closed with packets unread.
	RecvPackets: slices.Concat(passing(syscall.EINTR, syscall.EAGAIN), lasting(syscall.ENOBUFS, syscall.ENOMEM),
		killing(syscall.ECONNRESET),
		each(ofPacket, false, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH)),
	SendPackets: slices.Concat(passing(syscall.EINTR, syscall.EAGAIN),
		lasting(syscall.ENOBUFS, syscall.ENOMEM, syscall.EMSGSIZE), killing(syscall.ECONNRESET, syscall.EPIPE),
		each(ofPacket, true, syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN,
			syscall.EPERM, syscall.EACCES)),
	PacketError:   passing(syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EMSGSIZE),
	Membership:    lasting(syscall.ENOBUFS, syscall.ENOMEM, syscall.ENODEV, syscall.EADDRINUSE, syscall.EADDRNOTAVAIL),
	MulticastFrom: lasting(syscall.ENODEV, syscall.EADDRNOTAVAIL),

	Lstat:  lasting(syscall.EACCES, syscall.EIO),
	Chmod:  lasting(syscall.EPERM, syscall.EIO),
	Unlink: lasting(syscall.EACCES, syscall.EPERM, syscall.EIO),

	Pipe: lasting(syscall.EMFILE, syscall.ENFILE),

	// A poller's Wait keeps EINTR to itself, and tells nothing else of a poller that
	// is open. Remove fails only for what is not there.
	OpenPoller: lasting(syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM),
	Add:        lasting(syscall.ENOMEM, syscall.ENOSPC),
	Modify:     lasting(syscall.ENOMEM),
}

// Legal returns the errnos that a kernel may really give at a call, on a
// descriptor that the loop uses as it should; none where the call cannot fail.
func Legal(c Call) []syscall.Errno {
	var errnos []syscall.Errno
	for _, f := range faults[c] {
		errnos = append(errnos, f.errno)
	}
	return errnos
}

// Lasts tells whether a kernel may give errno at every call from one on. EINTR is
// over when it has been told: whoever tries again at once would do so for ever.
func Lasts(c Call, errno syscall.Errno) bool {
	return slices.ContainsFunc(faults[c], func(f fault) bool { return f.errno == errno && f.lasts })
}

// fateOf is spared for what is not in the table.
func fateOf(c Call, errno syscall.Errno) fate {
	for _, f := range faults[c] {
		if f.errno == errno {
			return f.fate
		}
	}
	return spared
}
