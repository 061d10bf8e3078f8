package asynctest

import (
	"net"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/leaktest"
)

// So often, after such a pause, is looked once more: what has ended may not be
// gone yet.
const (
	leakLooks = 100
	leakPause = 10 * time.Millisecond
)

// Leaks fails t where, when it ends, the process has more goroutines than now, or
// descriptors that are not open now; those where the system can list them. It is
// for tests with real connections: a [World] looks for itself. Call it first, and in
// no test that runs beside others.
func Leaks(t testing.TB) {
	t.Helper()
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		ln.Close() // the runtime's poller is open now, and stays so
	}
	fds, goroutines := leaktest.Open(), runtime.NumGoroutine()
	t.Cleanup(func() {
		t.Helper()
		var left []string
		more := 0
		for range leakLooks {
			left = leaktest.Open()
			more = runtime.NumGoroutine() - goroutines
			if more <= 0 && len(left) <= len(fds) {
				return
			}
			time.Sleep(leakPause)
		}
		if len(left) > len(fds) {
			left = slices.DeleteFunc(left, func(fd string) bool { return slices.Contains(fds, fd) })
			t.Errorf("descriptors left open: %q", left)
		}
		if more > 0 {
			stacks := make([]byte, 64<<10)
			t.Errorf("goroutines left: %d\n\n%s", more, stacks[:runtime.Stack(stacks, true)])
		}
	})
}
