//go:build unix && !linux && !darwin && !freebsd

package sys

import "syscall"

func (r *real) PeerCred(int) (Cred, syscall.Errno) { return Cred{}, syscall.EOPNOTSUPP }
