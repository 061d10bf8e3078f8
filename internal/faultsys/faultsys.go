// Package faultsys is a [sys.System] for tests: it passes every call on to
// another one, except where it was told to fail it, cut it short or change
// what the poller reports. It keeps a ledger of the descriptors that it has
// given out, and can put the clock into the test's hands.
//
// There are two ways to make a call fail. [Sys.Fail] and [Sys.Limit] are for a test
// that knows what it wants: the call does not reach the kernel, and nothing
// else changes. [Sys.Inject] is for faults that nobody has thought of one by
// one: it leaves the world as a kernel would that gives this answer. What it
// may answer is in [Legal].
//
// Go and Lookup pass through: they are no system calls, and run elsewhere.
//
// Like every System it belongs to the goroutine of its loop, which in a test
// is best the test's own.
package faultsys

import (
	"slices"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// Call names a call of the System or of its poller.
type Call string

const (
	Recv          Call = "recv"
	Send          Call = "send"
	RecvUrgent    Call = "recv urgent"
	Read          Call = "read"
	Write         Call = "write"
	SendFile      Call = "sendfile"
	FileRest      Call = "file rest"
	Close         Call = "close"
	Socket        Call = "socket"
	Bind          Call = "bind"
	Listen        Call = "listen"
	Accept        Call = "accept"
	Connect       Call = "connect"
	SockError     Call = "SO_ERROR"
	ShutdownWrite Call = "shutdown"
	SetOption     Call = "setsockopt"
	LocalAddr     Call = "getsockname"
	PeerAddr      Call = "getpeername"
	Dup           Call = "dup"
	Mode          Call = "F_GETFL"
	Kind          Call = "fstat"
	PeerCred      Call = "SO_PEERCRED"
	SetNonblock   Call = "F_SETFL"
	RecvPackets   Call = "recvmmsg"
	SendPackets   Call = "sendmmsg"
	PacketError   Call = "packet error"
	Membership    Call = "membership"
	MulticastFrom Call = "multicast interface"
	Lstat         Call = "lstat"
	Chmod         Call = "chmod"
	Unlink        Call = "unlink"

	Pipe     Call = "pipe"
	Pending  Call = "FIONREAD"
	Exited   Call = "waitid"
	IsMaster Call = "TIOCGPTN"

	OpenPoller Call = "poller open"

	Add    Call = "poller add"
	Modify Call = "poller modify"
	Remove Call = "poller remove"
	Wait   Call = "poller wait"
)

// T is whom a Sys tells what it finds wrong, a [testing.TB] for instance.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Cleanup(func())
}

// Sys is the System. Make it with New.
type Sys struct {
	sys.System
	t      T
	rules  []*rule
	counts map[Call]int

	calls  int // that can fail
	onCall func(n int, c Call, fd int)
	decide func(c Call, fd int) (syscall.Errno, int)
	dead   map[int]*death

	open   map[int]bool // given out, not closed yet
	closed map[int]bool // closed, not given out again

	pollers int
	tokens  map[int]uint64
	mangle  func([]asyncore.Event) []asyncore.Event

	manual bool
	now    int64
}

var _ sys.System = (*Sys)(nil)

// New wraps s. When the test ends, every descriptor and poller that Sys has
// given out must have been closed; one that is closed twice, or used after it
// was closed, is told at once.
func New(t T, s sys.System) *Sys {
	f := &Sys{
		System: s,
		t:      t,
		counts: map[Call]int{},
		dead:   map[int]*death{},
		open:   map[int]bool{},
		closed: map[int]bool{},
		tokens: map[int]uint64{},
	}
	t.Cleanup(func() {
		if left := f.Open(); len(left) > 0 {
			t.Errorf("descriptors left open: %v", left)
		}
		if f.pollers != 0 {
			t.Errorf("pollers left open: %d", f.pollers)
		}
	})
	return f
}

// rule is one fault that was asked for.
type rule struct {
	call   Call
	fd     int // -1: any
	errno  syscall.Errno
	limit  int // for errno 0: the most bytes that a call moves
	passes int // matching calls that it lets pass first
	times  int // matching calls that it then hits; negative: all
}

// Option narrows down which calls a fault hits. Without any it is all of them,
// until Heal.
type Option func(*rule)

// Times limits a fault to n calls.
func Times(n int) Option { return func(r *rule) { r.times = n } }

// After lets n calls pass first.
func After(n int) Option { return func(r *rule) { r.passes = n } }

