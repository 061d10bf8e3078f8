// Package chat frames what channels carry: a stream of bytes comes in as
// messages, cut by a terminator that the protocol may change with every message.
// It is asyncore's asynchat on package channel.
//
// A chat room, the whole of it:
//
//	var room []*chat.Conn
//	member := &chat.Handler{
//		Connect: func(c *chat.Conn) { room = append(room, c) },
//		Message: func(c *chat.Conn, line []byte) {
//			for _, p := range room {
//				if p != c {
//					p.Push(line, []byte("\r\n"))
//				}
//			}
//		},
//		Close: func(c *chat.Conn, err error) {
//			room = slices.DeleteFunc(room, func(p *chat.Conn) bool { return p == c })
//		},
//	}
//	accept := chat.Accept(func(*chat.Conn) *chat.Handler { return member })
//	ln, err := channel.Listen(l, "tcp", "127.0.0.1:7008", accept)
//
// Where a line says how many bytes follow, the terminator changes with the frame:
//
//	func (s *session) message(c *chat.Conn, msg []byte) {
//		if s.block {
//			s.store(msg)
//			c.SetTerminator(chat.Line)
//		} else if n, ok := s.command(msg); ok {
//			c.SetTerminator(chat.Count(n))
//		}
//		...
//	}
//
// or each state has a Handler of its own, and SetHandler goes from one to the other.
//
// A frame is what one Message gets. How the stream comes to be cut into reads
// makes no difference to the frames: every frame, every verdict that one is too
// long, and the order of both are the same however the bytes arrive.
//
// No frame is unlimited: see [Terminator.Limit] and [Conn.SetFrameTimeout].
//
// Like all of the reactor this belongs to the loop's goroutine.
package chat
