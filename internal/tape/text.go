package tape

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Marshal writes draws as text, a line for each: site, id, index, n and v with
// spaces between them. A site may have spaces in it, but no line break, and may
// not begin with #.
func Marshal(draws []Draw) []byte {
	var b bytes.Buffer
	for _, d := range draws {
		fmt.Fprintln(&b, d.Site, d.ID, d.Index, d.N, d.V)
	}
	return b.Bytes()
}

// Parse reads what Marshal has written. Empty lines and those that begin with #
// are skipped.
func Parse(text []byte) ([]Draw, error) {
	var draws []Draw
	seen := map[Draw]bool{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		d, err := parseDraw(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if seen[d.key()] {
			return nil, fmt.Errorf("line %d: draw %d at %q for %d is there twice", number, d.Index, d.Site, d.ID)
		}
		seen[d.key()] = true
		draws = append(draws, d)
	}
	return draws, nil
}

func parseDraw(line string) (Draw, error) {
	var d Draw
	for _, field := range []*int{&d.V, &d.N, &d.Index, &d.ID} {
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			return Draw{}, fmt.Errorf("want site, id, index, n and v")
		}
		n, err := strconv.Atoi(line[at+1:])
		if err != nil {
			return Draw{}, fmt.Errorf("%q is not a number", line[at+1:])
		}
		*field, line = n, line[:at]
	}
	d.Site = line
	if d.Index < 0 {
		return Draw{}, fmt.Errorf("index %d is negative", d.Index)
	}
	if d.V <= 0 || d.V >= d.N {
		return Draw{}, fmt.Errorf("value %d is not between 0 and %d", d.V, d.N)
	}
	return d, nil
}

// key is the draw without its value.
func (d Draw) key() Draw { return Draw{Site: d.Site, ID: d.ID, Index: d.Index} }
