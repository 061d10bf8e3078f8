//go:build unix

package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
	"github.com/seed-20e08ac4/asyncore/internal/leaktest"
)

// simTree makes a directory to serve to all worlds of a test.
func simTree(t *testing.T) *os.Root {
	root, err := os.OpenRoot(tree(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

// simSite is a site whose answers are the same each time.
func simSite(root *os.Root) *site {
	s := newSite(root)
	s.now = func() time.Time { return modified.Add(time.Hour) }
	return s
}

// simServer is a site in a world.
type simServer struct {
	*asynctest.World
	*site
	ln *channel.Listener
}

func serveWorld(w *asynctest.World, root *os.Root) *simServer {
	s := simSite(root)
	s.inline = w.Choose(2) == 1
	return &simServer{w, s, w.Serve("tcp", ":80", chat.Accept(s.accept))}
}

// patient is for networks that take a byte at a time, and a second for some of them.
func (s *simServer) patient() {
	s.header, s.body, s.idle = time.Hour, time.Hour, time.Hour
	s.ln.Close()
	s.ln = s.Serve("tcp", ":81", func(c *channel.Conn) *channel.Handler {
		c.SetWriteTimeout(time.Hour)
		return chat.Accept(s.accept)(c)
	})
}

// exchange is a request, and what is looked at of its answer.
type exchange struct {
	method  string
	request string // behind the method
	want    got
}

type got struct {
	Status int
	Length int64
	Range  string
	Body   string
}

const host = " HTTP/1.1\r\nHost: x\r\n"

func text(status int, body string) got {
	return got{Status: status, Length: int64(len(body)), Body: body}
}

var (
	small     = exchange{"GET", " /a.txt" + host + "\r\n", text(200, "hello\n")}
	large     = exchange{"GET", " /larger.txt" + host + "\r\n", text(200, larger)}
	head      = exchange{"HEAD", " /a.txt" + host + "\r\n", got{Status: 200, Length: 6}}
	chunks    = exchange{"GET", " /a.txt" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n3;x=y\r\n\r\n0\r\n0\r\nT: x\r\n\r\n", text(200, "hello\n")}
	larger    = strings.Repeat("l", smallFile+1)
	exchanges = []exchange{
		small, head, chunks, large,
		{"GET", " /empty.txt" + host + "\r\n", text(200, "")},
		{"GET", " /64k.txt" + host + "Range: bytes=2-9\r\n\r\n", got{206, 8, "bytes 2-9/65536", "k.64k.64"}},
		{"GET", " /64k.txt" + host + "Range: bytes=65534-99999\r\n\r\n", got{206, 2, "bytes 65534-65535/65536", "k."}},
		{"HEAD", " /64k.txt" + host + "Range: bytes=-3\r\n\r\n", got{206, 3, "bytes 65533-65535/65536", ""}},
		{"GET", " /a.txt" + host + "Range: bytes=6-\r\n\r\n", got{416, 36, "bytes */6", "416 Requested Range Not Satisfiable\n"}},
		{"GET", " /idx/" + host + "Content-Length: 5\r\n\r\nGET /", text(200, "<p>index</p>")},
		{"POST", " /a.txt" + host + "Content-Length: 3\r\n\r\n\r\n\r", text(405, "405 Method Not Allowed\n")},
		{"OPTIONS", " *" + host + "\r\n", got{Status: 204}},
		{"GET", " /nothing" + host + "\r\n", text(404, "404 Not Found\n")},
		{"HEAD", " /nothing" + host + "\r\n", got{Status: 404, Length: 14}},
		{"GET", " /a.txt" + host + "If-Modified-Since: Sat, 03 Jan 2026 00:00:00 GMT\r\n\r\n", got{Status: 304}},
		{"HEAD", " /larger.txt" + host + "\r\n", got{Status: 200, Length: smallFile + 1}},
	}
)

// answers takes apart what has come for requests, as far as it is complete.
func answers(received []byte, to []exchange) (all []got) {
	in := bufio.NewReader(bytes.NewReader(received))
	for _, x := range to {
		r, err := http.ReadResponse(in, &http.Request{Method: x.method})
		if err != nil {
			return all
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return all
		}
		all = append(all, got{r.StatusCode, max(r.ContentLength, 0), r.Header.Get("Content-Range"), string(body)})
	}
	return all
}

// check waits for the answers to requests, and compares them; where a client was
// lost, as far as they have come.
func (s *simServer) check(c *asynctest.Peer, asked []exchange) {
	exampletest.Until(s.World, func() bool { return c.Faulted() || len(answers(c.Received(), asked)) == len(asked) })
	for i, a := range answers(c.Received(), asked) {
		if diff := cmp.Diff(asked[i].want, a); diff != "" {
			s.Errorf("%v, answer %d, to %s%s (-want +got):\n%.500s", c, i, asked[i].method, asked[i].request, diff)
		}
	}
}

func (x *exchange) String() string { return x.method + x.request }

// TestSimPipeline: all requests of a client are answered, in their order, whatever
// their bodies look like.
func TestSimPipeline(t *testing.T) {
	root := simTree(t)
	exampletest.Worlds(t, 50, func(w *asynctest.World) {
		s := serveWorld(w, root)
		s.patient()
		var clients []*asynctest.Peer
		asked := make([][]exchange, 1+w.Choose(3))
		for i := range asked {
			c := w.Dial(s.ln).Chop(0, w.Choose(60))
			for range 1 + w.Choose(8) {
				x := exchanges[w.Choose(len(exchanges))]
				asked[i] = append(asked[i], x)
				c.Send(x.String())
			}
			clients = append(clients, c)
		}
		rude := w.Dial(s.ln).Send("GET /big.bin" + host + "\r\n").StopReading()
		switch w.Choose(3) {
		case 1:
			rude.Reset()
		case 2:
			rude.Close()
		}
		for i, c := range clients {
			s.check(c, asked[i])
		}
		rude.Close()
	})
}

// TestSimFile: a large file, in all ways to wait.
func TestSimFile(t *testing.T) {
	root := simTree(t)
	big, err := root.ReadFile("big.bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, poller := range []string{"epoll", "kqueue", "poll", "select"} {
		asynctest.Run(t, asynctest.Config{Poller: poller, Tape: []byte{}}, func(w *asynctest.World) {
			s := serveWorld(w, root)
			x := exchange{"GET", " /big.bin" + host + "\r\n", text(200, string(big))}
			c := w.Dial(s.ln).Send(x.String())
			stopped := w.Dial(s.ln).StopReading().Send(x.String() + small.String())
			s.check(c, []exchange{x})
			w.Advance(50 * time.Second)
			stopped.StartReading() // in time
			s.check(stopped, []exchange{x, small})
		})
	}
}

// lingerTime is how long a Conn that we have closed waits for its peer.
const lingerTime = 30 * time.Second

// TestSimTimes: who is too slow with a header or a body gets 408, and who says
// nothing, or does not read, is closed.
func TestSimTimes(t *testing.T) {
	root := simTree(t)
	for _, test := range []struct {
		name   string
		first  string
		more   string // every second
		reads  bool
		after  time.Duration
		answer string // begins so
	}{
		{"header", "GET /a.txt HTTP/1.1\r\n", "x", true, 10 * time.Second, "HTTP/1.1 408"},
		{"fields", "GET /a.txt" + host, "A: b\r\n", true, 10 * time.Second, "HTTP/1.1 408"},
		{"body", "GET /a.txt" + host + "Content-Length: 1000\r\n\r\n", "x", true, 30 * time.Second, "HTTP/1.1 408"},
		{"chunks", "GET /a.txt" + host + "Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", true, 30 * time.Second, "HTTP/1.1 408"},
		{"silence", "", "", true, time.Minute, ""},
		{"does not read", "GET /big.bin" + host + "\r\n", "", false, time.Minute, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			asynctest.Run(t, asynctest.Config{Tape: []byte{}}, func(w *asynctest.World) {
				s := serveWorld(w, root)
				other := w.Dial(s.ln)
				c := w.Dial(s.ln)
				if !test.reads {
					c.StopReading()
				}
				c.Send(test.first)
				for range 100 {
					c.Pause(time.Second).Send(test.more)
				}
				w.Advance(test.after - 5*time.Second)
				other.Send(small.String()) // and keeps its connection
				s.check(other, []exchange{small})
				if open := conns(w); open != 2 {
					w.Errorf("%v before the time %d connections are open", w.Now(), open)
				}
				w.Advance(5 * time.Second)
				if got := string(c.Received()); !strings.HasPrefix(got, test.answer) || test.answer == "" && got != "" {
					w.Errorf("answered %q at %v", got, w.Now())
				}
				if w.Advance(lingerTime); conns(w) != 1 {
					w.Errorf("%d connections are open", conns(w))
				}
			})
		})
	}
}

// TestSimGone: whoever goes while a file is being opened or sent leaves none open.
func TestSimGone(t *testing.T) {
	root := simTree(t)
	exampletest.Worlds(t, 50, func(w *asynctest.World) {
		s := serveWorld(w, root)
		for range 1 + w.Choose(3) {
			c := w.Dial(s.ln).StopReading().Send("GET /big.bin" + host + "\r\n").Pause(time.Duration(w.Choose(3)) * time.Millisecond)
			if w.Choose(2) == 0 {
				c.Close()
			} else {
				c.Reset()
			}
		}
		exampletest.Until(w, func() bool { return conns(w) == 0 })
		w.Advance(time.Minute) // what is under way beside the loop ends
		for _, file := range leaktest.Open() {
			if strings.Contains(file, "big.bin") {
				w.Errorf("left open: %s", file)
			}
		}
	})
}

func conns(w *asynctest.World) (n int) {
	for range channel.Conns(w.Loop()) {
		n++
	}
	return n
}

func TestSimEveryFault(t *testing.T) {
	root := simTree(t)
	asynctest.EveryFault(t, func(w *asynctest.World) {
		s := serveWorld(w, root)
		a, b := w.Dial(s.ln).Send(small.String()+large.String()+head.String()), w.Dial(s.ln)
		b.Send(chunks.String()).HalfClose()
		w.Advance(time.Minute)
		for _, c := range []struct {
			*asynctest.Peer
			asked []exchange
		}{{a, []exchange{small, large, head}}, {b, []exchange{chunks}}} {
			if !w.Faulted() {
				s.check(c.Peer, c.asked)
			}
		}
	})
}

func TestSimSegmentations(t *testing.T) {
	root := simTree(t)
	var all strings.Builder
	asked := slices.DeleteFunc(slices.Clone(exchanges), func(x exchange) bool { return x == large })
	for _, x := range asked {
		all.WriteString(x.String())
	}
	for _, test := range []struct {
		name, input string
		answered    []exchange
	}{
		{"pipeline", all.String(), asked},
		{"cut off", small.String() + "GET /a.txt HT", []exchange{small}},
		{"smuggled", small.String() + "GET / HTTP/1.1\r\nHost: x\n\r\n\r\n",
			[]exchange{small, {want: text(400, "400 Bad Request\n")}}},
		{"chunk", "GET /" + host + "Transfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n",
			[]exchange{{want: text(400, "400 Bad Request\n")}}},
		{"long", "GET /" + strings.Repeat("x", maxLine),
			[]exchange{{want: text(414, "414 Request URI Too Long\n")}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if testing.Short() && len(test.input) > 1000 {
				t.Skip("takes seconds")
			}
			accept := func(c *channel.Conn) *channel.Handler { return chat.Accept(simSite(root).accept)(c) }
			asynctest.Segmentations(t, accept, test.input, func(output string) {
				var want []got
				for _, x := range test.answered {
					want = append(want, x.want)
				}
				if diff := cmp.Diff(want, answers([]byte(output), append(test.answered, exchange{}))); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}
