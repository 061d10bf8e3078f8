//go:build !race

package channel_test

// raceDetector tells whether it watches: bulk is slow then.
const raceDetector = false
