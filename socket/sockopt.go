package socket

import (
	"errors"
	"math"
	"time"
)

// OptionValue are the forms that the value of a socket option can have. A bool is an
// int, 0 or 1; a Duration is a struct timeval, of microseconds; a Linger is SO_LINGER's
// struct; bytes are taken as they are. Options that count seconds or milliseconds in
// an int are ints.
type OptionValue interface {
	int | bool | time.Duration | Linger | []byte
}

// Linger is the value of SO_LINGER: what close does with output that isn't
// delivered yet. On with 0 seconds has it reset the connection.
type Linger struct {
	On      bool
	Seconds int
}

// maxOption is the most that Python lets a caller ask for.
const maxOption = 1024

// GetSockOpt returns an option's value in the form T, getsockopt(2): levels are SOL_*
// and IPPROTO_*, options SO_*, TCP_*, IP_*, IPV6_*. An option that isn't known is
// ENOPROTOOPT. Bytes are at most 1,024, and can be had on Linux only, elsewhere they
// are [errors.ErrUnsupported].
//
// SO_RCVTIMEO and SO_SNDTIMEO have no effect on a Socket, whose descriptor never
// blocks: SetTimeout does what they are for.
func GetSockOpt[T OptionValue](s *Socket, level, opt int) (v T, err error) {
	err = s.quick("getsockopt", "getsockopt", func(fd int) (err error) {
		switch p := any(&v).(type) {
		case *int:
			*p, err = sysGetInt(fd, level, opt)
		case *bool:
			var n int
			n, err = sysGetInt(fd, level, opt)
			*p = n != 0
		case *time.Duration:
			*p, err = sysGetTime(fd, level, opt)
		case *Linger:
			*p, err = sysGetLinger(fd, level, opt)
		case *[]byte:
			b := make([]byte, maxOption)
			var n int
			if n, err = sysGetBytes(fd, level, opt, b); err == nil {
				*p = fit(b, n)
			}
		default:
			err = errors.ErrUnsupported
		}
		return err
	})
	return v, err
}

// SetSockOpt sets an option, setsockopt(2). A nil slice of bytes is the call with a
// null pointer, Python's setsockopt(level, opt, None, 0). A number that doesn't fit
// the system's int is an error. The value read back may be another: Linux doubles
// SO_RCVBUF and SO_SNDBUF.
func SetSockOpt[T OptionValue](s *Socket, level, opt int, v T) error {
	return s.quick("setsockopt", "setsockopt", func(fd int) error {
		switch v := any(v).(type) {
		case int:
			if int64(v) < math.MinInt32 || int64(v) > math.MaxUint32 { // some are unsigned
				return errOptionRange
			}
			return sysSetInt(fd, level, opt, v)
		case bool:
			n := 0
			if v {
				n = 1
			}
			return sysSetInt(fd, level, opt, n)
		case time.Duration:
			return sysSetTime(fd, level, opt, v)
		case Linger:
			if v.Seconds < 0 || v.Seconds > math.MaxInt32 {
				return errOptionRange
			}
			return sysSetLinger(fd, level, opt, v)
		case []byte:
			return sysSetBytes(fd, level, opt, v)
		}
		return errors.ErrUnsupported
	})
}
