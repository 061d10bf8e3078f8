package socket

import (
	"errors"
	"io"
)

// ErrTruncated is RecvFDs's answer when descriptors were lost on the way.
var ErrTruncated = errors.New("control data truncated")

// Control is one item of ancillary data, a control message of cmsg(3).
type Control struct {
	Level, Type int // SOL_SOCKET and SCM_RIGHTS, for example
	Data        []byte
}

// Cred is who sent a message, or says so: SCM_CREDENTIALS of unix(7).
type Cred struct{ PID, UID, GID int }

// Message is what RecvMsg has received, besides the bytes.
type Message struct {
	N       int // bytes in the buffer
	Control []Control
	Flags   int  // MSG_TRUNC, MSG_CTRUNC, MSG_EOR and others
	From    Addr // nil where there is none
}

// Rights returns the control message that passes descriptors to another process, or
// to this one, over a Socket of AF_UNIX. They stay the sender's too, and must be open
// until they are sent. The receiver has duplicates.
func Rights(fds ...int) Control {
	return Control{Level: solSocket, Type: scmRights, Data: rights(fds)}
}

// Rights returns the descriptors that came with a control message, nil if it is of
// another kind. They are close-on-exec, and the receiver's to close.
func (c Control) Rights() []int { return parseRights(c) }

// Credentials returns the control message that says who sends (Linux). The kernel
// checks it: only a privileged process can give another's.
func Credentials(c Cred) Control { return credentials(c) }

// Credentials returns whose message it is, where the option SO_PASSCRED is set (Linux);
// false if the control message is of another kind.
func (c Control) Credentials() (Cred, bool) { return parseCredentials(c) }

// RecvMsg receives into p like RecvInto, with ancillary data in room for that many
// bytes, as CMSG_SPACE counts them; where room is 0 there is none, and the kernel
// closes the descriptors that came. All is recvmsg(2).
//
// MSG_TRUNC in the message's Flags tells that the datagram was larger than p,
// MSG_CTRUNC that the ancillary data was larger than the room for it, or that there
// was no room for descriptors in the process; what of them is in Control belongs to
// the caller even so. At the end of a stream the error is [io.EOF].
func (s *Socket) RecvMsg(p []byte, room int, flags ...int) (Message, error) {
	c := call{s: s, op: "recvmsg", name: "recvmsg"}
	if room < 0 {
		return Message{}, s.fail(c.op, c.name, -1, errNegativeSize)
	}
	return c.recvMsg(p, make([]byte, min(room, maxControl)), or(flags))
}

// maxControl is more than any kernel puts into a message: Linux keeps to
// optmem_max, the BSDs to one mbuf cluster.
const maxControl = 1 << 20

func (c *call) recvMsg(p, oob []byte, flags int) (m Message, err error) {
	c.nowait = flags&msgNeverWaits != 0
	var oobn int
	err = c.do(pollIn, func(fd int) (err error) {
		m.N, oobn, m.Flags, m.From, err = sysRecvMsg(fd, p, oob, flags|msgDontWait)
		return err
	})
	if err != nil {
		return Message{}, err
	}
	m.N = min(m.N, len(p)) // where there is no p, x/sys may receive a byte of its own
	m.Control = parseControl(oob[:oobn])
	if m.N == 0 && len(p) > 0 && c.s.stream() && (len(m.Control) == 0 || c.s.family == afUnix && c.s.typ == sockStream) {
		return m, io.EOF // with which Linux sends along nobody's credentials
	}
	return m, nil
}

// SendMsg sends p and ancillary data, to an address or, where to is nil, to the peer,
// sendmsg(2). On a stream it may send a part of p; the ancillary data goes with the
// first byte, so that there must be one.
func (s *Socket) SendMsg(p []byte, control []Control, to Addr, flags ...int) (int, error) {
	c := call{s: s, op: "sendmsg", name: "sendmsg"}
	return c.sendMsg(p, encodeControl(control), to, or(flags))
}

func (c *call) sendMsg(p, oob []byte, to Addr, flags int) (n int, err error) {
	c.nowait = flags&msgDontWait != 0
	err = c.do(pollOut, func(fd int) (err error) {
		if to != nil {
			if err := c.s.check(to); err != nil {
				return err
			}
		}
		n, err = sysSendMsg(fd, p, oob, to, flags|msgDontWait)
		return err
	})
	return n, withAddress(err, nil, to)
}

// SendFDs sends descriptors with p, which on a stream has at least one byte: Python's
// send_fds. It returns how much of p has been sent; the descriptors have, unless there
// is an error.
func (s *Socket) SendFDs(p []byte, fds ...int) (int, error) {
	if len(p) == 0 && s.typ == sockStream {
		return 0, s.fail("sendmsg", "", -1, errNoData)
	}
	return s.SendMsg(p, []Control{Rights(fds...)}, nil)
}

// RecvFDs receives into p and takes up to most descriptors, which are close-on-exec
// and the caller's to close: Python's recv_fds. If there came more, or the process has
// no room for all, none is left open and the error is [ErrTruncated]; the n bytes have
// been received even so.
func (s *Socket) RecvFDs(p []byte, most int) (n int, fds []int, err error) {
	m, err := s.RecvMsg(p, controlRoom(maxRights))
	for _, c := range m.Control {
		fds = append(fds, c.Rights()...)
	}
	if m.Flags&msgCtrunc != 0 || len(fds) > most {
		for _, fd := range fds {
			sysClose(fd)
		}
		return m.N, nil, s.fail("recvmsg", "recvmsg", -1, ErrTruncated)
	}
	return m.N, fds, err
}

// maxRights is the most descriptors that Linux lets a message have, SCM_MAX_FD; the
// BSDs have room for fewer.
const maxRights = 253