// On limits a fault to one descriptor.
func On(fd int) Option { return func(r *rule) { r.fd = fd } }

// Fail has calls fail with errno. They don't reach the kernel, except Close,
// since one that fails has closed, and Connect with EINTR, which goes on. For
// SockError it is the pending error. Of several faults that fit a call, the
// oldest hits it.
func (f *Sys) Fail(c Call, errno syscall.Errno, opts ...Option) {
	f.add(&rule{call: c, fd: -1, errno: errno, times: -1}, opts)
}

// Limit has Recv, Send, Read, Write or SendFile move at most n bytes a call, and
// RecvPackets or SendPackets n packets.
func (f *Sys) Limit(c Call, n int, opts ...Option) {
	f.add(&rule{call: c, fd: -1, limit: n, times: -1}, opts)
}

func (f *Sys) add(r *rule, opts []Option) {
	for _, o := range opts {
		o(r)
	}
	f.rules = append(f.rules, r)
}

// Heal ends all faults of a call.
func (f *Sys) Heal(c Call) {
	f.rules = slices.DeleteFunc(f.rules, func(r *rule) bool { return r.call == c })
}

// Count is how often a call was made, failed ones included.
func (f *Sys) Count(c Call) int { return f.counts[c] }

// fault counts a call and returns what is to happen to it; limit is negative
// where there is none.
func (f *Sys) fault(c Call, fd int) (errno syscall.Errno, limit int) {
	f.counts[c]++
	f.number(c, fd)
	for _, r := range f.rules {
		if r.call != c || r.times == 0 || r.fd >= 0 && r.fd != fd {
			continue
		}
		if r.passes > 0 {
			r.passes--
			continue
		}
		if r.times > 0 {
			r.times--
		}
		if r.errno != 0 {
			return r.errno, -1
		}
		return 0, r.limit
	}
	return f.injected(c, fd)
}

// use is fault for a call on a descriptor, which must not be a closed one.
func (f *Sys) use(c Call, fd int) (errno syscall.Errno, limit int) {
	if f.closed[fd] {
		f.t.Errorf("%s on descriptor %d after it was closed", c, fd)
	}
	return f.fault(c, fd)
}

// Open lists the descriptors that are open, in ascending order.
func (f *Sys) Open() []int {
	var fds []int
	for fd := range f.open {
		fds = append(fds, fd)
	}
	slices.Sort(fds)
	return fds
}

// Steal closes a descriptor behind the loop's back: it is nobody's then, and
// the loop must not close it.
func (f *Sys) Steal(fd int) {
	if !f.open[fd] {
		f.t.Errorf("stealing descriptor %d, which is not open", fd)
	}
	f.gone(fd)
	f.System.Close(fd)
}

// Give enters a descriptor that the test has opened and gives to the loop, which
// owns it from then on.
func (f *Sys) Give(fd int) { f.opened(fd, 0) }

// Take strikes out a descriptor that the loop has given away.
func (f *Sys) Take(fd int) {
	if !f.open[fd] {
		f.t.Errorf("descriptor %d was given away, but is not open", fd)
	}
	f.gone(fd)
}

// gone strikes a descriptor out.
func (f *Sys) gone(fd int) {
	delete(f.open, fd)
	delete(f.dead, fd)
}

func (f *Sys) opened(fd int, errno syscall.Errno) (int, syscall.Errno) {
	if errno == 0 {
		if f.open[fd] {
			f.t.Errorf("descriptor %d was given out twice: somebody has closed it meanwhile", fd)
		}
		f.open[fd] = true
		delete(f.closed, fd)
	}
	return fd, errno
}

func (f *Sys) Close(fd int) syscall.Errno {
	errno, _ := f.use(Close, fd)
	if !f.open[fd] {
		f.t.Errorf("close of descriptor %d, which is not open", fd)
		return syscall.EBADF
	}
	f.gone(fd)
	f.closed[fd] = true
	if e := f.System.Close(fd); errno == 0 {
		errno = e
	}
	return errno
}

func (f *Sys) Socket(family sys.Family) (int, syscall.Errno) {
	if errno, _ := f.fault(Socket, -1); errno != 0 {
		return -1, errno
	}
	return f.opened(f.System.Socket(family))
}

func (f *Sys) PacketSocket(family sys.Family, k sys.Kind) (int, syscall.Errno) {
	if errno, _ := f.fault(Socket, -1); errno != 0 {
		return -1, errno
	}
	return f.opened(f.System.PacketSocket(family, k))
}

