package faultsys_test

import (
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-20e08ac4/asyncore/internal/faultsys"
)

// all is every call.
var all = []faultsys.Call{
	faultsys.Recv, faultsys.Send, faultsys.RecvUrgent, faultsys.Read, faultsys.Write, faultsys.SendFile,
	faultsys.FileRest, faultsys.Close, faultsys.Socket, faultsys.Bind, faultsys.Listen, faultsys.Accept,
	faultsys.Connect, faultsys.SockError, faultsys.ShutdownWrite, faultsys.SetOption, faultsys.LocalAddr,
	faultsys.PeerAddr, faultsys.Dup, faultsys.Mode, faultsys.Kind, faultsys.PeerCred, faultsys.SetNonblock,
	faultsys.RecvPackets, faultsys.SendPackets, faultsys.PacketError, faultsys.Membership,
	faultsys.MulticastFrom, faultsys.Lstat, faultsys.Chmod, faultsys.Unlink, faultsys.Pipe, faultsys.Pending,
	faultsys.Exited, faultsys.IsMaster, faultsys.OpenPoller, faultsys.Add, faultsys.Modify, faultsys.Remove,
	faultsys.Wait,
}

func TestLegal(t *testing.T) {
	var never []faultsys.Call
	for _, c := range all {
		errnos := faultsys.Legal(c)
		if len(errnos) == 0 {
			never = append(never, c)
		}
		for i, errno := range errnos {
			if errno == 0 || errno == syscall.EBADF || slices.Contains(errnos[:i], errno) {
				t.Errorf("%s: %v should not be there, or not again", c, errno)
			}
			// Nothing that is over at once may come for ever, or the call is repeated
			// for ever.
			again := errno == syscall.EINTR || errno == syscall.EAGAIN
			if again && c != faultsys.Close && c != faultsys.Connect && faultsys.Lasts(c, errno) {
				t.Errorf("%s: %v lasts", c, errno)
			}
		}
	}
	want := []faultsys.Call{
		faultsys.Mode, faultsys.Pending, faultsys.Exited, faultsys.IsMaster, faultsys.Remove, faultsys.Wait,
	}
	if diff := cmp.Diff(want, never); diff != "" {
		t.Errorf("calls that cannot fail (-want +got):\n%s", diff)
	}
}

func TestLasts(t *testing.T) {
	tests := []struct {
		call  faultsys.Call
		errno syscall.Errno
		want  bool
	}{
		{faultsys.Recv, syscall.EINTR, false},
		{faultsys.Recv, syscall.ENOMEM, true},
		{faultsys.Recv, syscall.ECONNRESET, true},
		{faultsys.Recv, syscall.EMFILE, false}, // not in the table
		{faultsys.Accept, syscall.EAGAIN, false},
		{faultsys.Accept, syscall.EMFILE, true},
		{faultsys.Connect, syscall.EAGAIN, true},
		{faultsys.Mode, syscall.EIO, false},
	}
	for _, test := range tests {
		if got := faultsys.Lasts(test.call, test.errno); got != test.want {
			t.Errorf("%s, %v: %v", test.call, test.errno, got)
		}
	}
}
