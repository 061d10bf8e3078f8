//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// Whatever is late, slow or in pieces, all comes, in order, and both ends too.
func TestWhole(t *testing.T) {
	for _, f := range []faults{
		{},
		{latency: 100 * time.Millisecond},
		{latency: time.Second, jitter: 10 * time.Second},
		{slice: 1000},
		{bandwidth: 1 << 20},
		{latency: time.Millisecond, jitter: time.Millisecond, slice: 7000, bandwidth: 10 << 20},
	} {
		t.Run(fmt.Sprintf("%+v", f), func(t *testing.T) {
			r := newRig(t, f)
			r.connect()
			there, back := text(1<<20), text(1<<20 + 77)[77:]
			r.client.Write(there)
			r.client.CloseWrite()
			r.whole(r.server, "server", there)
			r.server.Write(back)
			r.server.CloseWrite()
			r.whole(r.client, "client", back)
			r.until(func() bool { return r.client.closed && r.server.closed })
			if r.client.err != nil || r.server.err != nil {
				t.Errorf("closed with %v and %v", r.client.err, r.server.err)
			}
		})
	}
}

func TestLatency(t *testing.T) {
	const latency, jitter = 3 * time.Second, time.Second
	for _, f := range []faults{{latency: latency}, {latency: latency, jitter: jitter}} {
		r := newRig(t, f)
		r.connect()
		var late []time.Duration
		for i := range 20 {
			began := r.l.Now()
			r.client.WriteString("x")
			r.until(func() bool { return len(r.server.got) > i })
			late = append(late, r.server.times[i]-began)
		}
		lo, hi := slices.Min(late), slices.Max(late)
		if lo < f.latency || hi > f.latency+f.jitter+10*time.Millisecond || f.jitter > 0 && hi-lo < jitter/10 {
			t.Errorf("%+v: from %v to %v", f, lo, hi)
		}
	}
}

func TestSlice(t *testing.T) {
	for _, slice := range []int{1, 10, 1000} {
		r := newRig(t, faults{slice: slice})
		r.connect()
		want := text(100 * slice)
		r.client.Write(want)
		r.until(func() bool { return len(r.server.got) == len(want) })
		if most := slices.Max(r.server.sizes); most > slice || !bytes.Equal(r.server.got, want) {
			t.Errorf("slices of %d: %d at once", slice, most)
		}
	}
}

// At no time has more come than the bandwidth allows, and all has come when it does.
func TestBandwidth(t *testing.T) {
	const bandwidth, total = 10_000, 100_000
	r := newRig(t, faults{bandwidth: bandwidth})
	r.connect()
	began := r.l.Now()
	for _, p := range []*peer{r.client, r.server} {
		p.Write(text(total))
	}
	r.until(func() bool { return len(r.server.got) == total && len(r.client.got) == total })
	for _, p := range []*peer{r.client, r.server} {
		sum := 0
		for i, n := range p.sizes {
			sum += n
			if took := p.times[i] - began; float64(sum) > bandwidth*(took.Seconds()+0.1) {
				t.Fatalf("%d bytes after %v", sum, took)
			}
		}
	}
	if took := (r.l.Now() - began).Seconds(); took > 1.2*total/bandwidth {
		t.Errorf("%d bytes took %v s", total, took)
	}
}

// behind has a fate strike, and wants it behind the bytes that were drawn.
func behind(t *testing.T, f faults, ends func(*testing.T, *rig, fate)) {
	for seed := range uint64(20) {
		f.seed, f.after = seed, 3000
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := newRig(t, f)
			r.connect()
			drawn, _ := f.draw(1)
			r.client.Write(text(3000))
			r.server.Write(text(3000))
			ends(t, r, drawn)
			if p := r.sink(drawn.way); len(p.got) != int(drawn.at) || !bytes.Equal(p.got, text(3000)[:drawn.at]) {
				t.Errorf("%v: %d bytes have come, or others", drawn, len(p.got))
			}
		})
	}
}

// sink is who gets what goes in a direction.
func (r *rig) sink(way int) *peer { return []*peer{fromClient: r.server, fromServer: r.client}[way] }

func TestReset(t *testing.T) {
	behind(t, faults{reset: 1}, func(t *testing.T, r *rig, _ fate) {
		r.until(func() bool { return r.client.closed && r.server.closed })
		for _, p := range []*peer{r.client, r.server} {
			if !errors.Is(p.err, syscall.ECONNRESET) || p.eof {
				t.Errorf("closed with %v, EOF %v", p.err, p.eof)
			}
		}
	})
}

// Nobody has to say anything for that.
func TestResetAtOnce(t *testing.T) {
	r := newRig(t, faults{reset: 1, after: 1})
	r.connect()
	r.until(func() bool { return r.client.closed && r.server.closed })
}

func TestHalfClose(t *testing.T) {
	behind(t, faults{halfClose: 1}, func(t *testing.T, r *rig, drawn fate) {
		struck, other := r.sink(drawn.way), r.sink(1-drawn.way)
		r.until(func() bool { return struck.eof && len(other.got) == 3000 })
		r.pass(time.Hour)
		if struck.closed || other.closed || other.eof {
			t.Error("the other direction has ended as well")
		}
		struck.CloseWrite()
		r.whole(other, "other side", text(3000))
		other.CloseWrite()
		r.until(func() bool { return r.client.closed && r.server.closed })
		if r.client.err != nil || r.server.err != nil {
			t.Errorf("closed with %v and %v", r.client.err, r.server.err)
		}
	})
}

