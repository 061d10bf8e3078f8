package channel

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"unsafe"
)

const (
	// directWrite is the size from which a block goes to the kernel without
	// being copied first.
	directWrite = 16 << 10
	// corkSize is the room for what the callbacks of one dispatch write.
	corkSize = 64 << 10
	// shortPart is how much is copied at once of what lies in the input.
	shortPart = 64
	// pullSize is how much a producer is asked for at a time.
	pullSize = 64 << 10
	// restMark is how many producers, and blocks between them, may wait before output
	// counts as above high water: nobody knows what they have to give.
	restMark = 16
	// writeBudget is how many bytes producers of one Conn may give in a turn;
	// each time that one is asked counts for pullCost at least.
	writeBudget = 256 << 10
	pullCost    = 256
)

// water is what SetWater sets. Conns with the default share one.
type water struct {
	low, high, hard int
	calm            int // up to here, nothing comes of more
}

// mark is where output is too high, whether or not that stops reading.
func (w *water) mark() int { return max(w.high, -w.high) }

func newWater(low, high, hard int) water {
	w := water{low: low, high: high, hard: hard}
	w.calm = min(w.mark(), corkSize-1)
	return w
}

var defaultWater = newWater(16<<10, 64<<10, 1<<20)

// segment is output that waits behind Conn.out: bytes, a producer, or the error
// that a producer has come to.
type segment struct {
	buf  []byte
	src  io.Reader
	file *fileSender // sends src without asking it; nil: it is asked
	err  error

	dry bool // the producer has no more for now: parked once out has gone
}

// SetWater sets the marks of the output queue, in bytes. Above high the peer
// is not read from, so that one that does not take its answers stops asking;
// at low it is again, and Handler.Write is called. A Write onto a queue at or
// below high is taken whole; above it, one that would pass hard closes the
// Conn with ErrOutputLimit. The defaults are 16 KiB, 64 KiB and 1 MiB. A
// negative hard never closes.
//
// What producers have to give does not count, but more than a few that wait are
// above high water too, until half of them have gone out.
//
// A negative high stands for the mark -high, at which reading goes on. Two
// peers that both stop reading would wait for each other until the write
// timeout ends them: use it where both ends of a protocol talk at once, and
// bound the queue by other means, such as pausing what feeds it until Write.
//
// It panics where the marks contradict each other: low must be from 0 to high,
// and hard not below high.
func (c *Conn) SetWater(low, high, hard int) {
	c.e.Check()
	w := newWater(low, high, hard)
	if low < 0 || w.mark() < low || hard >= 0 && hard < w.mark() {
		panic(fmt.Sprintf("channel: SetWater(%d, %d, %d): marks contradict each other", low, high, hard))
	}
	c.water = &w
	c.measure()
	c.watch()
}

// Buffered is the number of bytes that Write has taken and the kernel has not.
func (c *Conn) Buffered() int {
	c.e.Check()
	return c.queued
}

// Write queues p and never blocks. It takes all of p, which it copies, or
// nothing: the error is that of a Conn that is closed or closing for output,
// ErrOutputLimit, or the reason for which writing failed earlier. An error of
// the kernel itself arrives in Handler.Close.
//
// What a Conn's own callbacks write goes out in one piece when they are done,
// what others write to it at the end of the turn; a block of 16 KiB or more
// onto an empty queue at once. Before the connection is established, output
// waits for it.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.Writev(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Writev is Write of all the parts in turn, of which none is taken where not
// all can be (writev(2)).
func (c *Conn) Writev(parts ...[]byte) error {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	if !c.hasRoom(n) {
		return c.writev(parts, n)
	}
	out := c.out
	if len(parts) == 2 { // a line and its end, mostly
		out = c.add(out, parts[0])
		switch end := parts[1]; len(end) {
		case 1:
			out = append(out, end[0])
		case 2:
			out = append(out, end[0], end[1])
		default:
			out = append(out, end...)
		}
	} else {
		for _, p := range parts {
			out = c.add(out, p)
		}
	}
	c.out = c.out[:len(out)]
	c.queued += n
	c.e.Buffered += int64(n)
	return nil
}

// add is append, where hasRoom was true. Of what lies in the input it copies so many
// bytes each time that a short p is among them: a branch on the length of a line is
// mostly predicted wrongly.
func (c *Conn) add(out, p []byte) []byte {
	at := int(uintptr(unsafe.Pointer(unsafe.SliceData(p))) - uintptr(unsafe.Pointer(unsafe.SliceData(c.input))))
	if len(p) > shortPart || at < 0 || at > len(c.input)-shortPart {
		return append(out, p...)
	}
	block := [shortPart]byte(c.input[at:]) // a copy of its own, else the compiler calls memmove for both
	*(*[shortPart]byte)(out[len(out):cap(out)]) = block
	return out[:len(out)+len(p)]
}

