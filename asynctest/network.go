package asynctest

import "time"

// Partition breaks the network between a peer and the loop's host: what is sent
// waits until Heal.
func (w *World) Partition(p *Peer) { w.cut(p, true) }

// Heal ends Partition.
func (w *World) Heal(p *Peer) { w.cut(p, false) }

func (w *World) cut(p *Peer, on bool) {
	w.check()
	if p.link == nil {
		w.Fatalf("%v is on the loop's host: no network is in between", p)
	}
	p.note("partition: %v", on)
	p.link.Partition(on)
}

// Latency sets how long what is sent takes from a peer to the loop's host, and
// back, and by how much that varies.
func (w *World) Latency(p *Peer, latency, jitter time.Duration) {
	w.check()
	if p.link == nil {
		w.Fatalf("%v is on the loop's host: no network is in between", p)
	}
	p.link.Latency, p.link.Jitter = latency, jitter
}
