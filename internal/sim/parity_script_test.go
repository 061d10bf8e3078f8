//go:build linux

package sim_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// A line of a script is a call and its arguments, or names and a call that
// gives them descriptors:
//
//	L = listener tcp       socket, bind, listen
//	A B = stream tcp       two ends of a connection
//	send A hello           "" is nothing, a*5 is aaaaa
//	poll B:rw              waits until it is ready, and tells for what
//	look B:rw              the same without waiting
//
// verbs has them all. An address is a network address, dir/name, @name, or the
// name of a socket, which is where that is bound; a name in the place of a port
// is that socket's port. Descriptors, ports, paths and the sizes of the
// kernel's buffers differ from run to run and are not in the log.

// loopback is where the sockets of scripts are.
var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// patience is how long a poll waits for what must come.
const patience = 5 * time.Second

// place is where a script's calls are made: a process with its poller. There is
// one, except where the two ends of a connection are to be on two hosts.
type place struct {
	machine
	poller sys.Poller
	ip     netip.Addr    // of its host, which the scripts call 127.0.0.1
	given  []int         // descriptors that calls have returned and that are open
	late   time.Duration // how much longer than usual what comes by itself may take
}

// player runs one script.
type player struct {
	*place  // of the line that is played
	places  []*place
	settled func() // called after each line
	t       *testing.T
	dir     string

	names map[string]int      // descriptors by name
	where map[string]*place   // and whose they are
	addrs map[string]sys.Addr // where those that were bound are, also when they are closed
	ports []netip.AddrPort    // in the order in which they were first told
	sent  map[string]int      // bytes that fill has sent
}

// play runs a script on one machine.
func play(t *testing.T, m machine, poller, text string) []string {
	t.Helper()
	return playOn(t, []*place{{machine: m, ip: loopback}}, func() {}, poller, text)
}

// playOn runs a script and returns what the kernel answered to each line. Where
// there are two places, the second one has the descriptors called B, K and L and
// what they accept.
func playOn(t *testing.T, places []*place, settled func(), poller, text string) (log []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "parity")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, at := range places {
		defer at.leave(t)
		if at.poller, err = at.OpenPoller(poller); err != nil {
			t.Fatal(err)
		}
	}
	p := &player{
		places: places, settled: settled, t: t, dir: dir,
		names: map[string]int{}, where: map[string]*place{}, addrs: map[string]sys.Addr{}, sent: map[string]int{},
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			log = append(log, line+"  → "+p.do(line))
			settled()
		}
	}
	return log
}

// closes closes a descriptor, which may be another script's from now on.
func (at *place) closes(fd int, call func(int) syscall.Errno) syscall.Errno {
	e := call(fd)
	if i := slices.Index(at.given, fd); e == 0 && i >= 0 {
		at.given = slices.Delete(at.given, i, i+1)
	}
	return e
}

// leave closes what a script has left open.
func (at *place) leave(t *testing.T) {
	at.SetFDLimit(-1)
	if at.poller != nil {
		if err := at.poller.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("closing the poller: %v", err)
		}
	}
	for _, fd := range at.given {
		if e := at.Close(fd); e != 0 {
			t.Errorf("closing what is left: %v", e)
		}
	}
}

// visit goes to the place of a descriptor, or of one that is to be made.
func (p *player) visit(name string) {
	name, _, _ = strings.Cut(name, ":")
	p.place = p.places[0]
	if at, ok := p.where[name]; ok {
		p.place = at
	} else if strings.Contains("BKL", name) {
		p.place = p.places[len(p.places)-1]
	}
}

// call is a line, taken apart.
type call struct {
	names []string // to the left of =
	verb  string
	args  []string
}

func (p *player) do(line string) string {
	var c call
	words := strings.Fields(line)
	if i := slices.Index(words, "="); i >= 0 {
		c.names, words = words[:i], words[i+1:]
	}
	c.verb, c.args = words[0], words[1:]
	do, ok := verbs[c.verb]
	if !ok {
		p.t.Fatalf("%s: no such verb", line)
	}
	switch {
	case len(c.names) > 0 && c.verb != "accept" && c.verb != "dup":
		p.visit(c.names[0])
	case len(c.args) > 0:
		p.visit(c.args[0])
	default:
		p.place = p.places[0]
	}
	return do(p, &c)
}

// arg is argument i, or def if there are fewer.
func (c *call) arg(i int, def string) string {
	if i < len(c.args) {
		return c.args[i]
	}
	return def
}

func (p *player) num(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// fd is a descriptor by name, or a number that is none. A name that a call has
// failed to give is none either.
func (p *player) fd(name string) int {
	if fd, ok := p.names[name]; ok {
		return fd
	}
	if n, err := strconv.Atoi(name); err == nil {
		return n
	}
	return -1
}

// gives gives names to the descriptors that a call has returned.
func (p *player) gives(c *call, e syscall.Errno, fds ...int) string {
	if e != 0 {
		return errnoName(e)
	}
	for i, fd := range fds {
		p.give(c.names[i], fd)
	}
	return "ok"
}

// give names a descriptor of the place that the line is played at.
func (p *player) give(name string, fd int) {
	p.names[name], p.where[name] = fd, p.place
	p.given = append(p.given, fd)
}

func (p *player) must(e syscall.Errno) {
	if e != 0 {
		p.t.Helper()
		p.t.Fatalf("setting up: %v", e)
	}
}

func errnoName(e syscall.Errno) string {
	if e == 0 {
		return "ok"
	}
	return unix.ErrnoName(e)
}

// errorName is the errno in an error, or else its words.
func errorName(err error) string {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return errnoName(e)
	}
	if err == nil {
		return "ok"
	}
	return err.Error()
}

