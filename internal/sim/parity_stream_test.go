//go:build linux

package sim_test

// Sockets that are not connected.
var openScripts = []script{{
	name: "fresh tcp",
	on:   "tcp tcp6",
	text: `
		A = socket NET
		look A:rw
		look A:r
		look A:w
		look A:u
		sockerror A
		kind A
		mode A
		local A
		peer A
		recv A
		send A x
		send A ""
		shutdown A write
		shutdown A r
		B = accept A
		recvurgent A
		urgent A !
		look A:rw
		close A
		close A`,
}, {
	name: "fresh unix",
	on:   "unix unixpacket",
	text: `
		A = socket NET
		look A:rw
		look A:r
		sockerror A
		kind A
		mode A
		local A
		peer A
		recv A
		send A x
		send A ""
		shutdown A write
		look A:rw
		B = accept A
		peercred A
		close A
		close A`,
}, {
	name: "fresh unix, shut down",
	on:   "unix unixpacket",
	skip: "kqueue", // a BSD would not shut it down
	text: `
		A = socket NET
		shutdown A rw
		look A:rw
		recv A
		send A x`,
}, {
	name: "bound",
	on:   "tcp unix unixpacket",
	text: `
		A = bound NET
		look A:rw
		local A
		peer A
		recv A
		send A x
		kind A
		B = accept A
		bind A 127.0.0.1:0
		bind A dir/again`,
}, {
	name: "listening",
	on:   "tcp tcp6 unix unixpacket",
	text: `
		L = listener NET
		look L:rw
		kind L
		local L
		peer L
		recv L
		send L x
		sockerror L
		C = accept L
		listen L 1
		connect L L
		look L:rwu`,
}, {
	name: "listening without an address",
	text: `
		L = socket tcp
		listen L
		local L
		kind L
		A = socket tcp
		connect A 127.0.0.1:L
		poll L:r
		B = accept L
		U = socket unix
		listen U
		G = socket udp
		listen G
		D = socket unixgram
		listen D`,
}, {
	name: "listener shut down",
	text: `
		L = listener tcp
		A = socket tcp
		connect A L
		poll L:r
		shutdown L rw
		look L:rw
		B = accept L
		recv A
		C = socket tcp
		connect C L
		sockerror C
		listen L
		look L:r`,
}, {
	name: "listener shut down gives its port back",
	text: `
		L = listener tcp
		A = socket tcp
		connect A L
		B = accept L
		local L
		shutdown L r
		local L
		listen L
		local L
		send A x
		recv B`,
}, {
	name: "shut down before it connects",
	text: `
		A = socket tcp
		shutdown A r
		look A:rw
		L = listener tcp
		connect A L
		look A:rw
		recv A
		B = accept L
		look B:rw
		C = socket tcp
		shutdown C w
		connect C L
		look C:rw
		send C x
		D = socket tcp
		shutdown D rw
		listen D
		look D:rw`,
}, {
	name: "unix listener shut down",
	on:   "unix unixpacket",
	text: `
		L = listener NET
		A = socket NET
		connect A L
		shutdown L rw
		look L:rw
		B = accept L
		send A x
		recv B
		C = accept L
		D = socket NET
		connect D L`,
}, {
	name: "connecting a listener, listening on a connection",
	on:   "tcp unix unixpacket",
	text: `
		L = listener NET
		K = listener NET
		connect K L
		A B = stream NET
		listen A
		listen B
		C = accept A
		kind A
		connect A L
		connect B L
		bind A 127.0.0.1:0
		bind B dir/b`,
}}

