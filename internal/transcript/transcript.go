// Package transcript runs protocol tests that are text files: what a client
// sends, and what it must get. One file is one case, and shows how the protocol
// looks on the wire. This one is testdata/example.txt:
//
//	# Two meet in a room. The server greets, and ends with QUIT.
//	a<~ 220 room \d+
//	a> NICK ann
//	a< 250 ann
//
//	b<~ 220 room \d+
//	b> NICK bob
//	b< 250 bob
//	a< * bob came
//
//	# A line in two writes, a long one, and two lines at once.
//	a>> SAY hel
//	a> lo\x21
//	b< ann: hello!
//	a> SAY \{=*4000}
//	b< ann: \{=*4000}
//	a>> SAY 1\r\nSAY 2\r\n
//	b<< ann: 1\r\nann: 2\r\n
//
//	b> QUIT
//	b< 221 bye
//	b<eof
//	a< * bob left
//
// # Lines
//
// An empty line and one that begins with # mean nothing. Every other line is a
// step, and the steps are done one after the other:
//
//	> text     send text and CRLF
//	>> text    send text
//	>eof       end our sending: half-close
//	>close     close the connection
//	< text     the next to come is text and CRLF
//	<< text    the next to come is text
//	<~ regexp  the next to come is a line that regexp matches as a whole,
//	           without its CRLF
//	<eof       nothing more comes, and the server has closed
//	<reset     nothing more comes, and the connection was reset
//	<closed    either of them: a server that closes before it has read all
//	           that was sent makes the system choose
//
// One space stands between the sign and the text, which is the rest of the
// line; a > or < alone is an empty line of the protocol. In text, but not in a
// regexp, \r \n \t \0 \\ and \xNN are what they are in Go, \0 alone being NUL,
// and \{text*n} is text n times (a brace in it is \x7d). No line may end in a
// blank, which nobody sees: write \x20.
//
// # Connections
//
// A name of lower-case letters and digits before the sign is that of a
// connection, which is dialled at its first step; all steps without one share
// one connection. An empty >> only dials. The order of steps on two connections
// reaches the server only with a round trip between them: wait for an answer on
// one before you send on the other.
//
// A step that expects sees every byte, in order, so that "and nothing else
// comes" needs no step: what nobody expected fails the next expectation of its
// connection, and at the end of the file there is one more. There each
// connection still open gets an >eof and an <eof, in the order of dialling (one
// that cannot half-close is only closed).
//
// A send that fails is forgiven if the file then expects the end of that
// connection: the server may well close in the middle of a line too long.
//
// # Modes
//
// Each case runs several times, so that it is a test of segmentation too:
//
//	written  every send is one write
//	whole    sends of one connection with no other step between them are
//	         joined to one write
//	1 ... 9  they are joined, and cut into writes of so many bytes; of more
//	         than 1 KiB only the first and the last half KiB, to save time
//
// After each write the client pauses for as short as the system can, so that
// nearly every write is a read of its own in the server; no case may rest on
// that. A case for some modes only says so before its first step, as in
// "mode written whole".
package transcript

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stuck is how long a step may take.
const stuck = 10 * time.Second

// cutEnds is how much at each end of a long send is cut into small writes.
const cutEnds = 512

