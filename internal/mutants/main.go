// Mutants breaks the code in one place at a time and runs tests that must notice: one that survives shows what they
// would not see. Each is a patch in this folder. Its first lines tell what is broken and, where the simulation cannot
// see that, which tests are to notice:
//
//	tests: PACKAGE REGEXP ...
//
// Of several expressions the tests of one are run after those of the other, until one has failed.
//
// The sources stay as they are: a broken file is laid over by go's -overlay. The tests learn from SIM_SEEDS how many
// seeds to try, and name the one that fails as "seed N". Before the mutants each package's tests are run as they are,
// and must pass. With SIM_CANARY=1 the simulation must fail, or nothing that it says is worth anything.
//
//	go run ./internal/mutants [-seeds N] [-pkg DIR] [-run REGEXP] [-v] [name ...]
//
// A name stands for all patches that have it in theirs.
package main

import (
	"embed"
	"errors"
	"flag"
	"fmt"
	"log"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// simulation is what sees a mutant whose patch does not say otherwise. Its tests are run one after the other, those
// first that tell most about what they have found.
var simulation = tests{"./internal/proof", "^TestSim$ ^TestSweep$ ^TestSmallScope$"}

//go:embed *.patch
var patches embed.FS

func main() {
	log.SetFlags(0)
	b := &bench{}
	flag.IntVar(&b.seeds, "seeds", 6000, "how many worlds a mutant may survive: each test of the simulation has its share of the seeds")
	flag.DurationVar(&b.timeout, "timeout", 2*time.Minute, "how long the tests of one mutant may take")
	pkg := flag.String("pkg", "", "the package whose tests are to notice, whatever the patches say")
	run := flag.String("run", "", "the tests that are to notice, whatever the patches say")
	verbose := flag.Bool("v", false, "print what the tests say of each mutant")
	flag.Parse()
	all, err := load(flag.Args())
	for _, m := range all {
		m.tests.override(simulation, *pkg, *run)
	}
	if err == nil {
		err = b.test(all, *verbose)
	}
	if err != nil {
		log.Fatal("mutants: ", err)
	}
}

// override fills in the default, and then what the flags say.
func (t *tests) override(instead tests, pkg, run string) {
	if t.pkg == "" {
		*t = instead
	}
	if pkg != "" {
		*t = tests{pkg, "."}
	}
	if run != "" {
		t.run = run
	}
}

// load returns the patches in the order of their names: those that have one of names in theirs, or all.
func load(names []string) (all []*mutant, err error) {
	files, err := patches.ReadDir(".")
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), path.Ext(f.Name()))
		asked := func(part string) bool { return strings.Contains(name, part) }
		if len(names) > 0 && !slices.ContainsFunc(names, asked) {
			continue
		}
		text, err := patches.ReadFile(f.Name())
		if err != nil {
			return nil, err
		}
		m, err := parse(name, string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		all = append(all, m)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no patch is named %q", names)
	}
	return all, nil
}

// test runs the tests on each mutant. The error tells which ones survived, or why nothing can be said.
func (b *bench) test(all []*mutant, verbose bool) (err error) {
	if b.root, err = moduleRoot(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "mutants"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	// What costs little comes first: a patch that no longer applies shows at once.
	var faults []error
	for _, m := range all {
		if m.files, err = m.mutate(b.root); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", m.name, err))
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	if err := b.sane(all); err != nil {
		return err
	}
	var r report
	for _, m := range all {
		began := time.Now()
		out, passed, err := b.try(m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		r.add(m, out, passed, time.Since(began))
		if verbose {
			fmt.Printf("%s\n", out)
		}
	}
	return r.end()
}

// try runs the tests on one mutant.
func (b *bench) try(m *mutant) (out []byte, passed bool, err error) {
	bin, err := b.build(m.tests.pkg, m.files)
	if err != nil {
		return nil, false, err
	}
	for run := range strings.FieldsSeq(m.tests.run) {
		if out, passed, err = b.run(bin, tests{m.tests.pkg, run}); err != nil || !passed {
			break
		}
	}
	return out, passed, err
}

// sane runs the tests without any mutant: they must pass, and the simulation must fail where it is told to.
func (b *bench) sane(all []*mutant) error {
	runs := map[string][]string{} // by package
	for _, m := range all {
		if !slices.Contains(runs[m.tests.pkg], m.tests.run) {
			runs[m.tests.pkg] = append(runs[m.tests.pkg], m.tests.run)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(runs)) {
		bin, err := b.build(pkg, nil)
		if err != nil {
			return err
		}
		t := tests{pkg, strings.Join(strings.Fields(strings.Join(runs[pkg], " ")), "|")}
		switch out, passed, err := b.run(bin, t); {
		case err != nil:
			return err
		case !passed:
			return fmt.Errorf("the tests fail without any mutant: %v\n%s", t, out)
		}
		if pkg != simulation.pkg {
			continue
		}
		switch _, passed, err := b.run(bin, t, "SIM_CANARY=1"); {
		case err != nil:
			return err
		case passed:
			return fmt.Errorf("the tests pass with SIM_CANARY=1, where they must fail: %v", t)
		}
	}
	return nil
}
