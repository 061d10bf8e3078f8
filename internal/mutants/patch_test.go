package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// patchOf is a patch with these hunks for one file.
func patchOf(hunks string) string {
	return "The sign is wrong (sums are sums).\n--- a/x/sum.go\n+++ b/x/sum.go\n" + hunks
}

func TestParse(t *testing.T) {
	const two = `The sign is wrong, and the comment does not
say so (sums are sums).
tests: ./x ^TestSum|Add$
--- a/x/sum.go
+++ b/x/sum.go
@@ -1,3 +1,2 @@ func sum
 a
-b
 c
@@ -9 +8,2 @@
-d
+D
+--- a/none
--- a/y.go
+++ b/y.go
@@ -1,0 +1 @@
+e
`
	want := &mutant{
		name:  "01-sum",
		about: "The sign is wrong, and the comment does not say so (sums are sums).",
		tests: tests{"./x", "^TestSum|Add$"},
		diffs: []diff{
			{"x/sum.go", []hunk{
				{[]string{"a", "b", "c"}, []string{"a", "c"}},
				{[]string{"d"}, []string{"D", "--- a/none"}},
			}},
			{"y.go", []hunk{{nil, []string{"e"}}}},
		},
	}
	got, err := parse("01-sum", two)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mutant{}, tests{}, diff{}, hunk{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseErrors(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "no diff"},
		{"words only", "Something is broken.\n", "no diff"},
		{"no words", "--- a/x.go\n+++ b/x.go\n@@ -1 +1 @@\n-a\n+b\n", "nothing says"},
		{"cut off", patchOf("@@ -1,2 +1,2 @@\n a\n-b\n"), "cut off"},
		{"more than it says", patchOf("@@ -1 +1 @@\n-a\n+b\n c\n"), "line 7 is not of a diff"},
		{"more removed than it says", patchOf("@@ -1 +1,2 @@\n-a\n-b\n"), "line 6 is not of the hunk"},
		{"no sign", patchOf("@@ -1 +1 @@\na\n"), "line 5 is not of the hunk"},
		{"a hunk before its file", "Broken.\n@@ -1 +1 @@\n-a\n+b\n", "no diff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parse("x", test.text)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestApply(t *testing.T) {
	const src = "package x\n\nfunc a() {\n\treturn\n}\n\nfunc b() {\n\treturn\n}\n"
	for _, test := range []struct{ name, hunks, want, fault string }{
		{
			name:  "changed",
			hunks: "@@ -3,2 +3,2 @@\n func a() {\n-\treturn\n+\tb()\n",
			want:  "package x\n\nfunc a() {\n\tb()\n}\n\nfunc b() {\n\treturn\n}\n",
		},
		{
			name:  "removed and added",
			hunks: "@@ -1,3 +1,2 @@\n package x\n-\n func a() {\n@@ -7,3 +6,4 @@\n func b() {\n+\ta()\n \treturn\n }\n",
			want:  "package x\nfunc a() {\n\treturn\n}\n\nfunc b() {\n\ta()\n\treturn\n}\n",
		},
		{
			name:  "elsewhere than the numbers say",
			hunks: "@@ -70,2 +90,2 @@\n func b() {\n-\treturn\n+\ta()\n",
			want:  "package x\n\nfunc a() {\n\treturn\n}\n\nfunc b() {\n\ta()\n}\n",
		},
		{
			name:  "an empty line of context without its space",
			hunks: "@@ -1,3 +1,3 @@\n package x\n\n-func a() {\n+func c() {\n",
			want:  "package x\n\nfunc c() {\n\treturn\n}\n\nfunc b() {\n\treturn\n}\n",
		},
		{
			name:  "lines that are there twice",
			hunks: "@@ -8,2 +8,1 @@\n-\treturn\n-}\n+} // b\n@@ -1 +1 @@\n-package x\n+package y\n",
			fault: "hunk 1 no longer applies: its lines are there more than once",
		},
		{
			name:  "other context",
			hunks: "@@ -3,2 +3,2 @@\n func a() int {\n-\treturn\n+\tb()\n",
			fault: "hunk 1 no longer applies: its lines are not there",
		},
		{
			name:  "other white space",
			hunks: "@@ -3,2 +3,2 @@\n func a() {\n-    return\n+\tb()\n",
			fault: "hunk 1 no longer applies: its lines are not there",
		},
		{
			name:  "a second hunk that the first has broken",
			hunks: "@@ -3 +3 @@\n-func a() {\n+func c() {\n@@ -3 +3 @@\n-func a() {\n+func d() {\n",
			fault: "hunk 2 no longer applies: its lines are not there",
		},
		{
			name:  "longer than the file",
			hunks: "@@ -1,12 +1,0 @@\n" + strings.Repeat("-\n", 12),
			fault: "hunk 1 no longer applies: its lines are not there",
		},
		{
			name:  "without context",
			hunks: "@@ -3,0 +4 @@\n+\tb()\n",
			fault: "hunk 1 no longer applies: its lines are there more than once",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, err := parse("x", patchOf(test.hunks))
			if err != nil {
				t.Fatal(err)
			}
			fault := ""
			got, err := m.diffs[0].apply(src)
			if err != nil {
				fault = err.Error()
			}
			if diff := cmp.Diff([]string{test.want, test.fault}, []string{got, fault}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
