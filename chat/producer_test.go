package chat_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http/httputil"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed-20e08ac4/asyncore/chat"
)

// drain reads all of r into buffers of one size, as SendFrom does with its own,
// and fails where nothing comes for too long.
func drain(r io.Reader, size int) (got []byte, err error) {
	buf := make([]byte, size)
	for empty := 0; empty < 10; {
		n, err := r.Read(buf)
		if n < 0 || n > size {
			return got, fmt.Errorf("Read returned %d for %d bytes", n, size)
		}
		got = append(got, buf[:n]...)
		if err == io.EOF {
			if n, again := r.Read(buf); n != 0 || again != io.EOF {
				return got, fmt.Errorf("after EOF, Read returned %d, %v", n, again)
			}
			return got, nil
		}
		if err != nil {
			return got, err
		}
		if empty++; n > 0 {
			empty = 0
		}
	}
	return got, io.ErrNoProgress
}

// halting returns 0 and nil between all that r gives.
func halting(r io.Reader) io.Reader {
	halt := false
	return readerFn(func(p []byte) (int, error) {
		if halt = !halt; halt {
			return 0, nil
		}
		return r.Read(p)
	})
}

type readerFn func(p []byte) (int, error)

func (f readerFn) Read(p []byte) (int, error) { return f(p) }

// sources are ways in which the same bytes come.
var sources = map[string]func(io.Reader) io.Reader{
	"plain":                    func(r io.Reader) io.Reader { return r },
	"one byte":                 iotest.OneByteReader,
	"half":                     iotest.HalfReader,
	"data err":                 iotest.DataErrReader,
	"one byte and EOF at once": func(r io.Reader) io.Reader { return iotest.DataErrReader(iotest.OneByteReader(r)) },
	"halting":                  halting,
	"halting bytes":            func(r io.Reader) io.Reader { return halting(iotest.OneByteReader(r)) },
}

// stuffed is what DotStuff must give, by the words of RFC 5321.
func stuffed(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\r", "\n")
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	s = strings.ReplaceAll("\n"+s, "\n.", "\n..")[1:]
	return strings.ReplaceAll(s, "\n", "\r\n") + ".\r\n"
}

func checkDotStuff(t *testing.T, s string, size int, wrap func(io.Reader) io.Reader) {
	t.Helper()
	got, err := drain(chat.DotStuff(wrap(strings.NewReader(s))), size)
	if err != nil || string(got) != stuffed(s) {
		t.Fatalf("%q into %d bytes: %q, %v, want %q", s, size, got, err, stuffed(s))
	}
	// And back: what a server stores.
	back, err := io.ReadAll(textproto.NewReader(bufio.NewReader(bytes.NewReader(got))).DotReader())
	want := strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
	if want != "" && !strings.HasSuffix(want, "\n") {
		want += "\n"
	}
	if err != nil || string(back) != want {
		t.Fatalf("%q comes back as %q, %v", s, back, err)
	}
	if i := bytes.Index(got, []byte("\r\n.\r\n")); i >= 0 && i != len(got)-5 {
		t.Fatalf("%q ends early: %q", s, got)
	}
}

var texts = []string{
	"", ".", "..", "a", "a\n", "\n", "\r", "\r\n", "\n\r", "\r\r\n", "\r\n.\r\n", "\n.\n", "\r.\r", "\n.\r\nMAIL FROM:<x>\r\n", "\r\n.\rx", "a.b\n.c\n..d\n",
	"x\r\n\r\n.\n.\r.", ".\r", ".\n", "\x00.\n\xff", "line\r\n" + strings.Repeat(".", 100), strings.Repeat(".\n", 100), strings.Repeat("\r\n", 100),
	strings.Repeat("x", 70_000) + "\r\n.", strings.Repeat(".\r", 20_000),
}

func TestDotStuff(t *testing.T) {
	for name, wrap := range sources {
		t.Run(name, func(t *testing.T) {
			for _, s := range texts {
				sizes := []int{1, 2, 3, 5, 63, 64, 65, 70, 512, 64 << 10}
				if len(s) > 1000 {
					sizes = []int{64 << 10}
				}
				for _, size := range sizes {
					checkDotStuff(t, s, size, wrap)
				}
			}
			for size := 1; size <= 70; size++ {
				checkDotStuff(t, "..a\n.\r\r\n.b"+strings.Repeat("\n.", 50), size, wrap)
			}
		})
	}
}

// All texts of up to 6 of the bytes that matter.
func TestDotStuffEveryText(t *testing.T) {
	var grow func(s []byte)
	grow = func(s []byte) {
		for size, wrap := range map[int]func(io.Reader) io.Reader{7: sources["one byte"], 64: sources["plain"]} {
			got, err := drain(chat.DotStuff(wrap(bytes.NewReader(s))), size)
			if want := stuffed(string(s)); err != nil || string(got) != want {
				t.Fatalf("%q: %q, %v, want %q", s, got, err, want)
			}
		}
		if len(s) < 6 {
			for _, b := range []byte("\r\n.a") {
				grow(append(s, b))
			}
		}
	}
	grow(make([]byte, 0, 6))
}

