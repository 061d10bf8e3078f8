//go:build unix

package asyncore_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
)

func TestDescriptorAboveFDSetsize(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		low, peer := unixStream(t)
		high, err := low.dup(unix.FD_SETSIZE)
		if err != nil {
			t.Skipf("RLIMIT_NOFILE is too low: %v", err)
		}
		err = p.Add(high.fd, 1, readable)
		if p.Name() != "select" {
			if err != nil {
				t.Fatal(err)
			}
			peer.write("x")
			expect(t, p, 1, readable, readable, 0)
			modify(t, p, high.fd, 2, writable)
			expect(t, p, 2, writable, writable, 0)
			remove(t, p, high.fd)
			expectNone(t, p)
			return
		}
		limit, ok := errors.AsType[*asyncore.FDLimitError](err)
		if !ok {
			t.Fatalf("Add(%d): %v, want an FDLimitError", high.fd, err)
		}
		if diff := cmp.Diff(&asyncore.FDLimitError{FD: high.fd, Limit: unix.FD_SETSIZE}, limit); diff != "" {
			t.Errorf("Add(%d) (-want +got):\n%s", high.fd, diff)
		}
		if got, want := limit.Error(), fmt.Sprintf("select: descriptor %d is not below the limit of %d", high.fd, unix.FD_SETSIZE); got != want {
			t.Errorf("error %q, want %q", got, want)
		}
		if err := p.Modify(high.fd, 1, readable); !errors.Is(err, unix.ENOENT) {
			t.Errorf("Modify(%d): %v, want ENOENT", high.fd, err)
		}
		if err := p.Remove(high.fd); !errors.Is(err, unix.ENOENT) {
			t.Errorf("Remove(%d): %v, want ENOENT", high.fd, err)
		}
		// The Poller has taken no harm.
		add(t, p, low.fd, 3, writable)
		expect(t, p, 3, writable, writable, 0)
	})
}

// As many descriptors as the backend takes: a random half becomes ready, and
// exactly that half is reported.
func TestManyDescriptors(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	most := int(min(uint64(limit.Cur), 5050)) - 50
	each(t, func(t *testing.T, p *asyncore.Poller) {
		// Duplicates share readiness, so two sockets serve for all.
		idle, _ := unixStream(t)
		busy, peer := unixStream(t)
		rnd := rand.New(rand.NewPCG(1, 2))
		var fds []*end
		ready := report{}
		for token := range uint64(most) {
			source := idle
			if rnd.IntN(2) == 0 {
				source = busy
			}
			fd, err := source.dup(0)
			if err != nil {
				break // the system as a whole has no more
			}
			if p.Name() == "select" && fd.fd >= unix.FD_SETSIZE {
				fd.close()
				break
			}
			add(t, p, fd.fd, token, readable)
			fds = append(fds, fd)
			if source == busy {
				ready[token] = readable
			}
		}
		t.Logf("%d descriptors, %d of them get ready", len(fds), len(ready))
		all := func() report { return waitN(t, p, len(fds)+1, 0) }

		if diff := cmp.Diff(report{}, all()); diff != "" {
			t.Fatalf("before (-want +got):\n%s", diff)
		}
		peer.write("x")
		if diff := cmp.Diff(ready, all()); diff != "" {
			t.Fatalf("half of them ready (-want +got):\n%s", diff)
		}
		for token := range fds {
			if rnd.IntN(2) == 0 {
				remove(t, p, fds[token].fd)
				delete(ready, uint64(token))
			}
		}
		if diff := cmp.Diff(ready, all()); diff != "" {
			t.Fatalf("some of them removed (-want +got):\n%s", diff)
		}
		busy.expectRead("x")
		if diff := cmp.Diff(report{}, all()); diff != "" {
			t.Fatalf("after (-want +got):\n%s", diff)
		}
	})
}

