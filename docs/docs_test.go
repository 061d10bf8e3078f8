// Package docs checks that the project's prose is true where a machine can.
package docs

import (
	"bytes"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(package main\n.*?)```")

// TestReadmeProgram compiles the program that the README shows.
func TestReadmeProgram(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := goBlock.FindSubmatch(readme)
	if m == nil {
		t.Fatal("the README shows no program")
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, m[1], 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.Command("gofmt", "-l", file).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("gofmt: %v %s", err, out)
	}
}

var goTest = regexp.MustCompile("(?s)```go\n(func Test.*?)```")

// TestReadmeTest plays the test that the README shows.
func TestReadmeTest(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := goTest.FindSubmatch(readme)
	if m == nil {
		t.Fatal("the README shows no test")
	}
	const before = `package readme

import (
	"testing"

	"github.com/seed-20e08ac4/asyncore/asynctest"
	"github.com/seed-20e08ac4/asyncore/channel"
)

func accept(*channel.Conn) *channel.Handler {
	return &channel.Handler{Read: func(c *channel.Conn, p []byte) { c.Write(p) }}
}

`
	file := filepath.Join(t.TempDir(), "readme_test.go")
	if err := os.WriteFile(file, append([]byte(before), m[1]...), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "test", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)\)`)

// TestLinks finds what the documents point to.
func TestLinks(t *testing.T) {
	documents, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(documents, "../README.md", "../CONTRIBUTING.md", "../SECURITY.md", "../CHANGELOG.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), string(m[1]))); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}

// TestExamplesAreListed: the README names each example program.
func TestExamplesAreListed(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	programs, err := os.ReadDir("../examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		if !bytes.Contains(readme, []byte("(examples/"+p.Name()+")")) {
			t.Errorf("README does not list examples/%s", p.Name())
		}
	}
}

// TestExportedNames: each one is documented, and there are no more than a
// reader can hold.
func TestExportedNames(t *testing.T) {
	for dir, budget := range map[string]int{"..": 14, "../loop": 20, "../channel": 30, "../chat": 20, "../socket": 90, "../asynctest": 20} {
		p := exported(t, dir)
		count := len(p.Types) + len(p.Funcs)
		undocumented := func(name, text string) {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: %s is not documented", dir, name)
			}
		}
		undocumented("the package", p.Doc)
		values := func(vs []*doc.Value) {
			for _, v := range vs {
				if v.Decl.Tok == token.VAR || dir != "../socket" { // whose constants are C's
					count += len(v.Names)
				}
				for _, spec := range v.Decl.Specs {
					spec := spec.(*ast.ValueSpec)
					undocumented(v.Names[0], v.Doc+spec.Doc.Text()+spec.Comment.Text())
				}
			}
		}
		funcs := func(fs []*doc.Func) {
			for _, f := range fs {
				if f.Level > 0 {
					t.Errorf("%s: %s.%s comes from an embedded type", dir, f.Recv, f.Name)
				}
				if f.Name != "Error" && f.Name != "Timeout" && f.Name != "Unwrap" { // fmt's and errors' own
					undocumented(f.Recv+"."+f.Name, f.Doc)
				}
			}
		}
		values(p.Consts)
		values(p.Vars)
		funcs(p.Funcs)
		for _, typ := range p.Types {
			undocumented(typ.Name, typ.Doc)
			count += len(typ.Funcs)
			values(typ.Consts)
			values(typ.Vars)
			funcs(typ.Funcs)
			funcs(typ.Methods)
		}
		t.Logf("%s exports %d names", dir, count)
		if count > budget {
			t.Errorf("%s exports %d names, the budget is %d", dir, count, budget)
		}
	}
}

// exported reads a package's documentation, as on Linux.
func exported(t *testing.T, dir string) *doc.Package {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != dir:
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := doc.NewFromFiles(fset, files, "github.com/seed-20e08ac4/asyncore/"+strings.TrimPrefix(dir, "../"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
