//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

// The program, in a shell's pipeline, with grep as its filter.
func TestProgram(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		path := filepath.Join(t.TempDir(), "log")
		write(t, path, strings.Repeat("old error\nold\n", 10))
		cmd := exec.Command("/bin/sh", "-c", `exec "$0" -poller "$1" -n 4 "$2" grep --line-buffered error`,
			exampletest.Bin("tail"), poller, path)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill()
		lines := bufio.NewReader(out)
		wants := func(want string) {
			t.Helper()
			if line, err := lines.ReadString('\n'); err != nil || line != want+"\n" {
				t.Fatalf("%q, %v, want %q\n%s", line, err, want, &errs)
			}
		}
		wants("old error")
		wants("old error")
		write(t, path, "fine\nerror 1\nfine\nerror 2\n")
		wants("error 1")
		wants("error 2")
		os.Rename(path, path+".1")
		write(t, path, "error 3\n")
		wants("error 3")
		write(t, path, "error 4\n")
		cmd.Process.Signal(syscall.SIGTERM)
		wants("error 4")
		if rest, err := io.ReadAll(lines); len(rest) > 0 || err != nil {
			t.Errorf("%q, %v behind the end", rest, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, &errs)
		}
	})
}

// head ends it, and a filter's status is its own.
func TestProgramEnds(t *testing.T) {
	exampletest.EachPoller(t, func(t *testing.T, poller string) {
		path := filepath.Join(t.TempDir(), "log")
		write(t, path, strings.Repeat("line\n", 100000))
		cmd := exec.Command("/bin/sh", "-c", `"$0" -poller "$1" -n 100000 "$2" cat 2>/dev/null | head -n 2`,
			exampletest.Bin("tail"), poller, path)
		if out, err := cmd.Output(); string(out) != "line\nline\n" || err != nil {
			t.Errorf("%q, %v", out, err)
		}
		exit, _ := errors.AsType[*exec.ExitError](exec.Command(exampletest.Bin("tail"), "-poller", poller, path, "sh", "-c", "exit 5").Run())
		if exit == nil || exit.ExitCode() != 5 {
			t.Errorf("%v", exit)
		}
		exit, _ = errors.AsType[*exec.ExitError](exec.Command(exampletest.Bin("tail")).Run())
		if exit == nil || exit.ExitCode() != 2 {
			t.Errorf("without a file: %v", exit)
		}
	})
}
