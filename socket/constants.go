package socket

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
)

//go:generate go run gen.go

// IPv4 addresses with a meaning, as numbers in host order (netinet/in.h).
const (
	INADDR_ANY             uint32 = 0
	INADDR_LOOPBACK        uint32 = 0x7f000001
	INADDR_BROADCAST       uint32 = 0xffffffff
	INADDR_NONE            uint32 = 0xffffffff
	INADDR_UNSPEC_GROUP    uint32 = 0xe0000000
	INADDR_ALLHOSTS_GROUP  uint32 = 0xe0000001
	INADDR_MAX_LOCAL_GROUP uint32 = 0xe00000ff
)

// Ports below IPPORT_RESERVED are for privileged programs, those above
// IPPORT_USERRESERVED for servers that are not (netinet/in.h).
const (
	IPPORT_RESERVED     = 1024
	IPPORT_USERRESERVED = 5000
)

type constant struct {
	name  string
	value int64
}

// ownConstants is sorted by name.
var ownConstants = []constant{
	{"AI_ADDRCONFIG", int64(AI_ADDRCONFIG)},
	{"AI_ALL", int64(AI_ALL)},
	{"AI_CANONNAME", int64(AI_CANONNAME)},
	{"AI_NUMERICHOST", int64(AI_NUMERICHOST)},
	{"AI_NUMERICSERV", int64(AI_NUMERICSERV)},
	{"AI_PASSIVE", int64(AI_PASSIVE)},
	{"AI_V4MAPPED", int64(AI_V4MAPPED)},
	{"EAI_ADDRFAMILY", int64(EAI_ADDRFAMILY)},
	{"EAI_AGAIN", int64(EAI_AGAIN)},
	{"EAI_BADFLAGS", int64(EAI_BADFLAGS)},
	{"EAI_CANCELED", int64(EAI_CANCELED)},
	{"EAI_FAIL", int64(EAI_FAIL)},
	{"EAI_FAMILY", int64(EAI_FAMILY)},
	{"EAI_MEMORY", int64(EAI_MEMORY)},
	{"EAI_NODATA", int64(EAI_NODATA)},
	{"EAI_NONAME", int64(EAI_NONAME)},
	{"EAI_OVERFLOW", int64(EAI_OVERFLOW)},
	{"EAI_SERVICE", int64(EAI_SERVICE)},
	{"EAI_SOCKTYPE", int64(EAI_SOCKTYPE)},
	{"EAI_SYSTEM", int64(EAI_SYSTEM)},
	{"INADDR_ALLHOSTS_GROUP", int64(INADDR_ALLHOSTS_GROUP)},
	{"INADDR_ANY", int64(INADDR_ANY)},
	{"INADDR_BROADCAST", int64(INADDR_BROADCAST)},
	{"INADDR_LOOPBACK", int64(INADDR_LOOPBACK)},
	{"INADDR_MAX_LOCAL_GROUP", int64(INADDR_MAX_LOCAL_GROUP)},
	{"INADDR_NONE", int64(INADDR_NONE)},
	{"INADDR_UNSPEC_GROUP", int64(INADDR_UNSPEC_GROUP)},
	{"IPPORT_RESERVED", int64(IPPORT_RESERVED)},
	{"IPPORT_USERRESERVED", int64(IPPORT_USERRESERVED)},
	{"NI_DGRAM", int64(NI_DGRAM)},
	{"NI_MAXHOST", int64(NI_MAXHOST)},
	{"NI_MAXSERV", int64(NI_MAXSERV)},
	{"NI_NAMEREQD", int64(NI_NAMEREQD)},
	{"NI_NOFQDN", int64(NI_NOFQDN)},
	{"NI_NUMERICHOST", int64(NI_NUMERICHOST)},
	{"NI_NUMERICSERV", int64(NI_NUMERICSERV)},
}

// Constants returns this system's constants whose name begins with prefix, such as
// "SOCK_", or all for "", sorted by name: those of golang.org/x/sys/unix that are
// about sockets (AF_, SOCK_, SO_, SOL_, MSG_, IP_, IPV6_, TCP_, IPPROTO_ and more)
// and this package's own (EAI_, AI_, NI_, INADDR_, IPPORT_). It is what Python's
// programs find in dir(socket), but for what x/sys hasn't: CAN_BCM_, J1939_ and a few
// more. A number may have two names, and can need 32 bits without a sign. Other
// systems than Linux, macOS and the BSDs have little besides the package's own.
func Constants(prefix string) iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		all := slices.Concat(withPrefix(systemConstants, prefix), withPrefix(ownConstants, prefix))
		slices.SortFunc(all, byName)
		for _, c := range all {
			if !yield(c.name, c.value) {
				return
			}
		}
	}
}

func byName(a, b constant) int { return cmp.Compare(a.name, b.name) }

// withPrefix returns a part of a sorted list.
func withPrefix(list []constant, prefix string) []constant {
	from, _ := slices.BinarySearchFunc(list, constant{name: prefix}, byName)
	list = list[from:]
	for i, c := range list {
		if !strings.HasPrefix(c.name, prefix) {
			return list[:i]
		}
	}
	return list
}

// String returns the name, AF_INET, or the number, Family(77), where it has none
// here. Of two names it is the usual one: AF_UNIX, not AF_LOCAL; AF_NETLINK, not
// AF_ROUTE.
func (f Family) String() string { return nameOf("AF_", int64(f), "Family") }

// String returns the name, SOCK_STREAM, or the number, Type(77), where it has none
// here, then the flags that are set: SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK.
func (t Type) String() string {
	var s strings.Builder
	s.WriteString(nameOf("SOCK_", int64(t&^sockFlags), "Type"))
	for _, c := range withPrefix(systemConstants, "SOCK_") {
		if flag := Type(c.value); flag&sockFlags != 0 && t&flag == flag {
			s.WriteString("|" + c.name)
		}
	}
	return s.String()
}

// String returns the name, IPPROTO_TCP, or the number, Proto(200), where it has none
// here. 0 is IPPROTO_IP, not IPPROTO_HOPOPTS.
func (p Proto) String() string { return nameOf("IPPROTO_", int64(p), "Proto") }

func nameOf(prefix string, value int64, typ string) string {
	name := ""
	for _, c := range withPrefix(systemConstants, prefix) {
		if c.value == value && (name == "" || isUsual(c.name)) {
			name = c.name
		}
	}
	if name == "" {
		return fmt.Sprintf("%s(%d)", typ, value)
	}
	return name
}

// isUsual tells the name of choice where a number has several.
func isUsual(name string) bool {
	switch name {
	case "AF_UNIX", "AF_NETLINK", "IPPROTO_IP":
		return true
	}
	return false
}

// HasIPv6 tells whether an IPv6 socket can be made and bound to ::1. Python's has_ipv6
// tells only what it was compiled with.
func HasIPv6() bool { return hasIPv6() }
