package socket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
)

// A Resolver answers questions about hosts, services and protocols: the hosts file
// is asked first, then the DNS, as nsswitch.conf's "files dns" has it. The zero
// Resolver is the system's and is what this package's functions use. Its methods may
// be called from any goroutine; those that take a context may block, and return
// when it ends; on a loop, call them in Offload of package loop.
//
// The files are read anew by each call, so that a change counts at once. A line that
// makes no sense, or is longer than 16 KiB, is passed over; a file may have 64 MiB.
// A host has at most 1,000 addresses and as many aliases there: those that come first.
type Resolver struct {
	// Files holds "hosts", "services" and "protocols", in the form of hosts(5),
	// services(5) and protocols(5); nil is the system's /etc. In the place of missing
	// services and protocols stands a table of the well-known ones, in that of hosts
	// an empty file.
	Files fs.FS

	// DNS is asked for what hosts doesn't have; nil is net.DefaultResolver. It is
	// net's, so it looks into the system's own hosts file before it asks a server,
	// and asks none where the system's nsswitch.conf leaves the DNS out.
	DNS *net.Resolver

	// Host returns the machine's name; nil is os.Hostname.
	Host func() (string, error)

	addrs func() ([]net.Addr, error) // of all interfaces; nil is net.InterfaceAddrs
}

func (r *Resolver) dns() *net.Resolver {
	if r == nil || r.DNS == nil {
		return net.DefaultResolver
	}
	return r.DNS
}

// Hostname returns the machine's name, which may be a short one (gethostname(2)).
func (r *Resolver) Hostname() (string, error) {
	if r == nil || r.Host == nil {
		return os.Hostname()
	}
	return r.Host()
}

// Hostname is the zero Resolver's.
func Hostname() (string, error) { return new(Resolver).Hostname() }

const (
	maxLine = 16 << 10
	maxFile = 64 << 20
	maxHost = 1000 // addresses of a host, and aliases
)

var errFileSize = errors.New("larger than 64 MiB")

// scan gives the fields of each line of a file to line, until that returns false. A
// missing file has own as its text. The fields are good until line returns.
func (r *Resolver) scan(ctx context.Context, file, own string, line func(fields [][]byte) bool) error {
	var files fs.FS
	if r != nil {
		files = r.Files
	}
	if files == nil {
		files = os.DirFS("/etc")
	}
	var text io.Reader = strings.NewReader(own)
	f, err := files.Open(file)
	switch {
	case err == nil:
		defer f.Close()
		text = f
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	limit := &io.LimitedReader{R: text, N: maxFile + 1}
	b := bufio.NewReaderSize(limit, maxLine)
	var fields [][]byte
	for long := false; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		s, err := b.ReadSlice('\n')
		if !long && (err == nil || err == io.EOF && limit.N > 0) { // else only a part of a line
			s, _, _ = bytes.Cut(s, []byte("#"))
			fields = fields[:0]
			for f := range bytes.FieldsSeq(s) {
				fields = append(fields, f)
			}
			if len(fields) > 0 && !line(fields) {
				return nil
			}
		}
		long = err == bufio.ErrBufferFull
		switch {
		case err == io.EOF && limit.N <= 0:
			return &fs.PathError{Op: "read", Path: file, Err: errFileSize}
		case err == io.EOF:
			return nil
		case err != nil && !long:
			return err
		}
	}
}
