// Dnsprobe asks several DNS servers the same question at once, by UDP, and prints
// what each answers as it comes.
//
//	go run ./examples/dnsprobe -type AAAA example.com 192.0.2.1 192.0.2.2:5353
//
// Without servers those of /etc/resolv.conf are asked. A question without an answer is
// asked again, and an answer that is too long for UDP is fetched by TCP (RFC 7766).
// The exit code is 1 where a server has not answered.
//
// An answer is believed where it comes from the address that was asked, to the port
// that the kernel chose, with the number and the question that were sent (RFC 5452).
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

var types = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME, "MX": dnsmessage.TypeMX,
	"NS": dnsmessage.TypeNS, "PTR": dnsmessage.TypePTR, "SOA": dnsmessage.TypeSOA, "SRV": dnsmessage.TypeSRV,
	"TXT": dnsmessage.TypeTXT,
}

func main() {
	p := prober{out: os.Stdout}
	kind := flag.String("type", "A", "`type` of the record: A, AAAA, CNAME, MX, NS, PTR, SOA, SRV or TXT")
	flag.DurationVar(&p.timeout, "timeout", time.Second, "ask again after so long without an answer")
	flag.IntVar(&p.tries, "tries", 3, "ask a server so many times")
	flag.Parse()
	if err := p.main(*kind, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "dnsprobe:", err)
		os.Exit(1)
	}
}

func (p *prober) main(kind string, args []string) (err error) {
	if len(args) == 0 {
		return errors.New("usage: dnsprobe [flags] NAME [SERVER...]")
	}
	if p.timeout <= 0 || p.tries <= 0 {
		return errors.New("-timeout and -tries must be above 0")
	}
	if p.question, err = question(args[0], kind); err != nil {
		return err
	}
	servers := args[1:]
	if len(servers) == 0 {
		f, err := os.Open("/etc/resolv.conf")
		if err != nil {
			return err
		}
		defer f.Close()
		if servers = nameservers(f); len(servers) == 0 {
			return errors.New("/etc/resolv.conf names no server")
		}
	}
	for i, s := range servers {
		servers[i] = withPort(s)
	}
	return p.run(servers)
}

func question(name, kind string) (q dnsmessage.Question, err error) {
	typ, ok := types[strings.ToUpper(kind)]
	if !ok {
		return q, fmt.Errorf("unknown type %q", kind)
	}
	if !strings.HasSuffix(name, ".") {
		name += "."
	}
	n, err := dnsmessage.NewName(name)
	if err != nil {
		return q, fmt.Errorf("%q: %w", name, err)
	}
	return dnsmessage.Question{Name: n, Type: typ, Class: dnsmessage.ClassINET}, nil
}

// nameservers reads resolv.conf(5).
func nameservers(r io.Reader) (servers []string) {
	for in := bufio.NewScanner(r); in.Scan(); {
		if f := strings.Fields(in.Text()); len(f) > 1 && f[0] == "nameserver" {
			servers = append(servers, f[1])
		}
	}
	return servers
}

func withPort(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(strings.Trim(server, "[]"), "53")
}
