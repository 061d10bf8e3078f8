package tape_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// history is what a run drew, to be asked for.
type history map[tape.Draw]int

// place names a draw of a history.
func place(site string, id, index int) tape.Draw {
	return tape.Draw{Site: site, ID: id, Index: index}
}

// play draws a lot: 20 connections, three kinds of choice, 10 times each.
func play(t *tape.Tape) history {
	h := history{}
	for index := range 10 {
		for id := range 20 {
			h[place("recv", id, index)] = t.Choose("recv", id, 100)
			h[place("latency", id, index)] = t.Choose("latency", id, 1_000_000)
			if t.Chance("fault", id, 1_000) {
				h[place("fault", id, index)] = 1
			}
		}
	}
	return h
}

// shrunk finds a seed that fails and shrinks it.
func shrunk(t *testing.T, fails func(history) bool, tries int) []tape.Draw {
	t.Helper()
	for seed := range uint64(10_000) {
		tp := tape.Random(seed)
		if !fails(play(tp)) {
			continue
		}
		used := 0
		draws := tape.Shrink(tp.Drawn(), func(tp *tape.Tape) bool {
			used++
			return fails(play(tp))
		}, tries)
		if used > tries {
			t.Errorf("%d tries, want at most %d", used, tries)
		}
		if !fails(play(tape.Replay(draws))) {
			t.Errorf("what is left does not fail:\n%s", tape.Marshal(draws))
		}
		t.Logf("seed %d: %d draws to %d in %d tries", seed, len(tp.Drawn()), len(draws), used)
		return draws
	}
	t.Fatal("no seed fails")
	return nil
}

func TestShrinkFindsTheSmallest(t *testing.T) {
	tests := []struct {
		name  string
		fails func(history) bool
		want  string
	}{
		{
			"always",
			func(history) bool { return true },
			"",
		},
		{
			"one draw",
			func(h history) bool { return h[place("recv", 7, 3)] != 0 },
			"recv 7 3 100 1\n",
		},
		{
			"three draws, one of them big enough",
			func(h history) bool {
				return h[place("recv", 2, 0)] != 0 && h[place("fault", 19, 9)] != 0 && h[place("recv", 11, 5)] >= 3
			},
			"recv 2 0 100 1\nrecv 11 5 100 3\nfault 19 9 2 1\n",
		},
		{
			"a threshold in a wide range",
			func(h history) bool { return h[place("latency", 4, 4)] > 123_456 },
			"latency 4 4 1000000 123457\n",
		},
		{
			"one kind of choice of one connection",
			func(h history) bool {
				for index := range 10 {
					if h[place("recv", 5, index)] == 0 {
						return false
					}
				}
				return true
			},
			"recv 5 0 100 1\nrecv 5 1 100 1\nrecv 5 2 100 1\nrecv 5 3 100 1\nrecv 5 4 100 1\n" +
				"recv 5 5 100 1\nrecv 5 6 100 1\nrecv 5 7 100 1\nrecv 5 8 100 1\nrecv 5 9 100 1\n",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := shrunk(t, test.fails, 500)
			if diff := cmp.Diff(test.want, string(tape.Marshal(got))); diff != "" {
				t.Errorf("left (-want +got):\n%s", diff)
			}
		})
	}
}

// A sum of values can be spread in many ways; what is left must be small, not
// the smallest.
func TestShrinkSum(t *testing.T) {
	got := shrunk(t, func(h history) bool {
		sum := 0
		for index := range 10 {
			sum += h[place("recv", 1, index)]
		}
		return sum >= 150
	}, 500)
	sum := 0
	for _, d := range got {
		sum += d.V
	}
	if len(got) > 3 || sum != 150 {
		t.Errorf("left:\n%s", tape.Marshal(got))
	}
}

// A run that a draw has made longer draws more; those draws go with it.
func TestShrinkDropsWhatIsNotReached(t *testing.T) {
	fails := func(tp *tape.Tape) bool {
		more := tp.Choose("more", 0, 50)
		for range more {
			tp.Choose("extra", 0, 50)
		}
		return tp.Choose("bug", 0, 10) > 4
	}
	for seed := range uint64(100) {
		tp := tape.Random(seed)
		if !fails(tp) {
			continue
		}
		got := tape.Shrink(tp.Drawn(), fails, 100)
		if diff := cmp.Diff([]tape.Draw{{Site: "bug", N: 10, V: 5}}, got); diff != "" {
			t.Errorf("seed %d: left (-want +got):\n%s", seed, diff)
		}
	}
}

func TestShrinkLeavesWhatDoesNotFail(t *testing.T) {
	draws := []tape.Draw{{Site: "a", N: 5, V: 4}, {Site: "b", N: 5, V: 3}}
	calls := 0
	got := tape.Shrink(draws, func(*tape.Tape) bool { calls++; return false }, 100)
	if diff := cmp.Diff(draws, got); diff != "" || calls != 1 {
		t.Errorf("after %d calls (-want +got):\n%s", calls, diff)
	}
}

func TestShrinkStopsAfterTries(t *testing.T) {
	tp := tape.Random(1)
	play(tp)
	for _, tries := range []int{-1, 0, 1, 2, 10, 50} {
		calls := 0
		got := tape.Shrink(tp.Drawn(), func(tp *tape.Tape) bool {
			calls++
			h := play(tp)
			return h[place("recv", 0, 0)] != 0 || h[place("recv", 1, 1)] != 0
		}, tries)
		if calls > max(tries, 0) {
			t.Errorf("%d calls, want at most %d", calls, tries)
		}
		if h := play(tape.Replay(got)); h[place("recv", 0, 0)] == 0 && h[place("recv", 1, 1)] == 0 {
			t.Errorf("what %d tries have left does not fail", tries)
		}
	}
}
