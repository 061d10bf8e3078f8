//go:build unix

package channel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/channel"
	"github.com/seed-20e08ac4/asyncore/loop"
)

// TestStdioProgram is no test but the program that the others run: each Read's bytes
// come out between < and >.
func TestStdioProgram(t *testing.T) {
	poller := os.Getenv("ASYNCORE_TEST_STDIO")
	if poller == "" {
		t.Skip("is started by TestStdio")
	}
	if err := stdioMain(poller); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0) // and no word of package testing's
}

func stdioMain(poller string) error {
	l, err := loop.New(loop.Config{Poller: poller})
	if err != nil {
		return err
	}
	defer l.Close()
	var failed error
	closed := func(_ *channel.Conn, err error) {
		if err != nil {
			failed = err
			l.Stop()
		}
	}
	out, err := channel.Open(l, os.Stdout, &channel.Handler{Close: closed})
	if err != nil {
		return err
	}
	out.Pause() // a terminal could be read there too
	var in *channel.Conn
	in, err = channel.Open(l, os.Stdin, &channel.Handler{
		Read: func(_ *channel.Conn, p []byte) {
			if out.Writev([]byte("<"), p, []byte(">")); out.Buffered() > 64<<10 {
				in.Pause()
			}
		},
		EOF:   func(*channel.Conn) { in.Close(); out.Close() },
		Close: closed,
	})
	if err != nil {
		return err
	}
	out.SetHandler(&channel.Handler{Write: func(*channel.Conn) { in.Resume() }, Close: closed})
	if err := l.Run(context.Background()); err != nil {
		return err
	}
	return failed
}

func stdioProgram(poller string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^TestStdioProgram$")
	// The race detector would have each end wait for a second.
	cmd.Env = append(os.Environ(), "ASYNCORE_TEST_STDIO="+poller, "GORACE=atexit_sleep_ms=0")
	return cmd
}

func eachStdio(t *testing.T, f func(t *testing.T, poller string)) {
	for _, poller := range asyncore.Backends() {
		t.Run(poller, func(t *testing.T) { f(t, poller) })
	}
}

// Standard input and output are channels, whatever a shell makes them.
func TestStdio(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)
	file := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(file, want, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"pipes":    `cat "$1" | program | cat`,
		"files":    `program <"$1" >"$1.out"; cat "$1.out"`,
		"file":     `program <"$1" | cat`,
		"slow":     `(sleep 0.05; cat "$1"; sleep 0.05) | program | (sleep 0.05; cat)`,
		"append":   `: >"$1.log"; program <"$1" >>"$1.log"; cat "$1.log"`,
		"null in":  `program </dev/null; cat "$1"`,
		"null out": `program <"$1" >/dev/null; cat "$1"`,
	} {
		t.Run(name, func(t *testing.T) {
			eachStdio(t, func(t *testing.T, poller string) {
				program := stdioProgram(poller)
				cmd := exec.Command("/bin/sh", "-c", strings.ReplaceAll(script, "program", `"$0" "$2"`), program.Path, file, program.Args[1])
				cmd.Env, cmd.Stderr = program.Env, os.Stderr
				got, err := cmd.Output()
				got = slices.DeleteFunc(got, func(b byte) bool { return b == '<' || b == '>' })
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes of %d, or others; %v", len(got), len(want), err)
				}
			})
		})
	}
}

// Where nobody reads its output any more, the program is told so, and not killed.
func TestStdioBrokenPipe(t *testing.T) {
	eachStdio(t, func(t *testing.T, poller string) {
		program := stdioProgram(poller)
		var errs bytes.Buffer
		program.Stderr = &errs
		in, err := program.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		pr, pw := pipe(t)
		program.Stdout = pw
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		pw.Close()
		io.WriteString(in, "x")
		wantRead(t, pr, "<x>")
		pr.Close()
		io.WriteString(in, "y")
		exit, _ := errors.AsType[*exec.ExitError](program.Wait())
		if exit == nil || exit.ExitCode() != 1 || !strings.Contains(errs.String(), "broken pipe") {
			t.Errorf("%v, %s", exit, &errs)
		}
	})
}
