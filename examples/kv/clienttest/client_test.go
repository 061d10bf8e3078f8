// Package clienttest runs kv with a client library of Redis. It is a module of
// its own, so that the library is nobody else's dependency.
//
//	cd examples/kv/clienttest && go test ./...
package clienttest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

var listening = regexp.MustCompile(`^listening on tcp (\S+) poller=\w+\n$`)

// start builds kv and runs it until the test ends.
func start(t *testing.T, args ...string) (addr string) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "kv")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = ".." // in the module of kv
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(bin, append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("kv ends with %v", err)
		}
		if t.Failed() {
			t.Logf("kv: %s", &log)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	m := listening.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("first line %q, %v", line, err)
	}
	return m[1]
}

// connect checks what it can: the library begins with HELLO 3, and takes RESP2
// when that is refused.
func connect(t *testing.T, protocol int, args ...string) (*redis.Client, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	c := redis.NewClient(&redis.Options{Addr: start(t, args...), Protocol: protocol, ClientName: "clienttest"})
	t.Cleanup(func() { c.Close() })
	if err := c.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	return c, ctx
}

// want compares a command's result.
func want[T comparable](t *testing.T, cmd interface {
	Result() (T, error)
	String() string
}, value T) {
	t.Helper()
	if got, err := cmd.Result(); err != nil || got != value {
		t.Errorf("%.100s: %v, %v, want %v", cmd, got, err, value)
	}
}

func TestSession(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprint("protocol ", protocol), func(t *testing.T) {
			c, ctx := connect(t, protocol)
			want(t, c.Set(ctx, "user:1", "ann", 0), "OK")
			want(t, c.SetNX(ctx, "user:1", "bob", 0), false)
			want(t, c.SetXX(ctx, "user:1", "eve", time.Hour), true)
			want(t, c.Get(ctx, "user:1"), "eve")
			want(t, c.TTL(ctx, "user:1"), time.Hour)
			want(t, c.Expire(ctx, "user:1", time.Minute), true)
			want(t, c.Incr(ctx, "visits"), 1)
			want(t, c.IncrBy(ctx, "visits", 41), 42)
			want(t, c.Decr(ctx, "visits"), 41)
			want(t, c.Exists(ctx, "user:1", "visits", "nobody"), 2)
			want(t, c.Type(ctx, "visits"), "string")
			want(t, c.Del(ctx, "visits", "nobody"), 1)
			want(t, c.Echo(ctx, "\x00\r\n\xff"), "\x00\r\n\xff")
			want(t, c.DBSize(ctx), 1)
			if err := c.Get(ctx, "nobody").Err(); err != redis.Nil {
				t.Errorf("GET of nothing: %v", err)
			}
			if err := c.LPush(ctx, "list", 1).Err(); err == nil || !strings.HasPrefix(err.Error(), "ERR unknown command") {
				t.Errorf("LPUSH: %v", err)
			}
			info, err := c.Info(ctx, "keyspace").Result()
			if err != nil || !strings.Contains(info, "db0:keys=1,expires=1") {
				t.Errorf("INFO: %q, %v", info, err)
			}
			want(t, c.FlushAll(ctx), "OK")
			keys, err := c.Keys(ctx, "*").Result()
			if err != nil || len(keys) != 0 {
				t.Errorf("KEYS: %q, %v", keys, err)
			}
		})
	}
}

func TestPipeline(t *testing.T) {
	c, ctx := connect(t, 2)
	value := strings.Repeat("v", 1000)
	const n = 5000
	_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range n {
			p.Set(ctx, strconv.Itoa(i), value+strconv.Itoa(i), 0)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range n {
			p.Get(ctx, strconv.Itoa(i))
		}
		return nil
	})
	if err != nil || len(got) != n {
		t.Fatalf("%d replies, %v", len(got), err)
	}
	for i, cmd := range got {
		want(t, cmd.(*redis.StringCmd), value+strconv.Itoa(i))
	}
}

func TestManyClients(t *testing.T) {
	c, ctx := connect(t, 2)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 100 {
				if err := c.Incr(ctx, "n").Err(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	want(t, c.Get(ctx, "n"), "5000")
}

func TestPubSub(t *testing.T) {
	c, ctx := connect(t, 2)
	s := c.Subscribe(ctx, "news", "sport")
	defer s.Close()
	for range 2 {
		if _, err := s.Receive(ctx); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1000 {
		want(t, c.Publish(ctx, "news", i), 1)
	}
	want(t, c.Publish(ctx, "nothing", "x"), 0)
	for i := range 1000 {
		m, err := s.ReceiveMessage(ctx)
		if err != nil || m.Channel != "news" || m.Payload != strconv.Itoa(i) {
			t.Fatalf("message %d: %v, %v", i, m, err)
		}
	}
	if err := s.Ping(ctx, "still"); err != nil {
		t.Error(err)
	}
	if p, err := s.Receive(ctx); err != nil || p.(*redis.Pong).Payload != "still" {
		t.Errorf("%v, %v", p, err)
	}
	if err := s.Unsubscribe(ctx, "sport"); err != nil {
		t.Error(err)
	}
	if m, err := s.Receive(ctx); err != nil || m.(*redis.Subscription).Count != 1 {
		t.Errorf("%v, %v", m, err)
	}
}

func TestExpiry(t *testing.T) {
	c, ctx := connect(t, 2)
	want(t, c.Set(ctx, "short", "x", 30*time.Millisecond), "OK")
	want(t, c.Set(ctx, "long", "x", time.Hour), "OK")
	for c.Get(ctx, "short").Err() != redis.Nil {
		if ctx.Err() != nil {
			t.Fatal("still there")
		}
		time.Sleep(5 * time.Millisecond)
	}
	want(t, c.Exists(ctx, "short", "long"), 1)
}

func TestLimits(t *testing.T) {
	c, ctx := connect(t, 2, "-maxmemory", "2000000", "-max-value", "1000000")
	big := strings.Repeat("x", 1000000)
	want(t, c.Set(ctx, "a", big, 0), "OK")
	want(t, c.Set(ctx, "b", big, 0), "OK")
	if err := c.Set(ctx, "c", "x", 0).Err(); err == nil || !strings.HasPrefix(err.Error(), "OOM ") {
		t.Errorf("no memory: %v", err)
	}
	want(t, c.Del(ctx, "b"), 1)
	want(t, c.Set(ctx, "c", "x", 0), "OK")
	err := c.Set(ctx, "d", big+"x", 0).Err()
	if err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a value too large: %v", err)
	}
	want(t, c.Get(ctx, "a"), big)
}
