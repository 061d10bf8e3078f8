package main

import (
	"bytes"
	"slices"
	"strings"
)

// command is one that a client may give.
type command struct {
	name  string // a subcommand's is that of both, as in "client|id"
	arity int    // arguments, its name included; negative: at least so many
	flags flags
	run   func(s *session, args [][]byte)
}

type flags uint8

const (
	writes     flags = 1 << iota // takes memory, and is refused when there is none
	subscribed                   // may be given while subscribed
)

// The commands by name, and the subcommands. They are filled by init since COMMAND
// counts them.
var commands, subcommands = map[string]*command{}, map[string]*command{}

func init() {
	for _, c := range []command{
		{"ping", -1, subscribed, ping},
		{"echo", 2, 0, echo},
		{"select", 2, 0, choose},
		{"quit", -1, subscribed, quit},
		{"reset", 1, subscribed, reset},

		{"get", 2, 0, get},
		{"set", -3, writes, set},
		{"incr", 2, writes, incr},
		{"decr", 2, writes, decr},
		{"incrby", 3, writes, incrBy},
		{"decrby", 3, writes, decrBy},

		{"del", -2, 0, del},
		{"unlink", -2, 0, del},
		{"exists", -2, 0, exists},
		{"type", 2, 0, kind},
		{"keys", 2, 0, keys},
		{"dbsize", 1, 0, dbSize},
		{"flushdb", -1, 0, flushDB},
		{"flushall", -1, 0, flushAll},

		{"expire", -3, 0, expire},
		{"pexpire", -3, 0, expire},
		{"ttl", 2, 0, ttl},
		{"pttl", 2, 0, ttl},

		{"subscribe", -2, subscribed, subscribe},
		{"unsubscribe", -1, subscribed, unsubscribe},
		{"publish", 3, 0, publish},

		{"hello", -1, 0, hello},
		{"info", -1, 0, info},
		{"client", -2, 0, nil},
		{"client|id", 2, 0, clientID},
		{"client|getname", 2, 0, clientGetName},
		{"client|setname", 3, 0, clientSetName},
		{"client|setinfo", 4, 0, clientSetInfo},
		{"command", -1, 0, commandList},
		{"command|count", 2, 0, commandCount},
		{"command|docs", -2, 0, commandList},
		{"config", -2, 0, nil},
		{"config|get", -3, 0, configGet},

		{"post", -1, 0, intrude},
		{"host:", -1, 0, intrude},
	} {
		if strings.Contains(c.name, "|") {
			subcommands[c.name] = &c
		} else {
			commands[c.name] = &c
		}
	}
}

// longestName is how long a command's name may be, with that of its subcommand.
const longestName = 32

// lookup finds a command, or nil. It does not allocate.
func lookup(args [][]byte) *command {
	var name [longestName]byte
	n := lower(name[:], args[0])
	c := commands[string(name[:n])]
	if c == nil || len(args) == 1 || !c.contains() {
		return c
	}
	name[n] = '|'
	n += 1 + lower(name[n+1:], args[1])
	return subcommands[string(name[:n])]
}

// contains tells whether the command has subcommands.
func (c *command) contains() bool {
	return c.run == nil || c.name == "command"
}

// lower writes name in lower case, or nothing where it is too long.
func lower(to, name []byte) int {
	if len(name) > len(to) {
		return 0
	}
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		to[i] = b
	}
	return len(name)
}

// is tells whether arg is word, in upper or lower case.
func is(arg []byte, word string) bool {
	return len(arg) == len(word) && strings.EqualFold(string(arg), word)
}

// quoted is how much of what was received an error shows.
const quoted = 128

// head is the beginning of an argument, as C sees it.
func head(arg []byte) string { return string(cString(arg, quoted)) }

func cString(arg []byte, most int) []byte {
	if i := bytes.IndexByte(arg, 0); i >= 0 {
		arg = arg[:i]
	}
	return arg[:min(len(arg), most)]
}

const (
	errSyntax  = "ERR syntax error"
	errInteger = "ERR value is not an integer or out of range"
)

func (s *session) wrongArgs(c *command) {
	s.out.fail("ERR wrong number of arguments for '" + c.name + "' command")
}

func ping(s *session, args [][]byte) {
	switch {
	case len(args) > 2:
		s.wrongArgs(lookup(args))
	case len(s.channels) > 0:
		s.out.array(2)
		s.out.text("pong")
		s.out.bulk(slices.Concat(args[1:]...)) // nothing, without an argument
	case len(args) == 2:
		s.out.bulk(args[1])
	default:
		s.out.status("PONG")
	}
}

func echo(s *session, args [][]byte) { s.out.bulk(args[1]) }

func choose(s *session, args [][]byte) {
	n, ok := parseInt(args[1])
	switch {
	case !ok:
		s.out.fail(errInteger)
	case n != int64(int32(n)):
		s.out.fail("ERR value is out of range, value must between -2147483648 and 2147483647")
	case n < 0 || n >= databases:
		s.out.fail("ERR DB index is out of range")
	default:
		s.db = int(n)
		s.out.ok()
	}
}

func quit(s *session, _ [][]byte) {
	s.out.ok()
	s.quitting = true
}

// intrude ends a connection that speaks HTTP: a web page may have made its
// visitor's browser send it.
func intrude(s *session, _ [][]byte) { s.quitting = true }

func reset(s *session, _ [][]byte) {
	for len(s.channels) > 0 {
		s.leave(s.channels[0])
	}
	s.db, s.name = 0, ""
	s.out.status("RESET")
}
