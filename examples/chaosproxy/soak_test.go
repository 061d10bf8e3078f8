//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// soakFor is how long TestSoak takes: 2 s, in CI a minute, or what ASYNCORE_SOAK says.
func soakFor(t *testing.T) time.Duration {
	switch s := os.Getenv("ASYNCORE_SOAK"); {
	case s != "":
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	case os.Getenv("ASYNCORE_BLACKBOX") != "":
		return time.Minute
	default:
		return 2 * time.Second
	}
}

// TestSoak has a hundred patient clients talk to the servers through proxies that do
// their worst, and one to each server directly. Nobody is told anything wrong, who comes
// directly is always served, and in the end nothing is left of all that.
func TestSoak(t *testing.T) {
	t.Parallel()
	duration := soakFor(t)
	clients := 20
	if duration < 10*time.Second {
		clients = 5
	}
	var watched []*watch
	servers, proxies := make([]string, len(kinds)), make([]string, len(kinds))
	var maildir string
	for i, k := range kinds {
		args := k.args(t)
		if k.name == "smtpsink" {
			maildir = args[len(args)-1]
		}
		s := exampletest.Start(t, k.name, args...)
		proxy := exampletest.Start(t, "chaosproxy", "-to", s.Addr, "-seed", "1", "-idle", "1s", "-latency", "2ms", "-jitter", "5ms",
			"-slice", "2000", "-bandwidth", "1000000", "-reset", "0.1", "-half-close", "0.1", "-black-hole", "0.1", "-after", "10000")
		servers[i], proxies[i] = s.Addr, proxy.Addr
		for _, s := range []*exampletest.Server{s, proxy} {
			watched = append(watched, newWatch(t, fmt.Sprint(k.name, " ", filepath.Base(s.Path)), s))
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var wg sync.WaitGroup
	var ids atomic.Int64
	var mails sync.Map // by id: whether its sender has been told that it was delivered
	visits := make([]visits, len(kinds))
	for i, k := range kinds {
		visit := func(addr string) error {
			id := int(ids.Add(1))
			err := k.visit(addr, id, patience/2)
			if k.name == "smtpsink" {
				mails.Store(id, err == nil)
			}
			return err
		}
		for range clients {
			wg.Go(func() {
				for n := 0; n < 5 || ctx.Err() == nil; n++ {
					visits[i].count(t, k.name, visit(proxies[i]))
				}
			})
		}
		wg.Go(func() {
			for ctx.Err() == nil {
				if err := visit(servers[i]); err != nil {
					t.Errorf("%s: an undisturbed client: %v", k.name, err)
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	for ctx.Err() == nil {
		for _, w := range watched {
			w.look()
		}
		time.Sleep(duration / 100)
	}
	wg.Wait()
	for i := range visits {
		v := &visits[i]
		t.Logf("%s: %d visits, %d of them cut short", kinds[i].name, v.served.Load()+v.cut.Load(), v.cut.Load())
		if v.served.Load() == 0 || v.cut.Load() == 0 {
			t.Error("nobody was served, or nobody was cut short")
		}
	}
	for _, w := range watched {
		if duration >= 30*time.Second {
			w.level()
		}
		w.settles(w.began + ofRuntime)
	}
	for _, w := range watched {
		ends(t, w.server)
	}
	checkMails(t, maildir, &mails)
}

// visits are those of one kind through its proxy.
type visits struct{ served, cut atomic.Int64 }

func (v *visits) count(t *testing.T, name string, err error) {
	switch {
	case err == nil:
		v.served.Add(1)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE), errors.Is(err, os.ErrDeadlineExceeded):
		v.cut.Add(1)
	default:
		t.Errorf("%s: %v", name, err)
	}
}

// checkMails wants every mail whose sender was told so to be there once, and none to be
// there in part.
func checkMails(t *testing.T, dir string, mails *sync.Map) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "new", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no mail: %v", err)
	}
	found := map[int]int{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ := strings.Cut(string(b), "Subject: ")
		number, _, _ := strings.Cut(text, "\n")
		id, _ := strconv.Atoi(number)
		if "Subject: "+text != strings.ReplaceAll(message(id), "\r\n", "\n") {
			t.Errorf("a mail that nobody has sent, or a part of one: %.300q", b)
		}
		found[id]++
	}
	told := map[int]int{}
	mails.Range(func(id, delivered any) bool {
		if delivered.(bool) {
			told[id.(int)] = 1
		}
		return true
	})
	for _, id := range slices.Sorted(maps.Keys(found)) {
		if found[id] > 1 {
			t.Errorf("mail %d is there %d times", id, found[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(told)) {
		if found[id] == 0 {
			t.Errorf("mail %d was lost", id)
		}
	}
	t.Logf("%d mails are there, %d of whose senders were told so", len(found), len(told))
}

// watch is a server whose size is looked at again and again.
type watch struct {
	process
	name   string
	server *exampletest.Server
	began  int // descriptors before the first client
	seen   []size
}

type size struct{ fds, threads, rss int }

func newWatch(t *testing.T, name string, s *exampletest.Server) *watch {
	p := process{t, s.Process.Pid}
	return &watch{process: p, name: name, server: s, began: p.fds()}
}

func (w *watch) look() {
	w.seen = append(w.seen, size{w.fds(), w.status("Threads"), w.status("VmRSS")})
}

// level wants the last third of the time to be as the first one was, after a fifth to
// warm up in.
func (w *watch) level() {
	w.Helper()
	seen := w.seen[len(w.seen)/5:]
	third := len(seen) / 3
	median := func(seen []size, of func(size) int) int {
		var all []int
		for _, s := range seen {
			all = append(all, of(s))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	for _, c := range []struct {
		name  string
		of    func(size) int
		slack int // besides a fifth
	}{
		{"descriptors", func(s size) int { return s.fds }, 20},
		{"threads", func(s size) int { return s.threads }, 5},
		{"KiB", func(s size) int { return s.rss }, 4 << 10},
	} {
		first, last := median(seen[:third], c.of), median(seen[len(seen)-third:], c.of)
		w.Logf("%s: %d %s, then %d", w.name, first, c.name, last)
		if last > first+first/5+c.slack {
			w.Errorf("%s: %d %s, then %d", w.name, first, c.name, last)
		}
	}
}
