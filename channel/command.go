package channel

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/seed-20e08ac4/asyncore"
	"github.com/seed-20e08ac4/asyncore/internal/core"
	"github.com/seed-20e08ac4/asyncore/loop"
)

const (
	// waitDelay is Cmd.WaitDelay where that is 0.
	waitDelay = 5 * time.Second
	// leastDelay is how often at most outputs are looked at that nobody reads now.
	leastDelay = 50 * time.Millisecond
)

// ProcessHandler is what Command needs to know of a child process: a Handler for
// each of its standard streams that is to be a Conn, and what to call at its end.
// It must not be written to once a Process has it.
type ProcessHandler struct {
	// Stdin, Stdout and Stderr, where not nil, make that stream a pipe whose other
	// end is a Conn with this Handler. Nil leaves it as exec.Cmd has it: the null
	// device, or the *os.File in the field of that name, os.Stderr perhaps.
	Stdin, Stdout, Stderr *Handler

	// Exit: the process has ended and so have all of its Conns, whose Close has
	// been called. It comes exactly once, last of all. err is what exec.Cmd's Wait
	// gives: nil for success, an *exec.ExitError with the status or the signal,
	// exec.ErrWaitDelay, or the context's error; or loop.ErrClosed where the loop
	// was closed first. Nil: nothing.
	Exit func(p *Process, err error)
}

// Process is a child process. Its fields are not to be written to. They belong to
// the loop's goroutine, except Cmd.Process: its Signal and Kill may be called from
// any, and give os.ErrProcessDone, never a stranger a signal, when the process has
// ended. Cmd.ProcessState is there in Exit, not before, and not with loop.ErrClosed.
type Process struct {
	Cmd *exec.Cmd

	// Stdin is for writing only: its Close flushes, and then the process reads EOF.
	// Stdout and Stderr are for reading only. Each is nil where its Handler is.
	Stdin, Stdout, Stderr *Conn

	*hub
	h       *ProcessHandler
	token   uint64
	pidfd   int       // ours; -1: a goroutine waits
	waiting bool      // it does
	reaped  bool      // the process has ended, and err tells how
	over    bool      // Exit is due, or has been called
	err     error     // for Exit
	owed    [2]uint64 // BytesRead of the outputs when all that the process wrote is read
	last    bool      // its outputs are late, and looked at once more
	timer   core.Timer
}

// Command starts cmd with its standard input, output and error as channels
// (uv_spawn, Twisted's spawnProcess). It takes the place of cmd's Start and Wait,
// of which neither may be called; all other fields mean what they mean there.
// Starting takes a millisecond or two, in this call.
//
// The end of the process comes to Exit when its output has been read to the end.
// Who else has that open, a grandchild in the background, holds Exit up for cmd's
// WaitDelay, or 5 s where that is 0; then Stdout and Stderr close with
// exec.ErrWaitDelay. The time does not count while a Conn is paused, nor while something
// waits in the pipe that the process wrote itself. Stdin closes when both have: with
// nil, or with EPIPE where output was queued.
//
// The Conns are as those of [Open]: a child that does not read its input for 60 s
// stalls it, one that has closed it breaks it (EPIPE) and nothing else, and one whose
// output is not read stands still. None of the loop's descriptors is inherited.
//
// A process is not ended by its Conns or its loop. Of a loop that closes it sees
// the ends of its pipes; Exit is called with loop.ErrClosed, which may kill it, and a
// goroutine waits for its end, so that no zombie stays. Drain waits for it as for a
// Conn. A context, by exec.CommandContext, does end it; cmd.Cancel runs on a
// goroutine of package exec, and must not block.
//
// Linux tells of the end by a pidfd. Elsewhere, and where there is no descriptor left
// for that or a debugger has the process, a goroutine waits.
//
// An error means that nothing was started: what [exec.Cmd.Start] gives, such as
// exec.ErrNotFound, or EMFILE where there is no descriptor left for a pipe. A stream
// that has both a Handler and a field of cmd is an error, and so is a field
// that is no *os.File, which would need a goroutine: [errors.ErrUnsupported].
func Command(l *loop.Loop, cmd *exec.Cmd, h *ProcessHandler) (*Process, error) {
	hb := hubOf(l)
	hb.e.Check()
	if cmd == nil || h == nil {
		panic("channel: Command: command or handler is nil")
	}
	if hb.e.IsClosed() {
		return nil, loop.ErrClosed
	}
	if err := checkStreams(cmd, h); err != nil {
		return nil, err
	}
	p := &Process{Cmd: cmd, hub: hb, h: h, pidfd: -1}
	if err := p.start(); err != nil {
		return nil, err
	}
	p.watchExit()
	return p, nil
}

