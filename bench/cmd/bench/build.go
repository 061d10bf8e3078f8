package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// A build makes a program in dir, and returns the command that runs it.
type build func(ctx context.Context, dir string) (argv []string, err error)

// missing is the error of a build that lacks something which a machine need
// not have.
type missing struct{ why string }

func (m missing) Error() string { return m.why }

func cProgram(source string) build {
	return func(ctx context.Context, dir string) ([]string, error) {
		out := filepath.Join(dir, strings.TrimSuffix(filepath.Base(source), ".c"))
		return []string{out}, command(ctx, "gcc", "-O2", "-o", out, source)
	}
}

func goProgram(pkg string) build {
	return func(ctx context.Context, dir string) ([]string, error) {
		out := filepath.Join(dir, filepath.Base(pkg))
		return []string{out}, command(ctx, "go", "build", "-o", out, pkg)
	}
}

// pyProgram runs a script as it is, if Python has the module.
func pyProgram(script, module string) build {
	return func(ctx context.Context, _ string) ([]string, error) {
		// -I: a script may be named after the module, which must not be taken
		// from beside it. -W: Python 3.11 warns that it is the module's last.
		python := []string{"python3", "-I", "-W", "ignore"}
		if err := command(ctx, append(python, "-c", "import "+module)...); err != nil {
			return nil, missing{err.Error()}
		}
		return append(python, script), nil
	}
}

// command runs to its end; its error has what it said.
func command(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
