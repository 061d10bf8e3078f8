//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket_test

import (
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/socket"
)

// threeClients have sent a line each, and nothing more.
func threeClients(addr socket.Addr) (clients []*socket.Socket) {
	for i := range 3 {
		s := check(socket.New(0, 0, 0))
		if err := s.Connect(addr); err != nil {
			panic(err)
		}
		s.SendAll(fmt.Appendf(nil, "client %d", i))
		s.Shutdown(unix.SHUT_WR)
		clients = append(clients, s)
	}
	return clients
}

// Many sockets, one process: an echo server that serves all its clients at once, and
// ends with the third.
func ExampleSelect() {
	ln := check(socket.CreateServer(loopback, socket.ServerOptions{}))
	clients := threeClients(check(ln.GetSockName()))

	watched := []*socket.Socket{ln}
	for served := 0; served < 3; {
		readable, _, _, err := socket.Select(watched, nil, nil, socket.NoTimeout)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, s := range readable {
			if s == ln {
				conn, _, err := ln.Accept()
				if err == nil {
					watched = append(watched, conn)
				}
				continue
			}
			data, err := s.Recv(4096)
			if err == nil {
				_, err = s.SendAll(data)
			}
			if err != nil {
				if err != io.EOF {
					fmt.Println(err)
				}
				watched = slices.DeleteFunc(watched, func(w *socket.Socket) bool { return w == s })
				s.Close()
				served++
			}
		}
	}
	ln.Close()

	for _, s := range clients {
		fmt.Printf("%s\n", check(s.Recv(100)))
		s.Close()
	}
	// Output:
	// client 0
	// client 1
	// client 2
}

// The same with a Selector, whose registrations hold what to do.
func ExampleSelector() {
	ln := check(socket.CreateServer(loopback, socket.ServerOptions{}))
	clients := threeClients(check(ln.GetSockName()))

	sel := check(socket.NewSelector())
	defer sel.Close()
	served := 0
	echo := func(s *socket.Socket) {
		data, err := s.Recv(4096)
		if err == nil {
			_, err = s.SendAll(data)
		}
		if err != nil {
			if err != io.EOF {
				fmt.Println(err)
			}
			sel.Unregister(s)
			s.Close()
			served++
		}
	}
	accept := func(s *socket.Socket) {
		if conn, _, err := s.Accept(); err == nil {
			sel.Register(conn, asyncore.Readable, echo)
		}
	}
	sel.Register(ln, asyncore.Readable, accept)
	for served < 3 {
		ready, err := sel.Select(socket.NoTimeout)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, key := range ready {
			key.Data.(func(*socket.Socket))(key.File.(*socket.Socket))
		}
	}
	sel.Unregister(ln)
	ln.Close()

	for _, s := range clients {
		fmt.Printf("%s\n", check(s.Recv(100)))
		s.Close()
	}
	// Output:
	// client 0
	// client 1
	// client 2
}
