package core

import "math/bits"

const (
	readSize    = 64 << 10  // the read buffer
	readSizeMax = 256 << 10 // the same under bulk: larger reads, fewer calls

	classMin  = 10 // 1 KiB, the smallest output buffer
	classMax  = 18 // 256 KiB, the largest that is kept for reuse
	keepBytes = 4 << 20
)

// buffers is the memory that the channels of a loop share: an idle one holds
// none of it.
type buffers struct {
	read     []byte
	free     [classMax - classMin + 1][][]byte
	kept     int   // bytes in free
	Buffered int64 // bytes that the loop's channels have queued
}

// ReadBuffer is the one buffer that everything is read into; what lies in it
// is gone with the next call of anybody.
func (b *buffers) ReadBuffer() []byte {
	if b.read == nil {
		b.read = make([]byte, readSize)
	}
	return b.read
}

// FilledRead tells that a read has filled the read buffer.
func (b *buffers) FilledRead() {
	if len(b.read) < readSizeMax {
		b.read = make([]byte, readSizeMax)
	}
}

// GetBuffer returns an empty buffer with room for at least n bytes. The one
// that was given back last comes first: it is still in the processor's cache.
func (b *buffers) GetBuffer(n int) []byte {
	class := max(bits.Len(uint(n-1)), classMin)
	if class > classMax {
		return make([]byte, 0, 1<<class)
	}
	list := &b.free[class-classMin]
	if last := len(*list) - 1; last >= 0 {
		buf := (*list)[last]
		(*list)[last] = nil
		*list = (*list)[:last]
		b.kept -= cap(buf)
		return buf
	}
	return make([]byte, 0, 1<<class)
}

// PutBuffer takes back a buffer, be it GetBuffer's or another one.
func (b *buffers) PutBuffer(buf []byte) {
	class := bits.Len(uint(cap(buf))) - 1
	if class < classMin || class > classMax || cap(buf) != 1<<class || b.kept+cap(buf) > keepBytes {
		return
	}
	b.kept += cap(buf)
	b.free[class-classMin] = append(b.free[class-classMin], buf[:0])
}
