//go:build !linux

package main

import "github.com/seed-20e08ac4/asyncore/loop"

// notifier is Linux's.
type notifier struct{}

func notify(*loop.Loop, string, func()) *notifier { return nil }

func (*notifier) file(string) {}
