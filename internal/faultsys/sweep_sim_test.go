package faultsys_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-20e08ac4/asyncore/internal/sim"
	"github.com/seed-20e08ac4/asyncore/internal/sys"
	"github.com/seed-20e08ac4/asyncore/internal/tape"
)

func TestSweep(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, sweepText, 0o600); err != nil {
		t.Fatal(err)
	}
	scenarios := []scenario{
		{network: "tcp", address: "127.0.0.1:25"},
		{network: "unix", address: "/tmp/socket"},
		{network: "tcp", address: "127.0.0.1:25", file: file},
		{network: "udp", address: "127.0.0.1:25"},
		{network: "unixgram", address: "/tmp/socket"},
		{network: "unixpacket", address: "/tmp/socket"},
	}
	for i, flavour := range []string{"epoll", "kqueue", "poll", "select"} {
		if i > 0 && testing.Short() {
			break
		}
		for _, sc := range scenarios {
			if i > 0 && sc.packets() {
				continue // the poller's flavour is all the same to them
			}
			sc.system = func() sys.System {
				p := sim.New(tape.Replay(nil)).Process(sim.ProcessConfig{Poller: flavour})
				p.BufferSizes(5000, 7000) // so that neither end takes all at once
				return p
			}
			t.Run(flavour+" "+sc.String(), func(t *testing.T) {
				t.Parallel()
				sweep(t, sc)
			})
		}
	}
}