func checkChunked(t *testing.T, s string, size int, wrap func(io.Reader) io.Reader) {
	t.Helper()
	coded, err := drain(chat.Chunked(wrap(strings.NewReader(s))), size)
	if err != nil {
		t.Fatalf("%.40q into %d bytes: %v", s, size, err)
	}
	in := bufio.NewReader(bytes.NewReader(append(coded, "next"...)))
	got, err := io.ReadAll(httputil.NewChunkedReader(in))
	if err != nil || string(got) != s {
		t.Fatalf("%.40q into %d bytes comes back as %d bytes, %v", s, size, len(got), err)
	}
	if rest, _ := io.ReadAll(in); string(rest) != "\r\nnext" { // the reader leaves the end of the trailers
		t.Fatalf("behind the last chunk: %q", rest)
	}
	if most := len(s) + 12*(len(s)+1) + 5; len(coded) > most {
		t.Fatalf("%d bytes become %d", len(s), len(coded))
	}
}

func TestChunked(t *testing.T) {
	for name, wrap := range sources {
		t.Run(name, func(t *testing.T) {
			for _, s := range texts {
				sizes := []int{1, 2, 7, 63, 64, 65, 66, 255, 256, 257, 4096, 64 << 10}
				if len(s) > 1000 {
					sizes = []int{300, 64 << 10, 70_000, 1 << 20}
				}
				for _, size := range sizes {
					checkChunked(t, s, size, wrap)
				}
			}
			for size := 1; size <= 70; size++ {
				checkChunked(t, strings.Repeat("chunk", 30), size, wrap)
			}
		})
	}
}

// An error of the source comes behind what it gave, and not as an end; the
// producer then stays with it.
func TestEncodersFail(t *testing.T) {
	broken := errors.New("broken")
	for name, encode := range map[string]func(io.Reader) io.Reader{"DotStuff": chat.DotStuff, "Chunked": chat.Chunked} {
		for _, size := range []int{1, 10, 64, 1000} {
			for source, wrap := range sources {
				if source == "data err" {
					continue // loses bytes that come with an error other than EOF
				}
				// The error with the last bytes, and after them.
				for _, r := range []io.Reader{
					io.MultiReader(strings.NewReader("some\r\n"), iotest.ErrReader(broken)),
					&together{"some\r\n", broken},
				} {
					e := encode(wrap(r))
					got, err := drain(e, size)
					if !errors.Is(err, broken) || !bytes.Contains(bytes.ReplaceAll(got, []byte("1\r\n"), nil), []byte("s")) {
						t.Errorf("%s of %s into %d: %q, %v", name, source, size, got, err)
					}
					if bytes.HasSuffix(got, []byte("\r\n.\r\n")) || bytes.HasSuffix(got, []byte("0\r\n\r\n")) {
						t.Errorf("%s of %s into %d ends as if that were all: %q", name, source, size, got)
					}
					if n, err := e.Read(make([]byte, size)); n != 0 || !errors.Is(err, broken) {
						t.Errorf("%s of %s: after the error, Read returned %d, %v", name, source, n, err)
					}
				}
			}
		}
	}
}

type together struct {
	s   string
	err error
}

func (r *together) Read(p []byte) (int, error) {
	n := copy(p, r.s)
	if r.s = r.s[n:]; r.s == "" {
		return n, r.err
	}
	return n, nil
}

// Reading into no room gives nothing, and loses nothing.
func TestEncodersNoRoom(t *testing.T) {
	for _, e := range []io.Reader{chat.DotStuff(strings.NewReader(".")), chat.Chunked(strings.NewReader("."))} {
		if n, err := e.Read(nil); n != 0 || err != nil {
			t.Errorf("Read(nil) = %d, %v", n, err)
		}
		if got, err := drain(e, 3); err != nil || len(got) < 5 {
			t.Errorf("then %q, %v", got, err)
		}
	}
}

func FuzzDotStuff(f *testing.F) {
	for i, s := range texts {
		if len(s) < 1000 {
			f.Add(s, uint8(i), uint64(i))
		}
	}
	f.Fuzz(func(t *testing.T, s string, size uint8, seed uint64) {
		checkDotStuff(t, s[:min(len(s), 5000)], int(size)+1, ragged(seed))
	})
}

func FuzzChunked(f *testing.F) {
	for i, s := range texts {
		if len(s) < 1000 {
			f.Add(s, uint16(i), uint64(i))
		}
	}
	f.Fuzz(func(t *testing.T, s string, size uint16, seed uint64) {
		checkChunked(t, s[:min(len(s), 5000)], int(size)+1, ragged(seed))
	})
}

// ragged gives pieces of random lengths, and sometimes none.
func ragged(seed uint64) func(io.Reader) io.Reader {
	return func(r io.Reader) io.Reader {
		rng := rand.New(rand.NewPCG(seed, 0))
		return readerFn(func(p []byte) (int, error) {
			n := rng.IntN(len(p) + 1)
			if n == 0 && rng.IntN(2) == 0 {
				n = 1
			}
			if n == 0 {
				return 0, nil
			}
			return r.Read(p[:n])
		})
	}
}
