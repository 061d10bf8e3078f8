package main

import (
	"fmt"
	"strings"
	"time"
)

// version is the Redis whose replies these are.
const version = "7.0.15"

func hello(s *session, args [][]byte) {
	if len(args) > 1 {
		switch n, ok := parseInt(args[1]); {
		case !ok:
			s.out.fail("ERR Protocol version is not an integer or out of range")
			return
		case n != 2:
			s.out.fail("NOPROTO unsupported protocol version")
			return
		}
	}
	name := s.name
	for i := 2; i < len(args); i += 2 {
		if !is(args[i], "setname") || i+1 == len(args) {
			s.out.fail("ERR Syntax error in HELLO option '" + head(args[i]) + "'")
			return
		}
		if !s.mayBeName(args[i+1]) {
			return
		}
		name = string(args[i+1])
	}
	s.name = name
	s.out.array(14)
	for _, text := range []string{"server", "redis", "version", version, "proto"} {
		s.out.text(text)
	}
	s.out.integer(2)
	s.out.text("id")
	s.out.integer(int64(s.conn.ID()))
	for _, text := range []string{"mode", "standalone", "role", "master", "modules"} {
		s.out.text(text)
	}
	s.out.array(0)
}

// info has no more of INFO than clients and people look for.
func info(s *session, args [][]byte) {
	var b strings.Builder
	section := func(name, format string, values ...any) {
		if wantsSection(args[1:], name) {
			if b.Len() > 0 {
				b.WriteString("\r\n")
			}
			fmt.Fprintf(&b, "# "+name+"\r\n"+format, values...)
		}
	}
	section("Server", "redis_version:%s\r\nredis_mode:standalone\r\nmultiplexing_api:%s\r\nuptime_in_seconds:%d\r\n",
		version, s.loop.Poller(), int(time.Since(s.began).Seconds()))
	section("Clients", "connected_clients:%d\r\n", s.clients)
	section("Memory", "used_memory:%d\r\nmaxmemory:%d\r\nmaxmemory_policy:noeviction\r\n", s.keys.used, s.limits.memory)
	section("Stats", "total_connections_received:%d\r\ntotal_commands_processed:%d\r\npubsub_channels:%d\r\n",
		s.accepted, s.processed, len(s.topics))
	section("Replication", "role:master\r\nconnected_slaves:0\r\n")
	var sizes strings.Builder
	for db, entries := range s.keys.dbs {
		if len(entries) > 0 {
			fmt.Fprintf(&sizes, "db%d:keys=%d,expires=%d,avg_ttl=0\r\n", db, len(entries), s.keys.ends[db])
		}
	}
	section("Keyspace", "%s", &sizes)
	s.out.text(b.String())
}

func wantsSection(args [][]byte, name string) bool {
	for _, arg := range args {
		if is(arg, strings.ToLower(name)) || is(arg, "all") || is(arg, "default") || is(arg, "everything") {
			return true
		}
	}
	return len(args) == 0
}

func clientID(s *session, _ [][]byte) { s.out.integer(int64(s.conn.ID())) }

func clientGetName(s *session, _ [][]byte) {
	if s.name == "" {
		s.out.null()
	} else {
		s.out.text(s.name)
	}
}

func clientSetName(s *session, args [][]byte) {
	if s.mayBeName(args[2]) {
		s.name = string(args[2])
		s.out.ok()
	}
}

// mayBeName answers where the name may not be one.
func (s *session) mayBeName(name []byte) bool {
	for _, b := range name {
		if b < '!' || b > '~' {
			s.out.fail("ERR Client names cannot contain spaces, newlines or special characters.")
			return false
		}
	}
	return true
}

// clientSetInfo is what newer clients say of themselves.
func clientSetInfo(s *session, _ [][]byte) { s.out.ok() }

// commandList has nothing to tell, which clients put up with.
func commandList(s *session, _ [][]byte) { s.out.array(0) }

func commandCount(s *session, _ [][]byte) { s.out.integer(int64(len(commands))) }

// configGet knows what redis-benchmark and redis-cli ask for.
func configGet(s *session, args [][]byte) {
	found := map[string]bool{}
	var reply []string
	g := glob{steps: globBudget}
	for _, pattern := range args[2:] {
		g.pattern = strings.ToLower(string(pattern))
		for _, parameter := range [][2]string{
			{"appendonly", "no"},
			{"databases", fmt.Sprint(databases)},
			{"maxmemory", fmt.Sprint(s.limits.memory)},
			{"maxmemory-policy", "noeviction"},
			{"proto-max-bulk-len", fmt.Sprint(s.limits.value)},
			{"save", ""},
		} {
			if name := parameter[0]; !found[name] && g.match(name) {
				found[name] = true
				if is(pattern, name) {
					name = string(pattern) // in the client's case
				}
				reply = append(reply, name, parameter[1])
			}
		}
	}
	s.out.array(len(reply))
	for _, text := range reply {
		s.out.text(text)
	}
}
