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

func TestRegistrationErrors(t *testing.T) {
	const free = 9999 // a number that nothing has
	each(t, func(t *testing.T, p *asyncore.Poller) {
		known, _ := unixStream(t)
		unknown, _ := unixStream(t)
		removed, _ := unixStream(t)
		closed, _ := unixStream(t)
		add(t, p, known.fd, 1, writable)
		add(t, p, removed.fd, 2, writable)
		remove(t, p, removed.fd)
		number := closed.fd
		closed.close()

		anyError := []error(nil)
		tests := []struct {
			name string
			err  error
			want []error // one of these
		}{
			{"add twice", p.Add(known.fd, 3, readable), []error{unix.EEXIST}},
			{"add closed", p.Add(number, 3, readable), []error{unix.EBADF}},
			{"add negative", p.Add(-1, 3, readable), []error{unix.EBADF, unix.EINVAL}},
			{"add very negative", p.Add(-1<<31, 3, readable), []error{unix.EBADF, unix.EINVAL}},
			{"modify unknown", p.Modify(unknown.fd, 3, readable), []error{unix.ENOENT}},
			{"modify removed", p.Modify(removed.fd, 3, readable), []error{unix.ENOENT}},
			// Not registered and not open: both are true.
			{"modify closed", p.Modify(number, 3, readable), []error{unix.ENOENT, unix.EBADF}},
			{"modify free", p.Modify(free, 3, readable), []error{unix.ENOENT, unix.EBADF}},
			{"modify negative", p.Modify(-1, 3, readable), anyError},
			{"remove unknown", p.Remove(unknown.fd), []error{unix.ENOENT}},
			{"remove removed", p.Remove(removed.fd), []error{unix.ENOENT}},
			{"remove closed", p.Remove(number), []error{unix.ENOENT, unix.EBADF}},
			{"remove free", p.Remove(free), []error{unix.ENOENT, unix.EBADF}},
			{"remove negative", p.Remove(-1), anyError},
			{"add no interest", p.Add(unknown.fd, 3, 0), anyError},
			{"add hang-up", p.Add(unknown.fd, 3, asyncore.HangUp), anyError},
			{"add fault", p.Add(unknown.fd, 3, asyncore.Fault), anyError},
			{"add with hang-up", p.Add(unknown.fd, 3, readable|asyncore.HangUp), anyError},
			{"add with a bit that has no name", p.Add(unknown.fd, 3, readable|1<<7), anyError},
			{"modify no interest", p.Modify(known.fd, 3, 0), anyError},
			{"modify fault", p.Modify(known.fd, 3, asyncore.Fault), anyError},
			{"modify with hang-up", p.Modify(known.fd, 3, readable|asyncore.HangUp), anyError},
			{"add reserved token", p.Add(unknown.fd, 1<<64-1, readable), anyError},
			{"modify reserved token", p.Modify(known.fd, 1<<64-1, readable), anyError},
		}
		for _, tt := range tests {
			ok := tt.err != nil && len(tt.want) == 0
			for _, want := range tt.want {
				ok = ok || errors.Is(tt.err, want)
			}
			if !ok {
				t.Errorf("%s: error %v, want one of %v", tt.name, tt.err, tt.want)
			}
		}
		// Not one of the calls has changed the one registration that there is.
		expect(t, p, 1, writable, writable, 0)
	})
}

func TestTokens(t *testing.T) {
	tokens := []uint64{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<63 - 1, 1 << 63, 1<<64 - 2, 0x0123456789abcdef}
	each(t, func(t *testing.T, p *asyncore.Poller) {
		fd, _ := unixStream(t)
		for _, token := range tokens {
			t.Run(fmt.Sprintf("%#x", token), func(t *testing.T) {
				add(t, p, fd.fd, token, writable)
				expect(t, p, token, writable, writable, 0)
				modify(t, p, fd.fd, ^token-1, writable)
				expect(t, p, ^token-1, writable, writable, 0)
				remove(t, p, fd.fd)
			})
		}
	})
	// Tokens are not keys: nothing forbids to give one twice.
	each(t, func(t *testing.T, p *asyncore.Poller) {
		a, _ := unixStream(t)
		b, peer := unixStream(t)
		add(t, p, a.fd, 7, readable)
		add(t, p, b.fd, 7, readable)
		remove(t, p, a.fd)
		peer.write("x")
		expect(t, p, 7, readable, readable, 0)
	})
}

