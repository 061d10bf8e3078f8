package main

import "slices"

func del(s *session, args [][]byte) {
	n := int64(0)
	for _, key := range args[1:] {
		if e := s.keys.get(s.db, key); e != nil {
			s.keys.remove(e)
			n++
		}
	}
	s.out.integer(n)
}

func exists(s *session, args [][]byte) {
	n := int64(0)
	for _, key := range args[1:] {
		if s.keys.get(s.db, key) != nil {
			n++
		}
	}
	s.out.integer(n)
}

func kind(s *session, args [][]byte) {
	if s.keys.get(s.db, args[1]) != nil {
		s.out.status("string")
	} else {
		s.out.status("none")
	}
}

// maxKeys is how many bytes of keys one KEYS may return.
const maxKeys = 16 << 20

// keys answers in alphabetical order: that of a map is another one each time.
func keys(s *session, args [][]byte) {
	s.yield()
	g := glob{pattern: string(args[1]), steps: globBudget}
	var found []string
	size, now := 0, s.keys.now()
	for key, e := range s.keys.dbs[s.db] {
		if (e.until == 0 || e.until > now) && g.match(key) {
			found = append(found, key)
			size += len(key) + argCost
		}
		if g.steps < 0 || size > maxKeys {
			s.out.fail("ERR too many keys for this pattern")
			return
		}
	}
	slices.Sort(found)
	s.out.array(len(found))
	for _, key := range found {
		s.out.text(key)
	}
}

func dbSize(s *session, _ [][]byte) { s.out.integer(int64(len(s.keys.dbs[s.db]))) }

// flushes tells whether FLUSHDB and FLUSHALL may go on.
func (s *session) flushes(args [][]byte) bool {
	if len(args) > 2 || len(args) == 2 && !is(args[1], "sync") && !is(args[1], "async") {
		s.out.fail(errSyntax)
		return false
	}
	s.out.ok()
	s.yield()
	return true
}

func flushDB(s *session, args [][]byte) {
	if s.flushes(args) {
		s.keys.flush(s.db)
	}
}

func flushAll(s *session, args [][]byte) {
	if s.flushes(args) {
		for db := range databases {
			s.keys.flush(db)
		}
	}
}

// expire is EXPIRE and PEXPIRE.
func expire(s *session, args [][]byte) {
	name := lookup(args).name
	if len(args) > 3 {
		s.out.fail("ERR Unsupported option " + head(args[3]))
		return
	}
	n, ok := parseInt(args[2])
	if !ok {
		s.out.fail(errInteger)
		return
	}
	until, ok := s.deadline(n, name == "pexpire", false)
	if !ok {
		s.out.fail("ERR invalid expire time in '" + name + "' command")
		return
	}
	switch e := s.keys.get(s.db, args[1]); {
	case e == nil:
		s.out.integer(0)
		return
	case until <= s.keys.now():
		s.keys.remove(e)
	default:
		s.expireAt(e, until)
	}
	s.out.integer(1)
}

// ttl is TTL and PTTL.
func ttl(s *session, args [][]byte) {
	switch e := s.keys.get(s.db, args[1]); {
	case e == nil:
		s.out.integer(-2)
	case e.until == 0:
		s.out.integer(-1)
	default:
		left := e.until - s.keys.now()
		if lookup(args).name == "ttl" {
			left = (left + 500) / 1000
		}
		s.out.integer(left)
	}
}
