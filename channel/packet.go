package channel

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// PacketHandler is a set of callbacks for packets, as Handler is one for a stream.
// Each may be nil. All run on the loop's goroutine, one at a time, and none inside
// a call that the user made. After the user's Close or Abort only Close comes.
type PacketHandler struct {
	// Packet: a packet has arrived (handle_read, then recvfrom). p belongs to the
	// loop and is valid until Packet returns; an empty one is a packet like any
	// other. truncated: it was longer than SetMaxPacket allows, and p is its
	// beginning. On a connected PacketConn from is the peer. Nil: packets are read
	// and thrown away.
	Packet func(c *PacketConn, p []byte, from PacketAddr, truncated bool)

	// Write: there is room again, after output had risen above half of what
	// SetLimit allows or a packet was refused for it. Nil: nothing.
	Write func(c *PacketConn)

	// Error: something went wrong that does not close the PacketConn. Either a
	// packet that was queued could not be sent and has been dropped: err is a
	// *net.OpError whose Op is "write" and whose Addr is where it was to go, around
	// EMSGSIZE, EHOSTUNREACH, EPERM and the like, ECONNREFUSED or ENOENT for a Unix
	// socket that is not there, ErrStalled, or ErrOutputLimit. Or the network says
	// that an earlier one has not arrived, which only a connected PacketConn is told:
	// ECONNREFUSED for the most part. Nil: nothing.
	Error func(c *PacketConn, err error)

	// Close: the PacketConn is closed, exactly once. err is nil after Close has
	// sent what was queued, and at the end of a connection of sequenced packets;
	// net.ErrClosed after Abort; else the reason, as in Handler.Close.
	Close func(c *PacketConn, err error)
}

// PacketAddr is where a packet comes from or goes to. It can be compared and be a
// map's key, and costs no allocation.
type PacketAddr struct {
	Inet netip.AddrPort // of UDP; an IPv6 zone is the interface's number
	Unix string         // of a Unix socket: a path, or "@name"; empty if it has none
}

// String is the address as net.Addr prints it.
func (a PacketAddr) String() string {
	if a.Inet.IsValid() {
		return a.Inet.String()
	}
	return a.Unix
}

// PacketConn is a socket that sends and receives packets, each as a whole: UDP's
// and Unix sockets' datagrams, with many peers or connected to one, or a
// connection of sequenced packets. It is made by ListenPacket, DialPacket,
// AdoptPacket and ListenConfig.ListenSeqPacket, and belongs to its loop's
// goroutine. It is asyncore's dispatcher with a socket of SOCK_DGRAM.
//
// No packet that fails and no message of the network's closes it: see
// PacketHandler.Error. Only Close, Abort, SetIdleTimeout, a panic in one of its
// callbacks, the loop's end, or somebody who closes its descriptor do; and the end
// of a connection of sequenced packets.
type PacketConn struct {
	*hub
	h         *PacketHandler
	network   string
	token, id uint64
	fd        int
	kind      sys.Kind   // Datagram or Sequenced
	family    sys.Family // the socket's
	connected bool
	local     sys.Addr
	remote    sys.Addr   // while connected
	peer      PacketAddr // the same
	made      sys.Stat   // of the Unix socket's path, as bound
	ln        *Listener  // that accepted it, or nil

	// Input.
	max  int          // bytes of a packet
	kept []sys.Packet // read, and not delivered because of Pause

	// Output: out[head:], and those whose receiver takes none for now.
	out                  []sys.Packet
	head                 int
	held                 []sys.Packet
	queued, heldBytes    int
	maxPackets, maxBytes int
	broken               error // why a sequenced connection takes no more output

	// Timeouts, all on one timer.
	timer            core.Timer
	idle             time.Duration
	active, progress int64         // since when the idle timeout counts, and output waits
	limit            int64         // for Close
	retry, rest      int64         // when output and input go on after a shortage; 0: none
	backoff, faint   time.Duration // how long those were
	vain             int           // times in a row that there was nothing to read
	heldUntil        int64         // when held is tried again
	heldWait         time.Duration // how long that was

	dispatching bool // its turn is under way
	inDirty     bool // the engine will call Flush
	paused      bool // by the user
	risen       bool // output above half of the limit; Write is owed
	crammed     bool // a packet was refused because of those in held; Write is owed
	full        bool // the poller will tell when there is room
	told        bool // it has just done so
	refused     bool // the packet in front was tried once, and told of another one's end
	heard       bool // something has come since the user wrote last
	wrote       bool // ever
	draining    bool // Close was called
	lost        bool // the descriptor was closed by somebody else
	ended       bool // the reason is set, Finish is due
	reason      error
}

