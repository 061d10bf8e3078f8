// Udptime tells the time by UDP: to each request of at most 8 bytes it answers the
// date and time in UTC, as in "2026-01-02T15:04:05.123456Z" and a line feed (a
// daytime server, RFC 867), or with -binary the seconds since 1900 in 4 bytes
// (RFC 868).
//
//	go run ./examples/udptime
//	echo | nc -u -w 1 127.0.0.1 7037
//
// Whoever writes another's address into his requests has that one get the answers,
// so a server of datagrams has to see to it that it is of no use for an attack. This
// one answers a request with one packet, at most twice as large as the request with
// its headers; and what it answers is no request of its kind, so that two of them
// which are made to talk to each other fall silent.
package main

import (
	"encoding/binary"
	"flag"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/example"
)

// requestSize is the most that a request for text may have; the answer is longer.
const requestSize = 8

func main() {
	server := example.Server{Addr: "127.0.0.1:7037"}
	server.PacketFlags()
	binary := flag.Bool("binary", false, "answer seconds since 1900, in 4 bytes")
	example.Main(func() error {
		return server.RunPackets(teller(time.Now, *binary))
	})
}

// teller answers with the time that now tells.
func teller(now func() time.Time, binary bool) *channel.PacketHandler {
	form, isRequest := text, func(p []byte) bool { return len(p) <= requestSize }
	if binary {
		form, isRequest = seconds, func(p []byte) bool { return len(p) < 4 }
	}
	var answer []byte
	return &channel.PacketHandler{
		Packet: func(c *channel.PacketConn, p []byte, from channel.PacketAddr, _ bool) {
			if isRequest(p) {
				answer = form(answer[:0], now().UTC())
				c.WriteTo(answer, from) // one that finds no room is lost, as any packet may be
			}
		},
	}
}

func text(dst []byte, t time.Time) []byte {
	return t.AppendFormat(dst, "2006-01-02T15:04:05.000000Z\n")
}

// seconds since 1900, which begin anew in 2036.
func seconds(dst []byte, t time.Time) []byte {
	const from1900to1970 = 2_208_988_800
	return binary.BigEndian.AppendUint32(dst, uint32(t.Unix()+from1900to1970))
}
