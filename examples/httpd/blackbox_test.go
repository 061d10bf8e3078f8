//go:build unix

package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, ".") }

// start runs the program; the test's end is a SIGTERM, which must end it with exit
// code 0.
func start(t *testing.T, args ...string) (url string) {
	t.Helper()
	s := exampletest.Start(t, "httpd", args...)
	t.Cleanup(func() {
		s.Process.Signal(syscall.SIGTERM)
		if code := s.Exit(t); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	return "http://" + s.Addr
}

// TestCurl talks to the program as a person with a shell would.
func TestCurl(t *testing.T) {
	blackbox.Needs(t, "curl")
	dir := tree(t)
	url := start(t, "-dir", dir, "-log")
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, bytes.Repeat([]byte("body"), 100_000), 0o644); err != nil {
		t.Fatal(err)
	}
	big, _ := os.ReadFile(filepath.Join(dir, "big.bin"))
	for _, c := range []struct {
		args string
		want string // a regexp for headers and body
	}{
		{"/a.txt", `HTTP/1.1 200 OK\r\n(?s:.*)\r\n\r\nhello\n`},
		{"-I /a.txt", `HTTP/1.1 200 OK\r\n(?s:.*)Content-Length: 6\r\n\r\n`},
		{"-r 1-3 /a.txt", `HTTP/1.1 206 Partial Content\r\n(?s:.*)Content-Range: bytes 1-3/6\r\n(?s:.*)\r\n\r\nell`},
		{"-r -2 /a.txt", `HTTP/1.1 206 (?s:.*)\r\n\r\no\n`},
		{"-r 0-0,2-3 /a.txt", `HTTP/1.1 200 (?s:.*)\r\n\r\nhello\n`},
		{"-C 4 /a.txt", `HTTP/1.1 206 (?s:.*)\r\n\r\no\n`},
		{"-r 9- /a.txt", `HTTP/1.1 416 (?s:.*)Content-Range: bytes \*/6\r\n(?s:.*)`},
		{"-z 20260201 /a.txt", `HTTP/1.1 304 Not Modified\r\n(?s:.*)\r\n\r\n`},
		{"-z 20250201 /a.txt", `HTTP/1.1 200 (?s:.*)hello\n`},
		{"--http1.0 /a.txt", `HTTP/1.1 200 (?s:.*)Connection: close\r\n\r\nhello\n`},
		{"-L /idx", `HTTP/1.1 301 (?s:.*)Location: idx/\r\n(?s:.*)HTTP/1.1 200 (?s:.*)<p>index</p>`},
		{"-L /a.txt/", `HTTP/1.1 301 (?s:.*)HTTP/1.1 200 (?s:.*)hello\n`},
		{"--path-as-is /../secret.txt", `HTTP/1.1 404 (?s:.*)`},
		{"--path-as-is /sub/../../secret.txt", `HTTP/1.1 404 (?s:.*)`},
		{"--path-as-is /..%2f..%2f..%2fetc/passwd", `HTTP/1.1 404 (?s:.*)`},
		{"--path-as-is /%2e%2e/secret.txt", `HTTP/1.1 404 (?s:.*)`},
		{"--path-as-is /out", `HTTP/1.1 404 (?s:.*)`},
		{"--path-as-is /up/secret.txt", `HTTP/1.1 404 (?s:.*)`},
		{"-T " + body + " /x", `HTTP/1.1 405 Method Not Allowed\r\n(?s:.*)Allow: GET, HEAD, OPTIONS\r\n(?s:.*)`},
		{"-T " + body + " -H Expect:100-continue /x", `HTTP/1.1 405 (?s:.*)Connection: close\r\n(?s:.*)`},
		{"--data-binary @" + body + " /a.txt", `HTTP/1.1 405 (?s:.*)`},
		{"-T " + body + " -H Transfer-Encoding:chunked -H Expect: /x", `HTTP/1.1 405 (?s:.*)`},
		{"-X GET --data-binary @" + body + " -H Expect:100-continue /a.txt", `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 (?s:.*)hello\n`},
		{"-X GET --data-binary @" + body + " -H Transfer-Encoding:chunked /a.txt", `(HTTP/1.1 100 Continue\r\n\r\n)?HTTP/1.1 200 (?s:.*)hello\n`},
		{"-H Expect:x /a.txt", `HTTP/1.1 417 (?s:.*)`},
		{"-X OPTIONS /a.txt", `HTTP/1.1 204 No Content\r\n(?s:.*)\r\n\r\n`},
		{"-X DELETE /a.txt", `HTTP/1.1 405 (?s:.*)`},
		{"-H Host: --http1.1 /a.txt", `HTTP/1.1 400 (?s:.*)`},
	} {
		args := strings.Fields("-sS -i --max-time 20 " + c.args)
		args[len(args)-1] = url + args[len(args)-1]
		got, err := exec.Command("curl", args...).Output()
		if ok := regexp.MustCompile(`\A(?:` + c.want + `)\z`).Match(got); !ok {
			t.Errorf("curl %.100s: %.400q, %v", c.args, got, err)
		}
	}
	if got, err := exec.Command("curl", "-sS", "--max-time", "20", url+"/big.bin").Output(); err != nil || !bytes.Equal(got, big) {
		t.Errorf("big.bin: %d bytes, or others; %v", len(got), err)
	}
	// One connection for several requests.
	out, err := exec.Command("curl", "-sS", "--max-time", "20", "-w", "%{num_connects} ", "-o", os.DevNull, url+"/a.txt",
		"-o", os.DevNull, url+"/none", "-o", os.DevNull, "-X", "GET", "--data-binary", "@"+body, url+"/idx/").Output()
	if string(out) != "1 0 0 " {
		t.Errorf("connections: %q, %v", out, err)
	}
}

// TestBrowser has a browser load a page, its style, its image and its script.
func TestBrowser(t *testing.T) {
	blackbox.Needs(t, "chromium")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index.html": `<!doctype html><title>t</title><link rel="stylesheet" href="style.css">
<p id="p">before</p><img id="i" src="image.svg"><script src="script.js"></script>`,
		"style.css": `#p { color: rgb(1, 2, 3) }`,
		"image.svg": `<svg xmlns="http://www.w3.org/2000/svg" width="37" height="41"></svg>`,
		"script.js": `onload = async () => {
	const part = await (await fetch("data.txt", {headers: {Range: "bytes=2-4"}})).text();
	const p = document.getElementById("p"), i = document.getElementById("i");
	p.textContent = ["after", getComputedStyle(p).color, i.naturalWidth, i.naturalHeight, part].join(" ");
};`,
		"data.txt": "0123456789",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	url := start(t, "-dir", dir, "-log")
	cmd := exec.Command("timeout", "60", "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=5000", "--dump-dom", url+"/")
	cmd.Stderr = new(bytes.Buffer)
	dom, err := cmd.Output()
	if want := `<p id="p">after rgb(1, 2, 3) 37 41 234</p>`; err != nil || !strings.Contains(string(dom), want) {
		t.Errorf("no %s in:\n%s\n%v\n%.2000s", want, dom, err, cmd.Stderr)
	}
}

var perSecond = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)

// TestWrk loads the program, and net/http's FileServer beside it.
func TestWrk(t *testing.T) {
	blackbox.Needs(t, "wrk")
	dir := tree(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.FileServer(http.Dir(dir))}
	defer server.Close()
	go server.Serve(ln)
	theirs := "http://" + ln.Addr().String()
	urls := []string{theirs, start(t, "-dir", dir, "-per-host", "0"), start(t, "-dir", dir, "-per-host", "0", "-inline")}
	for _, path := range []string{"/a.txt", "/64k.txt", "/big.bin"} {
		var rates [3]float64
		for i, url := range urls {
			out, err := exec.Command("wrk", "-t1", "-c32", "-d2s", url+path).CombinedOutput()
			m := perSecond.FindSubmatch(out)
			if err != nil || m == nil || bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
				t.Fatalf("wrk: %v\n%s", err, out)
			}
			rates[i], _ = strconv.ParseFloat(string(m[1]), 64)
		}
		t.Log(path, fmt.Sprintf("net/http %.0f/s, httpd %.0f/s (%.2f), -inline %.0f/s (%.2f)",
			rates[0], rates[1], rates[1]/rates[0], rates[2], rates[2]/rates[0]))
	}
}
