package channel

import (
	"fmt"
	"iter"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// Conn is one channel: a connected socket, a pipe or a terminal, with its
// callbacks, its queued output and its timeouts. It is made by Listen, Dial,
// Open and Adopt, and belongs to its loop's goroutine: no method may be called
// from another one (see [loop.Loop.Post]).
//
// asyncore's dispatcher, dispatcher_with_send and file_dispatcher in one.
type Conn struct {
	*hub
	h     *Handler
	token uint64
	id    uint64
	fd    int32
	state state

	// Input.
	tail   []byte // given back by Unread
	read   uint64 // bytes, ever
	active int64  // since when the idle timeout counts

	// Output: out[off:], then rest. Both are empty in an idle Conn.
	out     []byte
	off     int
	queued  int // bytes in out[off:] and rest
	rest    []segment
	written uint64
	water   *water

	reason error // for Close; while broken, why writing failed

	// Timeouts, all on one timer: see timeout.go.
	timer    core.Timer
	backoff  int32 // the wait for a passing shortage, in ms
	idle     time.Duration
	stall    time.Duration
	progress int64 // since when output waits without progress
	limit    int64 // of the phase: connecting, or draining after Close
	retry    int64 // when to go on after a passing shortage; 0: none

	remote sys.Addr
	dial   *dialing    // while connecting
	ln     *Listener   // that accepted it, or nil
	layer  *core.Layer // package chat's, or nil

	prev, next *Conn // all Conns of the loop, in the order of ID
}

var _ interface {
	Write([]byte) (int, error)
	WriteString(string) (int, error)
	Close() error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	syscall.Conn
} = (*Conn)(nil)

// state is what a Conn is doing, as a set of flags.
type state uint32

const (
	connecting  state = 1 << iota // not established yet
	opening                       // established, but Connect has not been called
	dispatching                   // one of its callbacks, or its turn, is under way
	inDirty                       // the engine will call Flush
	paused                        // by the user
	choked                        // not read because output is above high water
	risen                         // output rose above high water; Write is owed
	atEOF                         // the peer's last byte has been read
	shutWanted                    // CloseWrite was called
	shutDone                      // and has been carried out
	draining                      // Close was called: flush, then close
	detaching                     // Detach was called: flush, then give away
	givenAway                     // and that has been done
	lingering                     // flushed: input is thrown away until the peer closes
	ended                         // the reason is set, Finish is due
	finished                      // closed, and the user told
	swapped                       // SetHandler was called during this Read
	resumed                       // reading has resumed during this Read
	redeliver                     // the tail is wanted without new input
	parked                        // the producer had nothing to give
	isFile                        // not a socket: read and write, which may sleep
	noRead                        // opened for writing only
	noWrite                       // opened for reading only
	adopted                       // made by Open, Adopt or AdoptFD
	wasBlocking                   // O_NONBLOCK is to be taken back
	full                          // the kernel took less than all; the poller will tell
	broken                        // writing failed; what is left is being read
	lost                          // the descriptor was closed by somebody else
	guest                         // its peer came to us: accepted, or an adopted socket
	heard                         // input has come since the user wrote last
	piped                         // has its handler from Pipe
)

func (c *Conn) is(any state) bool { return c.state&any != 0 }

// hub is what the channels of one loop share.
type hub struct {
	e           *core.Engine
	l           *loop.Loop
	ids         uint64
	first, last *Conn
	guests      int // Conns that are

	packets packetRoom // of the PacketConns

	leaving   map[*Conn]func(Detached) // those that are being detached
	processes map[*Conn]*Process       // those of child processes

	// The Read under way: its Conn, its bytes, and those given back so far.
	reader        *Conn
	input, unread []byte
}

func hubOf(l *loop.Loop) *hub {
	e := core.Of(l)
	if e.Hub == nil {
		e.Hub = (*conns)(&hub{e: e, l: l})
	}
	return (*hub)(e.Hub.(*conns))
}

func init() {
	core.LayerOf = func(c any) **core.Layer { return &c.(*Conn).layer }
}

// conns is the hub as the engine sees it.
type conns hub

// FailAll closes the Conns in the order of their IDs.
func (hb *conns) FailAll(err error) {
	for c := hb.first; c != nil; c = c.next {
		(*source)(c).Fail(err)
	}
}

func (hb *hub) newConn(fd int, h *Handler) *Conn {
	hb.ids++
	c := &Conn{hub: hb, h: h, id: hb.ids, fd: int32(fd), water: &defaultWater, stall: writeTimeout, prev: hb.last}
	c.token = hb.e.Register((*source)(c), fd)
	c.active = hb.e.Now()
	if hb.last == nil {
		hb.first = c
	} else {
		hb.last.next = c
	}
	hb.last = c
	return c
}

// forget takes c out of the list. It keeps no link into it: whoever holds on to
// a closed Conn would hold all that were closed later.
func (hb *hub) forget(c *Conn) {
	if c.prev == nil {
		hb.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		hb.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	if c.is(guest) {
		if hb.guests--; hb.guests == 0 && hb.e.Draining {
			for c := hb.first; c != nil; c = c.next {
				(*source)(c).Drain()
			}
		}
	}
}

// countGuest counts a Conn whose peer came to us.
func (hb *hub) countGuest(c *Conn) {
	c.state |= guest
	hb.guests++
}

// after returns the Conn that follows c, also where c has been closed since an
// iteration came to it.
func (hb *hub) after(c *Conn) *Conn {
	if !c.is(finished) {
		return c.next
	}
	o := hb.first
	for o != nil && o.id < c.id {
		o = o.next
	}
	return o
}

// Conns iterates over the Conns of l that have not been closed, in the order
// of their IDs. It takes the place of asyncore's socket_map.
func Conns(l *loop.Loop) iter.Seq[*Conn] {
	hb := hubOf(l)
	hb.e.Check()
	return func(yield func(*Conn) bool) {
		for c := hb.first; c != nil; c = hb.after(c) {
			if !yield(c) {
				return
			}
		}
	}
}

// ID numbers the Conns of a loop from 1 in the order in which they were made;
// no number is used twice, unlike a descriptor's.
func (c *Conn) ID() uint64 { return c.id }

// Loop returns the Conn's loop.
func (c *Conn) Loop() *loop.Loop { return c.l }

// SetHandler replaces the callbacks, from the next one on. Bytes given back
// with Unread, before or after in the same Read, go to the new handler without
// waiting for more input. h must not be nil.
func (c *Conn) SetHandler(h *Handler) {
	c.e.Check()
	if h == nil {
		panic("channel: SetHandler: handler is nil")
	}
	c.h = h
	c.state &^= piped
	if c.is(dispatching) {
		c.state |= swapped
	}
	c.state &^= redeliver
	if len(c.tail) > 0 {
		c.state |= redeliver
		c.again()
	}
	c.watch()
}

// again asks for a Ready(0), unless the dispatch under way will see to it.
func (c *Conn) again() {
	if !c.is(dispatching) {
		c.e.Again(c.token)
	}
}

// Pause stops reading: neither Read nor EOF is called until Resume. The Conn
// leaves the poller as far as reading goes, so that its peer's reset is
// noticed on Resume, when output fails, or by the idle timeout, which runs on.
// Where output fails, Handler.Write is called: what the peer sent before comes
// after Resume, and then Close, which a Conn that is not resumed gets when the
// write timeout has passed.
func (c *Conn) Pause() {
	c.e.Check()
	c.state |= paused
	c.watch()
}

// Resume ends Pause. What was given back with Unread and what the peer sent
// meanwhile is then delivered.
func (c *Conn) Resume() {
	c.e.Check()
	if !c.is(paused) {
		return
	}
	c.state &^= paused
	c.wantTail()
	if c.is(redeliver|broken) || c.e.Draining {
		c.again()
	}
	c.watch()
}

// Reading tells whether input is wanted now: not while the Conn is paused, nor
// while its output is above high water, and not any more after Close, Abort or
// Detach. A Read that works through several messages asks before each, and gives
// back the rest with Unread, which comes again when input is wanted.
func (c *Conn) Reading() bool { return c.reading() }

// BytesRead counts the bytes that the kernel has given.
func (c *Conn) BytesRead() uint64 {
	c.e.Check()
	return c.read
}

// BytesWritten counts the bytes that the kernel has taken.
func (c *Conn) BytesWritten() uint64 {
	c.e.Check()
	return c.written
}

// RemoteAddr returns the peer's address, a *net.TCPAddr or *net.UnixAddr; nil
// for a file, and before a dial has found one. While a dial goes on it is the
// address tried last.
func (c *Conn) RemoteAddr() net.Addr { return netAddr(c.remote) }

// LocalAddr asks the kernel for the Conn's own address; nil if there is none,
// as for a file, or after the Conn has closed.
func (c *Conn) LocalAddr() net.Addr {
	fd := c.socket()
	if c.is(isFile|finished) || fd < 0 {
		return nil
	}
	a, e := c.e.Sys.LocalAddr(fd)
	if e != 0 {
		return nil
	}
	return netAddr(a)
}

// socket is the Conn's descriptor; during a dial, that of the attempt begun
// last.
func (c *Conn) socket() int {
	if c.dial != nil {
		return c.dial.socket()
	}
	return int(c.fd)
}

func (c *Conn) network() string {
	if c.dial != nil {
		return c.dial.network
	}
	switch c.remote.Family {
	case sys.Inet, sys.Inet6:
		return "tcp"
	case sys.Unix:
		return "unix"
	}
	if c.is(isFile) {
		return "file"
	}
	return "socket" // adopted when its peer had gone already
}

// SyscallConn gives access to the descriptor, for socket options. The
// functions given to Read and Write are called once; where they return false,
// because the descriptor was not ready, the error is [errors.ErrUnsupported]:
// waiting is the loop's work. During a dial the descriptor is that of the
// attempt begun last; where there is none the error is ENOTCONN.
//
// SO_LINGER with a time would have close(2) wait inside the loop, for as long;
// for one of 0 there is Reset.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	c.e.Check()
	if c.is(ended | finished) {
		return nil, c.opError("raw", net.ErrClosed)
	}
	return rawConn{fd: func() (int, error) {
		if c.is(ended | finished) {
			return -1, c.opError("raw", net.ErrClosed)
		}
		fd := c.socket()
		if fd < 0 {
			return -1, c.opError("raw", syscall.ENOTCONN)
		}
		return fd, nil
	}}, nil
}

// String describes the Conn for logs, as in "conn 7 tcp 127.0.0.1:52114".
func (c *Conn) String() string {
	text := fmt.Sprintf("conn %d %s", c.id, c.network())
	if a := c.RemoteAddr(); a != nil && a.String() != "" {
		text += " " + strings.ToValidUTF8(a.String(), "?")
	}
	return text
}

// source is the Conn as the engine sees it: its methods are not the user's.
type source Conn

// Ready is one Conn's part of a turn: tell that it is connected, make room,
// read, and send what the callbacks wrote, in one call to the kernel.
func (s *source) Ready(ready asyncore.Interest) {
	c := (*Conn)(s)
	if c.is(ended) {
		return
	}
	if c.is(lingering) {
		c.linger()
		c.watch()
		return
	}
	c.state |= dispatching
	if c.is(opening) {
		c.state &^= opening
		c.connected()
	}
	if !c.is(connecting | ended) {
		if ready&asyncore.Urgent != 0 {
			c.readUrgent()
		}
		if ready&asyncore.Writable != 0 {
			c.state &^= full
			if c.waiting() { // not where it has just been connected
				c.flush()
			}
		}
		if c.is(broken) {
			c.fallen()
		}
		c.deliverTail()
		if (ready&asyncore.Readable != 0 || c.is(broken) || c.e.Draining) && c.reading() {
			c.readAll()
		}
	}
	c.settle()
}

// connected tells the user that the Conn is established.
func (c *Conn) connected() {
	if c.h.Connect != nil && !c.is(draining|detaching|ended) {
		c.e.Enter((*source)(c), "connect")
		c.h.Connect(c)
		c.e.Leave()
	}
}

// settle ends a dispatch.
func (c *Conn) settle() {
	c.state &^= dispatching | swapped
	if c.queued > 0 || len(c.rest) > 0 || c.is(draining|detaching|shutWanted) {
		if !c.is(connecting | ended) {
			c.flush()
		}
	}
	if c.e.Draining && c.is(guest|heard) && c.quiet() {
		c.CloseWrite() // no question has come, or all are answered
	}
	c.watch()
}

// watch tells the engine what the Conn waits for. Interest equals intent:
// write interest exists exactly while output waits for room, and a Conn that
// waits for nothing leaves the poller, where a hang-up would spin.
func (c *Conn) watch() {
	if c.is(ended | finished) {
		return
	}
	var want asyncore.Interest
	switch {
	case c.fd < 0: // connecting: the attempts have the sockets
	case c.retry != 0: // a timer goes on
	case c.is(lingering):
		want = asyncore.Readable
	default:
		if c.reading() {
			want = asyncore.Readable
			if c.h.Urgent != nil {
				want |= asyncore.Urgent
			}
		}
		if c.waiting() {
			want |= asyncore.Writable
		}
	}
	if want != c.e.Wanted(c.token) {
		c.e.Want(c.token, want)
	}
}

// reading tells whether input is wanted now.
func (c *Conn) reading() bool {
	return !c.is(connecting | opening | paused | choked | atEOF | draining | detaching | ended | noRead)
}

func (s *source) Describe() string { return (*Conn)(s).String() }
