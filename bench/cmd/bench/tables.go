package main

import "fmt"

// A table is servers under loads: each of the servers runs in each cell. The
// first server is what the others are compared with.
type table struct {
	name, title string
	unit        string // what a message is called
	load        string
	servers     []server
	cells       []cell
}

// A server is a program that is given a port, 0 for a free one, and prints the
// address on which it listens.
type server struct {
	name string
	build
}

func (s server) String() string { return s.name }

// A cell is a load.
type cell struct {
	conns int
	size  int // of a message, in bytes, on average
	depth int // messages of a connection that are under way
}

func (c cell) String() string { return fmt.Sprintf("%dx%dx%d", c.conns, c.size, c.depth) }

var lines = table{
	name:  "lines",
	title: "Lines echoed",
	unit:  "line",
	load:  "loadgen.c",
	servers: []server{
		{"memchr", cProgram("lines/memchr.c")},
		{"chat", goProgram("./lines/chat")},
		{"bufio", goProgram("./lines/bufio")},
		{"asynchat", pyProgram("lines/asynchat.py", "asynchat")},
	},
	cells: []cell{
		{50, 32, 100},
		{50, 32, 1},
		{1, 32, 100},
		{50, 1 << 10, 16},
	},
}

var packets = table{
	name:  "packets",
	title: "UDP packets echoed",
	unit:  "packet",
	load:  "packets/load.c",
	servers: []server{
		{"mmsg", cProgram("packets/mmsg.c")},
		{"channel", goProgram("./packets/channel")},
		{"net", goProgram("./packets/net")},
	},
	// What is under way has to fit into half of a socket's buffer as Linux grants it:
	// a small packet takes 1 KiB or so, and the other half may be packets that have
	// been read.
	cells: []cell{
		{50, 64, 2},
		{50, 64, 1},
		{1, 64, 64},
		{1, 64, 1},
		{10, 1400, 4},
	},
}
