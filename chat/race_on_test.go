//go:build race

package chat

const RaceDetector = true
