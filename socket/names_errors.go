package socket

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
)

// EAI is what went wrong in GetAddrInfo or GetNameInfo, by glibc's numbers on every
// system. It is an error itself: errors.Is(err, EAI_NONAME).
type EAI int

// The codes. Nothing here returns EAI_NODATA, since package net doesn't tell a name
// without addresses from no such name, EAI_MEMORY or EAI_OVERFLOW.
const (
	EAI_BADFLAGS   EAI = -1   // an unknown flag, or AI_CANONNAME without a host
	EAI_NONAME     EAI = -2   // no such host, or not a number where one was asked for
	EAI_AGAIN      EAI = -3   // no answer from the DNS in time, or its server failed
	EAI_FAIL       EAI = -4   // the DNS refused, or made no sense
	EAI_NODATA     EAI = -5   // the host has no addresses
	EAI_FAMILY     EAI = -6   // a family other than AF_UNSPEC, AF_INET, AF_INET6
	EAI_SOCKTYPE   EAI = -7   // an unknown type, or one that the protocol doesn't have
	EAI_SERVICE    EAI = -8   // no such service for that type
	EAI_ADDRFAMILY EAI = -9   // a numeric host of the other family
	EAI_MEMORY     EAI = -10  // out of memory
	EAI_SYSTEM     EAI = -11  // a file couldn't be read; Err tells
	EAI_OVERFLOW   EAI = -12  // a name that is too long
	EAI_CANCELED   EAI = -101 // the context was canceled
)

// String returns glibc's text, that of gai_strerror(3) and Python's gaierror.
func (e EAI) String() string {
	switch e {
	case EAI_BADFLAGS:
		return "Bad value for ai_flags"
	case EAI_NONAME:
		return "Name or service not known"
	case EAI_AGAIN:
		return "Temporary failure in name resolution"
	case EAI_FAIL:
		return "Non-recoverable failure in name resolution"
	case EAI_NODATA:
		return "No address associated with hostname"
	case EAI_FAMILY:
		return "ai_family not supported"
	case EAI_SOCKTYPE:
		return "ai_socktype not supported"
	case EAI_SERVICE:
		return "Servname not supported for ai_socktype"
	case EAI_ADDRFAMILY:
		return "Address family for hostname not supported"
	case EAI_MEMORY:
		return "Memory allocation failure"
	case EAI_SYSTEM:
		return "System error"
	case EAI_OVERFLOW:
		return "Argument buffer overflow"
	case EAI_CANCELED:
		return "Request canceled"
	}
	return "Unknown error"
}

// Error returns String in lower case.
func (e EAI) Error() string { return strings.ToLower(e.String()) }

// HErrno is what went wrong in HostByNameEx or HostByAddr: h_errno.
type HErrno int

// The codes of gethostbyname(3). Nothing here returns NO_DATA, for EAI_NODATA's reason.
const (
	NETDB_INTERNAL HErrno = -1 // the context was canceled, or a file couldn't be read
	HOST_NOT_FOUND HErrno = 1  // no such host
	TRY_AGAIN      HErrno = 2  // no answer from the DNS in time, or its server failed
	NO_RECOVERY    HErrno = 3  // the DNS refused, or made no sense
	NO_DATA        HErrno = 4  // the host has no addresses
)

// String returns glibc's text, that of hstrerror(3) and Python's herror.
func (e HErrno) String() string {
	switch e {
	case NETDB_INTERNAL:
		return "Resolver internal error"
	case HOST_NOT_FOUND:
		return "Unknown host"
	case TRY_AGAIN:
		return "Host name lookup failure"
	case NO_RECOVERY:
		return "Unknown server error"
	case NO_DATA:
		return "No address associated with name"
	}
	return "Unknown resolver error"
}

// Error returns String in lower case.
func (e HErrno) Error() string { return strings.ToLower(e.String()) }

// AddrInfoError is Python's gaierror. errors.Is finds in it the code, what Err
// wraps, as context.Canceled, and, if it is a timeout, os.ErrDeadlineExceeded. It is
// a net.Error.
type AddrInfoError struct {
	Op            string // "getaddrinfo", "getnameinfo"
	Host, Service string // as they were asked for
	Code          EAI
	Err           error // a *net.DNSError, the context's or a file's; or nil
}