// A descriptor that is readable and writable is reported for just what was
// last asked for.
func TestModify(t *testing.T) {
	r, w, rw, u := readable, writable, readable|writable, urgent
	sequence := []asyncore.Interest{r, w, rw, r, rw, w, u, r, u, w, u | r, rw, rw | u, w, w, r, r}
	each(t, func(t *testing.T, p *asyncore.Poller) {
		fd, peer := unixStream(t)
		peer.write("x")
		add(t, p, fd.fd, 100, rw)
		for i, want := range sequence {
			token := uint64(i)
			modify(t, p, fd.fd, token, want)
			expect(t, p, token, want, rw, 0)
		}
		// As the loop does with output: ask while there is no room, be told,
		// ask no more.
		fd.fill()
		modify(t, p, fd.fd, 200, w)
		expectNone(t, p)
		peer.drain()
		expect(t, p, 200, w, w, 0)
		modify(t, p, fd.fd, 201, r)
		expect(t, p, 201, r, r, 0)
	})
}

// What is changed while a batch is handled counts from the next Wait on, also
// for descriptors whose events stand later in the batch or found no room in
// it.
func TestChangeInsideBatch(t *testing.T) {
	for _, room := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("room for %d", room), func(t *testing.T) {
			each(t, func(t *testing.T, p *asyncore.Poller) {
				const n = 4
				var fds [n]*end
				for i := range fds {
					fd, peer := unixStream(t)
					peer.write("x")
					fds[i] = fd
					add(t, p, fd.fd, uint64(i), readable)
				}
				if said := waitN(t, p, room, patience); len(said) == 0 {
					t.Fatal("no event")
				}
				remove(t, p, fds[0].fd)
				modify(t, p, fds[1].fd, 11, writable)
				number := fds[2].fd
				remove(t, p, number)
				fds[2].close()
				reused := reuse(t, number)
				add(t, p, reused.fd, 12, readable)

				got := report{}
				for range 4 * n {
					for token, bits := range waitN(t, p, room, 0) {
						got[token] |= bits
					}
				}
				want := report{11: writable, 3: readable}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("after the changes (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// reuse returns a new descriptor with a number that was just closed. Its peer
// stays silent.
func reuse(t testing.TB, number int) *end {
	t.Helper()
	fd, _ := reusePair(t, number)
	return fd
}

func reusePair(t testing.TB, number int) (fd, peer *end) {
	t.Helper()
	a, peer := unixStream(t)
	if a.fd == number {
		return a, peer
	}
	if peer.fd == number {
		return peer, a
	}
	fd, err := a.dup(number)
	a.close()
	if err != nil || fd.fd != number {
		t.Skipf("somebody else took descriptor %d", number)
	}
	return fd, peer
}

func TestNumberReused(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		old, oldPeer := unixStream(t)
		for token := uint64(1); token < 5; token++ {
			add(t, p, old.fd, token, readable)
			oldPeer.write("x")
			expect(t, p, token, readable, readable, 0)
			number := old.fd
			remove(t, p, number)
			old.close()

			// The new descriptor is not registered, whatever its number.
			fd, peer := reusePair(t, number)
			peer.write("x")
			expectNone(t, p)
			fd.expectRead("x")
			// Registered, its history is not that of the old one.
			add(t, p, fd.fd, token+100, readable)
			expectNone(t, p)
			peer.write("x")
			expect(t, p, token+100, readable, readable, 0)
			fd.expectRead("x")
			remove(t, p, fd.fd)
			old, oldPeer = fd, peer
		}
	})
}

// A number closed and opened again behind the Poller's back is unknown to the
// kernel. Modify says so or makes it good, whatever was asked for before.
func TestModifyNumberReused(t *testing.T) {
	interests := []asyncore.Interest{readable, writable, readable | writable}
	each(t, func(t *testing.T, p *asyncore.Poller) {
		for _, before := range interests {
			for _, after := range interests {
				t.Run(fmt.Sprintf("%v, then %v", before, after), func(t *testing.T) {
					old, _ := unixStream(t)
					add(t, p, old.fd, 1, before)
					number := old.fd
					old.close()
					fd, peer := reusePair(t, number)
					peer.write("x")
					err := p.Modify(number, 2, after)
					if errors.Is(err, unix.ENOENT) {
						err = p.Add(number, 2, after)
					}
					if err != nil {
						t.Fatal(err)
					}
					expect(t, p, 2, after, after, 0)
					remove(t, p, fd.fd)
					expectNone(t, p)
				})
			}
		}
	})
}

// A duplicate keeps the open file alive, and epoll watches open files, not
// numbers: Remove before close is what ends it.
func TestRemoveThenCloseWithDuplicate(t *testing.T) {
	each(t, func(t *testing.T, p *asyncore.Poller) {
		fd, peer := unixStream(t)
		alive, err := fd.dup(0)
		if err != nil {
			t.Fatal(err)
		}
		add(t, p, fd.fd, 1, readable)
		peer.write("x")
		expect(t, p, 1, readable, readable, 0)
		remove(t, p, fd.fd)
		expectNone(t, p)
		fd.close()
		expectNone(t, p)
		alive.expectRead("x")
		peer.close()
		expectNone(t, p)
	})
}

// A descriptor closed behind the Poller's back is its owner's mistake, and
// harms nobody else: it is silent or a Fault until it is removed.
func TestCloseWithoutRemove(t *testing.T) {
	tests := []struct {
		name      string
		duplicate bool // keeps the open file alive
		room      int
	}{
		{"alone", false, 64},
		{"alone, room for 1", false, 1},
		{"with a duplicate", true, 64},
		{"with a duplicate, room for 1", true, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(t *testing.T, p *asyncore.Poller) {
				const victim, bystander = 1, 2
				a, aPeer := unixStream(t)
				b, bPeer := unixStream(t)
				if tt.duplicate {
					if _, err := a.dup(0); err != nil {
						t.Fatal(err)
					}
				}
				add(t, p, a.fd, victim, readable)
				add(t, p, b.fd, bystander, readable)
				number := a.fd
				a.close()
				unix.Write(aPeer.fd, []byte("x")) // EPIPE, but for the duplicate
				bPeer.write("x")

				seen := map[uint64]bool{}
				for range 10 {
					said := waitN(t, p, tt.room, quiet)
					said.tell(seen)
					if bits := said[victim]; bits != 0 && bits&asyncore.Fault == 0 && !tt.duplicate {
						t.Errorf("the closed descriptor is %v", bits)
					}
				}
				if !seen[bystander] {
					t.Errorf("after 10 Waits: seen %v, not the other descriptor, %d", seen, bystander)
				}
				if tt.duplicate {
					return // its registration may be out of reach
				}
				err := p.Remove(number)
				if p.Name() == "epoll" && (errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EBADF)) {
					err = nil // it has no list of its own
				}
				if err != nil {
					t.Errorf("Remove of the closed descriptor: %v", err)
				}
				expect(t, p, bystander, readable, readable, 0)
			})
		})
	}
}

