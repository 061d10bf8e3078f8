package socket

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"regexp"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStringLinux checks the numbers of the seeds and the names that share one.
func TestStringLinux(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Family(0).String(), "AF_UNSPEC"},
		{Family(1).String(), "AF_UNIX"},
		{Family(2).String(), "AF_INET"},
		{Family(10).String(), "AF_INET6"},
		{Family(16).String(), "AF_NETLINK"},
		{Family(17).String(), "AF_PACKET"},
		{Family(30).String(), "AF_TIPC"},
		{Proto(0).String(), "IPPROTO_IP"},
		{Proto(1).String(), "IPPROTO_ICMP"},
		{Proto(132).String(), "IPPROTO_SCTP"},
		{Proto(136).String(), "IPPROTO_UDPLITE"},
		{Proto(255).String(), "IPPROTO_RAW"},
		{Proto(262).String(), "IPPROTO_MPTCP"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	// What has one number and two names on Linux is known and few.
	for prefix, want := range map[string][]string{
		"AF_":      {"AF_FILE", "AF_LOCAL", "AF_UNIX", "AF_NETLINK", "AF_ROUTE"},
		"SOCK_":    nil,
		"IPPROTO_": {"IPPROTO_HOPOPTS", "IPPROTO_IP"},
	} {
		byValue := make(map[int64][]string)
		for name, value := range Constants(prefix) {
			byValue[value] = append(byValue[value], name)
		}
		var got []string
		for _, names := range byValue {
			if len(names) > 1 {
				got = append(got, names...)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", prefix, diff)
		}
	}
}

// TestConstantsPython compares with testdata/constants.txt, which is what CPython
// 3.11's socket module has on Debian 12, amd64.
func TestConstantsPython(t *testing.T) {
	file, err := os.Open("testdata/constants.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// x/sys has none of these; the ALG_ ones never were in Linux.
	missing := regexp.MustCompile(`^(CAN_BCM_|J1939_|S(CM|O)_J1939_|UDPLITE_|ALG_OP_(SIGN|VERIFY)$|ALG_SET_PUBKEY$|VM_SOCKETS_INVALID_VERSION$)`)
	have := maps.Collect(Constants(""))
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var name string
		var want int64
		if _, err := fmt.Sscan(lines.Text(), &name, &want); err != nil {
			t.Fatal(err)
		}
		got, ok := have[name]
		switch {
		case !ok && !missing.MatchString(name):
			t.Errorf("no %s", name)
		case ok && uint32(got) != uint32(want) && runtime.GOARCH == "amd64": // TIPC_WAIT_FOREVER is -1 there
			t.Errorf("%s = %d, want %d", name, got, want)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
