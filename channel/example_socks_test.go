//go:build unix

package channel_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// socks is one client of a SOCKS5 server (RFC 1928) that asks for no password
// and knows one command, CONNECT. Each step is a Handler of its own; a message
// that is not complete goes back with Unread.
type socks struct{ client *channel.Conn }

func acceptSocks(c *channel.Conn) *channel.Handler {
	s := &socks{c}
	return &channel.Handler{Read: s.greeting}
}

// greeting: 5, count, methods.
func (s *socks) greeting(c *channel.Conn, p []byte) {
	if len(p) < 2 || len(p) < 2+int(p[1]) {
		c.Unread(p)
		return
	}
	if p[0] != 5 {
		c.Abort()
		return
	}
	c.Write([]byte{5, 0}) // no password
	c.Unread(p[2+int(p[1]):])
	c.SetHandler(&channel.Handler{Read: s.request})
}

// request: 5, command, 0, kind of address, address, port.
func (s *socks) request(c *channel.Conn, p []byte) {
	host, rest, err := socksAddress(p)
	switch {
	case err == io.ErrUnexpectedEOF:
		c.Unread(p)
		return
	case err != nil || p[1] != 1:
		s.refuse(7) // command not supported
		return
	}
	c.Unread(rest)
	c.Pause() // what follows is for the target
	channel.Dial(c.Loop(), "tcp", host, &channel.Handler{Connect: s.connected, Close: s.failed})
}

func (s *socks) connected(target *channel.Conn) {
	s.reply(0)
	target.SetHandler(&channel.Handler{})
	channel.Pipe(s.client, target)
}

// failed is called for a target that has never been connected.
func (s *socks) failed(_ *channel.Conn, err error) {
	if errors.Is(err, syscall.ECONNREFUSED) {
		s.refuse(5)
		return
	}
	s.refuse(4) // host unreachable
}

func (s *socks) reply(code byte) { s.client.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0}) }

func (s *socks) refuse(code byte) {
	s.reply(code)
	s.client.Close()
}

func socksAddress(p []byte) (host string, rest []byte, err error) {
	if len(p) < 5 {
		return "", nil, io.ErrUnexpectedEOF
	}
	size := map[byte]int{1: 4, 3: 1 + int(p[4]), 4: 16}[p[3]]
	switch {
	case p[0] != 5 || size == 0:
		return "", nil, errors.New("not SOCKS5")
	case len(p) < 4+size+2:
		return "", nil, io.ErrUnexpectedEOF
	}
	name := p[4 : 4+size]
	port := binary.BigEndian.Uint16(p[4+size:])
	if p[3] == 3 {
		host = string(name[1:])
	} else {
		ip, _ := netip.AddrFromSlice(name)
		host = ip.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), p[4+size+2:], nil
}

// A SOCKS5 proxy: a handshake in steps, and then two connections coupled.
func Example_socks() {
	l := newLoop()
	defer l.Close()
	echo := &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }}
	target, err := channel.Listen(l, "tcp", "127.0.0.1:0", func(*channel.Conn) *channel.Handler { return echo })
	if err != nil {
		log.Fatal(err)
	}
	proxy, err := channel.Listen(l, "tcp", "127.0.0.1:0", acceptSocks)
	if err != nil {
		log.Fatal(err)
	}
	ask := func(to *net.TCPAddr) {
		request := append([]byte{5, 1, 0, 5, 1, 0, 1}, to.IP.To4()...)
		request = binary.BigEndian.AppendUint16(request, uint16(to.Port))
		fmt.Printf("%q\n", ask(proxy.Addr(), string(request)+"hello through the proxy"))
	}
	go func() {
		ask(target.Addr().(*net.TCPAddr))
		ask(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}) // where nobody listens
		l.Post(func() { l.Stop() })
	}()
	run(l)
	// Output:
	// "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00hello through the proxy"
	// "\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"
}
