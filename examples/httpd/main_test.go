//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/chat"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
	"github.com/seed-20e08ac4/asyncore/internal/transcript"
	"github.com/seed-20e08ac4/asyncore/loop"
)

var modified = time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)

const bigSize = 8 << 20

// tree makes a directory to serve, and a file outside of it.
func tree(t testing.TB) (dir string) {
	t.Helper()
	top := t.TempDir()
	dir = filepath.Join(top, "www")
	write := func(name, text string) {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o644),
			os.Chtimes(file, modified, modified)); err != nil {
			t.Fatal(err)
		}
	}
	write("../secret.txt", "outside\n")
	write("a.txt", "hello\n")
	write("b.html", "<h1>b.html</h1>\r\n\x00")
	write("empty.txt", "")
	write("noext", "<script>")
	write("sub/c d%.txt", "c d\n")
	write("sub/<&\"'>?#:.txt", "odd\n")
	write("idx/index.html", "<p>index</p>")
	write("odd/index.html/x.txt", "x")
	write("small.txt", strings.Repeat("s", smallFile))
	write("larger.txt", strings.Repeat("l", smallFile+1))
	write("64k.txt", strings.Repeat("64k.", 16<<10))
	big := make([]byte, bigSize)
	for i := range big {
		big[i] = byte(i>>8 ^ i)
	}
	write("big.bin", string(big))
	for _, link := range [][2]string{{"a.txt", "in.txt"}, {"../secret.txt", "out"}, {"/etc/passwd", "abs"}, {"..", "up"}, {"self", "self"}} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "sub"), modified, modified); err != nil {
		t.Fatal(err)
	}
	return dir
}

// serve runs a site in this process.
func serve(t testing.TB, dir, poller string, change func(s *site)) net.Addr {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(root)
	if change != nil {
		change(s)
	}
	t.Cleanup(func() { root.Close() })
	_, addr := exampletest.Serve(t, loop.Config{Poller: poller, Debug: true, CrashOnPanic: true}, "tcp", chat.Accept(s.accept))
	return addr
}

// eachPoller runs f with each backend, and files opened beside the loop and on it.
func eachPoller(t *testing.T, f func(t *testing.T, addr, dir string)) {
	dir := tree(t)
	for _, name := range asyncore.Backends() {
		for _, inline := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/inline=%v", name, inline), func(t *testing.T) {
				f(t, serve(t, dir, name, func(s *site) { s.inline = inline }).String(), dir)
			})
		}
	}
}

func TestTranscripts(t *testing.T) {
	dir := tree(t)
	transcript.Run(t, "testdata/*.txt", transcript.Fresh(func(t *testing.T) net.Addr {
		return serve(t, dir, "", nil)
	}))
}

// answered is what a test looks at of an answer.
type answered struct {
	Status int
	Header http.Header
	Body   string
}

func ask(t *testing.T, client *http.Client, method, url string, header ...string) answered {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{resp.StatusCode, resp.Header, string(body)}
}

