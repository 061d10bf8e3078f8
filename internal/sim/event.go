package sim

// event is something that happens later.
type event struct {
	at  int64
	seq uint64 // equal times in order
	fn  func()
}

func (e *event) before(f *event) bool {
	return e.at < f.at || e.at == f.at && e.seq < f.seq
}

// events is a binary heap, the earliest first.
type events struct {
	heap []event
	seq  uint64
}

func (h *events) push(at int64, fn func()) {
	h.seq++
	h.heap = append(h.heap, event{at, h.seq, fn})
	i := len(h.heap) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !h.heap[i].before(&h.heap[parent]) {
			break
		}
		h.heap[i], h.heap[parent] = h.heap[parent], h.heap[i]
		i = parent
	}
}

func (h *events) pop() event {
	first := h.heap[0]
	last := len(h.heap) - 1
	h.heap[0] = h.heap[last]
	h.heap[last] = event{} // the function must not be kept
	h.heap = h.heap[:last]
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h.heap[child].before(&h.heap[least]) {
				least = child
			}
		}
		if least == i {
			return first
		}
		h.heap[i], h.heap[least] = h.heap[least], h.heap[i]
		i = least
	}
}
