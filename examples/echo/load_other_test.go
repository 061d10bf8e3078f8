//go:build unix && !linux

package main

func loadClient(string) {}
