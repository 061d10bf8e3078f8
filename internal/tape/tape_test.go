package tape_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// run makes some choices, several at each of a few places, and returns them.
func run(t *tape.Tape) []int {
	var got []int
	for step := range 50 {
		for id := range 3 {
			got = append(got, t.Choose("recv", id, 1+step%7))
			if t.Chance("fault", id, 300) {
				got = append(got, -1)
			}
		}
		got = append(got, t.Choose("latency", 0, 1_000_000))
	}
	return got
}

func TestSameSeedSameDraws(t *testing.T) {
	first, again, other := tape.Random(7), tape.Random(7), tape.Random(8)
	want := run(first)
	if diff := cmp.Diff(want, run(again)); diff != "" {
		t.Errorf("the same seed drew otherwise (-first +again):\n%s", diff)
	}
	if cmp.Equal(want, run(other)) {
		t.Error("another seed drew the same")
	}
	if diff := cmp.Diff(first.Drawn(), again.Drawn()); diff != "" {
		t.Errorf("the same seed recorded otherwise (-first +again):\n%s", diff)
	}
}

func TestReplayRepeatsARun(t *testing.T) {
	for seed := range uint64(20) {
		original := tape.Random(seed)
		want := run(original)
		replay := tape.Replay(original.Drawn())
		if diff := cmp.Diff(want, run(replay)); diff != "" {
			t.Fatalf("seed %d: replayed otherwise (-original +replay):\n%s", seed, diff)
		}
		if diff := cmp.Diff(original.Drawn(), replay.Drawn()); diff != "" {
			t.Fatalf("seed %d: recorded otherwise (-original +replay):\n%s", seed, diff)
		}
		if original.Count() != replay.Count() {
			t.Fatalf("seed %d: %d draws, %d in the replay", seed, original.Count(), replay.Count())
		}
	}
}

func TestReplayTakesDrawsInAnyOrder(t *testing.T) {
	original := tape.Random(3)
	want := run(original)
	draws := original.Drawn()
	slices.Reverse(draws)
	if diff := cmp.Diff(want, run(tape.Replay(draws))); diff != "" {
		t.Errorf("replayed otherwise (-original +replay):\n%s", diff)
	}
}

