//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package socket

import (
	"errors"
	"testing"
)

// Everything is here, and says that the system has none of it.
func TestUnsupported(t *testing.T) {
	_, newErr := New(0, 0, 0)
	_, _, pairErr := Pair(0, 0, 0)
	_, fromErr := FromFD(0, 0, 0, 0)
	_, serverErr := CreateServer(InetAddr{}, ServerOptions{})
	_, connErr := CreateConnection(t.Context(), "127.0.0.1", "1", ConnectOptions{})
	_, _, _, selectErr := Select[*Socket](nil, nil, nil, 0)
	_, selectorErr := NewSelector()
	for _, err := range []error{newErr, pairErr, fromErr, serverErr, connErr, selectErr, selectorErr} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	}
	if HasDualStack() {
		t.Error("dual stack of nothing")
	}
}
