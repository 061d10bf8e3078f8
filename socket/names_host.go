package socket

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// HostEntry is what is known about a host: its canonical name, the other names and
// the addresses (struct hostent).
type HostEntry struct {
	Name    string
	Aliases []string
	Addrs   []netip.Addr
}

// HostByName returns the first IPv4 address of a host (gethostbyname(3)); a numeric
// one comes back in its usual form. "" is 0.0.0.0, "<broadcast>" 255.255.255.255.
// The error is an *AddrInfoError.
func (r *Resolver) HostByName(ctx context.Context, host string) (netip.Addr, error) {
	return r.nameToIP(ctx, afInet, host)
}

// HostByName is the zero Resolver's.
func HostByName(ctx context.Context, host string) (netip.Addr, error) {
	return new(Resolver).HostByName(ctx, host)
}

// HostByNameEx returns all the names and IPv4 addresses of a host, each once. Of a
// name that the DNS has a CNAME for, that name is the only alias told. The error is
// an *AddrInfoError, or a *HostError for "" and "<broadcast>", which HostByName takes.
func (r *Resolver) HostByNameEx(ctx context.Context, host string) (HostEntry, error) {
	switch host {
	case "":
		return HostEntry{}, &HostError{Op: "gethostbyname", Code: NO_RECOVERY}
	case "<broadcast>":
		return HostEntry{}, &HostError{Op: "gethostbyname", Host: host, Code: HOST_NOT_FOUND}
	}
	e, err := r.resolve(ctx, host, afInet, AI_CANONNAME)
	if err != nil {
		return HostEntry{}, addrInfoError("getaddrinfo", host, "", err)
	}
	return e, nil
}

// HostByNameEx is the zero Resolver's.
func HostByNameEx(ctx context.Context, host string) (HostEntry, error) {
	return new(Resolver).HostByNameEx(ctx, host)
}

// HostByAddr returns the names of an address, IPv4 or IPv6, and that address
// (gethostbyaddr(3)). A name is turned into its first address before. The reverse
// name is what the owner of the address wrote down, often not the name that led to
// it. Of the hosts file the first line counts. An IPv4-mapped address has the names
// of the IPv4 one. The error is a *HostError, or an *AddrInfoError for a name that
// has no address and for "".
func (r *Resolver) HostByAddr(ctx context.Context, host string) (HostEntry, error) {
	ip, err := r.nameToIP(ctx, afUnspec, host)
	if err != nil {
		return HostEntry{}, err
	}
	names, err := r.names(ctx, ip)
	if err != nil {
		return HostEntry{}, &HostError{Op: "gethostbyaddr", Host: host, Code: hostCode(err), Err: err}
	}
	return HostEntry{Name: names[0], Aliases: names[1:], Addrs: []netip.Addr{ip}}, nil
}

// HostByAddr is the zero Resolver's.
func HostByAddr(ctx context.Context, host string) (HostEntry, error) {
	return new(Resolver).HostByAddr(ctx, host)
}

// FQDN returns the first name of a host that has a dot in it, of those that
// HostByAddr knows, or else its canonical one: Python's getfqdn. "", "0.0.0.0" and
// "::" are this machine. What can't be found, also because ctx ended, comes back as
// it is, without the blanks around it.
func (r *Resolver) FQDN(ctx context.Context, host string) string {
	host = strings.TrimSpace(host)
	if host == "" || host == "0.0.0.0" || host == "::" {
		name, err := r.Hostname()
		if err != nil || name == "" {
			return host
		}
		host = name
	}
	e, err := r.HostByAddr(ctx, host)
	if err != nil {
		return host
	}
	for _, name := range append([]string{e.Name}, e.Aliases...) {
		if strings.Contains(name, ".") {
			return name
		}
	}
	return e.Name
}

// FQDN is the zero Resolver's.
func FQDN(ctx context.Context, host string) string { return new(Resolver).FQDN(ctx, host) }

// lookup finds a name in the hosts file or the DNS; at least one address, each once.
// Of the family not, it returns loopback addresses alone. It asks the DNS for the
// canonical name only if canon is true.
func (r *Resolver) lookup(ctx context.Context, host string, f, not Family, canon bool) (HostEntry, error) {
	name := strings.TrimSuffix(host, ".")
	e, fileErr := r.hosts(ctx, name, f)
	if ctx.Err() != nil {
		return HostEntry{}, ctx.Err()
	}
	proper := isDomainName(name)
	local := proper && isLocalhost(name)
	if e.Name == "" && local {
		e = HostEntry{Name: name, Addrs: ofFamily(f, []netip.Addr{netip.IPv6Loopback(), loopback4})}
	}
	e.Addrs = slices.DeleteFunc(e.Addrs, func(ip netip.Addr) bool { return familyOf(ip) == not && !ip.IsLoopback() })
	if len(e.Addrs) > 0 {
		slices.SortStableFunc(e.Addrs, func(a, b netip.Addr) int { return cmp.Compare(precedence(b), precedence(a)) })
		return e, nil
	}
	if local || !proper || f == not && f != afUnspec {
		return HostEntry{}, EAI_NONAME
	}

	if f == afUnspec && not != afUnspec {
		f = afInet + afInet6 - not
	}
	network := "ip"
	switch f {
	case afInet:
		network = "ip4"
	case afInet6:
		network = "ip6"
	}
	ips, err := r.dns().LookupNetIP(ctx, network, host)
	e = HostEntry{Name: name}
	for _, ip := range ips {
		if ip = ip.Unmap(); (f == afUnspec || familyOf(ip) == f) && !slices.Contains(e.Addrs, ip) {
			e.Addrs = append(e.Addrs, ip)
		}
	}
	switch {
	case err != nil && fileErr != nil:
		return HostEntry{}, fmt.Errorf("%w; %w", fileErr, err)
	case err != nil:
		return HostEntry{}, err
	case len(e.Addrs) == 0:
		return HostEntry{}, EAI_NONAME
	case !canon:
		return e, nil
	}
	// Of a chain of CNAMEs net.Resolver returns now the first name, now the last.
	for range 16 {
		next, err := r.dns().LookupCNAME(ctx, host)
		if err != nil && hostCode(err) != HOST_NOT_FOUND {
			return HostEntry{}, err
		}
		if err != nil || sameName(next, host) {
			break
		}
		host = next
	}
	if !sameName(host, name) {
		e.Name, e.Aliases = strings.TrimSuffix(host, "."), []string{name}
	}
	return e, nil
}

