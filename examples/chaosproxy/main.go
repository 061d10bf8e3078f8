// Chaosproxy passes connections on to a server, and spoils them on the way, to show
// what the server and its clients make of it:
//
//	go run ./examples/echo
//	go run ./examples/chaosproxy -to 127.0.0.1:7007 -latency 100ms -jitter 50ms -slice 1
//	nc 127.0.0.1 7099
//
//	go run ./examples/chaosproxy -to 127.0.0.1:6379 -reset 0.1 -half-close 0.1 -black-hole 0.1 -log
//
// Without further flags it is a faithful relay: bytes arrive whole and in order, a
// half-close is one on the other side, a reset a reset, and whoever does not read
// holds back who sends.
//
// All bytes are late by -latency, and those of each arrival by up to -jitter more, in
// their order all the same. -slice and -bandwidth let them out in small pieces and
// slowly, in either direction. What is out may come together again in the kernel.
//
// Of each connection it is drawn when it comes whether it is -reset, loses one
// direction early (-half-close), or passes nothing more from some point on
// (-black-hole), and where that point is: behind up to -after bytes of one of its
// directions. The n-th connection of a run meets with the same as that of another run
// with the same -seed; -log tells what.
//
// From a black hole nothing is read any more, and nothing is heard of either side's
// end: -idle is the end of both.
//
// Its limits: 256 connections, half a MiB of each in either direction, 10 s for the
// server to answer, a minute of silence or of output that is not read. It listens on
// loopback, as all it does is what an attacker would.
package main

import (
	"errors"
	"flag"
	"log"
	"math/rand/v2"
	"os"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/example"
)

func main() {
	server := example.Server{Addr: "127.0.0.1:7099", Idle: time.Minute, MaxConns: 256}
	server.Flags()
	var p proxy
	to := flag.String("to", "", "`address` of the server: HOST:PORT, unix:PATH or unix:@NAME (required)")
	flag.DurationVar(&p.latency, "latency", 0, "how late all bytes are, in either direction")
	flag.DurationVar(&p.jitter, "jitter", 0, "how much later than that at most")
	flag.IntVar(&p.slice, "slice", 0, "most `bytes` that are passed on in one piece (0: 16 KiB)")
	flag.IntVar(&p.bandwidth, "bandwidth", 0, "`bytes` a second in each direction of a connection (0: any number)")
	flag.Float64Var(&p.reset, "reset", 0, "`probability` that a connection is reset")
	flag.Float64Var(&p.halfClose, "half-close", 0, "`probability` that one of its directions ends early")
	flag.Float64Var(&p.blackHole, "black-hole", 0, "`probability` that it passes nothing any more")
	flag.Int64Var(&p.after, "after", 64<<10, "`bytes` behind which that happens at the latest")
	flag.Uint64Var(&p.seed, "seed", 0, "what connections meet with is drawn from it (0: from a random one)")
	logged := flag.Bool("log", false, "log the seed, and what each connection meets with")
	example.Main(func() error {
		if *to == "" {
			return errors.New("chaosproxy: -to is missing")
		}
		if err := p.check(); err != nil {
			return err
		}
		p.network, p.address = example.Network(*to)
		p.idle = server.Idle
		if p.seed == 0 {
			p.seed = rand.Uint64()
		}
		if *logged {
			p.log = log.New(os.Stderr, "", 0)
			p.log.Printf("seed %d", p.seed)
		}
		return server.Run(p.accept)
	})
}
