//go:build unix

package transcript

import "golang.org/x/sys/unix"

// pause gives the server time to read: about 60 us. After runtime.Gosched it
// would get most writes in one read, and time.Sleep may round up to 1 ms.
func pause() { unix.Select(0, nil, nil, nil, &unix.Timeval{Usec: 1}) }
