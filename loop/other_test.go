//go:build !unix

package loop_test

import (
	"errors"
	"testing"

	"github.com/seed-20e08ac4/asyncore/loop"
)

// Where there is no poller there is no loop, and New says so.
func TestNewUnsupported(t *testing.T) {
	if l, err := loop.New(loop.Config{}); l != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("New = %v, %v", l, err)
	}
}
