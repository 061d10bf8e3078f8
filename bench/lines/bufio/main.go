// Bufio echoes lines as one writes it with package net: a goroutine for each
// connection, which flushes when no more input is buffered.
//
//	bufio PORT     0: a free one; prints the address when it listens
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"net"
	"os"
)

// size is that of the other servers' read buffer; here each connection has two.
const size = 64 << 10

func main() {
	ln, err := net.Listen("tcp4", "127.0.0.1:"+os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ln.Addr())
	for {
		c, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go echo(c)
	}
}

// echo leaves its answers in the writer while half a line is buffered: a peer
// that waits for them before it ends the line would wait for ever. The load
// does not.
func echo(c net.Conn) {
	defer c.Close()
	r, w := bufio.NewReaderSize(c, size), bufio.NewWriterSize(c, size)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		w.Write(bytes.TrimSuffix(line[:len(line)-1], []byte("\r")))
		w.WriteString("\r\n")
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
	}
}