// newClient follows no redirects.
func newClient(t *testing.T) *http.Client {
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// TestFileServer answers as net/http's FileServer does, which has a root too.
func TestFileServer(t *testing.T) {
	const (
		same  = "Fri, 02 Jan 2026 03:04:05 GMT"
		early = "Fri, 02 Jan 2026 03:04:04 GMT"
		late  = "Fri, 02 Jan 2026 03:04:06 GMT"
	)
	var table [][]string // path, then fields
	for _, path := range []string{"/", "/a.txt", "/b.html", "/empty.txt", "/big.bin", "/small.txt", "/larger.txt", "/64k.txt", "/none", "/none/",
		"/a.txt/", "/a.txt/x", "/sub", "/sub/", "/sub?q=1&r", "/sub/?q", "/sub/c%20d%25.txt", "/sub/%3C&%22'%3E%3F%23:.txt",
		"/idx", "/idx/", "/idx/index.html", "/idx/index.html?q", "/none/index.html", "/in.txt", "/./a.txt", "/sub/../a.txt",
		"/../a.txt", "/../../../../etc/passwd", "//a.txt", "/sub//", "//sub", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/out",
		"/abs", "/up/secret.txt", "/A.TXT", "/a.txt?x=/../..", "/a.txt%20", "/sub/c+d%25.txt", "/%61.txt", "/self"} {
		table = append(table, []string{path})
	}
	for _, ranges := range []string{"bytes=0-0", "bytes=0-", "bytes=1-3", "bytes=5-", "bytes=5-100", "bytes=6-", "bytes=6-7", "bytes=-1",
		"bytes=-6", "bytes=-100", "bytes=3-1", "bytes=-", "bytes=x-", "bytes=0-x",
		"bytes=99999999999999999999-", "bytes=0-5", "bytes= 0-1", "bytes=0-1 "} {
		table = append(table, []string{"/a.txt", "Range", ranges})
	}
	for _, at := range []string{same, early, late, "Friday, 02-Jan-26 03:04:05 GMT", "Fri Jan  2 03:04:05 2026", "x", ""} {
		for _, name := range []string{"If-Modified-Since", "If-Unmodified-Since"} {
			table = append(table, []string{"/a.txt", name, at}, []string{"/sub/", name, at}, []string{"/none", name, at})
		}
		table = append(table, []string{"/a.txt", "If-Range", at, "Range", "bytes=1-2"},
			[]string{"/a.txt", "If-Range", at, "Range", "bytes=9-", "If-Modified-Since", late},
			[]string{"/a.txt", "If-None-Match", `"x"`, "If-Modified-Since", at})
	}
	for _, tag := range []string{"*", `"x"`, `W/"x"`, `"x", "y"`, "x", `"`} {
		table = append(table, []string{"/a.txt", "If-Match", tag}, []string{"/a.txt", "If-None-Match", tag},
			[]string{"/a.txt", "If-Range", tag, "Range", "bytes=1-2"})
	}
	table = append(table, []string{"/empty.txt", "Range", "bytes=0-"}, []string{"/empty.txt", "Range", "bytes=5-9"},
		[]string{"/big.bin", "Range", "bytes=1000000-7000000"}, []string{"/big.bin", "Range", "bytes=-1"})

	eachPoller(t, func(t *testing.T, addr, dir string) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.FileServerFS(root.FS())}
		defer server.Close()
		go server.Serve(ln)
		client := newClient(t)
		for _, row := range table {
			for _, method := range []string{"GET", "HEAD"} {
				want := ask(t, client, method, "http://"+ln.Addr().String()+row[0], row[1:]...)
				got := ask(t, client, method, "http://"+addr+row[0], row[1:]...)
				for _, a := range []*answered{&got, &want} {
					for _, name := range []string{"Date", "Etag", "X-Content-Type-Options"} {
						a.Header.Del(name)
					}
					if a.Status >= 300 { // the texts are ours
						a.Body = ""
						a.Header.Del("Content-Length")
						a.Header.Del("Content-Type")
					}
					if a.Status >= 400 { // net/http has these for some of the refused ones
						a.Header.Del("Content-Range")
						a.Header.Del("Last-Modified")
					}
					if path, _, _ := strings.Cut(row[0], "?"); strings.HasSuffix(path, "/") && path != "/idx/" {
						a.Header.Del("Content-Length") // escapes in listings differ
						a.Body = html.UnescapeString(a.Body)
					}
				}
				if want.Status == 500 {
					want.Status = 404 // a link to the outside
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s %q (-net/http +ours):\n%.2000s", method, row, d)
				}
			}
		}
		t.Logf("%d requests", 2*len(table))
	})
}

