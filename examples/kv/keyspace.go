package main

import (
	"container/heap"
	"slices"
)

// databases is how many SELECT may choose from.
const databases = 16

// keyspace holds the keys of all databases. What is over is gone for whoever asks,
// and removed then, or by expire.
type keyspace struct {
	now   func() int64 // in ms since 1970
	dbs   [databases]map[string]*entry
	timed deadlines      // the entries that will be over
	ends  [databases]int // how many of those each database has
	used  int64          // bytes, more or less
}

type entry struct {
	db    int
	key   string
	value []byte
	until int64 // 0: for ever
	place int   // in timed; -1: not there
}

// entryCost is what an entry takes besides key and value.
const entryCost = 160

func (e *entry) cost() int64 { return int64(entryCost + len(e.key) + cap(e.value)) }

// get returns the entry of key, or nil.
func (k *keyspace) get(db int, key []byte) *entry {
	e := k.dbs[db][string(key)]
	if e != nil && e.until != 0 && e.until <= k.now() {
		k.remove(e)
		return nil
	}
	return e
}

// put gives key a value, of which it makes a copy, and returns its entry, e where
// get has found one.
func (k *keyspace) put(db int, key []byte, e *entry, value []byte) *entry {
	if e == nil {
		e = &entry{db: db, key: string(key), place: -1}
		if k.dbs[db] == nil {
			k.dbs[db] = map[string]*entry{}
		}
		k.dbs[db][e.key] = e
	} else {
		k.used -= e.cost()
	}
	if room := cap(e.value); room < len(value) || room > 64+2*len(value) {
		e.value = make([]byte, 0, len(value))
	}
	e.value = append(e.value[:0], value...)
	k.used += e.cost()
	return e
}

func (k *keyspace) remove(e *entry) {
	k.expireAt(e, 0)
	delete(k.dbs[e.db], e.key)
	k.used -= e.cost()
}

func (k *keyspace) flush(db int) {
	for _, e := range k.dbs[db] {
		k.used -= e.cost()
	}
	k.dbs[db] = nil
	if k.ends[db] > 0 {
		k.timed = slices.DeleteFunc(k.timed, func(e *entry) bool { return e.db == db })
		for i, e := range k.timed {
			e.place = i
		}
		heap.Init(&k.timed)
		k.ends[db] = 0
	}
}

// expireAt has e be over at that time; 0: never.
func (k *keyspace) expireAt(e *entry, until int64) {
	e.until = until
	switch {
	case e.place >= 0 && until == 0:
		heap.Remove(&k.timed, e.place)
		k.ends[e.db]--
	case e.place >= 0:
		heap.Fix(&k.timed, e.place)
	case until != 0:
		heap.Push(&k.timed, e)
		k.ends[e.db]++
	}
}

// expire removes entries that are over, at most so many, and tells whether there
// may be more.
func (k *keyspace) expire(most int) bool {
	now := k.now()
	for ; most > 0 && len(k.timed) > 0 && k.timed[0].until <= now; most-- {
		k.remove(k.timed[0])
	}
	return most == 0
}

// deadlines is a heap, the first to be over on top.
type deadlines []*entry

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].until < d[j].until }

func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

func (d *deadlines) Push(x any) {
	e := x.(*entry)
	e.place = len(*d)
	*d = append(*d, e)
}

func (d *deadlines) Pop() any {
	last := len(*d) - 1
	e := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	e.place = -1
	return e
}
