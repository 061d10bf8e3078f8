// Package asyncore polls many descriptors from one goroutine. It is the
// ground floor of a single-threaded reactor: [Open] gives a [Poller] on epoll,
// kqueue, poll or select, all four with one contract and one test suite.
//
// Most programs never use it directly. They start a loop (package
// [github.com/seed-20e08ac4/asyncore/loop]) and put callbacks on sockets with
// package [github.com/seed-20e08ac4/asyncore/channel]. Use this package to
// watch descriptors with a loop of your own:
//
//	p, err := asyncore.Open("")
//	err = p.Add(fd, 1, asyncore.Readable)
//	var events [64]asyncore.Event
//	for {
//		n, err := p.Wait(events[:], time.Second)
//		for _, ev := range events[:n] {
//			// ev.Token is 1: read fd until EAGAIN, or once.
//		}
//	}
//
// # Rules
//
// Readiness is level-triggered: what was not read is reported again. Events
// are hints, so every read and write must be ready for EAGAIN, and a
// connection is over when read returns 0 or an error, never because an event
// said [HangUp].
//
// The Poller does not own descriptors. Remove one before closing it; between
// Close and reuse of its number, events of the old registration may still
// lie in a batch that Wait has returned, so put a generation in the token.
//
// # Platforms
//
// epoll on Linux; kqueue on macOS and the BSDs; poll and select on any Unix.
// Elsewhere the package compiles and Open returns an error that wraps
// [errors.ErrUnsupported]. The environment variable ASYNCORE_POLLER names the
// backend that Open("") takes.
package asyncore