func TestTakingADrawAwayLeavesTheOthers(t *testing.T) {
	original := tape.Random(5)
	run(original)
	draws := original.Drawn()
	for i := range draws {
		rest := slices.Delete(slices.Clone(draws), i, i+1)
		replay := tape.Replay(rest)
		run(replay)
		if diff := cmp.Diff(rest, replay.Drawn()); diff != "" {
			t.Fatalf("without draw %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestReplayNamesDrawsByIndex(t *testing.T) {
	tp := tape.Replay([]tape.Draw{
		{Site: "recv", ID: 1, Index: 2, N: 10, V: 4},
		{Site: "recv", ID: 2, Index: 0, N: 10, V: 9},
		{Site: "recv", ID: 2, Index: 1, N: 10, V: 5},
		{Site: "send", ID: 1, Index: 0, N: 2, V: 1},
	})
	got := []int{
		tp.Choose("recv", 1, 10), tp.Choose("recv", 1, 10), tp.Choose("recv", 1, 10), tp.Choose("recv", 1, 10),
		tp.Choose("recv", 2, 3), // its bound is smaller now
		tp.Choose("recv", 2, 1), // nothing to choose, which is a draw all the same
		tp.Choose("recv", 2, 10),
		tp.Choose("accept", 1, 10),
	}
	if diff := cmp.Diff([]int{0, 0, 4, 0, 2, 0, 0, 0}, got); diff != "" {
		t.Errorf("choices (-want +got):\n%s", diff)
	}
	if !tp.Chance("send", 1, 1) || tp.Chance("send", 1, 10_000) {
		t.Error("chance was not replayed")
	}
	want := []tape.Draw{
		{Site: "recv", ID: 1, Index: 2, N: 10, V: 4},
		{Site: "recv", ID: 2, Index: 0, N: 3, V: 2},
		{Site: "send", ID: 1, Index: 0, N: 2, V: 1},
	}
	if diff := cmp.Diff(want, tp.Drawn()); diff != "" {
		t.Errorf("drawn (-want +got):\n%s", diff)
	}
	if tp.Count() != 10 {
		t.Errorf("%d draws, want 10", tp.Count())
	}
}

func TestChooseStaysInBounds(t *testing.T) {
	sources := map[string]func() *tape.Tape{
		"random": func() *tape.Tape { return tape.Random(1) },
		"replay": func() *tape.Tape {
			return tape.Replay([]tape.Draw{{Site: "s", N: 9, V: 8}, {Site: "s", Index: 1, N: 9, V: -3}})
		},
		"bytes": func() *tape.Tape { return tape.Bytes([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 255}) },
	}
	for name, source := range sources {
		for _, n := range []int{math.MinInt, -1, 0, 1, 2, 3, 255, 256, 257, 65_536, 65_537, math.MaxInt32, math.MaxInt} {
			tp := source()
			for range 4 {
				if v := tp.Choose("s", 0, n); v < 0 || v >= max(n, 1) {
					t.Errorf("%s: %d out of %d", name, v, n)
				}
			}
		}
	}
}

func TestRandomIsEven(t *testing.T) {
	tp := tape.Random(1)
	var seen [5]int
	hits := 0
	for range 10_000 {
		seen[tp.Choose("s", 0, 5)]++
		if tp.Chance("c", 0, 500) {
			hits++
		}
	}
	for v, n := range seen {
		if n < 1_800 || n > 2_200 {
			t.Errorf("%d came %d times in 10000, want about 2000", v, n)
		}
	}
	if hits < 400 || hits > 600 {
		t.Errorf("a chance of 500 in 10000 came %d times", hits)
	}
	if tp.Chance("c", 0, 0) || tp.Chance("c", 0, -1) || !tp.Chance("c", 0, 10_000) {
		t.Error("no chance was true, or certainty was not")
	}
}

func TestBytes(t *testing.T) {
	tp := tape.Bytes([]byte{7, 0, 3, 1, 2, 0xff, 0xff, 4})
	got := []int{
		tp.Choose("a", 0, 5),      // 7 mod 5
		tp.Choose("a", 0, 256),    // 0
		tp.Choose("a", 0, 1),      // takes nothing
		tp.Choose("a", 0, 256),    // 3
		tp.Choose("a", 0, 1_000),  // 0x102
		tp.Choose("a", 0, 65_536), // 0xffff
		tp.Choose("a", 0, 65_536), // half a number is left
		tp.Choose("a", 0, 100),    // nothing is
	}
	if diff := cmp.Diff([]int{2, 0, 0, 3, 0x102, 0xffff, 0x400, 0}, got); diff != "" {
		t.Errorf("choices (-want +got):\n%s", diff)
	}
	if tp.Chance("b", 0, 10_000) {
		t.Error("a chance without bytes was true")
	}
}

func TestBytesChance(t *testing.T) {
	tests := []struct {
		bytes     []byte
		perMyriad int
		want      bool
	}{
		{[]byte{0, 0}, 9_999, false},
		{[]byte{0, 1}, 9_999, true},
		{[]byte{0x27, 0x0f}, 1, true}, // 9999
		{[]byte{0x27, 0x0e}, 1, false},
		{[]byte{0x27, 0x0e}, 2, true},
		{[]byte{0x27, 0x0f}, 0, false},
	}
	for _, test := range tests {
		if got := tape.Bytes(test.bytes).Chance("c", 0, test.perMyriad); got != test.want {
			t.Errorf("%v at %d in 10000: %v", test.bytes, test.perMyriad, got)
		}
	}
}

func TestDrawnIsACopy(t *testing.T) {
	tp := tape.Random(1)
	run(tp)
	tp.Drawn()[0].V = 0
	if tp.Drawn()[0].V == 0 {
		t.Error("changing what Drawn returned changed the tape")
	}
}

// FuzzBytes makes a run out of the fuzzer's input, and the same out of what it
// drew, also by way of text.
func FuzzBytes(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x01\x02\xff\x27\x0f\x00\x80"))
	f.Fuzz(func(t *testing.T, p []byte) {
		first := tape.Bytes(p)
		want := run(first)
		draws, err := tape.Parse(tape.Marshal(first.Drawn()))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, run(tape.Replay(draws))); diff != "" {
			t.Errorf("replayed otherwise (-bytes +replay):\n%s", diff)
		}
	})
}

// BenchmarkChoose is the price of a choice in runs of 10,000.
func BenchmarkChoose(b *testing.B) {
	original := tape.Random(1)
	for i := range 10_000 {
		original.Choose("recv", i%64, 100)
	}
	draws := original.Drawn()
	benchmarks := []struct {
		name string
		tape func() *tape.Tape
		n    int
	}{
		{"nothing to choose", func() *tape.Tape { return tape.Random(1) }, 1},
		{"random", func() *tape.Tape { return tape.Random(1) }, 100},
		{"replay", func() *tape.Tape { return tape.Replay(draws) }, 100},
	}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			var tp *tape.Tape
			for i := 0; b.Loop(); i++ {
				if i%10_000 == 0 {
					tp = bm.tape()
				}
				tp.Choose("recv", i%64, bm.n)
			}
		})
	}
}

func BenchmarkChance(b *testing.B) {
	tp := tape.Random(1)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		tp.Chance("fault", i%64, 100)
	}
}
