package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A sample is what the load says of one run.
type sample struct {
	Rate  float64 `json:"per_s"`  // messages
	CPU   float64 `json:"cpu_ns"` // of the server, for each
	noise float64 // CPU time that others used, to the run's length
}

// A result is a server in a cell, with a sample for each round.
type result struct {
	cell    cell
	server  string
	samples []sample
}

// A plan is how thoroughly to measure.
type plan struct {
	rounds, tries int
	window        time.Duration
}

// run builds the servers and the load, and measures in interleaved slices: what
// else the machine does meets all of them alike. What cannot be built for want
// of something that a machine need not have is left out.
func (t table) run(ctx context.Context, p plan) (results []result, skipped []error, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	load, err := cProgram(t.load)(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	var names []string
	var programs [][]string
	for _, s := range t.servers {
		argv, err := s.build(ctx, dir)
		if _, ok := errors.AsType[missing](err); ok {
			skipped = append(skipped, fmt.Errorf("%s: %w", s.name, err))
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		names, programs = append(names, s.name), append(programs, argv)
	}
	for _, c := range t.cells {
		for _, name := range names {
			results = append(results, result{cell: c, server: name})
		}
	}
	for round := range p.rounds {
		log.Printf("round %d of %d", round+1, p.rounds)
		for i, c := range t.cells {
			for j := range programs {
				j = (j + round) % len(programs) // each is the first one in its turn
				s, err := quietest(ctx, load, programs[j], c, p)
				if err != nil {
					return nil, nil, fmt.Errorf("%s, %v: %w", names[j], c, err)
				}
				r := &results[i*len(programs)+j]
				r.samples = append(r.samples, s)
			}
		}
	}
	return results, skipped, nil
}

// quietest measures again what others have disturbed, and returns the run that
// was disturbed least.
func quietest(ctx context.Context, load, program []string, c cell, p plan) (best sample, err error) {
	for try := range p.tries {
		s, err := slice(ctx, load, program, c, p.window)
		if err != nil {
			return s, err
		}
		if try == 0 || s.noise < best.noise {
			best = s
		}
		if best.noise <= noisy {
			break
		}
	}
	return best, nil
}

// slice measures a server that it starts and ends: nothing is left of the run
// before.
func slice(ctx context.Context, load, program []string, c cell, window time.Duration) (s sample, err error) {
	// A load that waits in vain gives up; this is for all else that may hang.
	ctx, cancel := context.WithTimeout(ctx, window*3/2+30*time.Second)
	defer cancel()
	start := time.Now()
	before, err := busy()
	if err != nil {
		return s, err
	}
	server := pinned(ctx, serverCore, append(program, "0"))
	port, err := serve(server)
	if err != nil {
		return s, err
	}
	client := pinned(ctx, loadCore, append(load, loadArgs(port, server.Process.Pid, c, window)...))
	client.Stderr = os.Stderr
	out, err := client.Output()
	end(server)
	if err != nil {
		return s, fmt.Errorf("the load: %w", err)
	}
	after, err := busy()
	if err != nil {
		return s, err
	}
	s.noise = float64(after-before-used(server)-used(client)) / float64(time.Since(start))
	return s, json.Unmarshal(out, &s)
}

// serve starts a server and returns its port when it listens.
func serve(server *exec.Cmd) (port string, err error) {
	server.Stderr = os.Stderr
	stdout, err := server.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := server.Start(); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		end(server)
		return "", fmt.Errorf("the server does not say where it listens: %w", err)
	}
	_, port, _ = strings.Cut(strings.TrimSpace(line), ":")
	return port, nil
}

func end(server *exec.Cmd) {
	server.Process.Kill()
	server.Wait()
}

func used(ended *exec.Cmd) time.Duration {
	return ended.ProcessState.UserTime() + ended.ProcessState.SystemTime()
}

func loadArgs(port string, pid int, c cell, window time.Duration) []string {
	ms := int(window.Milliseconds())
	args := []string{port}
	for _, n := range []int{pid, c.conns, c.size, c.depth, ms / 2, ms} {
		args = append(args, strconv.Itoa(n))
	}
	return args
}

// pinned is a command that runs on one core. taskset is replaced by the
// program, so that the process is the program's.
func pinned(ctx context.Context, core int, argv []string) *exec.Cmd {
	return exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(core)}, argv...)...)
}