func data(s string) []byte {
	if s == `""` {
		return []byte{}
	}
	if unit, n, ok := strings.Cut(s, "*"); ok {
		count, _ := strconv.Atoi(n)
		return []byte(strings.Repeat(unit, count))
	}
	return []byte(s)
}

func moved(n int, e syscall.Errno) string {
	if e != 0 {
		return errnoName(e)
	}
	return strconv.Itoa(n)
}

// show is what was received, long runs of a byte made short.
func show(b []byte, e syscall.Errno) string {
	if e != 0 {
		return errnoName(e)
	}
	if n := len(b); n > 8 && strings.Count(string(b), string(b[:1])) == n {
		return fmt.Sprintf("%c*%d", b[0], n)
	}
	return strconv.Quote(string(b))
}

var networks = map[string]struct {
	family sys.Family
	kind   sys.Kind
	local  string // where a script's sockets are bound if it says nothing
}{
	"tcp":        {sys.Inet, sys.Stream, "127.0.0.1:0"},
	"tcp6":       {sys.Inet6, sys.Stream, "[::1]:0"},
	"unix":       {sys.Unix, sys.Stream, "dir/"},
	"udp":        {sys.Inet, sys.Datagram, "127.0.0.1:0"},
	"udp6":       {sys.Inet6, sys.Datagram, "[::1]:0"},
	"unixgram":   {sys.Unix, sys.Datagram, "dir/"},
	"unixpacket": {sys.Unix, sys.Sequenced, "dir/"},
}

func (p *player) socket(network string) (int, syscall.Errno) {
	n, ok := networks[network]
	if !ok {
		p.t.Fatalf("no network %q", network)
	}
	if n.kind == sys.Stream {
		return p.Socket(n.family)
	}
	return p.PacketSocket(n.family, n.kind)
}

// bound makes a socket with an address of its own.
func (p *player) bound(name, network string) int {
	fd, e := p.socket(network)
	p.must(e)
	at := networks[network].local
	if at == "dir/" {
		at += name
	}
	p.give(name, fd)
	p.must(p.Bind(fd, p.addr(at)))
	p.note(name, fd)
	return fd
}

// note keeps a socket's address for when it is closed.
func (p *player) note(name string, fd int) {
	if a, e := p.LocalAddr(fd); e == 0 {
		p.addrs[name] = a
	}
}

// addr is an address that a script names.
func (p *player) addr(s string) sys.Addr {
	s = strings.ReplaceAll(s, `\0`, "\x00")
	if a, ok := p.addrs[s]; ok {
		return a
	}
	switch {
	case s == "none":
		return sys.Addr{Family: sys.Unix}
	case strings.HasPrefix(s, "dir/"):
		return sys.Addr{Family: sys.Unix, Path: filepath.Join(p.dir, s[len("dir/"):])}
	case strings.HasPrefix(s, "long/"):
		path := p.dir + "/"
		return sys.Addr{Family: sys.Unix, Path: path + strings.Repeat("p", p.num(s[len("long/"):])-len(path))}
	case strings.HasPrefix(s, "@"):
		return sys.Addr{Family: sys.Unix, Path: "@" + p.dir + "/" + s[1:]}
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		p.t.Fatalf("%s: no such address", s)
	}
	host, port := strings.Trim(s[:i], "[]"), s[i+1:]
	ip, err := netip.ParseAddr(host)
	if err != nil {
		p.t.Fatal(err)
	}
	var number uint16
	if a, ok := p.addrs[port]; ok {
		number = a.Inet.Port()
	} else {
		number = uint16(p.num(port))
	}
	if ip == loopback {
		ip = p.ip
		if a, ok := p.addrs[port]; ok && !a.Inet.Addr().IsUnspecified() && a.Inet.Addr().Is4() {
			ip = a.Inet.Addr()
		}
	}
	family := sys.Inet6
	if ip.Is4() {
		family = sys.Inet
	}
	return sys.Addr{Family: family, Inet: netip.AddrPortFrom(ip, number)}
}

// at shows an address without what differs from run to run.
func (p *player) at(a sys.Addr, e syscall.Errno) string {
	if e != 0 {
		return errnoName(e)
	}
	switch a.Family {
	case 0:
		return "no address"
	case sys.Unix:
		if a.Path == "" || a.Path == "@" {
			return "unnamed"
		}
		path, ours := strings.CutPrefix(a.Path, "@"+p.dir+"/")
		switch {
		case ours:
			return "@" + path
		case strings.HasPrefix(a.Path, "@"):
			return fmt.Sprintf("@ and %d more", len(a.Path)-1) // the system's choice
		}
		return "dir/" + strings.TrimPrefix(a.Path, p.dir+"/")
	}
	ip, port := a.Inet.Addr(), a.Inet.Port()
	if port == 0 {
		return a.Inet.String()
	}
	// Two hosts may have given out the same port.
	key := netip.AddrPortFrom(p.ip, port)
	for _, at := range p.places {
		if ip == at.ip {
			key, ip = a.Inet, loopback
		}
	}
	i := slices.Index(p.ports, key)
	if i < 0 {
		i = len(p.ports)
		p.ports = append(p.ports, key)
	}
	if ip.Is6() {
		return fmt.Sprintf("[%v]:p%d", ip, i+1)
	}
	return fmt.Sprintf("%v:p%d", ip, i+1)
}

// interest reads "A:rwu".
func (p *player) interest(s string) (name string, fd int, want asyncore.Interest) {
	name, bits, _ := strings.Cut(s, ":")
	for _, b := range bits {
		switch b {
		case 'r':
			want |= asyncore.Readable
		case 'w':
			want |= asyncore.Writable
		case 'u':
			want |= asyncore.Urgent
		case 'h':
			want |= asyncore.HangUp // which nobody may ask for
		}
	}
	return name, p.fd(name), want
}
