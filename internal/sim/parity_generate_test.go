//go:build linux

package sim_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// generate makes a script of 5 to 40 calls on up to six descriptors, and what is
// asked of each of them at the end.
//
// It leaves out what Linux answers differently from run to run, or from one size
// of its buffers to another:
//   - waiting: what comes by a timer (a SYN that is sent again, an acknowledgement
//     that is kept back) has scripts of its own;
//   - TCP and UDP in one script, for they may have the same port, which logs would
//     take for one;
//   - more than a few large blocks that are not read, for Linux counts what its
//     memory of them takes up;
//   - part of what has filled a stream, for how much must be read until there is
//     room depends on the same;
//   - sequenced packets of nothing, which are no reason for a reset to a newer
//     Linux when they are not read;
//   - a socket that is shut down and then connects to itself;
//   - urgent data over Unix streams, which not every Linux has, and datagrams that
//     are too long, of which not every one tells before it looks for the receiver;
//   - TCP that is full and is shut down for reading, for then only a timer tells that
//     there is room;
//   - addresses that were in use, for Linux keeps them for a minute.
func generate(seed uint64) []string {
	g := &generator{r: rand.New(rand.NewPCG(seed, 0))}
	switch g.r.IntN(8) {
	case 0, 1, 2:
		g.networks = []string{"tcp"}
	case 3:
		g.networks = []string{"unix"}
	case 4:
		g.networks = []string{"tcp", "tcp6", "unix"}
	case 5:
		g.networks = []string{"udp", "unixgram"}
	case 6:
		g.networks = []string{"unixgram", "unixpacket", "pipe"}
	case 7:
		g.networks = []string{"unix", "unixgram", "unixpacket", "pipe", "udp"}
	}
	// Filling TCP takes time, for it must be seen that no acknowledgement is coming:
	// the seeds of every day do not.
	g.fills = !slices.Contains(g.networks, "tcp") || seed >= 1000 && seed%40 == 0
	if g.fills && g.r.IntN(2) == 0 && !slices.Contains(g.networks, "unixgram") {
		g.add("buffers 8192 8192")
		g.small = true
	}
	calls := 5 + g.r.IntN(36)
	for len(g.lines) < calls {
		g.call()
	}
	for _, e := range g.live {
		g.add("look %s:rwu", e.name)
	}
	g.add("wait 0s")
	for _, e := range g.live {
		g.add("peer %s", e.name)
		g.receive(e)
		g.add("sockerror %s", e.name)
		g.receive(e)
		g.add("look %s:rw", e.name)
	}
	return g.lines
}

// generator makes one script.
type generator struct {
	r        *rand.Rand
	networks []string
	fills    bool // buffers may be filled
	small    bool // and are small
	lines    []string
	live     []*end
	gone     []*end   // closed
	named    []string // those that have an address
	names    int
	sent     int    // how often something was
	large    int    // and how often a large block
	filled   string // the last one that was
}

// end is a descriptor.
type end struct {
	name, network string
	listens, shut bool
}

func (g *generator) add(format string, args ...any) {
	g.lines = append(g.lines, fmt.Sprintf(format, args...))
}

func pick[T any](g *generator, from []T) T { return from[g.r.IntN(len(from))] }

// name is a new one.
func (g *generator) name() string {
	g.names++
	return string(rune('A' + g.names - 1))
}

// got adds a descriptor.
func (g *generator) got(network string, listens bool) string {
	e := &end{name: g.name(), network: network, listens: listens}
	g.live = append(g.live, e)
	return e.name
}

// most is how many descriptors are open at once, and names how many there are
// in all.
const (
	mostEnds  = 6
	mostNames = 20
)

func (g *generator) call() {
	if len(g.live) == 0 || len(g.live) < mostEnds && g.names < mostNames && g.r.IntN(6) == 0 || len(g.lines) < 2 {
		g.open()
		return
	}
	e := pick(g, g.live)
	switch g.r.IntN(32) {
	case 0, 1, 2, 3, 4:
		g.send(e)
	case 5, 6, 7, 8:
		g.receive(e)
	case 9, 10:
		e.shut = true
		how := pick(g, []string{"r", "w", "w", "rw"})
		if g.fills && strings.HasPrefix(e.network, "tcp") {
			how = "w"
		}
		g.add("shutdown %s %s", e.name, how)
	case 11, 12:
		g.close(e)
	case 13:
		g.add("sockerror %s", e.name)
	case 14:
		g.add("%s %s", pick(g, []string{"peer", "local", "kind", "packeterror"}), e.name)
	case 15:
		if len(g.live) < mostEnds && g.names < mostNames {
			g.add("%s = dup %s", g.got(e.network, e.listens), e.name)
		}
	case 16, 17:
		g.add("look %s:%s", e.name, g.interest())
	case 18:
		g.add("wait 0s")
	case 19, 20:
		g.add("add %s:%s", e.name, g.interest())
		g.add("wait 0s")
	case 21:
		g.add("modify %s:%s", e.name, g.interest())
	case 22:
		if len(g.gone) > 0 && g.r.IntN(3) == 0 {
			e = pick(g, g.gone)
		}
		g.add("remove %s", e.name)
	case 23:
		g.urgent(e)
	case 24, 25, 26:
		g.connect(e)
	case 27, 28, 29:
		g.accept()
	case 30:
		g.add("listen %s %d", e.name, g.r.IntN(3))
		e.listens = true
	case 31:
		if e.network != "pipe" {
			g.add("option %s linger %d", e.name, pick(g, []int{0, -1}))
		}
	}
}

func (g *generator) interest() string {
	return pick(g, []string{"r", "w", "rw", "u", "ru", "wu", "rwu"})
}

