//go:build linux

package sim_test

var udpScripts = []script{{
	name: "fresh udp",
	on:   "udp udp6",
	text: `
		A = socket NET
		poll A:rw
		look A:r
		kind A
		mode A
		local A
		peer A
		sockerror A
		packeterror A
		recvfrom A
		recv A
		send A x
		sendto A peer x
		shutdown A write
		shutdown A r
		B = accept A
		listen A
		poll A:rw
		recvurgent A`,
}, {
	name: "packets",
	on:   "udp udp6",
	text: `
		A = bound NET
		B = bound NET
		sendto A B one two
		poll B:rw
		recvfrom B 1
		poll B:r
		recvfrom B 4
		look B:r
		recvfrom B
		sendto B A three
		recv A`,
}, {
	name: "a socket has a port once it has sent",
	text: `
		A = socket udp
		B = bound udp
		sendto A B hello
		local A
		recvfrom B
		peer A`,
}, {
	name: "a packet of nothing",
	on:   "udp udp6",
	text: `
		A = bound NET
		B = bound NET
		sendto A B "" x ""
		poll B:rw
		recvfrom B 4
		look B:r
		sendto A B ""
		poll B:r
		recv B
		recv B`,
}, {
	name: "a packet that is too long for its room",
	on:   "udp udp6",
	text: `
		A = bound NET
		B = bound NET
		sendto A B abcdef gh
		poll B:r
		recvfrom B 4 4
		sendto A B abcdef gh
		recv B 3
		recv B 3
		sendto A B abc
		recvfrom B 1 0
		recvfrom B`,
}, {
	name: "a packet that is too long",
	on:   "udp udp6",
	text: `
		A = bound NET
		B = bound NET
		sendto A B x*65507
		sendto A B x*65508
		sendto A B x*65528
		sendto A B x x*70000 y
		sendto A B x*70000
		poll A:rw
		recvfrom B 4 70000`,
}, {
	name: "udp connected",
	on:   "udp udp6",
	text: `
		A = bound NET
		B = bound NET
		C = bound NET
		connect A B
		peer A
		local A
		send A one
		sendto A peer two
		sendto A C three
		sendto C A stranger
		look A:r
		sendto B A friend
		recvfrom A
		recvfrom B
		recvfrom C
		connect A C
		peer A
		sendto C A known
		recvfrom A
		connect B 127.0.0.1:A
		kind A`,
}, {
	name: "udp connect gives an address",
	text: `
		B = bound udp
		A = socket udp
		connect A B
		local A
		peer A
		send A x
		recvfrom B
		C = socket udp
		bind C 0.0.0.0:0
		connect C B
		local C`,
}, {
	name: "packets that came before the connection",
	text: `
		A = bound udp
		B = bound udp
		C = bound udp
		sendto C A before
		connect A B
		poll A:r
		recvfrom A
		sendto C A after
		recvfrom A`,
}, {
	name: "udp connected to nobody",
	on:   "udp udp6",
	text: `
		B = bound NET
		close B
		A = socket NET
		connect A B
		poll A:rw
		send A x
		poll A:rw
		recv A
		recv A
		poll A:rw
		send A x
		poll A:rw
		send A x
		send A x
		poll A:rw
		sockerror A
		sockerror A
		poll A:rw
		recvfrom A`,
}, {
	name: "udp connected to nobody, by packets",
	text: `
		B = bound udp
		close B
		A = socket udp
		connect A B
		sendto A peer x
		poll A:r
		recvfrom A
		recvfrom A
		sendto A peer x
		poll A:r
		packeterror A
		packeterror A
		sendto A peer x
		poll A:r
		sendto A peer x
		sendto A peer x
		packeterror A`,
}, {
	name: "udp connected to nobody, which is known before the second packet",
	skip: "far",
	text: `
		B = bound udp
		close B
		A = socket udp
		connect A B
		sendto A peer x y
		packeterror A
		sendto A peer x
		sendto A peer x y
		sendto A peer x y
		packeterror A`,
}, {
	name: "udp connected to nobody, but packets wait",
	text: `
		A = bound udp
		B = bound udp
		connect A B
		sendto B A early
		close B
		send A x
		poll A:rw
		recvfrom A
		recvfrom A`,
}, {
	name: "udp to nobody",
	on:   "udp udp6",
	text: `
		B = bound NET
		close B
		A = bound NET
		sendto A B x
		sendto A B x
		poll A:rw
		sockerror A
		packeterror A
		recvfrom A`,
}, {
	name: "a socket has a port when it could not send",
	text: `
		A = socket udp
		send A x
		local A
		B = socket udp
		connect B [::1]:1
		local B
		C = socket udp
		sendto C 127.0.0.1:0 x
		local C`,
}, {
	name: "udp full",
	text: `
		buffers 4096 4096
		A = bound udp
		B = bound udp
		sendto A B x*1000 x*1000 x*1000 x*1000 x*1000 x*1000 x*1000 x*1000
		sendto A B x*1000 x*1000 x*1000 x*1000 x*1000 x*1000 x*1000 x*1000
		poll A:rw
		poll B:rw
		recvfrom B 1 1000
		poll B:rw`,
}, {
	name: "udp closed with packets",
	text: `
		A = bound udp
		B = bound udp
		sendto A B x
		close B
		sendto A B x
		poll A:rw
		connect A B
		send A x
		poll A:rw
		recv A`,
}, {
	name: "udp shut down",
	text: `
		A = bound udp
		B = bound udp
		connect A B
		shutdown A write
		poll A:rw
		send A x
		sendto B A x
		poll A:rw
		recvfrom A
		shutdown A r
		poll A:rw
		recv A
		sendto B A x
		recv A
		poll A:rw`,
}, {
	name: "udp to itself",
	text: `
		A = bound udp
		sendto A A me
		recvfrom A
		connect A A
		send A again
		poll A:rw
		recvfrom A`,
}, {
	name: "udp of both families",
	text: `
		A = socket udp6
		option A v6only 0
		bind A [::]:0
		B = bound udp
		sendto B 127.0.0.1:A four
		recvfrom A
		C = bound udp6
		sendto C [::1]:A six
		recvfrom A
		sendto A [::ffff:127.0.0.1]:B back
		recvfrom B
		sendto A 127.0.0.1:B back
		sendto B [::1]:C x`,
}}

