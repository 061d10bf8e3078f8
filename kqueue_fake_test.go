//go:build linux && kqfake

package asyncore

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestFakeKqueue repeats, on the fake, the calls by which the real kernels
// were measured, and compares the answers line by line with theirs, which
// testdata has as they were printed: a to c are descriptors, N is some number
// of bytes.
func TestFakeKqueue(t *testing.T) {
	for _, name := range []string{"freebsd", "netbsd"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile("testdata/kqueue-" + name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			real := strings.Split(strings.TrimSpace(string(text)), "\n")
			p := &probe{t: t, kernel: fakeKernels[name], names: map[int]string{}}
			p.run()
			compareProbe(t, name, real, p.said)
		})
	}
}

// How long something took is not compared. Too short is what the script looks
// for itself.
var howLong = regexp.MustCompile(` (<5ms|\d+\.\.\d+ms)$`)

// differs has the lines, by how they begin, where the fake does not say what
// the kernel said, with the reason.
var differs = []struct{ kernel, begins, why string }{
	{"", "15 ", "EVFILT_TIMER is not in the fake: timeouts are the loop's"},
	{"", "23 ", "which thread a signal meets is up to the system; TestSignals has them"},
	{"freebsd", "08 write filter: peer read 1 byte", "Linux needs more room than that"},
	{"", "11 EOF tcp: peer closed with unread data (RST)", "Linux closes both directions then"},
	{"", "11 EOF tcp: after that", "the same"},
	{"", "11 EOF tcp: only READ, RST by linger0", "the errno cannot be asked for without taking it away"},
	{"freebsd", "12 connect: nonblocking connect", "Linux does not connect at once, also over loopback"},
	{"", "12 connect: accept() from O_NONBLOCK listener", "on Linux the flag is not inherited"},
	{"freebsd", "12 connect: connect to closed port", "Linux does not refuse at once"},
	{"netbsd", "12 connect: WRITE", "the errno, as above"},
	{"freebsd", "12 connect: SO_ERROR", "connect has not told yet"},
	{"", "13 pipe: 600 more", "Linux waits until a page is free"},
	{"", "20 other fd kinds: udp 5+3 bytes", "Linux tells the first datagram's size only"},
}

func compareProbe(t *testing.T, kernel string, real, said []string) {
	same, used := 0, map[int]bool{}
	reason := func(line string) int {
		return slices.IndexFunc(differs, func(d struct{ kernel, begins, why string }) bool {
			return (d.kernel == "" || d.kernel == kernel) && strings.HasPrefix(line, d.begins)
		})
	}
	for _, want := range real {
		want = howLong.ReplaceAllString(want, "")
		why := reason(want)
		if step := want[:3]; len(said) == 0 || !strings.HasPrefix(said[0], step) {
			if why < 0 {
				t.Errorf("nothing was said of\n\t%s", want)
			}
			used[why] = true
			continue
		}
		got := said[0]
		said = said[1:]
		switch {
		case got == want && why < 0:
			same++
		case got == want:
			t.Errorf("the fake does say\n\t%s\nalthough %s", got, differs[why].why)
		case why < 0:
			t.Errorf("real: %s\n\tfake: %s", want, got)
		case reason(got) != why:
			t.Errorf("out of step: real: %s\n\tfake: %s", want, got)
		}
		used[why] = true
	}
	if len(said) > 0 {
		t.Errorf("the kernel has not said\n\t%s", strings.Join(said, "\n\t"))
	}
	for i, d := range differs {
		if !used[i] && (d.kernel == "" || d.kernel == kernel) {
			t.Errorf("no line begins %q", d.begins)
		}
	}
	t.Logf("%d of %d lines are the real kernel's", same, len(real))
}

// probe is one run of the script.
type probe struct {
	t      *testing.T
	kernel *fakeKernel
	step   string
	said   []string

	kq    int
	lag   time.Duration  // what is under way gets this long to arrive
	opens []int          // to be closed after the step
	names map[int]string // of the step's descriptors
}

func (p *probe) say(format string, args ...any) {
	p.said = append(p.said, p.step+": "+fmt.Sprintf(format, args...))
}

