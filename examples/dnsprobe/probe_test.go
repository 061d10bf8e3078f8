//go:build unix

package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// server answers what answers tells, for the n-th question by UDP (from 1), or 0 for
// one by TCP, until the test ends.
func server(t *testing.T, answers func(n int, query dnsmessage.Message) [][]byte) string {
	t.Helper()
	var udp *net.UDPConn
	var tcp *net.TCPListener
	for range 100 { // until both have the same port
		var err error
		if udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		a := udp.LocalAddr().(*net.UDPAddr)
		if tcp, err = net.ListenTCP("tcp", &net.TCPAddr{IP: a.IP, Port: a.Port}); err == nil {
			break
		}
		udp.Close()
	}
	if tcp == nil {
		t.Fatal("no port is free for both UDP and TCP")
	}
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	unpacked := func(p []byte) (m dnsmessage.Message) {
		if err := m.Unpack(p); err != nil {
			t.Errorf("query: %v", err)
		}
		return m
	}
	go func() {
		for n := 1; ; n++ {
			var p [512]byte
			size, from, err := udp.ReadFromUDPAddrPort(p[:])
			if err != nil {
				return
			}
			for _, a := range answers(n, unpacked(p[:size])) {
				udp.WriteToUDPAddrPort(a, from)
			}
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			var size [2]byte
			if _, err := io.ReadFull(c, size[:]); err == nil {
				p := make([]byte, binary.BigEndian.Uint16(size[:]))
				if _, err := io.ReadFull(c, p); err == nil {
					for _, a := range answers(0, unpacked(p)) {
						c.Write(binary.BigEndian.AppendUint16(nil, uint16(len(a))))
						c.Write(a)
					}
				}
			}
			c.Close()
		}
	}()
	return udp.LocalAddr().String()
}

// reply answers a query with so many A records.
func reply(q dnsmessage.Message, records int, change func(*dnsmessage.Message)) []byte {
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: q.ID, Response: true}, Questions: q.Questions}
	for i := range records {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: q.Questions[0].Name, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: [4]byte{192, 0, byte(i >> 8), byte(i)}},
		})
	}
	if change != nil {
		change(&m)
	}
	p, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return p
}

var (
	took  = regexp.MustCompile(` \([^()]*\)\n`)
	often = regexp.MustCompile(`asked ([3-9]|\d\d+) times`) // on a slow machine once more
)

// probed returns what is printed for one server.
func probed(t *testing.T, poller, addr string, timeout time.Duration, tries int) (string, error) {
	t.Helper()
	q, err := question("Host.test", "A")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p := prober{question: q, timeout: timeout, tries: tries, poller: poller, out: &out}
	err = p.run([]string{addr})
	got := took.ReplaceAllString(strings.ReplaceAll(out.String(), addr, "server"), "\n")
	return often.ReplaceAllString(got, "asked often"), err
}

func TestProbe(t *testing.T) {
	const long, short = time.Minute, 30 * time.Millisecond
	for name, c := range map[string]struct {
		answers func(n int, q dnsmessage.Message) [][]byte
		timeout time.Duration
		tries   int
		want    string
		fails   bool
	}{
		"answer": {func(_ int, q dnsmessage.Message) [][]byte { return [][]byte{reply(q, 2, nil)} }, long, 1,
			"server: 2 records by UDP, asked 1 times\n\tA 192.0.0.0\n\tA 192.0.0.1\n", false},
		"none": {func(_ int, q dnsmessage.Message) [][]byte { return [][]byte{reply(q, 0, nil)} }, long, 1,
			"server: 0 records by UDP, asked 1 times\n", false},
		"lost twice": {func(n int, q dnsmessage.Message) [][]byte {
			if n < 3 {
				return nil
			}
			return [][]byte{reply(q, 1, nil)}
		}, short, 1000, "server: 1 records by UDP, asked often\n\tA 192.0.0.0\n", false},
		"silent": {func(int, dnsmessage.Message) [][]byte { return nil }, short, 3, "server: i/o timeout\n", true},
		"forged": {func(_ int, q dnsmessage.Message) [][]byte {
			return [][]byte{
				[]byte("too short"),
				reply(q, 5, func(m *dnsmessage.Message) { m.ID++ }),
				reply(q, 5, func(m *dnsmessage.Message) { m.Response = false }),
				reply(q, 5, func(m *dnsmessage.Message) { m.Questions = nil }),
				reply(q, 5, func(m *dnsmessage.Message) {
					m.Questions[0].Name = dnsmessage.MustNewName("other.test.")
					m.Answers = nil
				}),
				reply(q, 1, func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("hOST.TEST.") }),
			}
		}, long, 1, "server: 1 records by UDP, asked 1 times\n\tA 192.0.0.0\n", false},
		"no such name": {func(_ int, q dnsmessage.Message) [][]byte {
			return [][]byte{reply(q, 0, func(m *dnsmessage.Message) { m.RCode = dnsmessage.RCodeNameError })}
		}, long, 1, "server: the server says NameError\n", true},
		"too long": {func(n int, q dnsmessage.Message) [][]byte {
			return [][]byte{reply(q, 3, func(m *dnsmessage.Message) { m.Truncated = n > 0 })}
		}, long, 1, "server: 3 records by TCP, asked 1 times\n\tA 192.0.0.0\n\tA 192.0.0.1\n\tA 192.0.0.2\n", false},
		"too long for all": {func(n int, q dnsmessage.Message) [][]byte {
			return [][]byte{reply(q, 3, func(m *dnsmessage.Message) { m.Truncated = true })}
		}, long, 1, "server: answer is cut short by TCP too\n", true},
		"too long, then silent": {func(n int, q dnsmessage.Message) [][]byte {
			if n == 0 {
				<-t.Context().Done()
			}
			return [][]byte{reply(q, 3, func(m *dnsmessage.Message) { m.Truncated = true })}
		}, short, 1, "server: i/o timeout\n", true},
		"too long, then nothing": {func(n int, q dnsmessage.Message) [][]byte {
			if n == 0 {
				return nil
			}
			return [][]byte{reply(q, 3, func(m *dnsmessage.Message) { m.Truncated = true })}
		}, long, 1, "server: unexpected EOF\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			exampletest.EachPoller(t, func(t *testing.T, poller string) {
				got, err := probed(t, poller, server(t, c.answers), c.timeout, c.tries)
				if d := cmp.Diff(c.want, got); d != "" || (err != nil) != c.fails {
					t.Errorf("%v %s", err, d)
				}
			})
		})
	}
}

