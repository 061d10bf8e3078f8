//go:build unix

package asyncore

// TellsUrgent tells whether the backend can report Urgent, for the suite. Not
// every kqueue can.
func (p *Poller) TellsUrgent() bool {
	b, ok := p.backend.(interface{ tellsUrgent() bool })
	return !ok || b.tellsUrgent()
}
