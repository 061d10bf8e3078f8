package main

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// The cores of a run, and the share of one that others may use of them before
// the run is made again.
const (
	serverCore = 0
	loadCore   = 1
	noisy      = 0.08
)

// busy returns for how long, ever, the two cores have not been idle, to
// hundredths of a second.
func busy() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	ticks := 0
	for line := range strings.Lines(string(stat)) {
		f := strings.Fields(line)
		if len(f) < 9 || f[0] != "cpu"+strconv.Itoa(serverCore) && f[0] != "cpu"+strconv.Itoa(loadCore) {
			continue
		}
		for _, i := range []int{1, 2, 3, 6, 7, 8} { // not idle and iowait; the guests are in user
			n, err := strconv.Atoi(f[i])
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * (time.Second / 100), nil
}
