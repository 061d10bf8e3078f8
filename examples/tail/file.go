package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// file is a producer: what is in the file of that name, and then what is appended to
// it. Where there is no more for now it gives nothing, which parks the Conn that it
// feeds.
type file struct {
	path   string
	notify *notifier // nil: none
	last   bool      // its end is the end

	f        *os.File // nil: not there yet
	at       int64
	replaced bool // f is not what the name stands for any more
}

// begin opens the file at the last so many lines. It need not be there.
func (f *file) begin(lines int) error {
	err := f.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		f.at, err = lastLines(f.f, lines)
	}
	if err == nil {
		_, err = f.f.Seek(f.at, io.SeekStart)
	}
	return err
}

func (f *file) open() error {
	// Not even a pipe that has just taken the name may keep the loop waiting.
	opened, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	info, err := opened.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", f.path)
	}
	if err != nil {
		opened.Close()
		return err
	}
	f.close()
	f.f, f.at, f.replaced = opened, 0, false
	f.watch()
	return nil
}

func (f *file) close() {
	if f.f != nil {
		f.f.Close()
	}
}

// watch has the notifier tell of the file that is open.
func (f *file) watch() {
	if f.f != nil && f.notify != nil {
		f.notify.file(f.path)
	}
}

func (f *file) Read(p []byte) (int, error) {
	for {
		if f.f != nil {
			n, err := f.f.Read(p)
			f.at += int64(n)
			if n > 0 || err != io.EOF {
				return n, err
			}
		}
		if !f.next() {
			if f.last {
				return 0, io.EOF
			}
			return 0, nil
		}
	}
}

// next is called at the end of what is open, and tells whether there may be more.
func (f *file) next() bool {
	named, err := os.Stat(f.path)
	if err != nil {
		return false // renamed, perhaps: the new one comes soon
	}
	if f.f != nil {
		mine, err := f.f.Stat()
		if err != nil {
			return false
		}
		if os.SameFile(named, mine) {
			if mine.Size() >= f.at {
				return false
			}
			fmt.Fprintf(os.Stderr, "tail: %s was truncated\n", f.path)
			f.at = 0
			_, err = f.f.Seek(0, io.SeekStart)
			return err == nil
		}
		if !f.replaced {
			f.replaced = true // something may have been written before it was
			return true
		}
		fmt.Fprintf(os.Stderr, "tail: %s was replaced\n", f.path)
	}
	return f.open() == nil
}

// lastLines is where the last n lines of a file begin.
func lastLines(f *os.File, n int) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil || n == 0 {
		return end, err
	}
	buf := make([]byte, 32<<10)
	for at := end; at > 0; {
		size := min(int64(len(buf)), at)
		at -= size
		block := buf[:size]
		if _, err := f.ReadAt(block, at); err != nil {
			return 0, err
		}
		if at+size == end {
			block = block[:size-1] // a line's end, or in a line without
		}
		for {
			i := bytes.LastIndexByte(block, '\n')
			if i < 0 {
				break
			}
			if n--; n == 0 {
				return at + int64(i) + 1, nil
			}
			block = block[:i]
		}
	}
	return 0, nil
}
