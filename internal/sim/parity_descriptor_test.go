//go:build linux

package sim_test

var pipeScripts = []script{{
	name: "pipe",
	text: `
		R W = pipe
		look R:r
		poll W:w
		look R:rw
		poll W:rw
		kind R
		mode R
		mode W
		read R
		write W hello
		pending R
		poll R:r
		read R 2
		pending R
		read R
		read R
		recv R
		send W x
		write R x
		read W
		write W ""
		look R:r`,
}, {
	name: "pipe without a writer",
	text: `
		R W = pipe
		write W last
		close W
		poll R:r
		poll R:rw
		pending R
		read R 2
		poll R:r
		read R
		poll R:r
		read R
		read R`,
}, {
	name: "pipe without a reader",
	text: `
		R W = pipe
		write W lost
		close R
		poll W:w
		poll W:rw
		write W x
		write W ""
		pending W`,
}, {
	name: "pipe full",
	text: `
		R W = pipe
		fill W
		look W:w
		poll R:r
		write W x
		drain R W
		poll W:w
		write W x`,
}, {
	name: "pipe full, then without a reader",
	text: `
		R W = pipe
		fill W
		close R
		poll W:w
		write W x`,
}, {
	name: "pipe with two writers",
	text: `
		R W = pipe
		V = dup W
		close W
		look R:r
		read R
		write V x
		close V
		poll R:r
		read R
		read R`,
}, {
	name: "socket calls on a pipe",
	text: `
		R W = pipe
		sockerror R
		local R
		peer R
		shutdown W write
		connect W dir/x
		bind R dir/x
		listen R
		A = accept R
		recvurgent R
		rest R
		nonblock W off
		mode W
		nonblock W on
		mode W`,
}}

var pollerScripts = []script{{
	name: "add, modify, remove",
	text: `
		A B = stream unix
		modify A:r
		remove A
		add A:r
		add A:rw
		add B:w
		wait
		modify A:rw
		wait
		modify A:w X
		wait
		remove A
		wait
		remove A
		modify A:r
		add A:w
		wait
		remove A
		remove B
		wait 10ms
		add 1000:r
		add -1:r
		modify 1000:r
		remove 1000`,
}, {
	name: "descriptors that are not open",
	text: `
		A B = stream unix
		close A
		add A:r
		modify A:r
		remove A
		add -1:r
		modify -1:r
		remove -1`,
}, {
	name: "select has a limit",
	skip: "epoll poll kqueue",
	text: `
		add 5000:r`,
}, {
	name: "nothing asked for",
	text: `
		A B = stream unix
		add A:
		add A:h
		add A:r
		modify A:
		modify A:rh
		add B:r reserved
		modify A:r reserved
		wait 1ms`,
}, {
	name: "a token of its own",
	text: `
		A B = stream tcp
		add A:w one
		add B:w two
		wait
		modify A:w three
		wait`,
}, {
	name: "several at once",
	text: `
		A B = stream tcp
		C D = stream unix
		R W = pipe
		add A:r
		add B:rw
		add C:r
		add D:w
		add R:r
		add W:w
		wait
		write W x
		send B x
		send D x
		wait
		recv A
		remove W
		remove D
		remove B
		wait
		recv C
		read R
		wait 10ms`,
}, {
	name: "an event is not kept after remove",
	text: `
		A B = stream tcp
		add A:r
		send B x
		wait
		remove A
		wait 10ms
		add A:r again
		wait`,
}, {
	name: "an event is not kept after modify",
	text: `
		A B = stream unix
		add A:r
		send B x
		modify A:w
		wait
		modify A:r
		wait
		recv A
		wait 10ms`,
}, {
	name: "level-triggered",
	text: `
		A B = stream tcp
		add A:r
		send B hello
		wait
		wait
		recv A 1
		wait
		recv A
		wait 10ms`,
}, {
	name: "closed while it is watched",
	text: `
		A B = stream unix
		add A:r
		add B:r
		send A x
		close A
		wait
		wait
		remove A
		recv B
		remove B
		wait 10ms`,
}, {
	name: "closed while it is watched, with a duplicate",
	skip: "kqueue",
	text: `
		A B = stream unix
		C = dup A
		add A:r
		send B x
		wait
		close A
		wait 10ms
		remove A
		wait 10ms`,
}, {
	name: "closed while it is watched, and the number reused",
	text: `
		A B = pair unix
		add A:r
		close A
		C = dup B
		same A C
		wait 10ms
		add C:w
		wait 10ms
		remove C`,
}, {
	name: "one file by two numbers",
	text: `
		A B = stream unix
		C = dup A
		add A:r
		add C:w
		add B:w
		send B x
		wait
		remove A
		wait`,
}, {
	name: "wake",
	text: `
		wake
		wait
		wait 1ms
		wake
		wake
		wait
		wait 1ms
		A B = stream unix
		add A:w
		wake
		wait
		remove A
		wait 1ms`,
}, {
	name: "wake with nothing else",
	text: `
		wake
		wait
		wait 1ms
		wake
		wake
		wake
		wait
		wait 1ms`,
}, {
	name: "wait",
	text: `
		wait 0s
		wait 1ns
		wait 5ms
		A B = stream tcp
		add A:r
		wait 0s
		wait 5ms`,
}, {
	name: "a poller is watched",
	skip: "poll select",
	text: `
		P = poller
		nested P:r
		A B = stream tcp
		add A:r
		nested P:r
		send B x
		nested P:r
		recv A
		nested P:r
		wake
		nested P:r
		wait
		nested P:r
		add A:w
		modify A:w
		nested P:r
		remove A
		nested P:r`,
}, {
	name: "no poller has a descriptor",
	skip: "epoll kqueue",
	text: `
		P = poller`,
}, {
	name: "pollers by name",
	text: `
		open epol
		open epoll
		open poll
		open select`,
}, {
	name: "poller closed",
	text: `
		A B = stream unix
		add A:r
		end
		wake
		end`,
}, {
	name: "nobody is starved",
	text: `
		A B = stream unix
		C D = stream unix
		E F = stream tcp
		R W = pipe
		add A:w
		add B:w
		add C:w
		add D:w
		add E:w
		add F:w
		add W:w
		sweep 14 1
		sweep 6 3
		sweep 1 7
		sweep 1 16
		send A x
		modify B:rw
		sweep 14 1`,
}, {
	name: "hang-up is told who asks for nothing of it",
	skip: "kqueue",
	text: `
		A B = stream unix
		add A:u
		close B
		wait 10ms
		C D = stream tcp
		add C:u
		reset D
		wait 10ms`,
}}