// Connecting and accepting.
var connectScripts = []script{{
	name: "accept",
	on:   "tcp tcp6 unix unixpacket",
	text: `
		L = listener NET
		B = accept L
		A = socket NET
		connect A L
		poll L:rw
		B = accept L
		look L:r
		C = accept L
		poll A:rw
		poll B:rw
		sockerror A
		sockerror B
		mode B
		kind B
		local A
		peer A
		local B
		peer B
		send A ping
		poll B:rw
		recv B
		send B pong
		poll A:rw
		recv A
		recv A`,
}, {
	name: "accept in order",
	on:   "tcp unix unixpacket",
	text: `
		L = listener NET
		A = socket NET
		connect A L
		B = socket NET
		connect B L
		poll L:r
		poll A:rw
		poll B:rw
		send B second
		send A first
		poll L:r
		C = accept L
		poll L:r
		D = accept L
		look L:r
		recv C
		recv D`,
}, {
	name: "connecting again",
	on:   "tcp unix unixpacket",
	text: `
		L = listener NET
		A = socket NET
		connect A L
		poll A:rw
		connect A L
		connect A L
		connect A 127.0.0.1:1
		connect A dir/nothing
		B = accept L
		connect A L
		connect B L
		look L:r`,
}, {
	name: "refused",
	on:   "tcp tcp6",
	text: `
		L = listener NET
		close L
		A = socket NET
		connect A L
		poll A:rw
		poll A:r
		poll A:w
		sockerror A
		sockerror A
		poll A:rw
		peer A
		recv A
		send A x`,
}, {
	name: "refused, told by recv",
	text: `
		L = listener tcp
		close L
		A = socket tcp
		connect A L
		poll A:rw
		recv A
		recv A
		sockerror A
		send A x`,
}, {
	name: "refused, told by send",
	text: `
		L = listener tcp
		close L
		A = socket tcp
		connect A L
		poll A:rw
		send A x
		send A x
		recv A
		sockerror A`,
}, {
	name: "refused, told by connect",
	text: `
		L = listener tcp
		close L
		A = socket tcp
		connect A L
		poll A:rw
		connect A L
		look A:rw
		sockerror A
		sockerror A`,
}, {
	name: "refused, then accepted",
	text: `
		L = listener tcp
		close L
		A = socket tcp
		connect A L
		poll A:rw
		sockerror A
		K = listener tcp
		connect A K
		look A:rw
		connect A K
		poll A:rw
		poll K:r
		B = accept K
		sockerror A
		send A x
		recv B`,
}, {
	name: "refused, then shut down",
	text: `
		L = listener tcp
		close L
		A = socket tcp
		connect A L
		poll A:rw
		shutdown A write
		connect A L
		listen A
		look A:rw
		sockerror A
		connect A L
		peer A`,
}, {
	name: "reset, told by connect",
	text: `
		L = listener tcp
		A = bound tcp
		connect A L
		poll A:w
		poll L:r
		B = accept L
		send B lost
		reset B
		poll A:r
		connect A L
		recv A
		look A:rwu
		peer A
		local A
		connect A L
		poll A:w
		local A
		sockerror A`,
}, {
	name: "an address after connect has failed",
	text: `
		L = listener tcp
		close L
		A = socket tcp
		connect A L
		poll A:rw
		local A
		connect A L
		local A
		bind A 127.0.0.1:0
		local A
		listen A
		peer A`,
}, {
	name: "connecting what has ended",
	text: `
		L = listener tcp
		A B = stream tcp
		shutdown A write
		shutdown B write
		poll A:rw
		poll B:rw
		connect A L
		listen A
		connect B L
		listen B
		C D = stream tcp
		shutdown C rw
		connect C L
		reset D
		connect C L
		listen C
		bind C 127.0.0.1:0
		E F = stream tcp
		reset F
		poll E:r
		connect E L
		listen E
		peer E`,
}, {
	name: "self-connect",
	on:   "tcp tcp6",
	text: `
		A = bound NET
		connect A A
		poll A:rw
		sockerror A
		local A
		peer A
		send A mirror
		poll A:rw
		recv A
		shutdown A write
		poll A:rw
		recv A
		send A x`,
}, {
	name: "connecting to a bound socket",
	text: `
		B = bound tcp
		A = socket tcp
		connect A B
		poll A:rw
		sockerror A
		U = bound unix
		C = socket unix
		connect C U
		look C:rw
		sockerror C`,
}, {
	name: "connected before it is accepted",
	on:   "tcp unix unixpacket",
	text: `
		L = listener NET
		A = socket NET
		connect A L
		poll A:rw
		send A early
		shutdown A write
		poll A:rw
		poll L:r
		B = accept L
		poll B:rw
		recv B
		recv B
		send B late
		recv A`,
}, {
	name: "closed before it is accepted",
	on:   "tcp unix unixpacket",
	text: `
		L = listener NET
		A = socket NET
		connect A L
		send A last
		close A
		poll L:r
		B = accept L
		peer B
		poll B:rw
		recv B
		recv B
		send B x`,
}, {
	name: "reset before it is accepted",
	text: `
		L = listener tcp
		A = socket tcp
		connect A L
		send A last
		reset A
		poll L:r
		B = accept L
		poll B:rw
		local B
		peer B
		recv B
		recv B
		recv B
		sockerror B`,
}, {
	name: "listener closed with connections",
	on:   "tcp",
	text: `
		L = listener NET
		A = socket NET
		connect A L
		B = socket NET
		connect B L
		poll A:rw
		send B x
		close L
		poll A:rw
		recv A
		recv A
		sockerror B
		recv B
		C = socket NET
		connect C L
		poll C:rw
		sockerror C`,
}, {
	name: "unix listener closed with connections",
	on:   "unix unixpacket",
	text: `
		L = listener NET
		A = socket NET
		connect A L
		B = socket NET
		connect B L
		send B x
		close L
		poll A:rw
		recv A
		recv A
		poll B:rw
		sockerror B
		recv B
		send A x
		C = socket NET
		connect C L
		look C:rw`,
}, {
	name: "listener closed, the accepted live",
	on:   "tcp unix unixpacket",
	text: `
		L = listener NET
		A = socket NET
		connect A L
		poll L:r
		B = accept L
		close L
		poll A:rw
		send A on
		recv B
		local B
		peer A`,
}, {
	name: "backlog full, tcp",
	slow: true,
	text: `
		L = listener tcp 1
		A = socket tcp
		connect A L
		poll A:w
		B = socket tcp
		connect B L
		poll B:w
		C = socket tcp
		connect C L
		look C:rw
		sockerror C
		peer C
		connect C L
		recv C
		send C x
		poll L:r
		D = accept L
		peer D
		E = accept L
		peer E
		poll C:w
		sockerror C
		poll L:r
		F = accept L
		send C late
		poll F:r
		recv F`,
}, {
	name: "backlog full, tcp, the listener closed",
	slow: true,
	text: `
		L = listener tcp 0
		A = socket tcp
		connect A L
		poll A:w
		B = socket tcp
		connect B L
		close L
		poll B:rw
		sockerror B
		recv A`,
}, {
	name: "backlog full, tcp, given up",
	text: `
		L = listener tcp 0
		A = socket tcp
		connect A L
		poll A:w
		B = socket tcp
		connect B L
		look B:rw
		shutdown B write
		look B:rw
		close B
		C = accept L
		look L:r`,
}, {
	name: "backlog full, unix",
	on:   "unix unixpacket",
	text: `
		L = listener NET 1
		A = socket NET
		connect A L
		B = socket NET
		connect B L
		C = socket NET
		connect C L
		look C:rw
		sockerror C
		peer C
		D = accept L
		connect C L
		E = accept L
		F = accept L
		G = accept L
		look C:rw`,
}, {
	name: "backlog full, unix, the listener closed",
	on:   "unix unixpacket",
	text: `
		L = listener NET 0
		A = socket NET
		connect A L
		B = socket NET
		connect B L
		close L
		connect B L
		recv A`,
}, {
	name: "connect while the address is nobody's",
	text: `
		A = socket tcp
		connect A 0.0.0.0:0
		B = socket tcp
		connect B 127.0.0.1:0
		poll B:rw
		sockerror B
		C = socket tcp
		connect C [::1]:1
		D = socket tcp6
		connect D 127.0.0.1:1
		E = socket unix
		connect E 127.0.0.1:1
		F = socket tcp
		connect F dir/f
		L = listener tcp
		G = socket tcp
		connect G 0.0.0.0:L
		poll G:w
		peer G`,
}}

