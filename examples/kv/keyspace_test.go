package main

import (
	"fmt"
	"testing"
)

// Flushing one database leaves the ends of the others' keys.
func TestFlush(t *testing.T) {
	now := int64(1000)
	k := keyspace{now: func() int64 { return now }}
	for i := range 100 {
		e := k.put(i%3, fmt.Append(nil, i), nil, []byte("v"))
		if i%2 == 0 {
			k.expireAt(e, now+int64(100-i))
		}
	}
	k.flush(1)
	k.flush(2)
	if got, want := k.ends, [databases]int{17}; got != want || len(k.timed) != 17 || len(k.dbs[0]) != 34 {
		t.Fatalf("ends %v, %d timed, %d keys; want %v, 17, 34", got, len(k.timed), len(k.dbs[0]), want)
	}
	for now += 1; now <= 1100; now++ {
		k.expire(1000)
		for _, e := range k.timed {
			if e.until <= now {
				t.Fatalf("at %d there is one that was to end at %d", now, e.until)
			}
		}
	}
	if k.ends[0] != 0 || len(k.dbs[0]) != 17 {
		t.Errorf("%d ends and %d keys are left, want 0 and 17", k.ends[0], len(k.dbs[0]))
	}
	k.flush(0)
	if k.used != 0 {
		t.Errorf("%d bytes are used by nothing", k.used)
	}
}
