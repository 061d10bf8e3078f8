//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
	"github.com/seed-20e08ac4/asyncore/internal/exampletest"
)

func TestMain(m *testing.M) { exampletest.Main(m, ".") }

// vsftpd serves a folder, and returns its address.
func vsftpd(t *testing.T, root string) string {
	t.Helper()
	addr := blackbox.FreePort(t)
	conf := filepath.Join(t.TempDir(), "vsftpd.conf")
	text := fmt.Sprintf("listen=YES\nlisten_address=127.0.0.1\nlisten_port=%d\nbackground=NO\nanonymous_enable=YES\n"+
		"anon_root=%s\nrun_as_launching_user=YES\nseccomp_sandbox=NO\n", addr.Port, root)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	blackbox.Serve(t, addr, exec.Command("vsftpd", conf))
	return addr.String()
}

// A server of others: what it has is fetched byte for byte.
func TestVsftpd(t *testing.T) {
	blackbox.Needs(t, "vsftpd")
	root := t.TempDir()
	text := make([]byte, 3<<20)
	rand.NewChaCha8([32]byte{}).Read(text)
	if err := os.Mkdir(filepath.Join(root, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string][]byte{"dir/a b": text, "empty": nil} {
		if err := os.WriteFile(filepath.Join(root, name), p, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(root, 0o555); err != nil { // vsftpd refuses one that can be written to
		t.Fatal(err)
	}
	defer os.Chmod(root, 0o755)
	url := "ftp://" + vsftpd(t, root) + "/"
	ftpget := func(path string) (dir, stderr string, err error) {
		var buf bytes.Buffer
		cmd := exec.Command(exampletest.Bin("ftpget"), "-timeout", "20s", url+path)
		cmd.Dir, cmd.Stderr = t.TempDir(), &buf
		err = cmd.Run()
		return cmd.Dir, buf.String(), err
	}
	for path, want := range map[string][]byte{"dir/a%20b": text, "empty": nil} {
		dir, stderr, err := ftpget(path)
		name := strings.ReplaceAll(filepath.Base(path), "%20", " ")
		if got, _ := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d; %v %s", path, len(got), len(want), err, stderr)
		}
	}
	dir, stderr, err := ftpget("dir/none")
	if left, _ := os.ReadDir(dir); err == nil || !strings.Contains(stderr, "550") || len(left) > 0 {
		t.Errorf("what is not there: %v %q, left %v", err, stderr, left)
	}
	list, err := exec.Command(exampletest.Bin("ftpget"), url+"dir/").Output()
	if err != nil || !bytes.Contains(list, []byte("a b\r\n")) {
		t.Errorf("list: %q, %v", list, err)
	}
	// A file that can't be written is an error, and ends it at once.
	cmd := exec.Command(exampletest.Bin("ftpget"), "-o", "-", url+"dir/a%20b")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd.Stdout = full
	if err := cmd.Run(); err == nil {
		t.Error("nothing is said of a full disk")
	}
}
