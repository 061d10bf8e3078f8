//go:build unix

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The end-of-data forms with which one server was made to see two messages where
// another saw one.
var smuggling = []string{
	"\n.\n", "\n.\r", "\r.\n", "\r.\r", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r\n.\r",
	"\r\n.\r\r\n", "\r\r\n.\r\r\n", "\r\r\n.\r\n", "\n.\r\r\n",
	"\r\n\x00.\r\n", "\r\n.\x00\r\n",
}

// No such form ends a message, however it is cut into pieces.
func TestSmuggling(t *testing.T) {
	const (
		first  = "Subject: one\r\n\r\ntext"
		second = "MAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nSubject: two\r\n\r\ntext\r\n.\r\n"
	)
	r := newRig(t)
	for _, form := range smuggling {
		want := "521 -"
		if strings.Contains(form, "\x00") {
			want = "550" // nothing in doubt about where it ends
		}
		for cuts := range 1 << (len(form) + 1) {
			w := r.dial()
			w.inText()
			piece := first
			for i := range len(form) {
				if cuts>>i&1 != 0 {
					w.write(piece)
					piece = ""
				}
				piece += form[i : i+1]
			}
			if cuts>>len(form)&1 != 0 {
				w.write(piece)
				piece = ""
			}
			w.write(piece + second)
			if got := w.answers(); got != want {
				t.Errorf("%q, cuts %b: answers %s, want %s", form, cuts, got, want)
			}
			w.hangUp()
		}
		if got := r.m.take(t); len(got) > 0 {
			t.Fatalf("%q: delivered %q", form, got)
		}
	}
}

// model is what a message of all that a client sends should come to, in the
// simplest way there is.
func model(sent string) (answers string, delivered []string) {
	text := ""
	for {
		line, rest, whole := strings.Cut(sent, "\r\n")
		if !whole {
			line = strings.TrimSuffix(line, "\r") // which may still become an end
		}
		switch {
		case strings.ContainsAny(line, "\r\n"):
			return "521 -", nil
		case !whole:
			return "", nil
		case line == "." && strings.Contains(text, "\x00"):
			answers = "550"
		case line == ".":
			answers, delivered = "250", []string{text}
		default:
			text += strings.TrimPrefix(line, ".") + "\n"
			sent = rest
			continue
		}
		for range strings.Count(rest, "\r\n") {
			answers += " 50x"
		}
		return answers, delivered
	}
}

// Everything of up to six bytes, of those that matter.
func TestTextExhaustively(t *testing.T) {
	most := 6
	if testing.Short() {
		most = 4
	}
	r := newRig(t)
	streams := []string{""}
	for n := 1; n <= most; n++ {
		var longer []string
		for _, s := range streams {
			for _, b := range "\r\n.a\x00" {
				longer = append(longer, s+string(b))
			}
		}
		streams = longer
		for _, s := range streams {
			wantAnswers, want := model(s)
			for _, size := range []int{n, 1} {
				w := r.dial()
				w.inText()
				for part := range slices.Chunk([]byte(s), size) {
					w.write(string(part))
				}
				answers := w.answers()
				for _, code := range []string{"500", "501"} {
					answers = strings.ReplaceAll(answers, code, "50x")
				}
				w.hangUp()
				got := r.m.take(t)
				if answers != wantAnswers || !slices.Equal(got, want) {
					t.Fatalf("%q in pieces of %d: answers %q, want %q; delivered %q, want %q", s, size, answers, wantAnswers, got, want)
				}
			}
		}
	}
}

func TestTextLine(t *testing.T) {
	for _, c := range []struct {
		parts []string
		text  string
		last  bool
	}{
		{nil, "", false},
		{[]string{"."}, "", true},
		{[]string{".", "."}, ".", false},
		{[]string{".."}, ".", false},
		{[]string{"..."}, "..", false},
		{[]string{".a"}, "a", false},
		{[]string{"a", "."}, "a.", false},
		{[]string{"a."}, "a.", false},
	} {
		t.Run(fmt.Sprintf("%q", c.parts), func(t *testing.T) {
			var line textLine
			for range 2 { // the second line is as the first
				var text []byte
				for _, p := range c.parts {
					text = append(text, line.part([]byte(p))...)
				}
				if last := line.end(); string(text) != c.text || last != c.last {
					t.Errorf("text %q, last %v", text, last)
				}
			}
		})
	}
}