func (f *Sys) Accept(fd int, from *sys.Addr) (int, syscall.Errno) {
	if errno, _ := f.use(Accept, fd); errno != 0 {
		return -1, errno
	}
	if f.dead[fd] != nil {
		return -1, syscall.EINVAL
	}
	return f.opened(f.System.Accept(fd, from))
}

func (f *Sys) Dup(fd int) (int, syscall.Errno) {
	if errno, _ := f.fault(Dup, fd); errno != 0 {
		return -1, errno
	}
	return f.opened(f.System.Dup(fd))
}

// move makes a call that moves bytes.
func (f *Sys) move(c Call, fd int, p []byte, call func(int, []byte) (int, syscall.Errno)) (int, syscall.Errno) {
	errno, limit := f.use(c, fd)
	if errno != 0 {
		return 0, errno
	}
	if limit >= 0 && limit < len(p) {
		p = p[:limit]
	}
	d := f.dead[fd]
	switch {
	case d == nil:
		return call(fd, p)
	case c == Send || c == Write:
		return 0, d.output()
	case d.cut:
		return d.input(0)
	default:
		n, _ := call(fd, p)
		return d.input(n)
	}
}

func (f *Sys) Recv(fd int, p []byte) (int, syscall.Errno) {
	return f.move(Recv, fd, p, f.System.Recv)
}

func (f *Sys) Send(fd int, p []byte) (int, syscall.Errno) {
	return f.move(Send, fd, p, f.System.Send)
}

func (f *Sys) Read(fd int, p []byte) (int, syscall.Errno) {
	return f.move(Read, fd, p, f.System.Read)
}

func (f *Sys) Write(fd int, p []byte) (int, syscall.Errno) {
	return f.move(Write, fd, p, f.System.Write)
}

func (f *Sys) SendFile(fd, file, n int) (int, syscall.Errno) {
	errno, limit := f.use(SendFile, fd)
	if errno != 0 {
		return 0, errno
	}
	if d := f.dead[fd]; d != nil {
		return 0, d.output()
	}
	if limit >= 0 {
		n = min(n, limit)
	}
	return f.System.SendFile(fd, file, n)
}

// movePackets makes a call that moves packets.
func (f *Sys) movePackets(c Call, fd int, ps []sys.Packet, call func([]sys.Packet) (int, syscall.Errno)) (int, syscall.Errno) {
	errno, limit := f.use(c, fd)
	if errno != 0 {
		return 0, errno
	}
	if limit >= 0 && limit < len(ps) {
		ps = ps[:limit]
	}
	d := f.dead[fd]
	switch {
	case d == nil:
		return call(ps)
	case c == SendPackets:
		return 0, d.output()
	case d.cut:
		return d.input(0)
	default:
		n, _ := call(ps)
		return d.input(n)
	}
}

func (f *Sys) RecvPackets(fd int, ps []sys.Packet, sequenced bool) (int, syscall.Errno) {
	return f.movePackets(RecvPackets, fd, ps, func(ps []sys.Packet) (int, syscall.Errno) {
		return f.System.RecvPackets(fd, ps, sequenced)
	})
}

func (f *Sys) SendPackets(fd int, ps []sys.Packet) (int, syscall.Errno) {
	return f.movePackets(SendPackets, fd, ps, func(ps []sys.Packet) (int, syscall.Errno) {
		return f.System.SendPackets(fd, ps)
	})
}

func (f *Sys) PacketError(fd int) syscall.Errno {
	if errno, _ := f.use(PacketError, fd); errno != 0 {
		return errno
	}
	if d := f.dead[fd]; d != nil {
		return d.take()
	}
	return f.System.PacketError(fd)
}

func (f *Sys) Membership(fd int, m sys.Membership) syscall.Errno {
	if errno, _ := f.use(Membership, fd); errno != 0 {
		return errno
	}
	return f.System.Membership(fd, m)
}

func (f *Sys) MulticastInterface(fd int, family sys.Family, index int) syscall.Errno {
	if errno, _ := f.use(MulticastFrom, fd); errno != 0 {
		return errno
	}
	return f.System.MulticastInterface(fd, family, index)
}

func (f *Sys) FileRest(fd int) (int64, syscall.Errno) {
	if errno, _ := f.fault(FileRest, fd); errno != 0 {
		return 0, errno
	}
	return f.System.FileRest(fd)
}