// Two ends of a stream.
var streamScripts = []script{{
	name: "data",
	on:   "tcp tcp6 unix unixpacket",
	text: `
		A B = stream NET
		poll A:rw
		look A:r
		look A:u
		recv A
		send A hello
		poll B:rw
		poll B:r
		poll B:w
		look B:u
		recv B 2
		poll B:rw
		recv B
		look B:r
		recv B`,
}, {
	name: "data joins",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		send A one
		send A two
		send A three
		poll B:r
		recv B 4
		recv B 100
		recv B
		send A ""
		look B:r
		recv B`,
}, {
	name: "nothing is asked for",
	on:   "tcp unix",
	text: `
		A B = stream NET
		recv B 0
		send A x
		recv B 0
		send B ""
		close A
		recv B
		recv B 0
		recv B`,
}, {
	name: "read and write on a socket",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		write A hello
		read B 100
		read B 100
		close A
		read B`,
}, {
	name: "both ways",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		send A a*1000
		send B b*2000
		poll A:rw
		poll B:rw
		recv A 4000
		recv B 4000
		recv A
		recv B`,
}, {
	name: "socketpair",
	text: `
		A B = pair unix
		poll A:rw
		local A
		peer A
		kind A
		mode A
		peercred A
		sockerror A
		send A x
		recv B
		accept A
		listen A
		connect A dir/x
		bind A dir/x
		peer B
		close A
		poll B:rw
		recv B`,
}}

// What FIN, shutdown and close leave behind.
var endScripts = []script{{
	name: "shut down for writing by the peer",
	on:   "tcp tcp6 unix unixpacket",
	text: `
		A B = stream NET
		shutdown A write
		poll B:rw
		poll B:r
		poll B:w
		recv B
		recv B
		poll A:rw
		send A x
		send B reply
		poll A:rw
		recv A
		peer A
		peer B
		sockerror A
		sockerror B`,
}, {
	name: "shut down for writing with data",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		send A last
		shutdown A write
		shutdown A write
		poll B:rw
		recv B 2
		poll B:rw
		recv B
		recv B
		poll B:rw`,
}, {
	name: "shut down for writing by both",
	on:   "tcp tcp6 unix unixpacket",
	text: `
		A B = stream NET
		shutdown A write
		send B x
		shutdown B write
		poll A:rw
		poll A:r
		poll A:w
		poll B:rw
		recv A
		recv A
		recv B
		send A x
		send B x
		peer A
		peer B
		shutdown A write
		poll A:rw`,
}, {
	name: "shut down for reading",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		send B before
		shutdown A r
		poll A:rw
		recv A
		recv A
		poll B:rw
		send B after
		poll A:rw
		recv A
		sockerror B
		send A still
		recv B`,
}, {
	name: "shut down for both",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		shutdown A rw
		poll A:rw
		poll B:rw
		recv A
		send A x
		recv B
		send B x
		send B x
		poll B:rw
		sockerror A
		peer A
		shutdown A rw
		shutdown B rw
		poll B:rw`,
}, {
	name: "closed by the peer",
	on:   "tcp tcp6 unix unixpacket",
	text: `
		A B = stream NET
		close A
		poll B:rw
		poll B:r
		poll B:w
		sockerror B
		peer B
		recv B
		recv B
		poll B:rw`,
}, {
	name: "closed by the peer with data",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		send A last
		close A
		poll B:rw
		recv B 2
		poll B:rw
		recv B
		recv B
		poll B:rw`,
}, {
	name: "writing to a peer that has closed",
	on:   "tcp tcp6 unix unixpacket",
	text: `
		A B = stream NET
		close A
		poll B:r
		send B x
		poll B:rw
		send B x
		sockerror B
		recv B
		poll B:rw`,
}, {
	name: "writing to a peer that has closed, then reading",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		send A last
		close A
		poll B:r
		send B x
		poll B:rw
		recv B
		recv B
		recv B
		send B x
		sockerror B
		peer B`,
}, {
	name: "writing to a peer that has closed, then SO_ERROR",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		close A
		send B x
		poll B:rw
		sockerror B
		sockerror B
		recv B
		send B x`,
}, {
	name: "closed by both",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		shutdown B write
		close A
		poll B:rw
		recv B
		peer B
		close B
		close B
		recv B`,
}, {
	name: "closed after the peer has shut down",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		shutdown A write
		recv B
		send B reply
		close B
		poll A:rw
		recv A
		recv A
		poll A:rw
		send A x`,
}}

// What RST leaves behind.
var resetScripts = []script{{
	name: "reset by the peer",
	on:   "tcp tcp6",
	text: `
		A B = stream NET
		reset A
		poll B:rw
		poll B:r
		poll B:w
		look B:u
		peer B
		local B
		recv B
		recv B
		sockerror B
		poll B:rw
		send B x`,
}, {
	name: "reset with data",
	text: `
		A B = stream tcp
		send A last
		reset A
		poll B:rw
		recv B 2
		poll B:rw
		recv B
		recv B
		recv B
		poll B:rw`,
}, {
	name: "reset, told by send",
	text: `
		A B = stream tcp
		reset A
		poll B:rw
		send B x
		send B x
		recv B
		sockerror B`,
}, {
	name: "reset, told by SO_ERROR",
	text: `
		A B = stream tcp
		reset A
		poll B:rw
		sockerror B
		sockerror B
		poll B:rw
		recv B
		send B x`,
}, {
	name: "reset with data, SO_ERROR first",
	text: `
		A B = stream tcp
		send A last
		reset A
		sockerror B
		recv B
		recv B
		send B x`,
}, {
	name: "reset with data, send first",
	text: `
		A B = stream tcp
		send A last
		reset A
		send B x
		send B x
		recv B
		recv B
		sockerror B`,
}, {
	name: "linger 0 by hand",
	text: `
		A B = stream tcp
		option A linger 0
		send A last
		close A
		poll B:rw
		recv B
		recv B`,
}, {
	name: "linger 0 taken back",
	text: `
		A B = stream tcp
		option A linger 0
		option A linger -1
		close A
		poll B:rw
		recv B
		recv B`,
}, {
	name: "linger 0 after a shutdown",
	text: `
		A B = stream tcp
		shutdown A write
		poll B:r
		reset A
		poll B:rw
		recv B
		send B x
		recv B
		sockerror B`,
}, {
	name: "closed with unread data",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		send B unread
		send A last
		poll A:r
		close A
		poll B:rw
		recv B
		recv B
		recv B
		poll B:rw
		send B x
		sockerror B`,
}, {
	name: "closed with unread data, send first",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		send B unread
		poll A:r
		close A
		poll B:rw
		send B x
		send B x
		recv B
		recv B`,
}, {
	name: "closed with unread data, SO_ERROR first",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		send B unread
		poll A:r
		close A
		sockerror B
		poll B:rw
		recv B
		send B x`,
}, {
	name: "closed with unread data after shutting down",
	on:   "tcp unix unixpacket",
	text: `
		A B = stream NET
		send B unread
		shutdown A write
		poll A:r
		close A
		poll B:rw
		recv B
		recv B
		send B x
		sockerror B`,
}, {
	name: "reset after the peer has shut down",
	text: `
		A B = stream tcp
		send B last
		shutdown B write
		poll A:r
		reset A
		poll B:rw
		recv B
		recv B
		sockerror B
		send B x`,
}, {
	name: "reset by data for a peer that is gone",
	text: `
		A B = stream tcp
		shutdown B write
		recv A
		close A
		poll B:rw
		recv B
		send B x`,
}, {
	name: "reset of what was not accepted",
	text: `
		L = listener tcp
		A = socket tcp
		connect A L
		poll A:w
		close L
		send A x
		send A x
		recv A
		poll A:rw`,
}}

