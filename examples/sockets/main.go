//go:build unix

// Sockets prints what the system knows of hosts, services, protocols, addresses and
// constants: the examples that every introduction to Python's socket module has, one
// sub-command each.
//
//	go run ./examples/sockets getaddrinfo localhost http
//	go run ./examples/sockets families
//
// Without arguments it lists the sub-commands. An argument that has no answer gets the
// error in its line, and the exit code is 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"text/tabwriter"

	"github.com/seed-20e08ac4/asyncore/socket"
)

// env is what the sub-commands work with.
type env struct {
	context.Context
	*socket.Resolver
	out io.Writer
}

func (e *env) printf(format string, args ...any) { fmt.Fprintf(e.out, format, args...) }

type command struct {
	name, args, text string
	least            int // so many arguments at least
	most             int // and at most; -1: any number
	run              func(e *env, args []string) error
}

var commands = []command{
	{"families", "", "names and numbers of the address families", 0, 0, constants("AF_")},
	{"types", "", "of the socket types", 0, 0, constants("SOCK_")},
	{"protocols", "", "of the protocols", 0, 0, constants("IPPROTO_")},
	{"defaults", "", "what a socket is that is made without arguments", 0, 0, defaults},
	{"gethostname", "", "this machine's name", 0, 0, hostname},
	{"gethostbyname", "HOST...", "a host's first IPv4 address", 1, -1, each(hostByName)},
	{"gethostbyname_ex", "HOST...", "its canonical name, aliases and addresses", 1, -1, each(hostByNameEx)},
	{"getfqdn", "HOST...", "its full name", 1, -1, each(fqdn)},
	{"gethostbyaddr", "ADDR...", "the names of an address", 1, -1, each(hostByAddr)},
	{"getservbyname", "URL...", "the port of a URL's scheme", 1, -1, each(serviceByName)},
	{"getservbyport", "PORT...", "a URL's scheme for a port", 1, -1, each(serviceByPort)},
	{"getprotobyname", "NAME...", "a protocol's number", 1, -1, each(protocolByName)},
	{"getaddrinfo", "HOST SERVICE", "all that a socket needs for a service of a host", 2, 2, addrInfo(0)},
	{"canonname", "HOST SERVICE", "the same by TCP and IPv4, with the canonical name", 2, 2, addrInfo(socket.AI_CANONNAME)},
	{"getnameinfo", "ADDR PORT", "the names of an address and a port", 2, 2, nameInfo},
	{"inet_aton", "ADDR...", "an IPv4 address in binary and back", 1, -1, each(aton)},
	{"inet_pton", "ADDR...", "an IPv6 address in binary and back", 1, -1, each(pton)},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(&env{ctx, &socket.Resolver{}, os.Stdout}, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(e *env, args []string) error {
	for _, c := range commands {
		if len(args) == 0 || c.name != args[0] {
			continue
		}
		if n := len(args) - 1; n < c.least || c.most >= 0 && n > c.most {
			return fmt.Errorf("usage: sockets %s %s", c.name, c.args)
		}
		return c.run(e, args[1:])
	}
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	for _, c := range commands {
		fmt.Fprintf(w, "%s %s\t%s\n", c.name, c.args, c.text)
	}
	w.Flush()
	return errors.New("usage: sockets COMMAND [ARGUMENT...]")
}

// each runs a command for each argument by itself.
func each(run func(e *env, arg string) error) func(*env, []string) error {
	return func(e *env, args []string) error {
		failed := 0
		for _, arg := range args {
			if err := run(e, arg); err != nil {
				e.printf("%s : %v\n", arg, err)
				failed++
			}
		}
		if failed > 0 {
			return fmt.Errorf("%d of %d without an answer", failed, len(args))
		}
		return nil
	}
}