func (f *Sys) RecvUrgent(fd int) (byte, syscall.Errno) {
	if errno, _ := f.use(RecvUrgent, fd); errno != 0 {
		return 0, errno
	}
	return f.System.RecvUrgent(fd)
}

func (f *Sys) Bind(fd int, a sys.Addr) syscall.Errno {
	if errno, _ := f.use(Bind, fd); errno != 0 {
		return errno
	}
	return f.System.Bind(fd, a)
}

func (f *Sys) Listen(fd, backlog int) syscall.Errno {
	if errno, _ := f.use(Listen, fd); errno != 0 {
		return errno
	}
	return f.System.Listen(fd, backlog)
}

func (f *Sys) Connect(fd int, to sys.Addr) syscall.Errno {
	errno, _ := f.use(Connect, fd)
	if errno != 0 && errno != syscall.EINTR {
		return errno
	}
	if e := f.System.Connect(fd, to); errno == 0 || e != syscall.EINPROGRESS {
		return e // what is done at once is not interrupted
	}
	return errno
}

func (f *Sys) SockError(fd int) (pending, errno syscall.Errno) {
	if pending, _ := f.use(SockError, fd); pending != 0 {
		return pending, 0
	}
	if d := f.dead[fd]; d != nil {
		return d.take(), 0
	}
	return f.System.SockError(fd)
}

func (f *Sys) ShutdownWrite(fd int) syscall.Errno {
	if errno, _ := f.use(ShutdownWrite, fd); errno != 0 {
		return errno
	}
	if f.dead[fd] != nil {
		return syscall.ENOTCONN
	}
	return f.System.ShutdownWrite(fd)
}

func (f *Sys) SetOption(fd int, o sys.Option, value int) syscall.Errno {
	if errno, _ := f.use(SetOption, fd); errno != 0 {
		return errno
	}
	return f.System.SetOption(fd, o, value)
}

func (f *Sys) LocalAddr(fd int) (sys.Addr, syscall.Errno) {
	if errno, _ := f.use(LocalAddr, fd); errno != 0 {
		return sys.Addr{}, errno
	}
	return f.System.LocalAddr(fd)
}

func (f *Sys) PeerAddr(fd int) (sys.Addr, syscall.Errno) {
	if errno, _ := f.use(PeerAddr, fd); errno != 0 {
		return sys.Addr{}, errno
	}
	if f.dead[fd] != nil {
		return sys.Addr{}, syscall.ENOTCONN
	}
	return f.System.PeerAddr(fd)
}

func (f *Sys) Mode(fd int) (sys.Mode, syscall.Errno) {
	if errno, _ := f.use(Mode, fd); errno != 0 {
		return sys.Mode{}, errno
	}
	return f.System.Mode(fd)
}

func (f *Sys) Kind(fd int) (sys.Kind, syscall.Errno) {
	if errno, _ := f.use(Kind, fd); errno != 0 {
		return sys.File, errno
	}
	return f.System.Kind(fd)
}

func (f *Sys) PeerCred(fd int) (sys.Cred, syscall.Errno) {
	if errno, _ := f.use(PeerCred, fd); errno != 0 {
		return sys.Cred{}, errno
	}
	return f.System.PeerCred(fd)
}

func (f *Sys) SetNonblock(fd int, on bool) syscall.Errno {
	if errno, _ := f.use(SetNonblock, fd); errno != 0 {
		return errno
	}
	return f.System.SetNonblock(fd, on)
}

func (f *Sys) Lstat(path string) (sys.Stat, syscall.Errno) {
	if errno, _ := f.fault(Lstat, -1); errno != 0 {
		return sys.Stat{}, errno
	}
	return f.System.Lstat(path)
}

func (f *Sys) Chmod(path string, mode uint32) syscall.Errno {
	if errno, _ := f.fault(Chmod, -1); errno != 0 {
		return errno
	}
	return f.System.Chmod(path, mode)
}

func (f *Sys) Unlink(path string) syscall.Errno {
	if errno, _ := f.fault(Unlink, -1); errno != 0 {
		return errno
	}
	return f.System.Unlink(path)
}

// Manual stops the clock: from now on only Advance moves it, and a Wait that
// finds nothing ready, by all of its timeout and at once.
func (f *Sys) Manual() { f.now, f.manual = f.System.Now(), true }

// Advance moves a clock that Manual has stopped.
func (f *Sys) Advance(d time.Duration) { f.now += int64(d) }

func (f *Sys) Now() int64 {
	if f.manual {
		return f.now
	}
	return f.System.Now()
}
