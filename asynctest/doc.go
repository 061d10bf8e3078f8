// Package asynctest tests code that runs on a [loop.Loop] in a simulated kernel
// under a virtual clock: the loop, channel, chat and the handlers are those of
// production, what lies below them is not. A test of hours takes microseconds, and
// gives the same result each time.
//
// A newcomer's test of a handler, whole:
//
//	func TestEcho(t *testing.T) {
//		asynctest.Run(t, asynctest.Config{Faults: asynctest.Benign}, func(w *asynctest.World) {
//			ln := w.Serve("tcp", ":7", accept)
//			p := w.Dial(ln).Chop(1, 3).Send("hello\r\n")
//			p.Expect("hello\r\n")
//			p.HalfClose()
//			p.ExpectClosed()
//		})
//	}
//
// accept is what channel.Listen is given; chat comes in by chat.Accept. That test
// plays 100 worlds, in each of which segments, buffers, latency and the order of
// events are others. One that fails is played again with ever less in it until
// nothing more can be left out, and is then reported with a timeline, and with a
// command that replays it.
//
// # What there is
//
//   - [Pipe] is one connection, for tests of what is said on it and when.
//   - [Segmentations] shows that it does not matter how input is cut.
//   - [Run] is a world with any number of peers, in which things go wrong: clients
//     ([World.Dial]), and servers for code that dials ([World.Listen]).
//   - [EveryFault] has each system call fail in each way in which it can.
//   - [Leaks] is for tests with real connections.
//
// # What is always checked
//
// Whatever a scenario expects, a world fails where a callback panics or comes out
// of order, inside another one or after Close, where a Conn has no Close or two,
// where a handler is given other bytes than the peer has sent, or EOF before all of
// them, or input while it is paused; where a descriptor is used after it was closed,
// closed twice, or left open, or watched and not owned; where the loop turns
// without anything coming of it, leaves a ready descriptor alone, or does not come
// to rest; and where output is left in the books of a closed loop. Debug checks
// are on, so that input which is kept after its callback is overwritten.
//
// A timer that outlives its connection is not found by itself, for nobody but the
// handler knows how long it is to live. Where no other is set, and nothing goes wrong
// that the library waits for, [loop.Loop.NextDeadline] tells at the end.
//
// # What it needs
//
// Code under test that takes its time, its random numbers and its connections from
// the loop. What it takes from elsewhere cannot be replayed, nor can goroutines;
// [loop.Loop.Offload] runs its function on the loop's own goroutine, later. Real
// descriptors and child processes cannot be used on a simulated loop, which fails the
// world; the other way round, what [channel.Conn.Detach] gives there can only go to
// a loop of the same world, by Detached.Adopt. A Unix socket's path is the
// simulated kernel's too, and appears in no folder. The world runs the loop: Run,
// Poll and goroutines of the scenario's own do not.
package asynctest
