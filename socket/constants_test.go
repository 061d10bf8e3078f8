package socket

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConstants(t *testing.T) {
	var all []string
	for name, value := range Constants("") {
		all = append(all, name)
		if value != int64(int32(value)) && value != int64(uint32(value)) {
			t.Errorf("%s = %d, more than 32 bits", name, value)
		}
	}
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Error("names out of order or double")
	}
	for _, list := range [][]constant{systemConstants, ownConstants} {
		if !slices.IsSortedFunc(list, byName) {
			t.Error("a table is out of order")
		}
	}
	own := maps.Collect(Constants("INADDR_"))
	want := map[string]int64{
		"INADDR_ANY":             0,
		"INADDR_LOOPBACK":        0x7f000001,
		"INADDR_BROADCAST":       0xffffffff,
		"INADDR_NONE":            0xffffffff,
		"INADDR_UNSPEC_GROUP":    0xe0000000,
		"INADDR_ALLHOSTS_GROUP":  0xe0000001,
		"INADDR_MAX_LOCAL_GROUP": 0xe00000ff,
	}
	if diff := cmp.Diff(want, own); diff != "" {
		t.Error(diff)
	}
	for _, prefix := range []string{"NO_SUCH_", "~", "AF_INETX"} {
		for name := range Constants(prefix) {
			t.Errorf("Constants(%q) has %s", prefix, name)
		}
	}
	for name := range Constants("SO") { // stops where its user does
		if !strings.HasPrefix(name, "SO") {
			t.Error(name)
		}
		break
	}
}

// TestOwnConstants compares the table with the declarations.
func TestOwnConstants(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`^(EAI|AI|NI|INADDR|IPPORT)_`)
	var want, got []string
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for node := range ast.Preorder(f) {
			if spec, ok := node.(*ast.ValueSpec); ok {
				for _, id := range spec.Names {
					if kinds.MatchString(id.Name) {
						want = append(want, id.Name)
					}
				}
			}
		}
	}
	slices.Sort(want)
	for _, c := range ownConstants {
		got = append(got, c.name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]int64{
		"AI_NUMERICSERV": 1024, "EAI_NONAME": -2, "EAI_OVERFLOW": -12, "NI_DGRAM": 16, "NI_MAXHOST": 1025,
	} {
		if got := maps.Collect(Constants(name))[name]; got != want {
			t.Errorf("%s = %d, want %d", name, got, want)
		}
	}
}

// TestConstantsGenerated runs the generator and compares.
func TestConstantsGenerated(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip(err)
	}
	mod, err := exec.Command(goTool, "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Skip("go list: ", err)
	}
	source := filepath.Join(strings.TrimSpace(string(mod)), "unix", "zerrors_linux.go")
	if _, err := os.Stat(source); errors.Is(err, fs.ErrNotExist) {
		t.Skip(err)
	}
	dir := t.TempDir()
	if out, err := exec.Command(goTool, "run", "gen.go", "-dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("go run gen.go: %v\n%s", err, out)
	}
	fresh, err := filepath.Glob(filepath.Join(dir, "constants_*.go"))
	if err != nil || len(fresh) != 6 {
		t.Fatalf("generated %v, %v", fresh, err)
	}
	for _, file := range fresh {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Base(file))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is stale: go generate ./socket\n%s", filepath.Base(file), diff)
		}
	}
}

func TestString(t *testing.T) {
	value := func(name string) int64 {
		for n, v := range Constants(name) {
			if n == name {
				return v
			}
		}
		t.Errorf("no %s", name)
		return -1
	}
	for _, name := range []string{"AF_INET", "AF_INET6", "AF_UNIX"} {
		if got := Family(value(name)).String(); got != name {
			t.Errorf("%s prints as %s", name, got)
		}
	}
	for _, name := range []string{"SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"} {
		if got := Type(value(name)).String(); got != name {
			t.Errorf("%s prints as %s", name, got)
		}
	}
	for _, name := range []string{"IPPROTO_TCP", "IPPROTO_UDP"} {
		if got := Proto(value(name)).String(); got != name {
			t.Errorf("%s prints as %s", name, got)
		}
	}
	for _, c := range []struct{ got, want string }{
		{Family(77).String(), "Family(77)"},
		{Family(-1).String(), "Family(-1)"},
		{Type(0).String(), "Type(0)"},
		{Type(77).String(), "Type(77)"},
		{Proto(10000).String(), "Proto(10000)"},
		{Proto(-1).String(), "Proto(-1)"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	if sockFlags != 0 {
		if got := (sockDgram | sockFlags).String(); got != "SOCK_DGRAM|SOCK_CLOEXEC|SOCK_NONBLOCK" {
			t.Errorf("a type with both flags prints as %s", got)
		}
	}
}
