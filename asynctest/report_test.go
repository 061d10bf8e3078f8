package asynctest

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
)

// failing runs a scenario that fails, and returns the report.
func failing(t *testing.T, c Config, scenario func(*World)) string {
	t.Helper()
	f := inTest(t, func(t testing.TB) { Run(t, c, scenario) })
	mustFail(t, f, "again: ")
	return f.errors[0]
}

// A panic is told once, with the frames of the code under test and none of those
// that called it.
func TestReportOfPanic(t *testing.T) {
	for name, scenario := range map[string]func(w *World){
		"callback": func(w *World) {
			h := &channel.Handler{Read: func(*channel.Conn, []byte) { panic("oops") }}
			w.Dial(w.Serve("tcp", ":7", with(h))).Send("x")
			w.Quiesce()
		},
		"scenario": func(*World) { panic("oops") },
	} {
		t.Run(name, func(t *testing.T) {
			report := failing(t, Config{}, scenario)
			if n := strings.Count(report, "report_test.go:"); n != 2 { // where, and its frame
				t.Errorf("the place is told %d times", n)
			}
			for _, noise := range []string{"core/turn.go", "testing.go", "run.go", "debug.Stack", "drive.go"} {
				if strings.Contains(report, noise) {
					t.Errorf("there is %s in it", noise)
				}
			}
			if t.Failed() {
				t.Log(report)
			}
		})
	}
}

// The timeline ends where the world fails, names descriptors, and is readable.
func TestReportOfTimeline(t *testing.T) {
	report := failing(t, Config{}, func(w *World) {
		w.Dial(w.Serve("tcp", ":7", with(echo))).Send("x").Expect("y")
	})
	if strings.Contains(report, "nothing more") { // what is wrong at once is not waited for
		t.Error(report)
	}
	if lines := strings.Split(strings.TrimSpace(report), "\n"); !strings.Contains(lines[len(lines)-1], "FAIL") {
		t.Errorf("the last line is %q", lines[len(lines)-1])
	}
	for _, want := range []string{"event(3) = readable", "network    1 bytes of socket"} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in\n%s", want, report)
		}
	}
}

// What is unusual about a world that fails is in its timeline.
func TestReportOfBuffers(t *testing.T) {
	report := failing(t, Config{Faults: Benign}, func(w *World) {
		w.Dial(w.Serve("tcp", ":7", with(naive))).Send("hello\r\n").Expect("5\r\n")
	})
	if !regexp.MustCompile(`loop +has buffers of \d+ bytes to send and \d+ to receive`).MatchString(report) {
		t.Error(report)
	}
}

func TestReportOfChoices(t *testing.T) {
	report := failing(t, Config{}, func(w *World) {
		if w.Choose(5) == 4 {
			w.Errorf("no")
		}
	})
	if !strings.Contains(report, "It takes 1 choice (") {
		t.Error(report)
	}
}

// Of much text there is as much as it takes to see the difference.
func TestReportOfLongText(t *testing.T) {
	text := strings.Repeat("0123456789", 10_000)
	report := failing(t, Config{}, func(w *World) {
		w.Dial(w.Serve("tcp", ":7", with(echo))).Send(text[:60_003] + "DIFFERENT" + text[60_012:]).Expect(text)
	})
	line, _, _ := strings.Cut(report, "\n")
	if len(line) > 500 || !strings.Contains(line, "byte 60003") || !strings.Contains(line, `"DIFFERENT`) {
		t.Error(line)
	}
}

// Where a fault hit one peer and another one fails by it, the report says so.
func TestReportOfOthersFault(t *testing.T) {
	report := failing(t, Config{}, func(w *World) {
		var other *channel.Conn
		h := &channel.Handler{Connect: func(c *channel.Conn) {
			if other != nil {
				other.WriteString("x")
			}
			other = c
		}, EOF: func(*channel.Conn) {}}
		ln := w.Serve("tcp", ":7", with(h))
		a := w.Dial(ln)
		w.Quiesce()
		w.Fault(syscall.ECONNABORTED, Times(1))
		w.Dial(ln)
		a.Expect("x")
	})
	if !strings.Contains(report, "a fault has hit peer 2 before: see World.Faulted") {
		t.Error(report)
	}
}