// newPacketConn is for a socket with the address local.
func (hb *hub) newPacketConn(fd int, h *PacketHandler, network string, kind sys.Kind, local sys.Addr) *PacketConn {
	hb.ids++
	c := &PacketConn{hub: hb, h: h, network: network, id: hb.ids, fd: fd, kind: kind, max: maxPacket,
		maxPackets: packetLimit, maxBytes: packetBytesLimit, active: hb.e.Now()}
	c.token = hb.e.Register((*packetSource)(c), fd)
	c.local, c.family = named(local), local.Family
	if kind == sys.Sequenced {
		hb.e.Sys.SetOption(fd, sys.PacketEnd, 1)
		c.connected = true
	}
	return c
}

func (c *PacketConn) connect(peer sys.Addr) {
	peer = named(peer)
	c.connected, c.remote, c.peer = true, peer, packetFrom(peer)
}

// named undoes x/sys's way to say that a Unix socket has no name.
func named(a sys.Addr) sys.Addr {
	if a.Path == "@" {
		a.Path = ""
	}
	return a
}

func packetFrom(a sys.Addr) PacketAddr {
	return PacketAddr{Inet: unmapped(a.Inet), Unix: a.Path}
}

// unmapped is an address of IPv4 as such, also where a socket of both families or
// package net has it as one of IPv6.
func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// ID is a number that no other PacketConn or Conn of the loop has or will have.
func (c *PacketConn) ID() uint64 { return c.id }

// Loop returns the PacketConn's loop.
func (c *PacketConn) Loop() *loop.Loop { return c.l }

// SetHandler replaces the callbacks, from the next one on. h must not be nil.
func (c *PacketConn) SetHandler(h *PacketHandler) {
	c.e.Check()
	if h == nil {
		panic("channel: SetHandler: handler is nil")
	}
	c.h = h
}

// LocalAddr returns the PacketConn's own address, a *net.UDPAddr or *net.UnixAddr.
func (c *PacketConn) LocalAddr() net.Addr { return packetAddr(c.local, c.network) }

// RemoteAddr returns the peer's address; nil where it is not connected to one.
func (c *PacketConn) RemoteAddr() net.Addr { return packetAddr(c.remote, c.network) }

// packetAddr is netAddr for a network of packets.
func packetAddr(a sys.Addr, network string) net.Addr {
	switch a.Family {
	case sys.Inet, sys.Inet6:
		return net.UDPAddrFromAddrPort(packetFrom(a).Inet)
	case sys.Unix:
		return &net.UnixAddr{Name: a.Path, Net: network}
	}
	return nil
}

// String describes the PacketConn for logs, as in "packets 7 udp 127.0.0.1:53".
func (c *PacketConn) String() string {
	a := c.LocalAddr()
	if c.connected {
		a = c.RemoteAddr()
	}
	text := fmt.Sprintf("packets %d %s", c.id, c.network)
	if a != nil && a.String() != "" {
		text += " " + strings.ToValidUTF8(a.String(), "?")
	}
	return text
}

// SyscallConn gives access to the descriptor; see Conn.SyscallConn.
func (c *PacketConn) SyscallConn() (syscall.RawConn, error) {
	c.e.Check()
	return rawConn{fd: func() (int, error) {
		if c.ended {
			return -1, c.opError("raw", nil, net.ErrClosed)
		}
		return c.fd, nil
	}}, nil
}

// Pause stops reading until Resume: packets wait in the kernel, which drops those
// that it has no room for. Without output that waits the PacketConn leaves the
// poller, so nothing is heard of errors meanwhile.
func (c *PacketConn) Pause() {
	c.e.Check()
	c.paused = true
	c.watch()
}

// Resume ends Pause.
func (c *PacketConn) Resume() {
	c.e.Check()
	c.paused = false
	if len(c.kept) > 0 || c.broken != nil {
		c.e.Again(c.token)
	}
	c.watch()
}