// TestTags: those that we have given, which FileServer does not.
func TestTags(t *testing.T) {
	eachPoller(t, func(t *testing.T, addr, dir string) {
		client, url := newClient(t), "http://"+addr+"/a.txt"
		tag := ask(t, client, "HEAD", url).Header.Get("Etag")
		if want := fmt.Sprintf(`"%x-6"`, modified.UnixNano()); tag != want {
			t.Fatalf("tag %s, want %s", tag, want)
		}
		weak := "W/" + tag
		for _, row := range []struct {
			status int
			header []string
		}{
			{304, []string{"If-None-Match", tag}},
			{304, []string{"If-None-Match", weak}},
			{304, []string{"If-None-Match", `"x", ` + tag}},
			{200, []string{"If-None-Match", "x" + tag}},
			{200, []string{"If-None-Match", `"x"`, "If-Modified-Since", modified.Format(http.TimeFormat)}},
			{200, []string{"If-Match", tag}},
			{412, []string{"If-Match", weak}},
			{206, []string{"If-Range", tag, "Range", "bytes=0-1"}},
			{200, []string{"If-Range", weak, "Range", "bytes=0-1"}},
			{304, []string{"If-None-Match", tag, "Range", "bytes=0-1"}},
			{416, []string{"If-Range", tag, "Range", "bytes=6-"}},
			{200, []string{"If-Range", `"x"`, "Range", "bytes=6-"}},
			// Where we leave net/http: see the package comment and conditional.go.
			{200, []string{"Range", "bytes=0-1,3-4"}},
			{200, []string{"Range", "bytes=" + strings.Repeat("0-,", 1000) + "0-"}},
			{200, []string{"Range", "lines=0-1"}},
			{416, []string{"Range", "bytes="}},
			{416, []string{"Range", "bytes=-0"}},
			{416, []string{"Range", "bytes=+0-1"}},
			{416, []string{"Range", "bytes=0-+1"}},
		} {
			if got := ask(t, client, "GET", url, row.header...); got.Status != row.status || got.Status == 200 && got.Body != "hello\n" {
				t.Errorf("%q: %d %q, want %d", row.header, got.Status, got.Body, row.status)
			}
		}
		fresh := filepath.Join(dir, "fresh.txt")
		now := time.Now().Add(time.Hour) // as if written in this very second
		if err := errors.Join(os.WriteFile(fresh, nil, 0o644), os.Chtimes(fresh, now, now)); err != nil {
			t.Fatal(err)
		}
		defer os.Remove(fresh)
		if tag := ask(t, client, "HEAD", "http://"+addr+"/fresh.txt").Header.Get("Etag"); !strings.HasPrefix(tag, `W/"`) {
			t.Errorf("a file that was changed just now has the tag %s", tag)
		}
	})
}

// TestKinds has files that are not what they seem.
func TestKinds(t *testing.T) {
	eachPoller(t, func(t *testing.T, addr, dir string) {
		client := newClient(t)
		for _, row := range []struct {
			path   string
			status int
		}{{"/fifo", 403}, {"/out", 404}, {"/abs", 404}, {"/up", 404}, {"/self", 404}, {"/odd/", 200}, {"/" + strings.Repeat("x", 300), 404}} {
			if got := ask(t, client, "GET", "http://"+addr+row.path); got.Status != row.status {
				t.Errorf("%s: %d %q, want %d", row.path, got.Status, got.Body, row.status)
			}
		}
		got := ask(t, client, "GET", "http://"+addr+"/noext").Header
		if got.Get("Content-Type") != "application/octet-stream" || got.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("no extension: %v", got)
		}
		if body := ask(t, client, "GET", "http://"+addr+"/sub/").Body; strings.ContainsAny(strings.ReplaceAll(body, "<&", ""), "'") ||
			!strings.Contains(body, ">&lt;&amp;&#34;&#39;&gt;?#:.txt</a>") {
			t.Errorf("listing:\n%s", body)
		}
	})
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(60 * time.Second))
	return c.(*net.TCPConn)
}

// TestPipelined: as many requests at once as a connection may have, and one more,
// which is not answered.
func TestPipelined(t *testing.T) {
	eachPoller(t, func(t *testing.T, addr, _ string) {
		c := dial(t, addr)
		var all bytes.Buffer
		for i := range maxRequests + 1 {
			fmt.Fprintf(&all, "GET /big.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n", i*1000, i*1000+i)
		}
		go c.Write(all.Bytes())
		r := bufio.NewReader(c)
		for i := range maxRequests {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
			io.Copy(io.Discard, resp.Body)
			if want := fmt.Sprintf("bytes %d-%d/%d", i*1000, i*1000+i, bigSize); resp.Header.Get("Content-Range") != want {
				t.Fatalf("answer %d is %q, want %q", i, resp.Header.Get("Content-Range"), want)
			}
			if last := i == maxRequests-1; resp.Close != last {
				t.Fatalf("answer %d says close: %v", i, resp.Close)
			}
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("after the last: %v", err)
		}
	})
}

// TestPipelinedFiles: large ones, of which one is open at a time.
func TestPipelinedFiles(t *testing.T) {
	eachPoller(t, func(t *testing.T, addr, dir string) {
		before := descriptors(t)
		c := dial(t, addr)
		io.WriteString(c, strings.Repeat("GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n", 20))
		want, _ := os.ReadFile(filepath.Join(dir, "big.bin"))
		r := bufio.NewReader(c)
		for i := range 20 {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if n := descriptors(t); before > 0 && n > before+4 { // two ends, a file; perhaps one more that is being opened
				t.Fatalf("%d descriptors, %d before", n, before)
			}
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("answer %d: %d bytes, or others; %v", i, len(got), err)
			}
		}
	})
}

