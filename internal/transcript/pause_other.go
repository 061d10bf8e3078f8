//go:build !unix

package transcript

import "time"

func pause() { time.Sleep(time.Microsecond) }