func checkStreams(cmd *exec.Cmd, h *ProcessHandler) error {
	for _, s := range []struct {
		name  string
		field any
		h     *Handler
	}{{"Stdin", cmd.Stdin, h.Stdin}, {"Stdout", cmd.Stdout, h.Stdout}, {"Stderr", cmd.Stderr, h.Stderr}} {
		_, file := s.field.(*os.File)
		switch {
		case s.field == nil:
		case s.h != nil:
			return fmt.Errorf("channel: Command: %s has a Handler, and is set in the Cmd", s.name)
		case !file:
			return fmt.Errorf("channel: Command: %s of the Cmd is no *os.File: %w", s.name, errors.ErrUnsupported)
		}
	}
	return nil
}

// start makes the pipes and then the process. The Conns come last, so that there is
// none where something fails.
func (p *Process) start() error {
	type pipe struct {
		h     *Handler
		fd    int // ours
		child *os.File
	}
	pipes := [3]pipe{{h: p.h.Stdin}, {h: p.h.Stdout}, {h: p.h.Stderr}}
	started := false
	defer func() {
		for _, e := range pipes {
			if e.child != nil {
				e.child.Close()
				if !started {
					p.e.CloseFD(e.fd)
				}
			}
		}
	}()
	for i := range pipes {
		e := &pipes[i]
		if e.h == nil {
			continue
		}
		var errno syscall.Errno
		if e.fd, e.child, errno = p.e.Sys.Pipe(i == 0); errno != 0 {
			return &net.OpError{Op: "command", Net: "pipe", Err: os.NewSyscallError("pipe", errno)}
		}
	}
	cmd := p.Cmd
	stdin, stdout, stderr := cmd.Stdin, cmd.Stdout, cmd.Stderr
	if f := pipes[0].child; f != nil {
		cmd.Stdin = f
	}
	if f := pipes[1].child; f != nil {
		cmd.Stdout = f
	}
	if f := pipes[2].child; f != nil {
		cmd.Stderr = f
	}
	err := cmd.Start()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	if err != nil {
		return err
	}
	started = true
	conn := func(e pipe, only state) *Conn {
		if e.h == nil {
			return nil
		}
		c := p.newConn(e.fd, e.h)
		c.state |= opening | isFile | only
		if p.processes == nil {
			p.processes = map[*Conn]*Process{}
		}
		p.processes[c] = p
		p.e.Again(c.token)
		return c
	}
	p.Stdin, p.Stdout, p.Stderr = conn(pipes[0], noRead), conn(pipes[1], noWrite), conn(pipes[2], noWrite)
	return nil
}

// watchExit has the poller tell of the end, by a duplicate of the pidfd that package os
// has: whoever calls Release must not close ours.
func (p *Process) watchExit() {
	errno := syscall.EBADF
	err := p.Cmd.Process.WithHandle(func(pidfd uintptr) { p.pidfd, errno = p.e.Sys.Dup(int(pidfd)) })
	if err != nil || errno != 0 {
		p.pidfd = -1
	}
	p.token = p.e.Register((*process)(p), p.pidfd)
	if p.pidfd < 0 {
		p.wait()
		return
	}
	p.e.Want(p.token, asyncore.Readable)
}

// wait has a goroutine wait for the end.
func (p *Process) wait() {
	if p.waiting {
		return
	}
	p.waiting = true
	go func() {
		err := p.Cmd.Wait()
		p.e.PostAlways(func() { p.exited(err) })
	}()
}

// exited is told of the end, once.
func (p *Process) exited(err error) {
	p.reaped, p.err = true, err
	for i, c := range p.outputs() {
		if isLive(c) {
			p.owed[i] = c.read + c.pending()
		}
	}
	p.arm(0)
	p.settle()
}