func TestBlackHole(t *testing.T) {
	behind(t, faults{blackHole: 1}, func(t *testing.T, r *rig, drawn fate) {
		r.until(func() bool { return len(r.sink(drawn.way).got) == int(drawn.at) })
		r.pass(time.Minute)
		there, back := len(r.server.got), len(r.client.got)
		r.client.WriteString("hello?")
		r.client.CloseWrite()
		r.server.SetWriteTimeout(-1)
		r.server.Write(make([]byte, 16<<20))
		r.pass(time.Hour)
		if r.server.Buffered() == 0 {
			t.Error("all has been read")
		}
		if len(r.server.got) != there || len(r.client.got) != back {
			t.Error("something has passed")
		}
		for _, p := range []*peer{r.client, r.server} {
			if p.eof || p.closed {
				t.Errorf("an end has passed: EOF %v, closed %v, %v", p.eof, p.closed, p.err)
			}
		}
	})
}

// Silence ends both sides of a black hole.
func TestIdle(t *testing.T) {
	r := newRig(t, faults{blackHole: 1})
	r.proxy.idle = time.Minute
	r.connect()
	r.client.WriteString("hello?")
	r.until(func() bool { return (r.client.eof || r.client.closed) && (r.server.eof || r.server.closed) })
}

// A server that is not there, or that resets, resets the client; its last words come
// first.
func TestPassesOnResets(t *testing.T) {
	r := newRig(t, faults{})
	r.listener.Close()
	r.connect()
	r.until(func() bool { return r.client.closed })
	if !errors.Is(r.client.err, syscall.ECONNRESET) {
		t.Errorf("no server: %v", r.client.err)
	}

	for _, f := range []faults{{}, {latency: time.Second}, {latency: time.Second, slice: 3}} {
		r = newRig(t, f)
		r.connect()
		r.server.WriteString("last words")
		r.l.Poll(0)
		r.l.Poll(0)
		r.server.Reset()
		r.until(func() bool { return r.client.closed })
		if string(r.client.got) != "last words" || !errors.Is(r.client.err, syscall.ECONNRESET) {
			t.Errorf("%+v: %q, %v", f, r.client.got, r.client.err)
		}
	}
}

// Who does not read holds back who sends, and costs what the limits say.
func TestBackPressure(t *testing.T) {
	for _, f := range []faults{{}, {latency: time.Millisecond}, {slice: 20000}} {
		r := newRig(t, f)
		r.connect()
		want := text(32 << 20)
		r.server.Pause()
		r.client.SetWriteTimeout(-1)
		r.client.Write(want)
		r.client.CloseWrite()
		most := int64(0)
		for range 3000 {
			r.l.Poll(time.Millisecond)
			most = max(most, r.l.Stats().Buffered-int64(r.client.Buffered()))
		}
		if sent := len(want) - r.client.Buffered(); sent == len(want) || len(r.server.got) > 0 {
			t.Errorf("%+v: %d bytes were taken, %d passed on", f, sent, len(r.server.got))
		}
		if most > highWater+largest {
			t.Errorf("%+v: %d bytes waited", f, most)
		}
		r.server.Resume()
		r.whole(r.server, "server", want)
	}
}

// What is late is bounded, too.
func TestHold(t *testing.T) {
	for _, piece := range []int{1, 1 << 20} {
		r := newRig(t, faults{latency: time.Hour})
		r.connect()
		for range 3000 {
			r.client.Write(make([]byte, piece))
			r.l.Poll(0)
		}
		held := uint64(0)
		for c := range channel.Conns(r.l) {
			if c != r.client.Conn {
				held += c.BytesRead()
			}
		}
		if held == 0 || held > mostBytes+256<<10 || piece == 1 && held > 2*mostArrivals {
			t.Errorf("by %d bytes: %d are held", piece, held)
		}
	}
}

// The fate of a connection depends on seed and number only.
func TestDraw(t *testing.T) {
	fates := func(f faults) (all []string) {
		for n := range uint64(1000) {
			drawn, jitter := f.draw(n)
			all = append(all, fmt.Sprint(drawn, jitter[0].Int64(), jitter[1].Int64()))
		}
		return all
	}
	f := faults{reset: 0.2, halfClose: 0.2, blackHole: 0.2, after: 1000, seed: 1}
	first := fates(f)
	f.latency, f.slice, f.bandwidth = 1, 1, 1
	if diff := cmp.Diff(first, fates(f)); diff != "" {
		t.Error(diff)
	}
	f.seed = 2
	if slices.Equal(first, fates(f)) {
		t.Error("another seed gives the same")
	}
	var count [4]int
	for n := range uint64(10000) {
		drawn, _ := f.draw(n)
		count[drawn.mishap]++
	}
	for m, n := range count {
		want := 2000
		if m == int(none) {
			want = 4000
		}
		if n < want-300 || n > want+300 {
			t.Errorf("of 10000 connections, %d meet with %d", n, m)
		}
	}
}
