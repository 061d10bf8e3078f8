//go:build unix

package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	local64 := strings.Repeat("l", 64)
	label := strings.Repeat("d", 63)
	for _, c := range []struct {
		line string
		want string // the verb and what belongs to it, or a code
	}{
		{"EHLO client.example", "EHLO client.example"},
		{"ehlo [192.0.2.1]", "EHLO [192.0.2.1]"},
		{"HELO [IPv6:2001:db8::1]", "HELO [IPv6:2001:db8::1]"},
		{"EHLO docker_name-1", "EHLO docker_name-1"},
		{"EHLO a  ", "EHLO a"},
		{"EHLO", "501"}, {"EHLO ", "501"}, {"EHLO a b", "501"}, {"EHLO a..b", "501"}, {"EHLO -", "501"},
		{"EHLO [1.2.3]", "501"}, {"EHLO [IPv6:1.2.3.4]", "501"}, {"EHLO [IPv6:fe80::1%eth0]", "501"},
		{"EHLO [::1]", "501"}, {"EHLO [", "501"}, {"EHLO (comment)", "501"},
		{"EHLO a\x00", "501"}, {"EHLO a\rb", "501"}, {"EHLO a\nb", "501"}, {"EHLO a\tb", "501"}, {"EHLO \xc3\xa9", "501"},

		{"MAIL FROM:<a@example.com>", "MAIL a@example.com"},
		{"mail from:<a@example.com>", "MAIL a@example.com"},
		{"MAIL FROM:<>", "MAIL "},
		{"MAIL FROM:<> SIZE=5 BODY=8BITMIME", "MAIL  5"},
		{"MAIL FROM:<a@b> size=12345 body=7bit", "MAIL a@b 12345"},
		{"MAIL FROM:<@one.example,@two.example:a@b>", "MAIL a@b"},
		{`MAIL FROM:<"a b>\"<"@b>`, `MAIL "a b>\"<"@b`},
		{`MAIL FROM:<""@b>`, `MAIL ""@b`},
		{"MAIL FROM:<a@[127.0.0.1]>", "MAIL a@[127.0.0.1]"},
		{"MAIL FROM:<a@[IPv6:::1]>", "MAIL a@[IPv6:::1]"},
		{"MAIL FROM:<!#$%&'*+-/=?^_`{|}~.x@b>", "MAIL !#$%&'*+-/=?^_`{|}~.x@b"},
		{"MAIL FROM:<" + local64 + "@b>", "MAIL " + local64 + "@b"},
		{"MAIL FROM:<" + local64 + "l@b>", "501"},
		{"MAIL FROM:<a@" + label + "." + label + ">", "MAIL a@" + label + "." + label},
		{"MAIL FROM:<a@" + label + "d>", "501"},
		// 256 with the brackets, and one more.
		{"MAIL FROM:<aa@" + strings.Repeat(label[:49]+".", 5) + "b>", "MAIL aa@" + strings.Repeat(label[:49]+".", 5) + "b"},
		{"MAIL FROM:<aa@" + strings.Repeat(label[:49]+".", 5) + "bc>", "501"},
		{"MAIL", "501"}, {"MAIL FROM", "501"}, {"MAIL FROM:", "501"}, {"MAIL FROM:a@b", "501"}, {"MAIL FROM: <a@b>", "501"},
		{"MAIL FROM:<a@b", "501"}, {"MAIL FROM:<a@b>x", "501"}, {"MAIL FROM:<a>", "501"}, {"MAIL FROM:<postmaster>", "501"},
		{"MAIL FROM:<a@>", "501"}, {"MAIL FROM:<@b>", "501"}, {"MAIL FROM:<a@b@c>", "501"}, {"MAIL FROM:<a..b@c>", "501"},
		{"MAIL FROM:<.a@c>", "501"}, {"MAIL FROM:<a.@c>", "501"}, {"MAIL FROM:<a b@c>", "501"}, {"MAIL FROM:<a@b_c>", "501"},
		{"MAIL FROM:<a@-b>", "501"}, {"MAIL FROM:<a@b.>", "501"}, {`MAIL FROM:<"a@b>`, "501"}, {`MAIL FROM:<"a\`, "501"},
		{`MAIL FROM:<"a"b@c>`, "501"}, {"MAIL FROM:<@one,two:a@b>", "501"}, {"MAIL FROM:<@one a@b>", "501"}, {"MAIL FROM:<@>", "501"},
		{"MAIL FROM:<a\x00@b>", "501"}, {"MAIL FROM:<a@b>\r", "501"}, {"MAIL FROM:<a\n@b>", "501"}, {"MAIL FROM:<\xff@b>", "501"},
		{"MAIL TO:<a@b>", "501"},
		{"MAIL FROM:<a@b> SIZE=", "501"}, {"MAIL FROM:<a@b> SIZE=-1", "501"}, {"MAIL FROM:<a@b> SIZE=+1", "501"},
		{"MAIL FROM:<a@b> SIZE=99999999999999999999", "501"}, {"MAIL FROM:<a@b> SIZE=1 SIZE=1", "501"},
		{"MAIL FROM:<a@b> BODY=BINARYMIME", "501"}, {"MAIL FROM:<a@b> SMTPUTF8", "555"}, {"MAIL FROM:<a@b> AUTH=<>", "555"},

		{"RCPT TO:<a@example.com>", "RCPT a@example.com"},
		{"rcpt to:<Postmaster>", "RCPT Postmaster"},
		{"RCPT TO:<>", "501"}, {"RCPT TO:<somebody>", "501"}, {"RCPT TO:<a@b> NOTIFY=NEVER", "555"}, {"RCPT FROM:<a@b>", "501"},

		{"data", "DATA"}, {"DATA now", "501"}, {"RSET", "RSET"}, {"RSET all", "501"}, {"QUIT", "QUIT"}, {"QUIT now", "501"},
		{"NOOP", "NOOP"}, {"NOOP for you", "NOOP for you"}, {"HELP", "HELP"}, {"VRFY a", "VRFY a"}, {"VRFY", "501"},
		{"", "500"}, {" ", "500"}, {" QUIT", "500"}, {"QUITS", "500"}, {"FROB", "500"}, {"\x00", "501"}, {"NOOP\x7f", "501"},
		{"EXPN list", "502"}, {"AUTH PLAIN", "502"}, {"STARTTLS", "502"}, {"BDAT 5 LAST", "502"},
		{"GET / HTTP/1.1", "521"}, {"POST / HTTP/1.1", "521"}, {"CONNECT a:25 HTTP/1.1", "521"},

		{"NOOP " + strings.Repeat("x", maxCommand-5), "NOOP " + strings.Repeat("x", maxCommand-5)},
		{"NOOP " + strings.Repeat("x", maxCommand-4), "500"},
		{"MAIL FROM:<a@b> BODY=7BIT" + strings.Repeat(" ", maxMail-25), "MAIL a@b"},
	} {
		cmd, refusal := parse([]byte(c.line))
		got := cmd.verb
		switch {
		case refusal != "":
			got = refusal[:3]
		case cmd.verb == "MAIL" || cmd.verb == "RCPT":
			got += " " + cmd.path
			if cmd.size > 0 {
				got += fmt.Sprintf(" %d", cmd.size)
			}
		case cmd.arg != "":
			got += " " + cmd.arg
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.line, got, c.want)
		}
	}
}

// What parse lets through is safe to store, and to send.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"EHLO a.example", "MAIL FROM:<@a,@b:c@d> SIZE=1 BODY=7BIT", `RCPT TO:<"a\"b>"@[IPv6:::1]>`, "RCPT TO:<postmaster>", "NOOP x",
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		cmd, refusal := parse(line)
		if refusal != "" {
			if len(refusal) < 5 || refusal[0] != '5' || refusal[3] != ' ' {
				t.Errorf("%q: refusal %q", line, refusal)
			}
			return
		}
		for _, s := range []string{cmd.arg, cmd.path} {
			if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q: %q", line, s)
			}
		}
		if cmd.path == "" {
			return
		}
		if len(cmd.path) > 254 || cmd.size < 0 {
			t.Errorf("%q: path of %d bytes, size %d", line, len(cmd.path), cmd.size)
		}
		again, rest, ok := cutPath("<" + cmd.path + ">")
		if !ok || rest != "" || again != cmd.path {
			t.Errorf("%q: path %q is not one: %q, %q", line, cmd.path, again, rest)
		}
		if at := strings.LastIndexByte(cmd.path, '@'); at > 64 || at < 0 && !strings.EqualFold(cmd.path, "postmaster") {
			t.Errorf("%q: path %q", line, cmd.path)
		}
	})
}