// Run plays each file that glob matches in each of its modes, as the subtest
// FILE/MODE. dial gets the T of that subtest and may end it; the connections of
// one play come from the same T, see [Fresh]. The plays follow one another.
func Run(t *testing.T, glob string, dial func(t *testing.T) net.Conn) {
	t.Helper()
	files, err := filepath.Glob(glob)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcript matches %s (%v)", glob, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s, err := parse(file, string(text))
			if err != nil {
				t.Fatal(err)
			}
			for _, mode := range s.modes {
				t.Run(mode, func(t *testing.T) {
					if err := s.play(mode, stuck, func() net.Conn { return dial(t) }); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}

// Fresh makes a dial function for [Run] that gives each play a server of its
// own: what one play has stored, or a connection of it that the server has not
// yet closed, does not reach the next. start starts the server, leaves its end
// to t.Cleanup, and returns its address.
func Fresh(start func(t *testing.T) net.Addr) func(t *testing.T) net.Conn {
	var last *testing.T
	var addr net.Addr
	return func(t *testing.T) net.Conn {
		t.Helper()
		if t != last {
			last, addr = t, start(t)
		}
		c, err := net.Dial(addr.Network(), addr.String())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

// A conn is one connection of a play. A goroutine reads it all the time, so that
// neither side ever waits for the other to read.
type conn struct {
	net.Conn
	name     string
	sentEOF  bool
	ended    bool  // closed by us, or its end was expected and came
	writeErr error // of the first send that failed
	done     chan struct{}
	more     chan struct{} // has room for one: in or readErr changed

	mu      sync.Mutex
	in      []byte // has come and was not yet expected
	readErr error
}

func (c *conn) read() {
	defer close(c.done)
	buf := make([]byte, 32<<10)
	for {
		n, err := c.Read(buf)
		c.mu.Lock()
		c.in, c.readErr = append(c.in, buf[:n]...), err
		c.mu.Unlock()
		select {
		case c.more <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// await waits until enough says so of what has come, or no more will. It returns
// what has come, and how that ended: "" (not yet), "eof", "reset", or a text.
func (c *conn) await(limit time.Duration, enough func(in []byte) bool) (in []byte, end string) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		c.mu.Lock()
		in, err := c.in, c.readErr
		c.mu.Unlock()
		isReset := errors.Is(err, syscall.ECONNRESET) || errors.Is(c.writeErr, syscall.ECONNRESET)
		switch {
		case err != nil && isReset: // the system tells it once, to the reader or to the writer
			return in, "reset"
		case err == io.EOF:
			return in, "eof"
		case err != nil:
			return in, err.Error()
		case enough(in):
			return in, ""
		}
		select {
		case <-c.more:
		case <-timer.C:
			return in, fmt.Sprintf("no more within %v", limit)
		}
	}
}

// take removes n bytes, which were expected.
func (c *conn) take(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.in = c.in[n:]
}

// play does the steps of s in mode. Its error has the place in the file.
func (s *script) play(mode string, limit time.Duration, dial func() net.Conn) error {
	var conns []*conn
	defer func() {
		for _, c := range conns {
			c.Close()
			<-c.done
		}
	}()
	get := func(name string) *conn {
		if i := slices.IndexFunc(conns, func(c *conn) bool { return c.name == name }); i >= 0 {
			return conns[i]
		}
		c := &conn{Conn: dial(), name: name, done: make(chan struct{}), more: make(chan struct{}, 1)}
		conns = append(conns, c)
		go c.read()
		return c
	}
	for i := 0; i < len(s.steps); i++ {
		st := *s.steps[i]
		if st.isSend() && mode != "written" {
			st.text = bytes.Clone(st.text)
			for ; i+1 < len(s.steps) && s.steps[i+1].isSend() && s.steps[i+1].conn == st.conn; i++ {
				st.text = append(st.text, s.steps[i+1].text...)
			}
		}
		if err := st.do(get(st.conn), mode, limit); err != nil {
			return fmt.Errorf("%s:%d: %s\n\t%w", s.file, st.line, st.source, err)
		}
	}
	for _, c := range conns {
		if c.ended {
			continue
		}
		err := c.writeErr
		if _, ok := c.Conn.(interface{ CloseWrite() error }); ok && err == nil {
			if !c.sentEOF {
				err = (&step{op: ">eof"}).do(c, mode, limit)
			}
			if err == nil {
				err = (&step{op: "<eof"}).do(c, mode, limit)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: at its end: %s<eof\n\t%w", s.file, c.name, err)
		}
	}
	return nil
}

// do does one step on c.
func (st *step) do(c *conn, mode string, limit time.Duration) error {
	switch st.op {
	case ">", ">>":
		return c.send(chunks(st.text, mode), limit)
	case ">close":
		c.ended = true
		return c.Close()
	case ">eof":
		c.sentEOF = true
		half, ok := c.Conn.(interface{ CloseWrite() error })
		if !ok {
			return fmt.Errorf("%T has no CloseWrite", c.Conn)
		}
		if err := half.CloseWrite(); err != nil && c.writeErr == nil {
			c.writeErr = err
		}
		return nil
	case "<eof", "<reset", "<closed":
		in, end := c.await(limit, func(in []byte) bool { return len(in) > 0 })
		c.ended = true
		if len(in) > 0 || st.op != "<"+end && (st.op != "<closed" || end != "eof" && end != "reset") {
			return c.mismatch(strings.TrimPrefix(st.op, "<"), in, 0, end)
		}
		return nil
	case "<~":
		in, end := c.await(limit, func(in []byte) bool { return bytes.Contains(in, crlf) })
		line, _, ok := bytes.Cut(in, crlf)
		if !ok || !st.re.Match(line) {
			return c.mismatch("a line like "+st.re.String(), in, 0, end)
		}
		c.take(len(line) + len(crlf))
		return nil
	default: // < and <<
		in, end := c.await(limit, func(in []byte) bool {
			same := common(in, st.text)
			return len(in) >= len(st.text) || same < len(in) && bytes.IndexByte(in[same:], '\n') >= 0
		})
		if same := common(in, st.text); same < len(st.text) {
			return c.mismatch(quote(st.text, same), in, same, end)
		}
		c.take(len(st.text))
		return nil
	}
}

// send writes the chunks. Only a peer that does not read is an error here; other
// errors wait for what the file expects next.
func (c *conn) send(chunks [][]byte, limit time.Duration) error {
	c.SetWriteDeadline(time.Now().Add(limit))
	for _, p := range chunks {
		if c.writeErr != nil {
			break
		}
		if _, err := c.Write(p); errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		} else if err != nil {
			c.writeErr = err
		}
		pause()
	}
	return nil
}

// chunks cuts p as mode says. Nothing gives no chunk.
func chunks(p []byte, mode string) [][]byte {
	n := len(p)
	if len(mode) == 1 {
		n = int(mode[0] - '0')
	}
	if n == 0 {
		return nil
	}
	if len(mode) > 1 || len(p) <= 2*cutEnds {
		return slices.Collect(slices.Chunk(p, n))
	}
	end := len(p) - cutEnds
	all := slices.Collect(slices.Chunk(p[:cutEnds], n))
	all = append(all, p[cutEnds:end])
	return slices.AppendSeq(all, slices.Chunk(p[end:], n))
}

// mismatch says what should have come and what came instead; they are the same
// up to at.
func (c *conn) mismatch(want string, in []byte, at int, end string) error {
	got := quote(in, at)
	if end != "" {
		got += ", then " + end
	}
	if c.writeErr != nil {
		got += fmt.Sprintf(" (%v)", c.writeErr)
	}
	return fmt.Errorf("want %s\n\tgot  %s", want, got)
}

// common returns how many bytes a and b begin with in common.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return n // the usual case, and long data is compared often
	}
	n = 0
	for a[n] == b[n] {
		n++
	}
	return n
}

// quote quotes p, of long data only what surrounds the byte at.
func quote(p []byte, at int) string {
	const before, after = 40, 200
	from, to := 0, len(p)
	if at > 2*before {
		from = at - before
	}
	if to-from > before+after {
		to = from + before + after
	}
	s := fmt.Sprintf("%q", p[from:to])
	if from > 0 || to < len(p) {
		s = fmt.Sprintf("bytes %d to %d of %d: %s", from, to, len(p), s)
	}
	return s
}
