//go:build unix

package socket_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/internal/dnstest"
	"github.com/seed-20e08ac4/asyncore/loop"
	"github.com/seed-20e08ac4/asyncore/socket"
)

// home is a resolver for a home network: its hosts file is given, its services and
// protocols are the package's own, and its name server knows nobody.
var home = socket.Resolver{
	Files: fstest.MapFS{"hosts": {Data: []byte(`
127.0.0.1     localhost
192.168.1.8   homer.hellfly.net homer
192.168.1.20  www.hellfly.net www
192.0.2.162   python.example www.python.example
2001:db8::a2  python.example www.python.example
`)}},
	DNS:  dnstest.Nobody(),
	Host: func() (string, error) { return "homer", nil },
}

func ExampleResolver_Hostname() {
	fmt.Println(home.Hostname())
	// Output: homer <nil>
}

func ExampleResolver_HostByName() {
	for _, host := range []string{"homer", "www", "www.python.example", "nosuchname"} {
		ip, err := home.HostByName(context.Background(), host)
		if e, ok := errors.AsType[*socket.AddrInfoError](err); ok {
			fmt.Printf("%s : [Errno %d] %v\n", host, int(e.Code), e.Code.String())
			continue
		}
		fmt.Println(host, ":", ip)
	}
	// Output:
	// homer : 192.168.1.8
	// www : 192.168.1.20
	// www.python.example : 192.0.2.162
	// nosuchname : [Errno -2] Name or service not known
}

func ExampleResolver_HostByNameEx() {
	for _, host := range []string{"homer", "nosuchname"} {
		e, err := home.HostByNameEx(context.Background(), host)
		if err != nil {
			fmt.Println("ERROR:", err)
			continue
		}
		fmt.Println("Hostname:", e.Name)
		fmt.Println("Aliases:", e.Aliases)
		fmt.Println("Addresses:", e.Addrs)
	}
	// Output:
	// Hostname: homer.hellfly.net
	// Aliases: [homer]
	// Addresses: [192.168.1.8]
	// ERROR: getaddrinfo "nosuchname": name or service not known
}

func ExampleResolver_FQDN() {
	for _, host := range []string{"homer", "www", "", "nosuchname"} {
		fmt.Printf("%6q : %s\n", host, home.FQDN(context.Background(), host))
	}
	// Output:
	// "homer" : homer.hellfly.net
	//  "www" : www.hellfly.net
	//     "" : homer.hellfly.net
	// "nosuchname" : nosuchname
}

// The name that led to an address need not be the one that the address leads back to.
func ExampleResolver_HostByAddr() {
	e, err := home.HostByAddr(context.Background(), "192.168.1.8")
	fmt.Println(e.Name, e.Aliases, e.Addrs, err)

	ip, _ := home.HostByName(context.Background(), "www.python.example")
	e, _ = home.HostByAddr(context.Background(), ip.String())
	fmt.Println("www.python.example", "->", ip, "->", e.Name)

	_, err = home.HostByAddr(context.Background(), "192.0.2.1")
	fmt.Println(errors.Is(err, socket.HOST_NOT_FOUND), err)
	// Output:
	// homer.hellfly.net [homer] [192.168.1.8] <nil>
	// www.python.example -> 192.0.2.162 -> python.example
	// true gethostbyaddr "192.0.2.1": unknown host
}

func ExampleResolver_ServiceByName() {
	for _, s := range []string{
		"http://www.python.org", "https://www.mybank.com", "ftp://prep.ai.mit.edu", "gopher://gopher.micro.umn.edu",
		"smtp://mail.example.com", "imap://mail.example.com", "imaps://mail.example.com", "pop3://pop.example.com", "pop3s://pop.example.com",
	} {
		u, err := url.Parse(s)
		if err != nil {
			fmt.Println(err)
			continue
		}
		port, err := home.ServiceByName(u.Scheme, "")
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%6s : %d\n", u.Scheme, port)
	}
	// Output:
	//   http : 80
	//  https : 443
	//    ftp : 21
	// gopher : 70
	//   smtp : 25
	//   imap : 143
	//  imaps : 993
	//   pop3 : 110
	//  pop3s : 995
}

func ExampleResolver_ServiceByPort() {
	for _, port := range []uint16{80, 443, 21, 70, 25, 143, 993, 110, 995} {
		name, err := home.ServiceByPort(port, "tcp")
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println((&url.URL{Scheme: name, Host: "example.com", Path: "/"}).String())
	}
	_, err := home.ServiceByPort(65535, "")
	fmt.Println(err)
	// Output:
	// http://example.com/
	// https://example.com/
	// ftp://example.com/
	// gopher://example.com/
	// smtp://example.com/
	// imap://example.com/
	// imaps://example.com/
	// pop3://example.com/
	// pop3s://example.com/
	// lookup 65535: port/proto not found
}

func ExampleResolver_ProtocolByName() {
	for _, name := range []string{"icmp", "udp", "tcp", "nosuch"} {
		p, err := home.ProtocolByName(name)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%4s -> %2d (%v)\n", name, int(p), p)
	}
	// Output:
	// icmp ->  1 (IPPROTO_ICMP)
	//  udp -> 17 (IPPROTO_UDP)
	//  tcp ->  6 (IPPROTO_TCP)
	// lookup nosuch: protocol not found
}

