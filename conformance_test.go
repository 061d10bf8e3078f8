//go:build unix

// The conformance suite: what poller.go promises, tried on every backend of
// this system. The files conformance_*_test.go hold it, one subject each:
// readiness (what events there are), registration (Add, Modify, Remove),
// capacity (many descriptors, little room, files), wait (time, signals,
// nesting) and wake. This one has what is left: opening and closing.
package asyncore_test

import (
	"errors"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
)

func TestBackends(t *testing.T) {
	var want []string
	switch runtime.GOOS {
	case "linux", "android":
		want = []string{"epoll", "poll", "select"}
	case "darwin", "ios", "dragonfly", "freebsd", "netbsd", "openbsd":
		want = []string{"kqueue", "poll", "select"}
	default:
		want = []string{"poll", "select"}
	}
	got := asyncore.Backends()
	if runtime.GOOS == "linux" {
		// A build with a tag for tests has a kqueue too, behind epoll.
		if i := slices.Index(got, "kqueue"); i > 0 {
			got = slices.Delete(got, i, i+1)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Backends (-want +got):\n%s", diff)
	}

	asyncore.Backends()[0] = "scribble"
	if slices.Contains(asyncore.Backends(), "scribble") {
		t.Error("the caller can change what Backends returns")
	}
}

func TestOpen(t *testing.T) {
	best := asyncore.Backends()[0]
	type test struct{ env, name, want string } // want "": an error
	tests := []test{
		{"", "", best},
		{"nonsense", "", ""},
		{"", "nonsense", ""},
		{best, "nonsense", ""},
	}
	for _, name := range asyncore.Backends() {
		tests = append(tests,
			test{"", name, name},
			test{name, "", name},
			test{"nonsense", name, name}, // an explicit name wins
		)
	}
	for _, tt := range tests {
		t.Setenv("ASYNCORE_POLLER", tt.env)
		p, err := asyncore.Open(tt.name)
		if tt.want != "" {
			if err != nil {
				t.Errorf("%+v: %v", tt, err)
				continue
			}
			if p.Name() != tt.want {
				t.Errorf("%+v: got %s", tt, p.Name())
			}
			p.Close()
			continue
		}
		if p != nil || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%+v: %v, %v; want nil and errors.ErrUnsupported", tt, p, err)
			continue
		}
		for _, word := range append(asyncore.Backends(), "nonsense") {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%+v: error %q does not name %s", tt, err, word)
			}
		}
	}
}

func TestCloseTwice(t *testing.T) {
	for _, name := range asyncore.Backends() {
		p, err := asyncore.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Errorf("%s: Close: %v", name, err)
		}
		for range 2 {
			if err := p.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: Close again: %v, want net.ErrClosed", name, err)
			}
		}
	}
}

func TestInterestString(t *testing.T) {
	tests := []struct {
		in   asyncore.Interest
		want string
	}{
		{0, "none"},
		{asyncore.Readable, "readable"},
		{asyncore.Writable, "writable"},
		{asyncore.Urgent, "urgent"},
		{asyncore.HangUp, "hang-up"},
		{asyncore.Fault, "fault"},
		{asyncore.Writable | asyncore.Readable, "readable|writable"},
		{readable | writable | urgent | hints, "readable|writable|urgent|hang-up|fault"},
	}
	for _, tt := range tests {
		if got := tt.in.String(); got != tt.want {
			t.Errorf("%#b: %q, want %q", uint8(tt.in), got, tt.want)
		}
	}
}

// The Poller's own descriptors go with it, and none passes into a program
// that another goroutine may start.
func TestOwnDescriptors(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		before := openDescriptors()
		another := open(t, p.Name())
		for fd := range openDescriptors() {
			if before[fd] {
				continue
			}
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("descriptor %d: flags %#x, %v: not close-on-exec", fd, flags, err)
			}
		}
		watched, _ := unixStream(t)
		add(t, another, watched.fd, 1, writable)
		if err := another.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		watched.write("Close leaves watched descriptors alone")
		watched.close()

		before = openDescriptors()
		for range 100 {
			p, err := asyncore.Open(p.Name())
			if err != nil {
				t.Fatal(err)
			}
			p.Wake()
			if err := p.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if diff := cmp.Diff(before, openDescriptors()); diff != "" {
			t.Errorf("descriptors after Open and Close 100 times (-want +got):\n%s", diff)
		}
	})
}

// Two Pollers may watch one descriptor; each has a registration of its own.
func TestTwoPollersOneDescriptor(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		q := open(t, p.Name())
		fd, peer := unixStream(t)
		add(t, p, fd.fd, 1, readable)
		add(t, q, fd.fd, 2, writable)
		peer.write("x")
		expect(t, p, 1, readable, readable, 0)
		expect(t, q, 2, writable, writable, 0)
		remove(t, p, fd.fd)
		expectNone(t, p)
		expect(t, q, 2, writable, writable, 0)
	})
}
