package asynctest

import (
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// report fails the test with all that is known.
func (r *runner) report(o *outcome, saved string) {
	r.t.Helper()
	how, found := o.how, ""
	if saved != "" {
		how = "SIM_TAPE=" + filepath.ToSlash(saved)
		if strings.HasPrefix(o.how, "SIM_SEED=") {
			found = "\nfound with " + o.how
		}
	}
	r.t.Errorf("%v\n\nagain: %s%s\n\n%s\n%s", o.failure, r.command(how), found, choices(o.draws), o.timeline.tail(tailLines))
}

// legend explains the lines that follow it.
const legend = " (what and for whom, which time it came up: which of how many, counted from 0, the plain one):\n"

// choices says what was unusual about a world.
func choices(draws []tape.Draw) string {
	const most = 40
	var b strings.Builder
	switch len(draws) {
	case 0:
		return "It takes nothing unusual.\n"
	case 1:
		b.WriteString("It takes 1 choice" + legend)
	default:
		fmt.Fprintf(&b, "It takes %d choices%s", len(draws), legend)
	}
	for i, d := range draws {
		if i == most {
			fmt.Fprintf(&b, "  ... and %d more\n", len(draws)-most)
			break
		}
		fmt.Fprintf(&b, "  %s %d, time %d: %d of %d\n", d.Site, d.ID, d.Index+1, d.V, d.N)
	}
	return b.String()
}

// command is how to replay it.
func (r *runner) command(how string) string {
	if how != "" {
		how += " "
	}
	var pattern []string
	for name := range strings.SplitSeq(r.t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(name)+"$")
	}
	return fmt.Sprintf("%sgo test -run '%s' %s", how, strings.Join(pattern, "/"), packagePath())
}

// packagePath is the directory of the test's package, as seen from its module's.
func packagePath() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			rel, err := filepath.Rel(root, dir)
			if err != nil || rel == "." {
				return "."
			}
			return "./" + filepath.ToSlash(rel)
		}
		if root == filepath.Dir(root) {
			return "."
		}
	}
}

// tapeDir is where the tapes of a test are.
func tapeDir(test string) string {
	clean := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '.'
	}
	return filepath.Join("testdata", "sim", strings.Map(clean, test))
}

// savedTapes lists the tapes of a directory, by name.
func savedTapes(dir string) []string {
	paths, _ := filepath.Glob(filepath.Join(dir, "*.tape"))
	return paths
}

func loadTape(path string) ([]tape.Draw, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	draws, err := tape.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return draws, nil
}

// saveTape writes a tape to a file that is named after it.
func saveTape(dir string, draws []tape.Draw) (path string, err error) {
	text := tape.Marshal(draws)
	h := fnv.New64a()
	h.Write(text)
	path = filepath.Join(dir, fmt.Sprintf("%016x.tape", h.Sum64()))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, text, 0o666)
}

// below are the beginnings of functions that call scenarios and callbacks.
var below = []string{"testing.", module + "asynctest.(*runner)", module + "internal/core."}

// frames is what a stack has of the code under test: what lies between the panic
// and those who have called it.
func frames(stack string) string {
	lines := strings.Split(strings.TrimSpace(stack), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "panic(") {
			lines = lines[min(i+2, len(lines)):]
			break
		}
	}
	kept := 0 // up to the last that is not the kit's or the library's
	for i := 0; i+1 < len(lines); i += 2 {
		function := lines[i]
		if slices.ContainsFunc(below, func(p string) bool { return strings.HasPrefix(function, p) }) {
			break
		}
		if !ours(function) || strings.Contains(lines[i+1], "_test.go:") {
			kept = i + 2
		}
	}
	return strings.Join(lines[:kept], "\n")
}
