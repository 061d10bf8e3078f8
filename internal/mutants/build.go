package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// tests is which tests are to notice: those of a package whose names match.
type tests struct{ pkg, run string }

func (t tests) String() string { return t.pkg + " " + t.run }

// shrink is for how long a simulation makes what it has found smaller.
const shrink = "3s"

// bench is where mutants are built and run.
type bench struct {
	root    string // the module's
	dir     string // for what is built
	seeds   int
	timeout time.Duration
}

// moduleRoot is the directory of go.mod.
func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(string(bytes.TrimSpace(out))), nil
}

// mutate returns the files that m changes, as it leaves them, by their paths.
func (m *mutant) mutate(root string) (map[string]string, error) {
	files := map[string]string{}
	for _, d := range m.diffs {
		path := filepath.Join(root, filepath.FromSlash(d.path))
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if files[path], err = d.apply(string(src)); err != nil {
			return nil, fmt.Errorf("%s: %w", d.path, err)
		}
	}
	return files, nil
}

// build compiles the tests of a package with files laid over the sources.
func (b *bench) build(pkg string, files map[string]string) (bin string, err error) {
	replace := map[string]string{}
	for path, src := range files {
		f, err := os.CreateTemp(b.dir, "*.go")
		if err != nil {
			return "", err
		}
		replace[path] = f.Name()
		_, err = f.WriteString(src)
		if err = errors.Join(err, f.Close()); err != nil {
			return "", err
		}
	}
	overlay := filepath.Join(b.dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err != nil {
		return "", err
	}
	bin = filepath.Join(b.dir, "tests")
	if err := os.Remove(bin); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	cmd := exec.Command("go", "test", "-c", "-o", bin, "-overlay", overlay, pkg)
	cmd.Dir = b.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go test -c %s: %w\n%s", pkg, err, out)
	}
	if _, err := os.Stat(bin); err != nil {
		return "", fmt.Errorf("%s has no tests", pkg)
	}
	return bin, nil
}

// run runs what build has made, and tells whether the tests passed. That they hang is a failure too. A simulation has
// an empty directory: it saves what has failed beside its tests, and would play that first for the next mutant.
func (b *bench) run(bin string, t tests, env ...string) (out []byte, passed bool, err error) {
	dir := filepath.Join(b.root, filepath.FromSlash(t.pkg))
	if t.pkg == simulation.pkg {
		if dir, err = os.MkdirTemp(b.dir, "run"); err != nil {
			return nil, false, err
		}
	}
	cmd := exec.Command(bin, "-test.run", t.run, "-test.failfast", "-test.timeout", b.timeout.String())
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "SIM_SEEDS="+strconv.Itoa(b.seeds), "SIM_SHRINK="+shrink), env...)
	out, err = cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); failed {
		return out, false, nil
	}
	return out, err == nil, err
}