// Every Wait must agree with a model that is too simple to be wrong: a socket
// whose peer has written so many bytes, and which has always room for more.
func TestModel(t *testing.T) {
	type socket struct {
		fd, peer *end
		token    uint64
		want     asyncore.Interest // 0: not registered
		unread   int
	}
	interests := []asyncore.Interest{readable, writable, readable | writable, urgent, urgent | readable}
	each(t, func(t *testing.T, p *asyncore.Poller) {
		for seed := range uint64(4) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			var sockets [9]socket
			for i := range sockets {
				sockets[i].fd, sockets[i].peer = unixStream(t)
			}
			for step := range 500 {
				s := &sockets[rnd.IntN(len(sockets))]
				token, want := rnd.Uint64()>>1, interests[rnd.IntN(len(interests))]
				switch op := rnd.IntN(8); {
				case op < 2 && s.want == 0:
					add(t, p, s.fd.fd, token, want)
					s.token, s.want = token, want
				case op < 2:
					modify(t, p, s.fd.fd, token, want)
					s.token, s.want = token, want
				case op < 3 && s.want != 0:
					remove(t, p, s.fd.fd)
					s.want = 0
				case op < 5:
					s.peer.write("x")
					s.unread++
				case op < 6 && s.unread > 0:
					s.fd.expectRead("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"[:min(s.unread, 32)])
					s.unread -= min(s.unread, 32)
				case op < 7 && s.want == 0:
					s.fd.close()
					s.peer.close()
					*s = socket{}
					s.fd, s.peer = unixStream(t)
				}
				model := report{}
				for _, s := range sockets {
					is := writable
					if s.unread > 0 {
						is |= readable
					}
					if s.want&is != 0 {
						model[s.token] = s.want & is
					}
				}
				if diff := cmp.Diff(model, wait(t, p, 0)); diff != "" {
					t.Fatalf("seed %d, step %d (-model +poller):\n%s", seed, step, diff)
				}
			}
			for _, s := range sockets {
				if s.want != 0 {
					remove(t, p, s.fd.fd)
				}
			}
		}
	})
}
