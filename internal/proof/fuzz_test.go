package proof

import (
	"testing"
	"time"

	"github.com/seed-20e08ac4/asyncore/asynctest"
)

// FuzzTape lets the fuzzer make all choices: the first byte is the family, the
// rest its tape.
func FuzzTape(f *testing.F) {
	for i := range families {
		f.Add([]byte{byte(i)})
		f.Add(append([]byte{byte(i)}, stuff[i*500:i*500+500]...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || len(data) > 4096 {
			t.Skip()
		}
		family := families[int(data[0])%len(families)]
		c := asynctest.Config{Faults: asynctest.Swarm, Timeout: time.Hour, Tape: data[1:]}
		asynctest.Run(t, c, scenario(family.play, asynctest.Swarm))
	})
}