var packetScripts = []script{{
	name: "udp to where nothing is sent",
	text: `
		A = bound udp
		sendto A 127.0.0.1:0 x
		sendto A [::1]:1 x
		sendto A dir/x x
		connect A [::1]:1
		B = socket udp6
		option B v6only 1
		sendto B 127.0.0.1:A x
		connect B 127.0.0.1:A
		connect B [::ffff:127.0.0.1]:A
		C = bound udp6
		sendto C [::ffff:127.0.0.1]:A x
		D = socket udp6
		connect D 127.0.0.1:A
		peer D
		local D
		send D four
		recvfrom A`,
}, {
	name: "udp error behind packets",
	text: `
		A = bound udp
		B = bound udp
		connect A B
		sendto B A one two
		recvfrom A 1
		close B
		send A x
		poll A:r
		sendto A peer x y
		send A z
		recvfrom A 1
		recvfrom A 4
		recvfrom A 4`,
}, {
	name: "packets that stop at one",
	text: `
		A = bound unixgram
		B = bound unixgram
		sendto A B x x*300000 y
		sendto A B x*300000
		recvfrom B
		C D = pair unixpacket
		sendto C peer x x*300000 y
		recvfrom D 1
		shutdown D r
		sendto C peer x
		shutdown D rw
		sendto C peer x
		E F = stream tcp
		sendto E peer one two
		recvfrom F 4 3
		shutdown E write
		sendto E peer x`,
}, {
	name: "unixpacket, addresses",
	text: `
		L = listener unixpacket
		A = socket unixpacket
		listen A
		sendto A L x
		connect A L
		sendto A L x
		sendto A dir/nothing x
		B = accept L
		recvfrom B 1
		listen A
		recvfrom L
		sendto L peer x`,
}, {
	name: "pending",
	text: `
		A B = stream tcp
		send A abc
		poll B:r
		pending B
		recv B 2
		pending B
		C D = stream unix
		send C abc
		pending D
		R W = pipe
		read R 0
		write W ab
		read R 0
		pending R
		close W
		pending R`,
}, {
	name: "unixgram",
	text: `
		A = bound unixgram
		B = bound unixgram
		poll A:rw
		sendto A B one "" three
		poll B:rw
		recvfrom B 4
		poll B:rw
		recvfrom B
		C = socket unixgram
		sendto C B nameless
		recvfrom B
		peer A
		local C
		kind A
		send A x
		recv A
		B2 = accept A
		listen A`,
}, {
	name: "unixgram connected",
	text: `
		A = bound unixgram
		B = bound unixgram
		C = bound unixgram
		connect A B
		peer A
		send A one
		sendto A peer two
		sendto A C three
		sendto C A stranger
		recvfrom A
		sendto C B x
		recvfrom B
		recvfrom C
		connect B A
		sendto C A stranger
		sendto B A friend
		recvfrom A
		connect A C
		recvfrom A
		sendto B A x`,
}, {
	name: "unixgram connecting to another's peer",
	text: `
		A = bound unixgram
		B = bound unixgram
		C = bound unixgram
		connect A B
		connect C A
		peer C
		connect B A
		connect A C
		send A x
		send B x
		connect A A
		send A me
		recvfrom A
		D E = pair unixgram
		connect D C
		send E x
		poll C:r`,
}, {
	name: "unixpacket, writing after the end",
	text: `
		A B = pair unixpacket
		shutdown A write
		sendto A peer x
		shutdown B r
		send A x
		C D = pair unixpacket
		shutdown D r
		send C x
		sendto C peer x
		E F = pair unixpacket
		send E x
		close F
		sendto E peer x
		sendto E peer x
		recvfrom E 1 100 sequenced`,
}, {
	name: "unixgram, what has come is lost",
	text: `
		A B = pair unixgram
		send B lost
		close B
		look A:rw
		send A x
		look A:rw
		recv A
		C D = pair unixgram
		E = bound unixgram
		send D lost
		connect C E
		look C:rw
		recv C
		look D:rw
		sockerror D
		send D x
		F = bound unixgram
		connect F E
		sendto D E x
		connect F E
		recv E`,
}, {
	name: "unixgram, what is told first",
	text: `
		A B = pair unixgram
		fill A 4096
		C = bound unixpacket
		sendto A C x
		sendto A dir/nothing x
		sendto A 127.0.0.1:1 x
		sendto A none x
		D E = pair unixgram
		shutdown D write
		sendto D dir/nothing x
		sendto D 127.0.0.1:1 x`,
}, {
	name: "unixpacket, names for those who ask",
	text: `
		A B = pair unixpacket
		send A nameless
		option A packetend 1
		local A
		send A named
		local A
		peer B
		recvfrom B 2 100 sequenced
		C D = pair unixpacket
		option C packetend 1
		connect C dir/nothing
		local C
		E F = pair unixgram
		option E packetend 1
		send E x
		recvfrom F`,
}, {
	name: "unixgram to nobody",
	text: `
		A = bound unixgram
		sendto A dir/nothing x
		B = bound unixgram
		close B
		sendto A dir/B x
		connect A dir/B
		connect A dir/nothing
		peer A
		L = listener unix
		sendto A L x
		connect A L
		sockerror A
		poll A:rw`,
}, {
	name: "unixgram whose peer has gone",
	text: `
		A = bound unixgram
		B = bound unixgram
		connect A B
		send A x
		close B
		poll A:rw
		send A x
		send A x
		poll A:rw
		peer A
		sockerror A
		recv A
		unlink dir/B
		B = bound unixgram
		send A x
		connect A B
		send A again
		recvfrom B`,
}, {
	name: "unixgram full",
	text: `
		A = bound unixgram
		B = bound unixgram
		connect A B
		fill A 1
		look A:rw
		sendto A B x
		C = bound unixgram
		sendto C B x
		poll C:rw
		recvfrom B 1
		poll A:w
		send A f
		fill A 1
		close B
		poll A:rw
		send A x`,
}, {
	name: "unixgram full of bytes",
	text: `
		buffers 8192 8192
		A = bound unixgram
		B = bound unixgram
		sendto A B x*6000
		sendto A B x*60000
		recvfrom B 1 4000
		recvfrom B`,
}, {
	name: "unixgram pair",
	text: `
		A B = pair unixgram
		poll A:rw
		local A
		peer A
		kind A
		send A one
		send A two
		poll B:rw
		recvfrom B 1
		close A
		poll B:rw
		recvfrom B
		recvfrom B
		send B x
		sockerror B
		poll B:rw`,
}, {
	name: "unixgram pair closed with packets",
	text: `
		A B = pair unixgram
		send A lost
		close B
		poll A:rw
		sockerror A
		send A x
		recv A
		send A x`,
}, {
	name: "unixgram shut down",
	text: `
		A B = pair unixgram
		send A x
		shutdown A write
		poll A:rw
		poll B:rw
		send A x
		recv B
		recv B
		shutdown B r
		poll B:rw
		recv B
		send A x
		shutdown B rw
		poll B:rw
		poll A:rw
		recv A`,
}, {
	name: "unixpacket",
	text: `
		L = listener unixpacket
		kind L
		A = socket unixpacket
		recv A
		send A x
		connect A L
		poll L:r
		B = accept L
		kind B
		option B packetend 1
		poll B:rw
		sendto A peer one two
		poll B:rw
		recvfrom B 1 100 sequenced
		recvfrom B 4 100 sequenced
		recvfrom B 4 100 sequenced
		send A three
		recv B 2
		recv B
		send A x
		close A
		poll B:rw
		recvfrom B 4 100 sequenced
		recvfrom B 4 100 sequenced
		send B x`,
}, {
	name: "unixpacket, the end and nothing",
	text: `
		A B = pair unixpacket
		option B packetend 1
		sendto A peer x ""
		poll B:rw
		recvfrom B 4 100 sequenced
		recvfrom B 4 100 sequenced
		shutdown A write
		poll B:rw
		recvfrom B 4 100 sequenced
		send A x`,
}, {
	name: "unixpacket, too long for its room",
	text: `
		A B = pair unixpacket
		option B packetend 1
		sendto A peer abcdef gh
		recvfrom B 4 4 sequenced
		send A abcdef
		recv B 3
		recv B`,
}, {
	name: "unixpacket, closed with unread packets",
	text: `
		A B = pair unixpacket
		option A packetend 1
		send A unread
		send B last
		close B
		poll A:rw
		recvfrom A 4 100 sequenced
		recvfrom A 4 100 sequenced
		recvfrom A 4 100 sequenced
		send A x`,
}, {
	name: "unixpacket full",
	text: `
		buffers 8192 8192
		A B = pair unixpacket
		fill A 100
		look A:rw
		sendto A peer x
		drain B A
		poll A:rw`,
}, {
	name: "packet calls on a stream",
	on:   "tcp unix",
	text: `
		A B = stream NET
		sendto A peer hello
		recvfrom B 1
		packeterror B
		R W = pipe
		recvfrom R
		sendto W peer x
		packeterror R`,
}}
