package asynctest

import (
	"fmt"
	"strconv"
	"time"
)

// settings are what the environment says:
//
//	SIM_SEED=7               that seed only, or with SIM_SEEDS the first
//	SIM_SEEDS=10000          so many
//	SIM_TIME=30s             as many as that takes, whatever SIM_SEEDS says
//	SIM_TAPE=file            the one world of a saved tape
//	SIM_SHRINK=2s            no longer than that to make a failure smaller
//	SIM_TRACE=1              each world's timeline
//	SIM_CHECK_DETERMINISM=5  so many of 100 seeds twice, to compare their timelines
type settings struct {
	first uint64
	seeds int // negative: Config's
	span  time.Duration
	tape  string
	trace bool
	twice int // per cent

	shrink time.Duration
}

const defaultTwice = 5

func readSettings(getenv func(string) string) (s settings, err error) {
	s = settings{first: 1, seeds: -1, twice: defaultTwice, shrink: shrinkTime}
	read := func(name string, parse func(string) error) {
		if v := getenv(name); v != "" && err == nil {
			if e := parse(v); e != nil {
				err = fmt.Errorf("%s: %w", name, e)
			}
		}
	}
	read("SIM_SEED", func(v string) (e error) {
		s.seeds = 1
		s.first, e = strconv.ParseUint(v, 10, 64)
		return e
	})
	read("SIM_SEEDS", func(v string) error {
		n, e := strconv.ParseUint(v, 10, 31)
		s.seeds = int(n)
		return e
	})
	read("SIM_TIME", func(v string) (e error) { s.span, e = time.ParseDuration(v); return e })
	read("SIM_SHRINK", func(v string) (e error) { s.shrink, e = time.ParseDuration(v); return e })
	read("SIM_CHECK_DETERMINISM", func(v string) (e error) { s.twice, e = strconv.Atoi(v); return e })
	s.tape = getenv("SIM_TAPE")
	switch getenv("SIM_TRACE") {
	case "", "0":
	default:
		s.trace = true
	}
	return s, err
}