func sameName(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

// hosts finds a name in the hosts file, as glibc does with "multi on": all lines
// count, the first gives the canonical name. Name is set also where all the addresses
// are of the other family.
func (r *Resolver) hosts(ctx context.Context, name string, f Family) (HostEntry, error) {
	var e HostEntry
	key := []byte(name)
	is := func(field []byte) bool { return bytes.EqualFold(bytes.TrimSuffix(field, []byte(".")), key) }
	err := r.scan(ctx, "hosts", "", func(fields [][]byte) bool {
		if !slices.ContainsFunc(fields[1:], is) {
			return true
		}
		ip, ok := hostsAddr(fields[0])
		if !ok {
			return true
		}
		first := string(fields[1])
		if e.Name == "" {
			e.Name = first
		}
		if f == afInet { // as in glibc, IPv6's loopback stands for IPv4's
			if ip = ip.Unmap(); ip == netip.IPv6Loopback() {
				ip = loopback4
			}
		}
		if f != afUnspec && familyOf(ip) != f {
			return true
		}
		if len(e.Addrs) == 0 {
			e.Name, e.Aliases = first, nil
		}
		if !slices.Contains(e.Addrs, ip) {
			e.Addrs = append(e.Addrs, ip)
		}
		for _, field := range append(fields[2:], fields[1]) {
			if alias := string(field); len(e.Aliases) < maxHost && alias != e.Name && !slices.Contains(e.Aliases, alias) {
				e.Aliases = append(e.Aliases, alias)
			}
		}
		return len(e.Addrs) < maxHost
	})
	return e, err
}

// names returns the names of an address, at least one.
func (r *Resolver) names(ctx context.Context, ip netip.Addr) (names []string, err error) {
	ip = ip.Unmap().WithZone("")
	fileErr := r.scan(ctx, "hosts", "", func(fields [][]byte) bool {
		if len(fields) < 2 {
			return true
		}
		if a, ok := hostsAddr(fields[0]); !ok || a.Unmap().WithZone("") != ip {
			return true
		}
		for _, f := range fields[1:] {
			names = append(names, string(f))
		}
		return false
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if len(names) > 0 {
		return names, nil
	}
	found, err := r.dns().LookupAddr(ctx, ip.String())
	for _, name := range found {
		if name != "." {
			names = append(names, strings.TrimSuffix(name, "."))
		}
	}
	switch {
	case len(names) > 0: // beside an error that says which ones were malformed
		return names, nil
	case err != nil && fileErr != nil:
		return nil, fmt.Errorf("%w; %w", fileErr, err)
	case err == nil:
		err = notFound("no such host", ip.String(), "")
	}
	return nil, err
}

func hostsAddr(field []byte) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(string(field))
	if err != nil {
		return ip, false
	}
	_, ok := scopeID(ip.Zone())
	return ip, ok
}

var loopback4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func isLocalhost(name string) bool {
	const local = ".localhost"
	name = "." + name
	return len(name) >= len(local) && strings.EqualFold(name[len(name)-len(local):], local)
}

// isDomainName keeps what no server could answer off the network. It is laxer than
// RFC 1123 in the underscore.
func isDomainName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(c rune) bool {
		return c != '.' && c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z')
	})
}

// precedence is that of RFC 6724, section 2.1.
func precedence(ip netip.Addr) int {
	ip = toV6(ip).WithZone("")
	for _, p := range policy {
		if p.prefix.Contains(ip) {
			return p.precedence
		}
	}
	return 40
}

var policy = []struct {
	prefix     netip.Prefix
	precedence int
}{
	{netip.MustParsePrefix("::1/128"), 50},
	{netip.MustParsePrefix("::ffff:0:0/96"), 35},
	{netip.MustParsePrefix("2002::/16"), 30},
	{netip.MustParsePrefix("2001::/32"), 5},
	{netip.MustParsePrefix("fc00::/7"), 3},
	{netip.MustParsePrefix("::/96"), 1},
	{netip.MustParsePrefix("fec0::/10"), 1},
	{netip.MustParsePrefix("3ffe::/16"), 1},
}
