//go:build netbsd || openbsd

package asyncore

type kqWaker = *pipeWaker

func openKqWaker(kq int) (kqWaker, error) { return openPipeWaker(kq) }