func (p *probe) run() {
	steps := []struct {
		name string
		only bool // for kernels with EVFILT_USER, which are those with EV_DISPATCH and EV_RECEIPT
		do   func()
	}{
		{"01 read level", false, p.readLevel},
		{"02 read EV_CLEAR", false, p.readClear},
		{"03 EV_ONESHOT", false, p.oneshot},
		{"04 DISABLE/ENABLE", false, p.disable},
		{"05 EV_DISPATCH", true, p.dispatch},
		{"06 errors", false, p.errors},
		{"07 EV_RECEIPT", true, p.receipt},
		{"08 write filter", false, p.write},
		{"09 both filters one fd", false, p.both},
		{"10 EOF unix stream", false, p.eofUnix},
		{"11 EOF tcp", false, p.eofTCP},
		{"12 connect", false, p.connect},
		{"13 pipe", false, p.pipes},
		{"14 EVFILT_USER", true, p.user},
		{"16 timeout", false, p.timeouts},
		{"17 close of a registered fd", false, p.closed},
		{"18 fd number reuse", false, p.reuse},
		{"19 kq in kq, CLOEXEC", false, p.nested},
		{"20 other fd kinds", false, p.kinds},
		{"21 fairness & NOTE_LOWAT", false, p.fairness},
		{"22 udata", false, p.udata},
		{"24 EV_ADD with changes and events at once", false, p.atOnce},
		{"25 concurrent change during wait", false, p.concurrent},
	}
	for _, s := range steps {
		if s.only && !p.kernel.user {
			continue
		}
		p.step = s.name
		p.fresh()
		s.do()
		for _, fd := range p.opens {
			unix.Close(fd)
		}
		p.opens, p.lag = nil, 0
		kqClose(p.kq)
		p.kq = -1
	}
}

// fresh begins with a new kqueue.
func (p *probe) fresh() {
	p.t.Helper()
	if p.kq > 0 {
		kqClose(p.kq)
	}
	clear(p.names)
	kq, err := p.kernel.open()
	p.must(err)
	p.kq = kq
}

func (p *probe) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatalf("%s: %v", p.step, err)
	}
}

func (p *probe) own(fds ...int) {
	for _, fd := range fds {
		p.must(unix.SetNonblock(fd, true))
		p.opens = append(p.opens, fd)
	}
}

// pair returns a connected pair, the first of which is called name.
func (p *probe) pair(name string, kind int) (fd, peer int) {
	p.t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, kind, 0)
	p.must(err)
	p.own(fds[:]...)
	p.names[fds[0]] = name
	return fds[0], fds[1]
}

func (p *probe) stream(name string) (fd, peer int) { return p.pair(name, unix.SOCK_STREAM) }

func (p *probe) pipe() (r, w int) {
	var fds [2]int
	p.must(unix.Pipe2(fds[:], 0))
	p.own(fds[:]...)
	p.names[fds[0]], p.names[fds[1]] = "a", "b"
	return fds[0], fds[1]
}

func (p *probe) inet(kind int) int {
	fd, err := unix.Socket(unix.AF_INET, kind, 0)
	p.must(err)
	p.own(fd)
	p.lag = 20 * time.Millisecond
	return fd
}

func (p *probe) listener() (int, unix.Sockaddr) {
	ln := p.bound(unix.SOCK_STREAM)
	p.must(unix.Listen(ln, 16))
	sa, err := unix.Getsockname(ln)
	p.must(err)
	return ln, sa
}

