//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package socket

import (
	"errors"
	"time"
)

// No Socket comes to be here, so that the numbers are never used.
const (
	sockNonblock Type = 0

	solSocket, soError, soReuseAddr, soReusePort = 0, 0, 0, 0
	ipprotoIPv6, ipprotoTCP                      = 0, 0
	ipv6V6Only, scmRights                        = 0, 0
	msgCtrunc, msgDontWait, msgNeverWaits        = 0, 0, 0
	msgPeek, msgWaitAll                          = 0, 0
	pollIn, pollOut, pollPri                     = 0, 0, 0
	shutRD, shutWR                               = 0, 0

	connectTwice = false
)

func sysSocket(Family, Type, Proto) (int, error) { return -1, errors.ErrUnsupported }

func sysPair(Family, Type, Proto) ([2]int, error) { return [2]int{}, errors.ErrUnsupported }

func sysKind(int) (Family, Type, Proto, error) { return 0, 0, 0, errors.ErrUnsupported }

func sysDup(int) (int, error) { return -1, errors.ErrUnsupported }

func sysClose(int) error { return errors.ErrUnsupported }

func sysListen(fd, backlog int) error { return errors.ErrUnsupported }

func sysShutdown(fd, how int) error { return errors.ErrUnsupported }

func sysWaker() (r, w int, err error) { return -1, -1, errors.ErrUnsupported }

func sysWake(int) {}

func sysPoll(int, *waker, int16, time.Duration) (ready, woken bool, err error) {
	return false, false, errors.ErrUnsupported
}

func sysRecv(fd int, p []byte, flags int) (int, error) { return 0, errors.ErrUnsupported }

func sysSend(fd int, p []byte, flags int) (int, error) { return 0, errors.ErrUnsupported }

func sysGetInt(fd, level, opt int) (int, error) { return 0, errors.ErrUnsupported }

func sysSetInt(fd, level, opt, v int) error { return errors.ErrUnsupported }

func sysGetTime(fd, level, opt int) (time.Duration, error) { return 0, errors.ErrUnsupported }

func sysSetTime(fd, level, opt int, d time.Duration) error { return errors.ErrUnsupported }

func sysGetLinger(fd, level, opt int) (Linger, error) { return Linger{}, errors.ErrUnsupported }

func sysSetLinger(fd, level, opt int, l Linger) error { return errors.ErrUnsupported }

func sysGetBytes(fd, level, opt int, p []byte) (int, error) { return 0, errors.ErrUnsupported }

func sysSetBytes(fd, level, opt int, p []byte) error { return errors.ErrUnsupported }

func parseControl([]byte) []Control { return nil }

func encodeControl([]Control) []byte { return nil }

func controlRoom(int) int { return 0 }

func rights([]int) []byte { return nil }

func parseRights(Control) []int { return nil }

func credentials(Cred) Control { return Control{} }

func parseCredentials(Control) (Cred, bool) { return Cred{}, false }

func selectPoll([]pollEntry, time.Duration) error { return errors.ErrUnsupported }
