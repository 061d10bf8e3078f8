//go:build unix

package main

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/socket"
)

func hostname(e *env, _ []string) error {
	name, err := e.Hostname()
	if err == nil {
		e.printf("%s\n", name)
	}
	return err
}

func hostByName(e *env, host string) error {
	addr, err := e.HostByName(e, host)
	if err == nil {
		e.printf("%s : %s\n", host, addr)
	}
	return err
}

func hostByNameEx(e *env, host string) error {
	entry, err := e.HostByNameEx(e, host)
	if err == nil {
		e.entry(host, entry)
	}
	return err
}

func hostByAddr(e *env, addr string) error {
	entry, err := e.HostByAddr(e, addr)
	if err == nil {
		e.entry(addr, entry)
	}
	return err
}

func (e *env) entry(asked string, h socket.HostEntry) {
	e.printf("%s\n  Hostname: %s\n  Aliases : %q\n  Addresses: %s\n", asked, h.Name, h.Aliases, h.Addrs)
}

func fqdn(e *env, host string) error {
	e.printf("%6s : %s\n", host, e.FQDN(e, host))
	return nil
}

func serviceByName(e *env, rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil {
		return err
	}
	port, err := e.ServiceByName(u.Scheme, "")
	if err == nil {
		e.printf("%6s : %d\n", u.Scheme, port)
	}
	return err
}

func serviceByPort(e *env, port string) error {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	name, err := e.ServiceByPort(uint16(n), "")
	if err == nil {
		e.printf("%s\n", &url.URL{Scheme: name, Host: "example.com", Path: "/"})
	}
	return err
}

func protocolByName(e *env, name string) error {
	proto, err := e.ProtocolByName(name)
	if err == nil {
		e.printf("%4s -> %2d (%v)\n", name, int(proto), proto)
	}
	return err
}

// addrInfo prints a block for each answer. A protocol without a name here is printed
// as a number, and ends nothing.
func addrInfo(flags socket.AI) func(*env, []string) error {
	return func(e *env, args []string) error {
		hints := socket.Hints{Flags: flags}
		if flags != 0 {
			hints.Family, hints.Type, hints.Proto = unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP
		}
		infos, err := e.GetAddrInfo(e, args[0], args[1], hints)
		if err != nil {
			return err
		}
		for i, a := range infos {
			if i > 0 {
				e.printf("\n")
			}
			e.printf("Family        : %v\nType          : %v\nProtocol      : %v\nCanonical name: %s\nSocket address: %v\n",
				a.Family, a.Type, a.Proto, a.CanonName, a.Addr)
		}
		return nil
	}
}

func nameInfo(e *env, args []string) error {
	ap, err := netip.ParseAddrPort(net.JoinHostPort(args[0], args[1]))
	if err != nil {
		return err
	}
	host, service, err := e.GetNameInfo(e, socket.FromAddrPort(ap), 0)
	if err == nil {
		e.printf("%s %s\n", host, service)
	}
	return err
}
