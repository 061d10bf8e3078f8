//go:build unix

package main

import (
	"bytes"
	"math/rand/v2"
	"regexp"
	"testing"
)

// fuzzLimits are so narrow that the fuzzer meets them.
var fuzzLimits = limits{value: 1000, args: 20, command: 4000, held: 20 << 10, memory: 8 << 10}

// changing is what differs from one connection to another.
var changing = regexp.MustCompile(`(?s)id\r\n:\d+|uptime_in_seconds:\d+|total_[a-z_]+:\d+`)

// However the bytes are cut, the replies are the same, nothing panics, and
// memory stays within the limits.
func FuzzRESP(f *testing.F) {
	for _, raw := range sameBytes {
		f.Add([]byte(raw[:min(len(raw), 1000)]), uint64(1))
	}
	f.Add([]byte("SET k v EX 100\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nINCR n\r\nKEYS *\r\nDEL k\r\nTTL n\r\n"), uint64(2))
	f.Add([]byte("SUBSCRIBE a b\r\nUNSUBSCRIBE a\r\nPING\r\nRESET\r\nPUBLISH a b\r\nHELLO 2\r\nINFO\r\nSELECT 3\r\nFLUSHALL\r\n"), uint64(3))
	f.Add([]byte("CLIENT SETNAME x\r\nCLIENT GETNAME\r\nCOMMAND COUNT\r\nCONFIG GET *\r\nDBSIZE\r\nEXPIRE k 0\r\nQUIT\r\n"), uint64(4))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), uint64(5))
	f.Fuzz(func(t *testing.T, input []byte, seed uint64) {
		if len(input) > 16<<10 {
			return
		}
		whole, wholeClosed := play(t, input, func() int { return len(input) })
		rng := rand.New(rand.NewPCG(seed, 1))
		most := 1 + rng.IntN(30)
		cut, cutClosed := play(t, input, func() int { return 1 + rng.IntN(most) })
		if !bytes.Equal(whole, cut) || wholeClosed != cutClosed {
			t.Errorf("input %q\nwhole %q, closed %v\ncut   %q, closed %v", input, whole, wholeClosed, cut, cutClosed)
		}
	})
}

// play sends input in pieces, and returns the replies.
func play(t *testing.T, input []byte, size func() int) (replies []byte, closed bool) {
	r := newRig(t, fuzzLimits, "")
	p := r.dial()
	r.server.keys.now = func() int64 { return 1_700_000_000_000 } // so that no key ends in between
	for len(input) > 0 && !closed {
		n := min(size(), len(input))
		var more []byte
		more, closed = p.send(input[:n])
		replies = append(replies, more...)
		input = input[n:]
		r.check()
	}
	if err := r.loop.Close(); err != nil {
		t.Error(err)
	}
	if s := r.server; s.held != 0 || s.clients != 0 || len(s.topics) != 0 {
		t.Errorf("left behind: %d bytes, %d clients, %d topics", s.held, s.clients, len(s.topics))
	}
	return changing.ReplaceAll(replies, nil), closed
}

// check compares what the server counts with what there is.
func (r *rig) check() {
	r.Helper()
	s := r.server
	var used int64
	timed := 0
	for _, db := range s.keys.dbs {
		for key, e := range db {
			used += e.cost()
			if key != e.key || (e.until != 0) != (e.place >= 0) {
				r.Errorf("entry %q: %+v", key, e)
			}
			if e.place >= 0 {
				timed++
			}
		}
	}
	if used != s.keys.used || timed != len(s.keys.timed) {
		r.Errorf("%d bytes are used, %d counted; %d keys have an end, %d counted", used, s.keys.used, timed, len(s.keys.timed))
	}
	if most := s.limits.memory + int64(s.limits.command) + entryCost; used > most {
		r.Errorf("%d bytes are used, at most %d may be", used, most)
	}
	if s.held > s.limits.held+2*s.limits.command {
		r.Errorf("%d bytes of commands are held", s.held)
	}
	if n := r.loop.Stats().Panics; n > 0 {
		r.Errorf("%d panics", n)
	}
}
