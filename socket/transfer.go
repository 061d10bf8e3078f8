package socket

import (
	"errors"
	"io"
	"syscall"
)

// A call for this many bytes of a stream, or for a datagram that may be so large,
// has room for no more at first hand: what a caller asks for may be any number.
const (
	maxStream   = 1 << 20
	maxDatagram = 16 << 20
)

// Recv returns up to n bytes, recv(2): what has come, or of a datagram the beginning.
// The end of a stream is [io.EOF], as everywhere in Go, where Python returns no bytes.
// An empty datagram is an empty slice and no error, and so is what comes of n = 0,
// for which nothing is asked of the system. An empty message of SOCK_SEQPACKET can't be
// told from the end. A call returns at most 1 MiB of a stream.
//
// flags are MSG_*. MSG_WAITALL waits for all n bytes, or the end of the stream, or the
// timeout, of which the next call tells; an error of the system comes with the bytes
// before it. MSG_DONTWAIT, MSG_OOB and MSG_ERRQUEUE never wait, whatever the mode:
// ErrWouldBlock.
func (s *Socket) Recv(n int, flags ...int) ([]byte, error) {
	p, err := s.buffer("recv", n)
	if err != nil {
		return nil, err
	}
	n, err = s.RecvInto(p, flags...)
	return fit(p, n), err
}

// RecvInto is Recv into p. With MSG_TRUNC, on Linux, the result is the length of the
// whole datagram, which can be more than that of p.
func (s *Socket) RecvInto(p []byte, flags ...int) (int, error) {
	c := call{s: s, op: "recv", name: "recv"}
	return c.recv(p, or(flags))
}

func (c *call) recv(p []byte, flags int) (n int, err error) {
	if len(p) == 0 {
		if err := c.begin(); err != nil {
			return 0, c.s.fail(c.op, c.name, -1, err)
		}
		c.end()
		return 0, nil
	}
	c.nowait = flags&msgNeverWaits != 0
	all := flags&(msgWaitAll|msgPeek) == msgWaitAll && c.s.typ == sockStream
	err = c.do(pollIn, func(fd int) error {
		m, err := sysRecv(fd, p[n:], flags)
		n += m
		if all && m > 0 && n < len(p) {
			c.vain = 0
			return syscall.EAGAIN
		}
		return err
	})
	switch _, lost := errors.AsType[syscall.Errno](err); {
	case lost: // the kernel tells it once
		return n, err
	case n > 0:
		return n, nil
	case err == nil && c.s.stream():
		return 0, io.EOF
	}
	return 0, err
}

// RecvFrom is Recv that tells whose datagram it is, recvfrom(2). The rest of a
// datagram of more than n bytes is lost; RecvMsg tells of it by MSG_TRUNC. The address
// is nil where there is none, as on streams.
func (s *Socket) RecvFrom(n int, flags ...int) ([]byte, Addr, error) {
	p, err := s.buffer("recvfrom", n)
	if err != nil {
		return nil, nil, err
	}
	c := call{s: s, op: "recvfrom", name: "recvfrom"}
	m, err := c.recvMsg(p, nil, or(flags))
	return fit(p, m.N), m.From, err
}

// Send sends p, or what there is room for, and returns how many bytes that was,
// send(2). It may be less than all of a stream's even when the Socket is blocking:
// see SendAll. A datagram is sent whole or not at all, and may be empty.
func (s *Socket) Send(p []byte, flags ...int) (n int, err error) {
	c := call{s: s, op: "send", name: "send", nowait: or(flags)&msgDontWait != 0}
	err = c.do(pollOut, func(fd int) (err error) {
		n, err = sysSend(fd, p, or(flags))
		return err
	})
	return n, err
}

// SendAll sends the whole of p. The timeout is for all of it. On an error n is how
// many bytes the system has taken, which the peer may or may not have got.
func (s *Socket) SendAll(p []byte, flags ...int) (n int, err error) {
	c := call{s: s, op: "sendall", name: "send", nowait: or(flags)&msgDontWait != 0}
	return c.sendAll(p, or(flags))
}

func (c *call) sendAll(p []byte, flags int) (n int, err error) {
	c.write = true
	err = c.do(pollOut, func(fd int) error {
		m, err := sysSend(fd, p[n:], flags)
		if err != nil {
			return err
		}
		c.vain = 0
		if n += m; n < len(p) && c.s.stream() {
			return syscall.EAGAIN // there was no room for more
		}
		return nil
	})
	return n, err
}

// SendTo sends p to an address, sendto(2).
func (s *Socket) SendTo(p []byte, to Addr, flags ...int) (int, error) {
	c := call{s: s, op: "sendto", name: "sendto"}
	if to == nil {
		return 0, s.fail(c.op, c.name, -1, errNoAddress)
	}
	return c.sendMsg(p, nil, to, or(flags))
}

// buffer returns room for n bytes, as far as a single call can fill it.
func (s *Socket) buffer(op string, n int) ([]byte, error) {
	if n < 0 {
		return nil, s.fail(op, "", -1, errNegativeSize)
	}
	most := maxDatagram
	if s.typ == sockStream {
		most = maxStream
	}
	return make([]byte, min(n, most)), nil
}

// fit returns the n bytes that came, or as many of them as p has, in a slice that
// doesn't hold on to much more.
func fit(p []byte, n int) []byte {
	n = min(n, len(p))
	if n < len(p)/2 {
		return append(make([]byte, 0, n), p[:n]...)
	}
	return p[:n:n]
}

func or(flags []int) (all int) {
	for _, f := range flags {
		all |= f
	}
	return all
}
