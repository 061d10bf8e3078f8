//go:build unix && !linux && !darwin && !freebsd

package sys

import "syscall"

func (r *real) SendFile(int, int, int) (int, syscall.Errno) { return 0, syscall.EOPNOTSUPP }
