package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// ConnectOptions are CreateConnection's; the zero value has none.
type ConnectOptions struct {
	// Timeout is for each address, set before connect, and stays that of the Socket;
	// 0 is none, unlike in SetTimeout: the Socket is blocking.
	Timeout time.Duration
	// Source, if not nil, is what the Socket is bound to. Addresses of another family
	// then fail.
	Source Addr
	// Resolver is asked for host and service; nil is the system's.
	Resolver *Resolver
}

// CreateConnection connects to a TCP service by its name: Python's create_connection.
// It tries every address that GetAddrInfo answers, one after the other in that order,
// and takes as long as all of them do: package net's Dialer tries several at once
// instead. When ctx ends, so does the try under way.
//
// An error tells every address's failure: errors.Is and errors.As look into each, and
// Timeout is the last one's. That of GetAddrInfo comes as it is.
func CreateConnection(ctx context.Context, host, service string, o ConnectOptions) (*Socket, error) {
	if o.Timeout < 0 {
		return nil, creationError("connect", "", 0, 0, errNegativeTimeout)
	}
	infos, err := o.Resolver.GetAddrInfo(ctx, host, service, Hints{Type: sockStream})
	if err != nil {
		return nil, err
	}
	var failures connectErrors
	for _, info := range infos {
		s, err := connectTo(ctx, info, o)
		if err == nil {
			return s, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	switch len(failures) {
	case 0:
		return nil, fmt.Errorf("connect to %s: getaddrinfo returns an empty list", net.JoinHostPort(host, service))
	case 1:
		return nil, failures[0]
	}
	return nil, failures
}

func connectTo(ctx context.Context, to AddrInfo, o ConnectOptions) (*Socket, error) {
	s, err := New(to.Family, to.Type, to.Proto)
	if err != nil {
		return nil, withAddress(err, o.Source, to.Addr)
	}
	if o.Timeout > 0 {
		err = s.SetTimeout(o.Timeout)
	}
	if err == nil && o.Source != nil {
		err = withAddress(s.Bind(o.Source), o.Source, to.Addr)
	}
	if err == nil {
		err = connectContext(ctx, s, to.Addr)
	}
	if err != nil {
		s.Close() // of a context that has ended, a second time
		return nil, withAddress(err, o.Source, to.Addr)
	}
	return s, nil
}

func connectContext(ctx context.Context, s *Socket, to Addr) error {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		s.Close()
		close(closed)
	})
	err := s.Connect(to)
	if stop() {
		return err
	}
	<-closed
	err = ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		err = contextTimeout{}
	}
	return s.fail("connect", "", -1, err)
}

// contextTimeout is a timeout both in the context's way and in that of the package.
type contextTimeout struct{ timedOut }

func (contextTimeout) Is(target error) bool {
	return target == os.ErrDeadlineExceeded || target == context.DeadlineExceeded
}

// connectErrors are the failures of all addresses, in their order.
type connectErrors []error

func (all connectErrors) Error() string {
	texts := make([]string, len(all))
	for i, err := range all {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (all connectErrors) Unwrap() []error { return all }

func (all connectErrors) Timeout() bool {
	err, ok := errors.AsType[net.Error](all[len(all)-1])
	return ok && err.Timeout()
}

func (all connectErrors) Temporary() bool { return false }

// ServerOptions are CreateServer's; the zero value has none.
type ServerOptions struct {
	Backlog   int  // Listen's; 0 is 128, as in Python
	DualStack bool // an Inet6Addr that takes connections of IPv4 too, from ::ffff:a.b.c.d
	ReusePort bool // SO_REUSEPORT: several sockets listen on the same port
}

const (
	defaultBacklog = 128

	errDualFamily = argumentError("dual stack needs an address of AF_INET6")
)

// CreateServer returns a blocking listener of the address's family and SOCK_STREAM:
// Python's create_server. SO_REUSEADDR is set, so that a server can begin again at
// once. Without DualStack an Inet6Addr is for IPv6 alone, whatever the system's
// default.
func CreateServer(a Addr, o ServerOptions) (*Socket, error) {
	if a == nil {
		return nil, creationError("listen", "", 0, 0, errNoAddress)
	}
	f := a.Family()
	if o.DualStack {
		var err error
		switch {
		case f != afInet6:
			err = errDualFamily
		case !HasDualStack():
			err = fmt.Errorf("dual stack: %w", errors.ErrUnsupported)
		}
		if err != nil {
			return nil, withAddress(creationError("listen", "", f, sockStream, err), nil, a)
		}
	}
	s, err := New(f, sockStream, 0)
	if err != nil {
		return nil, withAddress(err, nil, a)
	}
	if err := s.serve(a, o); err != nil {
		s.Close()
		return nil, withAddress(err, nil, a)
	}
	return s, nil
}

func (s *Socket) serve(a Addr, o ServerOptions) error {
	if err := SetSockOpt(s, solSocket, soReuseAddr, true); err != nil {
		return err
	}
	if o.ReusePort {
		if err := SetSockOpt(s, solSocket, soReusePort, true); err != nil {
			return err
		}
	}
	if s.family == afInet6 {
		if err := SetSockOpt(s, ipprotoIPv6, ipv6V6Only, !o.DualStack); err != nil {
			return err
		}
	}
	if err := s.Bind(a); err != nil {
		return err
	}
	if o.Backlog == 0 {
		o.Backlog = defaultBacklog
	}
	return s.Listen(o.Backlog)
}

// HasDualStack tells whether a socket of AF_INET6 can take connections of IPv4:
// Python's has_dualstack_ipv6.
func HasDualStack() bool {
	s, err := New(afInet6, sockStream, 0)
	if err != nil {
		return false
	}
	defer s.Close()
	return SetSockOpt(s, ipprotoIPv6, ipv6V6Only, false) == nil
}
