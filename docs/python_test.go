package docs

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write python.md anew")

// module is one of Python's, as python.tsv has it: a line with its name and where it
// is here, then one for each row of its table.
type module struct {
	name, where string
	rows        []row
}

// row has names of Python, in parentheses what it had none for; names of ours, none
// of them where python.tsv has a dash; and what is different.
type row struct {
	python, ours []string
	difference   string
}

func modules(t *testing.T) (all []module) {
	text, err := os.ReadFile("python.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		switch {
		case strings.HasPrefix(line, "# ") && len(f) == 2:
			all = append(all, module{name: f[0][2:], where: f[1]})
			continue
		case len(f) != 3, len(all) == 0:
			t.Fatalf("python.tsv: %q is no row", line)
		}
		r := row{python: strings.Split(f[0], ", "), difference: f[2]}
		if f[0][0] == '(' {
			r.python = f[:1]
		}
		if f[1] != "-" {
			r.ours = strings.Split(f[1], ", ")
		}
		if len(r.ours) == 0 && r.difference == "" {
			t.Errorf("python.tsv: %q has no reason", f[0])
		}
		m := &all[len(all)-1]
		m.rows = append(m.rows, r)
	}
	return all
}

// TestPythonPage: python.md is what python.tsv says.
func TestPythonPage(t *testing.T) {
	var page bytes.Buffer
	page.WriteString("# From Python\n\n" +
		"Every public name of Python's `socket`, `select`, `socketserver`, `asyncore` and `asynchat` (3.11), and where it went.\n" +
		"Made from python.tsv by `go test ./docs -run PythonPage -update`.\n")
	code := func(names []string) string {
		if len(names) == 0 {
			return "none"
		}
		return "`" + strings.Join(names, "`, `") + "`"
	}
	for _, m := range modules(t) {
		fmt.Fprintf(&page, "\n## %s: %s\n\n| Python | Go | differences |\n|---|---|---|\n", m.name, m.where)
		for _, r := range m.rows {
			python := code(r.python)
			if r.python[0][0] == '(' {
				python = strings.Trim(r.python[0], "()")
			}
			fmt.Fprintf(&page, "| %s | %s | %s |\n", python, code(r.ours), r.difference)
		}
	}
	if *update {
		if err := os.WriteFile("python.md", page.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("python.md")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(page.String(), string(got)); d != "" {
		t.Errorf("python.md is not made from python.tsv: %s", d)
	}
}

// names reads a list of testdata: Python's names, a line each, as module.name or
// module.Class.name.
func names(t *testing.T, file string) []string {
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// TestPythonNames: each name of Python stands in python.tsv, and each that stands
// there is one. A member may stand without its class.
func TestPythonNames(t *testing.T) {
	all := slices.Concat(names(t, "python311.txt"), names(t, "python-more.txt"))
	for _, m := range modules(t) {
		listed := map[string]int{} // how often
		for _, r := range m.rows {
			for _, name := range r.python {
				listed[name]++
			}
		}
		known := map[string]bool{}
		for _, name := range all {
			name, ok := strings.CutPrefix(name, m.name+".")
			if !ok {
				continue
			}
			_, member, isMember := strings.Cut(name, ".")
			known[name], known[member] = true, true
			if listed[name] == 0 && !(isMember && listed[member] > 0) {
				t.Errorf("%s.%s does not stand in python.tsv", m.name, name)
			}
		}
		for name, n := range listed {
			if n > 1 {
				t.Errorf("%s.%s stands in python.tsv %d times", m.name, name, n)
			}
			if !known[name] && name[0] != '(' {
				t.Errorf("%s has no %s", m.name, name)
			}
		}
	}
}

var identifier = regexp.MustCompile(`^(\w+)\.(\w+)(?:\.(\w+))?$`)

// TestPythonOurs: each name of ours exists.
func TestPythonOurs(t *testing.T) {
	packages := map[string]map[string]bool{}
	for _, m := range modules(t) {
		for _, r := range m.rows {
			for _, name := range r.ours {
				f := identifier.FindStringSubmatch(name)
				if f == nil {
					t.Errorf("%q is no name of ours", name)
					continue
				}
				if packages[f[1]] == nil {
					dir := "../" + f[1]
					if f[1] == "asyncore" {
						dir = ".."
					}
					packages[f[1]] = identifiers(exported(t, dir))
				}
				if !packages[f[1]][strings.TrimPrefix(name, f[1]+".")] {
					t.Errorf("%s: there is no %s", r.python[0], name)
				}
			}
		}
	}
}

// identifiers are all that a package exports: Name, Type.Method, Type.Field.
func identifiers(p *doc.Package) map[string]bool {
	all := map[string]bool{}
	values := func(vs []*doc.Value) {
		for _, v := range vs {
			for _, name := range v.Names {
				all[name] = true
			}
		}
	}
	funcs := func(fs []*doc.Func, recv string) {
		for _, f := range fs {
			all[recv+f.Name] = true
		}
	}
	values(p.Consts)
	values(p.Vars)
	funcs(p.Funcs, "")
	for _, typ := range p.Types {
		all[typ.Name] = true
		values(typ.Consts)
		values(typ.Vars)
		funcs(typ.Funcs, "")
		funcs(typ.Methods, typ.Name+".")
		ast.Inspect(typ.Decl, func(n ast.Node) bool {
			if s, ok := n.(*ast.StructType); ok {
				for _, f := range s.Fields.List {
					for _, name := range f.Names {
						all[typ.Name+"."+name.Name] = true
					}
				}
			}
			return true
		})
	}
	return all
}
