//go:build linux

package sim_test

// Internet addresses.
var addrScripts = []script{{
	name: "address in use",
	on:   "tcp tcp6 udp udp6",
	text: `
		A = bound NET
		B = socket NET
		bind B A
		local B
		option B reuseaddr 1
		bind B A
		close A
		bind B A
		local B`,
}, {
	name: "address of a listener",
	text: `
		L = listener tcp
		A = socket tcp
		option A reuseaddr 1
		bind A L
		close L
		bind A L
		listen A
		B = socket tcp
		option B reuseaddr 1
		bind B A`,
}, {
	name: "reuse of an address that both allow",
	text: `
		A = socket tcp
		option A reuseaddr 1
		bind A 127.0.0.1:0
		B = socket tcp
		option B reuseaddr 1
		bind B A
		listen A
		listen B
		C = socket tcp
		option C reuseaddr 1
		bind C A`,
}, {
	name: "address of a connection that lives on",
	text: `
		L = listener tcp
		A = socket tcp
		connect A L
		B = accept L
		close L
		C = socket tcp
		bind C L
		D = socket tcp
		option D reuseaddr 1
		bind D L`,
}, {
	name: "address of a listener that allows reuse, with connections",
	text: `
		L = socket tcp
		option L reuseaddr 1
		bind L 127.0.0.1:0
		listen L
		A = socket tcp
		connect A L
		poll L:r
		B = accept L
		close L
		C = socket tcp
		bind C L
		D = socket tcp
		option D reuseaddr 1
		bind D L
		listen D
		E = socket tcp
		connect E D
		poll D:r
		F = accept D
		send A x
		recv B`,
}, {
	name: "address after a connection has ended here first",
	text: `
		L = socket tcp
		option L reuseaddr 1
		bind L 127.0.0.1:0
		listen L
		A = socket tcp
		connect A L
		poll L:r
		B = accept L
		close L
		close B
		recv A
		close A
		C = socket tcp
		bind C L
		option C reuseaddr 1
		bind C L`,
}, {
	name: "address after a reset",
	text: `
		L = listener tcp
		A = socket tcp
		connect A L
		poll L:r
		B = accept L
		close L
		reset B
		C = socket tcp
		bind C L`,
}, {
	name: "several listeners by SO_REUSEPORT",
	text: `
		A = socket tcp
		option A reuseport 1
		bind A 127.0.0.1:0
		listen A
		B = socket tcp
		bind B A
		option B reuseport 1
		bind B A
		listen B
		C = socket udp
		option C reuseport 1
		bind C 127.0.0.1:A
		D = socket udp
		option D reuseport 1
		bind D C`,
}, {
	name: "any address is every address",
	on:   "tcp udp",
	text: `
		A = socket NET
		bind A 0.0.0.0:0
		local A
		B = socket NET
		bind B 127.0.0.1:A
		C = bound NET
		D = socket NET
		bind D 0.0.0.0:C
		E = socket NET
		bind E 127.0.0.2:C
		local E`,
}, {
	name: "tcp and udp have ports of their own",
	text: `
		A = bound tcp
		B = socket udp
		bind B A
		local B`,
}, {
	name: "bind",
	on:   "tcp udp",
	text: `
		A = socket NET
		bind A 192.0.2.1:0
		local A
		bind A 127.0.0.1:0
		local A
		bind A 127.0.0.1:0
		local A
		B = socket NET6
		bind B [2001:db8::1]:0
		bind B [::1]:0
		local B
		bind B [::1]:0`,
}, {
	name: "bind to an address of another family",
	text: `
		A = socket tcp
		bind A [::1]:0
		bind A dir/a
		B = socket tcp6
		bind B 127.0.0.1:0
		bind B dir/b
		C = socket unix
		bind C 127.0.0.1:0
		D = socket udp
		bind D [::1]:0
		E = socket unixgram
		bind E 127.0.0.1:0`,
}, {
	name: "bind after connect",
	text: `
		L = listener tcp
		A = socket tcp
		connect A L
		bind A 127.0.0.1:0
		poll L:r
		B = accept L
		bind A 127.0.0.1:0
		bind B 127.0.0.1:0`,
}, {
	name: "bound before it connects",
	on:   "tcp tcp6",
	text: `
		L = listener NET
		A = bound NET
		connect A L
		poll L:r
		B = accept L
		local A
		peer B
		C = socket NET
		bind C A
		D = socket NET
		option D reuseaddr 1
		bind D A`,
}, {
	name: "one address connects twice",
	text: `
		L = listener tcp
		A = socket tcp
		option A reuseaddr 1
		bind A 127.0.0.1:0
		B = socket tcp
		option B reuseaddr 1
		bind B A
		connect A L
		poll A:w
		connect B L
		look B:rw
		sockerror B`,
}, {
	name: "dual stack",
	text: `
		L = socket tcp6
		option L v6only 0
		bind L [::]:0
		listen L
		local L
		A = socket tcp
		connect A 127.0.0.1:L
		poll L:r
		B = accept L
		local B
		peer B
		local A
		peer A
		C = socket tcp6
		connect C [::1]:L
		poll L:r
		D = accept L
		local D
		peer D
		E = socket tcp
		bind E 127.0.0.1:L
		F = socket tcp
		bind F 0.0.0.0:L`,
}, {
	name: "IPv6 only",
	text: `
		L = socket tcp6
		option L v6only 1
		bind L [::]:0
		listen L
		A = socket tcp
		connect A 127.0.0.1:L
		poll A:rw
		sockerror A
		B = socket tcp
		bind B 127.0.0.2:L
		C = socket tcp6
		connect C [::1]:L
		poll L:r
		D = accept L
		option L v6only 0`,
}, {
	name: "IPv4 in IPv6",
	text: `
		L = listener tcp
		A = socket tcp6
		connect A [::ffff:127.0.0.1]:L
		poll L:r
		B = accept L
		local A
		peer A
		peer B
		C = socket tcp6
		option C v6only 1
		connect C [::ffff:127.0.0.1]:L
		D = socket tcp6
		bind D [::ffff:127.0.0.1]:0
		local D
		E = socket tcp6
		option E v6only 1
		bind E [::ffff:127.0.0.1]:0
		F = socket tcp6
		bind F [::1]:0
		connect F [::ffff:127.0.0.1]:L`,
}, {
	name: "an address with IPv4 in IPv6 and the same without",
	text: `
		A = socket tcp6
		bind A [::ffff:127.0.0.1]:0
		B = socket tcp
		bind B 127.0.0.1:A
		C = socket tcp6
		bind C [::1]:A`,
}, {
	name: "listening twice on one address",
	text: `
		A = bound tcp
		listen A
		listen A
		B = socket tcp
		option B reuseaddr 1
		bind B A
		listen B
		local B`,
}, {
	name: "options",
	text: `
		A = socket tcp
		option A reuseaddr 1
		option A reuseport 1
		option A nodelay 1
		option A keepalive 1
		option A keepidle 10
		option A keepidle 0
		option A linger 5
		option A usertimeout 1000
		option A readbuffer 10000
		option A writebuffer 10000
		option A broadcast 1
		option A v6only 1
		option A usertimeout -1
		option A multicastttl 1
		option A multicasthops 1
		option A packetend 1
		B = socket tcp6
		option B v6only 1
		option B nodelay 1
		C = socket unix
		option C nodelay 1
		option C keepalive 1
		option C linger 0
		option C v6only 1
		option C reuseaddr 1
		option C packetend 1
		option C reuseport 1
		D = socket udp
		option D nodelay 1
		option D broadcast 1
		option D reuseport 1
		option D keepidle 1
		option D multicastttl 1
		option D multicasthops 1
		E = socket udp6
		option E multicasthops 1
		option E v6only 1
		R W = pipe
		option R reuseaddr 1
		option 9999 reuseaddr 1`,
}}

