//go:build unix

package channel

import (
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/sys"
)

// FuzzParseAddr: whatever the text, there is an error or there are addresses of
// the family that the network asks for.
func FuzzParseAddr(f *testing.F) {
	for _, network := range []string{"tcp", "tcp4", "tcp6", "unix", "udp"} {
		for _, address := range []string{"127.0.0.1:80", "[::1]:0", ":7", "localhost:65535", "localhost:65536",
			"[fe80::1%eth0]:1", "::ffff:1.2.3.4", "[::ffff:1.2.3.4]:1", "@abstract", "/tmp/x", "", "1.2.3.4 junk:1", "host:80"} {
			f.Add(network, address, true)
			f.Add(network, address, false)
		}
	}
	f.Fuzz(func(t *testing.T, network, address string, listen bool) {
		addrs, err := parseAddr(network, address, listen)
		if (err == nil) != (len(addrs) > 0) {
			t.Fatalf("%d addresses and %v", len(addrs), err)
		}
		for _, a := range addrs {
			switch {
			case network == "unix" && a.Family != sys.Unix,
				network == "tcp4" && a.Family != sys.Inet,
				network == "tcp6" && a.Family != sys.Inet6,
				a.Family != sys.Unix && !a.Inet.IsValid():
				t.Fatalf("%s %q gives %+v", network, address, a)
			}
			if netAddr(a).String() == "" && address != "" {
				t.Fatalf("%s %q has no text", network, address)
			}
		}
	})
}

// FuzzPacketAddrs is the same for the networks of packets.
func FuzzPacketAddrs(f *testing.F) {
	for _, network := range []string{"udp", "udp4", "udp6", "unixgram", "unixpacket", "tcp", ""} {
		for _, address := range []string{"127.0.0.1:80", "[::1]:0", ":7", "localhost:65535", "[ff02::1%lo]:1", "@abstract", "/tmp/x", "", "host:80"} {
			f.Add(network, address, true)
			f.Add(network, address, false)
		}
	}
	f.Fuzz(func(t *testing.T, network, address string, listen bool) {
		addrs, err := packetAddrs(network, address, listen)
		if (err == nil) != (len(addrs) > 0) {
			t.Fatalf("%d addresses and %v", len(addrs), err)
		}
		for _, a := range addrs {
			switch {
			case (network == "unixgram" || network == "unixpacket") != (a.Family == sys.Unix),
				network == "udp4" && a.Family != sys.Inet,
				network == "udp6" && a.Family != sys.Inet6,
				a.Family != sys.Unix && !a.Inet.IsValid():
				t.Fatalf("%s %q gives %+v", network, address, a)
			}
			if got := packetAddr(a, network); got.String() == "" && address != "" || got.Network() != network && a.Family == sys.Unix {
				t.Fatalf("%s %q has the address %v", network, address, got)
			}
		}
	})
}
