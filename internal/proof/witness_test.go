package proof

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
)

// situations are those of the fault model, by number, that can occur in a
// simulated world: TestProbes wants each of them to have.
var situations = map[int]string{
	1:   "EINTR of a call that reads, writes or accepts",
	3:   "EINTR of connect",
	4:   "EINTR or EIO of close",
	5:   "EAGAIN of a read after readiness",
	6:   "EAGAIN of a write",
	7:   "EAGAIN of accept",
	8:   "a short read",
	9:   "a short write",
	11:  "a read of nothing: the end",
	12:  "ECONNRESET of a read",
	13:  "EPIPE of a write",
	15:  "another error that ends a connection",
	16:  "ENOBUFS or ENOMEM of a write",
	17:  "ENOBUFS or ENOMEM of a read",
	18:  "EMFILE or ENFILE of accept",
	19:  "ENOBUFS or ENOMEM of accept",
	20:  "a connection that is gone when it is accepted",
	21:  "EPERM of accept",
	22:  "EINVAL of accept",
	25:  "a connect that fails later",
	26:  "a connect that is over at once",
	27:  "a Unix listener whose queue is full",
	28:  "an address that cannot be had",
	29:  "a connect to itself",
	30:  "a connect that times out",
	31:  "EADDRINUSE of a listener",
	32:  "a poller that refuses a descriptor",
	37:  "HangUp and Fault",
	38:  "a read that fills the buffer",
	39:  "Fault",
	40:  "a socket that is not watched before it connects",
	41:  "an urgent byte",
	43:  "an event of a registration that has ended",
	50:  "empty and truncated packets, errors of packets",
	51:  "no peer any more",
	52:  "an option that cannot be set",
	53:  "a callback that closes its own Conn",
	54:  "Close in Close",
	55:  "a callback that closes another Conn",
	56:  "a listener that is closed by the Conn it has accepted",
	57:  "the loop closed in a callback",
	58:  "timers and dials begun in callbacks",
	59:  "a descriptor's number given out again",
	60:  "interest changed by another Conn",
	61:  "a panic",
	62:  "a panic in Close",
	65:  "a Write to itself",
	66:  "Poll in a callback",
	68:  "a Write after Close",
	69:  "Close while connecting",
	70:  "a peer that never reads",
	71:  "a Handler that is replaced",
	73:  "input that is overwritten after its callback",
	74:  "a producer that has nothing, or fails",
	76:  "a panic in an accept function",
	77:  "frames that wait for Resume",
	78:  "input cut anywhere",
	79:  "many frames in one read",
	80:  "a delimiter that overlaps itself",
	83:  "a terminator that changes",
	85:  "a frame as long as it may be",
	86:  "a frame that is too long",
	87:  "NUL in frames",
	89:  "an empty frame",
	90:  "an end within a frame",
	92:  "output above high water",
	100: "an answer after the peer's end",
	101: "ends on both sides",
	102: "a slow reader",
	104: "a reset behind data",
	105: "an idle timeout",
	106: "no descriptor left",
	107: "the output limit",
	112: "timers stopped and set anew",
	113: "deadlines between milliseconds",
	114: "a timer that is late",
	115: "posts",
}

