package main

import (
	"math"
	"strconv"
)

func get(s *session, args [][]byte) {
	if e := s.keys.get(s.db, args[1]); e != nil {
		s.out.bulk(e.value)
	} else {
		s.out.null()
	}
}

// setOptions is what SET was told besides key and value.
type setOptions struct {
	nx, xx, keep, get bool
	until             int64 // in ms since 1970, 0: none
}

func set(s *session, args [][]byte) {
	var o setOptions
	if len(args) > 3 {
		if problem := o.parse(args[3:], s.server); problem != "" {
			s.out.fail(problem)
			return
		}
	}
	key, value := args[1], args[2]
	e := s.keys.get(s.db, key)
	if o.get {
		get(s, args)
	}
	if o.nx && e != nil || o.xx && e == nil {
		if !o.get {
			s.out.null()
		}
		return
	}
	if e = s.keys.put(s.db, key, e, value); !o.keep {
		s.expireAt(e, o.until)
	}
	if !o.get {
		s.out.ok()
	}
}

// parse returns the text of an error, or nothing.
func (o *setOptions) parse(args [][]byte, s *server) (problem string) {
	timed := false
	for i := 0; i < len(args); i++ {
		word := args[i]
		absolute := is(word, "exat") || is(word, "pxat")
		milli := is(word, "px") || is(word, "pxat")
		switch {
		case is(word, "nx") && !o.xx:
			o.nx = true
		case is(word, "xx") && !o.nx:
			o.xx = true
		case is(word, "get"):
			o.get = true
		case is(word, "keepttl") && !timed:
			o.keep = true
		case (is(word, "ex") || milli || absolute) && !timed && !o.keep && i+1 < len(args):
			timed = true
			i++
			n, ok := parseInt(args[i])
			if !ok {
				problem = errInteger
			} else if o.until, ok = s.deadline(n, milli, absolute); !ok || n <= 0 {
				problem = "ERR invalid expire time in 'set' command"
			}
		default:
			return errSyntax
		}
	}
	return problem
}

func incr(s *session, args [][]byte) { s.add(args[1], 1) }
func decr(s *session, args [][]byte) { s.add(args[1], -1) }

func incrBy(s *session, args [][]byte) {
	if n, ok := parseInt(args[2]); ok {
		s.add(args[1], n)
	} else {
		s.out.fail(errInteger)
	}
}

func decrBy(s *session, args [][]byte) {
	switch n, ok := parseInt(args[2]); {
	case !ok:
		s.out.fail(errInteger)
	case n == math.MinInt64:
		s.out.fail("ERR decrement would overflow")
	default:
		s.add(args[1], -n)
	}
}

func (s *session) add(key []byte, n int64) {
	var was int64
	e := s.keys.get(s.db, key)
	if e != nil {
		var ok bool
		if was, ok = parseInt(e.value); !ok {
			s.out.fail(errInteger)
			return
		}
	}
	sum := was + n
	if (sum < was) != (n < 0) {
		s.out.fail("ERR increment or decrement would overflow")
		return
	}
	var digits [20]byte
	s.keys.put(s.db, key, e, strconv.AppendInt(digits[:0], sum, 10))
	s.out.integer(sum)
}
