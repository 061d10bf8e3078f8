//go:build linux

package channel_test

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// curl goes through Example_socks's proxy, several at once: names looked up by
// the proxy, two Conns coupled, a large page, and targets that nobody serves.
func TestSocksCurl(t *testing.T) {
	blackbox.Needs(t, "curl")
	page := noise(8 << 20)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(page) }))
	defer web.Close()
	_, port, _ := net.SplitHostPort(web.Listener.Addr().String())
	for _, backend := range asyncore.Backends() {
		l, err := loop.New(loop.Config{Poller: backend})
		if err != nil {
			t.Fatal(err)
		}
		ln, err := channel.Listen(l, "tcp", "127.0.0.1:0", acceptSocks)
		if err != nil {
			t.Fatal(err)
		}
		proxy := ln.Addr().String()
		ran := make(chan error)
		go func() { ran <- l.Run(t.Context()) }()
		var curls sync.WaitGroup
		for _, how := range []string{"--socks5", "--socks5-hostname"} {
			for range 5 {
				curls.Go(func() {
					out, err := exec.Command("curl", "-sS", "--max-time", "30", how, proxy, "http://localhost:"+port).CombinedOutput()
					if err != nil || !bytes.Equal(out, page) {
						t.Errorf("%s %s: %d bytes of %d, or others; %v", backend, how, len(out), len(page), err)
					}
				})
			}
			curls.Go(func() {
				out, err := exec.Command("curl", "-sS", "--max-time", "30", how, proxy, "http://127.0.0.1:1").CombinedOutput()
				if err == nil || !strings.Contains(string(out), "(5)") && !strings.Contains(string(out), "refused") {
					t.Errorf("%s %s, where nobody listens: %v, %s", backend, how, err, out)
				}
			})
		}
		curls.Wait()
		l.Post(func() { l.Drain(time.Minute) })
		if err := <-ran; err != nil {
			t.Error(err)
		}
		l.Close()
	}
}