// hasRoom tells whether add can put n bytes behind others that wait, and nothing
// comes of that: so it is with all but the first answer of many.
func (c *Conn) hasRoom(n int) bool {
	return !c.e.Debug && // which checks the goroutine first
		c.queued > 0 && c.queued+n <= c.water.calm && len(c.out)+n+shortPart <= cap(c.out) && c.rest == nil &&
		!c.is(ended|finished|draining|detaching|shutWanted|noWrite|broken|heard) &&
		uint64(c.e.Buffered)+uint64(n) <= uint64(c.e.MaxBuffered)
}

// writev is Writev of n bytes that may not be put where they belong at once.
func (c *Conn) writev(parts [][]byte, n int) error {
	c.e.Check()
	if err := c.mayWrite(n); err != nil {
		return err
	}
	c.state &^= heard
	waits := false
	for _, p := range parts {
		if len(p) >= directWrite && c.queued == 0 && len(c.rest) == 0 && c.retry == 0 && !c.is(connecting|broken|ended) {
			p = p[c.push(p):]
			if len(p) > 0 {
				c.state |= full
			}
		}
		if len(p) > 0 && !c.is(broken|ended) {
			waits = true
			c.enqueue(p)
			if c.queued >= corkSize {
				c.early()
			}
		}
	}
	if waits {
		if c.shed(); c.is(ended) {
			return c.reason
		}
		c.measure()
		c.dirty()
	} else if c.e.Draining {
		c.dirty() // nothing waits, but this may have been the last answer
	}
	return nil
}

