package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A filesystem is what a maildir needs of one. Tests have others, which fail.
type filesystem interface {
	Create(name string) (file, error) // that there must not be
	Rename(from, to string) error
	Remove(name string) error
	SyncDir(name string) error
}

type file interface {
	io.WriteCloser
	Sync() error
}

// A maildir is a folder with tmp, new and cur in it.
type maildir struct {
	path string
	fs   filesystem
	host string // in the names of files
	made uint64
}

// openMaildir makes what is missing of a Maildir, and removes from its tmp what
// nobody will finish any more.
func openMaildir(path string) (*maildir, error) {
	if path == "" {
		return nil, errors.New("-dir is missing")
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(path, sub), 0o700); err != nil {
			return nil, err
		}
	}
	const given = 36 * time.Hour // by the one who thought of Maildir
	entries, err := os.ReadDir(filepath.Join(path, "tmp"))
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > given {
			os.Remove(filepath.Join(path, "tmp", e.Name()))
		}
	}
	host, _ := os.Hostname()
	return &maildir{path: path, fs: disk{}, host: strings.NewReplacer("/", `\057`, ":", `\072`).Replace(host)}, err
}

// A message is one on its way to the disk. Its steps block: each runs by Offload,
// and none while another one does. The loop has buf between them.
type message struct {
	dir  *maildir
	id   string
	name string // of the file, in whichever folder
	buf  []byte // what comes next
	file file   // nil: not made yet, or closed
	at   string // the file's path; empty: none

	claim atomic.Int32
}

// Who may touch a message: nobody else while a step works on it, and no step once
// it is abandoned.
const (
	unclaimed = iota
	claimed
	abandoned
)

var errAbandoned = errors.New("abandoned")

// add begins a message under a name that is unique.
func (d *maildir) add() *message {
	d.made++
	now := time.Now()
	id := rand.Text()
	name := fmt.Sprintf("%d.M%dP%dQ%dR%s.%s", now.Unix(), now.Nanosecond()/1000, os.Getpid(), d.made, id, d.host)
	return &message{dir: d, id: id, name: name}
}

// step runs one, and cleans up if it fails. If the message is abandoned
// meanwhile, this is who has to clean up; if it was before, it has been done.
func (m *message) step(work func() error) error {
	if !m.claim.CompareAndSwap(unclaimed, claimed) {
		return errAbandoned
	}
	err := work()
	if err != nil {
		m.discard()
	}
	if !m.claim.CompareAndSwap(claimed, unclaimed) {
		m.discard()
		return errAbandoned
	}
	return err
}

// abandon gives the message up, from the loop. mine tells that discard is left to
// the caller.
func (m *message) abandon() (mine bool) { return m.claim.Swap(abandoned) == unclaimed }

// discard leaves nothing of a message that is not delivered.
func (m *message) discard() error {
	if m.file != nil {
		m.file.Close()
		m.file = nil
	}
	if m.at != "" {
		m.dir.fs.Remove(m.at)
		m.at = ""
	}
	return nil
}

// create makes the file.
func (m *message) create() error {
	return m.step(func() (err error) {
		at := filepath.Join(m.dir.path, "tmp", m.name)
		if m.file, err = m.dir.fs.Create(at); err == nil {
			m.at = at
		}
		return err
	})
}

// write writes what is in buf.
func (m *message) write() error { return m.step(m.writeBuf) }

func (m *message) writeBuf() error {
	_, err := m.file.Write(m.buf)
	m.buf = m.buf[:0]
	return err
}

// deliver writes the rest of the file and gives it its place, for good: after it
// a crash loses nothing.
func (m *message) deliver() error {
	return m.step(func() error {
		if err := m.writeBuf(); err != nil {
			return err
		}
		if err := m.file.Sync(); err != nil {
			return err
		}
		err := m.file.Close()
		m.file = nil
		if err != nil {
			return err
		}
		folder := filepath.Join(m.dir.path, "new")
		to := filepath.Join(folder, m.name)
		if err := m.dir.fs.Rename(m.at, to); err != nil {
			return err
		}
		m.at = to
		if err := m.dir.fs.SyncDir(folder); err != nil {
			return err // who hears that it failed sends it again: once is enough
		}
		m.at = ""
		return nil
	})
}

// refusalOf is the answer where the disk was in the way.
func refusalOf(err error) string {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return "452 4.3.1 no room left"
	}
	return "451 4.3.0 cannot store the message"
}

// disk is the real filesystem.
type disk struct{}

func (disk) Create(name string) (file, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err // and not a file that is a nil *os.File
	}
	return f, nil
}

func (disk) Rename(from, to string) error { return os.Rename(from, to) }
func (disk) Remove(name string) error     { return os.Remove(name) }

func (disk) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
