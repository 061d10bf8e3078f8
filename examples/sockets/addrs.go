//go:build unix

package main

import (
	"golang.org/x/sys/unix"

	"github.com/seed-20e08ac4/asyncore/socket"
)

func constants(prefix string) func(*env, []string) error {
	return func(e *env, _ []string) error {
		for name, value := range socket.Constants(prefix) {
			e.printf("%-20s %d\n", name, value)
		}
		return nil
	}
}

func defaults(e *env, _ []string) error {
	s, err := socket.New(0, 0, 0)
	if err != nil {
		return err
	}
	defer s.Close()
	e.printf("Family  : %v\nType    : %v\nProtocol: %v\n", s.Family(), s.Type(), s.Proto())
	return nil
}

func aton(e *env, addr string) error {
	packed, err := socket.InetAton(addr)
	if err != nil {
		return err
	}
	unpacked, err := socket.InetNtoa(packed[:])
	if err == nil {
		e.printf("Original: %s\nPacked  : %x\nUnpacked: %s\n", addr, packed, unpacked)
	}
	return err
}

func pton(e *env, addr string) error {
	packed, err := socket.InetPton(unix.AF_INET6, addr)
	if err != nil {
		return err
	}
	unpacked, err := socket.InetNtop(unix.AF_INET6, packed)
	if err == nil {
		e.printf("Original: %s\nPacked  : %x\nUnpacked: %s\n", addr, packed, unpacked)
	}
	return err
}