// descriptors counts those of this process; 0 where the system does not tell.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// settles waits until there are no more descriptors than before.
func settles(t *testing.T, before int) {
	t.Helper()
	for range 2000 {
		if descriptors(t) <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%d descriptors, %d before", descriptors(t), before)
}

// TestResets: clients that leave in the middle of a file, or while it is opened.
func TestResets(t *testing.T) {
	eachPoller(t, func(t *testing.T, addr, _ string) {
		before := descriptors(t)
		for i := range 100 {
			c := dial(t, addr)
			io.WriteString(c, "GET /big.bin HTTP/1.1\r\nHost: a\r\n\r\n")
			switch i % 3 {
			case 1:
				io.ReadFull(c, make([]byte, 1000))
			case 2:
				io.ReadFull(c, make([]byte, 3<<20))
			}
			if i%2 == 0 {
				c.SetLinger(0)
			}
			c.Close()
		}
		settles(t, before)
		if got := ask(t, newClient(t), "GET", "http://"+addr+"/a.txt"); got.Body != "hello\n" {
			t.Errorf("afterwards: %v", got)
		}
	})
}

// TestGoneWhileOpening: the answer to who has left meanwhile is thrown away.
func TestGoneWhileOpening(t *testing.T) {
	dir := tree(t)
	before := descriptors(t)
	t.Run("", func(t *testing.T) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		l, err := loop.New(loop.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var sessions int
		var ln *channel.Listener
		ln, err = channel.Listen(l, "tcp", "127.0.0.1:0", chat.Accept(func(c *chat.Conn) *chat.Handler {
			h := *newSite(root).accept(c)
			message := h.Message
			h.Message = func(c *chat.Conn, msg []byte) {
				message(c, msg)
				if !c.Channel().Reading() { // paused: the file is being opened
					c.Abort()
				}
			}
			if sessions++; sessions == 10 {
				ln.Close()
			}
			return &h
		}))
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			io.WriteString(dial(t, ln.Addr().String()), "GET /big.bin HTTP/1.0\r\n\r\n")
		}
		if err := l.Run(context.Background()); err != nil { // until all has ended
			t.Fatal(err)
		}
	})
	settles(t, before)
}

// TestSlowReader: of a file larger than the heap may grow.
func TestSlowReader(t *testing.T) {
	eachPoller(t, func(t *testing.T, addr, dir string) {
		const size = 128 << 20
		sparse := filepath.Join(dir, "sparse.bin")
		if err := errors.Join(os.WriteFile(sparse, nil, 0o644), os.Truncate(sparse, size)); err != nil {
			t.Fatal(err)
		}
		c := dial(t, addr)
		io.WriteString(c, "GET /sparse.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		heap := func() int64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		before, buf, n := heap(), make([]byte, 1<<20), int64(0)
		for i := range 40 {
			k, err := io.ReadFull(resp.Body, buf[:1+i*10000])
			if n += int64(k); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if grown := heap() - before; grown > 4<<20 {
			t.Errorf("the heap has grown by %d bytes", grown)
		}
		rest, err := io.Copy(io.Discard, resp.Body)
		if n+rest != size || err != nil {
			t.Errorf("%d of %d bytes, %v", n+rest, int64(size), err)
		}
	})
}

// TestShorterFile: one that loses its end while it is sent ends in a reset.
func TestShorterFile(t *testing.T) {
	eachPoller(t, func(t *testing.T, addr, dir string) {
		name := filepath.Join(dir, "shorter.bin")
		if err := errors.Join(os.WriteFile(name, nil, 0o644), os.Truncate(name, 256<<20)); err != nil {
			t.Fatal(err)
		}
		before := descriptors(t)
		c := dial(t, addr)
		io.WriteString(c, strings.Repeat("GET /shorter.bin HTTP/1.1\r\nHost: a\r\n\r\n", 2))
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, 1000); err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%d bytes, then %v", n, err)
		}
		c.Close()
		settles(t, before)
	})
}

