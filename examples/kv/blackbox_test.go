//go:build unix

package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
)

func TestRedisCLI(t *testing.T) {
	blackbox.Needs(t, "redis-cli")
	eachPoller(t, func(t *testing.T, poller string) {
		socket := serve(t, defaults, poller).String()
		cli := func(input string, args ...string) string {
			t.Helper()
			cmd := exec.Command("redis-cli", append([]string{"-s", socket}, args...)...)
			cmd.Stdin = strings.NewReader(input)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%q: %v", args, err)
			}
			return string(out)
		}
		script := "SET greeting \"hello world\"\nGET greeting\nINCR n\nKEYS *\nEXPIRE n 100\nTTL n\nLPUSH x 1\nSELECT 3\nDBSIZE\n"
		want := "OK\nhello world\n1\ngreeting\nn\n1\n100\nERR unknown command 'LPUSH', with args beginning with: 'x' '1' \n\nOK\n0\n"
		if got := cli(script); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := cli("", "-n", "3", "--raw", "dbsize"); got != "0\n" {
			t.Errorf("%q", got)
		}
		if got := cli("", "info", "server"); !strings.Contains(got, "multiplexing_api:"+poller) {
			t.Errorf("%q", got)
		}
		var mass bytes.Buffer
		for i := range 10000 {
			mass.Write(encode("SET", "mass:"+strings.Repeat("k", i%50), "v"))
		}
		if got := cli(mass.String(), "--pipe"); !strings.Contains(got, "errors: 0, replies: 10000") {
			t.Errorf("%q", got)
		}

		listen := exec.Command("redis-cli", "-s", socket, "subscribe", "news")
		out, err := listen.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := listen.Start(); err != nil {
			t.Fatal(err)
		}
		defer listen.Wait()
		defer listen.Process.Kill()
		lines := bufio.NewScanner(out)
		for _, want := range []string{"subscribe", "news", "1", "", "message", "news", "hello", ""} {
			if want == "" { // it has subscribed, or heard what was said
				if got := cli("", "publish", "news", "hello"); got != "1\n" {
					t.Errorf("%q", got)
				}
				continue
			}
			if !lines.Scan() || lines.Text() != want {
				t.Fatalf("%q, want %q", lines.Text(), want)
			}
		}
	})
}

// TestRedisBenchmark is a smoke test; bench.sh is for figures.
func TestRedisBenchmark(t *testing.T) {
	blackbox.Needs(t, "redis-benchmark")
	eachPoller(t, func(t *testing.T, poller string) {
		socket := serve(t, defaults, poller).String()
		for _, args := range [][]string{
			{"-t", "ping,set,get,incr", "-n", "2000"},
			{"-t", "set,get", "-n", "20000", "-P", "100", "-d", "2000", "-r", "1000"},
			{"-t", "set,get", "-n", "100", "-c", "4", "-d", "1000000"},
		} {
			out, err := exec.Command("redis-benchmark", append([]string{"-s", socket, "--csv"}, args...)...).CombinedOutput()
			if err != nil || bytes.Contains(out, []byte("rror")) || !bytes.Contains(out, []byte("\"GET\",")) {
				t.Errorf("%q: %v\n%s", args, err, out)
			}
		}
	})
}
