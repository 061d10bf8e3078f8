package channel

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const (
	// acceptBudget is how many connections a listener takes in a turn.
	acceptBudget = 16
	// acceptPause is how long a listener rests when the process or the system
	// has no descriptor or memory left; it doubles up to a second.
	acceptPause    = 100 * time.Millisecond
	acceptPauseMax = time.Second

	backlogDefault  = 1024
	maxConnsDefault = 10000
)

// ListenConfig holds the options of a listener; the zero value of each is its
// default.
type ListenConfig struct {
	// Backlog is how many connections may wait to be accepted; the kernel has
	// a limit of its own (net.core.somaxconn). 0: 1,024.
	Backlog int

	// MaxConns is how many accepted Conns may be open at once; further ones
	// wait in the backlog. 0: 10,000; negative: no limit.
	MaxConns int

	// ReusePort lets several sockets listen on one TCP or UDP address
	// (SO_REUSEPORT).
	ReusePort bool

	// ReuseAddr lets several datagram sockets have one address, as the members of
	// a multicast group on one machine do (SO_REUSEADDR). A stream's listener needs
	// no leave.
	ReuseAddr bool

	// V6Only makes a listener on an IPv6 address refuse IPv4. By default one
	// on the unspecified address serves both.
	V6Only bool

	// Mode is the permission of a Unix socket's path, set before anybody can
	// connect. 0: 0600.
	Mode fs.FileMode

	// Nagle, KeepAlive and UserTimeout are a Dialer's, for the accepted Conns.
	Nagle       bool
	KeepAlive   time.Duration
	UserTimeout time.Duration

	// Control is called before the socket is bound, as in net.ListenConfig; c is
	// of use until it returns. Accepted sockets inherit most options; SO_LINGER
	// with a time is not one to set, see Conn.SyscallConn.
	Control func(network, address string, c syscall.RawConn) error

	// Closed is called once, when the listener is closed: with nil by Close,
	// with the reason when the loop closes or the socket fails.
	Closed func(ln *Listener, err error)
}

// Listener accepts connections and makes each a Conn (a dispatcher with
// handle_accepted). Its methods belong to the loop's goroutine.
type Listener struct {
	*hub
	cfg          ListenConfig
	accept       func(*Conn) *Handler
	acceptPacket func(*PacketConn) *PacketHandler // in place of accept
	network      string
	local        sys.Addr
	token        uint64
	fd           int
	made         sys.Stat // of the Unix socket's path, as bound

	optionsEach bool // the socket cannot have the options that its Conns are to have

	open    int  // Conns
	paused  bool // by the user
	atMax   bool // as many as are allowed
	starved bool // rests until a timer or a closed descriptor
	pause   time.Duration
	taken   int // connections since the last pause
	timer   core.Timer
	closed  bool
	reason  error
}

// Listen opens a socket and calls accept for each connection, in the order of
// their arrival. accept returns the Conn's Handler, in place of any that it has
// set; it may already write, close, pause and set timeouts. A nil Handler
// refuses: the connection is closed, what accept has written is dropped, and
// nothing else is called. A panic in accept closes the connection and spares the
// listener.
//
// The networks are "tcp", "tcp4", "tcp6" and "unix". A host is a numeric
// address, "localhost" (127.0.0.1, or ::1 for tcp6), or empty for all
// addresses; a port of 0 is chosen by the kernel. A Unix address is a path,
// removed again by Close, or "@name" in Linux's abstract namespace. A path
// that a dead server has left behind is taken over if it is a socket of the
// same user that refuses connections, and nothing else is ever removed.
//
// A shortage of descriptors or memory pauses the listener for 100 ms to 1 s,
// or until this loop closes a descriptor; it is logged once. Nothing that goes
// wrong with one connection closes the listener.
//
// Listen uses a ListenConfig's zero value.
func Listen(l *loop.Loop, network, address string, accept func(*Conn) *Handler) (*Listener, error) {
	return (&ListenConfig{}).Listen(l, network, address, accept)
}

// Listen is the function Listen with the options of lc.
func (lc *ListenConfig) Listen(l *loop.Loop, network, address string, accept func(*Conn) *Handler) (*Listener, error) {
	fail := func(err error) (*Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: textAddr{network, address}, Err: err}
	}
	ln, err := lc.newListener(l, network, accept)
	if err != nil {
		return fail(err)
	}
	addrs, err := parseAddr(network, address, true)
	if err == nil {
		err = ln.listen(addrs, address)
	}
	if err != nil {
		return fail(err)
	}
	return ln, nil
}

