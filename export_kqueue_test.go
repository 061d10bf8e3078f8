//go:build darwin || dragonfly || freebsd || netbsd || openbsd || (linux && kqfake)

package asyncore

import "slices"

func (p *kqueue) tellsUrgent() bool {
	return slices.ContainsFunc(kqFilters, func(f kqFilter) bool { return f.dir == Urgent })
}
