package main

import (
	"strings"
	"testing"
)

// Ratios are of one round, whatever the medians are.
func TestReport(t *testing.T) {
	c := cell{conns: 50, size: 32, depth: 100}
	got := report([]result{
		{c, "a", []sample{{Rate: 1e6, CPU: 100}, {Rate: 4e6, CPU: 80}, {Rate: 2e6, CPU: 90}}},
		{c, "b", []sample{{Rate: 5e5, CPU: 200}, {Rate: 2e5, CPU: 160}, {Rate: 2e6, CPU: 45}}},
		{cell{conns: 1, size: 1024, depth: 1}, "a", []sample{{Rate: 12345, CPU: 1234}, {Rate: 12345, CPU: 5.678}}},
	}, "line")
	want := `
| load | server | lines/s | ratio to a | CPU ns per line | ratio to a |
|---|---|---:|---:|---:|---:|
| 50 × 32 B × 100 | a | 2.00M | 1 | 90.0 | 1 |
| 50 × 32 B × 100 | b | 500k | 0.50 (0.05..1.00) | 160 | 2.00 (0.50..2.00) |
| 1 × 1024 B × 1 | a | 12.3k | 1 | 620 | 1 |
`
	if got != strings.TrimPrefix(want, "\n") {
		t.Errorf("got:\n%s\nwant:%s", got, want)
	}
}
