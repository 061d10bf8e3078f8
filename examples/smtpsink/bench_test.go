//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkDeliver sends messages of 4 KiB over so many connections to a server
// in a process of its own, into a Maildir on the disk and, where there is none
// (/dev/shm), in memory. What the disk makes of it by itself is BenchmarkDisk.
func BenchmarkDeliver(b *testing.B) {
	for _, folder := range []string{os.TempDir(), "/dev/shm"} {
		for _, conns := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/conns=%d", filepath.Base(folder), conns), func(b *testing.B) {
				dir, err := os.MkdirTemp(folder, "smtpsink")
				if err != nil {
					b.Skip(err)
				}
				defer os.RemoveAll(dir)
				p := start(b, "-dir", dir, "-per-host", "1000")
				work := make(chan bool, b.N)
				for range b.N {
					work <- true
				}
				close(work)
				body := bytes.Repeat([]byte("0123456789012345678901234567890123456789012345678901234567890\r\n"), 65)
				failed := make(chan error, conns)
				b.ResetTimer()
				for range conns {
					go func() { failed <- sendAll(net.JoinHostPort(p.host, p.port), work, body) }()
				}
				for range conns {
					if err := <-failed; err != nil {
						b.Error(err)
					}
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
			})
		}
	}
}

func sendAll(addr string, work chan bool, body []byte) error {
	c, err := smtp.Dial(addr)
	if err != nil {
		return err
	}
	defer c.Quit()
	for range work {
		if err := c.Mail("a@example.com"); err != nil {
			return err
		}
		if err := c.Rcpt("b@example.com"); err != nil {
			return err
		}
		w, err := c.Data()
		if err != nil {
			return err
		}
		w.Write(body)
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkDisk is the disk's part of BenchmarkDeliver, by as many goroutines as
// Offload has workers, or by one.
func BenchmarkDisk(b *testing.B) {
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			dir := b.TempDir()
			for _, sub := range []string{"tmp", "new"} {
				os.Mkdir(filepath.Join(dir, sub), 0o700)
			}
			failed := make(chan error, workers)
			for n := range workers {
				go func() {
					d := &maildir{path: dir, fs: disk{}, host: fmt.Sprint(n)}
					var err error
					for i := n; i < b.N && err == nil; i += workers {
						msg := d.add()
						if err = msg.create(); err == nil {
							msg.buf = make([]byte, 4096)
							err = msg.deliver()
						}
					}
					failed <- err
				}()
			}
			for range workers {
				if err := <-failed; err != nil {
					b.Error(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
