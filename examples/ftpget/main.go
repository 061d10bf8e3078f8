// Ftpget fetches a file by FTP, over a control connection that is a chat.Conn and
// a passive data connection that is a channel.Conn of the same loop.
//
//	go run ./examples/ftpget ftp://user:password@127.0.0.1:2121/dir/file
//	go run ./examples/ftpget -o - ftp://127.0.0.1:2121/dir/
//
// A path that ends with a slash is listed. The file takes the name that it has
// there, or that of -o, and only when all of it has come: the data connection
// has ended, the server has said that it was complete, and it is as long as SIZE
// had promised. What has come until then is in a file beside it. Paths are
// relative to the directory that the user comes to (RFC 1738).
//
// A server can't have ftpget connect to another host: of its answer to PASV only
// the port is used. Nothing is encrypted.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"strings"
	"time"
)

func main() {
	out := flag.String("o", "", "write to `file`, - is standard output (default: the name it has there)")
	timeout := flag.Duration("timeout", 30*time.Second, "give up after so long without a byte")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: ftpget [flags] ftp://[user[:password]@]host[:port]/path")
		flag.PrintDefaults()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *out, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, "ftpget:", err)
		os.Exit(1)
	}
}

func run(rawURL, out string, timeout time.Duration) error {
	want, err := parse(rawURL)
	if err != nil {
		return err
	}
	if out == "" {
		if out = path.Base(want.path); want.list() {
			out = "-"
		}
	}
	s, err := create(out)
	if err != nil {
		return err
	}
	err = fetch(want, s, timeout)
	return errors.Join(err, s.close(err == nil))
}

// target is what a URL asks for.
type target struct {
	addr           string
	user, password string
	path           string // relative; listed where it is empty or ends with a slash
}

func (t *target) list() bool { return t.path == "" || strings.HasSuffix(t.path, "/") }

func parse(rawURL string) (target, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return target{}, err
	}
	if u.Scheme != "ftp" || u.Hostname() == "" {
		return target{}, fmt.Errorf("%q is no ftp:// URL", rawURL)
	}
	t := target{
		addr: u.Host, user: "anonymous", password: "ftpget@",
		path: strings.TrimPrefix(u.Path, "/"),
	}
	if u.Port() == "" {
		t.addr = net.JoinHostPort(u.Hostname(), "21")
	}
	if u.User != nil {
		t.user = u.User.Username()
		t.password, _ = u.User.Password()
	}
	for _, s := range []string{t.user, t.password, t.path} {
		if strings.ContainsAny(s, "\r\n\x00") {
			return target{}, errors.New("the URL has a line end in it")
		}
	}
	return t, nil
}
