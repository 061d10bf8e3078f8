//go:build unix && !linux

package asyncore

var wakeMessage = []byte{0}

func openWaker() (*waker, error) { return openPipe() }
