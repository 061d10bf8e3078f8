// Package leaktest fails the tests of a package that leave descriptors open.
package leaktest

import (
	"flag"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// So often, after such a pause, is looked once more.
const (
	patience = 100
	pause    = 20 * time.Millisecond
)

// Main is a TestMain: it compares the open descriptors before and after all tests,
// where the system has a directory of them.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a TestMain that has more to do; it returns the exit code.
func Run(m *testing.M) int {
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		ln.Close() // the runtime's poller is open now, and stays so
	}
	before := Open()
	code := m.Run()
	if code != 0 || fuzzing() {
		return code
	}
	after := Open()
	for range patience { // goroutines of tests that have ended may be about to close theirs
		if len(after) <= len(before) {
			break
		}
		time.Sleep(pause)
		after = Open()
	}
	if len(after) > len(before) {
		fmt.Fprintf(os.Stderr, "FAIL: open descriptors %q, before the tests %q\n", after, before)
		return 1
	}
	return code
}

// Open tells what is open, by the names that Linux gives.
func Open() (all []string) {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		name, _ := os.Readlink("/dev/fd/" + e.Name())
		all = append(all, e.Name()+" "+name)
	}
	return all
}

// fuzzing is when package testing opens descriptors of its own.
func fuzzing() bool {
	for _, name := range []string{"test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != f.DefValue {
			return true
		}
	}
	return false
}
