// Package blackbox is for tests with real clients and tools of the system.
package blackbox

import (
	"os"
	"os/exec"
	"testing"
)

// Needs skips a test that takes long, or needs tools which .ci/run installs:
// there ASYNCORE_BLACKBOX is set, and a missing tool fails.
func Needs(t testing.TB, tools ...string) {
	t.Helper()
	if os.Getenv("ASYNCORE_BLACKBOX") == "" {
		t.Skip("ASYNCORE_BLACKBOX is not set; .ci/run sets it")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(err)
		}
	}
}