// Unix addresses.
var unixScripts = []script{{
	name: "unix names",
	on:   "unix unixgram unixpacket",
	text: `
		A = socket NET
		bind A dir/a
		local A
		bind A dir/b
		B = socket NET
		bind B dir/a
		bind B dir/b
		local B
		lstat dir/a
		lstat dir/c
		chmod dir/a
		chmod dir/c
		close A
		lstat dir/a
		C = socket NET
		bind C dir/a
		unlink dir/a
		lstat dir/a
		unlink dir/a
		bind C dir/a
		local C`,
}, {
	name: "unix names that cannot be",
	on:   "unix unixgram",
	text: `
		A = socket NET
		bind A long/108
		bind A long/109
		bind A long/200
		bind A long/107
		connect A long/108
		lstat long/107
		B = socket NET
		bind B dir/nul\0
		connect B dir/nul\0
		connect B none`,
}, {
	name: "unix connect",
	on:   "unix",
	text: `
		A = socket NET
		connect A dir/nothing
		look A:rw
		L = listener NET
		B = socket NET
		close L
		lstat dir/L
		connect B dir/L
		sockerror B
		unlink dir/L
		connect B dir/L
		L = listener NET
		connect B dir/L
		poll B:rw
		peer B
		C = accept L
		local C`,
}, {
	name: "unix connect to another type",
	text: `
		L = listener unix
		A = socket unixgram
		connect A L
		B = socket unixpacket
		connect B L
		G = bound unixgram
		C = socket unix
		connect C G
		P = listener unixpacket
		D = socket unix
		connect D P
		E = socket unixgram
		connect E P
		look L:r`,
}, {
	name: "unix path taken away",
	text: `
		L = listener unix
		unlink dir/L
		A = socket unix
		connect A dir/L
		local L
		K = socket unix
		bind K dir/L
		listen K
		connect A dir/L
		B = accept L
		B = accept K
		local B
		peer A`,
}, {
	name: "abstract names",
	on:   "unix unixpacket",
	text: `
		L = socket NET
		bind L @a
		listen L 8
		local L
		B = socket NET
		bind B @a
		A = socket NET
		connect A @b
		connect A @a
		C = accept L
		local C
		peer A
		peer C
		lstat dir/a
		close L
		D = socket NET
		connect D @a
		bind B @a
		listen B
		connect D @a`,
}, {
	name: "accept of a unix client with a name",
	on:   "unix unixpacket",
	text: `
		L = listener NET
		A = socket NET
		bind A dir/client
		connect A L
		B = accept L
		peer B
		local A
		C = socket NET
		bind C @client
		connect C L
		D = accept L
		peer D
		E = socket NET
		connect E L
		F = accept L
		peer F`,
}, {
	name: "credentials",
	text: `
		A B = stream unix
		peercred A
		peercred B
		close B
		peercred A
		C D = pair unixgram
		peercred C
		E F = pair unixpacket
		peercred E
		L = listener unix
		peercred L
		G = socket unix
		peercred G
		T = socket tcp
		peercred T
		U = socket unixgram
		peercred U
		R W = pipe
		peercred R
		peercred 9999`,
}, {
	name: "a name of the system's choice",
	on:   "unix unixgram unixpacket",
	text: `
		A = socket NET
		bind A none
		local A
		bind A none
		bind A @a
		bind A dir/a
		B = socket NET
		bind B dir/b
		bind B none
		local B
		bind B @b`,
}}
