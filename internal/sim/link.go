package sim

import "time"

// Link is the network between two hosts, in both directions. Its fields may
// be changed at any time.
type Link struct {
	Latency time.Duration
	Jitter  time.Duration // up to so much is added to Latency

	// How often, in 10,000 datagrams; streams arrive whole and in order.
	Loss, Duplicate, Reorder int

	k           *Kernel
	partitioned bool
	clogged     int64   // until when
	stalled     []*wire // that wait for the end of the partition
}

// route is a pair of hosts.
type route struct{ a, b *host }

// Link gives the hosts of a and b a network between them. Without one, what
// one of them sends the other has at once. A second Link of the same hosts is
// the first one.
func (k *Kernel) Link(a, b *Process) *Link {
	l := k.links[route{a.host, b.host}]
	if l == nil {
		l = &Link{k: k}
		k.links[route{a.host, b.host}] = l
		k.links[route{b.host, a.host}] = l
	}
	return l
}

// between returns the link of two hosts, nil if there is none.
func (k *Kernel) between(a, b *host) *Link {
	if a == b {
		return nil
	}
	return k.links[route{a, b}]
}

// Partition has nothing pass until it is ended: stream bytes and connects wait,
// as they do for being sent again, resets and datagrams are lost.
func (l *Link) Partition(on bool) {
	if l.partitioned == on {
		return
	}
	l.partitioned = on
	if on {
		return
	}
	stalled := l.stalled
	l.stalled = nil
	for _, w := range stalled {
		w.schedule(l.arrival(w.id))
	}
}

// Clog has all wait until that time.
func (l *Link) Clog(until int64) { l.clogged = until }

// arrival is when what is sent now arrives.
func (l *Link) arrival(id int) int64 {
	d := l.Latency
	if l.Jitter > 0 {
		d += time.Duration(l.k.tape.Choose("latency", id, int(l.Jitter/time.Microsecond)+1)) * time.Microsecond
	}
	return max(l.k.now+int64(max(d, 0)), l.clogged)
}
