//go:build !linux

package channel

import "syscall"

// enonet is Linux's only; elsewhere the case repeats another one's value.
const enonet = syscall.Errno(0x7fffffff)