// open makes one descriptor or two.
func (g *generator) open() {
	network := pick(g, g.networks)
	if len(g.live)+2 > mostEnds || g.names+2 > mostNames {
		return
	}
	stream := strings.HasPrefix(network, "tcp") || network == "unix" || network == "unixpacket"
	switch {
	case network == "pipe":
		g.add("%s %s = pipe", g.got(network, false), g.got(network, false))
		return
	case stream && g.r.IntN(2) == 0:
		a, b := g.got(network, false), g.got(network, false)
		g.add("%s %s = stream %s", a, b, network)
		g.named = append(g.named, b)
		if network != "unix" && network != "unixpacket" {
			g.named = append(g.named, a)
		}
	case strings.HasPrefix(network, "unix") && g.r.IntN(2) == 0:
		g.add("%s %s = pair %s", g.got(network, false), g.got(network, false), network)
	case stream && g.r.IntN(2) == 0:
		a := g.got(network, true)
		g.add("%s = listener %s %d", a, network, pick(g, []int{0, 1, 8, 8}))
		g.named = append(g.named, a)
		g.connect(nil)
	case g.r.IntN(4) > 0 && !stream || g.r.IntN(4) == 0:
		a := g.got(network, false)
		g.add("%s = bound %s", a, network)
		g.named = append(g.named, a)
	default:
		g.add("%s = socket %s", g.got(network, false), network)
	}
}

// connect connects e, or a new socket to the last one that was given an address.
func (g *generator) connect(e *end) {
	switch {
	case len(g.named) == 0:
		return
	case e == nil:
		l := g.live[len(g.live)-1]
		a := g.got(l.network, false)
		g.add("%s = socket %s", a, l.network)
		g.add("connect %s %s", a, l.name)
		return
	case e.network == "pipe":
		return
	}
	if to := pick(g, g.named); to != e.name || !e.shut {
		g.add("connect %s %s", e.name, to)
	}
}

// accept accepts of a listener, if there is one, or else of anything.
func (g *generator) accept() {
	if len(g.live) == mostEnds || g.names == mostNames {
		return
	}
	l := pick(g, g.live)
	for _, e := range g.live {
		if e.listens {
			l = e
		}
	}
	if !l.listens && g.r.IntN(8) > 0 {
		return
	}
	g.add("%s = accept %s", g.got(l.network, false), l.name)
}

func (g *generator) close(e *end) {
	g.live = slices.DeleteFunc(g.live, func(f *end) bool { return f == e })
	g.gone = append(g.gone, e)
	how := "close"
	if e.network != "pipe" && g.r.IntN(3) == 0 {
		how = "reset"
	}
	g.add("%s %s", how, e.name)
}

// fillable tells whether what is sent to nobody who reads meets an end.
func (e *end) fillable() bool { return e.network != "udp" }

func (g *generator) send(e *end) {
	data := pick(g, []string{`""`, "x", "x", "yz", "hello", "a*50", "b*100"})
	if g.large < 5 && !g.small && g.r.IntN(8) == 0 {
		g.large++
		data = "c*1000"
	}
	tcp := strings.HasPrefix(e.network, "tcp")
	if e.network == "unixpacket" && data == `""` {
		data = "x"
	}
	g.sent++
	switch {
	case (tcp || e.network == "pipe") && g.filled != "", g.small && g.sent > 3 && e.fillable():
		g.fill(e)
	case g.fills && e.fillable() && g.r.IntN(8) == 0:
		g.fill(e)
	case g.fills && e.fillable() && !tcp && !packets(e) && g.r.IntN(8) == 0:
		g.add("%s %s d*300000", g.sends(e), e.name)
		g.filled = e.name
	case packets(e) && g.r.IntN(2) == 0:
		to := "peer"
		if len(g.named) > 0 && g.r.IntN(3) > 0 {
			to = pick(g, g.named)
		}
		if !g.small && g.r.IntN(2) == 0 {
			data += " " + data
		}
		g.add("sendto %s %s %s", e.name, to, data)
	default:
		g.add("%s %s %s", g.sends(e), e.name, data)
	}
}

// fill sends until there is no room: packets of a byte, for so many of them fill
// a queue before their memory does, and other things in blocks.
func (g *generator) fill(e *end) {
	size := ""
	if e.network == "unixgram" {
		size = " 1"
	}
	g.add("fill %s%s", e.name, size)
	g.filled = e.name
}

func packets(e *end) bool {
	return slices.Contains([]string{"udp", "unixgram", "unixpacket"}, e.network)
}

func (g *generator) sends(e *end) string {
	if e.network == "pipe" {
		return "write"
	}
	return "send"
}

func (g *generator) receive(e *end) {
	size := pick(g, []int{0, 1, 2, 5, 60, 100, 5000})
	if e.network == "unixpacket" {
		size = max(size, 1)
	}
	switch {
	case g.filled != "" && e.network != "udp" && e.network != "unixgram":
		g.add("drain %s %s", e.name, g.filled)
	case e.network == "pipe":
		g.add("read %s %d", e.name, size)
	case packets(e) && g.r.IntN(2) == 0:
		sequenced := ""
		if e.network == "unixpacket" {
			sequenced = " sequenced"
			if g.r.IntN(2) == 0 {
				g.add("option %s packetend 1", e.name)
			}
		}
		g.add("recvfrom %s %d %d%s", e.name, 1+g.r.IntN(3), size, sequenced)
	default:
		g.add("recv %s %d", e.name, size)
	}
}

func (g *generator) urgent(e *end) {
	switch {
	case e.network == "pipe" || g.filled != "":
	case strings.HasPrefix(e.network, "tcp") && g.r.IntN(3) > 0:
		g.add("urgent %s !", e.name)
	default:
		g.add("recvurgent %s", e.name)
	}
}