func ExampleResolver_GetAddrInfo() {
	infos, err := home.GetAddrInfo(context.Background(), "www.python.example", "http", socket.Hints{})
	if err != nil {
		fmt.Println(err)
	}
	for _, ai := range infos {
		fmt.Println("Family        :", ai.Family)
		fmt.Println("Type          :", ai.Type)
		fmt.Println("Protocol      :", ai.Proto)
		fmt.Printf("Canonical name: %q\n", ai.CanonName)
		fmt.Println("Socket address:", ai.Addr)
	}

	// Blanks around a name belong to it.
	_, err = home.GetAddrInfo(context.Background(), " www.python.example", " http", socket.Hints{})
	fmt.Println(err)
	// Output:
	// Family        : AF_INET6
	// Type          : SOCK_STREAM
	// Protocol      : IPPROTO_TCP
	// Canonical name: ""
	// Socket address: [2001:db8::a2]:80
	// Family        : AF_INET
	// Type          : SOCK_STREAM
	// Protocol      : IPPROTO_TCP
	// Canonical name: ""
	// Socket address: 192.0.2.162:80
	// getaddrinfo " www.python.example: http": servname not supported for ai_socktype
}

// Hints keep to TCP over IPv4; the canonical name is in the first answer.
func ExampleHints() {
	infos, err := home.GetAddrInfo(context.Background(), "www.python.example", "80", socket.Hints{
		Family: unix.AF_INET,
		Type:   unix.SOCK_STREAM,
		Proto:  unix.IPPROTO_TCP,
		Flags:  socket.AI_CANONNAME,
	})
	for _, ai := range infos {
		fmt.Println(ai.Family, ai.Type, ai.Proto, ai.CanonName, ai.Addr, err)
	}
	// Output: AF_INET SOCK_STREAM IPPROTO_TCP python.example 192.0.2.162:80 <nil>
}

// A protocol is a number with a name or without one.
func ExampleAddrInfo() {
	infos, err := home.GetAddrInfo(context.Background(), "127.0.0.1", "", socket.Hints{Type: unix.SOCK_RAW, Proto: 253})
	for _, ai := range infos {
		fmt.Println(ai.Family, ai.Type, ai.Proto, ai.Addr, err)
	}
	// Output: AF_INET SOCK_RAW Proto(253) 127.0.0.1:0 <nil>
}

// Own machine: the addresses to connect to, and those to bind a server to.
func ExampleGetAddrInfo() {
	show := func(host string, flags socket.AI) {
		infos, err := socket.GetAddrInfo(context.Background(), host, "8080", socket.Hints{Type: unix.SOCK_STREAM, Flags: flags})
		for _, ai := range infos {
			fmt.Print(ai.Addr, " ")
		}
		fmt.Println(err)
	}
	show("", 0)
	show("", socket.AI_PASSIVE)
	show("127.1", socket.AI_NUMERICHOST)
	// Output:
	// [::1]:8080 127.0.0.1:8080 <nil>
	// 0.0.0.0:8080 [::]:8080 <nil>
	// 127.0.0.1:8080 <nil>
}

func ExampleResolver_GetNameInfo() {
	addr, err := home.NameToAddr(context.Background(), unix.AF_INET, "homer", 80)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(home.GetNameInfo(context.Background(), addr, 0))
	fmt.Println(home.GetNameInfo(context.Background(), addr, socket.NI_NOFQDN))
	fmt.Println(home.GetNameInfo(context.Background(), addr, socket.NI_NUMERICHOST|socket.NI_NUMERICSERV))
	// Output:
	// homer.hellfly.net http <nil>
	// homer http <nil>
	// 192.168.1.8 80 <nil>
}

func ExampleNameToAddr() {
	for _, host := range []string{"", "<broadcast>", "127.1"} {
		fmt.Println(socket.NameToAddr(context.Background(), unix.AF_INET, host, 7))
	}
	// Output:
	// 0.0.0.0:7 <nil>
	// 255.255.255.255:7 <nil>
	// 127.0.0.1:7 <nil>
}

// A look-up waits on a goroutine of the loop's, not on the loop; its answer is used
// on the loop. Canceling the context ends the wait.
func ExampleGetAddrInfo_loop() {
	l, err := loop.New(loop.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()

	lookup := func(ctx context.Context, host string, use func([]socket.AddrInfo, error)) error {
		var infos []socket.AddrInfo
		return l.Offload(func() (err error) {
			infos, err = home.GetAddrInfo(ctx, host, "http", socket.Hints{Family: unix.AF_INET})
			return err
		}, func(err error) { use(infos, err) })
	}
	err = lookup(ctx, "homer", func(infos []socket.AddrInfo, err error) {
		if err == nil {
			fmt.Println("connect to", infos[0].Addr) // channel.Dial(l, ...)
		}
		later, cancel := context.WithCancel(ctx)
		cancel()
		err = lookup(later, "nosuchname", func(_ []socket.AddrInfo, err error) {
			fmt.Println(errors.Is(err, context.Canceled), err)
		})
		if err != nil {
			fmt.Println(err)
		}
	})
	if err != nil {
		fmt.Println(err)
	}
	if err := l.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// connect to 192.168.1.8:80
	// true getaddrinfo "nosuchname:http": request canceled: context canceled
}
