package asynctest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

// talk is a scenario in which all is well.
func talk(w *World) {
	ln := w.Serve("tcp", ":7", with(echo))
	text := strings.Repeat("hello, world\r\n", 20)
	a := w.Dial(ln).Chop(1, 30).Send(text)
	b := w.Dial(ln).Send("ping")
	if b.Expect("ping"); !b.Faulted() {
		b.HalfClose().ExpectClosed()
	}
	a.Expect(text).HalfClose().ExpectClosed()
}

// Who says that callbacks may panic is not failed for it.
func TestMayPanic(t *testing.T) {
	panics := &channel.Handler{Read: func(*channel.Conn, []byte) { panic("oops") }}
	Run(t, Config{Seeds: 1}, func(w *World) {
		w.MayPanic()
		w.Dial(w.Serve("tcp", ":7", with(panics))).Send("x")
		w.Quiesce()
		if n := w.Loop().Stats().Panics; n != 1 {
			w.Errorf("%d callbacks have panicked, and not 1", n)
		}
	})
}

func TestRunPasses(t *testing.T) {
	for _, poller := range flavours {
		for faults, name := range map[Faults]string{None: "none", Benign: "benign", Swarm: "swarm"} {
			t.Run(poller+"/"+name, func(t *testing.T) {
				mustPass(t, inTest(t, func(t testing.TB) { Run(t, Config{Seeds: 50, Faults: faults, Poller: poller}, talk) }))
			})
		}
	}
}

// The one that the documentation promises to find: the failure is small, its tape
// is saved, and is played before anything else from then on.
func TestRunFindsNaiveHandler(t *testing.T) {
	scenario := func(w *World) {
		ln := w.Serve("tcp", ":7", with(naive))
		w.Dial(ln).Send("hello\r\n").Expect("5\r\n")
	}
	run := func(t testing.TB) { Run(t, Config{Faults: Benign}, scenario) }
	f := inTest(t, run)
	mustFail(t, f, `run_test.go`)
	mustFail(t, f, `expected "5\r\n", received "`)

	saved := savedTapes(tapeDir("TestFake"))
	if len(saved) != 1 {
		t.Fatalf("saved tapes: %q", saved)
	}
	draws, err := loadTape(saved[0])
	if err != nil {
		t.Fatal(err)
	}
	if len(draws) == 0 || len(draws) > 20 {
		t.Errorf("the failure takes %d draws: %v", len(draws), draws)
	}
	mustFail(t, f, "again: SIM_TAPE="+filepath.ToSlash(saved[0])+" go test -run '^TestFake$' .")

	t.Setenv("SIM_SEEDS", "0")
	f = &fakeTB{name: "TestFake"}
	f.test(run)
	mustFail(t, f, "again: SIM_TAPE=")

	if err := os.Remove(saved[0]); err != nil {
		t.Fatal(err)
	}
	f = &fakeTB{name: "TestFake"}
	f.test(run)
	mustPass(t, f)
}

func TestRunReplays(t *testing.T) {
	t.Chdir(t.TempDir())
	path, err := saveTape(".", []tape.Draw{{Site: "scenario", N: 1000, V: 999}})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SIM_TAPE", path)
	f := &fakeTB{name: "TestFake"}
	f.test(func(t testing.TB) {
		Run(t, Config{}, func(w *World) {
			if v := w.Choose(1000); v != 0 {
				w.Errorf("chosen: %d", v)
			}
		})
	})
	mustFail(t, f, "chosen: 999")
}