// listen binds to the first of addrs that will do, and joins the loop.
func (ln *Listener) listen(addrs []sys.Addr, address string) (err error) {
	listening := false
	defer func() {
		if !listening { // also if Control has panicked
			ln.discard()
		}
	}()
	for i, a := range addrs {
		err = ln.bind(a, address)
		if err == nil {
			break
		}
		ln.discard()
		// An IPv4-only system has no dual-stack socket to offer.
		if i == 0 && len(addrs) > 1 && !errors.Is(err, syscall.EAFNOSUPPORT) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			break
		}
	}
	if err == nil {
		err = ln.register()
	}
	listening = err == nil
	return err
}

func (lc *ListenConfig) newListener(l *loop.Loop, network string, accept func(*Conn) *Handler) (*Listener, error) {
	hb := hubOf(l)
	hb.e.Check()
	switch {
	case accept == nil:
		return nil, errors.New("channel: accept function is nil")
	case hb.e.IsClosed():
		return nil, loop.ErrClosed
	}
	return &Listener{hub: hb, cfg: *lc, accept: accept, network: network, fd: -1}, nil
}

func (ln *Listener) register() error {
	ln.token = ln.e.Register((*acceptor)(ln), ln.fd)
	ln.e.Want(ln.token, asyncore.Readable)
	err := ln.e.Apply(ln.token)
	if err != nil {
		ln.e.Unregister(ln.token)
	}
	return err
}

// bind makes the socket and has it listen.
func (ln *Listener) bind(a sys.Addr, address string) error {
	s := ln.e.Sys
	fd, errno := ln.socket(a.Family)
	if errno != 0 {
		return os.NewSyscallError("socket", errno)
	}
	ln.fd = fd
	if err := ln.options(a); err != nil {
		return err
	}
	if err := control(ln.cfg.Control, ln.network, address, fd); err != nil {
		return err
	}
	// Permission before listening: in between, a connect is refused.
	made, err := bindTo(s, fd, a, ln.cfg.Mode)
	ln.local, ln.made = a, made
	if err != nil {
		return err
	}
	backlog := ln.cfg.Backlog
	if backlog <= 0 {
		backlog = backlogDefault
	}
	if errno := s.Listen(fd, backlog); errno != 0 {
		return os.NewSyscallError("listen", errno)
	}
	local, errno := s.LocalAddr(fd)
	if errno != 0 {
		return os.NewSyscallError("getsockname", errno)
	}
	ln.local = local
	return nil
}

// bindTo binds a socket, and returns what its path is then, which is ours to
// remove, also after an error.
func bindTo(s sys.System, fd int, a sys.Addr, mode fs.FileMode) (made sys.Stat, err error) {
	errno := s.Bind(fd, a)
	if errno == syscall.EADDRINUSE && a.Family == sys.Unix && removeStale(s, a) {
		errno = s.Bind(fd, a)
	}
	if errno != 0 {
		return made, os.NewSyscallError("bind", errno)
	}
	if !isPath(a) {
		return made, nil
	}
	made, _ = s.Lstat(a.Path)
	if mode = mode.Perm(); mode == 0 {
		mode = 0o600
	}
	return made, os.NewSyscallError("chmod", errnoOrNil(s.Chmod(a.Path, uint32(mode))))
}

// removeMade removes the path that bindTo has made, if it still is that.
func removeMade(s sys.System, path string, made sys.Stat) {
	if made == (sys.Stat{}) {
		return
	}
	if now, errno := s.Lstat(path); errno == 0 && now == made {
		s.Unlink(path)
	}
}

func (ln *Listener) socket(f sys.Family) (int, syscall.Errno) {
	if ln.acceptPacket != nil {
		return ln.e.Sys.PacketSocket(f, sys.Sequenced)
	}
	return ln.e.Sys.Socket(f)
}

func (ln *Listener) options(a sys.Addr) error {
	if a.Family == sys.Unix {
		return nil
	}
	set := func(o sys.Option, on bool) error { return switchOption(ln.e.Sys, ln.fd, o, on) }
	if err := set(sys.ReuseAddr, true); err != nil {
		return err
	}
	if ln.cfg.ReusePort {
		if err := set(sys.ReusePort, true); err != nil {
			return err
		}
	}
	if a.Family == sys.Inet6 {
		both := a.Inet.Addr().IsUnspecified() && ln.network == "tcp" && !ln.cfg.V6Only
		if err := set(sys.V6Only, !both); err != nil {
			return err
		}
	}
	// Where accepted sockets inherit them, once here instead of once a connection.
	return ln.tcp().set(ln.e.Sys, ln.fd)
}