// WriteString is Write of a string.
func (c *Conn) WriteString(s string) (int, error) {
	// Write does not keep or change what it is given.
	return c.Write(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// SendFrom queues all that r gives until io.EOF, behind what is queued: r is
// asked for up to 64 KiB at a time, whenever all before it has gone out. It
// takes the place of asynchat's producers. r's Read runs on the loop and must
// not block, as that of an [os.File] does which is a pipe or terminal; an error of
// it closes the Conn with that error. Where it returns 0 and nil it is not asked
// again before Unpark. r is not closed.
//
// From a regular file, an *os.File or an [io.LimitedReader] around one, the kernel
// of Linux, FreeBSD and macOS sends to a socket itself (sendfile), 32 KiB or more:
// the bytes take no memory here and do not count as queued. As with Read, they
// come from the file's own offset, which moves on, with LimitedReader.N, to the
// end that is found: two Conns that send one File at a time get a part each. What
// is on its way is still the file: bytes that are overwritten or truncated too
// soon reach the peer as they are then. Where that may happen, wrap the File so that
// it is only an io.Reader. Either way a disk that is slow keeps the loop waiting.
func (c *Conn) SendFrom(r io.Reader) error {
	c.e.Check()
	if r == nil {
		panic("channel: SendFrom: reader is nil")
	}
	if err := c.mayWrite(0); err != nil {
		return err
	}
	c.state &^= heard
	c.awaited()
	c.rest = append(c.rest, segment{src: r, file: c.fileSender(r)})
	c.measure()
	c.dirty()
	return nil
}

// Unpark lets a producer that had nothing to give be asked again.
func (c *Conn) Unpark() {
	c.e.Check()
	if c.unpark() {
		c.dirty()
	}
}

// unpark tells whether the producer was parked.
func (c *Conn) unpark() bool {
	if len(c.rest) > 0 {
		c.rest[0].dry = false
	}
	if !c.is(parked) {
		return false
	}
	c.awaited()
	c.state &^= parked
	return true
}

// CloseWrite ends output when all that is queued has gone out: the peer reads
// EOF, and can still send. When the peer's own EOF has come too, the Conn
// closes with a nil error. A file that is open for writing only closes at once;
// on a terminal nothing but output ends.
func (c *Conn) CloseWrite() error {
	c.e.Check()
	if err := c.mayWrite(0); err != nil {
		return err
	}
	c.state |= shutWanted
	c.dirty()
	return nil
}

func (c *Conn) mayWrite(n int) error {
	switch {
	case c.is(ended | finished | draining | detaching | shutWanted):
		return c.opError("write", net.ErrClosed)
	case c.is(noWrite):
		return c.sysError("write", "write", syscall.EBADF)
	case c.is(broken):
		return c.reason
	case n > 0 && c.water.hard >= 0 && c.queued > c.water.mark() && c.queued+n > c.water.hard:
		c.end(ErrOutputLimit)
		return ErrOutputLimit
	}
	return nil
}

// dirty sees to it that the queue is flushed in this turn: at the end of the
// Conn's own dispatch, or in the flush phase.
func (c *Conn) dirty() {
	if !c.is(dispatching | inDirty | connecting | opening | ended) {
		c.state |= inDirty
		c.e.Dirty((*source)(c))
	}
}

// waiting tells whether there is output for the kernel. A producer that has
// something to give counts: the kernel may have taken all before it and still
// have no room. What stands behind one that has nothing does not.
func (c *Conn) waiting() bool {
	return len(c.out) > c.off || len(c.rest) > 0 && !c.is(parked)
}

// awaited is called where output may begin to wait: the write timeout counts
// from there.
func (c *Conn) awaited() {
	if !c.waiting() {
		c.progress = c.e.Now()
	}
}

// enqueue copies p to the end of the queue.
func (c *Conn) enqueue(p []byte) {
	c.awaited()
	c.queued += len(p)
	c.e.Buffered += int64(len(p))
	if n := len(c.rest); n > 0 {
		if c.rest[n-1].buf == nil {
			c.rest = append(c.rest, segment{})
			n++
		}
		c.rest[n-1].buf = append(c.rest[n-1].buf, p...)
		return
	}
	if cap(c.out)-len(c.out) < len(p) {
		c.grow(len(p))
	}
	c.out = append(c.out, p...)
}

// early sends before the end of the dispatch, when more has come together than
// one write takes anyway: a long answer in small pieces must not look like a
// peer that does not read. It calls nobody.
func (c *Conn) early() {
	if len(c.rest) > 0 || c.retry != 0 || c.is(connecting|full) {
		return
	}
	c.took(c.push(c.out[c.off:]))
}

// took takes n bytes off the front of out, and tells whether that was all.
func (c *Conn) took(n int) bool {
	if c.is(broken | ended) {
		return false // and all output has been dropped
	}
	c.queued -= n
	c.e.Buffered -= int64(n)
	if c.off += n; c.off < len(c.out) {
		c.state |= full
		return false
	}
	c.out, c.off = c.out[:0], 0
	return true
}

// grow makes room for n more bytes in out.
func (c *Conn) grow(n int) {
	waiting := len(c.out) - c.off
	if c.off >= waiting && cap(c.out)-waiting >= n {
		copy(c.out, c.out[c.off:])
		c.out, c.off = c.out[:waiting], 0
		return
	}
	size := waiting + n
	if waiting > 0 {
		size = max(size, 2*waiting) // a growing queue is copied a bounded number of times
	} else if c.is(dispatching) {
		size = max(size, corkSize) // given back before the dispatch ends
	}
	c.fit(size)
}

// fit moves what waits into a buffer of the given size.
func (c *Conn) fit(size int) {
	buf := append(c.e.GetBuffer(size), c.out[c.off:]...)
	c.dropOut()
	c.out = buf
}

func (c *Conn) dropOut() {
	if c.out != nil {
		c.e.PutBuffer(c.out)
	}
	c.out, c.off = nil, 0
}

// measure compares the queue with the marks.
func (c *Conn) measure() {
	if c.queued > c.water.mark() || len(c.rest) > restMark {
		c.state |= risen
		if c.water.high >= 0 {
			c.state |= choked
			return
		}
	}
	if c.is(choked) && (c.low() || c.water.high < 0) {
		c.state &^= choked
		if c.wantTail(); c.is(redeliver) {
			c.e.Again(c.token) // the poller knows nothing of the tail
		}
	}
}

// low tells whether output has fallen to low water.
func (c *Conn) low() bool { return c.queued <= c.water.low && len(c.rest) <= restMark/2 }

// shed keeps the loop within MaxBuffered: the Conn with the most is closed.
func (c *Conn) shed() {
	for c.e.MaxBuffered >= 0 && c.e.Buffered > c.e.MaxBuffered {
		most := c
		for o := c.first; o != nil; o = o.next {
			if !o.is(ended) && o.queued+len(o.tail) > most.queued+len(most.tail) {
				most = o
			}
		}
		if most.is(ended) {
			return
		}
		most.end(ErrOutputLimit)
	}
}

func (s *source) Flush() {
	c := (*Conn)(s)
	c.state &^= inDirty
	if c.is(ended) {
		return
	}
	c.flush()
	c.watch()
}

// flush gives the kernel what it takes. It stops at the first short write: the
// rest waits for the poller.
func (c *Conn) flush() {
	if c.retry != 0 || c.is(full) {
		c.rearm() // Write itself has sent some, and nothing watches over the rest
		return
	}
	budget := writeBudget
	for c.queued > 0 || len(c.rest) > 0 {
		if len(c.out) == c.off && !c.pull(&budget) {
			if c.is(broken | ended) {
				return
			}
			break
		}
		if !c.took(c.push(c.out[c.off:])) {
			if c.is(broken | ended) {
				return
			}
			c.rightSize()
			break
		}
	}
	if len(c.out) == c.off {
		c.dropOut()
	}
	if c.waiting() {
		c.rearm()
	}
	c.fallen()
	if c.queued == 0 && len(c.rest) == 0 && !c.is(ended) {
		c.drained()
	}
}

// push makes one write and returns how much the kernel took. After an error
// the Conn is broken, or has ended.
func (c *Conn) push(p []byte) int {
	for {
		n, errno := c.send(p)
		switch errno {
		case 0:
			c.sent(n)
			return n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0
		case syscall.ENOBUFS, syscall.ENOMEM:
			c.backOff()
			return 0
		default:
			c.writeFailed(errno)
			return 0
		}
	}
}

// sent counts n bytes that the kernel has taken.
func (c *Conn) sent(n int) {
	c.progress = c.e.Now()
	c.active = c.progress
	c.backoff = 0
	c.written += uint64(n)
	c.e.BytesOut += uint64(n)
}

// rightSize moves a small remainder out of a large buffer: ten thousand peers
// that do not read would otherwise hold 64 KiB each.
func (c *Conn) rightSize() {
	if waiting := len(c.out) - c.off; waiting <= cap(c.out)/4 {
		c.fit(waiting)
	}
}

// pull takes the next segment into out, which is empty. It returns false where
// there is nothing to send now.
func (c *Conn) pull(budget *int) bool {
	for len(c.rest) > 0 && !c.is(parked) && *budget > 0 {
		s := &c.rest[0]
		if s.err != nil {
			c.end(s.err)
			return false
		}
		if s.dry {
			s.dry = false
			c.state |= parked
			return false
		}
		if s.src == nil {
			c.dropOut()
			c.out = s.buf
			c.popSegment()
			return true
		}
		if s.file != nil {
			if !c.pushFile(budget) {
				return false
			}
			continue
		}
		if c.ask(budget) {
			return true
		}
		if c.is(ended) {
			return false
		}
	}
	return false
}

// ask fills out from the producer whose turn it is, as far as that gives, and
// tells whether there is something to send.
func (c *Conn) ask(budget *int) bool {
	src := c.rest[0].src
	if cap(c.out) < pullSize {
		c.fit(pullSize)
	}
	// Not the Conn's while src may write into it: a callback could end the
	// Conn, and another one be given the buffer.
	buf := c.out[:0]
	c.out = nil
	var failed error
	for room := pullSize; room > 0 && *budget > 0 && failed == nil; {
		c.e.Enter((*source)(c), "producer")
		n, err := src.Read(buf[len(buf):pullSize])
		c.e.Leave()
		if c.is(ended) {
			c.e.PutBuffer(buf)
			return false
		}
		if n < 0 || n > room {
			n, err = 0, errBadCount
		}
		buf = buf[:len(buf)+n]
		room -= n
		*budget -= max(n, pullCost)
		failed = err
		if n == 0 && err == nil {
			c.rest[0].dry = true
			break
		}
	}
	c.out, c.off = buf, 0
	c.queued += len(buf)
	c.e.Buffered += int64(len(buf))
	switch failed {
	case nil:
	case io.EOF:
		c.popSegment()
	default:
		c.rest[0] = segment{err: failed} // once what came before is sent
	}
	return len(buf) > 0
}

// errBadCount is bufio's: a reader that breaks io.Reader's contract.
var errBadCount = errors.New("channel: producer returned an invalid count from Read")

func (c *Conn) popSegment() {
	c.rest[0] = segment{}
	if c.rest = c.rest[1:]; len(c.rest) == 0 {
		c.rest = nil
	}
}

// fallen lets the peer be read again, and tells the handler, when output has
// fallen to low water.
func (c *Conn) fallen() {
	c.measure()
	if !c.is(risen) || !c.low() {
		return
	}
	c.state &^= risen
	if c.h.Write != nil && !c.is(draining|detaching|ended) {
		c.e.Enter((*source)(c), "write")
		c.h.Write(c)
		c.e.Leave()
	}
}

// drained: nothing waits, so what was waiting for that can be done.
func (c *Conn) drained() {
	if c.is(draining) {
		c.linger()
		return
	}
	if c.e.Draining && c.quiet() {
		c.state |= shutWanted
	}
	if c.is(shutWanted) && !c.is(shutDone) {
		c.shutWrite()
	}
	if c.is(detaching) && !c.is(ended) {
		c.detached()
	}
}

// shutWrite is CloseWrite when nothing waits any more.
func (c *Conn) shutWrite() {
	c.state |= shutDone
	over := c.is(atEOF|noRead) && !c.is(detaching)
	if !over || c.is(adopted) { // else close says it: nobody has a duplicate
		switch errno := c.e.Sys.ShutdownWrite(int(c.fd)); errno {
		case 0, syscall.ENOTCONN:
		case syscall.ENOTSOCK: // a file: there is no half of it to close
		default:
			c.writeFailed(errno)
		}
	}
	if over {
		c.end(nil) // both directions are over
	}
}