// SetIdleTimeout closes the PacketConn with ErrIdle when no packet has moved in
// either direction for d, counted from now. 0, the default, or a negative d: never.
func (c *PacketConn) SetIdleTimeout(d time.Duration) {
	c.e.Check()
	c.idle = d
	c.active = c.e.Now()
	c.rearm()
}

// Close sends what is queued and then closes; no callback comes but
// PacketHandler.Close, with nil, or with ErrStalled where something could not be
// sent within 30 s. It returns net.ErrClosed if the PacketConn was closed or closing
// already, else nil. The path of a Unix socket that ListenPacket or DialPacket has
// bound is removed.
//
// [loop.Loop.Drain] does the same: at once, or where the PacketConn was made by
// DialPacket or adopted with a peer, when no peer of a Conn is left whose answer may
// depend on it, and nothing was sent since a packet came.
func (c *PacketConn) Close() error {
	c.e.Check()
	if c.ended || c.draining {
		return net.ErrClosed
	}
	c.drain()
	return nil
}

// Abort closes without sending what is queued. PacketHandler.Close follows with
// net.ErrClosed.
func (c *PacketConn) Abort() {
	c.e.Check()
	c.end(net.ErrClosed)
}

func (c *PacketConn) drain() {
	c.draining = true
	c.dropKept()
	if c.waiting() == 0 {
		c.end(nil)
		return
	}
	c.limit = core.Later(c.e.Now(), lingerTimeout)
	c.rearm()
	c.dirty()
	c.watch()
}

// end sets the reason and leaves the rest to the close phase. The first reason
// stands.
func (c *PacketConn) end(err error) {
	if c.ended {
		return
	}
	c.ended = true
	c.reason = err
	c.e.Want(c.token, 0)
	c.dropKept()
	c.dropOutput()
	c.e.Due((*packetSource)(c))
}

// opError is package net's form of an error of a PacketConn.
func (c *PacketConn) opError(op string, to net.Addr, err error) error {
	if to == nil {
		to = c.RemoteAddr()
	}
	return &net.OpError{Op: op, Net: c.network, Source: c.LocalAddr(), Addr: to, Err: err}
}

func (c *PacketConn) sysError(op, call string, to net.Addr, e syscall.Errno) error {
	return c.opError(op, to, os.NewSyscallError(call, e))
}

// report tells of an error that does not close.
func (c *PacketConn) report(err error) {
	if c.h.Error == nil || c.draining || c.ended {
		return
	}
	c.e.Enter((*packetSource)(c), "error")
	c.h.Error(c, err)
	c.e.Leave()
}

// gone tells whether an error means that the descriptor is no socket of ours any
// more, and ends the PacketConn then.
func (c *PacketConn) gone(op, call string, errno syscall.Errno) bool {
	if errno != syscall.EBADF && errno != syscall.ENOTSOCK {
		return false
	}
	c.lost = errno == syscall.EBADF
	c.end(c.sysError(op, call, nil, errno))
	return true
}

// breakOff ends the output of a sequenced connection: what the peer sent before it
// went is delivered first, then it closes with err.
func (c *PacketConn) breakOff(err error) {
	if c.broken != nil {
		return
	}
	c.broken = err
	c.dropOutput()
	c.risen, c.full, c.retry = false, false, 0
	c.progress = c.e.Now()
	if c.draining {
		c.end(err)
	}
	c.e.Again(c.token) // nobody may tell that there is something left to read
	c.rearm()
}

// next returns the earliest of the deadlines.
func (c *PacketConn) next() int64 {
	next := int64(math.MaxInt64)
	check := func(on bool, at int64) {
		if on {
			next = min(next, at)
		}
	}
	check(c.draining, c.limit)
	check(c.idle > 0, core.Later(c.active, c.idle))
	check(c.broken != nil, core.Later(c.progress, writeTimeout))
	check(c.retry != 0, c.retry)
	check(c.rest != 0, c.rest)
	check(c.heldUntil != 0, c.heldUntil)
	if len(c.out) > c.head && !c.draining {
		check(true, c.stale(c.out[c.head]))
	}
	if len(c.held) > 0 && !c.draining {
		check(true, core.Later(c.held[0].Since, writeTimeout))
	}
	return next
}

