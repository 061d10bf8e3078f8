package main

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is what has become of the mutants.
type report struct {
	tried     int
	survivors []string
	seeds     []int // that caught one
	choices   []int // that one takes, as far as the simulation could make them fewer
	took      time.Duration
}

// How a failing simulation names its seed, and how many choices it takes.
var (
	seedLine   = regexp.MustCompile(`\b(?:seed |SIM_SEED=)(\d+)\b`)
	choiceLine = regexp.MustCompile(`\bIt takes (\d+) choices?\b`)
)

// number finds the first number that a line has.
func number(line *regexp.Regexp, out []byte) (n int, ok bool) {
	found := line.FindSubmatch(out)
	if found == nil {
		return 0, false
	}
	n, err := strconv.Atoi(string(found[1]))
	return n, err == nil
}

// add prints what has become of one.
func (r *report) add(m *mutant, out []byte, passed bool, took time.Duration) {
	r.tried++
	r.took += took
	verdict, why := "caught", ""
	seed, named := number(seedLine, out)
	switch {
	case passed:
		r.survivors = append(r.survivors, m.name)
		verdict, why = "SURVIVED", "\n    "+m.about
	case bytes.Contains(out, []byte("panic: test timed out")):
		verdict = "caught: it hangs" // or the machine is too busy for -timeout
	case named:
		r.seeds = append(r.seeds, seed)
		verdict = fmt.Sprintf("caught at seed %d", seed)
	}
	if n, ok := number(choiceLine, out); ok && !passed {
		r.choices = append(r.choices, n)
	}
	fmt.Printf("%-22s %5.1f s  %s%s\n", verdict, took.Seconds(), m.name, why)
}

// end prints the sum. The error names those that survived.
func (r *report) end() error {
	fmt.Printf("%d of %d caught in %v", r.tried-len(r.survivors), r.tried, r.took.Round(time.Second))
	if len(r.seeds) > 0 {
		fmt.Printf(", at seed %d in the median", median(r.seeds))
	}
	if len(r.choices) > 0 {
		fmt.Printf(", by %d choices in the median", median(r.choices))
	}
	fmt.Println()
	if len(r.survivors) > 0 {
		return fmt.Errorf("survived: %s", strings.Join(r.survivors, ", "))
	}
	return nil
}

// median is the middle of some numbers, the greater one of two.
func median(of []int) int { return slices.Sorted(slices.Values(of))[len(of)/2] }
