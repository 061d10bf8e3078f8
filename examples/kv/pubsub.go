package main

import "slices"

// maxChannels is how many channels a client may be subscribed to.
const maxChannels = 1024

// channelCost is what a subscription takes besides the channel's name.
const channelCost = 128

func subscribe(s *session, args [][]byte) {
	for _, arg := range args[1:] {
		channel := string(arg)
		if !slices.Contains(s.channels, channel) {
			if len(s.channels) == maxChannels || s.held+channelCost+len(channel) > s.limits.held {
				s.out.fail("ERR too many channels")
				return
			}
			s.held += channelCost + len(channel)
			s.channels = append(s.channels, channel)
			s.topics[channel] = append(s.topics[channel], s)
		}
		s.tellCount("subscribe", arg)
	}
}

func unsubscribe(s *session, args [][]byte) {
	channels := slices.Clip(args[1:])
	if len(channels) == 0 {
		for _, channel := range s.channels {
			channels = append(channels, []byte(channel))
		}
	}
	for _, channel := range channels {
		s.leave(string(channel))
		s.tellCount("unsubscribe", channel)
	}
	if len(channels) == 0 {
		s.tellCount("unsubscribe", nil)
	}
}

// tellCount says to how many channels the client has come.
func (s *session) tellCount(how string, channel []byte) {
	s.out.array(3)
	s.out.text(how)
	if channel == nil {
		s.out.null()
	} else {
		s.out.bulk(channel)
	}
	s.out.integer(int64(len(s.channels)))
}

func (s *session) leave(channel string) {
	i := slices.Index(s.channels, channel)
	if i < 0 {
		return
	}
	s.channels = slices.Delete(s.channels, i, i+1)
	s.held -= channelCost + len(channel)
	others := s.topics[channel]
	i = slices.Index(others, s)
	if others = slices.Delete(others, i, i+1); len(others) == 0 {
		delete(s.topics, channel)
	} else {
		s.topics[channel] = others
	}
}

// publish gives a message to all who have subscribed. One whose client does not
// read is closed when it has too much to wait for; that comes to closed, later,
// so that the list stays as it is meanwhile.
func publish(s *session, args [][]byte) {
	s.out.array(3)
	s.out.text("message")
	s.out.bulk(args[1])
	s.out.bulk(args[2])
	sent := int64(0)
	for _, to := range s.topics[string(args[1])] {
		if to.conn.Push(s.out) == nil {
			sent++
		}
	}
	s.out = s.out[:0]
	s.out.integer(sent)
}
