//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket_test

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/socket"
)

func ExampleInetPton() {
	const text = "2002:ac10:10a:1234:21e:52ff:fe74:40e"
	packed, err := socket.InetPton(unix.AF_INET6, text)
	if err != nil {
		fmt.Println(err)
		return
	}
	unpacked, _ := socket.InetNtop(unix.AF_INET6, packed)
	fmt.Println("Original:", text)
	fmt.Printf("Packed  : %x\n", packed)
	fmt.Println("Unpacked:", unpacked)
	// Output:
	// Original: 2002:ac10:10a:1234:21e:52ff:fe74:40e
	// Packed  : 2002ac10010a1234021e52fffe74040e
	// Unpacked: 2002:ac10:10a:1234:21e:52ff:fe74:40e
}

func ExampleInetNtop() {
	packed := []byte{12: 1, 2, 3, 4} // 16 bytes
	fmt.Println(socket.InetNtop(unix.AF_INET6, packed))
	// Output: ::1.2.3.4 <nil>
}

// The map from numbers to names that every program which prints what getaddrinfo
// found begins with. Where a number has two names, the last one wins; String picks
// the usual one.
func ExampleConstants() {
	types := make(map[int64]string)
	for name, value := range socket.Constants("SOCK_S") {
		types[value] = name
	}
	fmt.Println(types[unix.SOCK_STREAM], types[unix.SOCK_SEQPACKET])
	for name, value := range socket.Constants("IPPORT_") {
		fmt.Println(name, value)
	}
	// Output:
	// SOCK_STREAM SOCK_SEQPACKET
	// IPPORT_RESERVED 1024
	// IPPORT_USERRESERVED 5000
}

func ExampleFamily_String() {
	fmt.Println(socket.Family(unix.AF_INET6), socket.Family(77))
	// Output: AF_INET6 Family(77)
}

func ExampleType_String() {
	fmt.Println(socket.Type(unix.SOCK_DGRAM), socket.Type(77))
	// Output: SOCK_DGRAM Type(77)
}

// A number that has no name here is printed, unlike in a program with a table of
// names, which fails on it.
func ExampleProto_String() {
	fmt.Println(socket.Proto(unix.IPPROTO_TCP), socket.Proto(10000))
	// Output: IPPROTO_TCP Proto(10000)
}
