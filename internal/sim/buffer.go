package sim

// buffer is a queue of bytes.
type buffer struct {
	b    []byte
	head int // b[head:] is what it holds
}

func (q *buffer) len() int { return len(q.b) - q.head }

func (q *buffer) bytes() []byte { return q.b[q.head:] }

func (q *buffer) write(p []byte) {
	if q.head > 0 && len(q.b)+len(p) > cap(q.b) && q.head >= len(q.b)/2 {
		q.b = q.b[:copy(q.b, q.b[q.head:])]
		q.head = 0
	}
	q.b = append(q.b, p...)
}

func (q *buffer) read(p []byte) int {
	n := copy(p, q.bytes())
	q.drop(n)
	return n
}

// drop takes the first n bytes.
func (q *buffer) drop(n int) {
	if q.head += n; q.head == len(q.b) {
		q.b, q.head = q.b[:0], 0
	}
}

// cut keeps only the first n bytes.
func (q *buffer) cut(n int) {
	if n < q.len() {
		q.b = q.b[:q.head+n]
		q.drop(0)
	}
}
