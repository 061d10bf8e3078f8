//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// process is a process as /proc shows it.
type process struct {
	testing.TB
	pid int
}

func (p process) fds() int {
	p.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid))
	if err != nil {
		p.Fatal(err)
	}
	return len(entries)
}

// status is a number from the process's status: Threads, VmRSS in KiB.
func (p process) status(name string) int {
	p.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		p.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte(name+":")); ok {
			n, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
			if err != nil {
				p.Fatal(err)
			}
			return n
		}
	}
	p.Fatalf("no %s in %s", name, b)
	return 0
}

// cpu is the processor time that the process has used.
func (p process) cpu() (total time.Duration) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.pid))
	for _, file := range tasks {
		if b, err := os.ReadFile(file); err == nil { // else the thread has ended
			ns, _ := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
			total += time.Duration(ns)
		}
	}
	return total
}

// settles waits until no more descriptors are open than that.
func (p process) settles(most int) {
	p.Helper()
	for began := time.Now(); p.fds() > most; time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > patience {
			p.Fatalf("%d descriptors are open, %d were", p.fds(), most)
		}
	}
}
