//go:build race && unix

package loop_test

func init() { raceDetector = true }
