// Tail prints the end of a file and what is appended to it, as tail -F does, through
// a filter perhaps:
//
//	go run ./examples/tail /var/log/syslog
//	go run ./examples/tail -n 0 /var/log/syslog grep --line-buffered error
//
// A file that is not there is waited for. One that is replaced, as by logrotate, is
// read to its end and the new one from its beginning; one that is truncated from its
// beginning, too. Changes are noticed at once on Linux, by inotify, and else once in
// -every.
//
// The filter is a command with its arguments, no shell's line. Its standard input is a
// channel that is fed from the file, its standard output one that is coupled with
// ours, its standard error is ours. Whatever is slow, the filter or who reads the
// output, holds back what is before it, down to the file, which is not read
// meanwhile: no more than a few hundred KiB are ever in memory.
//
// It ends with the filter, with its status; when it writes and nobody reads any more;
// and at SIGINT or SIGTERM, when all that the file has is through. A terminal's ^C goes
// to the filter as well, and may end it first.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore/loop"
)

func main() {
	var config loop.Config
	t := tail{stdout: os.Stdout}
	flag.StringVar(&config.Poller, "poller", "", "backend: epoll, kqueue, poll or select (default: the best one)")
	flag.IntVar(&t.lines, "n", 10, "begin with the last so many lines")
	flag.DurationVar(&t.every, "every", time.Second, "look at the file so often, whatever inotify tells")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: tail [flags] FILE [FILTER [ARGUMENT...]]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() < 1 || t.lines < 0 || t.every <= 0 {
		flag.Usage()
		os.Exit(2)
	}
	t.file.path, t.filter = flag.Arg(0), flag.Args()[1:]
	if err := run(config, &t); err != nil {
		status := 1
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
			status = exit.ExitCode() // the filter has said why
		} else {
			fmt.Fprintln(os.Stderr, "tail:", err)
		}
		os.Exit(status)
	}
}

func run(config loop.Config, t *tail) error {
	l, err := loop.New(config)
	if err != nil {
		return err
	}
	defer l.Close()
	defer t.file.close()
	if err := t.start(l); err != nil {
		return err
	}
	var unsubscribe func()
	unsubscribe = l.Signal(func(os.Signal) {
		unsubscribe() // a second one ends the process
		t.finish()
	}, syscall.SIGINT, syscall.SIGTERM)
	if err := l.Run(context.Background()); err != nil {
		return err
	}
	return t.err
}