// Each seed has choices of its own, the same ones each time.
func TestSeeds(t *testing.T) {
	play := func() (all []int) {
		f := inTest(t, func(t testing.TB) {
			Run(t, Config{Seeds: 20}, func(w *World) { all = append(all, w.Choose(1_000_000)) })
		})
		mustPass(t, f)
		return all
	}
	t.Setenv("SIM_CHECK_DETERMINISM", "0")
	once := play()
	if diff := cmp.Diff(once, play()); diff != "" {
		t.Error(diff)
	}
	if len(once) != 20 || once[0] == once[1] {
		t.Errorf("%d seeds chose %v", len(once), once)
	}
	t.Setenv("SIM_SEED", "3")
	if diff := cmp.Diff(once[2:3], play()); diff != "" {
		t.Error(diff)
	}
	t.Setenv("SIM_SEEDS", "5")
	if diff := cmp.Diff(once[2:7], play()); diff != "" {
		t.Error(diff)
	}
}

// Where nothing is left to choice, one world is enough.
func TestOneWorld(t *testing.T) {
	t.Setenv("SIM_CHECK_DETERMINISM", "0")
	n := 0
	mustPass(t, inTest(t, func(t testing.TB) { Run(t, Config{}, func(*World) { n++ }) }))
	if n != 1 {
		t.Errorf("%d worlds", n)
	}
}

func TestDeterminismIsChecked(t *testing.T) {
	t.Setenv("SIM_CHECK_DETERMINISM", "100")
	n := 0
	f := inTest(t, func(t testing.TB) {
		Run(t, Config{}, func(w *World) {
			w.Choose(2)
			n++
			w.Logf("%d", n)
		})
	})
	mustFail(t, f, "seed 1 is not the same twice")
	mustFail(t, f, "again: SIM_SEED=1 go test")
}

func TestRunFails(t *testing.T) {
	panics := &channel.Handler{Read: func(*channel.Conn, []byte) { panic("oops") }}
	for _, test := range []struct {
		name     string
		scenario func(*World)
		want     string
	}{
		{"Errorf", func(w *World) { w.Errorf("no %d", 1) }, "no 1"},
		{"Fatalf", func(w *World) { w.Fatalf("no %d", 2); panic("goes on") }, "no 2"},
		{"panic", func(w *World) { panic("oh") }, "the scenario panicked: oh"},
		{"panic in a callback", func(w *World) {
			w.Dial(w.Serve("tcp", ":7", with(panics))).Send("x")
			w.Quiesce()
		}, "panic=oops"},
		{"Fatalf in a callback", func(w *World) {
			h := &channel.Handler{Read: func(*channel.Conn, []byte) { w.Fatalf("in Read") }}
			w.Dial(w.Serve("tcp", ":7", with(h))).Send("x")
			w.Quiesce()
		}, "in Read"},
		{"listen", func(w *World) { w.Serve("tcp", "no port", with(echo)) }, "listen tcp"},
		{"Expect, and silence", func(w *World) {
			w.Dial(w.Serve("tcp", ":7", with(&channel.Handler{}))).Expect("x")
		}, `expected "x", received ""`},
		{"Expect, and the end", func(w *World) {
			h := &channel.Handler{Connect: func(c *channel.Conn) { c.WriteString("bye"); c.Close() }}
			w.Dial(w.Serve("tcp", ":7", with(h))).Expect("bye!")
		}, `expected "bye!", received "bye", then the end`},
		{"ExpectClosed, and more", func(w *World) {
			w.Dial(w.Serve("tcp", ":7", with(echo))).Send("x").ExpectClosed()
		}, `expected the connection to be closed, received "x"`},
		{"ExpectClosed, and silence", func(w *World) {
			w.Dial(w.Serve("tcp", ":7", with(echo))).ExpectClosed()
		}, `expected the connection to be closed, and nothing`},
		{"spin", spin, "the loop spins"},
		{"no rest", func(w *World) {
			var again func()
			again = func() { w.Loop().Post(again) }
			again()
			w.Quiesce()
		}, "does not come to rest"},
		{"world in a callback", func(w *World) {
			h := &channel.Handler{Read: func(*channel.Conn, []byte) { w.Advance(time.Second) }}
			w.Dial(w.Serve("tcp", ":7", with(h))).Send("x")
			w.Quiesce()
		}, "run in a callback"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := inTest(t, func(t testing.TB) { Run(t, Config{}, test.scenario) })
			mustFail(t, f, test.want)
			mustFail(t, f, "again: go test -run '^TestFake$' .")
		})
	}
}