var descriptorScripts = []script{{
	name: "the lowest number is given",
	text: `
		A = socket tcp
		B = socket unix
		C = socket udp
		D = dup A
		close B
		E = dup C
		same B E
		close A
		close C
		F G = pair unix
		same A F
		same C G
		close D
		H = socket tcp
		same D H
		close F
		close H
		R W = pipe
		same F R
		same H W
		L = listener tcp
		I = socket tcp
		connect I L
		poll L:r
		close G
		J = accept L
		same G J`,
}, {
	name: "numbers that are not open",
	text: `
		close 9999
		close -1
		recv 9999
		send 9999 x
		read 9999
		write 9999 x
		A = accept 9999
		A = dup 9999
		bind 9999 127.0.0.1:0
		connect 9999 127.0.0.1:1
		listen 9999
		sockerror 9999
		local 9999
		peer 9999
		shutdown 9999 write
		shutdown 9999 rw
		kind 9999
		mode 9999
		nonblock 9999 on
		pending 9999
		recvfrom 9999
		sendto 9999 peer x
		packeterror 9999
		recvurgent 9999
		rest 9999
		peercred 9999`,
}, {
	name: "duplicates",
	on:   "tcp unix",
	text: `
		A B = stream NET
		C = dup A
		kind C
		mode C
		close A
		poll B:rw
		recv B
		send C one
		recv B
		nonblock C off
		D = dup C
		mode D
		nonblock D on
		mode C
		shutdown D write
		poll B:rw
		send C x
		close C
		poll B:rw
		close D
		poll B:rw
		recv B`,
}, {
	name: "no descriptor left",
	text: `
		L = listener tcp
		A = socket tcp
		connect A L
		poll L:r
		room 0
		B = accept L
		C = socket tcp
		C = socket udp
		C = dup A
		C D = pair unix
		R W = pipe
		poll L:r
		room 1
		C D = pair unix
		R W = pipe
		poll L:r
		B = accept L
		D = accept L
		C = socket tcp
		close A
		C = socket tcp
		room any
		E = socket tcp
		recv B`,
}, {
	name: "no descriptor left, and nobody to accept",
	on:   "tcp unix",
	text: `
		L = listener NET
		room 0
		A = accept L
		room any
		A = accept L`,
}}

var urgentScripts = []script{{
	name: "urgent",
	skip: "kqueue",
	text: `
		A B = stream tcp
		poll B:rwu
		recvurgent B
		urgent A !
		poll B:rwu
		poll B:u
		look B:r
		recv B
		recvurgent B
		recvurgent B
		poll B:rwu
		recv B`,
}, {
	name: "urgent among data",
	skip: "kqueue",
	text: `
		A B = stream tcp
		send A before
		urgent A !
		send A after
		poll B:rwu
		recv B
		poll B:rwu
		recvurgent B
		poll B:rwu
		recv B
		recv B
		poll B:rwu`,
}, {
	name: "urgent, not taken",
	skip: "kqueue",
	text: `
		A B = stream tcp
		send A ab
		urgent A !
		send A cd
		poll B:u
		recv B
		recv B
		recv B
		poll B:rwu
		recvurgent B`,
}, {
	name: "urgent twice",
	skip: "kqueue",
	text: `
		A B = stream tcp
		urgent A 1
		urgent A 2
		poll B:u
		recvurgent B
		recvurgent B
		poll B:rwu
		recv B`,
}, {
	name: "urgent, then the end",
	skip: "kqueue",
	text: `
		A B = stream tcp
		urgent A !
		close A
		poll B:rwu
		recv B
		recvurgent B
		recv B
		poll B:rwu`,
}, {
	name: "urgent, and nothing is asked for",
	skip: "kqueue",
	text: `
		A B = stream tcp
		urgent A !
		poll B:u
		recv B 0
		recvurgent B
		recv B 0
		recv B`,
}, {
	name: "urgent, refused",
	skip: "kqueue",
	text: `
		A B = stream tcp
		shutdown B rw
		urgent A !
		poll A:rw
		look B:rwu
		recvurgent B
		recv B
		look B:rwu
		recvurgent B`,
}, {
	name: "urgent packets are packets",
	text: `
		A = bound udp
		B = bound udp
		sendto A B one
		poll B:r
		recvurgent B
		recvurgent B
		sendto A B "" two
		poll B:r
		recvurgent B
		recv B
		C = socket unixpacket
		recvurgent C
		D = bound udp
		close D
		connect A D
		send A x
		poll A:r
		recvurgent A
		recvurgent A`,
}, {
	name: "urgent where there is no such thing",
	text: `
		A B = stream unix
		recvurgent B
		C = bound udp
		recvurgent C
		P Q = pair unixgram
		recvurgent P
		urgent P !
		L = listener tcp
		recvurgent L`,
}}
