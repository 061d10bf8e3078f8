//go:build unix

package channel_test

import (
	"fmt"
	"log"
	"os/exec"

	"github.com/seed-20e08ac4/asyncore/channel"
)

// Text goes through a filter: its input is written to, its output is read, and then
// its end is told.
func ExampleCommand() {
	l := newLoop()
	defer l.Close()
	p, err := channel.Command(l, exec.Command("tr", "a-z", "A-Z"), &channel.ProcessHandler{
		Stdin: &channel.Handler{},
		Stdout: &channel.Handler{
			Read: func(_ *channel.Conn, p []byte) { fmt.Printf("%s", p) },
		},
		Exit: func(_ *channel.Process, err error) { fmt.Println("ended:", err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	p.Stdin.WriteString("hello\n")
	p.Stdin.Close() // it reads EOF
	run(l)
	// Output:
	// HELLO
	// ended: <nil>
}

// A pipeline, as a shell has it: what one writes the other reads. One that does not
// end by itself gets a signal.
func ExampleProcess() {
	l := newLoop()
	defer l.Close()
	start := func(name string, h *channel.ProcessHandler, args ...string) *channel.Process {
		h.Exit = func(_ *channel.Process, err error) { fmt.Printf("%s: %v\n", name, err) }
		p, err := channel.Command(l, exec.Command(name, args...), h)
		if err != nil {
			log.Fatal(err)
		}
		return p
	}
	yes := start("yes", &channel.ProcessHandler{Stdout: &channel.Handler{}})
	head := start("head", &channel.ProcessHandler{
		Stdin:  &channel.Handler{},
		Stdout: &channel.Handler{Read: func(_ *channel.Conn, p []byte) { fmt.Printf("%s", p) }},
	}, "-n", "2")
	yes.Stdout.PipeTo(head.Stdin) // whose end ends yes, by SIGPIPE
	run(l)
	// Unordered output:
	// y
	// y
	// head: <nil>
	// yes: signal: broken pipe
}