// A scenario that ends the test by other means is survived.
func TestRunEndedByTest(t *testing.T) {
	f := inTest(t, func(t testing.TB) {
		Run(t, Config{Faults: Benign}, func(w *World) {
			if w.Dial(w.Serve("tcp", ":7", with(echo))).Send("x").Expect("x"); w.Choose(3) == 2 {
				t.Fatalf("enough")
			}
		})
	})
	mustFail(t, f, "enough")
	if !regexp.MustCompile(`again: SIM_SEED=\d+ go test`).MatchString(fmt.Sprint(f.logs)) {
		t.Errorf("logged: %q", f.logs)
	}
	f = inTest(t, func(t testing.TB) {
		Run(t, Config{Faults: Benign}, func(*World) { t.Errorf("not well") })
	})
	mustFail(t, f, "not well")
	if !regexp.MustCompile(`again: SIM_SEED=1 go test`).MatchString(fmt.Sprint(f.logs)) {
		t.Errorf("logged: %q", f.logs)
	}
}

// A fuzzer's bytes are the choices.
func TestRunBytes(t *testing.T) {
	var chosen []int
	mustPass(t, inTest(t, func(t testing.TB) {
		Run(t, Config{Tape: []byte{7, 8}}, func(w *World) {
			chosen = append(chosen, w.Choose(256), w.Choose(256), w.Choose(256))
		})
	}))
	if diff := cmp.Diff([]int{7, 8, 0}, chosen); diff != "" {
		t.Error(diff)
	}
}

func TestSettings(t *testing.T) {
	for _, test := range []struct {
		env  map[string]string
		want settings
		err  string
	}{
		{nil, settings{first: 1, seeds: -1, twice: 5}, ""},
		{map[string]string{"SIM_SEED": "9"}, settings{first: 9, seeds: 1, twice: 5}, ""},
		{map[string]string{"SIM_SEED": "9", "SIM_SEEDS": "3"}, settings{first: 9, seeds: 3, twice: 5}, ""},
		{map[string]string{"SIM_TIME": "2s"}, settings{first: 1, seeds: -1, span: 2 * time.Second, twice: 5}, ""},
		{map[string]string{"SIM_TAPE": "x.tape", "SIM_TRACE": "1"}, settings{first: 1, seeds: -1, tape: "x.tape", trace: true, twice: 5}, ""},
		{map[string]string{"SIM_CHECK_DETERMINISM": "0"}, settings{first: 1, seeds: -1}, ""},
		{map[string]string{"SIM_SEED": "x"}, settings{}, "SIM_SEED: "},
		{map[string]string{"SIM_SEEDS": "x"}, settings{}, "SIM_SEEDS: "},
		{map[string]string{"SIM_SEEDS": "-1"}, settings{}, "SIM_SEEDS: "},
		{map[string]string{"SIM_TRACE": "0"}, settings{first: 1, seeds: -1, twice: 5}, ""},
		{map[string]string{"SIM_TIME": "x"}, settings{}, "SIM_TIME: "},
		{map[string]string{"SIM_SHRINK": "2s"}, settings{first: 1, seeds: -1, twice: 5, shrink: 2 * time.Second}, ""},
	} {
		if test.want.shrink == 0 {
			test.want.shrink = shrinkTime
		}
		got, err := readSettings(func(name string) string { return test.env[name] })
		switch {
		case test.err != "":
			if err == nil || !strings.HasPrefix(err.Error(), test.err) {
				t.Errorf("%v: error %v", test.env, err)
			}
		case err != nil:
			t.Errorf("%v: error %v", test.env, err)
		case got != test.want:
			t.Errorf("%v: got %+v", test.env, got)
		}
	}
}
