//go:build unix

package main

import (
	"bufio"
	"io"
	"math/rand/v2"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// asks matches a command after which a client has to wait.
var asks = regexp.MustCompile(`(?i)(?:^|\n)(?:DATA *|(?:EHLO|HELO)(?: [^\r\n]*)?)\r\n`)

// rounds cuts a session's text where a client has to wait for the answer: what
// comes of it otherwise depends on when it comes.
func rounds(text string) (all []string) {
	for {
		at := asks.FindStringIndex(text)
		if at == nil {
			return append(all, text)
		}
		all = append(all, text[:at[1]])
		text = text[at[1]:]
	}
}

var identifier = regexp.MustCompile(`delivered as \w+`)

// play sends the rounds, each in pieces as cut says, and returns the answers and
// what has been delivered.
func (r *rig) play(rounds []string, cut func(left int) int) (answers string, delivered []string) {
	w := r.dial()
	w.settle()
	for _, p := range rounds {
		for p != "" {
			n := min(cut(len(p)), len(p))
			w.write(p[:n])
			p = p[n:]
		}
	}
	answers = identifier.ReplaceAllString(string(w.in), "delivered")
	w.answers() // checks their form
	if w.end {
		answers += "-"
	}
	w.hangUp()
	delivered = r.m.take(r.t)
	slices.Sort(delivered)
	return answers, delivered
}

// A session is the same however it is cut into pieces.
func FuzzSMTP(f *testing.F) {
	const hello, envelope = "EHLO a\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
	for i, text := range []string{
		hello + envelope + "Subject: x\r\n\r\n..dots\r\n.\r\n" + envelope + ".\r\nQUIT\r\nNOOP\r\n",
		hello + envelope + "x\n.\nMAIL FROM:<x@y>\r\n",
		hello + envelope + strings.Repeat("x", 2049) + "\n\r\n.\r\nNOOP\r\n",
		hello + envelope + "\x00\r\n" + strings.Repeat("text\r\n", 200) + ".\r\nRSET\r\n",
		hello + envelope + strings.Repeat("x", 1500) + "\x00\r\n.\r\n",
		"HELO x\r\n" + strings.Repeat("y", 600) + "\r\nDATA\r\nVRFY x\r\nHELP\r\n",
		strings.Repeat("DATA\r\n", 25),
		"GET / HTTP/1.1\r\n",
		strings.Join(smuggling, ""),
	} {
		f.Add(text, uint64(i))
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		if len(text) > 4_000 {
			t.Skip()
		}
		r := newRig(t)
		r.k.maxSize = 1000
		all := rounds(text)
		rng := rand.New(rand.NewPCG(seed, 0))
		whole, wholeDelivered := r.play(all, func(left int) int { return left })
		cut, cutDelivered := r.play(all, func(int) int { return 1 + rng.IntN(1<<rng.IntN(10)) })
		if whole != cut {
			t.Errorf("whole: %q\n  cut: %q", whole, cut)
		}
		if !slices.Equal(wholeDelivered, cutDelivered) {
			t.Errorf("whole: %q\n  cut: %q", wholeDelivered, cutDelivered)
		}
		if n := strings.Count(whole, "delivered\r\n"); n != len(cutDelivered) {
			t.Errorf("%d messages acknowledged, %d delivered", n, len(cutDelivered))
		}
	})
}

// A message that is delivered is what textproto reads from the same bytes, and
// all of them but the end have been used.
func FuzzText(f *testing.F) {
	for _, form := range smuggling {
		f.Add("text" + form + "text")
	}
	f.Add(".")
	f.Add("..\r\n.a\r\n\r\n..")
	f.Add(strings.Repeat("line\r\n", 12000))
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 100_000 {
			t.Skip()
		}
		r := newRig(t)
		w := r.dial()
		w.inText()
		w.write(text + "\r\n.\r\n")
		answers := w.answers()
		w.hangUp()
		delivered := r.m.take(t)
		if len(delivered) > 1 && !strings.Contains(text, "\r\n.\r\n") {
			t.Fatalf("%q: delivered %q", text, delivered)
		}
		if !strings.HasPrefix(answers, "250") {
			if strings.HasPrefix(text, ".\r\n") || strings.Contains(text, "\r\n.\r\n") {
				return // there were commands behind a message, or a long line in front
			}
			if len(delivered) > 0 {
				t.Errorf("%q: answers %s, delivered %q", text, answers, delivered)
			}
			return
		}
		want, err := textproto.NewReader(bufio.NewReader(io.MultiReader(strings.NewReader(text), strings.NewReader("\r\n.\r\n")))).ReadDotBytes()
		if err != nil || !slices.Contains(delivered, string(want)) {
			t.Errorf("%q: delivered %q, textproto has %q, %v", text, delivered, want, err)
		}
	})
}
