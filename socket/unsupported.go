//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd)

package socket

import "errors"

// The numbers are the usual ones. Nothing hands them to a system here; they keep
// addresses, the texts of addresses and the conversions at work.
const (
	afInet        Family = 2
	afInet6       Family = 10
	afUnix        Family = 1
	afNetlink     Family = 0
	afTIPC        Family = 0
	sockStream    Type   = 1
	sockDgram     Type   = 2
	sockSeqpacket Type   = 5
	sockFlags     Type   = 0

	maxPath     = 107
	hasAbstract = false
)

func sysBind(fd int, a Addr) error { return errors.ErrUnsupported }

func sysConnect(fd int, a Addr) error { return errors.ErrUnsupported }

func sysAccept(fd int) (nfd int, from Addr, err error) { return -1, nil, errors.ErrUnsupported }

func sysLocalAddr(fd int) (Addr, error) { return nil, errors.ErrUnsupported }

func sysPeerAddr(fd int) (Addr, error) { return nil, errors.ErrUnsupported }

func sysRecvMsg(fd int, p, oob []byte, flags int) (n, oobn, rflags int, from Addr, err error) {
	return 0, 0, 0, nil, errors.ErrUnsupported
}

func sysSendMsg(fd int, p, oob []byte, to Addr, flags int) (n int, err error) {
	return 0, errors.ErrUnsupported
}

func hasIPv6() bool { return false }

var systemConstants = []constant{
	{"AF_INET", int64(afInet)},
	{"AF_INET6", int64(afInet6)},
	{"AF_UNIX", int64(afUnix)},
	{"IPPROTO_TCP", 6},
	{"IPPROTO_UDP", 17},
	{"SOCK_DGRAM", int64(sockDgram)},
	{"SOCK_SEQPACKET", int64(sockSeqpacket)},
	{"SOCK_STREAM", int64(sockStream)},
}
