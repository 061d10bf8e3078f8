//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// parseControl takes control messages apart, and makes do with one that is cut short:
// descriptors in it are there all the same.
func parseControl(oob []byte) (all []Control) {
	for len(oob) >= unix.CmsgLen(0) {
		var h unix.Cmsghdr
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h)), oob)
		end := int(min(uint64(h.Len), uint64(len(oob))))
		if end < unix.CmsgLen(0) {
			break
		}
		data := oob[unix.CmsgLen(0):end:end]
		all = append(all, Control{Level: int(h.Level), Type: int(h.Type), Data: data})
		oob = oob[min(unix.CmsgSpace(len(data)), len(oob)):]
	}
	return all
}

func encodeControl(all []Control) (oob []byte) {
	for _, c := range all {
		h := unix.Cmsghdr{Level: int32(c.Level), Type: int32(c.Type)}
		h.SetLen(unix.CmsgLen(len(c.Data)))
		at := len(oob)
		oob = append(oob, make([]byte, unix.CmsgSpace(len(c.Data)))...)
		copy(oob[at:], unsafe.Slice((*byte)(unsafe.Pointer(&h)), unsafe.Sizeof(h)))
		copy(oob[at+unix.CmsgLen(0):], c.Data)
	}
	return oob
}

// controlRoom is for so many descriptors, and for what else a message brings along:
// credentials, a time stamp.
func controlRoom(fds int) int { return unix.CmsgSpace(4*fds) + 256 }

func rights(fds []int) []byte {
	b := make([]byte, 0, 4*len(fds))
	for _, fd := range fds {
		b = binary.NativeEndian.AppendUint32(b, uint32(fd))
	}
	return b
}

func parseRights(c Control) (fds []int) {
	if c.Level != unix.SOL_SOCKET || c.Type != unix.SCM_RIGHTS {
		return nil
	}
	for b := c.Data; len(b) >= 4; b = b[4:] {
		fds = append(fds, int(int32(binary.NativeEndian.Uint32(b))))
	}
	return fds
}
