package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// mutant is one patch: the words about it, then a unified diff.
type mutant struct {
	name  string
	about string // what is broken
	tests tests  // that are to notice; empty where the default is
	diffs []diff

	files map[string]string // what it makes of the sources, by their paths
}

// diff is the change of one file.
type diff struct {
	path  string // from the module's root
	hunks []hunk
}

// hunk puts lines in the place of others.
type hunk struct{ old, new []string }

var hunkHead = regexp.MustCompile(`^@@ -\d+(,\d+)? \+\d+(,\d+)? @@`)

// parse reads a patch.
func parse(name, text string) (*mutant, error) {
	m := &mutant{name: name}
	var h *hunk      // the one under way
	var old, new int // how many of its lines are still to come
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		head := hunkHead.FindStringSubmatch(line)
		path, isPath := strings.CutPrefix(line, "--- a/")
		target, isTests := strings.CutPrefix(line, "tests: ")
		switch last := len(m.diffs) - 1; {
		case old > 0 || new > 0:
			kind, rest := byte(' '), "" // an editor may have taken the space of an empty line
			if line != "" {
				kind, rest = line[0], line[1:]
			}
			if kind != '+' {
				h.old = append(h.old, rest)
				old--
			}
			if kind != '-' {
				h.new = append(h.new, rest)
				new--
			}
			if !strings.ContainsRune(" +-", rune(kind)) || old < 0 || new < 0 {
				return nil, fmt.Errorf("line %d is not of the hunk: %q", i+1, line)
			}
		case isPath:
			m.diffs = append(m.diffs, diff{path: path})
		case last >= 0 && strings.HasPrefix(line, "+++ b/"):
		case last >= 0 && head != nil:
			old, new = count(head[1]), count(head[2])
			m.diffs[last].hunks = append(m.diffs[last].hunks, hunk{})
			h = &m.diffs[last].hunks[len(m.diffs[last].hunks)-1]
		case last >= 0:
			return nil, fmt.Errorf("line %d is not of a diff: %q", i+1, line)
		case isTests:
			m.tests.pkg, m.tests.run, _ = strings.Cut(target, " ")
		default:
			m.about = strings.TrimSpace(m.about + " " + line)
		}
	}
	switch {
	case old > 0 || new > 0:
		return nil, errors.New("the last hunk is cut off")
	case len(m.diffs) == 0:
		return nil, errors.New("there is no diff")
	case m.about == "":
		return nil, errors.New("nothing says what is broken")
	}
	return m, nil
}

// count reads the number of lines in a hunk's head, which is left out where it is 1.
func count(s string) int {
	if s == "" {
		return 1
	}
	n, _ := strconv.Atoi(s[1:])
	return n
}

// apply returns src, changed. The numbers in a hunk's head do not matter, since the code around it changes: its lines
// must be there as they are, and once.
func (d *diff) apply(src string) (string, error) {
	lines := strings.Split(src, "\n")
	for i, h := range d.hunks {
		at := -1
		for j := range len(lines) - len(h.old) + 1 {
			if !slices.Equal(lines[j:j+len(h.old)], h.old) {
				continue
			}
			if at >= 0 {
				return "", fmt.Errorf("hunk %d no longer applies: its lines are there more than once", i+1)
			}
			at = j
		}
		if at < 0 {
			return "", fmt.Errorf("hunk %d no longer applies: its lines are not there", i+1)
		}
		lines = slices.Replace(lines, at, at+len(h.old), h.new...)
	}
	return strings.Join(lines, "\n"), nil
}