func (p *probe) bound(kind int) int {
	fd := p.inet(kind)
	p.must(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	return fd
}

func (p *probe) tcp(name string) (fd, peer int) {
	ln, sa := p.listener()
	fd = p.inet(unix.SOCK_STREAM)
	if err := unix.Connect(fd, sa); err != unix.EINPROGRESS {
		p.must(err)
	}
	for range 1000 { // until the connection stands
		if peer, _, _ = unix.Accept(ln); peer >= 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	p.own(peer)
	p.names[fd] = name
	return fd, peer
}

func (p *probe) put(fd int, s string) {
	p.t.Helper()
	_, err := unix.Write(fd, []byte(s))
	p.must(err)
}

// take reads up to n bytes, and tells what read said if that was unusual.
func (p *probe) take(fd, n int) string {
	got, err := unix.Read(fd, make([]byte, n))
	if err != nil {
		return "ERR " + err.Error()
	}
	return fmt.Sprint(got)
}

func (p *probe) fill(fd int) {
	for _, size := range []int{4096, 1} {
		for {
			if _, err := unix.Write(fd, make([]byte, size)); err != nil {
				break
			}
		}
	}
}

func (p *probe) drain(fd int) {
	for {
		if n, err := unix.Read(fd, make([]byte, 1<<16)); n <= 0 || err != nil {
			return
		}
	}
}

func (p *probe) shut(fd int) {
	unix.Close(fd)
	p.opens = slices.DeleteFunc(p.opens, func(o int) bool { return o == fd })
}

func entry(fd, filter, flags int, fflags uint32) kevent {
	k := kevent{Fflags: fflags}
	kqSet(&k, fd, filter, flags)
	return k
}

// do makes one change in a call without events.
func (p *probe) do(fd, filter, flags int) error {
	_, err := kqCall(p.kq, []kevent{entry(fd, filter, flags, 0)}, nil, nil)
	return err
}

func (p *probe) add(fd, filter, flags int) error { return p.do(fd, filter, evAdd|flags) }

// call is kevent, once more if one of the Go runtime's signals came; the
// changes are made then.
func (p *probe) call(changes, events []kevent, timeout *unix.Timespec) (n int, err error) {
	n, err = kqCall(p.kq, changes, events, timeout)
	for err == unix.EINTR {
		n, err = kqCall(p.kq, nil, events, timeout)
	}
	return n, err
}

// list makes changes with room for so many events.
func (p *probe) list(room int, timeout time.Duration, changes ...kevent) string {
	events := make([]kevent, room)
	ts := unix.NsecToTimespec(int64(timeout))
	n, err := p.call(changes, events, &ts)
	if err != nil {
		return "ERR " + err.Error()
	}
	var said []string
	for _, ev := range events[:n] {
		said = append(said, p.describe(ev))
	}
	slices.Sort(said)
	if n == 0 {
		return "none"
	}
	return strings.Join(said, " ")
}

// get is what there is.
func (p *probe) get() string {
	time.Sleep(p.lag)
	return p.list(8, 0)
}

func (p *probe) describe(ev kevent) string {
	name := p.names[int(ev.Ident)]
	if name == "" || int(ev.Filter) == evfiltUser {
		name = fmt.Sprint(ev.Ident)
	}
	words := []string{map[int]string{evfiltRead: "READ", evfiltWrite: "WRITE", evfiltUser: "USER"}[int(ev.Filter)]}
	for _, f := range []struct {
		flag int
		name string
	}{
		{evError, "ERROR"},
		{evEOF, "EOF"},
		{evClear, "CLEAR"},
		{evOneshot, "ONESHOT"},
		{evDispatch, "DISPATCH"},
		{evReceipt, "RECEIPT"},
	} {
		if int(ev.Flags)&f.flag != 0 {
			words = append(words, f.name)
		}
	}
	data := fmt.Sprint(ev.Data)
	switch {
	case int(ev.Flags)&evError != 0 && ev.Data != 0:
		data = unix.Errno(ev.Data).Error()
	case int(ev.Filter) == evfiltWrite && ev.Data != 0:
		data = "N"
	}
	return fmt.Sprintf("{%s %s ff=%#x data=%s}", name, strings.Join(words, "|"), ev.Fflags, data)
}

func (p *probe) readLevel() {
	a, peer := p.stream("a")
	p.say("add err=%v", p.add(a, evfiltRead, 0))
	p.say("empty -> %s", p.get())
	p.put(peer, "hello")
	p.say("5 bytes -> %s", p.get())
	p.say("again -> %s", p.get())
	p.take(a, 2)
	p.say("after read 2 -> %s", p.get())
	p.take(a, 9)
	p.say("drained -> %s", p.get())
}

func (p *probe) readClear() {
	a, peer := p.stream("a")
	p.add(a, evfiltRead, evClear)
	p.put(peer, "hello")
	p.say("5 bytes -> %s", p.get())
	p.say("again -> %s", p.get())
	p.put(peer, "abc")
	p.say("3 more -> %s", p.get())
	p.take(a, 2)
	p.say("after partial read -> %s", p.get())
	err := p.add(a, evfiltRead, evClear)
	p.say("re-EV_ADD err=%v -> %s", err, p.get())
}

func (p *probe) oneshot() {
	a, peer := p.stream("a")
	p.add(a, evfiltRead, evOneshot)
	p.put(peer, "hello")
	p.say("-> %s", p.get())
	p.say("again -> %s", p.get())
	p.say("EV_DELETE after fire err=%v", p.do(a, evfiltRead, evDelete))
	err := p.add(a, evfiltRead, evOneshot)
	p.say("re-ADD err=%v -> %s", err, p.get())
}

func (p *probe) disable() {
	a, peer := p.stream("a")
	p.add(a, evfiltRead, 0)
	p.put(peer, "hello")
	p.say("disable err=%v", p.do(a, evfiltRead, evDisable))
	p.say("disabled -> %s", p.get())
	err := p.do(a, evfiltRead, evEnable)
	p.say("enable err=%v -> %s", err, p.get())
	p.do(a, evfiltRead, evDisable)
	err = p.add(a, evfiltRead, 0)
	p.say("re-EV_ADD of a disabled one err=%v -> %s", err, p.get())
	err = p.add(a, evfiltRead, evDisable)
	p.say("EV_ADD|EV_DISABLE err=%v -> %s", err, p.get())
	b, bPeer := p.stream("b")
	p.put(bPeer, "x")
	err = p.add(b, evfiltRead, evDisable)
	p.say("fresh EV_ADD|EV_DISABLE err=%v -> %s", err, p.get())
	p.say("enable of unregistered: %v", p.do(a, evfiltWrite, evEnable))
	p.say("delete of disabled: %v", p.do(b, evfiltRead, evDelete))
	c, cPeer := p.stream("c")
	added := p.add(c, evfiltRead, evClear)
	p.put(cPeer, "x")
	p.say("enable with EV_CLEAR + pending: add=%v disable=%v", added, p.do(c, evfiltRead, evDisable))
	p.say(" -> %s", p.get())
	err = p.do(c, evfiltRead, evEnable)
	p.say(" enable=%v -> %s", err, p.get())
}

func (p *probe) dispatch() {
	a, peer := p.stream("a")
	p.add(a, evfiltRead, evDispatch)
	p.put(peer, "hello")
	p.say("-> %s", p.get())
	p.say("again -> %s", p.get())
	err := p.do(a, evfiltRead, evEnable)
	p.say("enable err=%v -> %s", err, p.get())
	err = p.do(a, evfiltRead, evEnable|evDispatch)
	p.say("enable|dispatch err=%v -> %s", err, p.get())
	p.say("again -> %s", p.get())
}

func (p *probe) errors() {
	a, aPeer := p.stream("a")
	c, cPeer := p.stream("c")
	p.put(aPeer, "x")
	p.put(cPeer, "x")
	const bad = 999 // a number that nothing has
	okA, okC := entry(a, evfiltRead, evAdd, 0), entry(c, evfiltRead, evAdd, 0)
	wrong := entry(bad, evfiltRead, evAdd, 0)
	again := func() {
		p.do(a, evfiltRead, evDelete)
		p.do(c, evfiltRead, evDelete)
	}

	p.say("delete unregistered, nevents=0: %v", p.do(a, evfiltRead, evDelete))
	p.say("delete unregistered, nevents=8: %s", p.list(8, 0, entry(a, evfiltRead, evDelete, 0)))
	p.say("add bad fd, nevents=0: %v", p.add(bad, evfiltRead, 0))
	p.say("add bad fd, nevents=8: %s", p.list(8, 0, wrong))
	p.say("add fd=-1: %v", p.add(-1, evfiltRead, 0))
	p.say("unknown filter: %v", p.add(a, -99, 0))
	p.say("flags=0 on unregistered: %v", p.do(a, evfiltRead, 0))
	p.say("EV_DELETE bad fd: %v", p.do(bad, evfiltRead, evDelete))
	_, err := kqCall(p.kq, []kevent{okA, wrong, okC}, nil, nil)
	p.say("[ok,bad,ok] nevents=0 err=%v, registered then: %s", err, p.get())
	again()
	p.say("[ok,bad,ok] nevents=8: %s", p.list(8, 0, okA, wrong, okC))
	p.say("  then: %s", p.get())
	again()
	p.say("[bad,ok,ok] nevents=1: %s", p.list(1, 0, wrong, okA, okC))
	p.say("  then: %s", p.get())
	again()
	p.say("[bad,bad,ok] nevents=1: %s", p.list(1, 0, wrong, wrong, okC))
	p.say("  then: %s", p.get())
	start := time.Now()
	p.say("error entry + timeout 500ms: %s quick=%v", p.list(8, 10*time.Second, wrong), time.Since(start) < 10*time.Second)
	_, err = kqCall(bad, nil, nil, nil)
	p.say("kevent on bad kq: %v", err)
	_, err = kqCall(a, nil, nil, nil)
	p.say("kevent on a socket: %v", err)
}

func (p *probe) receipt() {
	a, aPeer := p.stream("a")
	b, _ := p.stream("b")
	p.put(aPeer, "x")
	receipt := func(fd, filter, flags int) kevent { return entry(fd, filter, flags|evReceipt, 0) }
	p.say("[add a|RECEIPT, bad|RECEIPT] nevents=2: %s",
		p.list(2, 0, receipt(a, evfiltRead, evAdd), receipt(999, evfiltRead, evAdd)))
	p.say("next: %s", p.get())
	p.say("delete|RECEIPT nevents=8: %s", p.list(8, 0, receipt(a, evfiltRead, evDelete)))
	p.say("delete again|RECEIPT: %s", p.list(8, 0, receipt(a, evfiltRead, evDelete)))
	err := p.add(a, evfiltRead, evReceipt)
	p.say("RECEIPT with nevents=0: err=%v then %s", err, p.get())
	p.say("[add a plain,add b|RECEIPT W] nevents=8: %s",
		p.list(8, 0, entry(a, evfiltRead, evAdd, 0), receipt(b, evfiltWrite, evAdd)))
}

func (p *probe) write() {
	a, peer := p.stream("a")
	p.add(a, evfiltWrite, 0)
	p.say("fresh socketpair -> %s", p.get())
	p.fill(a)
	p.say("full -> %s", p.get())
	p.take(peer, 1)
	p.say("peer read 1 byte -> %s", p.get())
	p.drain(peer)
	p.say("peer drained -> %s", p.get())
	p.do(a, evfiltWrite, evDelete)
	p.add(a, evfiltWrite, evClear)
	p.say("CLEAR -> %s", p.get())
	p.say("CLEAR again -> %s", p.get())
	p.fill(a)
	p.say("CLEAR full -> %s", p.get())
	p.drain(peer)
	p.say("CLEAR drained -> %s", p.get())
	p.put(a, "x")
	p.say("CLEAR after own write (never full) -> %s", p.get())
}

func (p *probe) both() {
	a, peer := p.stream("a")
	p.put(peer, "x")
	p.add(a, evfiltRead, 0)
	p.add(a, evfiltWrite, 0)
	p.say("%s", p.get())
	for range 4 {
		p.say("one slot: %s", p.list(1, 0))
	}
	err := p.do(a, evfiltRead, evDelete)
	p.say("delete READ err=%v -> %s", err, p.get())
}

func (p *probe) eofUnix() {
	a, peer := p.stream("a")
	p.add(a, evfiltRead, 0)
	p.add(a, evfiltWrite, 0)
	p.put(peer, "abc")
	p.must(unix.Shutdown(peer, unix.SHUT_WR))
	p.say("peer wrote 3 + shutdown(WR) -> %s", p.get())
	p.take(a, 9)
	p.say("after reading -> %s", p.get())
	p.shut(peer)
	p.say("peer closed -> %s", p.get())

	p.fresh()
	c, peer := p.stream("c")
	p.add(c, evfiltWrite, 0)
	p.shut(peer)
	p.say("only WRITE registered, peer closed -> %s", p.get())

	p.fresh()
	a, peer = p.stream("a")
	p.add(a, evfiltRead, evClear)
	p.put(peer, "x")
	p.shut(peer)
	p.say("CLEAR: data+close -> %s", p.get())
	p.say("CLEAR again -> %s", p.get())

	p.fresh()
	a, _ = p.stream("a")
	p.add(a, evfiltRead, 0)
	p.must(unix.Shutdown(a, unix.SHUT_RD))
	p.say("own shutdown(RD) -> %s", p.get())
}

func (p *probe) eofTCP() {
	a, peer := p.tcp("a")
	p.add(a, evfiltRead, 0)
	p.add(a, evfiltWrite, 0)
	p.say("open -> %s", p.get())
	p.put(peer, "abc")
	p.must(unix.Shutdown(peer, unix.SHUT_WR))
	p.say("peer wrote 3 + shutdown(WR) -> %s", p.get())
	p.take(a, 9)
	p.say("after reading -> %s", p.get())
	p.put(a, "unread")
	p.get()
	p.shut(peer)
	p.say("peer closed with unread data (RST) -> %s", p.get())
	p.say("read after RST: %s", p.take(a, 9))
	p.say("after that -> %s", p.get())

	p.fresh()
	a, peer = p.tcp("a")
	p.add(a, evfiltWrite, 0)
	p.shut(peer)
	p.say("only WRITE, clean close by peer -> %s", p.get())

	p.fresh()
	a, peer = p.tcp("a")
	p.add(a, evfiltRead, 0)
	p.must(unix.SetsockoptLinger(peer, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}))
	p.shut(peer)
	p.say("only READ, RST by linger0 -> %s", p.get())
	p.say("read: %s", p.take(a, 9))
	p.say("then -> %s", p.get())
}

func (p *probe) connect() {
	ln, sa := p.listener()
	p.names[ln] = "b"
	a := p.inet(unix.SOCK_STREAM)
	p.names[a] = "a"
	p.say("nonblocking connect err=%v", unix.Connect(a, sa))
	p.add(a, evfiltWrite, 0)
	p.say("connected -> %s", p.get())
	p.do(a, evfiltWrite, evDelete)
	p.add(ln, evfiltRead, 0)
	p.say("listener 1 pending -> %s", p.get())
	second := p.inet(unix.SOCK_STREAM)
	unix.Connect(second, sa)
	p.get()
	p.say("listener 2 pending -> %s", p.get())
	fd, _, err := unix.Accept(ln)
	p.must(err)
	p.opens = append(p.opens, fd)
	status, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	p.say("accept() from O_NONBLOCK listener: new fd nonblocking=%v cloexec=%v", status&unix.O_NONBLOCK != 0, flags&unix.FD_CLOEXEC != 0)
	p.say("after 1 accept -> %s", p.get())
	fd, _, err = unix.Accept(ln)
	p.must(err)
	p.opens = append(p.opens, fd)
	got := p.get()
	_, _, err = unix.Accept(ln)
	p.say("after 2 accepts -> %s; accept: %v", got, err)

	p.fresh()
	closed, err := unix.Getsockname(p.bound(unix.SOCK_STREAM))
	p.must(err)
	a = p.inet(unix.SOCK_STREAM)
	p.names[a] = "a"
	p.say("connect to closed port err=%v", unix.Connect(a, closed))
	p.add(a, evfiltRead, 0)
	p.add(a, evfiltWrite, 0)
	p.say("WRITE -> %s", p.get())
	errno, err := unix.GetsockoptInt(a, unix.SOL_SOCKET, unix.SO_ERROR)
	p.must(err)
	p.say("SO_ERROR=%v", unix.Errno(errno))
	p.say("after SO_ERROR -> %s", p.get())

	p.fresh()
	a = p.inet(unix.SOCK_STREAM)
	p.names[a] = "a"
	p.add(a, evfiltRead, 0)
	p.add(a, evfiltWrite, 0)
	p.say("never-connected socket -> %s", p.get())
}

func (p *probe) pipes() {
	a, b := p.pipe()
	p.add(a, evfiltRead, 0)
	p.add(b, evfiltWrite, 0)
	p.say("add: %s", p.get())
	p.do(b, evfiltWrite, evDelete)
	p.put(b, "hello")
	p.say("5 bytes -> %s", p.get())
	p.shut(b)
	p.say("writer closed, 5 bytes left -> %s", p.get())
	p.take(a, 9)
	p.say("drained -> %s", p.get())

	p.fresh()
	a, b = p.pipe()
	p.add(b, evfiltWrite, 0)
	p.shut(a)
	p.say("reader closed, WRITE -> %s", p.get())

	p.fresh()
	a, b = p.pipe()
	p.add(b, evfiltWrite, 0)
	p.fill(b)
	p.say("full -> %s", p.get())
	p.take(a, 1)
	p.say("1 byte read -> %s", p.get())
	p.take(a, 600)
	p.say("600 more -> %s", p.get())
	p.drain(a)
	p.say("drained -> %s", p.get())
	p.say("READ on the write end: %v", p.add(b, evfiltRead, 0))
	p.say("WRITE on the read end: %v", p.add(a, evfiltWrite, 0))
}

func (p *probe) user() {
	trigger := func(ident int) error {
		_, err := kqCall(p.kq, []kevent{entry(ident, evfiltUser, 0, noteTrigger)}, nil, nil)
		return err
	}
	p.say("trigger before add: %v", trigger(1))
	err := p.add(1, evfiltUser, evClear)
	p.say("add err=%v -> %s", err, p.get())
	p.say("trigger x3: %v %v %v", trigger(1), trigger(1), trigger(1))
	p.say("-> %s", p.get())
	p.say("again -> %s", p.get())
	time.AfterFunc(10*time.Millisecond, func() { trigger(1) })
	got := p.list(8, 10*time.Second)
	p.say("cross-thread wake: %s woke=%v", got, got != "none")
	err = p.do(1, evfiltUser, evDelete)
	p.say("delete err=%v, trigger err=%v", err, trigger(1))
	err = p.add(1, evfiltUser, 0)
	triggered := trigger(1)
	p.say("level (no CLEAR) add err=%v trig=%v -> %s", err, triggered, p.get())
	p.say("again -> %s", p.get())
	p.do(1, evfiltUser, evDelete)
	p.say("ADD|TRIGGER in one change: %s", p.list(8, 0, entry(7, evfiltUser, evAdd|evClear, noteTrigger)))
	p.say("then: %s", p.get())
	p.say("EV_ENABLE+TRIGGER one-shot in changelist of a waiting call: %s",
		p.list(8, time.Second, entry(7, evfiltUser, evEnable, noteTrigger)))
}

func (p *probe) timeouts() {
	call := func(room int, ts *unix.Timespec) (int, error) { return p.call(nil, make([]kevent, room), ts) }
	for _, tt := range []struct {
		name    string
		timeout unix.Timespec
	}{
		{"0", unix.Timespec{}},
		{"50ms", unix.NsecToTimespec(50e6)},
		{"1ms", unix.NsecToTimespec(1e6)},
		{"100us", unix.NsecToTimespec(100e3)},
		{"1ns", unix.NsecToTimespec(1)},
		{"negative sec", unix.Timespec{Sec: -1}},
		{"nsec=1e9", unix.Timespec{Nsec: 1e9}},
	} {
		start := time.Now()
		n, err := call(8, &tt.timeout)
		p.say("%s: n=%d err=%v", tt.name, n, err)
		least := time.Duration(tt.timeout.Nano())
		if least > 0 {
			least = max(least, p.kernel.tick)
		}
		if elapsed := time.Since(start); err == nil && elapsed < least {
			p.t.Errorf("timeout %s: returned after %v", tt.name, elapsed)
		}
	}
	n, err := call(1, new(unix.NsecToTimespec(50e6)))
	p.say("no changes, no events, 50ms: n=%d err=%v", n, err)
	start := time.Now()
	n, err = call(0, new(unix.NsecToTimespec(10e9)))
	p.say("nevents=0 returns at once: %v (n=%d err=%v)", time.Since(start) < 10*time.Second, n, err)
	a, peer := p.stream("a")
	p.add(a, evfiltRead, 0)
	time.AfterFunc(10*time.Millisecond, func() { unix.Write(peer, []byte("x")) })
	n, err = call(8, nil)
	p.say("nil timeout woken by data: n=%d err=%v ok", n, err)
	n, err = call(8, &unix.Timespec{Sec: 1 << 30})
	p.say("huge timeout with ready fd: n=%d err=%v", n, err)
}

func (p *probe) closed() {
	a, peer := p.stream("a")
	p.put(peer, "x")
	p.add(a, evfiltRead, 0)
	p.shut(a)
	p.say("closed -> %s", p.get())
	p.say("EV_DELETE after close: %v", p.do(a, evfiltRead, evDelete))
	p.say("EV_ADD after close: %v", p.add(a, evfiltRead, 0))
	a, peer = p.stream("a")
	p.add(a, evfiltRead, 0)
	dup, err := unix.Dup(a)
	p.must(err)
	p.own(dup)
	p.shut(a)
	p.put(peer, "x")
	p.say("registered fd closed while a dup stays open, data arrives -> %s", p.get())
	p.say("delete on the closed number: %v", p.do(a, evfiltRead, evDelete))
	p.say("-> %s", p.get())
}

func (p *probe) reuse() {
	// replace closes a's number and opens it again as another socket.
	replace := func(a int) (fd, peer int) {
		fresh, peer := p.stream("")
		p.shut(a)
		fd, err := unix.FcntlInt(uintptr(fresh), unix.F_DUPFD, a)
		p.must(err)
		p.own(fd)
		p.shut(fresh)
		return fd, peer
	}
	old, oldPeer := p.stream("a")
	p.put(oldPeer, "x")
	p.add(old, evfiltRead, 0)
	p.get()
	a, peer := replace(old)
	p.say("reused number: %v", a == old)
	p.put(peer, "hello")
	p.say("new fd, not registered, has data -> %s", p.get())
	p.say("EV_DELETE of the old registration: %v", p.do(a, evfiltRead, evDelete))
	err := p.add(a, evfiltRead, 0)
	p.say("EV_ADD: %v -> %s", err, p.get())
	p.say("again -> %s", p.get())
	p.take(a, 9)
	p.say("drained -> %s", p.get())
	p.put(peer, "x")
	p.say("more data -> %s", p.get())
	err = p.do(a, evfiltRead, evDelete)
	p.say("delete: %v -> %s", err, p.get())
	p.add(a, evfiltWrite, 0)
	a, peer = replace(a)
	p.put(peer, "hello")
	p.say("reuse + direct EV_ADD READ: %v", p.add(a, evfiltRead, 0))
	p.say("-> %s (a stale WRITE here = old knote alive)", p.get())
}

func (p *probe) nested() {
	inner, err := p.kernel.open()
	p.must(err)
	defer kqClose(inner)
	p.names[inner] = "a"
	p.say("EVFILT_READ on a kqueue fd: %v", p.add(inner, evfiltRead, 0))
	p.say("-> %s", p.get())
	fd, peer := p.stream("")
	_, err = kqCall(inner, []kevent{entry(fd, evfiltRead, evAdd, 0)}, nil, nil)
	p.must(err)
	p.put(peer, "x")
	p.say("inner ready -> %s", p.get())
	flags, err := unix.FcntlInt(uintptr(inner), unix.F_GETFD, 0)
	p.say("kqueue() fd cloexec=%v err=%v", flags&unix.FD_CLOEXEC != 0, err)
	var set unix.FdSet
	set.Set(inner)
	n, err := unix.Select(inner+1, &set, nil, nil, new(unix.Timeval))
	p.say("select() on kq fd with pending event: n=%d err=%v", n, err)
}

func (p *probe) kinds() {
	name := filepath.Join(p.t.TempDir(), "file")
	p.must(os.WriteFile(name, []byte("0123456789"), 0o600))
	open := func(path string) int {
		fd, err := unix.Open(path, unix.O_RDWR, 0)
		p.must(err)
		p.own(fd)
		p.names[fd] = "a"
		return fd
	}
	word := func(err error) string { // Linux has another one for it
		if err == unix.ENODEV {
			return "operation not supported by device"
		}
		return fmt.Sprint(err)
	}
	file := open(name)
	err := p.add(file, evfiltRead, 0)
	p.say("regular file READ: %s -> %s", word(err), p.get())
	p.drain(file)
	p.say("at EOF -> %s", p.get())
	err = p.add(file, evfiltWrite, 0)
	p.say("regular file WRITE: %s -> %s", word(err), p.get())
	p.fresh()
	null := open(os.DevNull)
	err = p.add(null, evfiltRead, 0)
	p.say("/dev/null READ: %s -> %s", word(err), p.get())
	p.do(null, evfiltRead, evDelete)
	err = p.add(null, evfiltWrite, 0)
	p.say("/dev/null WRITE: %s -> %s", word(err), p.get())
	p.fresh()
	a, peer := p.pair("a", unix.SOCK_DGRAM)
	p.add(a, evfiltRead, 0)
	p.put(peer, "hello")
	p.say("unix dgram 5 bytes -> %s", p.get())
	p.fresh()
	a, peer = p.bound(unix.SOCK_DGRAM), p.inet(unix.SOCK_DGRAM)
	p.names[a] = "a"
	sa, err := unix.Getsockname(a)
	p.must(err)
	p.must(unix.Connect(peer, sa))
	p.add(a, evfiltRead, 0)
	p.put(peer, "hello")
	p.say("udp 5 bytes -> %s", p.get())
	p.put(peer, "abc")
	p.say("udp 5+3 bytes -> %s", p.get())
}

func (p *probe) fairness() {
	for _, name := range []string{"a", "b", "c", "d"} {
		fd, peer := p.stream(name)
		p.put(peer, "x")
		p.add(fd, evfiltRead, 0)
	}
	var order strings.Builder
	for range 8 {
		order.WriteString(strings.Fields(p.list(1, 0))[0][1:])
	}
	p.say("level, 4 ready, 1 slot, 8 calls: %s", order.String())
	p.fresh()
	a, peer := p.stream("a")
	low := entry(a, evfiltRead, evAdd, noteLowat)
	low.Data = 4
	p.say("NOTE_LOWAT 4: %s", p.list(8, 0, low))
	p.put(peer, "abc")
	p.say("3 bytes -> %s", p.get())
	p.put(peer, "d")
	p.say("4 bytes -> %s", p.get())
}

func (p *probe) udata() {
	a, peer := p.stream("a")
	p.put(peer, "x")
	set := func(flags int, udata uint64) {
		k := entry(a, evfiltRead, flags, 0)
		k.Udata = udata
		_, err := kqCall(p.kq, []kevent{k}, nil, nil)
		p.must(err)
	}
	got := func(what string) {
		events := make([]kevent, 8)
		n, _ := p.call(nil, events, new(unix.Timespec))
		p.say("%sn=%d udata=%#x", what, n, events[0].Udata)
	}
	set(evAdd, 0x1111)
	got("")
	set(evAdd, 0x2222)
	got("re-ADD changes udata: ")
	set(evDisable, 0)
	set(evEnable, 0)
	got("DISABLE+ENABLE with udata=0 in the changes: ")
}

func (p *probe) atOnce() {
	a, peer := p.stream("a")
	p.put(peer, "x")
	add, remove := entry(a, evfiltRead, evAdd, 0), entry(a, evfiltRead, evDelete, 0)
	p.say("add+wait in one call: %s", p.list(8, 0, add))
	p.say("delete+wait in one call: %s", p.list(8, 0, remove))
	p.say("add then delete in one list: %s", p.list(8, 0, add, remove))
	p.say("double ADD in one list: %s", p.list(8, 0, add, add))
}

func (p *probe) concurrent() {
	a, peer := p.stream("a")
	p.put(peer, "x")
	const long = 10 * time.Second
	start := time.Now()
	time.AfterFunc(20*time.Millisecond, func() { p.add(a, evfiltRead, 0) })
	got := p.list(8, long)
	p.say("EV_ADD of a ready fd from another thread wakes the waiter: %s early=%v", got, time.Since(start) < long)
	p.fresh()
	kq := p.kq
	const short = 100 * time.Millisecond
	start = time.Now()
	closed := make(chan error)
	time.AfterFunc(20*time.Millisecond, func() { closed <- kqClose(kq) })
	got = p.list(8, short)
	early := time.Since(start) < short
	p.must(<-closed)
	p.say("close(kq) while another thread waits: %s early=%v", got, early)
}
