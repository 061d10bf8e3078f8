//go:build unix

package main

import (
	"bytes"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/internal/blackbox"
)

// redis starts a redis-server on a socket of its own.
func redis(t *testing.T, args ...string) net.Addr {
	t.Helper()
	dir := t.TempDir()
	addr := &net.UnixAddr{Net: "unix", Name: filepath.Join(dir, "s")}
	cmd := exec.Command("redis-server", append([]string{"--port", "0", "--unixsocket", addr.Name,
		"--save", "", "--appendonly", "no", "--dir", dir}, args...)...)
	blackbox.Serve(t, addr, cmd)
	return addr
}

// sameCommands are answered by Redis and by us with the same bytes. Each begins
// with empty databases; blanks separate arguments, and ~ stands for one in them, "" for
// an argument without a byte.
var sameCommands = strings.TrimSpace(`
PING
PING hello
PING a b
ping ""
ECHO hello
ECHO
ECHO a b
eChO ~~
SET k v
GET k
GET
GET a b
SET k
SET k v XX
SET k2 v XX
GET k2
SET k w NX
SET k2 w NX
SET k x NX XX
SET k x XX NX
SET k x GET
SET new x GET
SET nx x NX GET
SET nx y NX GET
SET nx y XX GET
SET k v EX
SET k v EX 0
SET k v EX -1
SET k v EX abc
SET k v EX 1.5
SET k v EX 01
SET k v EX 9223372036854775807
SET k v EX 9223372036854775
SET k v PX 9223372036854775807
SET k v EX 100 PX 100
SET k v EX 100 KEEPTTL
SET k v KEEPTTL EX 100
SET k v KEEPTTL KEEPTTL
SET k v EX abc foo
SET k v foo
SET k v EX 100
TTL k
SET k w KEEPTTL
TTL k
SET k w
TTL k
SET k w PX 100000
TTL k
SET k w EXAT 99999999999
SET k w PXAT 99999999999000
SET k w EXAT 0
SET k w EXAT -5
SET k w pxat 1
GET k
SET "" empty
GET ""
SET k ""
GET k
SET k a~b GET
DEL
DEL k
DEL k
SET a 1
SET b 2
DEL a b c a
UNLINK a
EXISTS
EXISTS a
SET a 1
EXISTS a a b
INCR a
INCR a x
INCR
INCR newcounter
DECR a
DECR newcounter2
DECR newcounter2
INCRBY a 10
INCRBY a
INCRBY a x
INCRBY a 1.0
INCRBY a +1
INCRBY a -0
INCRBY a -10
DECRBY a 5
DECRBY a -9223372036854775808
DECRBY a x
SET a 9223372036854775807
INCR a
INCRBY a 1
DECRBY a -1
INCRBY a -9223372036854775808
SET a -9223372036854775808
DECR a
GET a
SET a 9223372036854775808
INCR a
SET a ~1
INCR a
SET a 01
INCR a
SET a ""
INCR a
SET a abc
INCR a
GET a
EXPIRE a
EXPIRE a x
EXPIRE a 100
TTL a
PTTL
TTL a b
EXPIRE missing 100
EXPIRE a 100 FOO
EXPIRE a 9223372036854775807
EXPIRE a -9223372036854775808
PEXPIRE a 9223372036854775807
PEXPIRE a x
PEXPIRE a 100000
TTL a
EXPIRE a 0
TTL a
PTTL a
SET a 1
EXPIRE a -1
EXISTS a
TYPE a
SET a 1
TYPE a
TYPE
TTL a
PTTL a
DBSIZE
DBSIZE x
FLUSHDB
DBSIZE
SET a 1
SELECT 1
GET a
DBSIZE
SET a 2
SELECT 0
GET a
SELECT 16
SELECT -1
SELECT x
SELECT 99999999999
SELECT
FLUSHALL x
FLUSHALL SYNC
FLUSHALL ASYNC
FLUSHALL SYNC ASYNC
FLUSHDB x
SET hello x
KEYS *
KEYS h?llo
KEYS h[ae]llo
KEYS h[^e]llo
KEYS h[^a]llo
KEYS h[a-f]ll*
KEYS h[f-a]llo
KEYS \h\e*
KEYS h[e
KEYS h[
KEYS h[]ello
KEYS h[\e]llo
KEYS hello*
KEYS *hello
KEYS *hello?
KEYS ""
KEYS
KEYS a b
SET h*llo x
KEYS h\*llo
DEL hello h*llo
NOSUCH
NOSUCH a
NOSUCH a b c
nosuch a~b 'c
NOSUCH aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b c
NOSUCH aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb ccccccccc d
NOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCHNOSUCH
""
get|x
client|id
HELLO 3x
HELLO 4
HELLO 1
HELLO 2 FOO
HELLO 2 SETNAME
HELLO 2 SETNAME a~b
CLIENT
CLIENT GETNAME
CLIENT SETNAME joe
CLIENT GETNAME
CLIENT SETNAME a~b
CLIENT SETNAME
CLIENT GETNAME x
CLIENT ID x
CLIENT NOSUCH
CLIENT nosuch a b
CLIENT SETNAME ""
CLIENT GETNAME
COMMAND COUNT x
COMMAND NOSUCH
CONFIG
CONFIG GET
CONFIG GET nosuch
CONFIG GET save
CONFIG GET APPENDONLY
CONFIG GET save nosuch save
CONFIG NOSUCH
PUBLISH
PUBLISH a
PUBLISH a b
SUBSCRIBE
UNSUBSCRIBE
UNSUBSCRIBE a
SUBSCRIBE a
SUBSCRIBE a b
GET a
SET
NOSUCH
PING
PING x
PING x y
ECHO x
CLIENT ID
UNSUBSCRIBE b
UNSUBSCRIBE nosuch
UNSUBSCRIBE
GET missing
SUBSCRIBE x y
RESET
GET missing
RESET x
SUBSCRIBE x
UNSUBSCRIBE x x
SUBSCRIBE "" x
UNSUBSCRIBE ""
UNSUBSCRIBE
SELECT 3
RESET
QUIT
`)