// pending is how many bytes wait in the pipe of an output.
func (c *Conn) pending() uint64 {
	n, _ := c.e.Sys.Pending(int(c.fd))
	return uint64(n)
}

func (p *Process) outputs() [2]*Conn { return [2]*Conn{p.Stdout, p.Stderr} }

func isLive(c *Conn) bool { return c != nil && !c.is(finished) }

// arm has the outputs looked at after WaitDelay, or least where that is longer.
func (p *Process) arm(least time.Duration) {
	p.e.Arm(&p.timer, (*process)(p), core.Later(p.e.Now(), max(cmp.Or(p.Cmd.WaitDelay, waitDelay), least)))
}

// leaveProcess tells the process to which a Conn belongs that it has closed.
func (c *Conn) leaveProcess() {
	if p := c.processes[c]; p != nil {
		delete(c.processes, c)
		p.settle()
	}
}

// settle takes the next step of the end: the outputs', the input's, Exit.
func (p *Process) settle() {
	switch {
	case !p.reaped || p.over || isLive(p.Stdout) || isLive(p.Stderr):
	case isLive(p.Stdin):
		var err error
		if c := p.Stdin; c.waiting() {
			err = c.sysError("write", "write", syscall.EPIPE)
		}
		p.Stdin.end(err)
	default:
		p.finish()
	}
}

func (p *Process) finish() {
	if !p.over {
		p.over = true
		p.e.Due((*process)(p))
	}
}

// process is the Process as the engine sees it.
type process Process

// Ready: the pidfd is readable, so the process has ended. But whoever traces it is
// told first, and only then Wait does not block.
func (s *process) Ready(asyncore.Interest) {
	p := (*Process)(s)
	p.e.Want(p.token, 0)
	switch {
	case p.reaped || p.waiting || p.over:
	case p.e.Sys.Exited(p.pidfd):
		p.exited(p.Cmd.Wait())
	default:
		p.wait()
	}
}

// Expire: the process has ended some time ago. What it wrote itself is waited for
// as long as it takes, and the end behind it for a turn at least.
func (s *process) Expire() {
	p := (*Process)(s)
	held, late := false, false
	for i, c := range p.outputs() {
		switch {
		case !isLive(c) || c.is(atEOF|draining|detaching|ended): // it is about to close
		case !c.reading() || c.read < p.owed[i] && c.pending() > 0:
			held = true
		default:
			late = true
		}
	}
	switch {
	case held:
		p.last = false
		p.arm(leastDelay)
	case late && !p.last:
		p.last = true
		p.e.Arm(&p.timer, s, p.e.Now())
	case late:
		p.err = cmp.Or(p.err, exec.ErrWaitDelay)
		for _, c := range p.outputs() {
			if isLive(c) && c.reading() {
				c.end(exec.ErrWaitDelay)
			}
		}
	}
}

// Fail is the engine's: the loop closes, or the poller refuses the pidfd.
func (s *process) Fail(err error) {
	p := (*Process)(s)
	switch {
	case p.over:
	case p.e.IsClosed():
		if !p.reaped || p.err == nil {
			p.err = err
		}
		p.finish()
	case !p.reaped:
		p.wait()
	}
}

// Finish calls Exit. Of a process that has not ended a goroutine takes care.
func (s *process) Finish() {
	p := (*Process)(s)
	p.e.Disarm(&p.timer)
	p.e.Unregister(p.token)
	if p.pidfd >= 0 {
		p.e.CloseFD(p.pidfd)
	}
	switch {
	case !p.reaped && !p.waiting:
		defer func() { go p.Cmd.Wait() }()
	case errors.Is(p.err, syscall.ECHILD):
		defer p.Cmd.Process.Release() // which a Wait that has failed leaves open
	}
	if p.h.Exit != nil {
		p.e.Enter(s, "exit")
		p.h.Exit(p, p.err)
		p.e.Leave()
	}
}

// Flush is never asked for.
func (s *process) Flush() {}

func (s *process) Describe() string { return fmt.Sprintf("process %d", s.Cmd.Process.Pid) }