// What a goroutine does takes no time of the world's.
func TestReportOfGoroutine(t *testing.T) {
	stop := make(chan bool)
	defer close(stop)
	report := failing(t, Config{}, func(w *World) {
		h := &channel.Handler{Read: func(*channel.Conn, []byte) { go func() { <-stop }() }}
		w.Dial(w.Serve("tcp", ":7", with(h))).Send("x").Expect("x")
	})
	if !strings.Contains(report, "a goroutine more than when the world began") {
		t.Error(report)
	}
}

// A descriptor of the operating system's is refused in a way that says why.
func TestRealDescriptors(t *testing.T) {
	r, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer wr.Close()
	void, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer void.Close()
	const mine = "a simulated loop has only descriptors of its own"
	refused := func(w *World, err error) {
		if err == nil {
			w.Logf("not refused")
		}
	}
	for _, test := range []struct {
		name string
		do   func(w *World) error
		want string
	}{
		{"Open", func(w *World) error { _, err := channel.Open(w.Loop(), r, echo); return err }, mine},
		{"Open, a number that is taken", func(w *World) error { _, err := channel.Open(w.Loop(), os.Stdin, echo); return err }, mine},
		{"Open, a file", func(w *World) error { _, err := channel.Open(w.Loop(), void, echo); return err }, mine},
		{"AdoptFD", func(w *World) error { _, err := channel.AdoptFD(w.Loop(), 1, echo); return err }, mine},
		{"AdoptPacketFD", func(w *World) error {
			_, err := channel.AdoptPacketFD(w.Loop(), int(r.Fd()), &channel.PacketHandler{})
			return err
		}, mine},
		{"Watch", func(w *World) error {
			_, err := w.Loop().Watch(int(r.Fd()), asyncore.Readable, func(asyncore.Interest) {})
			w.Quiesce()
			return err
		}, mine},
		{"Command", func(w *World) error {
			_, err := channel.Command(w.Loop(), exec.Command("true"), &channel.ProcessHandler{Stdout: echo})
			return err
		}, "a simulated loop cannot have child processes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			report := failing(t, Config{}, func(w *World) { refused(w, test.do(w)) })
			if !strings.Contains(report, test.want) || strings.Contains(report, "not refused") {
				t.Error(report)
			}
			if !strings.HasPrefix(report, "report_test.go:") {
				t.Errorf("no place: %s", report)
			}
		})
	}
}

// A descriptor that was detached from a simulated loop can go back to it.
func TestDetachAndAdopt(t *testing.T) {
	play(t, func(w *World) {
		h := &channel.Handler{Connect: func(c *channel.Conn) {
			c.Detach(func(d channel.Detached) {
				if _, err := d.Adopt(w.Loop(), echo); err != nil {
					w.Errorf("%v", err)
				}
			})
		}}
		w.Dial(w.Serve("tcp", ":7", with(h))).Send("x").Expect("x")
	})
}

// The world runs the loop, and nobody else.
func TestLoopRunByScenario(t *testing.T) {
	report := failing(t, Config{}, func(w *World) {
		w.Loop().After(time.Second, w.Loop().Stop)
		w.Loop().Run(t.Context())
		w.Quiesce()
	})
	if !strings.Contains(report, "the scenario has run the loop") || !strings.HasPrefix(report, "report_test.go:") {
		t.Error(report)
	}
}

// What cannot be played is an error, not a test that passes.
func TestConfigRefused(t *testing.T) {
	for _, c := range []Config{{Poller: "wepoll"}, {Seeds: -1}, {Faults: 7}, {Timeout: -1}} {
		f := inTest(t, func(t testing.TB) { Run(t, c, func(*World) {}) })
		mustFail(t, f, "asynctest: Config.")
	}
	for _, scenario := range []func(w *World){
		func(w *World) { w.Listen("udp", "10.2.0.1:5") },
		func(w *World) { w.Listen("tcp", "10.2.0.1") },
		func(w *World) { w.Dial(packets{}) },
	} {
		if report := failing(t, Config{}, scenario); !regexp.MustCompile(`^report_test.go:\d+: (listen|a peer cannot dial) `).MatchString(report) {
			t.Error(report)
		}
	}
}

