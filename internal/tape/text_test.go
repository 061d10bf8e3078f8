package tape_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

func TestMarshalParse(t *testing.T) {
	draws := []tape.Draw{
		{Site: "recv", ID: 3, Index: 0, N: 5, V: 2},
		{Site: "poller  add", ID: -1, Index: 12, N: 1_000_000, V: 999_999},
		{Site: "", ID: 0, Index: 7, N: 2, V: 1},
	}
	text := tape.Marshal(draws)
	const want = "recv 3 0 5 2\npoller  add -1 12 1000000 999999\n 0 7 2 1\n"
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	got, err := tape.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(draws, got); diff != "" {
		t.Errorf("draws (-want +got):\n%s", diff)
	}
}

func TestParse(t *testing.T) {
	draw := tape.Draw{Site: "a", ID: 1, Index: 2, N: 4, V: 3}
	tests := []struct {
		text string
		want []tape.Draw
		err  string
	}{
		{text: ""},
		{text: "# a comment\n\n# another\n"},
		{text: "a 1 2 4 3", want: []tape.Draw{draw}},
		{text: "# windows\r\na 1 2 4 3\r\n", want: []tape.Draw{draw}},
		{text: "a", err: `line 1: want site, id, index, n and v`},
		{text: "a 1 2 3", err: `line 1: want site, id, index, n and v`},
		{text: "1 2 4 3", err: `line 1: want site, id, index, n and v`},
		{text: "a 1 2 4 3 ", err: `line 1: "" is not a number`},
		{text: "a 1 2 4 x", err: `line 1: "x" is not a number`},
		{text: "a 1 -1 4 3", err: `line 1: index -1 is negative`},
		{text: "a 1 2 4 0", err: `line 1: value 0 is not between 0 and 4`},
		{text: "a 1 2 4 4", err: `line 1: value 4 is not between 0 and 4`},
		{text: "a 1 2 -4 -5", err: `line 1: value -5 is not between 0 and -4`},
		{text: "a 1 2 99999999999999999999 3", err: `line 1: "99999999999999999999" is not a number`},
		{text: "# here\na 1 2 4 3\n\na 1 2 5 1\n", err: `line 4: draw 2 at "a" for 1 is there twice`},
	}
	for _, test := range tests {
		got, err := tape.Parse([]byte(test.text))
		message := ""
		if err != nil {
			message = err.Error()
		}
		if message != test.err {
			t.Errorf("%q: error %q, want %q", test.text, message, test.err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.text, diff)
		}
	}
}

// FuzzParse checks that what was read is written and read as the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte("a 1 2 4 3\n# comment\nsome where -1 0 2 1\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		draws, err := tape.Parse(text)
		if err != nil {
			return
		}
		again, err := tape.Parse(tape.Marshal(draws))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(draws, again); diff != "" {
			t.Errorf("read otherwise (-first +again):\n%s", diff)
		}
	})
}
