//go:build !linux

package channel

import "syscall"

// enonet is Linux's only; this is no error of any system.
const enonet = syscall.Errno(0x7fffffff)
