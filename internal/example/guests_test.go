package example_test

import (
	"net"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/example"
)

// TestGuests: an IPv6 client is its network.
func TestGuests(t *testing.T) {
	g := example.Guests{Most: 1}
	at := func(s string) net.Addr { a, _ := net.ResolveTCPAddr("tcp", s); return a }
	for _, c := range []struct {
		addr string
		ok   bool
	}{
		{"[2001:db8::1]:1", true}, {"[2001:db8::ffff]:2", false}, {"[2001:db8:0:1::1]:1", true},
		{"192.0.2.1:1", true}, {"192.0.2.1:2", false}, {"[::ffff:192.0.2.1]:3", false}, {"192.0.2.2:1", true},
	} {
		if ok := g.Enter(at(c.addr)); ok != c.ok {
			t.Errorf("%s may enter: %v", c.addr, ok)
		}
	}
	if !g.Enter(&net.UnixAddr{}) {
		t.Error("a Unix socket has no limit")
	}
}
