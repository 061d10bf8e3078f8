//go:build unix

package chat_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore/chat"
)

// benchStream feeds one stream to a new Conn each time, and reports the time
// for a byte: where that grows with the size, something is not linear.
func benchStream(b *testing.B, sizes []int, piece int, text string, term chat.Terminator, h chat.Handler) {
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			stream := strings.Repeat(text, size/len(text))
			r := newRig(b, loopConfig)
			h.Message = func(*chat.Conn, []byte) {}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				conn, p := r.raw(discard)
				c := chat.Attach(conn, &h)
				c.SetTerminator(term)
				r.turn()
				for rest := stream; rest != ""; {
					n := p.sendSome(rest[:min(piece, len(rest))])
					rest = rest[n:]
					r.turn()
				}
				r.settle()
				c.Abort()
				p.close()
				r.settle()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/byte")
		})
	}
}

var doubling = []int{256 << 10, 512 << 10, 1 << 20}

// Nothing but line feeds: 17 s for 1 MiB in asynchat.
func BenchmarkBareLF(b *testing.B) {
	benchStream(b, doubling, 64<<10, "\n", chat.Line, chat.Handler{})
}

func BenchmarkBareLFCollect(b *testing.B) {
	benchStream(b, doubling, 64<<10, "\n", chat.Line, chat.Handler{Collect: collect})
}

// One line, a byte in each read.
func BenchmarkByteAtATime(b *testing.B) {
	benchStream(b, []int{128 << 10, 256 << 10, 512 << 10}, 1, "x", chat.Delim("\r\n").Limit(1<<20), chat.Handler{})
}

// One frame in reads of 1 KiB.
func BenchmarkGathering(b *testing.B) {
	benchStream(b, doubling, 1<<10, "x", chat.Delim("\r\n").Limit(2<<20), chat.Handler{})
}

// A stream in which a delimiter of 64 bytes almost ends all the time.
func BenchmarkAlmost(b *testing.B) {
	d := strings.Repeat("a", 63) + "b"
	benchStream(b, doubling, 64<<10, "a", chat.Delim(d).Limit(2<<20), chat.Handler{})
}

func BenchmarkAlmostLast(b *testing.B) {
	d := "b" + strings.Repeat("a", 63)
	benchStream(b, doubling, 64<<10, "a", chat.Delim(d).Limit(2<<20), chat.Handler{})
}

// What lies behind a frame that is too long.
func BenchmarkThrownAway(b *testing.B) {
	benchStream(b, doubling, 64<<10, "x", chat.Line, chat.Handler{TooLong: func(*chat.Conn) {}})
}

// Requests of one line, and their answers.
func BenchmarkLines(b *testing.B) {
	for name, h := range map[string]chat.Handler{"Message": {}, "Collect": {Collect: collect}} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, loopConfig)
			conn, p := r.raw(discard)
			h.Message = func(c *chat.Conn, _ []byte) { c.WriteString("+OK\r\n") }
			c := chat.Attach(conn, &h)
			c.SetTerminator(chat.Delim("\r\n"))
			r.settle()
			batch := []byte(strings.Repeat("GET key:000000012345\r\n", 100))
			b.ReportAllocs()
			b.SetBytes(int64(len(batch)))
			for b.Loop() {
				if !p.write(batch) {
					b.Fatal("the kernel has no room")
				}
				r.turn()
				p.read()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/line")
		})
	}
}
