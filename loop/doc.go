// Package loop is a single-threaded reactor: one goroutine that waits for
// descriptors, timers, signals and functions posted by other goroutines, and
// runs a callback for each, one after the other.
//
//	l, err := loop.New(loop.Config{})
//	l.Every(time.Second, func() { fmt.Println("tick") })
//	l.Signal(func(os.Signal) { l.Stop() }, os.Interrupt)
//	err = l.Run(context.Background())
//
// Sockets and pipes come in through package
// [github.com/seed-20e08ac4/asyncore/channel], which reads, writes and buffers
// for them; [Loop.Watch] is for descriptors that need a callback only.
//
// # One goroutine
//
// Everything runs on the goroutine that is in [Loop.Run] or [Loop.Poll], so
// callbacks need no locks, and a callback that blocks blocks everything. Only
// [Loop.Post], [Loop.Stop], [Loop.Wake] and the function that [Loop.Hold]
// returns may be called from other goroutines. What must block goes to
// [Loop.Offload]. With Config.Debug a call from the wrong goroutine panics and
// names both places.
//
// # A turn
//
// The loop waits (not at all if anything is pending), reads its clock, and
// then in this order: ready descriptors; timers that are due; posts; output;
// closes, and what they wrote; changed interest. What arrives of a kind while
// that kind is being served waits for the next turn, and so do timers that the
// turn sets, so no source of work can starve another.
//
// # Panics
//
// A panic in a callback closes the channel it belongs to with a [*PanicError],
// is logged with its stack, and the loop goes on; in a timer or post it is
// logged and counted in [Stats], and an Every is cancelled. Config.CrashOnPanic
// crashes instead. A callback that ends its goroutine ([runtime.Goexit], a
// failing test) closes the loop.
//
// This is asyncore's loop, poll, socket_map and close_all, with the timers,
// wake-ups and signals that they lacked.
package loop
