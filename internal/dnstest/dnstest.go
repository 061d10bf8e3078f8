// Package dnstest has a resolver for tests and examples that must not ask the network.
package dnstest

import (
	"bytes"
	"context"
	"net"
	"time"
)

// Nobody returns a resolver whose name server knows no name.
func Nobody() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return new(conn), nil
	}}
}

// conn is a connection to that server, as by TCP: it sends queries back as answers that
// say NXDOMAIN.
type conn struct {
	net.Conn
	bytes.Buffer
}

func (c *conn) Read(p []byte) (int, error) { return c.Buffer.Read(p) }

func (c *conn) Write(p []byte) (int, error) {
	c.Buffer.Write(p)
	b := c.Bytes()[c.Len()-len(p):]
	b[4], b[5] = b[4]|0x80, b[5]|3 // behind the length and the number
	return len(p), nil
}

func (c *conn) Close() error                { return nil }
func (c *conn) SetDeadline(time.Time) error { return nil }
