//go:build unix

package chat_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
)

var update = flag.Bool("update", false, "have python3 write testdata/asynchat.golden anew")

// oracleCase is one line of testdata/asynchat.golden: what testdata/async_chat.py
// was asked, and what asynchat has answered.
type oracleCase struct {
	Name   string     `json:"name,omitempty"`
	Stream string     `json:"stream"` // in latin-1
	Cuts   []int      `json:"cuts,omitempty"`
	Terms  []any      `json:"terms"`
	Keep   bool       `json:"keep,omitempty"`
	Close  int        `json:"close,omitempty"`
	Later  any        `json:"later,omitempty"`
	Events [][]string `json:"events,omitempty"`
}

// frames puts asynchat's events together: the complete frames, and behind them
// what has come of another one.
func (c *oracleCase) frames() (frames []string) {
	part := ""
	for _, e := range c.Events {
		if e[0] == "data" {
			part += e[1]
		} else {
			frames = append(frames, part)
			part = ""
		}
	}
	return append(frames, part)
}

// exceptions are the cases in which we do something else, on purpose, and what
// that is.
var exceptions = map[string][]string{
	// T4: a count that is not set again is one of the next frame too, and 0 is
	// not "all that comes".
	"count not set again": {"abc", "def", "gh"},
	// T5: 0 is a frame without a byte, and None is Stream.
	"count of 0": {"ab", "", "cd", ""},
	// T7: a channel that has closed itself gets no further frames.
	"closed in found_terminator": {"a", ""},
	// T10: with a terminator set later, what has been read already is framed anew.
	"set later": {"abc", ""},
}

// special has a case for each of the exceptions, and for what asynchat and we
// do alike although one might expect something else.
var special = []oracleCase{
	{Name: "count not set again", Stream: "abcdefgh", Terms: []any{3.0}, Keep: true},
	{Name: "count of 0", Stream: "ab\ncd\n", Terms: []any{"\n", 0.0, "\n"}},
	{Name: "closed in found_terminator", Stream: "a\nb\nc\n", Terms: []any{"\n"}, Close: 1},
	{Name: "set later", Stream: "abc\r\n", Terms: []any{"\r\n.\r\n"}, Later: "\r\n"},
	{Name: "end of data on the first line", Stream: ".\r\nx", Terms: []any{"\r\n.\r\n"}},
	{Name: "held back at the end", Stream: "abc\r\n.", Terms: []any{"\r\n.\r\n"}},
	{Name: "empty lines", Stream: "\r\n\r\n", Terms: []any{"\r\n"}},
	{Name: "false prefix", Stream: "\rx\r\n", Cuts: []int{1, 3}, Terms: []any{"\r\n"}},
	{Name: "overlap", Stream: "aaab", Cuts: []int{1}, Terms: []any{"aab"}},
	{Name: "header and body", Stream: "5\nhello3\nabc\n", Cuts: []int{4, 1}, Terms: []any{"\n", 5.0, "\n", 3.0, "\n"}},
	{Name: "all the rest", Stream: "head\nall\nthe\nrest", Cuts: []int{3}, Terms: []any{"\n", nil}},
}

// randomCase has a stream in which its terminators are likely.
func randomCase(rng *rand.Rand) (c oracleCase) {
	delims := []string{"\n", "\r\n", "\r\n.\r\n", "aa", "aab", "abab", "\x00\xff", "\r\r\n"}
	for range 1 + rng.IntN(5) {
		if rng.IntN(3) == 0 {
			c.Terms = append(c.Terms, float64(1+rng.IntN(9)))
		} else {
			c.Terms = append(c.Terms, latin1(delims[rng.IntN(len(delims))]))
		}
	}
	if rng.IntN(10) == 0 {
		c.Terms = append(c.Terms, nil)
	}
	var s []rune
	for range rng.IntN(60) {
		if d := delims[rng.IntN(len(delims))]; rng.IntN(2) == 0 {
			for _, b := range []byte(d[:1+rng.IntN(len(d))]) {
				s = append(s, rune(b))
			}
		} else {
			s = append(s, []rune("ab\r\n.\u00e9")[rng.IntN(6)])
		}
	}
	c.Stream = string(s)
	for range 1 + rng.IntN(4) {
		c.Cuts = append(c.Cuts, 1+rng.IntN(1+rng.IntN(20)))
	}
	return c
}

// bytesOf and latin1 convert between the bytes of a stream and JSON's text.
func bytesOf(latin1 string) string {
	var b []byte
	for _, r := range latin1 {
		b = append(b, byte(r))
	}
	return string(b)
}