// TestDeadlines: 408 for a header or body that goes on for too long, however
// often a byte comes.
func TestDeadlines(t *testing.T) {
	dir := tree(t)
	addr := serve(t, dir, "", func(s *site) { s.header, s.body = 50*time.Millisecond, 50*time.Millisecond }).String()
	for name, begin := range map[string]string{
		"request line": "G",
		"field":        "GET / HTTP/1.1\r\nA: ",
		"second":       "GET /a.txt HTTP/1.1\r\nHost: a\r\n\r\nGET",
		"length":       "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nx",
		"chunk":        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n",
		"chunk line":   "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;",
		"no body":      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
		"100, no body": "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			io.WriteString(c, begin)
			got := make(chan string, 1)
			go func() {
				all, err := io.ReadAll(c)
				got <- fmt.Sprintf("%s %v", all, err)
			}()
			want := "HTTP/1.1 408 Request Timeout\r\n"
			if name == "no body" {
				want = "HTTP/1.1 405 Method Not Allowed\r\n"
			}
			for range 5000 {
				select {
				case all := <-got:
					if !strings.Contains(all, want) || !strings.Contains(all, "Connection: close\r\n") {
						t.Errorf("got %q", all)
					}
					return
				default:
				}
				if !strings.HasSuffix(name, "no body") {
					io.WriteString(c, "x")
				}
				time.Sleep(2 * time.Millisecond)
			}
			t.Error("no end")
		})
	}
	// Who says nothing owes nothing, until the idle timeout.
	c := dial(t, addr)
	time.Sleep(200 * time.Millisecond)
	io.WriteString(c, "GET /a.txt HTTP/1.0\r\n\r\n")
	if all, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("%q, %v", all, err)
	}
}

func TestIdle(t *testing.T) {
	addr := serve(t, tree(t), "", func(s *site) { s.idle = 50 * time.Millisecond }).String()
	if n, err := dial(t, addr).Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read %d bytes, %v", n, err)
	}
}

func TestGuests(t *testing.T) {
	addr := serve(t, tree(t), "", func(s *site) { s.guests.Most = 2 }).String()
	alive := func(c net.Conn) bool {
		io.WriteString(c, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		return err == nil && resp.StatusCode == 204
	}
	one, two, three := dial(t, addr), dial(t, addr), dial(t, addr)
	if !alive(one) || !alive(two) || alive(three) {
		t.Error("not the first two of three are served")
	}
	one.Close()
	for range 1000 {
		if alive(dial(t, addr)) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("none has taken the place of who has left")
}

// TestLog: nothing of the wire gets into the log as it is.
func TestLog(t *testing.T) {
	out := &lines{c: make(chan string, 10)}
	addr := serve(t, tree(t), "", func(s *site) { s.log = log.New(out, "", 0) }).String()
	for _, row := range []struct{ in, want string }{
		{"GET /a.txt?%0a\" HTTP/1.0\r\n\r\n", `"GET" "/a.txt?%0a\"" 200 6`},
		{"GET /\x1b[2J HTTP/1.0\r\n\r\n", `"" "" 400 16`},
		{"BREW /" + strings.Repeat("x", 1000) + " HTTP/1.0\r\n\r\n", `"BREW" "/` + strings.Repeat("x", 127) + `" 405 23`},
	} {
		c := dial(t, addr)
		io.WriteString(c, row.in)
		io.ReadAll(c)
		if got := <-out.c; got != c.LocalAddr().String()+" "+row.want+"\n" {
			t.Errorf("logged %q, want %q", got, row.want)
		}
	}
}

type lines struct{ c chan string }

func (l *lines) Write(p []byte) (int, error) { l.c <- string(p); return len(p), nil }

// TestHeaderLines: no value ends its line.
func TestHeaderLines(t *testing.T) {
	a := redirect("x\r\nSet-Cookie: a=b\r\n\r\n<p>\x00\x7f\n", "?\r\n")
	want := "HTTP/1.1 301 Moved Permanently\r\nDate: now\r\nLocation: x??Set-Cookie: a=b????<p>??????\r\n" +
		"Content-Length: 0\r\nConnection: close\r\n\r\n"
	if got := string(a.header("now", "close")); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestSplitting: nor does a path with line ends in it, in a redirect.
func TestSplitting(t *testing.T) {
	dir := tree(t)
	if err := os.MkdirAll(filepath.Join(dir, "a\r\nSet-Cookie: b=c"), 0o755); err != nil {
		t.Fatal(err)
	}
	addr := serve(t, dir, "", nil).String()
	got := ask(t, newClient(t), "GET", "http://"+addr+"/a%0d%0aSet-Cookie:%20b=c")
	if want := "./a%0D%0ASet-Cookie:%20b=c/"; got.Status != 301 || got.Header.Get("Location") != want || got.Header.Get("Set-Cookie") != "" {
		t.Errorf("got %+v, want a redirect to %q", got, want)
	}
}