// Whatever has no room in one batch comes in one of the next, although what
// was in the first is still ready too.
func TestNoStarvation(t *testing.T) {
	const n = 50
	tests := []struct {
		room int
		want asyncore.Interest
	}{
		{1, readable},
		{3, readable},
		{7, readable},
		{49, readable},
		{1, readable | writable},
		{7, readable | writable},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("room for %d, %v", tt.room, tt.want), func(t *testing.T) {
			each(t, func(t *testing.T, p *asyncore.Poller) {
				want := map[uint64]bool{}
				for token := range uint64(n) {
					idle, _ := pipe(t)
					add(t, p, idle.fd, 1000+token, readable)
					fd, peer := unixStream(t)
					peer.write("x")
					add(t, p, fd.fd, token, tt.want)
					want[token] = true
				}
				seen := map[uint64]bool{}
				// One round, and a second one for backends that report each
				// direction by itself.
				for range 2 * (n + tt.room - 1) / tt.room {
					waitN(t, p, tt.room, quiet).tell(seen)
				}
				if diff := cmp.Diff(want, seen); diff != "" {
					t.Errorf("seen (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The kernel may refuse to watch a file; to the Poller it is ready always.
func TestFiles(t *testing.T) {
	files := map[string]func(t testing.TB) *end{
		"regular file": regular,
		"regular file at its end": func(t testing.TB) *end {
			e := regular(t)
			e.drain()
			return e
		},
		"null device": devNull,
	}
	for name, open := range files {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, p *asyncore.Poller) {
				file := open(t)
				fd, peer := unixStream(t)
				add(t, p, fd.fd, 99, readable)
				for i, want := range []asyncore.Interest{readable, writable, readable | writable} {
					token := uint64(i)
					add(t, p, file.fd, token, want)
					for range 2 {
						expect(t, p, token, want, want, 0)
					}
					if err := p.Add(file.fd, 5, readable); !errors.Is(err, unix.EEXIST) {
						t.Errorf("second Add: %v, want EEXIST", err)
					}
					for j, changed := range []asyncore.Interest{writable, readable | writable, readable} {
						token := uint64(10 + j)
						modify(t, p, file.fd, token, changed)
						expect(t, p, token, changed, changed, 0)
					}
					remove(t, p, file.fd)
					if err := p.Modify(file.fd, token, want); !errors.Is(err, unix.ENOENT) {
						t.Errorf("Modify after Remove: %v, want ENOENT", err)
					}
					if err := p.Remove(file.fd); !errors.Is(err, unix.ENOENT) {
						t.Errorf("second Remove: %v, want ENOENT", err)
					}
					expectNone(t, p)
				}
				peer.write("x")
				expect(t, p, 99, readable, readable, 0)
			})
		})
	}
}

// Files are ready always and sockets now and then; neither takes the room
// from the other. Nor does a file make Wait deaf to Wake, or stop it from
// waiting once it is gone.
func TestFilesBesideSockets(t *testing.T) {
	tests := []struct{ files, sockets, room int }{
		{1, 1, 1}, {1, 1, 2}, {1, 1, 8},
		{3, 1, 1}, {1, 3, 1}, {3, 3, 1}, {3, 3, 2}, {3, 3, 3}, {5, 5, 8}, {3, 3, 64},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d files, %d sockets, room for %d", tt.files, tt.sockets, tt.room), func(t *testing.T) {
			each(t, func(t *testing.T, p *asyncore.Poller) {
				want := map[uint64]bool{}
				var files []*end
				for i := range tt.files {
					file := regular(t)
					files = append(files, file)
					add(t, p, file.fd, uint64(i), readable|writable)
					want[uint64(i)] = true
				}
				for i := range tt.sockets {
					fd, peer := unixStream(t)
					peer.write("x")
					add(t, p, fd.fd, uint64(100+i), readable)
					want[uint64(100+i)] = true
				}
				seen := map[uint64]bool{}
				for range 4 * (tt.files + tt.sockets) {
					waitN(t, p, tt.room, quiet).tell(seen)
				}
				if diff := cmp.Diff(want, seen); diff != "" {
					t.Errorf("seen (-want +got):\n%s", diff)
				}

				for _, file := range files {
					remove(t, p, file.fd)
				}
				seen = map[uint64]bool{}
				for range 2 * tt.sockets {
					waitN(t, p, tt.room, quiet).tell(seen)
				}
				for i := range files {
					delete(want, uint64(i))
				}
				if diff := cmp.Diff(want, seen); diff != "" {
					t.Errorf("seen without the files (-want +got):\n%s", diff)
				}
			})
		})
	}
}
