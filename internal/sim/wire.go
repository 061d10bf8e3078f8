package sim

// wire is one direction of a connection over a link: what is sent first arrives
// first.
type wire struct {
	link  *Link
	id    int         // the socket's
	bytes func(n int) // has n bytes arrive

	segments []segment
	head     int   // segments[head:] are on their way
	last     int64 // arrival of the last one
	pump     func()
}

// segment is a number of bytes, or something else that arrives.
type segment struct {
	at int64
	n  int
	do func()
}

// wire returns the way of what s sends, nil if there is no link.
func (k *Kernel) wire(from, to *host, s *tcp) *wire {
	l := k.between(from, to)
	if l == nil {
		return nil
	}
	return newWire(l, s)
}

func newWire(l *Link, s *tcp) *wire {
	w := &wire{link: l, id: s.id, bytes: s.arrive}
	w.pump = w.run
	return w
}

// back is the way of the answers.
func (w *wire) back(s *tcp) *wire { return newWire(w.link, s) }

func (w *wire) send(do func())  { w.add(segment{do: do}) }
func (w *wire) sendBytes(n int) { w.add(segment{n: n}) }

func (w *wire) add(s segment) {
	s.at = max(w.link.arrival(w.id), w.last)
	w.last = s.at
	if w.head > 0 && len(w.segments) == cap(w.segments) {
		n := copy(w.segments, w.segments[w.head:])
		clear(w.segments[n:])
		w.segments, w.head = w.segments[:n], 0
	}
	w.segments = append(w.segments, s)
	if len(w.segments)-w.head == 1 {
		w.schedule(s.at)
	}
}

func (w *wire) schedule(at int64) { w.link.k.At(at, w.pump) }

// run has the first segment arrive, if it can.
func (w *wire) run() {
	l := w.link
	switch now := l.k.now; {
	case l.partitioned:
		l.stalled = append(l.stalled, w)
		return
	case now < l.clogged:
		w.schedule(l.clogged)
		return
	}
	s := w.segments[w.head]
	w.segments[w.head] = segment{}
	if w.head++; w.head == len(w.segments) {
		w.segments, w.head = w.segments[:0], 0
	} else {
		w.schedule(w.segments[w.head].at)
	}
	if s.do != nil {
		s.do()
	} else {
		w.bytes(s.n)
	}
}
