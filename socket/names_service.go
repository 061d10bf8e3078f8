package socket

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strconv"
)

// ServiceByName returns the port of a service by its name or an alias
// (getservbyname(3)); "" as proto is any. Names are compared exactly, and the first
// line of the services file that has one counts. Not to find it is a *net.DNSError
// with IsNotFound, as it is with net.LookupPort.
func (r *Resolver) ServiceByName(name, proto string) (uint16, error) {
	var port uint16
	found := false
	err := r.services(context.Background(), func(p uint16, pr []byte, names [][]byte) bool {
		if found = has(names, name) && (proto == "" || string(pr) == proto); found {
			port = p
		}
		return !found
	})
	if err == nil && !found {
		err = notFound("service/proto not found", name, proto)
	}
	return port, err
}

// ServiceByName is the zero Resolver's.
func ServiceByName(name, proto string) (uint16, error) {
	return new(Resolver).ServiceByName(name, proto)
}

// ServiceByPort returns the name of the service at a port (getservbyport(3)), the
// canonical one of the first line of the services file that has the port; "" as
// proto is any. Not to find it is a *net.DNSError with IsNotFound.
func (r *Resolver) ServiceByPort(port uint16, proto string) (string, error) {
	name, ok, err := r.serviceName(context.Background(), port, proto)
	if err == nil && !ok {
		err = notFound("port/proto not found", strconv.Itoa(int(port)), proto)
	}
	return name, err
}

// ServiceByPort is the zero Resolver's.
func ServiceByPort(port uint16, proto string) (string, error) {
	return new(Resolver).ServiceByPort(port, proto)
}

// ProtocolByName returns the number of a protocol by its name or an alias, compared
// exactly (getprotobyname(3)). Not to find it is a *net.DNSError with IsNotFound.
func (r *Resolver) ProtocolByName(name string) (Proto, error) {
	var number uint64
	found := false
	err := r.scan(context.Background(), "protocols", protocols, func(fields [][]byte) bool {
		if len(fields) < 2 {
			return true
		}
		fields[0], fields[1] = fields[1], fields[0]
		n, err := strconv.ParseUint(string(fields[0]), 10, 31)
		if found = err == nil && has(fields[1:], name); found {
			number = n
		}
		return !found
	})
	if err == nil && !found {
		err = notFound("protocol not found", name, "")
	}
	return Proto(number), err
}

// ProtocolByName is the zero Resolver's.
func ProtocolByName(name string) (Proto, error) { return new(Resolver).ProtocolByName(name) }

func has(names [][]byte, name string) bool {
	return slices.ContainsFunc(names, func(n []byte) bool { return string(n) == name })
}

func notFound(text, name, proto string) error {
	if proto != "" {
		name += "/" + proto
	}
	return &net.DNSError{Err: text, Name: name, IsNotFound: true}
}

func (r *Resolver) serviceName(ctx context.Context, port uint16, proto string) (name string, found bool, err error) {
	err = r.services(ctx, func(p uint16, pr []byte, names [][]byte) bool {
		if found = p == port && (proto == "" || string(pr) == proto); found {
			name = string(names[0])
		}
		return !found
	})
	return name, found, err
}

// servicePorts returns the ports of a service by protocol.
func (r *Resolver) servicePorts(ctx context.Context, name string) (map[string]uint16, error) {
	ports := make(map[string]uint16)
	err := r.services(ctx, func(p uint16, pr []byte, names [][]byte) bool {
		if _, ok := ports[string(pr)]; !ok && has(names, name) {
			ports[string(pr)] = p
		}
		return true
	})
	return ports, err
}

// services gives the lines of the services file, names and aliases together.
func (r *Resolver) services(ctx context.Context, line func(port uint16, proto []byte, names [][]byte) bool) error {
	return r.scan(ctx, "services", services, func(fields [][]byte) bool {
		if len(fields) < 2 {
			return true
		}
		number, proto, _ := bytes.Cut(fields[1], []byte("/"))
		port, err := strconv.ParseUint(string(number), 10, 16)
		if err != nil || len(proto) == 0 {
			return true
		}
		return line(uint16(port), proto, slices.Delete(fields, 1, 2))
	})
}
