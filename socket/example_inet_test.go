package socket_test

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/seed-20e08ac4/asyncore/socket"
)

func ExampleInetAton() {
	for _, s := range []string{"192.168.1.1", "127.0.0.1", "127.1", "0x7f.1", "1.2.3.4 junk"} {
		packed, err := socket.InetAton(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		text, _ := socket.InetNtoa(packed[:])
		fmt.Printf("Original: %s Packed: %x Unpacked: %s\n", s, packed, text)
	}
	// Output:
	// Original: 192.168.1.1 Packed: c0a80101 Unpacked: 192.168.1.1
	// Original: 127.0.0.1 Packed: 7f000001 Unpacked: 127.0.0.1
	// Original: 127.1 Packed: 7f000001 Unpacked: 127.0.0.1
	// Original: 0x7f.1 Packed: 7f000001 Unpacked: 127.0.0.1
	// address 1.2.3.4 junk: illegal IP address string passed to inet_aton
}

func ExampleHtons() {
	fmt.Println(socket.Ntohs(socket.Htons(80)), socket.Ntohl(socket.Htonl(socket.INADDR_LOOPBACK)))
	// Output: 80 2130706433
}

func ExampleFromAddrPort() {
	fmt.Printf("%#v\n", socket.FromAddrPort(netip.MustParseAddrPort("[fe80::1%3]:80")).(socket.Inet6Addr).ScopeID)
	fmt.Println(socket.FromAddrPort(netip.MustParseAddrPort("127.0.0.1:80")))
	// Output:
	// 0x3
	// 127.0.0.1:80
}

func ExampleFromNetAddr() {
	a, err := socket.FromNetAddr(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 53})
	fmt.Printf("%T %v %v\n", a, a, err)
	// Output: socket.InetAddr 127.0.0.1:53 <nil>
}

// Scopes are numbers, and an address has a text without a look-up.
func ExampleInet6Addr() {
	a := socket.Inet6Addr{IP: netip.MustParseAddr("fe80::1"), Port: 80, ScopeID: 1}
	fmt.Println(a)
	fmt.Println(socket.Inet6Addr{})
	// Output:
	// [fe80::1%1]:80
	// [::]:0
}

func ExampleUnixAddr() {
	fmt.Println(socket.UnixAddr{Name: "/run/app.sock"})
	fmt.Println(socket.UnixAddr{Name: "\x00app\x01"})
	// Output:
	// /run/app.sock
	// @app\x01
}
