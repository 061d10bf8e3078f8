package channel

import "syscall"

const enonet = syscall.ENONET