func (ln *Listener) tcp() tcpOptions {
	return tcpOptions{nagle: ln.cfg.Nagle, keepAlive: ln.cfg.KeepAlive, userTimeout: ln.cfg.UserTimeout}
}

func errnoOrNil(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

func isPath(a sys.Addr) bool { return a.Family == sys.Unix && a.Path != "" && a.Path[0] != '@' }

// removeStale removes the socket that a dead server of this user has left, and
// tells whether it did: one that answers is in use, anything else is not ours.
func removeStale(s sys.System, a sys.Addr) bool {
	if !isPath(a) {
		return false
	}
	st, errno := s.Lstat(a.Path)
	if errno != 0 || !st.Socket || !st.Mine {
		return false
	}
	fd, errno := s.Socket(sys.Unix)
	if errno != 0 {
		return false
	}
	errno = s.Connect(fd, a)
	s.Close(fd)
	return errno == syscall.ECONNREFUSED && s.Unlink(a.Path) == 0
}

// Addr returns the address listened on, with the port that the kernel chose.
func (ln *Listener) Addr() net.Addr {
	if ln.acceptPacket != nil {
		return packetAddr(ln.local, ln.network)
	}
	return netAddr(ln.local)
}

// SyscallConn gives access to the descriptor; see Conn.SyscallConn.
func (ln *Listener) SyscallConn() (syscall.RawConn, error) {
	ln.e.Check()
	return rawConn{fd: func() (int, error) {
		if ln.closed {
			return -1, net.ErrClosed
		}
		return ln.fd, nil
	}}, nil
}

// Close stops listening at once; connections not yet accepted are reset by the
// kernel, accepted ones live on. A Unix socket's path is removed if it is
// still the one that Listen made. Closing twice returns net.ErrClosed.
func (ln *Listener) Close() error {
	ln.e.Check()
	if ln.closed {
		return net.ErrClosed
	}
	ln.close(nil)
	return nil
}

func (ln *Listener) close(reason error) {
	ln.leaveLoop(reason)
	ln.discard()
}

func (ln *Listener) leaveLoop(reason error) {
	ln.closed = true
	ln.reason = reason
	ln.e.Disarm(&ln.timer)
	ln.e.Unregister(ln.token)
	if ln.cfg.Closed != nil {
		ln.e.Due((*acceptor)(ln))
	}
}

// Pause stops accepting; connections wait in the backlog until Resume, and when
// that is full the kernel has their clients wait or refuses them.
func (ln *Listener) Pause() {
	ln.e.Check()
	ln.paused = true
	ln.watch()
}

// Resume ends Pause.
func (ln *Listener) Resume() {
	ln.e.Check()
	ln.paused = false
	ln.watch()
}

// Detach gives the listening socket away, still listening: to another loop, a
// net.Listener, or a new process. Connections wait in its backlog meanwhile,
// and accepted ones stay here. ListenConfig.Closed is called with nil, later. A
// Unix socket's path is left in place, and whoever has the socket last is to
// remove it. The error is net.ErrClosed, where the Listener was closed.
func (ln *Listener) Detach() (Detached, error) {
	ln.e.Check()
	if ln.closed {
		return Detached{FD: -1}, net.ErrClosed
	}
	d := Detached{FD: ln.fd}
	ln.leaveLoop(nil)
	ln.fd = -1
	return d, nil
}

// discard closes the socket and removes its path.
func (ln *Listener) discard() {
	removeMade(ln.e.Sys, ln.local.Path, ln.made)
	ln.made = sys.Stat{}
	if ln.fd >= 0 {
		ln.e.CloseFD(ln.fd)
		ln.fd = -1
	}
}

// String describes the listener for logs.
func (ln *Listener) String() string {
	return fmt.Sprintf("listener %s %v", ln.network, ln.Addr())
}

// leave tells that one of the listener's Conns has closed.
func (ln *Listener) leave() {
	ln.open--
	if ln.atMax && !ln.closed {
		ln.atMax = false
		ln.e.Again(ln.token)
	}
}

// acceptor is the Listener as the engine sees it.
type acceptor Listener

func (s *acceptor) Ready(asyncore.Interest) {
	ln := (*Listener)(s)
	if ln.starved {
		ln.starved = false
		ln.e.Disarm(&ln.timer)
	}
	ln.watch() // now, since a panic in accept would leave it out below
	for range acceptBudget {
		if ln.closed || ln.starved || ln.paused {
			break
		}
		if limit := ln.maxConns(); limit >= 0 && ln.open >= limit {
			ln.atMax = true
			break
		}
		if !ln.acceptOne() {
			break
		}
	}
	ln.watch()
}

func (ln *Listener) maxConns() int {
	if ln.cfg.MaxConns == 0 {
		return maxConnsDefault
	}
	return ln.cfg.MaxConns
}

func (ln *Listener) watch() {
	if ln.closed {
		return
	}
	want := asyncore.Readable
	if ln.atMax || ln.starved || ln.paused {
		want = 0
	}
	ln.e.Want(ln.token, want)
}

// acceptOne takes one connection, and tells whether to look for another.
func (ln *Listener) acceptOne() bool {
	var from sys.Addr
	fd, errno := ln.e.Sys.Accept(ln.fd, &from)
	switch errno {
	case 0:
		ln.taken++
		ln.welcome(fd, from)
		return true
	case syscall.EAGAIN:
		if ln.taken > 0 {
			ln.pause = 0 // all who waited are in: the shortage is over
		}
		return false
	case syscall.EINTR, syscall.ECONNABORTED, syscall.EPROTO,
		syscall.ENOPROTOOPT, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ENETDOWN,
		syscall.ENETUNREACH, syscall.EOPNOTSUPP, syscall.ECONNRESET, syscall.ETIMEDOUT, enonet:
		return true // that connection is gone; the next one need not be
	case syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, syscall.EFAULT:
		if errno == syscall.EBADF {
			ln.fd = -1 // closed behind us: the number is not ours any more
		}
		err := &net.OpError{Op: "accept", Net: ln.network, Addr: ln.Addr(), Err: os.NewSyscallError("accept", errno)}
		ln.e.Log(slog.LevelError, "listener failed", slog.Any("err", err))
		ln.close(err)
		return false
	default: // EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM of a security module, and what nobody has thought of
		ln.starve(os.NewSyscallError("accept", errno))
		ln.e.Starved(ln.token)
		return false
	}
}

// starve pauses the listener: its backlog stays readable, so that trying
// again at once would be a busy loop.
func (ln *Listener) starve(err error) {
	if ln.pause == 0 {
		ln.e.Log(slog.LevelWarn, "accept paused", slog.String("listener", ln.String()), slog.Any("err", err))
	}
	ln.pause = min(max(2*ln.pause, acceptPause), acceptPauseMax)
	ln.taken = 0
	ln.starved = true
	ln.e.Arm(&ln.timer, (*acceptor)(ln), ln.e.Now()+int64(ln.pause))
	ln.watch()
}

func (s *acceptor) Expire() {
	ln := (*Listener)(s)
	ln.e.Again(ln.token)
}

// welcome makes a Conn of an accepted descriptor.
func (ln *Listener) welcome(fd int, from sys.Addr) {
	if ln.acceptPacket != nil {
		ln.welcomePackets(fd, from)
		return
	}
	if (!sys.Inherits || ln.optionsEach) && from.Family != sys.Unix {
		ln.tcp().set(ln.e.Sys, fd)
	}
	c := ln.newConn(fd, discard)
	c.remote = from
	c.ln = ln
	ln.hub.countGuest(c)
	ln.open++
	c.state |= dispatching
	c.e.Enter((*source)(c), "accept")
	h := ln.accept(c)
	c.e.Leave()
	if h == nil {
		c.h = discard // accept may have set one
		c.end(net.ErrClosed)
		return
	}
	c.h = h
	c.connected()
	c.deliverTail()
	c.settle()
	if err := c.e.Apply(c.token); err != nil {
		c.end(c.opError("accept", err))
		if _, ok := errors.AsType[*asyncore.FDLimitError](err); ok {
			ln.starve(err) // until the timer: closing this one frees nothing
		}
	}
}

func (s *acceptor) Fail(err error) {
	ln := (*Listener)(s)
	switch {
	case ln.closed:
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.ENOMEM):
		ln.starve(err) // the poller has no room for it, for now
	default:
		if !ln.e.IsClosed() {
			ln.e.Log(slog.LevelError, "listener failed", slog.Any("err", err))
		}
		ln.close(err)
	}
}

func (s *acceptor) Drain() { (*Listener)(s).close(nil) }

func (s *acceptor) Finish() {
	ln := (*Listener)(s)
	ln.e.Enter(s, "closed")
	ln.cfg.Closed(ln, ln.reason)
	ln.e.Leave()
}

func (s *acceptor) Flush() {}

func (s *acceptor) Describe() string { return (*Listener)(s).String() }
