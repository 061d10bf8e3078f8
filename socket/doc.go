// Package socket is Python's socket module, and its select for scripts: sockets with
// blocking, timed and non-blocking calls, the addresses of their families, the names
// of hosts, services and protocols, and byte order. Nothing here needs a loop; package
// channel does not use it.
//
//	s, err := socket.CreateConnection(ctx, "localhost", "http", socket.ConnectOptions{Timeout: time.Second})
//	_, err = s.SendAll([]byte("HEAD / HTTP/1.0\r\n\r\n"))
//	answer, err := s.Recv(4096)
//	err = s.Close()
//
// # Sockets
//
// New, Pair, FromFD, CreateConnection and CreateServer make a [Socket]. Its calls wait
// for ever, for the time of SetTimeout, or not at all. A Socket may be used by several
// goroutines at once, and Close ends their waits; a call that waits holds a thread.
// Socket.NetConn is it as a net.Conn. [Select] and [Selector] wait for many.
//
// # Addresses and names
//
// An [Addr] is a value: InetAddr, Inet6Addr, UnixAddr, NetlinkAddr or TIPCAddr. Nothing
// but CreateConnection, GetAddrInfo and their kin looks a name up; NameToAddr makes an
// Addr of one as Python does. A [Resolver] has the files and the DNS that they ask; the
// functions of the same names use the system's.
//
// # Errors
//
// Errors of calls are a *net.OpError around an *os.SyscallError: errors.Is finds the
// errno, net.ErrClosed, or os.ErrDeadlineExceeded. Those of names are an
// [AddrInfoError] (gaierror) or a [HostError] (herror). The end of a stream is io.EOF.
//
// # Constants
//
// The system's constants (AF_INET, SOCK_STREAM, SOL_SOCKET, SHUT_WR and so on) are
// those of golang.org/x/sys/unix, which fit Family, Type, Proto and int alike; the
// function Constants lists them by name.
package socket
