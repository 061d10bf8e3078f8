//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore"
)

func index(of []*Socket, what []*Socket) (at []int) {
	for _, s := range what {
		at = append(at, slices.Index(of, s))
	}
	return at
}

// §7, L2: eight pairs, three with data.
func TestManySockets(t *testing.T) {
	var socks []*Socket
	sel := must(NewSelector())
	for i := range 8 {
		a, b := newPair(t, 0)
		socks = append(socks, a)
		ok(t, sel.Register(a, asyncore.Readable|asyncore.Writable, i))
		if i == 1 || i == 4 || i == 6 {
			must(b.Send([]byte("x")))
		}
	}
	r, w, x, err := Select(socks, socks, socks, long)
	if err != nil || !slices.Equal(index(socks, r), []int{1, 4, 6}) || len(w) != 8 || len(x) != 0 {
		t.Errorf("readable %v, writable %v, urgent %v, %v", index(socks, r), index(socks, w), x, err)
	}
	ready, err := sel.Select(long)
	ok(t, err)
	var canRead []int
	for _, k := range ready {
		if k.Ready&asyncore.Writable == 0 {
			t.Errorf("%v is not writable", k.Data)
		}
		if k.Ready&asyncore.Readable != 0 {
			canRead = append(canRead, k.Data.(int))
		}
	}
	slices.Sort(canRead)
	if len(ready) != 8 || !slices.Equal(canRead, []int{1, 4, 6}) {
		t.Errorf("%d ready, readable %v", len(ready), canRead)
	}
	ok(t, sel.Close())
}

func TestSelect(t *testing.T) {
	a, b := newPair(t, 0)
	one := []*Socket{a}
	if r, w, x, err := Select(one, nil, one, 0); r != nil || w != nil || x != nil || err != nil {
		t.Error(r, w, x, err)
	}
	if r, _, _, err := Select(one, nil, nil, short); r != nil || err != nil {
		t.Error(r, err)
	}
	if _, _, _, err := Select[*Socket](nil, nil, nil, 1); err != nil {
		t.Error(err)
	}
	// It waits, and duplicates come twice.
	type ready struct {
		r   []*Socket
		err error
	}
	done := make(chan ready, 1)
	go func() {
		r, _, _, err := Select([]*Socket{a, a}, nil, nil, NoTimeout)
		done <- ready{r, err}
	}()
	must(b.Send([]byte("x")))
	if got := <-done; len(got.r) != 2 || got.err != nil {
		t.Error(got)
	}
	must(a.Recv(1))
	// The end of a stream can be read.
	ok(t, b.Close())
	if r, _, _, err := Select(one, nil, nil, long); len(r) != 1 || err != nil {
		t.Error(r, err)
	}
	// A listener with a connection, and several types at once.
	l, addr := listener(t)
	c := newSock(t, 0, 0)
	ok(t, c.Connect(addr))
	f := must(os.Open(os.DevNull))
	defer f.Close()
	r, w, _, err := Select([]Descriptor{l, f}, []Descriptor{c, f}, nil, long)
	if len(r) != 2 || len(w) != 2 || err != nil {
		t.Error(r, w, err)
	}
	for _, d := range []time.Duration{-1, NoTimeout + 1} {
		_, _, _, err = Select(one, nil, nil, d)
		wantErr(t, err, syscall.EINVAL)
	}
	ok(t, a.Close())
	_, _, _, err = Select(one, nil, nil, long)
	wantErr(t, err, net.ErrClosed)
	for _, fd := range []descriptor{1 << 20, 1 << 31} {
		_, _, _, err = Select([]descriptor{fd}, nil, nil, long)
		wantErr(t, err, syscall.EBADF)
	}
}

type descriptor uintptr

func (d descriptor) Fd() uintptr { return uintptr(d) }

// Out-of-band data, and a hang-up that nobody has asked for.
func TestSelectUrgent(t *testing.T) {
	a, b := tcpPair(t)
	must(b.Send([]byte("!"), unix.MSG_OOB))
	one := []*Socket{a}
	if r, _, x, err := Select(one, nil, one, long); len(x) != 1 || len(r) != 0 || err != nil {
		t.Error(r, x, err)
	}
	if p, err := a.Recv(1, unix.MSG_OOB); string(p) != "!" || err != nil {
		t.Errorf("%q, %v", p, err)
	}
	_, err := a.Recv(1, unix.MSG_OOB) // never waits
	wantErr(t, err)

	reset(t, b)
	if r, _, _, err := Select(one, nil, nil, long); len(r) != 1 || err != nil {
		t.Error(r, err)
	}
	if _, _, x, err := Select(nil, nil, one, short); len(x) != 0 || err != nil {
		t.Error(x, err)
	}
	c, d := newPair(t, 0)
	sent := background(func() error {
		unix.Poll(nil, 5) // for the wait to have begun
		_, err := d.Send([]byte("x"))
		return err
	})
	if r, _, x, err := Select([]*Socket{c}, nil, one, long); len(r) != 1 || len(x) != 0 || err != nil {
		t.Error(r, x, err)
	}
	ok(t, sent(t))
}

