package main

import (
	"cmp"
	"os"
	"os/exec"
	"time"

	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// tail is file → filter → stdout, or file → stdout.
type tail struct {
	lines  int
	every  time.Duration
	filter []string
	stdout *os.File

	file file
	sink *channel.Conn // what the file is sent to: the filter's input, or stdout
	out  *channel.Conn
	err  error // the first thing that went wrong
}

// start sets all up on l, whose Run returns when it has ended.
func (t *tail) start(l *loop.Loop) error {
	if err := t.file.begin(t.lines); err != nil {
		return err
	}
	running := 1 // out, and the filter
	ended := func(err error) {
		t.err = cmp.Or(t.err, err)
		if running--; running == 0 {
			l.Stop()
		}
	}
	var err error
	t.out, err = channel.Open(l, t.stdout, &channel.Handler{
		EOF: func(*channel.Conn) {}, // of a socket, of which nobody wants the input
		Close: func(_ *channel.Conn, err error) {
			if t.sink != t.out {
				t.sink.Abort() // a filter that is left alone reads its end
			}
			ended(err)
		},
	})
	if err != nil {
		return err
	}
	if info, err := t.stdout.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		t.out.Pause() // a terminal could be read, and what is typed is not for us
	}
	// Who reads page by page has not stalled, and nor has a filter that waits for it.
	t.out.SetWriteTimeout(-1)
	t.sink = t.out
	if len(t.filter) > 0 {
		cmd := exec.Command(t.filter[0], t.filter[1:]...)
		cmd.Stderr = os.Stderr
		p, err := channel.Command(l, cmd, &channel.ProcessHandler{
			Stdin: &channel.Handler{},
			Stdout: &channel.Handler{
				Close: func(*channel.Conn, error) { t.out.Close() }, // CloseWrite is not enough for a terminal
			},
			Exit: func(_ *channel.Process, err error) { ended(err) },
		})
		if err != nil {
			return err
		}
		running++
		p.Stdin.SetWriteTimeout(-1)
		p.Stdout.PipeTo(t.out)
		t.sink = p.Stdin
	}
	t.file.notify = notify(l, t.file.path, t.sink.Unpark)
	t.file.watch()
	l.Every(t.every, t.sink.Unpark)
	return t.sink.SendFrom(&t.file)
}

// finish has what the file has come out, and no more.
func (t *tail) finish() {
	t.file.last = true
	t.sink.Unpark()
	t.sink.Close()
}
