package asynctest

import (
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"slices"
	"strings"
	"time"
)

// tailLines is how much of a timeline a report shows.
const tailLines = 120

// timeline is what happened in a world, line by line: when, in which turn of the
// loop, who and what. It costs more than the run itself, so it is off until a
// run is made again to be looked at.
type timeline struct {
	on      bool
	lines   []string // the last ones
	dropped int      // so many were before them
	sum     hash.Hash64
}

// keptLines is how many lines are kept at least, so that a world that does not end
// does not take all memory.
const keptLines = 200_000

func (tl *timeline) add(now int64, turn uint64, who, format string, args ...any) {
	if !tl.on {
		return
	}
	if len(tl.lines) == 2*keptLines {
		tl.dropped += keptLines
		tl.lines = slices.Delete(tl.lines, 0, keptLines)
	}
	line := fmt.Sprintf("%12s %5d  %-10s %s", time.Duration(now), turn, who, fmt.Sprintf(format, args...))
	tl.lines = append(tl.lines, line)
	if tl.sum == nil {
		tl.sum = fnv.New64a()
	}
	io.WriteString(tl.sum, line)
	tl.sum.Write([]byte{'\n'})
}

// hash stands for the whole of it: two runs of the same choices have the same.
func (tl *timeline) hash() uint64 {
	if tl.sum == nil {
		return 0
	}
	return tl.sum.Sum64()
}

// tail is the end of it, as text.
func (tl *timeline) tail(n int) string {
	lines := tl.folded()
	var b strings.Builder
	fmt.Fprintf(&b, "%12s %5s  %-10s\n", "time", "turn", "who")
	if more := tl.dropped + max(len(lines)-n, 0); more > 0 {
		hint := ": SIM_TRACE=1 shows them"
		if tl.dropped > 0 {
			hint = ""
		}
		fmt.Fprintf(&b, "%12s (%d lines more%s)\n", "...", more, hint)
		lines = lines[max(len(lines)-n, 0):]
	}
	for _, line := range lines {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}

// folded has one line for several in a row that are the same.
func (tl *timeline) folded() (lines []string) {
	for i := 0; i < len(tl.lines); {
		from := i
		for i++; i < len(tl.lines) && tl.lines[i] == tl.lines[from]; i++ {
		}
		line := tl.lines[from]
		if n := i - from; n > 1 {
			line += fmt.Sprintf(" (%d times)", n)
		}
		lines = append(lines, line)
	}
	return lines
}

// differ returns the first line at which two timelines part.
func differ(a, b *timeline) (at int, one, other string) {
	line := func(tl *timeline, i int) string {
		if i -= tl.dropped; i < len(tl.lines) {
			return tl.lines[i]
		}
		return "(the end)"
	}
	for i := max(a.dropped, b.dropped); i < max(a.dropped+len(a.lines), b.dropped+len(b.lines)); i++ {
		if one, other := line(a, i), line(b, i); one != other {
			return i + 1, one, other
		}
	}
	return 0, "", ""
}

// mostQuoted is how much is quoted of bytes from the wire.
const mostQuoted = 64

// excerpt quotes the beginning of bytes from the wire.
func excerpt(p []byte) string {
	if len(p) > mostQuoted {
		return fmt.Sprintf("%q... (%d bytes)", p[:mostQuoted], len(p))
	}
	return fmt.Sprintf("%q", p)
}

// contrast says what was expected and what has come: all of it, or of much what
// comes from the first difference on.
func contrast(want, got string) string {
	if len(want) <= 4*mostQuoted && len(got) <= 4*mostQuoted {
		return fmt.Sprintf("expected %q, received %q", want, got)
	}
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	return fmt.Sprintf("expected %s, received %s (from byte %d on, all before it is right)",
		excerpt([]byte(want[at:])), excerpt([]byte(got[at:])), at)
}