type packets struct{}

func (packets) Addr() net.Addr { return &net.UDPAddr{} }

// A scenario that never ends is ended, with a report, and does not eat up memory.
func TestEndless(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	defer func(was time.Duration) { maxTime = was }(maxTime)
	maxTime = time.Second
	began := time.Now()
	report := failing(t, Config{Faults: Benign}, func(w *World) {
		for p := w.Dial(w.Serve("tcp", ":7", with(echo))); ; {
			p.Send("x").Expect("x")
		}
	})
	if !strings.Contains(report, "the world does not end") {
		t.Error(report)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestTimelineIsBounded(t *testing.T) {
	var a, b timeline
	a.on, b.on = true, true
	for i := range 5 * keptLines {
		a.add(int64(i), 0, "who", "what")
		b.add(int64(i), 0, "who", "what")
	}
	if len(a.lines) > 2*keptLines {
		t.Errorf("%d lines kept", len(a.lines))
	}
	if a.hash() != b.hash() {
		t.Error("the same lines, and another hash")
	}
	b.add(0, 0, "who", "else")
	if a.hash() == b.hash() {
		t.Error("other lines, and the same hash")
	}
	if at, one, two := differ(&a, &b); at != 5*keptLines+1 || one != "(the end)" || !strings.Contains(two, "else") {
		t.Errorf("they differ at %d: %q and %q", at, one, two)
	}
	if tail := a.tail(10); !strings.Contains(tail, "lines more") {
		t.Error(tail)
	}
}

// Quiesce has the loop notice that a peer has gone, though a shortage keeps it
// from that for a while.
func TestQuiesceSeesTheEnd(t *testing.T) {
	for name, end := range map[string]func(p *Peer){
		"close":      func(p *Peer) { p.Close() },
		"half-close": func(p *Peer) { p.HalfClose() },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(w *World) {
				ended := 0
				h := &channel.Handler{EOF: func(c *channel.Conn) { ended++; c.Close() }}
				p := w.Dial(w.Serve("tcp", ":7", with(h)))
				up := w.Listen("tcp", "10.2.0.1:5")
				channel.Dial(w.Loop(), "tcp", "10.2.0.1:5", h)
				w.Quiesce()
				w.Fault(syscall.ENOBUFS, Times(2))
				end(p)
				end(up)
				w.Quiesce()
				if ended != 2 {
					w.Errorf("%d of 2 have ended", ended)
				}
			})
		})
	}
}

// A dial of TCP that fails with EAGAIN has failed.
func TestEveryFaultOfDial(t *testing.T) {
	mustPass(t, inTest(t, func(t testing.TB) {
		EveryFault(t, func(w *World) {
			up := w.Listen("tcp", "10.2.0.1:5")
			channel.Dial(w.Loop(), "tcp", "10.2.0.1:5", &channel.Handler{Connect: func(c *channel.Conn) { c.WriteString("hello") }})
			up.Expect("hello")
		})
	}))
}

// What a helper of the kit's fails a test with stands at the test's line.
func TestSegmentationsOfWrongHandler(t *testing.T) {
	if os.Getenv("ASYNCTEST_CHILD") != "" {
		Segmentations(t, with(naive), "hello\r\n", nil)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSegmentationsOfWrongHandler$")
	cmd.Env = append(os.Environ(), "ASYNCTEST_CHILD=1")
	out, err := cmd.CombinedOutput()
	if ee := new(exec.ExitError); !errors.As(err, &ee) {
		t.Fatalf("%v\n%s", err, out)
	}
	if !regexp.MustCompile(`(?m)^ +report_test\.go:\d+: the output depends`).Match(out) {
		t.Errorf("%s", out)
	}
}

// A tape that is told by its absolute name is found too, and one that is missing
// says so.
func TestTapeByName(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("SIM_TAPE", filepath.Join(t.TempDir(), "none.tape"))
	f := &fakeTB{name: "TestFake"}
	f.test(func(t testing.TB) { Run(t, Config{}, func(*World) {}) })
	mustFail(t, f, "none.tape: no such file")
}
