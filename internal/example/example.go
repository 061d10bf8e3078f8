// Package example is what the example programs share: the flags that all
// servers have, their first line, and their way to end.
package example

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// drainTime is how long a server may take to end after SIGINT or SIGTERM.
const drainTime = 2 * time.Second

// Server holds the flags, and before Flags their defaults.
type Server struct {
	Addr     string
	Idle     time.Duration
	MaxConns int

	// LastWord, where it is set, is called before the loop drains: for a server
	// whose clients are told.
	LastWord func()

	config loop.Config
}

// Flags declares the flags of a server of connections.
func (s *Server) Flags() {
	s.PacketFlags()
	flag.DurationVar(&s.Idle, "idle", s.Idle, "close a connection after so long without a byte (0: never)")
	flag.IntVar(&s.MaxConns, "max-conns", s.MaxConns, "most connections at once, further ones wait (0: 10,000)")
}

// PacketFlags declares those of a server of packets.
func (s *Server) PacketFlags() {
	flag.StringVar(&s.Addr, "addr", s.Addr, "`address` to listen on: HOST:PORT, unix:PATH or unix:@NAME")
	flag.StringVar(&s.config.Poller, "poller", "", "backend: epoll, kqueue, poll or select (default: the best one)")
	flag.DurationVar(&s.config.Spin, "spin", 0, "poll for so long before sleeping, for latency")
}

// Run listens, prints the line that says so, and serves until SIGINT or
// SIGTERM. Then it drains the loop, for at most 2 s, and returns; a second signal
// ends the process at once.
func (s *Server) Run(accept func(*channel.Conn) *channel.Handler) error {
	network, address := Network(s.Addr)
	lc := channel.ListenConfig{MaxConns: s.MaxConns}
	return s.run(network, func(l *loop.Loop) (net.Addr, error) {
		ln, err := lc.Listen(l, network, address, func(c *channel.Conn) *channel.Handler {
			c.SetIdleTimeout(s.Idle)
			return accept(c)
		})
		if err != nil {
			return nil, err
		}
		return ln.Addr(), nil
	})
}

// RunPackets is Run for a server of packets, by UDP or a Unix socket.
func (s *Server) RunPackets(h *channel.PacketHandler) error {
	network, address := Network(s.Addr)
	network = map[string]string{"tcp": "udp", "unix": "unixgram"}[network]
	return s.run(network, func(l *loop.Loop) (net.Addr, error) {
		c, err := channel.ListenPacket(l, network, address, h)
		if err != nil {
			return nil, err
		}
		return c.LocalAddr(), nil
	})
}

func (s *Server) run(network string, listen func(*loop.Loop) (net.Addr, error)) error {
	s.config.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	l, err := loop.New(s.config)
	if err != nil {
		return err
	}
	defer l.Close()
	addr, err := listen(l)
	if err != nil {
		return err
	}
	signals := 0
	l.Signal(func(sig os.Signal) {
		if signals++; signals > 1 {
			os.Exit(1)
		}
		if s.LastWord != nil {
			s.LastWord()
		}
		l.Drain(drainTime)
	}, syscall.SIGINT, syscall.SIGTERM)
	// Whoever reads this may send a signal.
	fmt.Printf("listening on %s %s poller=%s\n", network, addr, l.Poller())
	return l.Run(context.Background())
}

// Network splits what -addr takes into a network and its address.
func Network(addr string) (network, address string) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return "unix", path
	}
	return "tcp", addr
}

// Main runs a program's main function and ends the process with its error.
func Main(run func() error) {
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(flag.CommandLine.Output(), "unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