func latin1(b string) string {
	var s []rune
	for _, c := range []byte(b) {
		s = append(s, rune(c))
	}
	return string(s)
}

func terminator(t any) chat.Terminator {
	switch t := t.(type) {
	case string:
		return chat.Delim(bytesOf(t))
	case float64:
		return chat.Count(int(t))
	}
	return chat.Stream
}

// play gives the case to a Conn, segment by segment.
func (c *oracleCase) play(r *rig, collects bool) (frames []string) {
	part := ""
	collect := func(_ *chat.Conn, data []byte) { part += latin1(string(data)) }
	h := chat.Handler{Message: func(conn *chat.Conn, msg []byte) {
		collect(conn, msg)
		if conn.Terminator() == chat.Stream {
			return // a piece
		}
		frames = append(frames, part)
		part = ""
		if len(frames) == c.Close {
			conn.Close()
		}
		if !c.Keep {
			conn.SetTerminator(terminator(c.Terms[min(len(frames), len(c.Terms)-1)]))
		}
	}}
	if collects {
		h.Collect = collect
	}
	conn, rec, p := r.pair(h)
	conn.SetTerminator(terminator(c.Terms[0]))
	r.settle()
	s := bytesOf(c.Stream)
	for i := 0; s != ""; i++ {
		n := len(s)
		if len(c.Cuts) > 0 {
			n = min(n, max(1, c.Cuts[i%len(c.Cuts)]))
		}
		if p.sendSome(s[:n]) != n {
			r.Fatal("the kernel does not take a segment")
		}
		r.turn()
		s = s[n:]
	}
	if c.Later != nil {
		conn.SetTerminator(terminator(c.Later))
	}
	r.settle()
	conn.Abort()
	p.close()
	rec.log = nil
	return append(frames, part)
}

func (c *oracleCase) check(t *testing.T, r *rig) {
	t.Helper()
	want, exception := exceptions[c.Name]
	if !exception {
		want = c.frames()
	} else if cmp.Equal(want, c.frames()) {
		t.Errorf("%s: asynchat does as we do", c.Name)
	}
	for _, collects := range []bool{true, false} {
		got, want := c.play(r, collects), want
		if last := min(len(want), len(c.Terms)) - 1; !collects && (c.Keep || c.Terms[last] != nil) {
			got, want = got[:len(got)-1], want[:len(want)-1] // of what is not complete nobody has been told
		}
		if diff := cmp.Diff(want, got); diff != "" {
			text, _ := json.Marshal(c)
			t.Errorf("%s: Collect %v (-asynchat +ours)\n%s", text, collects, diff)
		}
	}
}

const golden = "testdata/asynchat.golden"

// What asynchat has made of some 150 streams, we make of them.
func TestAsynchatGolden(t *testing.T) {
	if *update {
		rng := rand.New(rand.NewPCG(5, 6))
		cases := special
		for range 150 {
			cases = append(cases, randomCase(rng))
		}
		if err := os.WriteFile(golden, asynchat(t, cases), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	cases := parseCases(t, text)
	if len(cases) < 150 {
		t.Errorf("only %d cases", len(cases))
	}
	eachBackend(t, func(t *testing.T, r *rig) {
		for _, c := range cases {
			c.check(t, r)
		}
	})
}

// The real one, on the cases of the golden file and on new ones.
func TestAsynchatLive(t *testing.T) {
	blackbox.Needs(t, "python3")
	if exec.Command("python3", "-W", "ignore", "-c", "import asynchat").Run() != nil {
		t.Skip("this python3 has no asynchat any more")
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), string(asynchat(t, parseCases(t, text)))); diff != "" {
		t.Errorf("the golden file is another one by now (-file +python3):\n%s", diff)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	cases := make([]oracleCase, 3000)
	for i := range cases {
		cases[i] = randomCase(rng)
	}
	r := newRig(t, loopConfig)
	for _, c := range parseCases(t, asynchat(t, cases)) {
		c.check(t, r)
	}
}

func asynchat(t *testing.T, cases []oracleCase) []byte {
	t.Helper()
	var in, complaint bytes.Buffer
	for _, c := range cases {
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&in, "%s\n", line)
	}
	cmd := exec.Command("python3", "-W", "ignore", "testdata/async_chat.py")
	cmd.Stdin, cmd.Stderr = &in, &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaint.String())
	}
	return out
}

func parseCases(t *testing.T, text []byte) (cases []oracleCase) {
	t.Helper()
	for line := range strings.Lines(string(text)) {
		var c oracleCase
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		cases = append(cases, c)
	}
	return cases
}
