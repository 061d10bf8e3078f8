package main

import (
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPatches: each patch applies to the code as it is, and changes it. That it compiles, and is caught, is for the
// program itself to show: it takes minutes.
func TestPatches(t *testing.T) {
	all, err := load(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if _, err := m.mutate("../.."); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

func TestLoad(t *testing.T) {
	all, err := load([]string{"generation", "limit-early"})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 {
		t.Errorf("two names give %d patches", len(all))
	}
	if _, err := load([]string{"no such mutant"}); err == nil {
		t.Error("a name that no patch has is no error")
	}
}

func TestOverride(t *testing.T) {
	simulation := tests{"./asynctest", "^TestSim"}
	for _, test := range []struct {
		name     string
		own      tests
		pkg, run string
		want     tests
	}{
		{"the default", tests{}, "", "", simulation},
		{"the patch's own", tests{".", "^TestWake"}, "", "", tests{".", "^TestWake"}},
		{"another package", tests{".", "^TestWake"}, "./channel", "", tests{"./channel", "."}},
		{"other tests", tests{}, "", "^TestSimEcho$", tests{"./asynctest", "^TestSimEcho$"}},
		{"both", tests{}, "./chat", "^TestEOF", tests{"./chat", "^TestEOF"}},
	} {
		got := test.own
		got.override(simulation, test.pkg, test.run)
		if got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestNumber(t *testing.T) {
	type result struct {
		N  int
		OK bool
	}
	for _, test := range []struct {
		line *regexp.Regexp
		out  string
		want result
	}{
		{seedLine, "--- FAIL: TestSimEcho\n    echo_test.go:7: seed 42: a Close too many\n", result{42, true}},
		{seedLine, "seed 3: first\nseed 5: then\n", result{3, true}},
		{seedLine, "again: SIM_SEED=17 go test -run '^TestSimEcho$' ./asynctest\n", result{17, true}},
		{seedLine, "panic: test timed out\n", result{}},
		{seedLine, "200 seeds in 1s, reseed 7, seed x\n", result{}},
		{choiceLine, "It takes 12 choices (what and for whom):\n  recv 1, time 2: 3 of 4\n", result{12, true}},
		{choiceLine, "It takes nothing unusual.\n", result{}},
	} {
		n, ok := number(test.line, []byte(test.out))
		if diff := cmp.Diff(test.want, result{n, ok}); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.out, diff)
		}
	}
}

func TestReport(t *testing.T) {
	var r report
	r.add(&mutant{name: "01-a"}, []byte("seed 9\nIt takes 4 choices (what and for whom):\n"), false, time.Second)
	r.add(&mutant{name: "02-b"}, []byte("panic: test timed out\n"), false, time.Second)
	if err := r.end(); err != nil {
		t.Errorf("none has survived: %v", err)
	}
	r.add(&mutant{name: "03-c"}, []byte("ok\n"), true, time.Second)
	r.add(&mutant{name: "04-d"}, []byte("seed 1\n"), false, time.Second)
	r.add(&mutant{name: "05-e"}, []byte("ok\n"), true, time.Second)
	if err := r.end(); err == nil || err.Error() != "survived: 03-c, 05-e" {
		t.Errorf("two have survived: %v", err)
	}
	want := report{tried: 5, survivors: []string{"03-c", "05-e"}, seeds: []int{9, 1}, choices: []int{4}, took: 5 * time.Second}
	if diff := cmp.Diff(want, r, cmp.AllowUnexported(report{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if m := median([]int{9, 1, 5}); m != 5 {
		t.Errorf("the median of 9, 1 and 5 is %d", m)
	}
}