// All of 4,000 records come by TCP, in one message.
func TestLongest(t *testing.T) {
	addr := server(t, func(n int, q dnsmessage.Message) [][]byte {
		return [][]byte{reply(q, 4000, func(m *dnsmessage.Message) {
			if m.Truncated = n > 0; m.Truncated {
				m.Answers = nil
			}
		})}
	})
	got, err := probed(t, "", addr, time.Minute, 1)
	if err != nil || strings.Count(got, "\tA ") != 4000 {
		t.Errorf("%d lines, %v", strings.Count(got, "\n"), err)
	}
}

// Where nobody is, the network says so; the reason is better than a timeout.
func TestNobodyThere(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := pc.LocalAddr().String()
	pc.Close()
	got, err := probed(t, "", addr, 30*time.Millisecond, 2)
	if err == nil || !strings.Contains(got, "connection refused") {
		t.Errorf("%v, %q", err, got)
	}
}

// Several are asked at once: one that is silent delays no other.
func TestSeveral(t *testing.T) {
	silent := server(t, func(int, dnsmessage.Message) [][]byte { return nil })
	quick := server(t, func(_ int, q dnsmessage.Message) [][]byte { return [][]byte{reply(q, 1, nil)} })
	q, err := question("host.test.", "a")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	p := prober{question: q, timeout: 300 * time.Millisecond, tries: 1, out: &out}
	err = p.run([]string{silent, quick, silent, quick})
	want := []string{quick, quick, silent, silent}
	var got []string
	for line := range strings.Lines(out.String()) {
		if line[0] != '\t' {
			addr, _, _ := strings.Cut(line, ": ")
			got = append(got, addr)
		}
	}
	if d := cmp.Diff(want, got); d != "" || err == nil || !strings.Contains(err.Error(), "2 of 4") {
		t.Errorf("%v %s", err, d)
	}
}

func TestArguments(t *testing.T) {
	for _, args := range [][]string{{"A"}, {"no such type", "x"}, {"A", "a..b"}, {"A", strings.Repeat("x", 300)}} {
		p := prober{timeout: 1, tries: 1, out: io.Discard}
		if err := p.main(args[0], args[1:]); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	got := nameservers(strings.NewReader("# x\nnameserver 192.0.2.1\nnameserver\n search a\n\tnameserver 2001:db8::1 # x\n"))
	if d := cmp.Diff([]string{"192.0.2.1", "2001:db8::1"}, got); d != "" {
		t.Error(d)
	}
	for server, want := range map[string]string{
		"192.0.2.1": "192.0.2.1:53", "2001:db8::1": "[2001:db8::1]:53", "[::1]": "[::1]:53", "[::1]:54": "[::1]:54", "h:5": "h:5",
	} {
		if got := withPort(server); got != want {
			t.Errorf("%s: %s, want %s", server, got, want)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	q, err := question("host.test", "A")
	if err != nil {
		f.Fatal(err)
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: 1}, Questions: []dnsmessage.Question{q}}
	f.Add(reply(m, 2, nil))
	f.Fuzz(func(t *testing.T, p []byte) {
		if a, err := unpack(p, 1, q); a.truncated && (err != nil || len(a.records) > 0) {
			t.Errorf("%+v, %v", a, err)
		}
	})
}