// Descriptors beyond FD_SETSIZE.
func TestSelectNoLimit(t *testing.T) {
	a, b := newPair(t, 0)
	fd, err := unix.FcntlInt(a.Fd(), unix.F_DUPFD_CLOEXEC, 2000)
	if err != nil {
		t.Skip(err)
	}
	s := must(FromFD(uintptr(fd), 0, 0, 0))
	keep(t, s)
	defer unix.Close(fd)
	must(b.Send([]byte("x")))
	if r, _, _, err := Select([]Descriptor{descriptor(fd)}, nil, nil, long); len(r) != 1 || err != nil {
		t.Error(r, err)
	}
}

func TestSelector(t *testing.T) {
	sel := must(NewSelector())
	a, b := newPair(t, 0)
	c, d := newPair(t, 0)
	ok(t, sel.Register(a, asyncore.Readable, "a"))
	ok(t, sel.Register(c, asyncore.Readable, "c"))
	ok(t, sel.Register(b, asyncore.Writable, "b"))
	wantErr(t, sel.Register(a, asyncore.Writable, nil), syscall.EEXIST)
	wantErr(t, sel.Register(d, 0, nil))
	wantErr(t, sel.Modify(d, asyncore.Readable, nil), syscall.ENOENT)
	wantErr(t, sel.Unregister(d), syscall.ENOENT)
	wantErr(t, sel.Register(&Socket{}, asyncore.Readable, nil), net.ErrClosed)
	_, err := sel.Select(-1)
	wantErr(t, err, syscall.EINVAL)

	names := func() (all []any) {
		for k := range sel.All() {
			all = append(all, k.Data)
			if k.Ready != 0 {
				t.Error(k)
			}
		}
		return all
	}
	if got := names(); !slices.Equal(got, []any{"a", "c", "b"}) {
		t.Error(got)
	}
	for range sel.All() {
		break
	}
	if k, is := sel.Get(c); !is || k.File != Descriptor(c) || k.FD != c.Fd() || k.Events != asyncore.Readable || k.Data != "c" {
		t.Errorf("%+v", k)
	}
	if _, is := sel.Get(d); is {
		t.Error("there is one for d")
	}
	if ready, err := sel.Select(long); len(ready) != 1 || ready[0].Data != "b" || ready[0].Ready != asyncore.Writable || err != nil {
		t.Error(ready, err)
	}
	ok(t, sel.Modify(b, asyncore.Readable, "b2"))
	ok(t, sel.Modify(b, asyncore.Readable, "b3"))
	if ready, err := sel.Select(0); len(ready) != 0 || err != nil {
		t.Error(ready, err)
	}
	if ready, err := sel.Select(1); len(ready) != 0 || err != nil {
		t.Error(ready, err)
	}
	// The end of a stream counts as what was asked for.
	ok(t, d.Close())
	ready, err := sel.Select(NoTimeout)
	if len(ready) != 1 || ready[0].Data != "c" || ready[0].Ready != asyncore.Readable || err != nil {
		t.Error(ready, err)
	}
	ok(t, sel.Unregister(c))
	if got := names(); !slices.Equal(got, []any{"a", "b3"}) {
		t.Error(got)
	}
	// Closed before Unregister: found by what was registered.
	ok(t, a.Close())
	ok(t, sel.Unregister(a))
	wantErr(t, sel.Unregister(a), syscall.ENOENT)
	if len(sel.keys) != 1 || len(sel.tokens) != 1 {
		t.Errorf("%d keys, %d tokens", len(sel.keys), len(sel.tokens))
	}
	ok(t, sel.Register(odd{fd: c.Fd()}, asyncore.Readable, nil))
	wantErr(t, sel.Unregister(odd{fd: ^uintptr(0)}), syscall.ENOENT)

	ok(t, sel.Close())
	wantErr(t, sel.Close(), net.ErrClosed)
	wantErr(t, sel.Register(b, asyncore.Readable, nil), net.ErrClosed)
	wantErr(t, sel.Unregister(b), net.ErrClosed)
	_, err = sel.Select(0)
	wantErr(t, err, net.ErrClosed)
	if got := names(); got != nil {
		t.Error(got)
	}
	if _, is := sel.Get(b); is {
		t.Error("a closed Selector has a registration")
	}
}

// odd can't be compared.
type odd struct {
	fd uintptr
	_  []int
}

func (o odd) Fd() uintptr { return o.fd }