// elsewhere are the others, with the reason, and the test that has them.
var elsewhere = []struct {
	id           int
	reason       string
	file, holder string
}{
	{2, "a poller keeps EINTR to itself", "conformance_wait_test.go", "TestSignals"},
	{10, "there is no writev", "channel/writev_test.go", "TestWritevAfterFailure"},
	{14, "needs the descriptors of a process", "channel/open_stdio_test.go", "TestStdioBrokenPipe"},
	{23, "options are inherited", "channel/adopt_linux_test.go", "TestAdoptListenerOptionFails"},
	{24, "needs a thousand descriptors", "channel/fault_accept_test.go", "TestFaultAccept"},
	{33, "somebody else must close a descriptor", "channel/fault_poller_test.go", "TestFaultPoller"},
	{34, "is kevent's", "kqueue_fake_test.go", "TestFakeKqueue"},
	{35, "somebody else must close a descriptor", "channel/fault_poller_test.go", "TestFaultPoller"},
	{36, "somebody else must close a descriptor", "loop/run_test.go", "TestPollerFails"},
	{42, "needs both in one batch, in that order", "channel/fault_poller_test.go", "TestFaultPoller"},
	{44, "needs a duplicate that somebody else has", "channel/adopt_test.go", "TestNoSpinOnDuplicates"},
	{45, "somebody else must close a descriptor", "channel/fault_poller_test.go", "TestFaultPoller"},
	{46, "is the garbage collector's", "channel/adopt_test.go", "TestOpenFileWorksOn"},
	{47, "needs a shared description", "channel/adopt_test.go", "TestOpenRestoresShared"},
	{48, "needs child processes", "channel/command_test.go", "TestCommandInherits"},
	{49, "needs other goroutines", "conformance_wake_test.go", "TestWakeStorm"},
	{63, "ends the goroutine of the test", "loop/panic_test.go", "TestGoexit"},
	{67, "is documented, not detected", "loop/post_test.go", "TestPostInPost"},
	{72, "callbacks take no time here", "loop/turn_test.go", "TestSlowCallback"},
	{75, "is a mistake, told at once", "channel/conn_test.go", "TestProgrammersMistakes"},
	{81, "is the framer's alone", "chat/framer_test.go", "TestFramerDelims"},
	{82, "is the framer's alone", "chat/framer_test.go", "TestFramerCount"},
	{84, "is the framer's alone", "chat/framer_test.go", "TestFramerCount"},
	{88, "is a matter of size", "chat/budget_test.go", "TestTurnBudget"},
	{91, "nothing shows of it", "channel/close_test.go", "TestCloseWithUnreadInput"},
	{103, "needs a clock only", "chat/timeout_test.go", "TestFrameTimeoutIdle"},
	{111, "is a matter of size", "loop/turn_test.go", "TestFairness"},
	{116, "Run waits for real pollers only", "loop/run_test.go", "TestStopFromElsewhere"},
	{117, "needs other goroutines", "loop/post_test.go", "TestCloseWhilePosting"},
	{118, "needs signals", "loop/signal_test.go", "TestSignalStorm"},
	{119, "needs child processes", "channel/command_test.go", "TestCommandInherits"},
	{120, "needs other goroutines", "loop/turn_test.go", "TestDebug"},
	{121, "needs two loops", "channel/detach_test.go", "TestDetachToAnotherLoop"},
	{122, "is the logger's", "loop/panic_test.go", "TestPanicInLogger"},
	{108, "is a matter of size", "channel/conn_test.go", "TestIdleConnIsSmall"},
	{109, "is a matter of size", "examples/chaosproxy/attack_test.go", "TestChurn"},
	{110, "is a matter of size", "examples/chaosproxy/attack_test.go", "TestSlow"},
}

// documented are what nobody can test: errors that end the process.
var documented = map[int]bool{64: true}

// TestProbes wants every situation of the fault model to have occurred, here or
// where the table says. Without SIM_SEEDS it looks at the tables only, and counts.
func TestProbes(t *testing.T) {
	missing := func() (ids []int) {
		for id := range hits {
			if situations[id] != "" && hits[id].Load() == 0 {
				ids = append(ids, id)
			}
		}
		return ids
	}
	thorough := os.Getenv("SIM_SEEDS") != ""
	if thorough && len(missing()) > 0 { // the other tests have not run
		for _, f := range small {
			if len(missing()) > 0 {
				asynctest.EveryFault(t, scenario(f.play, asynctest.None))
			}
		}
		for _, f := range families {
			for _, k := range kinds {
				if len(missing()) == 0 {
					break
				}
				asynctest.Run(t, asynctest.Config{Seeds: 200, Faults: k.faults, Timeout: time.Hour}, scenario(f.play, k.faults))
			}
		}
	}
	for _, id := range missing() {
		if thorough { // a few worlds need not have them all
			t.Errorf("%d has not occurred: %s", id, situations[id])
		}
	}
	known := map[int]bool{}
	for _, e := range elsewhere {
		known[e.id] = true
		text, err := os.ReadFile("../../" + e.file)
		if err != nil {
			t.Errorf("%d: %v", e.id, err)
		} else if !strings.Contains(string(text), "func "+e.holder+"(") {
			t.Errorf("%d: %s has no %s", e.id, e.file, e.holder)
		}
	}
	for id := 1; id <= 122; id++ {
		example := id >= 93 && id <= 99 // protocols, which have their own tests
		if !example && situations[id] == "" && !known[id] && !documented[id] {
			t.Errorf("%d is in no table", id)
		}
	}
	t.Logf("%d situations have occurred, %d are tested elsewhere", len(situations)-len(missing()), len(elsewhere))
}
