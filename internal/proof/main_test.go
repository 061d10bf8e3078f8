package proof

import (
	"os"
	"strconv"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/leaktest"
)

// TestMain makes of SIM_SEEDS, which is how many worlds there are to be in all, how
// many each of TestSim's tests has to play.
func TestMain(m *testing.M) {
	if n, err := strconv.Atoi(os.Getenv("SIM_SEEDS")); err == nil {
		os.Setenv("SIM_SEEDS", strconv.Itoa(max(1, (n+len(families)*len(kinds)-1)/(len(families)*len(kinds)))))
	}
	leaktest.Main(m)
}
