package main

import (
	"fmt"
	"slices"
	"strings"
)

// report writes results as a Markdown table of messages called unit. Each cell's first server is the
// one that the others are compared with, round by round: of what disturbs a
// round, their ratio keeps the least.
func report(results []result, unit string) string {
	var b strings.Builder
	base := results[0]
	fmt.Fprintf(&b, "| load | server | %ss/s | ratio to %s | CPU ns per %[1]s | ratio to %[2]s |\n", unit, base.server)
	b.WriteString("|---|---|---:|---:|---:|---:|\n")
	for _, r := range results {
		if r.cell != base.cell {
			base = r
		}
		rate, rates := compare(r, base, func(s sample) float64 { return s.Rate })
		cpu, cpus := compare(r, base, func(s sample) float64 { return s.CPU })
		fmt.Fprintf(&b, "| %d × %d B × %d | %s | %s | %s | %s | %s |\n",
			r.cell.conns, r.cell.size, r.cell.depth, r.server, short(rate), rates, short(cpu), cpus)
	}
	return b.String()
}

// disturbed tells how many runs count although others used the two cores.
func disturbed(results []result) string {
	n, of := 0, 0
	for _, r := range results {
		for _, s := range r.samples {
			of++
			if s.noise > noisy {
				n++
			}
		}
	}
	return fmt.Sprintf("in %d of %d runs other processes used more than %.0f %% of a core", n, of, noisy*100)
}

// compare returns the median of a server's values, and that of their ratios to
// the base's in the same round, with the least and the largest.
func compare(r, base result, value func(sample) float64) (float64, string) {
	values, ratios := make([]float64, len(r.samples)), make([]float64, len(r.samples))
	for i, s := range r.samples {
		values[i] = value(s)
		ratios[i] = value(s) / value(base.samples[i])
	}
	if r.server == base.server {
		return median(values), "1"
	}
	return median(values), fmt.Sprintf("%s (%s..%s)", short(median(ratios)), short(slices.Min(ratios)), short(slices.Max(ratios)))
}

func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return (s[(n-1)/2] + s[n/2]) / 2
}

// short writes three digits, or a fourth.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2fM", v/1e6)
	case v >= 1e5:
		return fmt.Sprintf("%.0fk", v/1e3)
	case v >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