func TestSameAsRedis(t *testing.T) {
	blackbox.Needs(t, "redis-server")
	theirs, ours := dial(t, redis(t)), dial(t, serve(t, defaults, ""))
	for line := range strings.SplitSeq(sameCommands, "\n") {
		args := strings.Split(line, " ")
		for i, arg := range args {
			args[i] = strings.ReplaceAll(strings.ReplaceAll(arg, `""`, ""), "~", " ")
		}
		raw := encode(args...)
		want, wantClosed := theirs.ask(raw)
		got, closed := ours.ask(raw)
		if diff := cmp.Diff(string(want), string(got)); diff != "" || closed != wantClosed {
			t.Errorf("%s (closed: %v, want %v):\n%s", line, closed, wantClosed, diff)
		}
	}
}

// long is what makes a line too long.
var long = strings.Repeat("x", 300000)

// sameBytes are no commands, or just so, and Redis and we agree.
var sameBytes = []string{
	"\r\n", "\n", "\r\n\r\n\n\n", "   \r\n", "\t \n",
	"PING\r\n", "PING\n", "ping \t\r\n", "PING\rx\r\n", "PING\vx\r\n", " ECHO x\r\n",
	"ECHO \"a b\"\r\n", `ECHO "\x41\n\r\t\a\b\"\\\q"` + "\r\n", `ECHO "\xZZ\x4"` + "\r\n", `ECHO 'a\'b\n'` + "\r\n",
	`ECHO ""` + "\r\n", `ECHO ''` + "\r\n", `ECHO a"b c"` + "\r\n", "ECHO \"\x01\xff\"\r\n", "ECHO \xff\xfe\r\n",
	`ECHO "a` + "\r\n", `ECHO 'a` + "\r\n", `ECHO "a"b` + "\r\n", `ECHO 'a'b` + "\r\n", `ECHO "a\"` + "\r\n", `ECHO "` + "\r\n", "ECHO \"a\r\n\"\r\n",
	"$4\r\nPING\r\n", "+PING\r\n", ":1\r\n", "-ERR\r\n", "%1\r\n", "_\r\n",
	"*0\r\n", "*-1\r\n", "*-10\r\n", "*-9223372036854775808\r\n", "*0\r\n*-1\r\n*0\r\n",
	"*\r\n", "*a\r\n", "*1a\r\n", "* 1\r\n", "*1 \r\n", "*+1\r\n", "*01\r\n", "*-0\r\n", "*1.0\r\n", "*--1\r\n",
	"*3000000000\r\n", "*2147483648\r\n", "*99999999999999999999\r\n", "*9223372036854775808\r\n",
	"*1\r\n\r\n", "*1\r\n*1\r\n", "*1\r\nPING\r\n", "*1\r\n:4\r\n", "*1\r\n+PING\r\n", "*2\r\n*1\r\n$4\r\nPING\r\n", "*1\r\n\xff\r\n", "*1\r\n$\r\n",
	"*1\r\n$-1\r\n", "*1\r\n$-2\r\n", "*1\r\n$a\r\n", "*1\r\n$4a\r\n", "*1\r\n$ 4\r\n", "*1\r\n$04\r\n", "*1\r\n$+4\r\n", "*1\r\n$-0\r\n",
	"*1\r\n$2147483648\r\n", "*1\r\n$536870913\r\n", "*1\r\n$99999999999999999999\r\n",
	"*1\r\n$0\r\n\r\n", "*2\r\n$0\r\n\r\n$0\r\n\r\n", "*1\r\n$4\r\nPING\r\n*1\r\n$-1\r\n",
	"*2\r\n$4\r\nECHO\r\n$4\r\n\r\n\r\n\r\n", "*2\r\n$4\r\nECHO\r\n$3\r\n\x00\xff*\r\n",
	long, "*" + long, "*1\r\n$" + long, "*1\r\n" + long,
	"\x00" + long, "*\x00" + long, "*1\r\n$\x00" + long, "PING\x00\r\n" + long, "*1\x00\r\n" + long, "*1\r\n$4\x00\r\n" + long,
	"*1\r\n$4\r\nQUIT\r\nGET x\r\n", "QUIT\r\nPING\r\n", "quit now\r\n",
	"POST / HTTP/1.1\r\n", "Host: example.com\r\n",
}

func TestSameFaultsAsRedis(t *testing.T) {
	blackbox.Needs(t, "redis-server")
	redis, kv := redis(t), serve(t, defaults, "")
	t.Logf("%d byte strings", len(sameBytes))
	for _, raw := range sameBytes {
		want, wantClosed := dial(t, redis).ask([]byte(raw))
		got, closed := dial(t, kv).ask([]byte(raw))
		if !bytes.Equal(got, want) || closed != wantClosed {
			t.Errorf("%.60q: %.100q, closed %v\nwant %.100q, closed %v", raw, got, closed, want, wantClosed)
		}
	}
}