// Buffers that are full.
var fullScripts = []script{{
	name: "full",
	on:   "tcp unix unixpacket",
	slow: true,
	text: `
		A B = stream NET
		fill A
		look A:rw
		look A:w
		poll B:rw
		drain B A
		poll A:rw
		send A x
		recv B`,
}, {
	name: "full, small buffers",
	on:   "tcp unix unixpacket",
	slow: true,
	text: `
		buffers 8192 8192
		A B = stream NET
		fill A 100
		look A:rw
		drain B A
		poll A:w
		fill A 100
		look A:rw
		send B back
		poll A:r
		recv A
		recv A`,
}, {
	name: "full both ways",
	on:   "tcp unix unixpacket",
	slow: true,
	text: `
		buffers 8192 8192
		A B = stream NET
		fill A
		fill B
		poll A:rw
		look A:w
		look B:w
		drain A B
		poll B:rw
		drain B A
		poll A:rw`,
}, {
	name: "full, then shut down",
	on:   "tcp unix unixpacket",
	slow: true,
	text: `
		buffers 8192 8192
		A B = stream NET
		fill A
		shutdown A write
		look A:rw
		send A x
		drain B A
		poll B:rw`,
}, {
	name: "full, then the peer shuts down",
	on:   "tcp unix unixpacket",
	slow: true,
	text: `
		buffers 8192 8192
		A B = stream NET
		fill A
		shutdown B write
		poll A:rw
		look A:w
		recv A
		drain B A
		poll A:rw`,
}, {
	name: "full, then closed",
	on:   "tcp unix unixpacket",
	slow: true,
	text: `
		buffers 8192 8192
		A B = stream NET
		fill A
		close A
		drain B A
		recv B`,
}, {
	name: "full, then the peer closes",
	on:   "tcp unix unixpacket",
	slow: true,
	text: `
		buffers 8192 8192
		A B = stream NET
		fill A
		close B
		poll A:rw
		recv A
		send A x
		sockerror A`,
}, {
	name: "full, then reset",
	slow: true,
	text: `
		buffers 8192 8192
		A B = stream tcp
		fill A
		reset B
		poll A:rw
		send A x
		send A x
		recv A`,
}, {
	name: "full, then shut down by the receiver, who reads",
	on:   "tcp unix",
	slow: true,
	text: `
		buffers 8192 8192
		A B = stream NET
		fill A
		shutdown B rw
		look B:rw
		recv B 10
		sockerror B
		look B:rw`,
}, {
	name: "full of packets, then not accepted",
	text: `
		L = listener unixpacket
		A = socket unixpacket
		connect A L
		fill A
		look A:rw
		close L
		look A:rw
		sockerror A`,
}, {
	name: "full, then shut down for reading",
	on:   "tcp unix unixpacket",
	slow: true,
	text: `
		buffers 8192 8192
		A B = stream NET
		fill A
		shutdown B r
		look A:rw
		poll B:rw`,
}}
