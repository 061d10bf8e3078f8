//go:build unix

package leaktest_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

// left stays open where a child process runs this test.
var left *os.File

func TestLeak(t *testing.T) {
	if os.Getenv("LEAKTEST_CHILD") != "" {
		var err error
		if left, err = os.Open(os.DevNull); err != nil {
			t.Fatal(err)
		}
		return
	}
	if _, err := os.Stat("/dev/fd"); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLeak$")
	cmd.Env = append(os.Environ(), "LEAKTEST_CHILD=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), os.DevNull) {
		t.Errorf("a descriptor left open passes: %v\n%s", err, out)
	}
}
