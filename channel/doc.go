// Package channel puts callbacks on sockets, pipes and terminals: a [Listener]
// accepts, [Dial] connects, [Open] and [Adopt] take what is open, and each gives
// a [Conn] with a [Handler], whose callbacks the loop calls when there is
// something to read, room to write, or an end. It is asyncore's dispatcher.
//
//	echo := &channel.Handler{
//		Read: func(c *channel.Conn, p []byte) { c.Write(p) },
//	}
//	l, err := loop.New(loop.Config{})
//	ln, err := channel.Listen(l, "tcp", "127.0.0.1:7007",
//		func(*channel.Conn) *channel.Handler { return echo })
//	err = l.Run(ctx)
//
// # Bytes
//
// Input belongs to the loop and is valid until the callback returns. Output is
// copied before Write returns, queued, and sent for you: Write never blocks
// and takes all or nothing. [Conn.SetWater] sets the marks at which a peer that
// does not take its output is no longer read from, and at which it is closed.
//
// # Ends
//
// What a peer sent before it went is always delivered first. Then comes its
// EOF, or an error, and exactly one Close with the reason, the last callback of
// a Conn. [Conn.Close] flushes first, [Conn.Fail] too, with a reason;
// [Conn.Abort] does not. [Conn.Detach] gives the connection away instead.
//
// # Bounds
//
// Connecting takes at most 10 s, output may stand still for 60 s, and for 30 s
// after Close; output is bounded for each Conn and for the loop, accepted Conns
// for each Listener. Idle timeouts are off until [Conn.SetIdleTimeout].
//
// # Packets
//
// [ListenPacket] and [DialPacket] give a [PacketConn], for UDP's and Unix sockets'
// datagrams and for sequenced packets: each is received and sent as a whole, no error
// of one closes it, and on Linux many go through one system call.
//
// # One goroutine
//
// Everything here belongs to the goroutine that runs the loop; from others, use
// [loop.Loop.Post].
package channel
