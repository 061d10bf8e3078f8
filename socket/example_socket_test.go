//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/socket"
)

// loopback is a free port of 127.0.0.1.
var loopback = socket.InetAddr{IP: netip.MustParseAddr("127.0.0.1")}

// check keeps the examples short.
func check[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// What a new socket is, in numbers and by name.
func ExampleNew() {
	foo, err := socket.New(0, 0, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer foo.Close()
	fmt.Printf("%d %d %d\n", foo.Family(), foo.Type(), foo.Proto())

	bar := check(socket.New(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_IP))
	defer bar.Close()
	fmt.Println(bar.Family(), bar.Type(), bar.Proto())
	// Output:
	// 2 1 0
	// AF_INET SOCK_STREAM IPPROTO_IP
}

// A TCP server: it echoes what one client sends, until that ends.
func ExampleCreateServer() {
	ln := check(socket.CreateServer(loopback, socket.ServerOptions{}))
	defer ln.Close()

	go func() { // the client
		s := check(socket.New(0, 0, 0))
		defer s.Close()
		s.Connect(check(ln.GetSockName()))
		s.SendAll([]byte("Hello, world"))
		s.Recv(1024)
	}()

	conn, _, err := ln.Accept()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	for {
		data, err := conn.Recv(1024)
		if err == io.EOF {
			fmt.Println("end")
			break
		}
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Printf("%s\n", data)
		conn.SendAll(data)
	}
	// Output:
	// Hello, world
	// end
}

// A TCP client, by the name of the host. The timeout holds for each of its addresses,
// and then for each call on the Socket.
func ExampleCreateConnection() {
	ln := check(socket.CreateServer(loopback, socket.ServerOptions{}))
	port := strconv.Itoa(int(check(ln.GetSockName()).(socket.InetAddr).Port))
	go func() { // the server
		s, _, _ := ln.Accept()
		request := check(s.Recv(100))
		s.SendAll(append([]byte("echo: "), request...))
		s.Close()
		ln.Close()
	}()

	s, err := socket.CreateConnection(context.Background(), "127.0.0.1", port,
		socket.ConnectOptions{Timeout: 10 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	s.SendAll([]byte("Hello, world"))
	s.Shutdown(unix.SHUT_WR)
	for {
		data, err := s.Recv(1024)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s\n", data)
	}
	// Output:
	// echo: Hello, world
	// EOF
}

// UDP: who sent a datagram is told, and the answer goes there.
func ExampleSocket_RecvFrom() {
	server := check(socket.New(unix.AF_INET, unix.SOCK_DGRAM, 0))
	defer server.Close()
	server.Bind(loopback)

	client := check(socket.New(unix.AF_INET, unix.SOCK_DGRAM, 0))
	defer client.Close()
	client.SendTo([]byte("what time is it?"), check(server.GetSockName()))

	question, from, _ := server.RecvFrom(1500)
	fmt.Printf("%s\n", question)
	server.SendTo([]byte("noon"), from)

	answer, from, _ := client.RecvFrom(1500)
	fmt.Printf("%s %v\n", answer, from == check(server.GetSockName()))
	// Output:
	// what time is it?
	// noon true
}

// The three modes, by a Socket to which nobody writes.
func ExampleSocket_SetTimeout() {
	a, b, _ := socket.Pair(0, 0, 0)
	defer a.Close()
	defer b.Close()

	a.SetTimeout(time.Millisecond)
	_, err := a.Recv(1)
	fmt.Println(err, errors.Is(err, os.ErrDeadlineExceeded))

	a.SetBlocking(false)
	_, err = a.Recv(1)
	fmt.Println(err, errors.Is(err, socket.ErrWouldBlock))

	a.SetTimeout(socket.NoTimeout)
	go b.Send([]byte("x"))
	fmt.Printf("%s\n", check(a.Recv(1)))
	// Output:
	// recv unix: timed out true
	// recv unix: operation would block true
	// x
}

// A file, lines at a time.
func ExampleSocket_Makefile() {
	a, b, _ := socket.Pair(0, 0, 0)
	f := check(a.Makefile())
	a.Close() // f goes on

	b.SendAll([]byte("220 hello\r\n250 fine\r\n"))
	for range 2 {
		fmt.Printf("%q\n", check(f.ReadString('\n')))
	}
	fmt.Fprintf(f, "%s\r\n", "QUIT")
	f.Close() // and flush
	fmt.Printf("%q\n", check(b.Recv(100)))
	b.Close()
	// Output:
	// "220 hello\r\n"
	// "250 fine\r\n"
	// "QUIT\r\n"
}

// An open file passes through a Unix socket, to another process as it might be.
func ExampleSocket_SendFDs() {
	a, b, _ := socket.Pair(0, 0, 0)
	defer a.Close()
	defer b.Close()

	r, w, _ := os.Pipe()
	defer r.Close()
	a.SendFDs([]byte("a pipe"), int(w.Fd()))
	w.Close()

	p := make([]byte, 100)
	n, fds, err := b.RecvFDs(p, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %d\n", p[:n], len(fds))
	passed := os.NewFile(uintptr(fds[0]), "passed")
	fmt.Fprintln(passed, "through it")
	passed.Close()
	fmt.Print(check(bufio.NewReader(r).ReadString('\n')))
	// Output:
	// a pipe: 1
	// through it
}

// Options are ints, bools, durations, lingers and bytes.
func ExampleGetSockOpt() {
	s := check(socket.New(0, 0, 0))
	defer s.Close()
	socket.SetSockOpt(s, unix.IPPROTO_TCP, unix.TCP_NODELAY, true)
	fmt.Println(socket.GetSockOpt[bool](s, unix.IPPROTO_TCP, unix.TCP_NODELAY))
	socket.SetSockOpt(s, unix.SOL_SOCKET, unix.SO_LINGER, socket.Linger{On: true, Seconds: 3})
	fmt.Println(socket.GetSockOpt[socket.Linger](s, unix.SOL_SOCKET, unix.SO_LINGER))
	// Output:
	// true <nil>
	// {true 3} <nil>
}