// Error returns the form `getaddrinfo "nosuch.example": name or service not known`.
func (e *AddrInfoError) Error() string {
	what := e.Host
	if e.Service != "" {
		what = net.JoinHostPort(e.Host, e.Service)
	}
	return errorText(e.Op, what, e.Code, e.Err)
}

// Unwrap returns Code, and Err if there is one.
func (e *AddrInfoError) Unwrap() []error { return unwrap(e.Code, e.Err) }

// Is tells whether the error is a timeout, where target is os.ErrDeadlineExceeded.
func (e *AddrInfoError) Is(target error) bool { return target == os.ErrDeadlineExceeded && e.Timeout() }

// Timeout tells whether the DNS gave no answer in time, be it the context's deadline
// or the server's. Only the former is a context.DeadlineExceeded.
func (e *AddrInfoError) Timeout() bool { return isTimeout(e.Err) }

// Temporary tells whether the same question may be answered later.
func (e *AddrInfoError) Temporary() bool { return e.Code == EAI_AGAIN }

// HostError is Python's herror, with the methods of an AddrInfoError.
type HostError struct {
	Op   string // "gethostbyname", "gethostbyaddr"
	Host string
	Code HErrno
	Err  error // a *net.DNSError or the context's; or nil
}

// Error returns the form `gethostbyaddr "192.0.2.1": unknown host`.
func (e *HostError) Error() string { return errorText(e.Op, e.Host, e.Code, e.Err) }

// Unwrap returns Code, and Err if there is one.
func (e *HostError) Unwrap() []error { return unwrap(e.Code, e.Err) }

// Is tells whether the error is a timeout, where target is os.ErrDeadlineExceeded.
func (e *HostError) Is(target error) bool { return target == os.ErrDeadlineExceeded && e.Timeout() }

// Timeout is as AddrInfoError's.
func (e *HostError) Timeout() bool { return isTimeout(e.Err) }

// Temporary is as AddrInfoError's.
func (e *HostError) Temporary() bool { return e.Code == TRY_AGAIN }

var (
	_ net.Error = (*AddrInfoError)(nil)
	_ net.Error = (*HostError)(nil)
)

func unwrap(code, err error) []error {
	if err == nil {
		return []error{code}
	}
	return []error{code, err}
}

// errorText leaves out of err only that there is no such host: code has said it.
func errorText(op, what string, code, err error) string {
	s := op + " " + strconv.Quote(what) + ": " + code.Error()
	if d, ok := err.(*net.DNSError); err == nil || ok && d.IsNotFound {
		return s
	}
	return s + ": " + err.Error()
}

func isTimeout(err error) bool {
	d, ok := errors.AsType[*net.DNSError](err)
	return ok && d.IsTimeout || errors.Is(err, context.DeadlineExceeded)
}

// addrInfoError makes an AddrInfoError of an EAI, or of what net.Resolver, a file or
// the context returned.
func addrInfoError(op, host, service string, err error) error {
	e := &AddrInfoError{Op: op, Host: host, Service: service, Code: EAI_SYSTEM, Err: err}
	if code, ok := err.(EAI); ok {
		e.Code, e.Err = code, nil
		return e
	}
	switch hostCode(err) {
	case NETDB_INTERNAL:
		if errors.Is(err, context.Canceled) {
			e.Code = EAI_CANCELED
		}
	case HOST_NOT_FOUND:
		e.Code = EAI_NONAME
	case TRY_AGAIN:
		e.Code = EAI_AGAIN
	default:
		e.Code = EAI_FAIL
	}
	return e
}

// hostCode sorts what net.Resolver, a file or the context returned.
func hostCode(err error) HErrno {
	_, other := errors.AsType[*net.AddrError](err) // the system's hosts has the other family
	d, dns := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return NETDB_INTERNAL
	case errors.Is(err, context.DeadlineExceeded):
		return TRY_AGAIN
	case other, dns && d.IsNotFound:
		return HOST_NOT_FOUND
	case dns && (d.IsTimeout || d.IsTemporary):
		return TRY_AGAIN
	case dns:
		return NO_RECOVERY
	}
	return NETDB_INTERNAL
}