// stale is until when the first packet of the queue may wait.
func (c *PacketConn) stale(p sys.Packet) int64 {
	return core.Later(max(p.Since, c.progress), writeTimeout)
}

// rearm sees to it that the timer expires no later than the next deadline.
func (c *PacketConn) rearm() {
	if c.ended {
		return
	}
	if next := c.next(); next != math.MaxInt64 {
		c.e.ArmBy(&c.timer, (*packetSource)(c), next)
	}
}

// watch tells the engine what the PacketConn waits for.
func (c *PacketConn) watch() {
	if c.ended {
		return
	}
	var want asyncore.Interest
	if c.reading() && c.rest == 0 {
		want = asyncore.Readable
	}
	if c.full && len(c.out) > c.head && c.retry == 0 {
		want |= asyncore.Writable
	}
	if want != c.e.Wanted(c.token) {
		c.e.Want(c.token, want)
	}
}

// packetSource is the PacketConn as the engine sees it.
type packetSource PacketConn

func (s *packetSource) Ready(ready asyncore.Interest) {
	c := (*PacketConn)(s)
	if c.ended {
		return
	}
	c.dispatching = true
	if ready&asyncore.Writable != 0 && c.full {
		c.full, c.told = false, true
		c.flush()
		c.told = false
	}
	c.deliverKept()
	if ready&asyncore.Readable != 0 || c.broken != nil {
		c.readAll()
	}
	c.dispatching = false
	c.flush()
	if c.e.Draining {
		s.Drain()
	}
	c.watch()
}

func (s *packetSource) Flush() {
	c := (*PacketConn)(s)
	c.inDirty = false
	if !c.ended {
		c.flush()
		c.watch()
	}
}

func (s *packetSource) Expire() {
	c := (*PacketConn)(s)
	if c.ended {
		return
	}
	now := c.e.Now()
	if c.full && len(c.out) > c.head && (c.stale(c.out[c.head]) <= now || c.idleOver(now) || c.draining && c.limit <= now) {
		c.full = false // there may be room of which no poller tells: see Conn's
		if c.flush(); c.ended {
			return
		}
	}
	switch {
	case c.draining && c.limit <= now:
		c.end(ErrStalled)
	case c.idleOver(now):
		c.end(ErrIdle)
	case c.broken != nil && core.Later(c.progress, writeTimeout) <= now:
		c.end(c.broken) // paused, or its end would have come
	}
	if c.rest != 0 && c.rest <= now {
		c.rest = 0
		if c.broken != nil {
			c.e.Again(c.token)
		}
	}
	if c.retry != 0 && c.retry <= now {
		c.retry = 0
		c.dirty()
	}
	c.dropStale(now)
	if c.heldUntil != 0 && c.heldUntil <= now {
		c.letIn()
	}
	c.rearm()
	c.watch()
}

func (c *PacketConn) idleOver(now int64) bool {
	return c.idle > 0 && core.Later(c.active, c.idle) <= now
}

// Drain closes a PacketConn on which nothing is under way, as far as one can see.
func (s *packetSource) Drain() {
	c := (*PacketConn)(s)
	asks := c.connected && c.ln == nil
	if c.ended || c.draining || asks && (c.guests > 0 || c.wrote && !c.heard) {
		return
	}
	c.drain()
}

func (s *packetSource) Fail(err error) {
	c := (*PacketConn)(s)
	if _, errno := c.e.Sys.Mode(c.fd); errno == syscall.EBADF {
		c.lost = true
	}
	switch err.(type) {
	case *os.SyscallError, *asyncore.FDLimitError:
		err = c.opError("poll", nil, err)
	}
	c.end(err)
}

func (s *packetSource) Finish() {
	c := (*PacketConn)(s)
	c.giveBack()
	if c.h.Close != nil {
		c.e.Enter(s, "close")
		c.h.Close(c, c.reason)
		c.e.Leave()
	}
}

// giveBack gives back all that the PacketConn holds of the system's.
func (c *PacketConn) giveBack() {
	c.e.Disarm(&c.timer)
	c.e.Unregister(c.token)
	if c.ln != nil {
		c.ln.leave()
	}
	removeMade(c.e.Sys, c.local.Path, c.made)
	if !c.lost {
		c.e.CloseFD(c.fd)
	}
	c.fd = -1
}

func (s *packetSource) Describe() string { return (*PacketConn)(s).String() }
